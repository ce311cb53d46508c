"""diff: against the difference of two unpacked trees, over random images and hand-made ones; what it fetches."""
import json, os, re, subprocess

import pytest

import agreelib
import lazyimages
import mkimage
import model
from agreelib import changes, told
from conftest import need_root, need_tool
from looklib import Look, plain_characters, real


@pytest.fixture
def look(rootlet, binary, place):
    return Look(rootlet, binary, place / 'cache')


def unpack(rootlet, *args):
    done = rootlet('unpack', '--quiet', '--devices', *args)
    assert done.rc == 0, done
    return args[-1]


# ---- random trees
def stacks(seed):
    """Two lists of layers that begin alike."""
    lists = []
    for branch in (1, 2):
        writer = model.Writer(seed)         # the same beginning again
        tars = [writer.tar(*writer.layer(n > 0)) for n in range(seed % 3)]
        writer.r.seed(seed * 10 + branch)
        tars += [writer.tar(*writer.layer(bool(tars) or n > 0)) for n in range(writer.r.randint(1, 3))]
        lists.append(tars)
    assert lists[0][:seed % 3] == lists[1][:seed % 3]
    return lists


@pytest.mark.parametrize('seed', range(1, 9))
def test_random_images_differ_as_their_trees(rootlet, look, place, seed):
    need_root()
    layout = mkimage.Layout(place / 'layout')
    for tag, tars in zip('ab', stacks(seed)):
        layout.tag(tag, layout.image([mkimage.pack(t, '') for t in tars]))
    names = ['oci:%s:%s' % (layout.d, tag) for tag in 'ab']
    trees = [unpack(rootlet, name, place / tag) for name, tag in zip(names, 'ab')]
    assert agreelib.diff(look, names, trees) == [], seed
    assert told(look, names[0], names[0])[0] == {}


# ---- every kind of change, in layers that are read in every way
def two_trees():
    a, b = mkimage.Layer(), mkimage.Layer()
    for layer in (a, b):
        layer.d('./').d('same').f('same/file', mkimage.noise(200000)).s('same/link', 'file').f('same/empty')
    a.f('text', b'one\ntwo\nthree\n').f('longer', b'x' * 10).f('mode', mode=0o644).f('owner', uid=1).s('link', 'a').f('gone').d('was-dir').f('was-dir/x')
    b.f('text', b'one\n2\nthree\n').f('longer', b'x' * 12).f('mode', mode=0o600).f('owner', uid=2).s('link', 'b').f('new').f('was-dir', 'f')
    a.f('xattr', xattr={'user.a': b'1'}).f('same-xattr', xattr={'user.b': b'2', 'user.a': b'1'}).add('dev', b'3', dev=(1, 3))
    b.f('xattr', xattr={'user.a': b'2'}).f('same-xattr', xattr={'user.a': b'1', 'user.b': b'2'}).add('dev', b'3', dev=(1, 5))
    a.f('moved', mkimage.noise(70000)).f('odd\n\x1b[2J', 'a')
    b.f('moved', mkimage.noise(70000)).f('odd\n\x1b[2J', 'b')
    return a.bytes(), b.bytes()


CHANGES = {b'/dev': {'link'}, b'/gone': 'removed', b'/link': {'link'}, b'/longer': {'content'}, b'/mode': {'mode'},
           b'/new': 'added', b'/odd\n\x1b[2J': {'content'}, b'/owner': {'owner'}, b'/text': {'content'},
           b'/was-dir': {'type'}, b'/was-dir/x': 'removed', b'/xattr': {'xattr'}}
WANTED = {p: (c, set()) if isinstance(c, str) else ('changed', c) for p, c in CHANGES.items()}


@pytest.fixture(scope='module')
def pair(scratch):
    layout = mkimage.Layout(scratch / 'pair')
    for tag, tar in zip('ab', two_trees()):
        layout.tag(tag, lazyimages.image(layout, [lazyimages.plain(tar)]))
    return ['oci:%s:%s' % (layout.d, tag) for tag in 'ab']


