"""check and in against a registry that misbehaves (lab/fault_registry.py), and when they are killed."""
import contextlib, json, os, pathlib, signal, subprocess, sys, time, urllib.request

import pytest

import conftest
import mkimage
import runner
from test_resource import NO_DIGEST, answer, assert_failed, request, sha256, versions

FORMATS = ['rootfs', 'oci', 'oci-layout']


class Faulty:
    """The registry over one layout, with tags 'v' (two layers) and 'old'."""

    def __init__(self, host, digests):
        self.host, self.repository, self.digests = host, host + '/app', digests

    def control(self, method, path='', what=None):
        data = None if what is None else json.dumps(what).encode()
        with urllib.request.urlopen(urllib.request.Request('http://%s/__fault__/%s' % (self.host, path), data,
                                                           method=method), timeout=20) as answered:
            return answered.read()

    def play(self, *faults, **config):
        self.control('PUT', '', dict(config, faults=list(faults)))
        self.control('POST', 'reset')

    @property
    def log(self):
        records = map(json.loads, self.control('GET', 'log').splitlines())
        return [r for r in records if r['kind'] != 'control']

    @property
    def stats(self):
        return json.loads(self.control('GET'))['stats']


@pytest.fixture(scope='module')
def running(scratch):
    path = scratch / 'faulty'
    layout = mkimage.Layout(path / 'layout')
    base = mkimage.pack(mkimage.Layer().d('./').d('etc').f('etc/motd', 'hello\n').f('big', mkimage.noise(1500000)).bytes())
    top = mkimage.pack(mkimage.Layer().f('top', mkimage.noise(200000, b'top')).bytes())
    digests = {'v': layout.tag('v', layout.image([base, top])), 'old': layout.tag('old', layout.image([top]))}
    with open(path / 'log', 'wb') as log:
        process = subprocess.Popen([sys.executable, conftest.HERE / 'lab/fault_registry.py', '--root', layout.d, '--listen', '127.0.0.1:0',
                                    '--ports-file', path / 'ports', '--seed', '7'], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while not (path / 'ports').exists() or not (path / 'ports').read_text().strip():
            assert process.poll() is None and time.monotonic() < until, (path / 'log').read_text()
            time.sleep(0.05)
        yield Faulty(json.loads((path / 'ports').read_text())['registry'], digests)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def faulty(running):
    running.play()
    yield running
    assert running.stats.get('LEAKED_AUTHORIZATION', 0) == 0


@pytest.fixture
def get(rootlet, tmp_path, faulty):
    def run(params=None, source=None, **how):
        version = {'tag': 'v', 'digest': faulty.digests['v']}
        return rootlet('in', run.to, data=request(dict(source or {}, repository=faulty.repository), version, params), **how)
    run.to = tmp_path / 'to'
    run.to.mkdir()
    return run


def assert_got(to, kind):
    """What `in` made of the image is whole."""
    if kind == 'rootfs':
        assert (to / 'rootfs/big').read_bytes() == mkimage.noise(1500000)
        assert (to / 'rootfs/top').read_bytes() == mkimage.noise(200000, b'top')
    elif kind == 'oci':
        assert subprocess.run(['tar', 'tf', to / 'image.tar'], stdout=subprocess.PIPE, check=True).stdout.count(b'\n') == 4
    else:
        for path in (to / 'oci/blobs/sha256').iterdir():
            assert sha256(path.read_bytes()) == 'sha256:' + path.name
    assert not [name for name in os.listdir(to) if name.startswith('.')]


def fault(name, match=None, **more):
    return dict(more, fault=name, match=match or {})


# ---- check: HEAD, or GET where HEAD does not serve
@pytest.mark.parametrize('head', [
    fault('head_405', {'kind': 'manifest', 'method': 'HEAD'}),
    fault('head_nolength', {'kind': 'manifest', 'method': 'HEAD'}),
    fault('status', {'kind': 'manifest', 'method': 'HEAD'}, code=400),
    fault('status', {'kind': 'manifest', 'method': 'HEAD'}, code=429),
])
def test_check_asks_again_with_get(rootlet, faulty, head):
    faulty.play(head)
    done = rootlet('check', data=request({'repository': faulty.repository, 'tag': 'v'}))
    assert done.rc == 0 and done.out == versions(('v', faulty.digests['v'])), done


def test_check_needs_one_head(rootlet, faulty):
    done = rootlet('check', data=request({'repository': faulty.repository, 'tag': 'v'}))
    assert done.rc == 0 and done.out == versions(('v', faulty.digests['v'])), done
    assert [(r['method'], r['path']) for r in faulty.log if r['kind'] == 'manifest'] == [('HEAD', '/v2/app/manifests/v')]


@pytest.mark.parametrize('old, wanted', [('old', ['old', 'v']), (NO_DIGEST, ['v'])])
def test_check_asks_for_the_known_version_by_digest(rootlet, faulty, old, wanted):
    digest = faulty.digests.get(old, old)
    done = rootlet('check', data=request({'repository': faulty.repository, 'tag': 'v'}, {'tag': 'v', 'digest': digest}))
    assert done.rc == 0 and done.out == versions(*(('v', faulty.digests[w]) for w in wanted)), done
    asked = [r['path'] for r in faulty.log if r['kind'] == 'manifest']
    assert asked[:2] == ['/v2/app/manifests/v', '/v2/app/manifests/' + digest] and set(asked[2:]) <= {asked[1]}


def test_check_waits_as_it_is_told(rootlet, faulty):
    faulty.play(fault('status', {'kind': 'manifest', 'count': 2}, code=429, retry_after=1))
    done = rootlet('check', data=request({'repository': faulty.repository, 'tag': 'v'}))
    assert done.rc == 0 and done.out == versions(('v', faulty.digests['v'])) and done.seconds >= 0.9, done


@pytest.mark.parametrize('how, says', [
    (fault('status', {'kind': 'manifest'}, code=429, retry_after=3600), '3600'),
    (fault('status', {'kind': 'manifest'}, code=503), '503'),
    (fault('empty', {'kind': 'manifest'}), ''),
])
def test_check_of_a_registry_that_is_ill_fails(rootlet, faulty, how, says):
    faulty.play(how)
    assert_failed(rootlet('check', data=request({'repository': faulty.repository, 'tag': 'v'})), 5, says)


def test_check_fails_when_the_known_version_cannot_be_asked_for(rootlet, faulty):
    faulty.play(fault('status', {'kind': 'manifest', 'path': 'sha256:'}, code=500))
    done = rootlet('check', data=request({'repository': faulty.repository, 'tag': 'v'},
                                         {'tag': 'v', 'digest': faulty.digests['old']}))
    assert_failed(done, 5, '500')


# ---- in
@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('how', [
    fault('reset', {'kind': 'blob', 'nth': [2, 3]}, at=0.5),
    fault('truncate', {'kind': 'blob', 'nth': [1, 3]}, at=0.3),
    fault('flip', {'kind': 'blob', 'count': 1}, bits=1),
    fault('status', {'kind': 'blob|manifest', 'nth': [1, 3]}, code=502),
], ids=lambda how: how['fault'])
def test_in_gets_over_faults_that_pass(get, faulty, kind, how):
    faulty.play(how)
    done = get({'format': kind})
    assert done.rc == 0 and done.out == answer(faulty.repository, faulty.digests['v']), done
    assert_got(get.to, kind)


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('how, rc', [
    (fault('flip', {'kind': 'blob'}, bits=1), 6),
    (fault('flip', {'kind': 'manifest'}, bits=1), 6),
    (fault('zeros', {'kind': 'blob'}), 6),
    (fault('not_found', {'kind': 'blob'}), 3),
], ids=lambda how: how['fault'] + how['match']['kind'] if isinstance(how, dict) else str(how))
def test_in_that_cannot_be_done_leaves_nothing(get, faulty, kind, how, rc):
    faulty.play(how)
    assert_failed(get({'format': kind}), rc, '', get.to)


@pytest.mark.parametrize('kind', FORMATS)
def test_in_with_tokens_that_expire_and_blobs_elsewhere(get, faulty, kind):
    faulty.play(auth={'mode': 'bearer', 'user': 'u', 'password': 'p', 'expires_requests': 2}, redirect_blobs=True)
    done = get({'format': kind}, {'username': 'u', 'password': 'p'})
    assert done.rc == 0, done
    assert_got(get.to, kind)
    assert any(r['role'] == 'cdn' for r in faulty.log)


# ---- killed
@contextlib.contextmanager
def started(binary, faulty, to, kind, scratch):
    """An `in` that is in the middle of a slow layer."""
    faulty.play(fault('slow', {'kind': 'blob'}, bps=150000))
    given = scratch / 'request'
    given.write_bytes(request({'repository': faulty.repository}, {'tag': 'v', 'digest': faulty.digests['v']},
                              {'format': kind}))
    with open(given, 'rb') as stdin:
        process = runner.start([binary, 'in', to], stdin=stdin)
    until = time.monotonic() + 20
    while not any(path.is_file() and path.stat().st_size > 0 for path in pathlib.Path(to).rglob('*')):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize('kind', FORMATS)
def test_in_that_is_stopped_leaves_nothing(binary, faulty, tmp_path, kind):
    to = tmp_path / 'to'
    to.mkdir()
    with started(binary, faulty, to, kind, tmp_path) as process:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
    assert os.listdir(to) == []


@pytest.mark.parametrize('kind', FORMATS)
def test_in_after_one_that_was_killed(binary, get, faulty, tmp_path, kind):
    with started(binary, faulty, get.to, kind, tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    assert os.listdir(get.to) != []
    faulty.play()
    done = get({'format': kind})
    assert done.rc == 0, done
    assert_got(get.to, kind)
