"""One measured command, and a fresh ext4 for it to write to."""
import os, shutil, signal, subprocess, sys
from dataclasses import dataclass

TIMEOUT_S = 1800
LAUNCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'launch.py')


@dataclass
class Cost:
    wall: float  # seconds
    cpu: float   # seconds, user and system, of the command and all its children
    rss: float   # MiB, of the largest single process
    paths: int = 0  # in the tree it made


def measured(argv, log, env=None):
    """Run ARGV, its output into the file LOG; its cost, or None when it failed."""
    reader, writer = os.pipe()
    with open(log, 'wb') as out, open(reader) as answer:
        child = subprocess.Popen([sys.executable, '-I', '-S', LAUNCH, str(writer), *argv], stdout=out,
                                 stderr=out, stdin=subprocess.DEVNULL, env=env, pass_fds=[writer],
                                 start_new_session=True)
        os.close(writer)
        try:
            status = child.wait(TIMEOUT_S)
        except BaseException as e:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            if not isinstance(e, subprocess.TimeoutExpired):
                raise
            return None
        if status != 0:
            return None
        wall, cpu, rss = answer.read().split()
        return Cost(float(wall), float(cpu), int(rss) / 1024)


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
        # what a tool mounted below goes with it; lazily only when something is still running in there
        for options in (['-R'], ['-R', '-l']):
            if os.path.ismount(self.path):
                subprocess.run(['umount', *options, self.path], stderr=subprocess.DEVNULL)
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
