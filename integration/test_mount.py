"""Mounts show what an eager unpack makes: names, attributes, links and bytes, whatever the image was made of.

The reference is rootlet's own eager tree, which test_trees.py compares with umoci's.
"""
import filecmp, json, mmap, os, re, shutil, stat, subprocess

import pytest

import convert
import lazyimages
import mkedge
import mkimage
import runner
from conftest import compare_trees, need_tool, push
from faultlib import FaultRegistry
from mountlib import mountinfo, mounts, read_right, tar_digest


@pytest.fixture(scope='module')
def digest_of(eager):
    """digest_of(image): what tar makes of its eager tree."""
    made = {}

    def get(image, *options):
        if image not in made:
            made[image] = tar_digest(eager(image, *options))
        return made[image]
    return get


def same(truth, mount, digest, more=()):
    """No difference: compare-trees.py for what is not in a tar, tar for the rest, its bytes included."""
    assert compare_trees(truth, mount.path, '--meta-only', *more) == []
    if tar_digest(mount.path) != digest:
        assert compare_trees(truth, mount.path) == []
        raise AssertionError('tar makes another archive of the mount')


# ---- equal trees
@pytest.mark.parametrize('tag', mkedge.TAGS)
def test_from_a_layout(lab, eager, digest_of, edge_layout, tag):
    image = 'oci:%s:%s' % (edge_layout, tag)
    same(eager(image), lab.mount(image), digest_of(image))


@pytest.mark.parametrize('tag', ['edge-gzip', 'edge-zstd', 'edge-raw', 'edge-mixed', 'edge-gzmulti', 'odd-hlcross'])
def test_from_a_registry(lab, eager, digest_of, edge_layout, registry, tag):
    where = '%s/mount-%s:x' % (registry, tag)
    push(edge_layout, tag, where)
    image = 'oci:%s:%s' % (edge_layout, tag)
    same(eager(image), lab.mount(where, '--tls-verify=false'), digest_of(image))


def test_a_docker_archive(lab, eager, edge_layout, place):
    need_tool('skopeo')
    archive = 'docker-archive:%s' % (place / 'a.tar')
    subprocess.run(['skopeo', 'copy', '-q', 'oci:%s:edge-gzip' % edge_layout, archive + ':some/name:tag'], check=True)
    assert compare_trees(eager('oci:%s:edge-gzip' % edge_layout), lab.mount(archive).path) == []


@pytest.fixture(scope='module')
def converted(converter, scratch):
    """{kind: layout} of an image of all kinds of entries, converted by ctr-remote ('esgz', 'zb') and skopeo ('za').

    Each has a layout of its own: skopeo remembers places, and would take a layer that it believes to be the same.
    """
    source = mkimage.Layout(scratch / 'to-convert')
    tars = [mkedge.layer1().bytes(), mkedge.layer2().bytes(), lazyimages.work_layer('work', 60, 1 << 20)]
    source.tag('x', source.image([mkimage.pack(lazyimages.trimmed(t)) for t in tars]))
    out = {kind: scratch / ('converted-' + kind) for kind in KIND}
    converter.estargz(source.d, 'x', out['esgz'], 'x', '--estargz-compression-level', '1')
    converter.zchunked(source.d, 'x', out['zb'], 'x')
    convert.skopeo_zchunked(source.d, 'x', out['za'], 'x')
    return out


KIND = {'esgz': 'estargz', 'za': 'zstd:chunked', 'zb': 'zstd:chunked'}

# What the converters' tables do not hold, the mount cannot show; the eager tree first.
LOST_BY_CONVERTERS = [
    # JSON has no bytes that are not UTF-8: they become U+FFFD
    r'only-a\tnames/latin1-\\xe9\\xff\tfile\t', 'only-b\tnames/latin1-\ufffd\ufffd\tfile\t',
]


def lost(line):
    return any(re.fullmatch(p, line) for p in LOST_BY_CONVERTERS)


