"""A mount over a registry that does everything wrong, and images that lie in their tables of contents.

Always: right bytes or an error, in time; never a wrong byte, a hang or a crash; and a mount that works again when the
fault has ended.  ROOTLET_FAULT_REQUESTS, ROOTLET_FAULT_SEED as in test_faults.py (here 10 000 requests); many of them
need ROOTLET_LAB_SECONDS, see mountlib.py.
"""
import concurrent.futures, json, os, random, shutil, stat, subprocess, time

import pytest

import faultlib
import lazyimages
import make_corpus
import mkimage
from conftest import compare_trees, mount_lab
from faultlib import FaultRegistry
from mountlib import Readers, links_named, listing, mountinfo, read_all, read_right, wait_until
from test_faults import BASIC, BEARER, fault, random_rules

TIMEOUT = 3         # seconds, of a read under a fault


class Row:
    """Faults of blobs under a mount.

    COMES: 'right' the bytes come, 'eio' they do not while it lasts, None the one or the other.
    """

    def __init__(self, label, *faults, comes='right', says=(), mounts=True, seconds=30, **config):
        self.label, self.faults, self.comes, self.config = label, faults, comes, config
        self.says = (says,) if isinstance(says, str) else says
        self.seconds = seconds      # until all was read, or had failed


BLOB = {'kind': 'blob'}
ONCE = {'kind': 'blob', 'count': 1}
SOME = {'kind': 'blob', 'every': 2}

ROWS = [
    Row('none'),
    Row('reset once', fault('reset', ONCE)),
    Row('reset every second', fault('reset', SOME)),
    Row('reset always', fault('reset'), comes=None),
    Row('truncate once', fault('truncate', ONCE)),
    Row('truncate_cl once', fault('truncate_cl', ONCE)),
    Row('flip once', fault('flip', ONCE)),
    Row('flip always', fault('flip', step=8), comes='eio', says='sha256:'),
    Row('zeros once', fault('zeros', ONCE)),
    Row('zeros always', fault('zeros'), comes='eio', says='sha256:'),
    Row('extra', fault('extra')),
    Row('stall 1 s', fault('stall', ONCE, seconds=1)),
    Row('first byte after 1 s', fault('first_byte', ONCE, seconds=1)),
    Row('500 once', fault('status', ONCE, code=500)),
    Row('503 always', fault('status', code=503), comes='eio', says='503'),
    Row('429 once', fault('status', ONCE, code=429, retry_after=1)),
    Row('404', fault('status', code=404), comes='eio', says='404'),
    Row('403', fault('status', code=403), comes='eio', says='403'),
    Row('empty reply once', fault('empty', ONCE)),
    Row('garbage always', fault('garbage'), comes='eio'),
    Row('silent close', fault('silent_close')),
    Row('chunked', fault('chunked')),
    Row('chunked cut once', fault('chunked_cut', ONCE)),
    Row('no length', fault('no_length')),
    Row('http 1.0', fault('http10')),
    Row('gzip encoding', fault('gzip'), comes='eio', says='Content-Encoding'),
    Row('redirect to CDN', redirect_blobs=True),
    Row('signed URL serves once', fault('redirect', uses=1)),
    Row('signed URL of a moment', fault('redirect', ttl=0.05)),
    Row('signed URL already expired, once', fault('redirect', ONCE, ttl=-1)),
    Row('signed URLs always expired', fault('redirect', ttl=-1), comes='eio', says='403'),
    Row('redirect loop', fault('redirect_loop'), comes='eio'),
    Row('redirect to file:', fault('redirect_to', url='file:///etc/passwd'), comes='eio'),
    Row('redirect to trap', fault('redirect_to', url='http://{trap}/x'), auth=BASIC, comes='eio'),
    Row('token, 3 requests', auth=dict(BEARER, expires_requests=3)),
    Row('token, 1 request', auth=dict(BEARER, expires_requests=1)),
    Row('token endpoint 503 once', fault('status', {'kind': 'token', 'count': 1}, code=503), auth=BEARER),
    Row('basic', auth=BASIC),
    # servers that cannot do ranges, or not rightly
    Row('no ranges: 200', fault('no_range')),
    Row('no ranges: 416', fault('status', dict(BLOB, range=True), code=416)),
    Row('no ranges: 501', fault('status', dict(BLOB, range=True), code=501)),
    Row('no ranges, once', fault('no_range', ONCE)),
    Row('ranges: shifted', fault('content_range', dict(BLOB, range=True), by=100)),
    Row('ranges: another total', fault('content_range', dict(BLOB, range=True), total=7)),
    Row('ranges: no Content-Range', fault('content_range', dict(BLOB, range=True), value='')),
    Row('ranges: multipart', fault('multipart', dict(BLOB, range=True))),
    Row('ranges: short', fault('short_range', dict(BLOB, range=True), n=20000), comes=None),
    Row('ranges: wide', fault('wide_range', dict(BLOB, range=True), by=1000)),
    Row('ranges: bytes of another offset', fault('shift', dict(BLOB, range=True), by=9), comes='eio'),
]

