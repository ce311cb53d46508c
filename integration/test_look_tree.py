"""ls, tree, find, du, stat, cat, grep and cp against the real tools on the tree that an unpack makes."""
import json, os, re, subprocess

import pytest

import agreelib
import lazyimages
import looklib
import mkimage
import model
from conftest import compare_trees, need_tool
from looklib import Look, real, shown
from test_random import make

SEEDS = [1, 2, 3]
IMAGES = ['edge', *SEEDS]


@pytest.fixture(scope='module')
def look(rootlet, binary, scratch):
    return Look(rootlet, binary, scratch / 'look-cache')


@pytest.fixture(scope='module')
def images(scratch, edge_layout):
    """{which: the image's name}"""
    need_tool('zstd')
    out = {'edge': 'oci:%s:edge-gzip' % edge_layout}
    for seed in SEEDS:
        layout, _ = make(scratch / ('look-%d' % seed), seed)
        out[seed] = 'oci:%s:x' % layout
    return out


@pytest.fixture(params=IMAGES)
def one(request, images, eager):
    """(image, its unpacked tree)"""
    image = images[request.param]
    return image, eager(image)


# ---- ls
def test_ls_is_ls(look, one):
    assert agreelib.ls(look, *one) == []


@pytest.mark.parametrize('order, flag', [('size', '-S'), ('time', '-t')])
def test_ls_sorts(look, images, eager, order, flag):
    tree = eager(images['edge'])
    for directory in ('size', 'time', 'many'):
        ours = look.ask('ls', '--sort', order, images['edge'], directory)
        assert ours == real('ls', flag, directory, cwd=tree)


def test_ls_escapes_names_and_hides_dots(look, images, eager):
    tree = os.fsencode(eager(images['edge']))
    names = sorted(os.listdir(tree + b'/names'))
    assert look.ask('ls', '-a', images['edge'], 'names').splitlines() == [shown(n) for n in sorted(names + [b'.', b'..'])]
    assert look.ask('ls', images['edge'], 'names').splitlines() == [shown(n) for n in names if not n.startswith(b'.')]
    assert look.ask('ls', '-0', images['edge'], 'names').split(b'\0')[:-1] == [n for n in names if not n.startswith(b'.')]


def test_ls_of_a_file_and_of_links(look, images):
    assert look.ask('ls', images['edge'], 'etc/passwd') == b'etc/passwd\n'
    assert re.search(rb'^l\S+ .* bin/sh -> busybox\n$', look.ask('ls', '-l', images['edge'], 'bin/sh'))
    assert look.ask('ls', '-lh', images['edge'], 'size/131073').split()[4] == b'129K'


def test_ls_in_json(look, one):
    assert agreelib.ls_json(look, *one) == []


# ---- find
def test_find_is_find(look, one):
    expressions = agreelib.EXPRESSIONS[:: 1 if 'edge' in one[0] else 3]     # all of them on one image, and some on each
    assert agreelib.find(look, *one, expressions) == []


def test_find_newer_than_a_file(look, images, eager):
    tree = eager(images['edge'])
    theirs = real('find', 'time', 'etc', '-newer', 'time/frac', '-print0', cwd=tree).split(b'\0')
    ours = [p for d in ('time', 'etc') for p in look.ask('find', images['edge'], d, '-newer', '/time/frac', '-print0').split(b'\0')]
    assert sorted(filter(None, ours)) == sorted(filter(None, theirs))
    assert agreelib.find_newer(look, images['edge'], tree) == []


def test_find_by_layer(look, place):
    layout = mkimage.Layout(place / 'l')
    tars = [mkimage.Layer().f('a', '1').f('b', '1').bytes(), mkimage.Layer().f('b', '2').bytes(), mkimage.Layer().f('c', '3').bytes()]
    layout.tag('x', layout.image([mkimage.pack(t) for t in tars]))
    image = 'oci:%s:x' % layout.d
    assert look.ask('find', image, '-type', 'f', '-layer', '2') == b'/b\n'
    assert look.ask('find', image, '-type', 'f', '-layer', '+1') == b'/b\n/c\n'
    assert look.ask('find', image, '-type', 'f', '-layer', '-2') == b'/a\n'