def test_every_kind_of_change_is_told(look, pair):
    found, lines = told(look, *pair)
    assert found == WANTED
    assert list(found) == sorted(found)             # no directory is in the way here
    text = next(x for x in lines if x['path'] == '/mode')
    assert text['old'] == {'type': 'file', 'mode': 0o644, 'uid': 0, 'gid': 0, 'size': 0} and text['new']['mode'] == 0o600
    assert next(x for x in lines if x['path'] == '/link')['new']['target'] == 'b'
    backwards = told(look, *reversed(pair))[0]
    swap = {'added': 'removed', 'removed': 'added', 'changed': 'changed'}
    assert {p: swap[c] for p, (c, _) in backwards.items()} == {p: c for p, (c, _) in found.items()}


def test_below_a_path_only(look, pair):
    assert told(look, *pair, 'same')[0] == {}
    assert set(told(look, *pair, '/was-dir')[0]) == {b'/was-dir', b'/was-dir/x'}
    assert set(told(look, *pair, '//mode')[0]) != {} and look.ask('diff', *pair, 'same/link') == b''
    assert "no 'sane' in the image: did you mean 'same'?" in look.fails('diff', *pair, 'sane', rc=3)
    assert 'no directory' in look.fails('diff', *pair, 'same/file/x', rc=3)
    look.fails('diff', *pair, 'gone', rc=3)


def test_lines_for_people(look, pair, binary):
    lines = look.ask('diff', *pair, rc=1).decode().splitlines()
    assert 'changed         0  /mode  (mode 0644 -> 0600)' in lines and 'changed         -  /link  (link a -> b)' in lines
    assert 'changed        12  /longer  (content 10 -> 12)' in lines and r'changed         1  /odd\x0a\x1b[2J  (content)' in lines
    assert 'changed         1  /was-dir  (type directory -> file)' in lines and 'removed         0  /gone' in lines
    raw = look.ask('diff', '-0', *pair, rc=1).split(b'\0')
    assert b'changed /odd\n\x1b[2J' in raw and len(raw) == len(WANTED) + 1
    done = look.run('diff', *pair)
    assert re.match(r'1 added \(0 B\), 2 removed \(0 B\), 9 changed \(\d+ B\)\nread ', done.text), done.text


def test_the_content_of_a_file_as_diff_u_shows_it(look, pair, place):
    out = look.ask('diff', '--content', 'text', *pair, rc=1).decode()
    assert out == '--- %s:text\n+++ %s:text\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n' % tuple(pair)
    assert look.ask('diff', '--content', '/same/link', *pair) == b''
    assert 'no file' in look.fails('diff', '--content=same', *pair, rc=2)
    look.fails('diff', '--content=new', *pair, rc=3)
    look.fails('diff', '--content=text', '--json', *pair, rc=2)


def texts():
    """Pairs of texts, small and large, with and without a last newline."""
    import random
    r = random.Random(7)
    lines = ['line %d\n' % n for n in range(3000)]
    other = [x for x in lines if r.random() > 0.02]
    for _ in range(40):
        other.insert(r.randrange(len(other)), 'new %d\n' % r.randrange(9))
    few = [''.join(r.choice('abc') + '\n' for _ in range(r.randrange(12))) for _ in range(16)]
    yield ''.join(lines), ''.join(other)
    yield from zip(few[::2], few[1::2])
    yield 'a\nb', 'a\nb\n'
    yield '', 'x'
    yield ''.join(lines), ''.join(reversed(lines))