# Faults that end when somebody has waited long enough: all at once, each with a registry of its own.
WAITING = [
    Row('stall for ever, once', fault('stall', ONCE, seconds=600), comes=None),
    Row('stall for ever', fault('stall', seconds=600, at=10), comes='eio'),
    Row('no answer', fault('first_byte', seconds=600), comes='eio'),
    Row('a byte now and then', fault('slow', bps=20), comes='eio'),
]
FEW = 'a/d000/f0000'        # nine files


@pytest.fixture(scope='module')
def images(scratch):
    """'x': three eStargz layers of 1.5 MiB."""
    layout = mkimage.Layout(scratch / 'mount-faults')
    tars = [lazyimages.work_layer(name, 50, 1 << 20, name.encode(), most=20000) for name in ('a', 'b', 'c')]
    layout.tag('x', lazyimages.image(layout, [lazyimages.estargz(t, chunk=200000) for t in tars]))
    return layout.d


@pytest.fixture(scope='module')
def truth(images, eager):
    return eager('oci:%s:x' % images)


@pytest.fixture(scope='module')
def server(images, scratch):
    it = FaultRegistry(images, scratch / 'mount-registry')
    yield it
    it.stop()


@pytest.fixture(scope='module')
def authfile(server, scratch):
    return faultlib.authfile(scratch / 'mount-auth.json', server.host)


@pytest.fixture(scope='module')
def prepared(rootlet, fuse, server, authfile, disk, scratch):
    """A cache that knows the image's tables and none of its bytes."""
    server.configure()
    with mount_lab(rootlet, disk / 'mount-prepared', scratch) as lab:
        lab.mount(server.host + '/img:x', '--authfile', authfile, '--no-prefetch').umount()
        for layers in lab.cache.rglob('layers'):
            shutil.rmtree(layers)
    yield lab.cache
    shutil.rmtree(disk / 'mount-prepared')


OPTIONS = ['--no-prefetch', '--read-timeout=%d' % TIMEOUT]


def mount_prepared(lab, prepared, server, authfile):
    """A mount whose first reads go to the registry."""
    if prepared:
        subprocess.run(['cp', '-a', prepared, lab.cache], check=True)
    return lab.mount(server.host + '/img:x', '--authfile', authfile, *OPTIONS)


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.label)
def test_fault(lab, prepared, server, authfile, truth, row):
    check(row, lab, prepared, server, authfile, truth)


def test_faults_that_take_long(rootlet, fuse, prepared, images, truth, place, scratch):
    def one(numbered):
        number, row = numbered
        server = FaultRegistry(images, place / ('registry-%d' % number))
        try:
            auth = faultlib.authfile(place / ('auth-%d.json' % number), server.host)
            with mount_lab(rootlet, place / ('lab-%d' % number), scratch) as lab:
                check(row, lab, None, server, auth, truth, '--only', FEW)
        finally:
            server.stop()
    with concurrent.futures.ThreadPoolExecutor(len(WAITING)) as pool:
        list(pool.map(one, enumerate(WAITING)))


