"""Every command about every small image of the lab, against the real tools on its tree: lab/agree.py, which does the
same with any image."""
import pytest

import agree
import mkedge
from conftest import need_tool

# test_look_tree.py looks at edge-gzip, and most others of its name hold the same
TAGS = ['edge-gnu', *(t for t in mkedge.TAGS if t.startswith('odd'))]


@pytest.fixture(scope='module')
def agrees(binary, fuse, disk):
    need_tool('tar', 'zstd')
    place = disk / 'agree'
    place.mkdir()
    it = agree.Agree(binary, place, quick=True)
    yield lambda image: {check: found for check, _, found in it.image(image) if found}
    it.close()


@pytest.mark.parametrize('tag', TAGS)
def test_every_command_agrees(agrees, edge_layout, tag):
    assert agrees('oci:%s:%s' % (edge_layout, tag)) == {}


def test_what_is_small(agrees, small_layout):
    assert agrees('oci:%s:latest' % small_layout) == {}


def test_a_difference_is_seen(agrees, small_layout, edge_layout, monkeypatch):
    """The checks can fail: the tree of another image."""
    unpack = agree.Agree.unpack
    monkeypatch.setattr(agree.Agree, 'unpack', lambda self, image, tree: unpack(self, 'oci:%s:odd-dupes' % edge_layout, tree))
    found = agrees('oci:%s:latest' % small_layout)
    assert set(found) >= {'ls', 'ls_json', 'find', 'du', 'tree', 'stat_json', 'cat', 'grep', 'cp', 'diff', 'mount'}