def test_patch_makes_one_text_of_the_other(look, place):
    need_tool('patch', 'script')
    layout = mkimage.Layout(place / 'texts')
    a, b, pairs = mkimage.Layer(), mkimage.Layer(), list(texts())
    for n, (x, y) in enumerate(pairs):
        a.f('t%d' % n, x)
        b.f('t%d' % n, y)
    a.f('binary', b'a\0b').f('wild', 'x\x1b[2Jy\n')
    b.f('binary', b'a\0c').f('wild', 'x\x1b[2Jz\n')
    layout.tag('a', layout.image([mkimage.pack(a.bytes())]))
    layout.tag('b', layout.image([mkimage.pack(b.bytes())]))
    images = ['oci:%s:%s' % (layout.d, tag) for tag in 'ab']
    for n, (x, y) in enumerate(pairs):
        out = look.ask('diff', '--content', 't%d' % n, *images, rc=int(x != y))
        (place / 'file').write_text(x)
        if x != y:
            subprocess.run(['patch', '--quiet', place / 'file'], input=out, check=True)
        assert (place / 'file').read_text() == y, n
    # as short as diff's
    count = lambda out: sum(out.count(b'\n' + mark) for mark in (b'+', b'-'))
    for name, text in zip('xy', pairs[0]):
        (place / name).write_text(text)
    theirs = real('diff', '-u', '--minimal', 'x', 'y', cwd=place, rc=(1,))
    assert count(look.ask('diff', '--content', 't0', *images, rc=1)) == count(theirs)
    assert look.ask('diff', '--content', 'binary', *images, rc=1) == b"Binary files 'binary' differ\n"
    assert b'-x\x1b[2Jy\n' in look.ask('diff', '--content', 'wild', *images, rc=1)
    done = subprocess.run(['script', '-qec', "%s diff --quiet --content wild %s %s" % (look.binary, *images), '/dev/null'],
                          stdout=subprocess.PIPE, env=dict(os.environ, ROOTLET_CACHE=str(look.cache)))
    assert plain_characters(done.stdout.replace(b'\r\n', b'\n')) and rb'-x\x1b[2Jy' in done.stdout


# ---- what it costs
TOPS = {'one': lambda x: x.d('app').f('app/version', b'1\n').f('app/same', b's' * 3000),
        'two': lambda x: x.d('app').f('app/version', b'2\n').f('app/same', b's' * 3000, mode=0o755),
        'more': lambda x: x.d('app').f('app/version', b'1\n').f('app/same', b's' * 3000).d('etc').f('etc/conf', b'm'),
        'implied': lambda x: x.f('app/version', b'1\n').f('app/same', b's' * 3000),
        'through': lambda x: x.f('lib/version', b'1\n'), 'through2': lambda x: x.f('lib/version', b'2\n'),
        'hidden': lambda x: x.d('etc').wh('etc/conf'), 'hidden2': lambda x: x.d('etc').f('etc/x').wh('etc/conf'),
        'opaque': lambda x: x.d('etc').opq('etc'), 'link': lambda x: x.h('copy', 'etc/conf')}


@pytest.fixture(scope='module')
def builds(scratch, registry, rootlet):
    """'registry/builds:', the shared layers: images that share a layer of 3 MiB and differ in the one on top."""
    base = lazyimages.work_layer('base', 60, 2 << 20, b'b', most=60000)
    more = mkimage.Layer().d('etc', mode=0o700).f('etc/conf', b'c').d('usr').d('usr/lib').s('lib', 'usr/lib').bytes()
    base = lazyimages.trimmed(more)[:-1024] + base
    layout = mkimage.Layout(scratch / 'builds')
    digests = {}
    for kind, make in (('gzip', lazyimages.plain), ('esgz', lazyimages.estargz)):
        shared = make(base)
        for name in TOPS if kind == 'gzip' else ('one', 'two'):
            top = lazyimages.plain(TOPS[name](mkimage.Layer()).bytes())
            image = lazyimages.image(layout, [shared, top])
            layout.tag('%s-%s' % (kind, name), image)
            digests[kind] = json.load(open(layout.path(image['digest'])))['layers'][0]['digest']
    done = rootlet('push', '--quiet', '--tls-verify=false', 'oci:%s:gzip-one' % layout.d, registry + '/builds:gzip-one')
    for tag in ['gzip-' + name for name in list(TOPS)[1:]] + ['esgz-one', 'esgz-two']:
        done = rootlet('push', '--quiet', '--tls-verify=false', 'oci:%s:%s' % (layout.d, tag), '%s/builds:%s' % (registry, tag))
        assert done.rc == 0, done
    return registry + '/builds:', digests


@pytest.mark.parametrize('kind', ['gzip', 'esgz'])
def test_shared_layers_are_not_fetched(look, builds, kind):
    where, digests = builds
    names = ['--debug', '--tls-verify=false', where + kind + '-one', where + kind + '-two']
    done = look.run('diff', '--json', *names)
    assert done.rc == 1 and digests[kind] not in done.text, done
    found = [json.loads(x) for x in done.out.splitlines()]
    assert [(x['path'], x['what']) for x in found] == [('/app/same', ['mode']), ('/app/version', ['content'])]
    # once it is told in full, it is the same
    look.ask('ls', '-R', *names[1:3])
    assert look.run('diff', '--json', *names).out == done.out


