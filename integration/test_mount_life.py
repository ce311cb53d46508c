"""The life of a mount: processes killed, disks full, mount points busy, caches shared; what happens, what is said.

ROOTLET_KILLS=N kills the daemon N times (10) under the readers, ROOTLET_KILLS_ALL=N everything (3); many of them need
ROOTLET_LAB_SECONDS, see mountlib.py.
"""
import concurrent.futures, contextlib, json, os, random, re, shutil, signal, socket, subprocess, time

import pytest

import lazyimages
import mkimage
import runner
from conftest import compare_trees, mounted
from faultlib import FaultRegistry
from mountlib import Readers, alive, children, kill, mountinfo, read_right, wait_until

KILLS = int(os.environ.get('ROOTLET_KILLS', 10))
KILLS_ALL = int(os.environ.get('ROOTLET_KILLS_ALL', 3))


@pytest.fixture(scope='module')
def work(work_layout, eager):
    """work('gzip'): (the image in the layout, its true tree)."""
    def get(tag):
        image = 'oci:%s:%s' % (work_layout, tag)
        return image, eager(image)
    return get


@pytest.fixture
def registry(work_layout, place):
    """A registry with the work images, that counts and does what is wrong on demand."""
    server = FaultRegistry(work_layout, place / 'registry')
    server.configure()
    yield server
    if server.process.poll() is None:
        server.stop()


def blobs(server):
    return [r for r in server.seen().log if r['kind'] in ('blob', 'cdn')]


# ---- killed
def test_readers_do_not_see_a_daemon_die(lab, work, registry):
    """kill -9 at any time under 16 readers that compare every byte; half of the reads go to the registry."""
    truth, dice = work('estargz')[1], random.Random(KILLS)
    mount = lab.mount(registry.host + '/work:estargz', '--cache-size=4M', '--no-prefetch')
    readers, pid = Readers(truth, mount.path, '--loop', '--drop', '--threads', 4, processes=4), None
    for n in range(KILLS):
        if n % 10 == 9:         # thirty in a row that answered nobody would be the end
            wait_until('a daemon serves', 120, lambda: mount.status()['state'] == 'serving', 0.1)
        time.sleep(dice.uniform(0.02, 0.4))
        pid = mount.daemon(not_this=pid)
        kill(pid)
        mount.kills += 1
    mount.daemon(not_this=pid)
    wait_until('enough was read', 120, lambda: mount.status().get('kernel', {}).get('reads', 0) > 40 * KILLS, 0.3)
    readers.stop()
    got = readers.result()
    assert got['wrong'] == [] and got['errors'] == {} and got['reads'] > 10 * KILLS, got
    read_right(truth, mount.path)
    assert mount.status()['restarts'] == KILLS
    mount.umount()


def test_a_daemon_that_always_crashes_is_given_up(lab, work):
    """Readers then fail; they do not wait for ever.  Being killed from outside is another thing: see above."""
    image, truth = work('gzip')
    mount = lab.mount(image)
    readers = Readers(truth, mount.path, '--loop', '--drop', '--threads', 2)
    until = time.monotonic() + 60
    while alive(mount.supervisor):
        for pid in children(mount.supervisor):
            kill(pid, signal.SIGABRT)
        assert time.monotonic() < until
        time.sleep(0.01)
    readers.stop()
    got = readers.result()
    assert got['wrong'] == [] and got['errors'], got
    mount.gone()


def state(pid):
    with open('/proc/%d/stat' % pid) as f:
        return f.read().rpartition(') ')[2][0]


def kill_everything(mount, dice, still=True):
    """In any order; who it was.  STILL: the supervisor cannot start another daemon meanwhile; else it may have, and
    that one serves on without it."""
    if still:
        kill(mount.supervisor, signal.SIGSTOP)
        wait_until('the supervisor stands still', 10, lambda: state(mount.supervisor) == 'T')
    everything = [mount.supervisor, *children(mount.supervisor)]
    for pid in dice.sample(everything, len(everything)):
        kill(pid)
    return everything


