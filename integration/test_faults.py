"""A registry that does everything wrong (lab/fault_registry.py), one fault after the other and all at random.

What must come out of each is written beside it.  Always: right bytes or an error with the destination as it was,
no credentials to another host, no cookie, no hang.
"""
import concurrent.futures, os, random

import pytest

import faultlib
from conftest import compare_trees, snapshot
from faultlib import FaultRegistry

BLOB = {'kind': 'blob'}
ONCE = {'kind': 'blob', 'after': 1, 'count': 1}         # the first blob is the config: this is a layer
CONFIG = {'kind': 'blob', 'nth': 1}
MANIFEST = {'kind': 'manifest'}
BOTH = {'kind': ['blob', 'manifest']}
BEARER = {'mode': 'bearer', 'user': faultlib.USER, 'password': faultlib.PASSWORD}
BASIC = dict(BEARER, mode='basic')
UNDISTURBED = 12        # requests: manifest, config, ten layers


def fault(name, match=None, **parameters):
    return dict(parameters, fault=name, match=match or BLOB)


class Row:
    """Faults, and what must come of them.  RC: exit statuses; None in it: anything but a success with wrong bytes."""

    def __init__(self, label, *faults, rc=0, says=(), seconds=30, at_least=0, requests=None, amount=None, a_blob=None, **config):
        self.label = label
        self.faults = faults
        self.config = config
        self.rc = rc if isinstance(rc, tuple) else (rc,)
        self.says = (says,) if isinstance(says, str) else says
        self.seconds = seconds          # at most
        self.at_least = at_least        # seconds
        self.requests = requests        # at most
        self.amount = amount            # blob bytes served, at most, as multiple of the image's
        self.a_blob = a_blob            # requests for one blob, at most


