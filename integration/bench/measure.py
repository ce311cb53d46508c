"""One measured command, and a fresh ext4 for it to write to."""
import os, shutil, signal, subprocess, threading, time
from dataclasses import dataclass

TIMEOUT_S = 1800


@dataclass
class Cost:
    wall: float  # seconds
    cpu: float   # seconds, user and system, of the command and all its children
    rss: float   # MiB, of the largest single process


def measured(argv, log, env=None):
    """Run ARGV, its output into the file LOG; its cost, or None when it failed."""
    with open(log, 'wb') as out:
        began = time.monotonic()
        child = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                 env=env, start_new_session=True)
        timer = threading.Timer(TIMEOUT_S, os.killpg, (child.pid, signal.SIGKILL))
        timer.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
        wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        return None
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


class FreshFs:
    """
    A new ext4 in a sparse file, mounted on a loop device.  Every run gets its own: on a filesystem
    where many files were just deleted ext4 passes over their inodes, and creating a file takes up
    to ten times as long for about a minute.
    """

    def __init__(self, work, size='24G'):
        self.path = os.path.join(work, 'fs')
        self.image = self.path + '.img'
        self.size = size

    def __enter__(self):
        os.makedirs(self.path, exist_ok=True)
        self.remove()
        sh('truncate', '-s', self.size, self.image)
        # all tables are written now, not by a kernel thread during the run
        sh('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard', self.image)
        sh('mount', '-o', 'loop,noatime', self.image, self.path)
        os.sync()
        return self.path

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        while os.path.ismount(self.path):
            # what a tool mounted below goes with it
            sh('umount', '-R', '-l', self.path)
        if os.path.exists(self.image):
            os.unlink(self.image)


def sh(*argv, **keywords):
    """Run ARGV quietly; raise with what it printed when it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **keywords)
    if done.returncode != 0:
        raise SystemExit('bench: %s: %s' % (' '.join(argv), done.stdout.decode(errors='replace').strip()))
    return done.stdout.decode(errors='replace')


def missing(*programs):
    return [p for p in programs if not shutil.which(p)]