def test_after_everything_was_killed_the_next_mount_reads_right(lab, work, registry):
    """It begins as if nothing had happened, in what time it takes to mount; see ROOTLET_KILLS_ALL."""
    truth, dice, seconds = work('estargz')[1], random.Random(1), []
    image, at = registry.host + '/work:estargz', lab.place / 'm'
    at.mkdir()
    for n in range(KILLS_ALL):
        mount = timed_mount(lab, seconds, image, '--cache-size=6M', at=at)
        readers = Readers(truth, at, '--loop', '--drop', '--threads', 8)
        time.sleep(dice.uniform(0.05, 0.4))
        everything = kill_everything(mount, dice, n % 2 == 0)
        readers.stop()
        got = readers.result()
        assert got['wrong'] == [], got
        wait_until('processes of a dead mount', 10, lambda: not any(map(alive, everything)))
        lab.mounts.remove(mount)
    mount = timed_mount(lab, seconds, image, at=at)
    print('mounts after a kill took', [round(s, 3) for s in sorted(seconds[1:])])
    assert min(seconds[1:]) < 1 and max(seconds[1:]) < 10
    read_right(truth, at)
    mount.umount()
    assert not mountinfo(at)
    assert lab.records() == []


def timed_mount(lab, seconds, *args, **how):
    began = time.monotonic()
    mount = lab.mount(*args, **how)
    seconds.append(time.monotonic() - began)
    return mount


def test_a_daemon_without_its_supervisor(lab, work):
    """It serves; in use it stays, and the next mount says so; else that one takes its place."""
    image, truth = work('gzip')
    mount = lab.mount(image)
    daemon = mount.daemon()
    kill(mount.supervisor)
    wait_until('the supervisor lives', 10, lambda: not alive(mount.supervisor))
    status = mount.status()
    assert status['supervisor_pid'] is None and status['daemon_pid'] == daemon, status
    with open(mount.path / 'one/big', 'rb'):
        lab.refuses(1, ['mounted', 'in use', str(mount.path)], image, at=mount.path)
        assert alive(daemon)
        read_right(truth, mount.path, '--only', 'two')
    lab.mounts.remove(mount)
    mount = lab.mount(image, at=mount.path)
    assert not alive(daemon) and mount.daemon() != daemon
    read_right(truth, mount.path, '--only', 'two')
    mount.umount()
    assert not mountinfo(mount.path) and lab.records() == []


def test_umount_ends_a_daemon_without_its_supervisor(lab, work):
    mount = lab.mount(work('gzip')[0])
    daemon = mount.daemon()
    kill(mount.supervisor)
    wait_until('the supervisor lives', 10, lambda: not alive(mount.supervisor))
    mount.umount()
    assert not alive(daemon) and lab.records() == []


def test_a_daemon_that_opens_ends_with_its_supervisor(lab, work, binary, registry):
    """Nothing is mounted yet, so nobody needs it."""
    registry.configure({'fault': 'stall', 'match': {'kind': 'blob'}, 'at': 10, 'seconds': 600})
    at = lab.place / 'm'
    at.mkdir()
    process = runner.start([binary, 'mount', registry.host + '/work:gzip', at], env=lab.env())
    try:
        supervisor = wait_until('a supervisor', 20, lambda: children(process.pid))[0]
        daemon = wait_until('a daemon', 20, lambda: children(supervisor))[0]
        wait_until('it has asked for the manifest', 20, lambda: registry.seen().requests)
        kill(supervisor)
        assert process.wait(20) == 1
        wait_until('the daemon lives', 20, lambda: not alive(daemon))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    registry.configure()
    lab.mount(registry.host + '/work:gzip', at=at).umount()