ROWS = [
    Row('none', requests=UNDISTURBED, amount=1, seconds=10),
    Row('reset once', fault('reset', ONCE), requests=13, amount=1.1),
    Row('reset half the blobs', fault('reset', dict(BLOB, prob=0.5)), amount=1.1),
    Row('reset always', fault('reset'), rc=(0, 5), amount=1.1, a_blob=32),
    Row('truncate once', fault('truncate', ONCE), requests=13, amount=1.1),
    Row('truncate_cl once', fault('truncate_cl', ONCE), requests=13, amount=1.1),
    Row('flip once', fault('flip', ONCE), requests=13, amount=1.25),
    Row('flip always', fault('flip'), rc=6, says=('sha256:', 'blob'), a_blob=2, seconds=10),
    Row('zeros once', fault('zeros', ONCE), requests=13, amount=1.25),
    Row('extra', fault('extra')),
    Row('stall 10 s', fault('stall', ONCE, seconds=10)),
    Row('stall for ever', fault('stall', ONCE, seconds=600), amount=1.1),
    Row('first byte after 10 s', fault('first_byte', ONCE, seconds=10)),
    Row('500 once', fault('status', ONCE, code=500), requests=13),
    Row('502 once', fault('status', ONCE, code=502), requests=13),
    Row('503 once', fault('status', ONCE, code=503, retry_after=1), requests=13, at_least=1),
    Row('503 once, manifest', fault('status', {'kind': 'manifest', 'count': 1}, code=503), requests=13),
    Row('429 twice, Retry-After 1', fault('status', {'kind': 'blob', 'after': 1, 'count': 2}, code=429, retry_after=1), requests=14,
        at_least=1),
    Row('429 on the manifest', fault('status', {'kind': 'manifest', 'count': 1}, code=429, retry_after=1), requests=13,
        at_least=1),
    Row('429 always', fault('status', code=429, retry_after=1), rc=5, says=('429', '(5 tries)'), a_blob=6, seconds=60),
    Row('Retry-After 100000', fault('status', ONCE, code=429, retry_after=100000), rc=5, says=('429', '100000'), seconds=10),
    Row('empty reply once', fault('empty', ONCE), requests=13),
    Row('garbage once', fault('garbage', ONCE), requests=13),
    Row('garbage always', fault('garbage'), rc=5, a_blob=2),
    Row('silent close', fault('silent_close', BOTH), requests=UNDISTURBED),
    Row('chunked', fault('chunked', BOTH), requests=UNDISTURBED),
    Row('chunked cut once', fault('chunked_cut', ONCE), requests=13, amount=1.1),
    Row('no length', fault('no_length', BOTH), requests=UNDISTURBED),
    Row('http 1.0', fault('http10', BOTH), requests=UNDISTURBED),
    Row('gzip encoding', fault('gzip'), rc=5, says='Content-Encoding'),
    Row('huge header', fault('huge_header', size=20000000), rc=5, says='header'),
    Row('20000 headers', fault('many_headers'), rc=(0, 5)),
    Row('1000 informational', fault('informational'), rc=5, says='informational'),
    Row('redirect to CDN', redirect_blobs=True, requests=23, amount=1),
    Row('signed URL serves once', fault('redirect', uses=1), requests=23, amount=1),
    Row('signed URL already expired, once', fault('redirect', ONCE, ttl=-1), requests=14),
    Row('signed URLs always expired', fault('redirect', ttl=-1), rc=4, says=('403', 'AccessDenied'), a_blob=2),
    Row('redirect loop', fault('redirect_loop'), rc=5, says='circle', a_blob=2),
    Row('redirect chain of 6', fault('redirect_chain', n=5), rc=5, says='more than 5 redirects', a_blob=1),
    Row('redirect chain of 5', fault('redirect_chain', n=4)),
    Row('redirect chain of 31', fault('redirect_chain', n=30), rc=5, says='more than 5 redirects', a_blob=1),
    Row('redirect to file:', fault('redirect_to', url='file:///etc/passwd'), rc=5, says='redirects', a_blob=1),
    Row('redirect without Location', fault('redirect_none'), rc=5, says='without a Location', a_blob=1),
    Row('wrong digest header', fault('digest_header', MANIFEST), rc=6, says='Docker-Content-Digest', requests=2),
    Row('text/html manifest', fault('content_type', MANIFEST, value='text/html'), rc=5, says='text/html', requests=1),
    Row('manifest swaps', fault('manifest_swap', MANIFEST, repo=faultlib.OTHER), requests=UNDISTURBED),
    Row('HEAD 405', fault('head_405', dict(BOTH, method='HEAD')), requests=UNDISTURBED),
    Row('token', auth=BEARER, requests=14),
    Row('token, 3 requests', auth=dict(BEARER, expires_requests=3)),
    Row('token, 1 request', auth=dict(BEARER, expires_requests=1)),
    Row('token, access_token, no expires_in', auth=dict(BEARER, token_field='access_token', no_expires_in=True), requests=14),
    Row('token of 1 MB', auth=dict(BEARER, token_bytes=1000000), rc=5, says='65536', requests=2),
    Row('token + redirect', auth=BEARER, redirect_blobs=True, requests=25),
    Row('basic + redirect', auth=BASIC, redirect_blobs=True, requests=24),
    Row('hostile realm', auth=dict(BEARER, realm='http://{trap}/steal'), rc=5, says='/steal', requests=1),
    Row('auth + redirect to trap', fault('redirect_to', url='http://{trap}/x'), auth=BASIC, rc=6),
    Row('token endpoint 503 once', fault('status', {'kind': 'token', 'count': 1}, code=503), auth=BEARER, requests=15),
    Row('config: reset once', fault('reset', CONFIG), requests=13, amount=1.1),
    Row('config: flip once', fault('flip', CONFIG), requests=13),
    Row('config: truncate_cl once', fault('truncate_cl', CONFIG), requests=13),
    Row('config: 503 once', fault('status', CONFIG, code=503), requests=13),
    # a broken blob whose rest is asked for by Range, and that goes wrong too
    Row('ranges: not done', fault('reset', ONCE), fault('no_range', dict(BLOB, range=True)), requests=13, amount=1.25),
    Row('ranges: shifted', fault('reset', ONCE), fault('content_range', dict(BLOB, range=True), by=100), requests=14),
    Row('ranges: another total', fault('reset', ONCE), fault('content_range', dict(BLOB, range=True), total=7), requests=14),
    Row('ranges: no Content-Range', fault('reset', ONCE), fault('content_range', dict(BLOB, range=True), value=''),
        requests=14),
    Row('ranges: multipart', fault('reset', ONCE), fault('multipart', dict(BLOB, range=True)), requests=14),
    Row('ranges: short', fault('reset', ONCE), fault('short_range', dict(BLOB, range=True), n=1000), amount=1.1),
    Row('ranges: 416', fault('reset', ONCE), fault('status', dict(BLOB, range=True), code=416), requests=14),
    Row('ranges: bytes of another offset', fault('reset', ONCE), fault('shift', dict(BLOB, range=True), by=9), requests=15),
]


