"""Lazy mounts under test: made, looked at, and taken away whatever happens.

No test may wait for ever on a mount: whoever reads it does so in a process with a deadline (read_all, compare_trees,
tar_digest), and a watchdog kills the processes behind the mounts of a lab that has lived too long, which turns
waiting readers into failing ones.
"""
import contextlib, ctypes, json, os, pathlib, re, signal, stat, subprocess, sys, threading, time

import runner

LAB = pathlib.Path(__file__).resolve().parent / 'lab'
# Of a lab; then its mounts are torn down under their readers.  Runs of many kills or faults need more.
LIVES_SECONDS = int(os.environ.get('ROOTLET_LAB_SECONDS', 300))
SANITIZED = re.compile(rb'Sanitizer|: runtime error: ')


def unshare_mounts():
    """A mount namespace for this process and its children: a copy of a mount of ours in somebody else's keeps it from
    ending, and what is left of a run that was killed goes with it."""
    new_mount_namespace, private_and_below = 0x20000, 0x40000 | 0x4000      # CLONE_NEWNS, MS_PRIVATE | MS_REC
    libc = ctypes.CDLL(None)
    if os.geteuid() == 0 and libc.unshare(new_mount_namespace) == 0:
        libc.mount(None, b'/', None, private_and_below, None)


def wait_until(what, seconds, check, pause=0.02):
    """CHECK() until it is true, and what it gave; fails after SECONDS."""
    until = time.monotonic() + seconds
    while True:
        got = check()
        if got:
            return got
        assert time.monotonic() < until, 'still not after %s s: %s' % (seconds, what)
        time.sleep(pause)