def check(row, lab, prepared, server, authfile, truth, *only):
    server.configure(**{k: v for k, v in row.config.items() if k == 'auth'})
    mount = mount_prepared(lab, prepared, server, authfile)
    server.configure(*row.faults, **row.config)
    began = time.monotonic()
    got = read_all(truth, mount.path, '--threads', 8, *only, seconds=120)
    seconds, seen, status = time.monotonic() - began, server.seen(), mount.status()
    context = '%s: %r in %.1f s, %d requests, %r' % (row.label, got, seconds, seen.requests, status['errors'])

    assert got['wrong'] == [], context
    assert set(got['errors']) <= {'EIO'}, context
    if row.comes == 'right':
        assert got['errors'] == {}, context
    if row.comes == 'eio':
        assert got['errors'] and got['bytes'] == 0, context
        assert status['errors'], context
    for word in row.says:
        assert word in json.dumps(status['errors']), context
    assert got['slowest'] <= 4 * TIMEOUT + 5, context
    assert seconds <= row.seconds, context
    assert seen.leaks == 0 and seen.cookies == 0, context
    assert faultlib.PASSWORD not in json.dumps(status).split(), context
    if got['errors']:
        server.configure(**{k: v for k, v in row.config.items() if k == 'auth'})
        recovers(truth, mount)
    mount.umount()


def recovers(truth, mount, seconds=60):
    def right():
        got = read_all(truth, mount.path, '--threads', 8)
        assert got['wrong'] == []
        return got['errors'] == {}
    wait_until('everything reads right again', seconds, right, 0.3)


def test_the_registry_goes_away_and_comes_back(lab, prepared, images, authfile, truth, place):
    """Connections refused: EIO; the same port answers again: right bytes."""
    first = FaultRegistry(images, place / 'first')
    shutil.copytree(prepared, lab.cache)
    mount = lab.mount(first.host + '/img:x', '--no-prefetch', '--read-timeout=%d' % TIMEOUT)
    first.stop()
    got = read_all(truth, mount.path, '--only', 'a/d000')
    assert got['wrong'] == [] and set(got['errors']) == {'EIO'} and got['slowest'] < 4 * TIMEOUT + 5, got
    second = FaultRegistry(images, place / 'second', '--listen', first.host)
    try:
        recovers(truth, mount)
        mount.umount()
    finally:
        second.stop()


@pytest.fixture
def wide(place):
    """24 layers of more bytes than a daemon's memory keeps, most of them in spans of 16 KiB: every read is a request."""
    layout, dice = mkimage.Layout(place / 'wide'), random.Random(1)
    layers = [lazyimages.estargz(mkimage.Layer().d('d').f('d/%d' % n, dice.randbytes(3 << 19)).bytes(), 16384, level=0)
              for n in range(20)]
    tars = [lazyimages.work_layer(name, 3, 3 << 19, name.encode()) for name in 'abcd']
    layers += [lazyimages.plain(tars[0]), lazyimages.plain(tars[1], 'zstd'), lazyimages.estargz(tars[2], 100000, 50000),
               lazyimages.estargz(tars[3])]
    layout.tag('x', lazyimages.image(layout, layers))
    return layout.d


