"""What the tests over the built binary share: the binary, a registry, file systems, an ordinary user.

The binary is $ROOTLET, else build/rootlet.  Everything started here is stopped by its own pid, everything made
lies in a temporary directory.  What this machine cannot do (no root, no loop devices, a peer not installed)
skips the tests that need it; with ROOTLET_MUST_RUN=1 (CI) a skip of that kind is a failure.
"""
import contextlib, os, pathlib, pwd, secrets, shutil, signal, socket, subprocess, sys, tempfile, time

import pytest

# Whoever started the tests in the background had them ignore these, and a program goes on ignoring what it inherits.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

# integration/image builds the resource's image: ./dev image-test runs that, once.
collect_ignore = [] if os.environ.get('ROOTLET_IMAGE_TEST') == '1' else ['image']

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / 'lab'))

import convert  # noqa: E402
import lazyimages  # noqa: E402
import mkimage  # noqa: E402
import mountlib  # noqa: E402
import runner  # noqa: E402

USER = 'rootlet-test-%d' % os.getpid()


def pytest_configure():
    mountlib.unshare_mounts()


def cannot(reason):
    """This machine lacks something."""
    if os.environ.get('ROOTLET_MUST_RUN') == '1':
        pytest.fail('cannot run here: ' + reason)
    pytest.skip(reason)


def need_root():
    if os.geteuid() != 0:
        cannot('needs root')


def need_tool(*names):
    for name in names:
        if not shutil.which(name):
            cannot('needs ' + name)


@pytest.fixture(scope='session')
def binary(scratch):
    """The program under test, where every user may run it."""
    source = pathlib.Path(os.environ.get('ROOTLET', HERE.parent / 'build' / 'rootlet')).resolve()
    if not source.is_file():
        pytest.exit('no rootlet at %s: build it, or set ROOTLET' % source, returncode=2)
    target = scratch / 'rootlet'
    shutil.copy2(source, target)
    target.chmod(0o755)
    return target


@pytest.fixture(scope='session')
def sanitized(binary):
    """Built with sanitizers: memory is then no measure."""
    return any(word in binary.read_bytes() for word in (b'__asan_init', b'__tsan_init'))


def fresh_directory(prefix, parent=None):
    """A new directory for us alone.  Its name is of letters and digits: podman makes names of images of such paths."""
    path = pathlib.Path(parent or tempfile.gettempdir()) / (prefix + secrets.token_hex(4))
    path.mkdir(0o700)
    return path


@pytest.fixture(scope='session')
def scratch():
    """A directory for the whole run that other users may pass."""
    path = fresh_directory('rootlet-test-')
    path.chmod(0o755)
    yield path
    subprocess.run(['rm', '-rf', '--one-file-system', '--', path])


@pytest.fixture(scope='session')
def rootlet(binary):
    """rootlet('unpack', ...): run it, see lab/runner.py; no run may crash or hang."""
    def run(*args, timeout=120, terminal=False, **how):
        call = runner.run_on_terminal if terminal else runner.run
        done = call([binary, *args], timeout, **how)
        assert not done.hang, 'hangs: %r' % done
        assert not done.crashed, 'crashes: %r' % done
        return done
    return run


@pytest.fixture(scope='session')
def ordinary_user():
    """A passwd entry of somebody without any rights."""
    need_root()
    need_tool('useradd', 'userdel')
    subprocess.run(['userdel', USER], stderr=subprocess.DEVNULL)
    subprocess.run(['useradd', '-r', '-M', '-d', '/nonexistent', '-s', '/bin/false', USER], check=True)
    yield pwd.getpwnam(USER)
    subprocess.run(['userdel', USER], stderr=subprocess.DEVNULL)


# ---- file systems
@contextlib.contextmanager
def mounted(path, kind, size, options=()):
    """A fresh file system of SIZE bytes on PATH: 'ext4' (a loop mount) or 'tmpfs'."""
    need_root()
    path.mkdir(parents=True)
    image = path.with_suffix('.img')
    if kind == 'tmpfs':
        command = ['mount', '-t', 'tmpfs', '-o', ','.join(['size=%d' % size, 'mode=755', *options]), 'tmpfs', path]
    else:
        need_tool('mkfs.ext4')
        with open(image, 'wb') as f:
            f.truncate(size)
        subprocess.run(['mkfs.ext4', '-q', '-F', '-m', '0', '-E', 'lazy_itable_init=1', image], check=True)
        command = ['mount', '-o', ','.join(['loop', *options]), image, path]
    done = subprocess.run(command, stderr=subprocess.PIPE)
    if done.returncode:
        image.unlink(missing_ok=True)
        path.rmdir()
        cannot('cannot mount %s: %s' % (kind, done.stderr.decode().strip()))
    try:
        path.chmod(0o755)
        subprocess.run(['rm', '-rf', path / 'lost+found'])
        yield path
    finally:
        if subprocess.run(['umount', path]).returncode:
            subprocess.run(['umount', '-l', path])
        image.unlink(missing_ok=True)
        path.rmdir()


@pytest.fixture(scope='session')
def disk(scratch):
    """A loop-mounted ext4 of 4 GiB for trees and traps: what escapes on it, or fills it, harms nothing."""
    with mounted(scratch / 'disk', 'ext4', 4 << 30) as path:
        yield path


@pytest.fixture
def place(disk, request):
    """An empty directory on that disk, for one test."""
    path = fresh_directory('t-', disk)
    path.chmod(0o755)
    yield path
    subprocess.run(['rm', '-rf', '--one-file-system', '--', path])


