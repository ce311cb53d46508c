"""Unpacking where a cache has the layers already: nothing is fetched twice, and nothing is believed unseen."""
import json, os, re

import pytest

import conformlib
import conftest
import lazyimages
import mkimage
import mountlib
import script_registry


@pytest.fixture
def scripted():
    with script_registry.ScriptRegistry() as r:
        yield r


@pytest.fixture
def image(scripted):
    files = {'etc/motd': b'one\n', 'gone': b'x', 'big': mkimage.noise(3 << 20)}
    return scripted.image('app', 'v', files=[files, {'etc/issue': b'two\n', '.wh.gone': b''}])


@pytest.fixture
def known(scripted, image, lab):
    """The cache has all of it: somebody has mounted it."""
    lab.mount(scripted.host + '/app:v').umount()
    scripted.requests.clear()
    return lab


def unpack(lab, scripted, to, *options, **env):
    done = lab.run('unpack', *options, scripted.host + '/app:v', to, env=env)
    assert done.rc == 0, done
    return done


def blobs(scripted):
    return [r.path.rpartition('/')[2] for r in scripted.requests if r.kind == 'blob']


def layers(scripted, image):
    return [layer['digest'] for layer in json.loads(scripted.manifests['app'][image])['layers']]


@pytest.fixture
def wanted(scripted, image, lab):
    """The tree that comes without a cache."""
    unpack(lab, scripted, lab.place / 'wanted', ROOTLET_CACHE=str(lab.place / 'none'))
    assert not (lab.place / 'none').exists()        # who only looks for a cache makes none
    return mountlib.listing(lab.place / 'wanted')


def test_what_a_mount_left_is_not_fetched_again(scripted, image, wanted, known):
    scripted.requests.clear()
    done = unpack(known, scripted, known.place / 'to')
    assert mountlib.listing(known.place / 'to') == wanted
    assert set(blobs(scripted)).isdisjoint(layers(scripted, image))
    lines = done.text.splitlines()
    assert re.fullmatch(r'0 B fetched, 2 of 2 layers were in the cache, \S+ MiB unpacked into \d+ files in \S+ s, 0 B/s', lines[-1])
    assert sum('from the cache, unpacked' in line for line in lines) == 2, done


def test_the_numbers_say_so(scripted, image, known):
    done = unpack(known, scripted, known.place / 'to', '--json', '--quiet')
    numbers = json.loads(done.out)
    assert (numbers['cached_layers'], numbers['layers'], numbers['fetched_bytes']) == (2, 2, 0)


def test_a_get_says_it_in_its_last_line(binary, scripted, image, wanted, known):
    request = {'source': {'repository': scripted.host + '/app'}, 'version': {'tag': 'v', 'digest': image}}
    done = conformlib.step(binary, 'in', request, known.place / 'to', env=known.env(**conformlib.ENV))
    assert done.rc == 0 and mountlib.listing(known.place / 'to/rootfs') == wanted
    assert done.text.splitlines()[-1].startswith('0 B fetched, 2 of 2 layers were in the cache, '), done


def streams(lab):
    return sorted(lab.cache.glob('v1/layers/*/stream'), key=lambda p: p.stat().st_size)


def test_wrong_bytes_in_the_cache_are_fetched(scripted, image, wanted, known):
    """Written by this boot of the machine they are not held against a sum: the diffID finds them."""
    with open(streams(known)[-1], 'r+b') as f:
        f.seek(2 << 20)
        f.write(b'\0' * 64)
    scripted.requests.clear()
    done = unpack(known, scripted, known.place / 'to')
    assert mountlib.listing(known.place / 'to') == wanted
    assert len(set(blobs(scripted)) & set(layers(scripted, image))) == 1, blobs(scripted)
    assert '1 of 2 layers were in the cache' in done.text


def test_a_tar_that_cannot_be_read_any_more_is_fetched(scripted, image, wanted, known):
    for path in streams(known):
        with open(path, 'r+b') as f:
            f.write(b'no tar ' * 100)
    scripted.requests.clear()
    done = unpack(known, scripted, known.place / 'to')
    assert mountlib.listing(known.place / 'to') == wanted and 'in the cache' not in done.text
    assert set(layers(scripted, image)) <= set(blobs(scripted))


def test_a_layer_that_is_not_whole_is_fetched(registry, lab, place):
    """A table that came with the layer, and a few of its files."""
    layout = mkimage.Layout(place / 'layout')
    layout.tag('x', lazyimages.image(layout, [lazyimages.estargz(lazyimages.work_layer('a', 60, 3 << 20))]))
    conftest.push(layout.d, 'x', registry + '/partly:x')
    mount = lab.mount(registry + '/partly:x', '--tls-verify=false')
    mount.umount()
    done = lab.run('unpack', '--tls-verify=false', registry + '/partly:x', lab.place / 'to')
    assert done.rc == 0 and 'in the cache' not in done.text, done


def test_a_cache_of_somebody_else_is_left_alone(scripted, image, wanted, known):
    os.chown(known.cache, 12345, 12345)
    done = unpack(known, scripted, known.place / 'to')
    assert mountlib.listing(known.place / 'to') == wanted and 'in the cache' not in done.text
    os.chown(known.cache, 0, 0)