def test_random_faults_of_a_mount(lab, wide, eager, place, sanitized):
    """Three mounts with hardly any cache, readers at any place of them, another seed every second, until 10 000 requests
    (ROOTLET_FAULT_REQUESTS; 2 000 under a sanitizer) have met them."""
    truth = eager('oci:%s:x' % wide)
    server = FaultRegistry(wide, place / 'registry')
    server.configure(auth=BEARER)
    authfile = faultlib.authfile(place / 'auth.json', server.host)
    options = ['--authfile', authfile, '--cache-size=1M', *OPTIONS]
    mounts = [lab.mount(server.host + '/img:x', *options) for _ in range(3)]
    readers = [Readers(truth, m.path, '--loop', '--piece', 4096, '--drop', '--threads', 8)
               for m in mounts]
    try:
        until_enough(server, int(os.environ.get('ROOTLET_FAULT_REQUESTS', 2000 if sanitized else 10000)), readers)
        server.configure(auth=BEARER)
        for m in mounts:
            recovers(truth, m)
    finally:
        server.stop()


def until_enough(server, wanted, readers):
    seed = int(os.environ.get('ROOTLET_FAULT_SEED', 1))
    total, until = {'requests': 0, 'faults': 0}, time.monotonic() + 60 + wanted / 20
    while total['requests'] < wanted:
        server.configure(*random_rules(seed), auth=dict(BEARER, expires_requests=2 + seed % 6), seed=seed)
        time.sleep(1)
        seen = server.seen(log=False)
        assert seen.leaks == 0 and seen.cookies == 0 and seen.trapped == 0, seed
        assert time.monotonic() < until, total
        total['requests'] += seen.requests
        total['faults'] += seen.faults
        seed += 1
    for r in readers:
        r.stop()
    results = [r.result(60) for r in readers]
    print('%d seeds: %r, %r' % (seed, total, results))
    for got in results:
        assert got['wrong'] == [] and set(got['errors']) <= {'EIO'} and got['slowest'] <= 4 * TIMEOUT + 5, results
        assert sum(got['errors'].values()) <= got['reads'] / 4, results
    assert total['faults'] >= total['requests'] / 20, total


# ---- hostile images
LAZY = [c for c in make_corpus.CASES if c['name'].startswith(('es-', 'zc-', 'poison-', 'so-')) and not c['heavy']]
OTHERS = sorted({c['level'] for c in make_corpus.CASES if not c['heavy'] and c not in LAZY})
PAD = ('pad', lazyimages.noise(3 << 19))


@pytest.fixture(scope='module')
def padded(scratch):
    """The cases whose tables lie, with a layer long enough that its table is looked at."""
    out, keep = scratch / 'padded', make_corpus.EFILES
    make_corpus.EFILES = keep + [PAD]
    try:
        build(LAZY, out)
    finally:
        make_corpus.EFILES = keep
    return out


@pytest.fixture(scope='module')
def corpus(scratch):
    build([c for c in make_corpus.CASES if not c['heavy'] and c not in LAZY], scratch / 'mount-corpus')
    return scratch / 'mount-corpus'


def build(cases, out):
    class Options:
        heavy, bomb_gib, entries, depth, trap_url = False, 10, 1000000, 100000, 'http://127.0.0.1:9'
    out.mkdir()
    for c in cases:
        make_corpus.build(c, out, Options)


@pytest.fixture(scope='module')
def shared(rootlet, fuse, disk, scratch, work_layout):
    """One lab for all hostile images: they share a cache, also with an honest mount that must stay right."""
    with mount_lab(rootlet, disk / 'mount-hostile', scratch) as lab:
        lab.honest = lab.mount('oci:%s:estargz' % work_layout, '--no-prefetch')
        yield lab
    subprocess.run(['rm', '-rf', '--one-file-system', disk / 'mount-hostile'])


def tree_of(path):
    return links_named(listing(path))


def try_mount(lab, image, at, *options):
    at.mkdir()
    return lab.run('mount', '--fill=off', *options, image, at, timeout=60)


def take_away(lab, at):
    done = lab.run('umount', at)
    assert done.rc == 0, done
    at.rmdir()


SIZE = 7        # where it is in a listing