def test_the_dead_mount_of_another_directory_is_swept(lab, work):
    """Records of what was killed do not stay."""
    image, _ = work('gzip')
    mount = lab.mount(image)
    kill_everything(mount, random)
    lab.mounts.remove(mount)
    done = lab.run('umount', mount.path)
    assert done.rc == 0, done
    assert not mountinfo(mount.path) and lab.records() == []


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_to_the_supervisor(lab, work, number):
    """SIGTERM ends a mount, open files or not; a terminal that goes away or a key pressed in it does not."""
    image, truth = work('gzip')
    mount = lab.mount(image)
    fd = os.open(mount.path / 'one/big', os.O_RDONLY)
    try:
        assert os.pread(fd, 1000, 0) == (truth / 'one/big').read_bytes()[:1000]
        kill(mount.supervisor, number)
        if number == signal.SIGTERM:
            said = b'is busy: something of it is in use: unmounted all the same'
            wait_until('it is said', 10, lambda: said in lab.logs(), 0.005)
            mount.gone()
            with pytest.raises(OSError):
                os.pread(fd, 1000, 1 << 20)
        else:
            time.sleep(0.2)
            assert alive(mount.supervisor)
            read_right(truth, mount.path, '--only', 'one/d000')
    finally:
        with contextlib.suppress(OSError):      # what is left of a mount says so
            os.close(fd)


# ---- mounting and unmounting
def test_a_busy_mount_stays(lab, work):
    image, truth = work('gzip')
    mount = lab.mount(image)
    with open(mount.path / 'one/big', 'rb'):
        done = lab.run('umount', mount.path)
        assert done.rc == 1 and str(mount.path) in done.text and 'in use' in done.text, done
        read_right(truth, mount.path, '--only', 'two')
    mount.umount()


def test_a_busy_mount_goes_lazily(lab, work):
    image, truth = work('gzip')
    mount = lab.mount(image)
    with open(mount.path / 'one/big', 'rb', buffering=0) as f:
        f.read(10)
        done = lab.run('umount', '--lazy', mount.path)
        assert done.rc == 0 and not mountinfo(mount.path), done
    mount.gone()


def test_umount_by_others_ends_it(lab, work):
    mount = lab.mount(work('gzip')[0])
    subprocess.run(['umount', mount.path], check=True)
    mount.gone()
    wait_until('its record is there', 10, lambda: lab.records() == [])


def test_a_directory_is_mounted_once(lab, work):
    image, truth = work('gzip')
    mount = lab.mount(image)
    lab.refuses(1, ['mounted', str(mount.path)], image, at=mount.path)
    read_right(truth, mount.path, '--only', 'two')


def test_what_cannot_be_mounted_on(lab, work):
    image, _ = work('gzip')
    file = lab.place / 'file'
    file.write_text('x')
    lab.refuses(3, 'no such', image, at=lab.place / 'nothing')
    lab.refuses((1, 2), 'directory', image, at=file)
    lab.refuses(3, 'nosuch', image + '-nosuch', at=lab.place)
    lab.refuses(3, 'no such', 'oci:%s/nosuch:x' % lab.place, at=lab.place)
    assert lab.records() == []


def test_a_directory_that_is_not_empty_is_covered(lab, work):
    at = lab.place / 'full'
    at.mkdir()
    (at / 'below').write_text('below')
    mount = lab.mount(work('gzip')[0], at=at)
    assert sorted(os.listdir(at)) == ['one', 'two']
    mount.umount()
    assert (at / 'below').read_text() == 'below'


def test_nothing_is_mounted_there(lab):
    done = lab.run('umount', lab.place)
    assert done.rc == 3 and str(lab.place) in done.text, done


BARE_DEV = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && exec "$@"'


def test_without_dev_fuse(lab, binary, work):
    argv = ['unshare', '--mount', 'sh', '-c', BARE_DEV, 'sh', binary, 'mount', work('gzip')[0], lab.place]
    done = runner.run(argv, 60, env=lab.env())
    assert done.rc in (3, 7) and '/dev/fuse' in done.text.splitlines()[-1], done
    assert lab.records() == [] and not mountinfo(lab.place)