# ---- registries
def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def registry_running(directory, extra='', http=''):
    """A docker-registry on loopback; yields 'host:port'.  EXTRA, HTTP: more lines of its configuration."""
    need_tool('docker-registry')
    directory.mkdir(parents=True)
    host = '127.0.0.1:%d' % free_port()
    config = directory / 'config.yml'
    config.write_text('version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n'
                      'storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n'
                      'http:\n  addr: %s\n%s%s' % (directory / 'data', host, http, extra))
    with open(directory / 'log', 'wb') as log:
        process = subprocess.Popen(['docker-registry', 'serve', config], stdout=log, stderr=log)
    try:
        wait_for_port(process, host, directory / 'log')
        yield host
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(process, host, log):
    name, port = host.split(':')
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((name, int(port)), 1):
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail('the registry does not start: ' + log.read_text())


@pytest.fixture(scope='session')
def registry(scratch):
    """An open docker-registry."""
    with registry_running(scratch / 'registry') as host:
        yield host


def skopeo(*args):
    need_tool('skopeo')
    subprocess.run(['skopeo', *map(os.fspath, args)], check=True, stdout=subprocess.DEVNULL)


def push(layout, tag, where, *options):
    """Copy oci:LAYOUT:TAG to docker://WHERE; byte for byte, unless it is to be converted."""
    if '--format' not in options:
        options = '--preserve-digests', *options
    skopeo('copy', '-q', '--dest-tls-verify=false', *options, 'oci:%s:%s' % (layout, tag), 'docker://' + where)


# ---- images and trees
@pytest.fixture(scope='session')
def small_layout(scratch):
    """oci:LAYOUT:latest with two layers and a whiteout."""
    one = mkimage.Layer().d('./').d('etc').f('etc/motd', 'hello\n').f('etc/gone', 'x').f('big', mkimage.noise(300000))
    two = mkimage.Layer().d('etc').wh('etc/gone').s('motd', 'etc/motd')
    layout = mkimage.Layout(scratch / 'small')
    layout.tag('latest', layout.image([mkimage.pack(one.bytes()), mkimage.pack(two.bytes())], labels={'a': 'b'}))
    return layout.d


def compare_trees(a, b, *options):
    """The differences, one line each: 'KIND<tab>PATH<tab>A<tab>B'."""
    done = subprocess.run([sys.executable, HERE / 'lab' / 'compare-trees.py', *options, a, b],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode in (0, 1), done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    assert bool(lines) == bool(done.returncode), done.stderr.decode()
    return lines


@pytest.fixture(scope='session')
def edge_layout(scratch):
    """lab/mkedge.py's images."""
    need_tool('zstd', 'tar')
    path = scratch / 'edge'
    subprocess.run([sys.executable, HERE / 'lab' / 'mkedge.py', path], check=True)
    return path


def snapshot(path):
    """What a directory holds and is, to see that nothing changed; None when it is not there."""
    if not os.path.lexists(path):
        return None
    s = os.lstat(path)
    return (s.st_mode, s.st_uid, s.st_gid, sorted(os.listdir(path)) if os.path.isdir(path) else None)


# ---- lazy mounts
@pytest.fixture(scope='session')
def fuse():
    """FUSE can be mounted here."""
    need_root()
    need_tool('fusermount3')
    if not os.path.exists('/dev/fuse'):
        cannot('needs /dev/fuse')


@contextlib.contextmanager
def mount_lab(rootlet, place, scratch):
    """A mountlib.MountLab; its run directory has a short name."""
    run = fresh_directory('r', scratch)
    lab = mountlib.MountLab(rootlet, place, run)
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture
def lab(rootlet, fuse, place, scratch):
    """Mounts of one test: an empty cache, everything taken away at the end."""
    with mount_lab(rootlet, place / 'lab', scratch) as lab:
        yield lab


@pytest.fixture(scope='session')
def eager(rootlet, disk):
    """eager(image): the tree that an eager unpack makes of it, made once."""
    made = {}

    def get(image, *options):
        if image not in made:
            made[image] = fresh_directory('eager-', disk) / 'root'
            done = rootlet('unpack', '--quiet', '--devices', *options, image, made[image])
            assert done.rc == 0, done
        return made[image]
    yield get
    for path in made.values():
        subprocess.run(['rm', '-rf', '--one-file-system', path.parent])


@pytest.fixture(scope='session')
def converter(scratch):
    """lab/convert.py with a containerd of its own."""
    need_root()
    need_tool('containerd', 'ctr', 'ctr-remote', 'skopeo')
    with convert.converter(scratch / 'c') as it:
        yield it


@pytest.fixture(scope='session')
def work_layout(scratch):
    """oci:LAYOUT of images with two layers of some MiB, 500 files: 'gzip', 'zstd', 'estargz', 'inner'."""
    need_tool('zstd')
    layout = mkimage.Layout(scratch / 'work')
    tars = [lazyimages.work_layer('one', 300, 2 << 20, b'1'), lazyimages.work_layer('two', 200, 1 << 20, b'2')]
    makers = {'gzip': lazyimages.plain, 'zstd': lambda t: lazyimages.plain(t, 'zstd'), 'estargz': lazyimages.estargz,
              'inner': lambda t: lazyimages.estargz(t, chunk=100000, share=50000)}
    for name, make in makers.items():
        layout.tag(name, lazyimages.image(layout, [make(t) for t in tars]))
    return layout.d