@pytest.mark.parametrize('kind', KIND)
def test_what_the_converters_make(lab, eager, converted, registry, kind):
    where = '%s/converted-%s:x' % (registry, kind)
    push(converted[kind], 'x', where)
    mount = lab.mount(where, '--tls-verify=false')
    truth = eager('oci:%s:x' % converted[kind])
    assert [d for d in compare_trees(truth, mount.path) if not lost(d)] == []
    assert tar_digest(mount.path / 'work', ns=False) == tar_digest(truth / 'work', ns=False)
    big = [layer for layer in mount.layers() if layer['blob_bytes'] > 1 << 20]
    used = [layer for layer in big if not layer['table_refused']]
    assert used and all(layer['table'] == KIND[kind] and layer['trust'] == 'bound' for layer in used), big
    # the layer with a name that is not UTF-8: JSON cannot hold it, so the table is not believed
    refused = [layer for layer in big if layer['table_refused']]
    assert all('UTF-8' in layer['table_refused'] and layer['table'] == 'scan' for layer in refused), big


SHAPES = {
    'estargz': lambda t: lazyimages.estargz(t),
    'estargz-chunks': lambda t: lazyimages.estargz(t, chunk=60000, whole=False),
    'estargz-47': lambda t: lazyimages.estargz(t, footer_size=47),
    'estargz-inner': lambda t: lazyimages.estargz(t, chunk=50000, share=30000),
    'zchunked-a': lambda t: lazyimages.zchunked(t),
    'zchunked-a-old': lambda t: lazyimages.zchunked(t, prefix=lazyimages.OLD_PREFIX, footer_size=40),
    'zchunked-b': lambda t: lazyimages.zchunked(t, 'B', chunk=100000),
}


def shapes_tar():
    """All kinds of entries whose names are UTF-8, zeros of more than a chunk, and more than 1 MiB."""
    layer = mkimage.Layer()
    layer.d('d', mode=0o2775, uid=3, gid=4).f('d/empty').f('d/one', '1').f('d/zeros', bytes(300000))
    layer.f('d/mixed', mkimage.noise(65536) + bytes(131072) + mkimage.noise(100, b'y')).s('d/link', '../../../etc')
    layer.h('d/hard', 'd/one').h('hard2', 'd/one').f('grüße\n"\\', 'u', mode=0o4755, uid=70000, gid=80000)
    layer.f('x', 'x', xattr={'user.a': 'v', 'user.bin': bytes([0, 255, 10])}).d('x.d', xattr={'user.d': 'd'})
    layer.f('frac', 'f', pax={'mtime': '1700000000.123456789'}).f('no/parent/listed', 'p')
    layer.f('big', lazyimages.text(1 << 20, b'big') + mkimage.noise(1 << 20))
    for n in range(40):
        layer.f('many/%d' % n, mkimage.noise(n * 700, b'%d' % n))
    return layer.bytes()


@pytest.fixture(scope='module')
def shapes(scratch):
    need_tool('zstd')
    layout = mkimage.Layout(scratch / 'shapes')
    tar = shapes_tar()
    over = lazyimages.plain(mkimage.Layer().wh('d/zeros').f('many/7', 'seven').opq('no/parent').bytes())
    for name, make in SHAPES.items():
        layout.tag(name, lazyimages.image(layout, [make(tar), over]))
    return layout.d


@pytest.mark.parametrize('name', SHAPES)
def test_every_shape_of_a_table(lab, eager, digest_of, shapes, name):
    image = 'oci:%s:%s' % (shapes, name)
    mount = lab.mount(image)
    same(eager(image), mount, digest_of(image))
    assert mount.layers()[0]['table'] == ('estargz' if 'estargz' in name else 'zstd:chunked')


def test_a_table_without_annotation_is_not_trusted(lab, eager, place):
    layout = mkimage.Layout(place / 'layout')
    layout.tag('x', lazyimages.image(layout, [lazyimages.estargz(shapes_tar(), annotate=False)]))
    mount = lab.mount('oci:%s:x' % layout.d)
    assert compare_trees(eager('oci:%s:x' % layout.d), mount.path) == []
    assert [layer['table'] for layer in mount.layers()] == ['scan']