def test_the_foreground(lab, binary, work):
    """It stays until it is unmounted, and tells a service manager that it is ready."""
    address = str(lab.run_dir / 'n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(60)
        at = lab.place / 'm'
        at.mkdir()
        process = runner.start([binary, 'mount', '--foreground', '--fill=off', work('gzip')[0], at],
                               env=lab.env(NOTIFY_SOCKET=address))
        try:
            assert 'READY=1' in listener.recv(4096).decode().split('\n')
            assert mountinfo(at) and process.poll() is None
            assert lab.run('umount', at).rc == 0
            assert process.wait(30) == 0
        finally:
            if process.poll() is None:
                lab.run('umount', '--lazy', at)
                process.kill()
                process.wait()


# ---- status
def test_status(lab, work, registry):
    image, truth = registry.host + '/work:estargz', work('estargz')[1]
    done = lab.run('status')
    assert done.rc == 0, done
    done = lab.run('status', lab.place)
    assert done.rc == 3, done
    mount = lab.mount(image, '--no-prefetch')
    read_right(truth, mount.path, '--only', 'one/d00')
    status = mount.status()
    assert status['image'].endswith('/work:estargz') and status['directory'] == str(mount.path)
    assert re.fullmatch('sha256:[0-9a-f]{64}', status['digest'])
    assert status['daemon_pid'] == mount.daemon() and status['supervisor_pid'] == mount.supervisor
    assert status['restarts'] == 0 and status['errors'] == []
    assert [layer['table'] for layer in status['layers']] == ['estargz'] * 2
    for layer in status['layers']:
        assert layer['trust'] == 'bound' and layer['blob_bytes'] > 1 << 20
        counted = {'requests', 'fetched_bytes', 'cache_hits', 'cache_misses', 'retries', 'errors'}
        assert counted <= set(layer) and layer['digest'].startswith('sha256:'), layer
    first = status['layers'][0]
    assert first['requests'] > 0 and 0 < first['fetched_bytes'] < first['blob_bytes'] + 100000
    shown = lab.run('status')
    assert shown.rc == 0 and str(mount.path).encode() in shown.out and b'estargz' in shown.out, shown
    other = lab.mount(work('gzip')[0])
    every = [json.loads(line) for line in lab.run('status', '--json').out.splitlines()]
    every = every[0] if len(every) == 1 and isinstance(every[0], list) else every
    assert sorted(s['directory'] for s in every) == sorted(map(str, (mount.path, other.path)))


METRIC = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]\w*="(\\.|[^"\\])*",?)*\})? '
                    r'(-?\d+(\.\d+)?([eE][+-]?\d+)?|\+Inf|NaN)')


def test_prometheus(lab, work):
    image, truth = work('gzip')
    mount = lab.mount(image)
    read_right(truth, mount.path, '--only', 'two')
    done = lab.run('status', '--prometheus')
    assert done.rc == 0, done
    typed, seen = {}, []
    for line in done.out.decode().splitlines():
        if line.startswith('# TYPE '):
            _, _, name, kind = line.split()
            assert kind in ('counter', 'gauge', 'histogram', 'summary') and name not in typed, line
            typed[name] = kind
        elif line and not line.startswith('# HELP '):
            match = METRIC.fullmatch(line)
            assert match, line
            assert match[1] in typed or re.sub('_(bucket|sum|count)$', '', match[1]) in typed, line
            seen.append(line.rpartition(' ')[0])
    assert len(set(seen)) == len(seen) > 5 and any(str(mount.path) in s for s in seen), done


# ---- the cache
def du(path):
    done = subprocess.run(['du', '-s', '--block-size=1', path], stdout=subprocess.PIPE, check=True)
    return int(done.stdout.split()[0])


