"""A Debian base image made here: mmdebstrap's, of this machine's own release and package sources, kept in a store of
its own.  It is as Debian's slim images are: nothing but essential packages and apt, no documentation.

    baseimage.py base FILE [ARCH]               the image's tree, as a tar archive
    baseimage.py sysroot DIR ARCH PACKAGE...    headers and libraries of another architecture, to cross-compile with
"""
import os, pathlib, shutil, subprocess, sys

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


def debstrap(path, *options):
    release, lines = sources()
    subprocess.run(['mmdebstrap', '--quiet', *options, *('--aptopt=' + line for line in proxies()), release, path, *lines],
                   check=True)


def make(path, arch=None):
    """PATH: the tar archive to write.  An ARCH that is not this machine's has to run here (binfmt_misc)."""
    debstrap(path, '--mode=root', '--variant=apt', '--format=tar', *(['--architecture=' + arch] if arch else []),
             '--include=usr-is-merged', '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',     # not perl and usrmerge
             *('--dpkgopt=path-exclude=' + pattern for pattern in SLIM), '--dpkgopt=path-include=/usr/share/doc/*/copyright')


def make_sysroot(path, arch, packages):
    """The packages and what they need, unpacked only: nothing of them runs."""
    path = pathlib.Path(path)
    debstrap(path, '--variant=extract', '--format=directory', '--architecture=' + arch, '--include=' + ','.join(packages))
    for name in set(os.listdir(path)) - {'lib', 'lib64', 'usr'}:     # an emulator would look there before it looks here
        shutil.rmtree(path / name)
    for link in path.rglob('*'):                                    # a linker follows links as this machine has them
        if link.is_symlink() and os.readlink(link).startswith('/'):
            target = os.path.relpath(str(path) + os.readlink(link), link.parent)
            link.unlink()
            link.symlink_to(target)


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


if __name__ == '__main__':
    {'base': make, 'sysroot': lambda path, arch, *packages: make_sysroot(path, arch, packages)}[sys.argv[1]](*sys.argv[2:])