def test_a_platform_of_an_index(lab, edge_layout, registry):
    push(edge_layout, 'multi', registry + '/mount-multi:latest', '--all')
    for arch in ('amd64', 'arm64'):
        mount = lab.mount(registry + '/mount-multi', '--tls-verify=false', '--platform', 'linux/' + arch)
        assert (mount.path / 'arch').read_text() == arch + '\n'


# ---- a file system like others
@pytest.fixture
def edge(lab, edge_layout):
    return lab.mount('oci:%s:edge-gzip' % edge_layout).path


def test_hard_links_are_one_inode(edge):
    a, b, c = (os.stat(edge / 'hl' / n) for n in 'abc')
    assert a.st_ino == b.st_ino == c.st_ino and a.st_nlink == 3
    assert (edge / 'hl/b').read_bytes() == (edge / 'hl/a').read_bytes() == mkimage.noise(5000, b'hl')
    assert os.stat(edge / 'hl/stays').st_nlink == 1, 'a whiteout took its other name'
    assert os.lstat(edge / 'hl/sym').st_ino == os.lstat(edge / 'hl/sym-hl').st_ino


def test_what_a_whiteout_took_is_gone(edge):
    for name in ('wh/file', 'opq/old1', 'wh/.wh.file', 'opq/.wh..wh..opq', 'wh/nothere'):
        assert not os.path.lexists(edge / name), name
    assert sorted(os.listdir(edge / 'opq')) == ['new1', 'new2']


def test_stat_and_statfs(edge):
    s = os.stat(edge / 'size/4097')
    assert s.st_blocks == 9 and s.st_size == 4097 and s.st_blksize >= 4096
    assert os.stat(edge).st_ino == 1
    fs = os.statvfs(edge)
    total = sum(os.lstat(os.path.join(d, n)).st_size for d, _, names in os.walk(edge) for n in names)
    assert fs.f_blocks * fs.f_frsize >= total - (1 << 20) > 1 << 20
    assert fs.f_files >= 400 and fs.f_namemax == 255 and fs.f_bavail == fs.f_bfree == 0


@pytest.mark.parametrize('tag', ['edge-sparse', 'odd-gnusparse'])
def test_holes_take_no_blocks(lab, eager, edge_layout, tag):
    image = 'oci:%s:%s' % (edge_layout, tag)
    true, mount = eager(image) / 'sparse', lab.mount(image).path / 'sparse'
    for name in os.listdir(true):
        a, b = os.stat(true / name), os.stat(mount / name)
        assert a.st_size == b.st_size and b.st_blocks <= a.st_blocks < a.st_size / 512, name
        assert (a.st_blocks == 0) == (b.st_blocks == 0), name


def test_it_is_read_only(edge, lab):
    for act in (lambda: (edge / 'new').write_text('x'), lambda: os.unlink(edge / 'etc/passwd'),
                lambda: os.chmod(edge / 'etc/passwd', 0o600), lambda: open(edge / 'etc/passwd', 'r+')):
        with pytest.raises(OSError) as e:
            act()
        assert e.value.errno in (30, 1), e.value
    kind, options = mountinfo(edge)
    assert kind == 'fuse.rootlet' and {'ro', 'nosuid', 'nodev'} <= set(options)


def test_suid_and_dev_are_given_when_asked_for(lab, edge_layout):
    mount = lab.mount('oci:%s:edge-gzip' % edge_layout, '--suid', '--dev')
    assert not {'nosuid', 'nodev'} & set(mountinfo(mount.path)[1])
    with open(mount.path / 'special/null', 'wb') as f:
        f.write(b'x')


def test_links_are_read(edge):
    assert os.readlink(edge / 'ln/verylong') == 'u' * 4000 and os.lstat(edge / 'ln/verylong').st_size == 4000
    assert os.readlink(edge / 'bin/sh') == 'busybox'


def test_names(edge):
    names = os.listdir(os.fsencode(edge / 'names'))
    assert b'latin1-\xe9\xff' in names and b'new\nline' in names and b'n' * 255 in names
    with pytest.raises(FileNotFoundError):
        os.stat(edge / 'names' / 'nothing')
    with pytest.raises(OSError):
        os.stat(edge / 'names' / ('m' * 256))