def test_cache_commands(lab, work):
    image, truth = work('gzip')
    mount = lab.mount(image)
    read_right(truth, mount.path)
    stat = json.loads(lab.run('cache', 'stat', '--json').out)
    assert 0 < stat['disk_bytes'] <= stat['quota_bytes'] and stat['layers'] == 2, stat
    listed = lab.run('cache', 'ls')
    assert listed.rc == 0 and listed.out.count(b'sha256:') >= 2, listed
    assert lab.run('cache', 'ls', '--json').rc == 0
    done = lab.run('cache', 'verify')
    assert done.rc == 0, done
    assert lab.run('cache', 'clear').rc == 0
    read_right(truth, mount.path)               # what is in use stays, or is fetched again
    mount.umount()
    assert lab.run('cache', 'prune').rc == 0
    assert lab.run('cache', 'clear').rc == 0
    assert json.loads(lab.run('cache', 'stat', '--json').out)['layers'] == 0
    assert du(lab.cache) < 1 << 20


def test_verify_drops_what_rotted(lab, work):
    """A byte that changed on disk is found by verify, and never given to a reader."""
    image, truth = work('gzip')
    mount = lab.mount(image)
    mount.umount()
    streams = sorted(lab.cache.rglob('stream'))
    assert len(streams) == 2, streams
    with open(streams[0], 'r+b') as f:
        for at in range(0, os.path.getsize(streams[0]), 1 << 18):
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 1]))
    done = lab.run('cache', 'verify')
    assert done.rc in (0, 6) and re.search(r'[1-9]\d* ', done.text + done.out.decode()), done
    mount = lab.mount(image)
    read_right(truth, mount.path)


def test_a_full_cache(lab, work, registry):
    """It serves as far as it goes, the rest is fetched again; the trouble is told."""
    with mounted(lab.place / 'small', 'tmpfs', 3 << 20) as small:
        for tag in ('estargz', 'gzip'):
            mount = lab.mount('%s/work:%s' % (registry.host, tag), '--cache', small, '--cache-size=1G')
            read_right(work(tag)[1], mount.path)
            assert 'no space' in mount.status()['cache_trouble'].lower()
            assert b'no space' in lab.run('status', mount.path).out.lower()
            mount.umount()
    assert not (lab.cache / 'v1').exists()


def test_a_run_directory_on_a_full_disk(lab, work):
    """There is no room for what is told of a mount: it is mounted, read, survives its daemon and ends all the same."""
    image, truth = work('gzip')
    with mounted(lab.place / 'run', 'tmpfs', 1 << 20) as run:
        with open(run / 'full', 'wb', buffering=0) as f, contextlib.suppress(OSError):
            while f.write(bytes(4096)):
                pass
        env, at = {'ROOTLET_RUN': str(run)}, lab.place / 'm'
        at.mkdir()
        done = lab.run('mount', '--fill=off', image, at, env=env)
        assert done.rc == 0, done
        try:
            read_right(truth, at, '--only', 'two')
            assert lab.run('status', env=env).rc == 0
        finally:
            done = lab.run('umount', at, env=env)
        assert done.rc == 0 and not mountinfo(at), done
        assert sorted(os.listdir(run / 'rootlet')) == []


def test_a_cache_that_cannot_be_written(lab, work, registry):
    with mounted(lab.place / 'ro', 'tmpfs', 64 << 20) as ro:
        warm = lab.mount(registry.host + '/work:estargz', '--cache', ro)
        warm.umount()
        subprocess.run(['mount', '-o', 'remount,ro', ro], check=True)
        for tag in ('estargz', 'inner', 'gzip'):
            mount = lab.mount('%s/work:%s' % (registry.host, tag), '--cache', ro)
            read_right(work(tag)[1], mount.path)
            assert 'read-only' in (mount.status()['cache_trouble'] or '').lower(), (tag, mount.status())
            mount.umount()