def alive(pid):
    """It runs, and is not a dead child that nobody has asked for."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def children(pid):
    out = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            with contextlib.suppress(OSError), open('/proc/%s/stat' % entry) as f:
                fields = f.read().rpartition(')')[2].split()
                if int(fields[1]) == pid and fields[0] not in 'ZX':
                    out.append(int(entry))
    return out


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def mounts():
    """(path, type, options) of every mount, lower ones first.  Asks no file system."""
    with open('/proc/self/mountinfo', 'rb') as f:
        for line in f:
            left, _, right = line.partition(b' - ')
            fields = left.split()
            path = re.sub(rb'\\(\d{3})', lambda m: bytes([int(m[1], 8)]), fields[4])
            yield os.fsdecode(path), right.split()[0].decode(), fields[5].decode().split(',')


def mountinfo(path):
    """(type, options) of what is mounted at PATH, the topmost; None when nothing is."""
    found = [(kind, options) for where, kind, options in mounts() if where == os.fspath(path)]
    return found[-1] if found else None


class Mount:
    """One mount, answering."""

    def __init__(self, lab, path, image):
        self.lab, self.path, self.image = lab, path, image
        status = self.status()
        self.supervisor = status['supervisor_pid']
        self.kills = 0          # of the daemon, by us: so often may it have been started again
        assert alive(self.supervisor) and alive(status['daemon_pid'])

    def status(self):
        done = self.lab.run('status', '--json', self.path)
        assert done.rc == 0, done
        return json.loads(done.out)

    def layers(self):
        return self.status()['layers']

    def present(self):
        """How many spans the cache has."""
        return sum(layer['spans_present'] for layer in self.layers())

    def cost(self):
        """(requests, cache misses) so far."""
        total = self.status()['total']
        return total['requests'], total['cache_misses']

    def daemon(self, not_this=None):
        """The daemon's pid, as the supervisor's child; waits for another than NOT_THIS."""
        def one():
            found = [p for p in children(self.supervisor) if p != not_this]
            return found and found[0]
        return wait_until('a daemon below %d' % self.supervisor, 20, one, 0.005)

    def kill_daemon(self):
        pid = self.daemon()
        self.kills += 1
        kill(pid)
        return pid

    def umount(self, *options):
        done = self.lab.run('umount', *options, self.path)
        assert done.rc == 0, done
        self.gone()

    def gone(self, seconds=30):
        """It was unmounted, and nothing of it runs."""
        wait_until('%s is mounted' % self.path, seconds, lambda: not mountinfo(self.path))
        wait_until('processes of %s run' % self.path, seconds, lambda: not alive(self.supervisor))
        self.lab.mounts.remove(self)


class MountLab:
    """A run directory and a cache of its own, and the mounts that use them.

    PLACE is for everything that may be big; RUN must be short, for it holds sockets.
    """

    def __init__(self, rootlet, place, run):
        self.rootlet, self.place, self.run_dir = rootlet, place, run
        self.cache = place / 'cache'
        self.reports = run / 'reports'
        self.reports.mkdir(parents=True)
        place.mkdir(parents=True, exist_ok=True)
        self.mounts, self.pids, self.count = [], set(), 0
        self.watchdog = threading.Timer(LIVES_SECONDS, self.abort)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.aborted = False

    def env(self, **more):
        """What the program is told; what a sanitizer says of daemons goes to files."""
        out = {'ROOTLET_RUN': str(self.run_dir), 'ROOTLET_CACHE': str(self.cache), 'ROOTLET_RETRY_BASE_MS': '5'}
        for name in ('ASAN', 'UBSAN', 'TSAN', 'LSAN'):
            out[name + '_OPTIONS'] = ':'.join(filter(None, [
                runner.environment().get(name + '_OPTIONS'), 'log_path=%s/%s' % (self.reports, name.lower())]))
        return dict(out, **more)

    def run(self, *args, env=None, **how):
        return self.rootlet(*args, env=self.env(**(env or {})), **how)

    def mount(self, image, *options, at=None, **how):
        """Mount IMAGE; the Mount.  Only what is read is fetched, unless the options say otherwise."""
        if at is None:
            self.count += 1
            at = self.place / ('m%d' % self.count)
            at.mkdir()
        defaults = [] if any(str(o).startswith('--fill') for o in options) else ['--fill=off']
        done = self.run('mount', *defaults, *options, image, at, **how)
        assert done.rc == 0 and done.out == b'', done
        assert mountinfo(at), done
        mount = Mount(self, at, image)
        self.mounts.append(mount)
        self.pids |= {mount.supervisor, *children(mount.supervisor)}
        return mount

    def refuses(self, rc, says, image, *options, at, **how):
        """The mount fails with one of RC, saying all of SAYS; nothing is left behind."""
        done = self.run('mount', '--fill=off', *options, image, at, **how)
        assert done.rc in (rc if isinstance(rc, tuple) else (rc,)), done
        last = (done.text.splitlines() or [''])[-1]
        for word in [says] if isinstance(says, str) else says:
            assert word.lower() in last.lower(), done
        return done

    def records(self):
        """The files in the run directory that speak of mounts."""
        return sorted(self.run_dir.glob('rootlet/*.json'))

    def logs(self):
        return b''.join(p.read_bytes() for p in self.run_dir.glob('rootlet/*.log'))

    def abort(self):
        """Nobody waits any longer."""
        self.aborted = True
        for mount in list(self.mounts):
            below = children(mount.supervisor)
            kill(mount.supervisor)
            for pid in below:
                kill(pid)

    def close(self):
        self.watchdog.cancel()
        restarts = []
        for mount in reversed(list(self.mounts)):
            restarts += self.end(mount)
        self.take_the_rest()
        for pid in self.pids:
            assert not alive(pid) or mine(pid), 'process %d is left' % pid
        assert not self.aborted, 'a mount was torn down after %d s' % LIVES_SECONDS
        assert not restarts, restarts
        self.check_reports()

    def end(self, mount):
        """Take one away; what was wrong with it."""
        try:
            restarts = mount.status()['restarts']
            done = self.run('umount', '--lazy', mount.path)
            bad = ['%r' % done] if done.rc else []
            if restarts != mount.kills:
                bad.append('%s: the daemon was started again %d times, not %d: %r' % (
                    mount.image, restarts, mount.kills, self.logs()[-3000:]))
            mount.gone()
            return bad
        except AssertionError as wrong:
            return ['%s: %s' % (mount.image, wrong)]
        finally:
            for pid in [mount.supervisor, *children(mount.supervisor)]:
                kill(pid)
            while mountinfo(mount.path):
                if subprocess.run(['umount', '-l', mount.path]).returncode:
                    break

    def take_the_rest(self):
        """What stood there without a Mount of its own."""
        for path, _, _ in reversed(list(mounts())):
            if path.startswith((str(self.place) + '/', str(self.run_dir) + '/')):
                subprocess.run(['umount', '-l', path])

    def check_reports(self):
        for report in self.reports.iterdir():
            text = report.read_bytes()
            assert not SANITIZED.search(text), text.decode(errors='replace')[-6000:]
        assert not SANITIZED.search(self.logs()), self.logs()[-6000:]


def mine(pid):
    """The number went to another program meanwhile."""
    try:
        with open('/proc/%d/comm' % pid) as f:
            return f.read().strip() != 'rootlet'
    except OSError:
        return True


# ---- reading
def tar_digest(path, ns=True, timeout=120, xattrs=True):
    """SHA-256 of what tar makes of PATH: names, types, modes, owners, times, links, bytes.

    NS: nanoseconds too, and with XATTRS extended attributes, in the order that the file system gives them.
    """
    pax = [*(['--xattrs', '--xattrs-include=*'] if xattrs else []), '--format=pax',
           '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime']
    argv = ['tar', '-C', path, '--sort=name', '--numeric-owner', *(pax if ns else ['--format=gnu']), '-c', '.']
    done = runner.run(['sh', '-c', '{ "$@" || echo failed; } | openssl dgst -sha256', 'sh', *argv], timeout)
    assert done.rc == 0 and not done.hang and not done.err, done
    return done.out.decode()


def listing(root, content=True):
    """{path: what it is} of a tree: for many small ones; content that cannot be read is an error's number."""
    root, out, todo, inodes = os.fsencode(root), {}, [b''], {}
    while todo:
        path = todo.pop()
        full = os.path.join(root, path) if path else root
        s = os.lstat(full)
        kind = stat.S_IFMT(s.st_mode)
        what = [kind, stat.S_IMODE(s.st_mode) if kind != stat.S_IFLNK else 0, s.st_uid, s.st_gid, s.st_mtime_ns]
        if kind == stat.S_IFDIR:
            todo += [os.path.join(path, n) if path else n for n in os.listdir(full)]
        else:
            what += [s.st_nlink, inodes.setdefault(s.st_ino, path), s.st_size]
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            what.append(s.st_rdev)
        if kind == stat.S_IFLNK:
            what.append(os.readlink(full))
        else:
            names = os.listxattr(full, follow_symlinks=False)
            what.append({n: os.getxattr(full, n, follow_symlinks=False) for n in names if n != 'security.selinux'})
        if kind == stat.S_IFREG and content:
            try:
                with open(full, 'rb', buffering=0) as f:
                    what.append(f.read() if s.st_size < 1 << 26 else f.read(1 << 20))
            except OSError as e:
                what.append(e.errno)
        out[path] = what
    return out