def test_attributes(edge):
    assert os.getxattr(edge / 'xattr/user', 'user.empty') == b''
    assert sorted(os.listxattr(edge / 'xattr/user')) == ['user.empty', 'user.lab', 'user.utf8']
    assert len(os.getxattr(edge / 'xattr/big', 'user.big')) == 3000
    with pytest.raises(OSError):
        os.getxattr(edge / 'xattr/user', 'user.none')
    assert os.listxattr(edge / 'etc/passwd') == []


def test_times_to_the_nanosecond(edge):
    assert os.stat(edge / 'time/frac').st_mtime_ns == 1700000000123456789
    assert os.stat(edge / 'time/past').st_mtime_ns == -315619200 * 10**9


@pytest.fixture(scope='module')
def program(scratch):
    """An image with a static program."""
    need_tool('busybox')
    layout = mkimage.Layout(scratch / 'program')
    with open(shutil.which('busybox'), 'rb') as f:
        layer = mkimage.Layer().d('bin').f('bin/busybox', f.read(), mode=0o755).s('bin/sh', 'busybox')
    layer.d('etc').f('etc/motd', 'hello\n')
    layout.tag('x', layout.image([mkimage.pack(layer.bytes())]))
    return 'oci:%s:x' % layout.d


def test_programs_run_and_files_map(lab, program):
    mount = lab.mount(program)
    run = [mount.path / 'bin/busybox', 'cat', mount.path / 'etc/motd']
    out = subprocess.run(run, stdout=subprocess.PIPE, timeout=60)
    assert out.stdout == b'hello\n' and out.returncode == 0
    out = subprocess.run(['chroot', mount.path, '/bin/sh', '-c', 'echo $((6*7))'], stdout=subprocess.PIPE, timeout=60)
    assert out.stdout == b'42\n'
    with open(mount.path / 'bin/busybox', 'rb') as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
        assert m[:] == open(shutil.which('busybox'), 'rb').read()


def test_a_directory_of_10000(lab, place):
    layer = mkimage.Layer().d('d')
    for n in range(10000):
        layer.f('d/%05d' % n, b'%d' % n)
    layout = mkimage.Layout(place / 'layout')
    layout.tag('x', layout.image([mkimage.pack(layer.bytes())]))
    mount = lab.mount('oci:%s:x' % layout.d)
    wanted = ['%05d' % n for n in range(10000)]
    for _ in range(2):
        assert sorted(os.listdir(mount.path / 'd')) == wanted
    with os.scandir(mount.path / 'd') as entries:
        assert all(e.is_file(follow_symlinks=False) for e in entries)
    assert (mount.path / 'd/09999').read_text() == '9999'


# ---- who may, and where
NAMESPACE = r'''
set -e
mount --bind %(node)s /dev/fuse
exec setpriv --reuid %(uid)d --regid %(gid)d --clear-groups "$@"
'''

LOOK = r'''
set -e
"$1" mount --fill=off "$2" "$3" >&2
test "$(cat "$3/etc/motd")" = hello
test ! -e "$3/etc/gone"
cmp "$3/big" "$4"
"$1" status "$3" >&2
"$1" umount "$3" >&2
test ! -e "$3/etc"
echo fine
'''


def fuse_node(place):
    """A device like /dev/fuse that everybody may use, as is usual; some machines keep theirs for root."""
    node = place / 'fuse-node'
    os.mknod(node, stat.S_IFCHR | 0o666, os.stat('/dev/fuse').st_rdev)
    node.chmod(0o666)
    return node


def as_user(lab, user, place, script, *args, unshare=('unshare', '--mount')):
    """Run SCRIPT as an ordinary user in a mount namespace of its own."""
    for path in (place, lab.run_dir, lab.place, lab.reports):
        os.chown(path, user.pw_uid, user.pw_gid)
        path.chmod(0o700)
    inside = NAMESPACE % {'node': fuse_node(place), 'uid': user.pw_uid, 'gid': user.pw_gid}
    return runner.run([*unshare, 'sh', '-c', inside, 'sh', *script, *args], 120, env=lab.env())


