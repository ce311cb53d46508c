#!/usr/bin/env python3
"""demo.py BINARY: what rootlet does, on an image made here: from a layout on disk, then from a registry.

Run by ./dev demo.  The image has two layers: a static busybox and a few files, and on top of it a whiteout, a
replaced file and a hard link.  Where no docker-registry is installed the second half is left out, and says so.
"""
import contextlib, json, os, pathlib, shutil, socket, stat, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import mkimage, push

APPLETS = 'sh ls cat echo id uname'.split()


def say(text):
    print('\n==> ' + text, flush=True)


def shell():
    """The bytes of a busybox that runs by itself, or None."""
    path = shutil.which('busybox')
    if not path or subprocess.run(['ldd', path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return None
    return pathlib.Path(path).read_bytes()


def make_image(directory):
    """(Layout, descriptor, whether its command can run)"""
    program = shell()
    base = mkimage.Layer().d('./').d('bin').d('etc').d('tmp', mode=0o1777)
    base.f('bin/busybox', program or b'#!/bin/false\n', mode=0o755)
    for name in APPLETS:
        base.s('bin/' + name, 'busybox')
    base.f('etc/motd', 'an old greeting\n').f('etc/draft', 'to be removed by the next layer\n')
    top = mkimage.Layer().d('etc').wh('etc/draft').f('etc/motd', 'Hello from a container image.\n', mtime=981173106)
    top.h('etc/greeting', 'etc/motd')
    layout = mkimage.Layout(directory)
    image = layout.image([mkimage.pack(base.bytes()), mkimage.pack(top.bytes())],
                         config={'Env': ['PATH=/bin'], 'Cmd': ['cat', '/etc/motd'], 'User': '0'})
    layout.tag('latest', image)
    return layout, image, program is not None


def concourse(binary, name, request, *args):
    """Run it as Concourse does: JSON in, JSON out, a directory as argument."""
    text = json.dumps(request)
    print("$ echo '%s' \\\n    | rootlet %s" % (text, ' '.join([name, *map(str, args)])), flush=True)
    done = subprocess.run([binary, name, *map(str, args)], input=text, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit('rootlet %s ended with status %d' % (name, done.returncode))
    print(done.stdout, flush=True)
    return json.loads(done.stdout)


def show_tree(top):
    for path in sorted(top.rglob('*')):
        s = path.lstat()
        to = ' -> ' + os.readlink(path) if stat.S_ISLNK(s.st_mode) else ''
        when = time.strftime('%Y-%m-%d %H:%M', time.gmtime(s.st_mtime))
        print('%s %d %5d:%-5d %8d %s  %s%s' % (stat.filemode(s.st_mode), s.st_nlink, s.st_uid, s.st_gid,
                                               s.st_size if to == '' and not path.is_dir() else 0, when,
                                               path.relative_to(top.parent), to))


def show(into):
    say('the tree')
    show_tree(into / 'rootfs')
    for name in ('metadata.json', 'digest', 'tag', 'repository'):
        print('%s: %s' % (name, (into / name).read_text().strip()))


def get(binary, repository, into):
    """check, then in with the version that check found; the version."""
    source = {'repository': repository, 'tag': 'latest'}
    versions = concourse(binary, 'check', {'source': source})
    if not versions:
        sys.exit('check found no version')
    concourse(binary, 'in', {'source': source, 'version': versions[-1]}, into)
    return versions[-1]


def run_inside(rootfs):
    chroot = shutil.which('chroot', path='/usr/sbin:/sbin:/usr/bin:/bin')
    if os.geteuid() != 0 or not chroot:
        return
    say('its command, run in it')
    print('$ chroot rootfs cat /etc/motd', flush=True)
    subprocess.run([chroot, rootfs, '/bin/cat', '/etc/motd'], env={'PATH': '/bin'}, check=True)


@contextlib.contextmanager
def registry(directory):
    """'127.0.0.1:port' of a docker-registry of our own."""
    directory.mkdir()
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        host = '127.0.0.1:%d' % s.getsockname()[1]
    config = directory / 'config.yml'
    config.write_text('version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n'
                      'storage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n' % (directory / 'data', host))
    with open(directory / 'log', 'wb') as log:
        process = subprocess.Popen(['docker-registry', 'serve', config], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                push.Registry(host, 'demo').ask('GET', '/v2/')
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit('the registry does not start: ' + (directory / 'log').read_text())
                time.sleep(0.1)
        yield host
    finally:
        process.terminate()
        process.wait()


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    place = pathlib.Path(tempfile.mkdtemp(prefix='rootlet-demo-'))
    try:
        say('an image of two layers, made in oci:%s/image' % place)
        layout, image, runs = make_image(place / 'image')
        say('got from that layout, as Concourse would get it')
        get(binary, 'oci:%s/image' % place, place / 'from-layout')
        show(place / 'from-layout')
        if runs:
            run_inside(place / 'from-layout/rootfs')
        if not shutil.which('docker-registry'):
            say('no docker-registry is installed: the second half, from a registry, is left out')
            return
        with registry(place / 'registry') as host:
            say('the same from a registry on %s' % host)
            push.Registry(host, 'demo/busybox').image(layout, image, 'latest')
            get(binary, host + '/demo/busybox', place / 'from-registry')
        say('is it the same tree?')
        subprocess.run(['diff', '-r', '--no-dereference', place / 'from-layout/rootfs', place / 'from-registry/rootfs'],
                       check=True)
        print('diff finds no difference')
    finally:
        subprocess.run(['rm', '-rf', '--one-file-system', '--', place])


main()
