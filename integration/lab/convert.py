"""Convert images as their users do: eStargz and zstd:chunked by ctr-remote, zstd:chunked by skopeo.

ctr-remote wants containerd: one of its own is started, with everything below one directory.  Nothing is fetched.
"""
import contextlib, subprocess, time

CONFIG = '''version = 2
root = "%(d)s/root"
state = "%(d)s/state"
disabled_plugins = [%(off)s]
[grpc]
  address = "%(d)s/sock"
'''
OFF = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt',
       *('io.containerd.snapshotter.v1.' + s for s in ('aufs', 'btrfs', 'devmapper', 'overlayfs', 'zfs'))]


class Converter:
    """ctr-remote over a private containerd; DIRECTORY must be short, for it holds sockets."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True)
        config = directory / 'config.toml'
        config.write_text(CONFIG % {'d': directory, 'off': ', '.join('"%s"' % o for o in OFF)})
        with open(directory / 'log', 'wb') as log:
            argv = ['containerd', '--config', config, '--log-level', 'warn']
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        until = time.monotonic() + 30
        while subprocess.run(self.ctr('version'), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError('containerd does not start: ' + (directory / 'log').read_text())
            time.sleep(0.05)
        self.count = 0

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ctr(self, *args):
        return ['ctr', '-a', self.directory / 'sock', *args]

    def estargz(self, layout, tag, to, to_tag, *options):
        """Convert LAYOUT:TAG to TO:TO_TAG with 'ctr-remote image optimize'; nothing is run, nothing reordered."""
        self.count += 1
        name = 'lab/%d' % self.count
        archive, out = self.directory / 'in.tar', self.directory / 'out.tar'
        for file in (archive, out):
            file.unlink(missing_ok=True)
        quiet('skopeo', 'copy', '-q', 'oci:%s:%s' % (layout, tag), 'oci-archive:%s' % archive)
        quiet(*self.ctr('image', 'import', '--no-unpack', '--index-name', name + ':src', archive))
        quiet('ctr-remote', '-a', self.directory / 'sock', 'image', 'optimize', '--no-optimize', '--oci', *options,
              name + ':src', name + ':dst')
        quiet(*self.ctr('image', 'export', out, name + ':dst'))
        quiet('skopeo', 'copy', '-q', '--preserve-digests', 'oci-archive:%s' % out, 'oci:%s:%s' % (to, to_tag))

    def zchunked(self, layout, tag, to, to_tag):
        self.estargz(layout, tag, to, to_tag, '--zstdchunked')


@contextlib.contextmanager
def converter(directory):
    it = Converter(directory)
    try:
        yield it
    finally:
        it.stop()


def skopeo_zchunked(layout, tag, to, to_tag):
    quiet('skopeo', 'copy', '-q', '--dest-compress-format', 'zstd:chunked', 'oci:%s:%s' % (layout, tag),
          'oci:%s:%s' % (to, to_tag))


def quiet(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise AssertionError('%s: %s' % (' '.join(map(str, argv)), done.stdout.decode(errors='replace')[-2000:]))