def prepare_user(lab, place, small_layout, user):
    shutil.copytree(small_layout, place / 'layout')
    (place / 'big').write_bytes(mkimage.noise(300000))
    (place / 'mnt').mkdir()
    for path in (place / 'mnt', place / 'big'):
        os.chown(path, user.pw_uid, user.pw_gid)
    return 'oci:%s' % (place / 'layout'), place / 'mnt', place / 'big'


def test_an_ordinary_user(lab, binary, ordinary_user, place, small_layout):
    """Through fusermount3."""
    where = prepare_user(lab, place, small_layout, ordinary_user)
    done = as_user(lab, ordinary_user, place, ['sh', '-c', LOOK, 'sh', binary], *where)
    assert done.rc == 0 and done.out == b'fine\n', done


def test_in_a_user_namespace(lab, binary, ordinary_user, place, small_layout):
    where = prepare_user(lab, place, small_layout, ordinary_user)
    done = as_user(lab, ordinary_user, place, ['unshare', '-Urm', 'sh', '-c', LOOK, 'sh', binary], *where)
    assert done.rc == 0 and done.out == b'fine\n', done


def test_others_may_look_when_root_mounts(lab, ordinary_user, program):
    mount = lab.mount(program)
    os.chmod(lab.place, 0o755)
    look = ['setpriv', '--reuid', str(ordinary_user.pw_uid), '--regid', str(ordinary_user.pw_gid), '--clear-groups',
            'cat', mount.path / 'etc/motd']
    assert subprocess.run(look, stdout=subprocess.PIPE, timeout=60).stdout == b'hello\n'
    alone = lab.mount(program, '--allow-other=false')
    look[-1] = alone.path / 'etc/motd'
    done = subprocess.run(look, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode and done.stdout == b''


# ---- writable
def test_a_writable_mount(lab, program):
    upper = lab.place / 'upper'
    upper.mkdir()
    mount = lab.mount(program, '--upper', upper)
    (mount.path / 'etc/motd').write_text('changed\n')
    (mount.path / 'new').write_text('new\n')
    (mount.path / 'bin/sh').unlink()
    assert (mount.path / 'etc/motd').read_text() == 'changed\n'
    assert sorted(os.listdir(mount.path)) == ['bin', 'etc', 'new'] and os.listdir(mount.path / 'bin') == ['busybox']
    mount.umount()
    assert not [path for path, _, _ in mounts() if path.startswith((str(lab.place), str(lab.run_dir)))]
    assert (upper / 'etc/motd').read_text() == 'changed\n' and (upper / 'new').read_text() == 'new\n'
    again = lab.mount(program, '--upper', upper)
    assert (again.path / 'etc/motd').read_text() == 'changed\n' and not os.path.lexists(again.path / 'bin/sh')
    plain = lab.mount(program)
    assert (plain.path / 'etc/motd').read_text() == 'hello\n', 'the image itself does not change'


WRITE = r'''
set -e
mkdir -p "$4/upper"
"$1" mount --fill=off --upper "$4/upper" "$2" "$3" >&2
echo changed >"$3/etc/motd"
test "$(cat "$3/etc/motd")" = changed
cmp "$3/big" "$5"
"$1" umount "$3" >&2
test "$(cat "$4/upper/etc/motd")" = changed
echo fine
'''


def test_a_writable_mount_in_a_user_namespace(lab, binary, ordinary_user, place, small_layout):
    image, mnt, big = prepare_user(lab, place, small_layout, ordinary_user)
    write = ['unshare', '-Urm', 'sh', '-c', WRITE, 'sh', binary]
    done = as_user(lab, ordinary_user, place, write, image, mnt, lab.place, big)
    assert done.rc == 0 and done.out == b'fine\n', done


def test_a_writable_mount_of_an_ordinary_user(lab, binary, ordinary_user, place, small_layout):
    """The kernel's overlay is not for them: fuse-overlayfs is."""
    need_tool('fuse-overlayfs')
    image, mnt, big = prepare_user(lab, place, small_layout, ordinary_user)
    script = WRITE.replace('cmp ', 'grep -q " $3 .* fuse.fuse-overlayfs " /proc/self/mountinfo\ncmp ')
    write = ['sh', '-c', script, 'sh', binary]
    done = as_user(lab, ordinary_user, place, write, image, mnt, lab.place, big)
    assert done.rc == 0 and done.out == b'fine\n', done


def test_no_overlay_at_all(lab, binary, ordinary_user, place, small_layout):
    """Refused by the kernel, and there is no fuse-overlayfs: both are said, and nothing stays."""
    image, mnt, _ = prepare_user(lab, place, small_layout, ordinary_user)
    tools = place / 'bin'
    tools.mkdir()
    for name in ('sh', 'fusermount3'):
        (tools / name).symlink_to(shutil.which(name))
    script = 'PATH=%s; "$1" mount --fill=off --upper "$4" "$2" "$3"' % tools
    done = as_user(lab, ordinary_user, place, ['sh', '-c', script, 'sh', binary], image, mnt, place / 'upper')
    said = done.text.splitlines()[-1]
    assert done.rc == 7 and 'overlay' in said and 'fuse-overlayfs' in said, done
    assert lab.records() == [] and not lab.logs()


# ---- what it costs
@pytest.fixture
def counting(work_layout, place):
    """A registry that counts, with the work images: 'HOST/work:TAG'."""
    server = FaultRegistry(work_layout, place / 'registry')
    server.configure()
    yield server
    server.stop()


def blobs(seen):
    return [r for r in seen.log if r['kind'] in ('blob', 'cdn')]


@pytest.mark.parametrize('tag', ['gzip', 'estargz', 'zstd', 'inner'])
def test_the_second_mount_asks_for_the_manifest_only(lab, eager, work_layout, counting, tag):
    truth, image = eager('oci:%s:%s' % (work_layout, tag)), '%s/work:%s' % (counting.host, tag)
    size = layers_size(work_layout, tag)
    mount = lab.mount(image)
    read_right(truth, mount.path)
    assert counting.seen().blob_bytes <= 1.1 * size, 'reading everything costs more than fetching everything'
    mount.umount()
    counting.configure()
    mount = lab.mount(image)
    seen = counting.seen()
    assert blobs(seen) == [] and seen.requests <= 2, seen.log
    read_right(truth, mount.path)
    assert blobs(counting.seen()) == []
    mount.umount()
    counting.stop()
    mount = lab.mount(image)
    read_right(truth, mount.path)
    mount.umount()


def layers_size(layout, tag):
    it = mkimage.Layout(layout)
    top = next(m for m in it.i['manifests'] if m['annotations'][mkimage.REF_NAME] == tag)
    with open(it.path(top['digest'])) as f:
        return sum(layer['size'] for layer in json.load(f)['layers'])


@pytest.mark.parametrize('tag', ['estargz', 'inner'])
def test_only_what_is_read_is_fetched(lab, eager, work_layout, counting, tag):
    """A few of 500 files: far from all bytes; the first request for them is not one a file."""
    truth, image = eager('oci:%s:%s' % (work_layout, tag)), '%s/work:%s' % (counting.host, tag)
    mount = lab.mount(image, '--no-prefetch')
    counting.configure()
    size = layers_size(work_layout, tag)
    one = mount.path / 'one/d003/f00150'
    assert filecmp.cmp(one, truth / 'one/d003/f00150', shallow=False)
    assert 0 < counting.seen().blob_bytes < size / 3
    read_right(truth, mount.path, '--only', 'one/d00')
    assert len(blobs(counting.seen())) < 150, '300 files must not take 300 requests'


def test_two_mounts_share_what_one_fetched(lab, eager, work_layout, counting):
    truth, image = eager('oci:%s:estargz' % work_layout), '%s/work:estargz' % counting.host
    first, second = lab.mount(image), lab.mount(image)
    read_right(truth, first.path)
    counting.configure()
    read_right(truth, second.path)
    assert blobs(counting.seen()) == []


def test_a_scan_costs_one_download(lab, work_layout, counting):
    lab.mount('%s/work:gzip' % counting.host)
    seen = counting.seen()
    assert seen.blob_bytes <= 1.01 * layers_size(work_layout, 'gzip') + 10000