def test_a_cache_of_another_format(lab, work):
    """Left alone, and removed by clear."""
    old = lab.cache / 'v0'
    old.mkdir(parents=True)
    lab.cache.chmod(0o700)
    (old / 'layers').write_bytes(b'what an older rootlet kept')
    image, truth = work('gzip')
    mount = lab.mount(image)
    read_right(truth, mount.path, '--only', 'two')
    assert (old / 'layers').exists()
    mount.umount()
    assert lab.run('cache', 'clear').rc == 0
    assert not old.exists()


@pytest.mark.parametrize('what', ['open to others', 'a link'])
def test_a_cache_that_is_not_ours_alone(lab, work, what):
    if what == 'a link':
        (lab.place / 'else').mkdir(mode=0o700)
        os.symlink(lab.place / 'else', lab.cache)
    else:
        lab.cache.mkdir()
        lab.cache.chmod(0o777)
    lab.refuses((2, 4), str(lab.cache), work('gzip')[0], at=lab.place)


def test_eight_processes_share_a_quota(lab, work, registry):
    """Each reads everything while the others throw it out; the quota is a tenth of what is read."""
    truth = work('estargz')[1]
    total = sum(f.stat().st_size for f in truth.rglob('*') if f.is_file())
    quota = total // 10
    mounts = [lab.mount(registry.host + '/work:estargz', '--cache-size=%d' % quota, '--no-prefetch') for _ in range(8)]
    readers = [Readers(truth, m.path, '--drop', '--shuffle', '--threads', 2, '--only', 'one') for m in mounts]
    for r in readers:
        got = r.result(120)
        assert got['wrong'] == [] and got['errors'] == {} and got['reads'] > 100, got
    for m in mounts:
        m.umount()
    done = lab.run('cache', 'prune', '--size=%d' % quota)
    assert done.rc == 0, done
    assert du(lab.cache) <= 1.2 * quota + (1 << 20), (du(lab.cache), quota)


def test_a_clock_set_back(lab, work, registry):
    """Everything kept is from the future: it serves, and goes when it must."""
    image, truth = registry.host + '/work:estargz', work('estargz')[1]
    lab.mount(image).umount()
    mount = lab.mount(image)
    read_right(truth, mount.path, '--only', 'one')
    mount.umount()
    later = time.time() + 10 * 365 * 86400
    for top, dirs, files in os.walk(lab.cache):
        for name in dirs + files:
            os.utime(os.path.join(top, name), (later, later))
    registry.configure()
    mount = lab.mount(image)
    read_right(truth, mount.path, '--only', 'one')
    assert blobs(registry) == []
    read_right(truth, mount.path)
    mount.umount()
    assert lab.run('cache', 'prune', '--size=1M').rc == 0
    assert du(lab.cache) < 3 << 20


# ---- waiting, recording, filling
def test_a_read_ends_after_its_timeout(lab, registry):
    """The registry answers and then says nothing: EIO in time, and why.  How it recovers: test_mount_faults.py."""
    mount = lab.mount(registry.host + '/work:estargz', '--read-timeout=1', '--no-prefetch')
    registry.configure({'fault': 'stall', 'match': {'kind': 'blob'}, 'at': 10, 'seconds': 600})
    began = time.monotonic()
    with pytest.raises(OSError) as e, open(mount.path / 'two/big', 'rb') as f:
        f.read(1)
    assert e.value.errno == 5 and 0.5 < time.monotonic() - began < 20
    assert os.listdir(mount.path) and os.stat(mount.path / 'one/big').st_size, 'the rest answers'
    said = json.dumps(mount.status()['errors'])
    assert registry.host in said and 'layer 2 of' in said and 'bytes ' in said, said


