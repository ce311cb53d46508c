"""What a mount without a record fetches before it is asked: the first process, its libraries, a file's directory."""
import re, shutil, subprocess

import pytest

import lazyimages
import mkimage
from conftest import push
from mountlib import wait_until

FILES, SECONDS = 30, 60
TRUE = shutil.which('true')


def libraries():
    """{name in the image: file here} of what /usr/bin/true needs."""
    done = subprocess.run(['ldd', TRUE], stdout=subprocess.PIPE, text=True)
    found = re.findall(r'(/\S+) \(0x', done.stdout)
    return {path.lstrip('/'): path for path in found}


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def make_tar():
    layer = mkimage.Layer()
    layer.f('large', mkimage.noise(3 << 20))        # a layer that is worth a table, and a gap that nobody wants
    for where in ('a', 'b'):
        layer.d(where)
        for n in range(FILES):
            layer.f('%s/f%02d' % (where, n), mkimage.noise(1000, b'%s%d' % (where.encode(), n)))
        layer.f('%s-gap' % where, mkimage.noise(500000, where.encode()))
    for name in ('proc', 'app', 'usr', 'usr/bin'):
        layer.d(name)
    layer.f('usr/bin/true', content(TRUE), mode=0o755)
    layer.f('app/run', '#!/usr/bin/env true\n', mode=0o755)
    layer.s('usr/bin/env', 'true')
    for name, path in libraries().items():
        layer.f(name, content(path), mode=0o755)
    return layer.bytes()


@pytest.fixture(scope='module')
def image(scratch, registry):
    if not libraries():
        pytest.skip('true has no libraries here')
    layout = mkimage.Layout(scratch / 'ahead')
    layers = [lazyimages.estargz(lazyimages.trimmed(make_tar()))]
    config = {'Cmd': ['./run'], 'WorkingDir': '/app', 'Env': ['PATH=/usr/bin']}
    layout.tag('x', lazyimages.image(layout, layers, config=config))
    where = '%s/ahead:x' % registry
    push(layout.d, 'x', where)
    return where


def settled(mount):
    """How many spans are here, when that has not changed for a while."""
    seen = []

    def quiet():
        seen.append(mount.present())
        return len(seen) > 5 and len(set(seen[-5:])) == 1
    wait_until('nothing more is fetched', SECONDS, quiet, 0.2)
    return seen[-1]


def test_the_first_process_is_there_before_it_begins(lab, image):
    mount = lab.mount(image, '--tls-verify=false', '--fill=off')
    # the script, the program it names, its libraries
    wanted = 2 + len(libraries())
    wait_until('the program and its libraries are here', SECONDS, lambda: mount.present() >= wanted)
    settled(mount)
    before = mount.cost()
    for name, path in libraries().items():
        assert content(mount.path / name) == content(path)
    assert content(mount.path / 'usr/bin/true') == content(TRUE)
    assert mount.cost() == before


def test_a_directory_comes_with_a_file(lab, image):
    mount = lab.mount(image, '--tls-verify=false', '--fill=off')
    before = settled(mount)
    assert content(mount.path / 'a/f10') == mkimage.noise(1000, b'a10')
    wait_until('the directory is here', SECONDS, lambda: mount.present() >= before + FILES)
    # and not the other one, nor what is large
    assert settled(mount) <= before + FILES + 1
    before = mount.cost()
    for n in range(FILES):
        assert content(mount.path / ('a/f%02d' % n)) == mkimage.noise(1000, b'a%d' % n)
    assert mount.cost() == before


def test_without_prefetch_only_what_is_read_is_fetched(lab, image):
    mount = lab.mount(image, '--tls-verify=false', '--fill=off', '--no-prefetch')
    assert content(mount.path / 'a/f10') == mkimage.noise(1000, b'a10')
    assert settled(mount) == 1
    assert mount.status()['total']['requests'] == 1
