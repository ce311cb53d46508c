"""What looking costs, on a registry that counts; what a terminal gets to see; and how questions end badly."""
import os, re, signal, subprocess, tarfile

import pytest

import lazyimages
import looklib
import mkimage
import mountlib
from conftest import need_root, need_tool
from faultlib import FaultRegistry
from looklib import Look

HOSTILE = ['e\x1b[2J\x1b]0;owned\x07', 'bidi\u202egnp.exe', 'raw\udcff\udc9b', 'two\nlines', 'zero\u200bwidth', 'tab\tbell\x07']
MIB = 1 << 20


@pytest.fixture
def look(rootlet, binary, place):
    return Look(rootlet, binary, place / 'cache')


# ---- bytes
@pytest.fixture(scope='module')
def prepared(scratch):
    """(a counting registry, {tag: compressed bytes of the tables}): one image with and without tables, four layers."""
    need_tool('zstd')
    layout = mkimage.Layout(scratch / 'cost')
    tars = [lazyimages.work_layer('one', 60, MIB, b'1'), lazyimages.work_layer('two', 20, MIB, b'2'),
            lazyimages.work_layer('three', 20, 0, b'3', most=2000), mkimage.Layer().d('one').f('one/small', 'a small file\n').bytes()]
    tables = {}
    for tag, make in (('estargz', lazyimages.estargz), ('zchunked', lazyimages.zchunked), ('plain', lazyimages.plain)):
        layers = [make(tar) for tar in tars]
        layout.tag(tag, lazyimages.image(layout, layers))
        tables[tag] = sum(table_bytes(blob, annotations) for _, _, blob, annotations in layers)
    server = FaultRegistry(layout.d, scratch / 'cost-registry')
    yield server, tables
    server.stop()


def table_bytes(blob, annotations):
    for key, value in annotations.items():
        if key.endswith('manifest-position'):
            return int(value.split(':')[1])
    if lazyimages.TOC_DIGEST in annotations:
        return len(blob) - int(blob[-51:][16:32], 16)
    return 0


def cost(server, look, *question):
    """(bytes of blobs that a question took, what the registry saw)"""
    server.configure()
    look.ask(question[0], '--tls-verify=false', *question[1:])
    seen = server.seen()
    return seen.blob_bytes, seen


QUESTIONS = [['ls', '-lR'], ['tree', '--sizes'], ['du', '--layers'], ['find', '-size', '+10k'], ['stat', 'one/small']]


@pytest.mark.parametrize('tag', ['estargz', 'zchunked'])
@pytest.mark.parametrize('question', QUESTIONS, ids=lambda q: q[0])
def test_a_listing_costs_the_tables(prepared, look, tag, question):
    server, tables = prepared
    image = '%s/cost:%s' % (server.host, tag)
    question = [question[0], image, *question[1:]]
    spent, seen = cost(server, look, *question)
    assert tables[tag] > 4000 and 0 < spent <= tables[tag] + 65536
    assert {r['status'] for r in seen.log if r['kind'] == 'blob' and r['range']} == {206}
    assert cost(server, look, *question)[0] == 0, 'the second question is not free'


@pytest.mark.parametrize('tag', ['estargz', 'zchunked'])
def test_cat_costs_one_span(prepared, look, tag):
    server, _ = prepared
    image = '%s/cost:%s' % (server.host, tag)
    cost(server, look, 'ls', image)
    for path in ('one/d001/f00051', 'two/d000/f00003', 'one/small'):
        spent, seen = cost(server, look, 'cat', image, path)
        assert spent <= 40000 + 1024, 'neighbours were fetched'
        assert len([r for r in seen.log if r['kind'] == 'blob']) == (path != 'one/small')
        assert cost(server, look, 'cat', image, path)[0] == 0