def test_a_reader_that_is_killed_does_not_wait(lab, work, registry):
    """Nor does anybody else for what it asked: other files are read, and the mount ends while the fetch still hangs."""
    mount = lab.mount(registry.host + '/work:estargz', '--no-prefetch')
    registry.configure({'fault': 'stall', 'match': {'kind': 'blob', 'count': 1}, 'at': 10, 'seconds': 600})
    reader = subprocess.Popen(['cat', mount.path / 'two/big'], stdout=subprocess.DEVNULL)
    try:
        wait_until('it waits', 20, lambda: mount.status()['kernel']['read_waits'] > 0)
        time.sleep(0.1)
        assert reader.poll() is None
        began = time.monotonic()
        reader.kill()
        reader.wait(30)
        assert time.monotonic() - began < 10
        read_right(work('estargz')[1], mount.path, '--only', 'one')
        began = time.monotonic()
        mount.umount()
        assert time.monotonic() - began < 20
    finally:
        reader.kill()


def test_a_record_is_replayed(lab, work, registry):
    """What the first minute touched comes before anybody asks, in far fewer requests than files."""
    image, truth = registry.host + '/work:estargz', work('estargz')[1]
    chosen = ['one/d%03d' % n for n in (0, 2, 4)] + ['two/d001', 'two/d003']
    mount = lab.mount(image)
    for only in chosen:
        read_right(truth, mount.path, '--only', only)
    touched = sum(len(os.listdir(truth / c)) for c in chosen)
    mount.umount()

    def forget():
        for layers in lab.cache.rglob('layers'):
            shutil.rmtree(layers)
    forget()
    registry.configure()
    mount = lab.mount(image)
    fetched = still(lambda: sum(r['bytes'] for r in blobs(registry)))
    assert fetched > 0, 'nothing is replayed'
    replayed = len(blobs(registry))
    assert replayed <= max(8, touched / 8), (replayed, touched)
    for only in chosen:
        read_right(truth, mount.path, '--only', only)
    assert len(blobs(registry)) == replayed, 'what was recorded was fetched again'
    mount.umount()
    forget()
    registry.configure()
    mount = lab.mount(image, '--no-prefetch')
    time.sleep(0.5)
    assert blobs(registry) == []
    mount.umount()


def still(value, seconds=30):
    """VALUE() once it is not nothing and the same for half a second."""
    until, last, since = time.monotonic() + seconds, None, time.monotonic()
    while time.monotonic() < until:
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        if last and time.monotonic() - since > 0.5:
            break
        time.sleep(0.05)
    return last


@pytest.mark.parametrize('name,asked', [(lazyimages.LANDMARK, True), (lazyimages.NO_LANDMARK, False)])
def test_landmarks(lab, place, eager, name, asked):
    """What the maker put before the landmark comes by itself; with the other landmark nothing does."""
    first = lazyimages.work_layer('first', 60, 0, b'f')
    rest = lazyimages.work_layer('rest', 100, 1 << 20, b'r')
    layout = mkimage.Layout(place / 'layout')
    layout.tag('x', lazyimages.image(layout, [lazyimages.estargz(lazyimages.with_landmark(first, rest, name))]))
    server = FaultRegistry(layout.d, place / 'registry')
    try:
        server.configure()
        mount = lab.mount(server.host + '/x:x')
        if asked:
            assert still(lambda: sum(s['spans_present'] for s in mount.layers())), mount.status()
            server.configure()
            read_right(eager('oci:%s:x' % layout.d), mount.path, '--only', 'first')
            assert blobs(server) == []
        else:
            time.sleep(0.5)
            assert sum(s['spans_present'] for s in mount.layers()) == 0
        read_right(eager('oci:%s:x' % layout.d), mount.path)
        mount.umount()
    finally:
        server.stop()