def links_named(tree):
    """LISTING with the first name of each inode made one that does not hang on the order of reading."""
    first = {}
    for path, what in tree.items():
        if what[0] != stat.S_IFDIR:
            key = what[6]
            first[key] = min(first.get(key, path), path)
    return {p: w if w[0] == stat.S_IFDIR else w[:6] + [first[w[6]]] + w[7:] for p, w in tree.items()}


class Readers:
    """lab/reader.py: several threads read files of a mount and compare each with the true tree."""

    def __init__(self, truth, path, *options, processes=1):
        self.processes = []
        for n in range(processes):
            self.processes.append(subprocess.Popen(
                [sys.executable, LAB / 'reader.py', truth, path, '--seed', str(n), *map(str, options)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    def stop(self):
        """Ask them to end when they may go on for ever."""
        for p in self.processes:
            with contextlib.suppress(OSError):
                p.stdin.close()

    def result(self, seconds=60):
        """The sums: {'reads', 'bytes', 'errors': {errno: n}, 'wrong': [...]}; fails for a reader that hangs."""
        total = {'reads': 0, 'bytes': 0, 'errors': {}, 'wrong': [], 'slowest': 0.0}
        until = time.monotonic() + seconds
        try:
            for p in self.processes:
                p.stdin = None
                out = p.communicate(timeout=max(0.1, until - time.monotonic()))[0]
                assert p.returncode == 0, p.returncode
                one = json.loads(out)
                total['reads'] += one['reads']
                total['bytes'] += one['bytes']
                total['wrong'] += one['wrong']
                total['slowest'] = max(total['slowest'], one['slowest'])
                for name, count in one['errors'].items():
                    total['errors'][name] = total['errors'].get(name, 0) + count
            return total
        finally:
            for p in self.processes:
                if p.poll() is None:
                    p.kill()


def read_all(truth, path, *options, seconds=60, processes=1):
    """Every file once."""
    return Readers(truth, path, *options, processes=processes).result(seconds)


def read_right(truth, path, *options, seconds=60):
    got = read_all(truth, path, *options, seconds=seconds)
    assert got['wrong'] == [] and got['errors'] == {} and got['reads'] > 0, got
    return got