def test_any_number_of_files_is_read_in_few_requests(look, scratch):
    """More files than are fetched ahead at once, a frame each."""
    layer = mkimage.Layer(tarfile.USTAR_FORMAT)
    for n in range(17000):
        layer.f('d%02d/f%03d' % (n // 1000, n % 1000), b'%d' % n)
    layout = mkimage.Layout(scratch / 'crowd')
    layout.tag('x', lazyimages.image(layout, [lazyimages.zchunked(layer.bytes())]))
    server = FaultRegistry(layout.d, scratch / 'crowd-registry')
    try:
        _, seen = cost(server, look, 'grep', '-r', '-c', '', '%s/crowd:x' % server.host)
        assert 2 < len(seen.log) < 200
    finally:
        server.stop()


def test_grep_fetches_what_its_path_selects(prepared, look):
    server, _ = prepared
    image = '%s/cost:estargz' % server.host
    cost(server, look, 'ls', image)
    server.configure()
    look.ask('grep', '--tls-verify=false', '-r', '-c', 'no such words', image, 'one/d001', rc=1)            # ten files
    seen = server.seen()
    assert 30000 < seen.blob_bytes < 10 * 40000
    assert len([r for r in seen.log if r['kind'] == 'blob']) < 20, 'a request for each file'


def test_the_second_question_of_an_unprepared_image_is_free(prepared, look, eager, place):
    server, _ = prepared
    image = '%s/cost:plain' % server.host
    server.configure()
    done = look.run('ls', '-R', '--tls-verify=false', image)
    assert done.rc == 0 and b'layer' in done.err and server.seen().blob_bytes > 2 * MIB
    for question in (['du'], ['cat', 'one/big'], ['grep', '-rc', 'x'], ['stat', 'one/small']):
        question.insert(1 if question[0] != 'grep' else 3, image)
        assert cost(server, look, *question)[0] == 0
    server.configure()
    look.ask('cp', '--tls-verify=false', image + ':/', place / 'copy')
    assert server.seen().blob_bytes == 0


def test_the_cost_is_said(prepared, look):
    server, _ = prepared
    done = look.run('ls', '--tls-verify=false', '%s/cost:estargz' % server.host)
    assert re.search(r'(^|\n)read [\d.]+ KiB of [\d.]+ MiB in \d+ requests\n$', done.text), done


# ---- terminals
@pytest.fixture(scope='module')
def hostile(scratch):
    layer = mkimage.Layer().d('d').s('d/link\x1b[31m', 'to\x1b[5mnowhere')
    for name in HOSTILE:
        layer.f('d/' + name, 'line \x1b[2J of it\n')
    layer.d('d/dir').f('d/x.tar', 't').f('d/run', 'r', mode=0o755).s('d/good', 'x.tar')
    layout = mkimage.Layout(scratch / 'hostile-names')
    layout.tag('x', layout.image([mkimage.pack(layer.bytes())]))
    return 'oci:%s:x' % layout.d


@pytest.mark.parametrize('question', [['ls', 'd'], ['ls', '-laR'], ['tree'], ['find'], ['du', 'd'], ['stat', 'd/' + HOSTILE[0]], ['grep', '-r'],
                                      ['ls', '-R', '--json'], ['stat', '--json', 'd/' + HOSTILE[0]]], ids=' '.join)
def test_no_name_drives_a_terminal(look, binary, hostile, question):
    first = 1 if question[0] != 'grep' else 2
    words = [*question[:first], *(['of it'] if question[0] == 'grep' else []), hostile, *question[first:]]
    env = {'ROOTLET_CACHE': str(look.cache), 'NO_COLOR': '1', 'LC_ALL': 'C.UTF-8'}
    seen = looklib.on_terminal([binary, *words, '--quiet'], env)
    assert seen and looklib.plain_characters(seen.replace(b'\t', b''))        # du's own


def test_colours_on_a_terminal_only(look, binary, hostile):
    env = {'ROOTLET_CACHE': str(look.cache), 'LS_COLORS': 'di=01;35:*.tar=31:ex=32:ln=36:or=41'}
    seen = looklib.on_terminal([binary, 'ls', '--quiet', hostile, 'd'], env, columns=200)
    for code, name in (('01;35', 'dir'), ('31', 'x.tar'), ('32', 'run'), ('36', 'good'), ('41', 'link\\x1b[31m')):
        assert ('\x1b[%sm%s\x1b[0m' % (code, name)).encode() in seen, seen
    assert b'\x1b' not in looklib.on_terminal([binary, 'ls', '--quiet', hostile, 'd'], dict(env, NO_COLOR='1'))
    assert b'\x1b' not in look.ask('ls', hostile, 'd')
    bad = dict(env, LS_COLORS='di=\x1b]0;x\x07:ln=1;2;x')
    assert b'\x1b]' not in looklib.on_terminal([binary, 'ls', '--quiet', hostile, 'd'], bad)


def test_columns_fit_the_terminal(look, binary, place):
    layer = mkimage.Layer()
    for n in range(40):
        layer.f('name-%02d' % n, 'x')
    layer.f('漢字', 'x').f('\x1b', 'x')
    layout = mkimage.Layout(place / 'l')
    layout.tag('x', layout.image([mkimage.pack(layer.bytes())]))
    env = {'ROOTLET_CACHE': str(look.cache)}
    lines = looklib.on_terminal([binary, 'ls', '--quiet', 'oci:%s:x' % layout.d], env, columns=40).decode().splitlines()
    assert 10 <= len(lines) <= 15 and all(len(line) <= 40 for line in lines)
    assert [line.split()[0] for line in lines][:3] == ['\\x1b', 'name-00', 'name-01'], 'down, then right'


# ---- ends
@pytest.fixture(scope='module')
def image(small_layout):
    return 'oci:%s' % small_layout


@pytest.mark.parametrize('question, rc, says', [
    (['ls', 'etc/mott'], 3, "no 'etc/mott' in the image: did you mean 'motd'?"), (['cat', 'etc/gone'], 3, "no 'etc/gone' in the image"),
    (['cat', 'etc/motd/x'], 3, 'goes through something that is no directory'), (['cat', 'etc'], 2, "'etc' is a directory"),
    (['cat', 'big', 'etc'], 2, "'etc' is a directory"), (['stat', 'nothing'], 3, "no 'nothing'"), (['du', 'nothing'], 3, "no 'nothing'"),
    (['find', 'nothing'], 3, "no 'nothing'"), (['tree', 'nothing'], 3, "no 'nothing'"), (['cat'], 2, 'wants IMAGE PATH...'),
    (['ls', '--sort=colour'], 2, '--sort'), (['du', '-d', 'x'], 2, '--max-depth'), (['du', '--layers', 'etc'], 2, '--layers'),
], ids=lambda v: ' '.join(v) if isinstance(v, list) else None)
def test_errors_say_what_and_print_nothing(look, image, question, rc, says):
    assert says in look.fails(question[0], image, *question[1:], rc=rc)


@pytest.mark.parametrize('options, rc, says', [
    (['-E', 'a('], 2, "pattern 'a(': "), (['a[', ], 2, "pattern 'a['"), (['x'], 2, "'/' is a directory: -r searches below it")])
def test_grep_errors(look, image, options, rc, says):
    assert says in look.fails('grep', *options, image, rc=rc)


def test_grep_tells_by_its_status(look, image):
    assert look.ask('grep', '-r', 'hell', image, rc=0) == b'/etc/motd:hello\n'
    assert look.ask('grep', '-r', 'hull', image, rc=1) == b''


@pytest.mark.parametrize('question', [['ls', '-lR'], ['cat', 'big'], ['find'], ['tree'], ['du', '--json'], ['stat', 'big']], ids=lambda q: q[0])
def test_a_full_disk_and_a_closed_pipe(look, image, question):
    command = [look.binary, question[0], image, *question[1:]]
    env = dict(looklib.C_LOCALE, ROOTLET_CACHE=str(look.cache))
    with open('/dev/full', 'wb') as full:
        done = subprocess.run(command, env=env, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b'write to standard output: No space left on device' in done.stderr
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(30) == -signal.SIGPIPE and (said == b'' or b'layer' in said), said


def test_cp_undoes_what_it_cannot_finish(look, place):
    need_root()
    from conftest import mounted
    layer = mkimage.Layer().d('d').f('d/a', 'x').f('d/big', mkimage.noise(6 * MIB))
    layout = mkimage.Layout(place / 'l')
    layout.tag('x', layout.image([mkimage.pack(layer.bytes(), '')]))
    with mounted(place / 'little', 'tmpfs', 2 * MIB) as little:
        done = look.run('cp', 'oci:%s:x:/d' % layout.d, little / 'copy')
        assert done.rc == 1 and 'No space left' in done.text
        assert os.listdir(little) == []


def test_cp_stops_when_told(prepared, look, place):
    server, _ = prepared
    image = '%s/cost:estargz' % server.host
    cost(server, look, 'ls', image)
    server.configure({'fault': 'slow', 'bps': 2000, 'match': {'kind': 'blob'}})
    (place / 'out').mkdir()
    process = subprocess.Popen([look.binary, 'cp', '--tls-verify=false', image, 'one', place / 'out'], stderr=subprocess.PIPE,
                               env=dict(looklib.C_LOCALE, ROOTLET_CACHE=str(look.cache)))
    try:
        mountlib.wait_until('it copies', 30, lambda: os.listdir(place / 'out'))
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        server.configure()
    assert process.returncode == -signal.SIGINT, said
    assert os.listdir(place / 'out') == []