@pytest.mark.parametrize('tag', ['estargz', 'inner'])
def test_filling_makes_it_verified(lab, work, registry, tag):
    truth = work(tag)[1]
    mount = lab.mount('%s/work:%s' % (registry.host, tag), '--fill=now')
    wait_until('every layer is verified', 60, lambda: all(s['trust'] == 'verified' for s in mount.layers()), 0.1)
    assert all(s['spans_present'] == s['spans'] for s in mount.layers())
    registry.stop()
    read_right(truth, mount.path)
    mount.umount()
    mount = lab.mount('%s/work:%s' % (registry.host, tag))
    assert all(s['trust'] == 'verified' for s in mount.layers()), 'it is remembered'
    read_right(truth, mount.path)


def test_filling_finds_a_layer_that_lies(lab, place):
    """The table is bound and its chunks are right, but the layer's archive holds something else: not verified, told."""
    layout = mkimage.Layout(place / 'layout')
    tar, codec, blob, annotations = lazyimages.estargz(lazyimages.work_layer('a', 60, 1 << 20))
    other = mkimage.Layer().f('x', 'y').bytes()
    described = lazyimages.image(layout, [(other, codec, blob, annotations)])     # the diffID is another's
    layout.tag('x', described)
    at = place / 'm'
    at.mkdir()
    done = lab.run('mount', '--fill=now', 'oci:%s:x' % layout.d, at)
    if done.rc:
        assert done.rc == 6, done
        return
    assert mountinfo(at)
    try:
        status = wait_until('it is found', 60, lambda: told(lab, at), 0.1)
        assert status['layers'][0]['trust'] != 'verified'
        with pytest.raises(OSError):
            (at / 'a/big').read_bytes()
    finally:
        assert lab.run('umount', '--lazy', at).rc == 0


def told(lab, at):
    status = json.loads(lab.run('status', '--json', at).out)
    return status['errors'] and status


def test_filling_gives_way_and_ends(lab, work, registry):
    """Idle filling: nothing while somebody reads, everything once nobody does; then no request any more."""
    truth = work('inner')[1]
    mount = lab.mount(registry.host + '/work:inner', '--fill=idle', '--no-prefetch')
    read_right(truth, mount.path, '--only', 'one/d00')
    wait_until('it is complete', 60, lambda: all(s['spans_present'] == s['spans'] for s in mount.layers()), 0.1)
    wait_until('it is verified', 60, lambda: all(s['trust'] == 'verified' for s in mount.layers()), 0.1)
    registry.configure()
    read_right(truth, mount.path)
    assert blobs(registry) == []


# ---- at once
def test_many_mounts_at_once(lab, work):
    image, truth = work('gzip')
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        dirs = [lab.place / ('at%d' % n) for n in range(8)]
        for d in dirs:
            d.mkdir()
        mounts = list(pool.map(lambda d: lab.mount(image, at=d), dirs))
        for got in pool.map(lambda m: read_right(truth, m.path), mounts):
            assert got['bytes'] > 1 << 20
        list(pool.map(lambda m: m.umount(), mounts))
    assert lab.records() == []
    assert not [d for d in dirs if mountinfo(d)]


def test_the_tree_is_the_same_after_a_restart(lab, work):
    """Inode numbers, open directories and mapped files survive the daemon."""
    image, truth = work('gzip')
    mount = lab.mount(image)
    before = {f: os.stat(mount.path / f).st_ino for f in ('one', 'one/big', 'two/d001/f00077')}
    with os.scandir(mount.path / 'one/d000') as entries, open(mount.path / 'one/big', 'rb') as f:
        first = next(entries).name
        mount.kill_daemon()
        rest = [e.name for e in entries]
        assert sorted([first, *rest]) == sorted(os.listdir(truth / 'one/d000'))
        assert f.read() == (truth / 'one/big').read_bytes()
    assert compare_trees(truth, mount.path) == []
    numbers = inodes(mount.path)
    assert before.items() <= numbers.items() and numbers == inodes(lab.mount(image).path)


def inodes(root):
    return {str(f.relative_to(root)): f.lstat().st_ino for f in root.rglob('*')}
