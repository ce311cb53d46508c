"""Equal trees: what rootlet unpacks is what 'umoci unpack' makes of the same image.

umoci is the reference where it can read the image.  Where it cannot (zstd layers, GNU sparse files, docker's
manifests) the same content is given to it in a form that it reads.  DEVIATIONS lists every difference allowed,
with the reason.
"""
import json, os, re, shutil, subprocess, tarfile

import pytest

import mkedge
import mkimage
from conftest import compare_trees, need_root, need_tool, push, skopeo

# Lines of compare-trees.py, umoci's tree first.
DEVIATIONS = [
    # umoci drops an extended attribute without a value
    r"xattr\txattr/user\tuser\.empty=None\tuser\.empty=b''",
    # overlayfs would take it for a whiteout: rootlet never makes the device 0,0
    r'only-a\ts/chr00\tchr\t',
]

# tag -> the tag that umoci reads with the same content
UMOCI_READS = {'edge-zstd': 'edge-gzip', 'edge-mixed': 'edge-gzip', 'edge-zstmulti': 'edge-gzip', 'odd-zstskip': 'edge-gzip'}


@pytest.fixture(scope='module', autouse=True)
def _needs():
    need_root()
    need_tool('umoci')


@pytest.fixture(scope='module')
def reference(disk, edge_layout):
    """reference(layout, tag, ours): what check() compares: umoci's tree (made once), ours, the directories listed."""
    made = {}
    base = disk / 'reference'
    base.mkdir()

    def get(layout, tag, ours):
        tag = UMOCI_READS.get(tag, tag)
        key = str(layout), tag
        if key not in made:
            path = base / str(len(made))
            subprocess.run(['umoci', 'unpack', '--image', '%s:%s' % (layout, tag), path], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            made[key] = path / 'rootfs', listed_directories(layout, tag)
        theirs, listed = made[key]
        return theirs, ours, listed
    yield get
    shutil.rmtree(base)


def listed_directories(layout, tag):
    """{path: mtime} of the directories that layers list, '.' for the root; the last one counts."""
    out = {}
    described = next(m for m in mkimage.Layout(layout).i['manifests'] if m['annotations'][mkimage.REF_NAME] == tag)
    with open(mkimage.Layout(layout).path(described['digest'])) as f:
        layers = json.load(f)['layers']
    for layer in layers:
        with tarfile.open(mkimage.Layout(layout).path(layer['digest'])) as t:
            for i in t:
                path = os.path.normpath('/' + i.name).strip('/') or '.'
                if i.isdir():
                    out[path] = int(i.mtime)
                else:
                    out.pop(path, None)
    return out


def dated_by_umoci(line, listed):
    """Directories no layer lists: umoci dates them, and the directory above, with the moment of unpacking.
    rootlet dates them with 1970 and keeps the time of the directory above."""
    kind, path, theirs, ours = line.split('\t')
    if kind != 'mtime' or int(theirs) < 1750000000:
        return False
    return int(ours) == listed.get(path, 0)


def differences(theirs, ours, listed):
    return [line for line in compare_trees(theirs, ours)
            if not any(re.fullmatch(p, line) for p in DEVIATIONS) and not dated_by_umoci(line, listed)]


def check(rootlet, image, theirs, ours, listed, options=()):
    done = rootlet('unpack', '--devices', *options, image, ours)
    assert done.rc == 0, done
    assert differences(theirs, ours, listed) == []


ALIKE = [t for t in mkedge.TAGS if t != 'odd-gnusparse']


@pytest.mark.parametrize('tag', ALIKE)
def test_from_a_layout(rootlet, edge_layout, reference, place, tag):
    check(rootlet, 'oci:%s:%s' % (edge_layout, tag), *reference(edge_layout, tag, place / 'root'))


@pytest.mark.parametrize('tag', ALIKE)
def test_from_a_registry(rootlet, edge_layout, reference, registry, place, tag):
    where = '%s/%s:%s' % (registry, *tag.split('-'))
    push(edge_layout, tag, where)
    check(rootlet, where, *reference(edge_layout, tag, place / 'root'), options=['--tls-verify=false'])


@pytest.mark.parametrize('tag', ['edge-gzip', 'edge-raw', 'edge-gzmulti', 'edge-sparse', 'odd-symparent', 'odd-dupes',
                                 'odd-whorder', 'odd-hlcross', 'odd-implicit'])
def test_docker_schema_2_from_a_registry(rootlet, edge_layout, reference, registry, place, tag):
    where = '%s/%s-v2s2:x' % (registry, tag)
    push(edge_layout, tag, where, '--format', 'v2s2')
    check(rootlet, where, *reference(edge_layout, tag, place / 'root'), options=['--tls-verify=false'])


def test_old_gnu_sparse_files_are_those_of_pax(rootlet, edge_layout, place):
    """umoci refuses type 'S'.  edge-sparse has the same file three times, written as PAX."""
    for tag in ('edge-sparse', 'odd-gnusparse'):
        done = rootlet('unpack', '--devices', 'oci:%s:%s' % (edge_layout, tag), place / tag)
        assert done.rc == 0, done
    gnu, pax = place / 'odd-gnusparse/sparse/gnu', place / 'edge-sparse/sparse/pax1.0'
    assert subprocess.run(['cmp', gnu, pax]).returncode == 0
    assert gnu.stat().st_size == 1 << 27 and gnu.stat().st_blocks * 512 < 1 << 20, 'holes must stay holes'
    assert pax.stat().st_blocks * 512 < 1 << 20
    shutil.rmtree(place / 'edge-sparse/sparse')
    shutil.rmtree(place / 'odd-gnusparse/sparse')
    assert [d for d in compare_trees(place / 'edge-sparse', place / 'odd-gnusparse') if not d.startswith('mtime\t.\t')] == []


def test_times_are_kept_to_the_nanosecond(rootlet, edge_layout, place):
    """compare-trees.py looks at seconds only."""
    assert rootlet('unpack', 'oci:%s:edge-gzip' % edge_layout, place / 'root').rc == 0
    time = place / 'root/time'
    assert os.stat(time / 'frac').st_mtime_ns == 1700000000123456789
    assert os.stat(time / 'past').st_mtime_ns == -315619200 * 10**9
    assert os.stat(time / 'epoch0').st_mtime_ns == 0
    assert os.stat(place / 'root').st_mtime_ns == (mkimage.NOW + 9) * 10**9
    assert os.lstat(place / 'root/ln/dangling').st_mtime_ns == mkimage.NOW * 10**9


def test_devices_need_their_option(rootlet, edge_layout, place):
    assert rootlet('unpack', 'oci:%s:edge-gzip' % edge_layout, place / 'without').rc == 0
    assert rootlet('unpack', '--devices', 'oci:%s:edge-gzip' % edge_layout, place / 'with').rc == 0
    assert compare_trees(place / 'with', place / 'without') == [
        'only-a\tspecial/%s\t%s\t' % x for x in (('bigdev', 'chr'), ('loop', 'blk'), ('null', 'chr'))]


@pytest.mark.parametrize('jobs', [1, 2, 7])
def test_any_number_of_jobs_makes_the_same_tree(rootlet, edge_layout, reference, place, jobs):
    check(rootlet, 'oci:%s:edge-gzip' % edge_layout, *reference(edge_layout, 'edge-gzip', place / 'root'),
          options=['--jobs', str(jobs)])


@pytest.mark.parametrize('arch', ['amd64', 'arm64'])
def test_a_platform_of_an_index(rootlet, edge_layout, registry, place, arch):
    push(edge_layout, 'multi', registry + '/multi:latest', '--all')
    done = rootlet('unpack', '--tls-verify=false', '--platform', 'linux/' + arch, registry + '/multi', place / 'root')
    assert done.rc == 0, done
    assert (place / 'root/arch').read_text() == arch + '\n'


@pytest.fixture(scope='module')
def host_layout(scratch):
    """A few thousand files of this machine as three layers: base, an upgrade of part of it, a removal."""
    def layer(*trees, change=None):
        path = scratch / 'host-layer.tar'
        with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as t:
            for tree in trees:
                t.add('/' + tree, tree, filter=change)
        data = path.read_bytes()
        path.unlink()
        return data

    def older(i):
        i.mtime -= 1000
        if i.isreg():
            i.mode ^= 0o010
        return i
    docs = sorted(d for d in os.listdir('/usr/share/doc') if os.path.isdir('/usr/share/doc/' + d))[:200]
    base = layer('usr/share/zoneinfo', 'usr/lib/systemd', 'etc/alternatives', 'etc/ssl', *('usr/share/doc/' + d for d in docs))
    some = docs[::7]
    upgrade = layer(*('usr/share/doc/' + d for d in some), change=older)
    removal = mkimage.Layer()
    for d in some[::2]:
        removal.wh('usr/share/doc/' + d)
    removal.opq('usr/lib/systemd').f('usr/lib/systemd/only', 'left')
    layout = mkimage.Layout(scratch / 'host')
    tars = [base, upgrade, removal.bytes()]
    for codec in ('gzip', 'zstd', ''):
        layout.tag('host-' + (codec or 'raw'), layout.image([mkimage.pack(t, codec) for t in tars]))
    return layout.d


@pytest.mark.parametrize('codec', ['gzip', 'zstd', 'raw'])
def test_thousands_of_real_files(rootlet, host_layout, reference, place, codec):
    theirs = reference(host_layout, 'host-gzip', place / 'root')
    check(rootlet, 'oci:%s:host-%s' % (host_layout, codec), *theirs)


# ---- archives
def test_an_oci_archive_by_skopeo(rootlet, edge_layout, reference, place):
    skopeo('copy', '-q', 'oci:%s:edge-gzip' % edge_layout, 'oci-archive:%s:tag' % (place / 'a.tar'))
    for name, ours in (':tag', 'root'), ('', 'root2'):
        check(rootlet, 'oci-archive:%s%s' % (place / 'a.tar', name), *reference(edge_layout, 'edge-gzip', place / ours))


@pytest.mark.parametrize('tag', ['edge-gzip', 'odd-symparent'])
def test_a_docker_archive_by_skopeo(rootlet, edge_layout, reference, place, tag):
    skopeo('copy', '-q', 'oci:%s:%s' % (edge_layout, tag), 'docker-archive:%s:some/name:tag' % (place / 'a.tar'))
    for name, ours in (':some/name:tag', 'root'), ('', 'root2'):
        check(rootlet, 'docker-archive:%s%s' % (place / 'a.tar', name), *reference(edge_layout, tag, place / ours))


@pytest.fixture(scope='module')
def podman(scratch, edge_layout):
    """podman with a store of its own that holds the image; its layers are those of edge-gnu (no xattrs)."""
    need_tool('podman')
    store = scratch / 'podman'
    base = ['podman', '--root', store / 'root', '--runroot', store / 'run', '--storage-driver', 'vfs',
            '--events-backend', 'none']
    subprocess.run([*base, 'pull', '-q', 'oci:%s:edge-gnu' % edge_layout], check=True, stdout=subprocess.DEVNULL)
    name = subprocess.run([*base, 'images', '-q'], check=True, stdout=subprocess.PIPE).stdout.decode().split()[0]
    yield base, name
    subprocess.run(['rm', '-rf', '--one-file-system', store])


@pytest.mark.parametrize('kind', ['oci-archive', 'docker-archive'])
def test_an_archive_by_podman_save(rootlet, podman, place, kind):
    """podman stores layers its own way (times of implied directories, 0555 roots): its own archive is unpacked by
    umoci as well, after skopeo made a layout of it."""
    base, name = podman
    subprocess.run([*base, 'save', '-q', '--format', kind, '-o', place / 'a.tar', name], check=True)
    skopeo('copy', '-q', '%s:%s' % (kind, place / 'a.tar'), 'oci:%s:x' % (place / 'layout'))
    subprocess.run(['umoci', 'unpack', '--image', '%s:x' % (place / 'layout'), place / 'theirs'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    listed = listed_directories(place / 'layout', 'x')
    check(rootlet, '%s:%s' % (kind, place / 'a.tar'), place / 'theirs/rootfs', place / 'root', listed)


# ---- as an ordinary user
def test_an_ordinary_user_gets_the_same_names_and_bytes(rootlet, ordinary_user, edge_layout, place):
    os.chown(place, ordinary_user.pw_uid, ordinary_user.pw_gid)
    done = rootlet('unpack', 'oci:%s:edge-gzip' % edge_layout, place / 'user', user=ordinary_user)
    assert done.rc == 0, done
    assert 'owners (this needs root)' in done.text
    assert rootlet('unpack', 'oci:%s:edge-gzip' % edge_layout, place / 'root').rc == 0
    left = [x for x in compare_trees(place / 'root', place / 'user', '--skip', 'owner')
            if not re.fullmatch(r"(xattr\txattr/cap\tsecurity\.capability=.*|mode\tperm/(sgid|sgiddir)\t.*)", x)]
    assert left == []
    owners = subprocess.check_output(['find', place / 'user', '!', '-uid', str(ordinary_user.pw_uid)])
    assert owners == b''