def unlike(eager, mounted, damaged=False):
    """Paths whose bytes or attributes are not the eager tree's; a file that cannot be read is no wrong byte.
    DAMAGED: then its size, which the table has wrong, is none either."""
    bad = []
    for path in sorted(eager.keys() | mounted.keys()):
        a, b = eager.get(path), mounted.get(path)
        unread = a and b and a[0] == stat.S_IFREG and isinstance(b[-1], int)
        if unread and damaged:
            a = a[:SIZE] + b[SIZE:SIZE + 1] + a[SIZE + 1:]
        if a != b and not (unread and a[:-1] == b[:-1]):
            bad.append((path, shown(a), shown(b)))
    return bad


def shown(what):
    return what and [w[:40] if isinstance(w, (bytes, str)) else str(w)[:300] for w in what]


@pytest.mark.parametrize('name', [c['name'] for c in LAZY])
def test_a_table_that_lies(shared, eager, padded, place, work_layout, name):
    case = json.loads((padded / name / 'case.json').read_text())
    image, at = 'oci:%s:%s' % (padded / name / 'layout', case['ref']), place / 'm'
    done = try_mount(shared, image, at)
    if done.rc:
        assert done.rc in (6, 7) and not mountinfo(at), done
        assert case['expect_lazy'] not in ('ok', 'fallback') or 'reject' in case['accept'], done
    else:
        status = json.loads(shared.run('status', '--json', at).out)
        try:
            tree = tree_of(at)
        finally:
            take_away(shared, at)
        true = tree_of(eager(image))
        assert unlike(true, tree, case['expect_lazy'] == 'eio') == [], status
        errors = [p for p, w in tree.items() if w[0] == stat.S_IFREG and isinstance(w[-1], int)]
        if case['expect_lazy'] in ('ok', 'fallback', 'reject'):
            assert errors == [], (errors, status)
        if name.endswith('-ok'):
            assert status['layers'][-1]['table'] in ('estargz', 'zstd:chunked', 'scan')
    read_right(eager('oci:%s:estargz' % work_layout), shared.honest.path, '--only', 'one/d000')


# What ext4 cannot hold, and the mount can: 4 900 attributes of one file, a time behind the year 2446.
MORE_THAN_EXT4 = {('xattr-many', b'f'), ('pax-times', b'far')}


# A layer whose blob is nowhere, but other cases have the same: a cache that has seen one of them needs no blob.
NEEDS_AN_EMPTY_CACHE = {'blob-missing', 'foreign-urls'}


@pytest.mark.parametrize('level', OTHERS)
def test_other_hostile_images(shared, rootlet, corpus, place, work_layout, eager, level):
    """The mount refuses, or shows what an eager unpack makes."""
    cases = [json.loads((corpus / c['name'] / 'case.json').read_text()) for c in make_corpus.CASES
             if c['level'] == level and not c['heavy'] and c not in LAZY]

    def one(case):
        image = 'oci:%s:%s' % (corpus / case['name'] / 'layout', case['ref'])
        at, root = place / ('m-' + case['name']), place / ('u-' + case['name'])
        cache = ['--cache', place / ('c-' + case['name'])] if case['name'] in NEEDS_AN_EMPTY_CACHE else []
        done = try_mount(shared, image, at, *cache)
        if done.rc:
            return [] if done.rc in (1, 3, 6, 7) and not mountinfo(at) else [(case['name'], done)]
        try:
            tree = tree_of(at)
        finally:
            take_away(shared, at)
        made = rootlet('unpack', '--quiet', '--devices', image, root)
        if made.rc:
            return [(case['name'], 'mounted, but not unpacked', made)]
        return [(case['name'], *d) for d in unlike(tree_of(root), tree) if (case['name'], d[0]) not in MORE_THAN_EXT4]

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        bad = [b for found in pool.map(one, cases) for b in found]
    assert not bad, "\n".join(map(repr, bad))
    assert compare_trees(eager('oci:%s:estargz' % work_layout) / 'two', shared.honest.path / 'two') == []