@pytest.fixture(scope='module')
def images(scratch):
    return faultlib.make_images(scratch / 'fault-images')


@pytest.fixture(scope='module')
def reference(rootlet, images, scratch):
    """The right tree, and how many bytes it costs."""
    layout = images / faultlib.IMAGE / 'layout'
    if not layout.is_dir():
        layout = images / faultlib.IMAGE
    tree = scratch / 'fault-reference'
    assert rootlet('unpack', 'oci:%s:latest' % layout, tree).rc == 0
    return tree, faultlib.blob_bytes(layout)


@pytest.fixture(scope='module')
def registry(images, scratch):
    server = FaultRegistry(images, scratch / 'fault-registry')
    yield server
    server.stop()


@pytest.fixture(scope='module')
def authfile(registry, scratch):
    return faultlib.authfile(scratch / 'fault-auth.json', registry.host)


@pytest.fixture(scope='module')
def calm_rss(rootlet, binary, registry, authfile, scratch):
    """MiB of an undisturbed run; without end where a sanitizer takes its share."""
    if b'__tsan_init' in binary.read_bytes():
        return float('inf')
    registry.configure()
    done = rootlet('unpack', '--authfile', authfile, registry.image, scratch / 'fault-calm')
    assert done.rc == 0, done
    return done.rss_mib


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.label)
def test_fault(rootlet, registry, authfile, reference, calm_rss, sanitized, tmp_path, row):
    tree, amount = reference
    target = tmp_path / 'root'
    registry.configure(*row.faults, **row.config)
    done = rootlet('unpack', '--jobs', '4', '--authfile', authfile, registry.image, target, timeout=90)
    seen = registry.seen()
    context = '%s: %r, %d requests, %d of %d bytes' % (row.label, done, seen.requests, seen.blob_bytes, amount)

    assert done.rc in row.rc, context
    if done.rc == 0:
        assert compare_trees(tree, target) == [], context
    else:
        assert snapshot(target) is None, context
        for word in row.says:
            assert word in done.text, context
    assert seen.leaks == 0 and seen.cookies == 0, context
    assert faultlib.PASSWORD not in done.text.split(), context
    assert row.at_least <= done.seconds <= row.seconds, context
    assert row.requests is None or seen.requests <= row.requests, context
    assert row.a_blob is None or seen.worst_blob() <= row.a_blob, context
    assert row.amount is None or seen.blob_bytes <= row.amount * amount, context
    assert sanitized or done.rss_mib <= calm_rss + 4, context


def test_a_hostile_realm_is_never_spoken_to(rootlet, registry, authfile, tmp_path):
    registry.configure(auth=dict(BEARER, realm='http://{trap}/steal'))
    assert rootlet('unpack', '--authfile', authfile, registry.image, tmp_path / 'root').rc == 5
    assert registry.seen().trapped == 0
    assert rootlet('unpack', registry.image, tmp_path / 'root').rc == 5
    assert registry.seen().trapped == 0


def test_debug_names_requests_and_no_signature(rootlet, registry, authfile, tmp_path):
    registry.configure(auth=BEARER, redirect_blobs=True)
    done = rootlet('unpack', '--debug', '--authfile', authfile, registry.image, tmp_path / 'root')
    assert done.rc == 0, done
    lines = [line for line in done.text.splitlines() if 'GET http' in line]
    assert any('/manifests/latest: 401' in line for line in lines), done
    assert any('?...: 200' in line for line in lines), done
    assert any('/blobs/sha256:' in line and line.endswith(': 307') for line in lines), done
    for secret in ('sig=', 'dTpw', 'Bearer', 'Basic'):
        assert secret not in done.text, done


