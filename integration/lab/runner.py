"""Run a program with a deadline and see everything of it: status, both outputs, time, memory.

Also as an ordinary user, and on a terminal.  Nothing here waits without a limit.
"""
import contextlib, fcntl, os, pty, select, signal, struct, subprocess, tempfile, termios, time

SANITIZER_EXIT = 99


class Done:
    """What became of a run."""

    def __init__(self, rc, out, err, seconds, rss_mib, hang):
        self.rc = rc              # exit status, or minus the signal
        self.out = out            # bytes
        self.err = err            # bytes
        self.seconds = seconds
        self.rss_mib = rss_mib
        self.hang = hang          # it was killed at the deadline

    @property
    def text(self):
        return self.err.decode('utf-8', 'backslashreplace')

    @property
    def crashed(self):
        """Died of a signal nobody sent, or a sanitizer spoke."""
        return (not self.hang and self.rc in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE,
                                              -signal.SIGILL, -signal.SIGTRAP)
                or self.rc == SANITIZER_EXIT or b'Sanitizer' in self.err or b': runtime error: ' in self.err)

    def __repr__(self):
        return 'rc=%s out=%r err=%s' % (self.rc, self.out[-2000:], self.text[-4000:])


def environment(extra=None, home='/nonexistent'):
    """A small, known environment: nothing of the caller's registry configuration."""
    keep = {k: v for k, v in os.environ.items() if k in ('PATH', 'LANG', 'TMPDIR', 'LD_LIBRARY_PATH')}
    keep.update(HOME=home, TERM='dumb',
                ASAN_OPTIONS='exitcode=%d:abort_on_error=0' % SANITIZER_EXIT,
                UBSAN_OPTIONS='halt_on_error=1:print_stacktrace=1:exitcode=%d' % SANITIZER_EXIT)
    keep.update(extra or {})
    return keep


def wait(process, timeout, on_timeout=None):
    """(status, rusage, hang): the end of a process, at the latest TIMEOUT seconds from now."""
    fd = os.pidfd_open(process.pid)
    try:
        hang = not select.select([fd], [], [], timeout)[0]
    finally:
        os.close(fd)
    if hang:
        if on_timeout:
            on_timeout()
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)      # Popen must not wait for it again
    return process.returncode, usage, hang


def forget_peak():
    """Linux carries the peak of memory through fork and exec: a child would begin with ours.  Make it what we hold now."""
    with contextlib.suppress(OSError), open('/proc/self/clear_refs', 'w') as f:
        f.write('5')


# Between a large process and one whose memory is measured: a small one, for the child of a large one begins with its peak.
MEASURE = '''
import os, signal, sys
fd, argv = int(sys.argv[1]), sys.argv[2:]
pid = os.fork()
if pid == 0:
    os.close(fd)
    os.execv(argv[0], argv)
_, status, usage = os.wait4(pid, 0)
os.write(fd, b'%d' % usage.ru_maxrss)
code = os.waitstatus_to_exitcode(status)
if code >= 0:
    os._exit(code)
if -code != signal.SIGKILL:
    signal.signal(-code, signal.SIG_DFL)
os.kill(os.getpid(), -code)
'''


def run_measured(argv, timeout=60, **how):
    """run(), and the memory is the program's own, however large we are."""
    with tempfile.TemporaryFile() as peak:
        done = run(['/usr/bin/python3', '-S', '-c', MEASURE, str(peak.fileno()), *argv], timeout, pass_fds=(peak.fileno(),), **how)
        peak.seek(0)
        known = peak.read()
    if known:
        done.rss_mib = int(known) // 1024
    return done


def start(argv, *, user=None, env=None, stdin=None, cwd=None, out=None, err=None, **more):
    forget_peak()
    ids = {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []} if user else {}
    return subprocess.Popen([os.fspath(a) for a in argv], env=environment(env), cwd=cwd or '/', start_new_session=True,
                            stdin=stdin or subprocess.DEVNULL, stdout=out or subprocess.DEVNULL,
                            stderr=err or subprocess.DEVNULL, **ids, **more)


def run(argv, timeout=60, *, data=None, most=4 << 20, **how):
    """Run ARGV; DATA goes to its standard input; of each output the first MOST bytes are kept."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        if data is not None:
            given.write(data)
            given.seek(0)
            how['stdin'] = given
        began = time.monotonic()
        process = start(argv, out=out, err=err, **how)
        rc, usage, hang = wait(process, timeout)
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return Done(rc, out.read(most), err.read(most), seconds, usage.ru_maxrss // 1024, hang)


def run_on_terminal(argv, timeout=60, rows=24, columns=80, **how):
    """The same with standard error on a terminal; what it was sent is .err."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        env = dict(how.pop('env', None) or {}, TERM='xterm')
        process = start(argv, out=out, err=theirs, env=env, **how)
        os.close(theirs)
        seen = bytearray()
        while select.select([ours], [], [], max(0, began + timeout - time.monotonic()))[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:         # EIO: the other end is closed
                break
            if not piece:
                break
            seen += piece
        rc, usage, hang = wait(process, max(1, began + timeout - time.monotonic()))
        os.close(ours)
        out.seek(0)
        return Done(rc, out.read(), bytes(seen), time.monotonic() - began, usage.ru_maxrss // 1024, hang)