@pytest.mark.parametrize('words, says', [
    (['-name'], "'-name' wants a value"), (['(', '-name', 'a'], "a ')' is missing"), (['-name', 'a', ')'], "')' has nothing"),
    (['-size', '1x'], "'-size' does not take '1x'"), (['-type', 'q'], "'-type' does not take 'q'"), (['!'], 'a test is expected at the end'),
    (['-perm', '99'], "'-perm' does not take '99'"), (['-newer', 'yesterday'], "'-newer' does not take"), (['-nmae', 'x'], 'unknown option'),
    (['-maxdepth', 'x'], "'-maxdepth' does not take 'x'"), (['-o', '-name', 'x'], "a test is expected before '-o'"),
])
def test_find_refuses(look, images, words, says):
    assert says in look.fails('find', images['edge'], *words, rc=2)


# ---- du and tree
def test_du_is_du(look, one):
    assert agreelib.du(look, *one) == []


def test_du_units_and_depth(look, images):
    image = images['edge']
    whole = int(look.ask('du', '-b', '-d', '0', image).split()[0])
    assert look.ask('du', '-d0', image) == b'%d\t/\n' % -(-whole // 1024)
    assert look.ask('du', '-h', '-d', '0', image, 'size/131073') == b'129K\tsize/131073\n'
    assert {json.loads(line)['path'] for line in look.ask('du', '--json', '-d', '1', image).splitlines()} >= {'/', '/etc', '/names'}
    assert not any(json.loads(line)['path'].count('/') > 1 for line in look.ask('du', '--json', '-d', '1', image).splitlines())


def test_tree_draws(look, small_layout):
    image = 'oci:%s' % small_layout
    wanted = '/\n├── big\n├── etc\n│\u00a0\u00a0 └── motd\n└── motd -> etc/motd\n\n1 directory, 3 files\n'
    assert look.ask('tree', image, env={'LC_ALL': 'C.UTF-8'}).decode() == wanted
    ascii = wanted.replace('├──', '|--').replace('└──', '`--').replace('│\u00a0\u00a0', '|  ')
    assert look.ask('tree', image, env={'LC_ALL': 'C'}).decode() == ascii
    assert look.ask('tree', '-L', '1', image, env={'LC_ALL': 'C'}) == b'/\n|-- big\n|-- etc\n`-- motd -> etc/motd\n\n1 directory, 2 files\n'
    assert look.ask('tree', '--sizes', image, 'etc', env={'LC_ALL': 'C'}) == b'[     6]  etc\n`-- [     6]  motd\n\n0 directories, 1 file\n'


def test_tree_has_every_name(look, one):
    assert agreelib.tree(look, *one) == []


# ---- cat, grep
def test_cat_is_cat(look, one):
    assert agreelib.cat(look, *one) == []


def test_cat_of_what_is_larger_than_its_window(look, place):
    need_tool('zstd')
    data = lazyimages.text(9 << 20, b'a') + bytes(13 << 20) + mkimage.noise(3 << 20)
    layout = mkimage.Layout(place / 'l')
    layout.tag('x', lazyimages.image(layout, [lazyimages.estargz(mkimage.Layer().f('big', data).bytes(), level=1)]))
    image = 'oci:%s:x' % layout.d
    with open(place / 'out', 'wb') as out:
        subprocess.run([look.binary, 'cat', '--quiet', image, 'big'], stdout=out, check=True,
                       env=dict(looklib.C_LOCALE, ROOTLET_CACHE=look.cache))
    assert (place / 'out').read_bytes() == data
    look.ask('cp', image + ':/big', place / 'copy')
    assert (place / 'copy').read_bytes() == data
    assert os.stat(place / 'copy').st_blocks * 512 < len(data) - (12 << 20), 'zeros take room'


def test_grep_is_grep(look, one):
    edge = 'edge' in one[0]         # of its 64 MiB of zeros nobody wants to know anything
    assert agreelib.grep(look, *one, where=['size', 'names', 'rehl'] if edge else ['']) == []


def test_grep_of_one_file(look, images):
    assert look.ask('grep', 'root', images['edge'], 'etc/passwd').startswith(b'root:x:0')
    assert look.ask('grep', '-c', 'root', images['edge'], 'etc/passwd') == b'1\n'
    assert look.ask('grep', 'nobody there', images['edge'], 'etc/passwd', rc=1) == b''
    assert json.loads(look.ask('grep', '--json', 'root', images['edge'], 'etc/passwd')) == {
        'path': 'etc/passwd', 'line': 1, 'text': 'root:x:0:0:root:/root:/bin/sh'}
    assert b'"path":"/xattr/cap"' in look.ask('grep', '-r', '-l', '--json', 'bin/sh', images['edge'], '/xattr')
    for kind in ('-E', '-F', '-i'):
        assert look.ask('grep', kind, 'root', images['edge'], 'etc/passwd')


# ---- cp
def test_cp_is_an_unpack(look, one, place):
    image, tree = one
    look.ask('cp', '--devices', image + ':/', place / 'copy')
    assert compare_trees(tree, place / 'copy') == []
    assert sorted(os.listdir(place)) == ['copy']


def test_cp_as_an_ordinary_user(look, images, place, scratch, ordinary_user, rootlet):
    layout, tree = make(place / 'layout', 2)
    for name in ('cache', 'out'):
        (place / name).mkdir()
        os.chown(place / name, ordinary_user.pw_uid, ordinary_user.pw_gid)
    done = rootlet('cp', '--quiet', 'oci:%s:x:/' % layout, place / 'out/root', user=ordinary_user, env={'ROOTLET_CACHE': str(place / 'cache')})
    assert done.rc == 0, done
    assert model.differences(tree, place / 'out/root', ordinary_user) == []


def test_cp_goes_where_it_is_told(look, images, place):
    image = images['edge']
    (place / 'd').mkdir()
    look.ask('cp', image + ':/etc/passwd', place / 'd')
    look.ask('cp', image + ':/etc/passwd', place / 'd/other')
    look.ask('cp', image, 'hl', place / 'd')
    look.ask('cp', image + ':/bin/sh', place / 'd')
    assert sorted(os.listdir(place / 'd')) == ['hl', 'other', 'passwd', 'sh']
    assert os.stat(place / 'd/hl/a').st_ino == os.stat(place / 'd/hl/b').st_ino
    assert (place / 'd/sh').is_file() and not (place / 'd/sh').is_symlink()
    (place / 'd/other').write_text('replaced')
    look.ask('cp', image + ':/etc/passwd', place / 'd/other')
    assert (place / 'd/other').read_text().startswith('root:')
    assert json.loads(look.ask('cp', '--json', image + ':/hl', place / 'new'))['names'] == len(os.listdir(place / 'new')) + 1


def test_cp_replaces_no_tree_and_leaves_nothing_behind(look, images, place):
    image = images['edge']
    (place / 'hl').mkdir()
    assert 'hl' in look.fails('cp', '--quiet', image + ':/hl', place, rc=1)
    os.symlink('/etc', place / 'link')
    assert look.run('cp', image + ':/etc/passwd', place / 'link/../x').rc == 0
    os.unlink('/x')
    os.symlink('nowhere', place / 'passwd')
    assert 'passwd' in look.fails('cp', '--quiet', image + ':/etc/passwd', place, rc=1)
    assert os.readlink(place / 'passwd') == 'nowhere'
    assert 'IMAGE:/PATH' in look.fails('cp', image, place / 'x', rc=2)
    assert 'must not exist' in look.fails('cp', image + ':/', place, rc=2)
    assert sorted(os.listdir(place)) == ['hl', 'link', 'passwd'] and os.listdir(place / 'hl') == []


# ---- stat
@pytest.fixture(scope='module')
def history_image(scratch):
    """Four layers, with a history: a file that is made, replaced, removed with its directory, and made again."""
    layers = [mkimage.Layer().d('a').f('a/f', 'one').f('a/keep', 'k').s('l', 'a'), mkimage.Layer().f('a/f', 'second', mode=0o600),
              mkimage.Layer().wh('a'), mkimage.Layer().f('l2', 'x').f('a/f', 'fourth!', uid=5)]
    layout = mkimage.Layout(scratch / 'history')
    image = layout.image([mkimage.pack(one.bytes()) for one in layers])
    path = layout.path(image['digest'])
    manifest = json.loads(open(path, 'rb').read())
    config = json.loads(open(layout.path(manifest['config']['digest']), 'rb').read())
    config['history'] = [{'created_by': 'ADD one'}, {'created_by': 'ENV x=y', 'empty_layer': True}, {'created_by': 'RUN two'},
                         {'created_by': 'RUN rm -r \x1b[2J/a'}, {'created_by': 'RUN four'}]
    blob = layout.blob(json.dumps(config).encode(), manifest['config']['mediaType'])
    manifest['config'] = blob
    top = layout.blob(json.dumps(manifest).encode(), manifest['mediaType'])
    layout.tag('x', dict(top, platform=image['platform']))
    return 'oci:%s:x' % layout.d


def test_stat_tells_the_history(look, history_image):
    entry = json.loads(look.ask('stat', '--json', history_image, 'a/f'))
    assert entry['layer'] == 4 and entry['uid'] == 5 and entry['size'] == 7
    assert [(v['layer'], v['removed'], v['created_by'], v.get('size')) for v in entry['versions']] == [
        (1, False, 'ADD one', 3), (2, False, 'RUN two', 6), (3, True, 'RUN rm -r \x1b[2J/a', None), (4, False, 'RUN four', 7)]
    text = look.ask('stat', history_image, 'a/f').decode()
    assert re.findall(r'^  (added|replaced|removed)  *by layer (\d) of 4', text, re.M) == [
        ('added', '1'), ('replaced', '2'), ('removed', '3'), ('added', '4')]
    assert 'RUN rm -r \\x1b[2J/a' in text and '\x1b' not in text
    link = json.loads(look.ask('stat', '--json', history_image, 'l'))
    assert link['target'] == 'a' and [v['layer'] for v in link['versions']] == [1]
    assert [v['layer'] for v in json.loads(look.ask('stat', '--json', history_image, 'l/f'))['versions']] == [1, 2, 3, 4]


def test_stat_agrees(look, one):
    assert agreelib.stat_json(look, *one) == []


def test_du_by_layer_counts_as_dive_does(look, history_image):
    lines = [json.loads(line) for line in look.ask('du', '--layers', '--json', history_image).splitlines()]
    assert [(x['layer'], x['bytes'], x['hidden_bytes'], x['created_by']) for x in lines[:-1]] == [
        (1, 4, 4, 'ADD one'), (2, 6, 6, 'RUN two'), (3, 0, 0, 'RUN rm -r \x1b[2J/a'), (4, 8, 0, 'RUN four')]
    # a/f: 3 + 6 + 7, least 3; a/keep: 1; a, hidden by a whiteout: 7 bytes, 6 of a/f and 1 of a/keep; l2: 1
    total = lines[-1]
    assert total['bytes'] == 16 + 1 + 7 + 1 and total['wasted_bytes'] == 16
    assert total['efficiency'] == pytest.approx((3 + 1 + 7 + 1) / 25, abs=1e-6)
    assert total['wasted'] == [{'path': 'a/f', 'layers': 3, 'bytes': 16}]
    text = look.ask('du', '--layers', history_image).decode()
    assert 'efficiency 48.0 %' in text and '\x1b' not in text