RANDOM_FAULTS = [
    (0.02, 'reset', {'at': 0.3}), (0.02, 'truncate', {'at': 0.7}), (0.01, 'truncate_cl', {}), (0.01, 'flip', {}),
    (0.005, 'zeros', {}), (0.01, 'chunked_cut', {}), (0.02, 'chunked', {}), (0.01, 'no_length', {}), (0.01, 'http10', {}),
    (0.01, 'silent_close', {}), (0.02, 'empty', {}), (0.02, 'rst', {}), (0.005, 'garbage', {}), (0.01, 'extra', {}),
    (0.01, 'status', {'code': 500}), (0.01, 'status', {'code': 503}), (0.005, 'status', {'code': 429, 'retry_after': 0}),
    (0.02, 'no_range', {}), (0.01, 'content_range', {'by': 77}), (0.02, 'short_range', {'n': 5000}), (0.01, 'shift', {'by': 5}),
    (0.01, 'stall', {'seconds': 0.3}), (0.01, 'first_byte', {'seconds': 0.2}), (0.02, 'auth_drop', {}),
    (0.05, 'redirect', {}), (0.01, 'redirect', {'ttl': -1}), (0.02, 'redirect_chain', {'n': 3}),
]


def random_rules(seed):
    """Rules of one seed: every fault somewhere, in an order of its own (the first that matches is used)."""
    dice = random.Random(seed)
    rules = []
    for probability, name, parameters in RANDOM_FAULTS:
        kinds = ['blob'] if 'redirect' in name or 'range' in name or name in ('shift', 'flip', 'zeros', 'truncate_cl') \
            else ['blob', 'manifest', 'cdn']
        if name in ('empty', 'rst', 'status', 'garbage'):
            kinds.append('token')
        rules.append(dict(parameters, fault=name, match={'kind': kinds, 'prob': probability * dice.choice((0.5, 1, 2))}))
    dice.shuffle(rules)
    return rules


def test_random_faults(rootlet, registry, authfile, reference, tmp_path):
    """2 000 requests (ROOTLET_FAULT_REQUESTS) with faults from a seed (ROOTLET_FAULT_SEED), several unpacks at once."""
    tree, _ = reference
    wanted = int(os.environ.get('ROOTLET_FAULT_REQUESTS', 2000))
    seed = int(os.environ.get('ROOTLET_FAULT_SEED', 1))
    total = {'requests': 0, 'faults': 0, 'runs': 0, 'ok': 0}

    def one(number):
        target = tmp_path / ('root-%d' % number)
        done = rootlet('unpack', '--quiet', '--jobs', '4', '--authfile', authfile, registry.image, target, timeout=180,
                       env={'ROOTLET_RETRY_BASE_MS': '5'})
        if done.rc == 0:
            assert compare_trees(tree, target) == [], 'wrong bytes, seed %d: %r' % (seed, done)
        else:
            assert done.rc in (4, 5, 6) and snapshot(target) is None, done
        return done

    while total['requests'] < wanted:
        registry.configure(*random_rules(seed), auth=dict(BEARER, expires_requests=7), seed=seed)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            runs = list(pool.map(one, range(total['runs'], total['runs'] + 12)))
        seen = registry.seen()
        assert seen.leaks == 0 and seen.cookies == 0 and seen.trapped == 0
        total['requests'] += seen.requests
        total['faults'] += seen.faults
        total['runs'] += len(runs)
        total['ok'] += sum(done.rc == 0 for done in runs)
        failures = {done.text.splitlines()[-1][-300:] for done in runs if done.rc}
        print('seed %d: %s %s' % (seed, total, '\n'.join(sorted(failures))))
        seed += 1
    assert total['faults'] >= total['requests'] / 10, total
    assert total['ok'] >= 0.9 * total['runs'], total
