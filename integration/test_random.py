"""Random images against a model (lab/model.py): whiteouts, opaque directories, links of both kinds, type changes,
odd names, attributes and times, sparse files, in any order, format and compression.

ROOTLET_SEEDS=N tries N seeds (60), ROOTLET_FIRST_SEED where they begin; a failure names its seed and keeps nothing.
"""
import os

import pytest

import mkedge
import mkimage
import model
from conftest import need_tool

FIRST = int(os.environ.get('ROOTLET_FIRST_SEED', '1'))
SEEDS = range(FIRST, FIRST + int(os.environ.get('ROOTLET_SEEDS', '60')))
PACKERS = [lambda t: mkimage.pack(t, 'gzip'), lambda t: mkimage.pack(t, ''), lambda t: mkimage.pack(t, 'zstd'),
           lambda t: (t, 'gzip', mkedge.gz_multi(t, 50000)), lambda t: (t, 'zstd', mkedge.zst_multi(t, 70000)),
           lambda t: (t, 'gzip', mkimage.gz(t, 0))]


def make(directory, seed):
    """(layout, the model of its tree)."""
    writer = model.Writer(seed)
    layers = []
    for n in range(writer.r.randint(1, 6)):
        pax, entries = writer.layer(n > 0)
        layers.append(writer.r.choice(PACKERS)(writer.tar(pax, entries)))
    layout = mkimage.Layout(directory)
    layout.tag('x', layout.image(layers))
    return layout.d, writer.model


@pytest.mark.parametrize('seed', SEEDS)
def test_as_root(rootlet, place, seed):
    need_tool('zstd')
    layout, tree = make(place / 'layout', seed)
    done = rootlet('unpack', '--quiet', 'oci:%s:x' % layout, place / 'root')
    assert done.rc == 0, 'ROOTLET_FIRST_SEED=%d: %r' % (seed, done)
    bad = model.differences(tree, place / 'root')
    assert not bad, 'ROOTLET_FIRST_SEED=%d: %s' % (seed, bad[:20])


@pytest.mark.parametrize('seed', SEEDS[::4])
def test_as_an_ordinary_user(rootlet, place, ordinary_user, seed):
    need_tool('zstd')
    layout, tree = make(place / 'layout', seed)
    os.chown(place, ordinary_user.pw_uid, ordinary_user.pw_gid)
    done = rootlet('unpack', '--quiet', 'oci:%s:x' % layout, place / 'root', user=ordinary_user)
    assert done.rc == 0, 'ROOTLET_FIRST_SEED=%d: %r' % (seed, done)
    bad = model.differences(tree, place / 'root', ordinary_user)
    assert not bad, 'ROOTLET_FIRST_SEED=%d: %s' % (seed, bad[:20])


@pytest.mark.parametrize('seed', SEEDS[::4])
def test_mounted(lab, place, seed):
    need_tool('zstd')
    layout, tree = make(place / 'layout', seed)
    mount = lab.mount('oci:%s:x' % layout)
    bad = model.differences(tree, mount.path, holes=False)
    assert not bad, 'ROOTLET_FIRST_SEED=%d: %s' % (seed, bad[:20])