def test_what_depends_on_the_shared_layers_is_right(rootlet, look, builds, place):
    """A name that only one top has may be new or replace one; a directory nobody made may be a link below."""
    need_root()
    where, _ = builds
    trees = {name: unpack(rootlet, '--tls-verify=false', where + 'gzip-' + name, place / name) for name in TOPS}
    for a, b in (('one', 'more'), ('more', 'one'), ('one', 'implied'), ('through', 'through2'), ('hidden', 'hidden2'),
                 ('hidden', 'opaque'), ('one', 'link'), ('more', 'hidden2')):
        found = told(look, '--tls-verify=false', where + 'gzip-' + a, where + 'gzip-' + b)[0]
        assert found == changes(trees[a], trees[b]), (a, b)
    assert b'/usr/lib/version' in told(look, '--tls-verify=false', where + 'gzip-through', where + 'gzip-through2')[0]


def test_the_same_images_cost_no_layer(look, builds):
    where, _ = builds
    done = look.run('diff', '--debug', '--tls-verify=false', where + 'gzip-one', where + 'gzip-one')
    manifest = json.loads(look.ask('manifest', '--tls-verify=false', where + 'gzip-one'))
    assert done.rc == 0 and done.out == b'' and not any(x['digest'] in done.text for x in manifest['layers'])


def test_chunks_of_the_same_digest_are_not_read(rootlet, look, scratch, registry):
    """Two eStargz layers in different orders: equal files, other layers."""
    layout = mkimage.Layout(scratch / 'chunks')
    data = [('f%d' % n, mkimage.noise(400000, b'%d' % n)) for n in range(6)]
    for tag, files in (('a', data), ('b', data[::-1]), ('c', data[:5] + [('f5', mkimage.noise(400000, b'other'))])):
        layer = mkimage.Layer()
        for name, content in files:
            layer.f(name, content)
        layout.tag(tag, lazyimages.image(layout, [lazyimages.estargz(layer.bytes())]))
        done = rootlet('push', '--quiet', '--tls-verify=false', 'oci:%s:%s' % (layout.d, tag), '%s/chunks:%s' % (registry, tag))
        assert done.rc == 0, done
    names = ['%s/chunks:%s' % (registry, tag) for tag in 'abc']
    done = look.run('diff', '--tls-verify=false', *names[:2])
    assert b'/f' not in done.out and re.search(r'read [0-9.]+ KiB of ', done.text), done
    done = look.run('diff', '--tls-verify=false', names[0], names[2])
    assert re.findall(rb'/f\d', done.out) == [b'/f5'] and re.search(r'read [0-9.]+ KiB of ', done.text), done


def test_many_files_are_read_in_few_requests(rootlet, look, scratch, registry):
    """Equal files, one side as one stream and the other in a frame each: no digest of one is in the other's table."""
    layout = mkimage.Layout(scratch / 'streams')
    tar = lazyimages.trimmed(lazyimages.work_layer('w', 300, 0, b'd', most=20000))
    for tag, layer in (('a', lazyimages.plain(tar)), ('b', lazyimages.zchunked(tar))):
        layout.tag(tag, lazyimages.image(layout, [layer]))
        done = rootlet('push', '--quiet', '--tls-verify=false', 'oci:%s:%s' % (layout.d, tag), '%s/streams:%s' % (registry, tag))
        assert done.rc == 0, done
    done = look.run('diff', '--tls-verify=false', *('%s/streams:%s' % (registry, tag) for tag in 'ab'))
    requests = int(re.search(r'in (\d+) requests', done.text)[1])
    assert done.rc == 0 and done.out == b'' and 5 < requests < 60, done


def test_without_an_image_to_compare(look, pair):
    assert 'not 1 operands' in look.fails('diff', pair[0], rc=2)
    assert 'none' in look.fails('diff', pair[0], pair[1][:-1] + 'none', rc=3)
    with open('/dev/full', 'wb') as full:
        done = subprocess.run([look.binary, 'diff', '--quiet', *pair], stdout=full, stderr=subprocess.PIPE,
                              env=dict(os.environ, ROOTLET_CACHE=str(look.cache)))
    assert done.returncode == 1 and b'No space left on device' in done.stderr
