"""A Debian base image made here: mmdebstrap's, of this machine's own release and package sources, kept in a store of
its own.  It is as Debian's slim images are: nothing but essential packages and apt, no documentation."""
import pathlib, subprocess

SLIM = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/info/*', '/usr/share/locale/*', '/usr/share/groff/*',
        '/usr/share/linda/*', '/usr/share/lintian/*']


def sources():
    """What sources.list(5) would say of Debian's own suites on this machine."""
    form = '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(SIGNED_BY)'
    lines = subprocess.run(['apt-get', 'indextargets', '--format', form, 'Created-By: Packages'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    found, release = set(), None
    for line in lines:
        origin, uri, suite, codename, component, _ = line.split('|')
        if origin == 'Debian' and component == 'main':
            found.add('deb %s %s %s' % (uri, suite, component))
            if '-' not in suite:
                release = codename
    return release, sorted(found)


def proxies():
    dump = subprocess.run(['apt-config', 'dump', '--format', '%f "%v";%n', 'Acquire::http', 'Acquire::https'], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return [line for line in dump.splitlines() if 'Proxy' in line]


def make(path):
    """PATH: the tar archive to write."""
    release, lines = sources()
    argv = ['mmdebstrap', '--mode=root', '--variant=apt', '--format=tar', '--quiet']
    argv += ['--include=usr-is-merged', '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr']     # not perl and usrmerge
    argv += ['--dpkgopt=path-exclude=' + pattern for pattern in SLIM]
    argv += ['--dpkgopt=path-include=/usr/share/doc/*/copyright']
    argv += ['--aptopt=' + line for line in proxies()]
    subprocess.run(argv + [release, path, *lines], check=True)


class Buildah:
    """buildah with a store of its own, as root, without a container engine."""

    def __init__(self, directory):
        self.directory, self.driver = pathlib.Path(directory), 'overlay'
        try:
            self('images', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:       # no overlay on this file system
            self.driver = 'vfs'

    def __call__(self, *args, **how):
        store = ['--root', self.directory / 'store', '--runroot', self.directory / 'run', '--storage-driver', self.driver]
        return subprocess.run(['buildah', *store, *args], check=True, **how)

    def output(self, *args):
        return self(*args, stdout=subprocess.PIPE, text=True).stdout.strip()

    def add_base(self, tar, name):
        container = self.output('from', 'scratch')
        self('add', '--quiet', container, tar, '/')
        self('commit', '--quiet', '--rm', container, name)

    def close(self):
        """Nothing of the store stays mounted."""
        with open('/proc/self/mountinfo') as f:
            points = [line.split()[4] for line in f]
        for point in reversed(points):
            if point.startswith(str(self.directory) + '/'):
                subprocess.run(['umount', '-l', point])

    def build(self, source, target, base, *more):
        """The image's name."""
        name = 'localhost/' + target
        self('build', '--pull-never', '--isolation', 'chroot', '--layers', '--build-arg', 'BASE=' + base, '--target', target,
             '-t', name, '-f', source / 'docker/Dockerfile', *more, source)
        return name
