"""The images: built by buildah from a base made here, then used as Concourse uses a resource type.

One build serves all tests.  The worker's image is mounted lazily in; the resource's image runs check, in and out under
runc, and what it makes is compared with what the program on this machine makes.
"""
import json, os, pathlib, subprocess

import pytest

import baseimage
import conftest
import garden
import mkimage

SOURCE = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def buildah(scratch):
    conftest.need_root()
    conftest.need_tool('mmdebstrap', 'buildah', 'runc')
    it = baseimage.Buildah(scratch / 'buildah')
    baseimage.make(scratch / 'base.tar')
    it.add_base(scratch / 'base.tar', 'localhost/base')
    yield it
    it.close()


@pytest.fixture(scope='module')
def unpacked(buildah, rootlet, scratch):
    """unpacked(target): (the image as an OCI layout, its tree)"""
    made = {}

    def get(target):
        if target not in made:
            name, layout = buildah.build(SOURCE, target, 'localhost/base'), scratch / ('layout-' + target)
            buildah('push', '--quiet', name, 'oci:%s:x' % layout)
            tree = scratch / ('tree-' + target)
            assert rootlet('unpack', 'oci:%s:x' % layout, tree).rc == 0
            made[target] = layout, tree
        return made[target]
    return get


@pytest.fixture(scope='module')
def container(unpacked, scratch):
    """The resource's tree, owned as a worker owns it."""
    tree = unpacked('resource')[1]
    garden.own(tree)
    return garden.Container(tree, scratch / 'garden')


@pytest.fixture(scope='module')
def image(registry, scratch):
    """An image of a few odd files in a registry."""
    layout = mkimage.Layout(scratch / 'image-layout')
    base = mkimage.Layer().d('./').d('bin').d('etc').d('tmp', mode=0o1777).f('bin/su', b'x' * 9999, mode=0o4755)
    base.f('etc/passwd', 'root:x:0:0::/:/bin/sh\nme:x:1000:1000::/:/bin/sh\n').f('etc/mine', 'mine\n', uid=1000, gid=1000, mode=0o600)
    base.s('bin/sh', 'su').h('bin/hard', 'bin/su').f('etc/old', 'gone soon')
    top = mkimage.Layer().d('etc').wh('etc/old').f('etc/new', 'new\n')
    layout.tag('v1', layout.image([mkimage.pack(base.bytes()), mkimage.pack(top.bytes(), 'zstd')],
                                  config={'Env': ['A=b'], 'User': 'me', 'Cmd': ['sh']}))
    conftest.push(layout.d, 'v1', registry + '/odd:v1')
    return {'repository': registry + '/odd', 'tag': 'v1', 'insecure': True}


def ask(container, name, request, *args, **how):
    status, out, text = container.run(['/opt/resource/' + name, *args], request, **how)
    assert status == 0, text
    return json.loads(out), text


def listing(top):
    """What is in a tree, owners as the container sees them."""
    names = {garden.LAST_ID: 0}
    found = {}
    for path in sorted(top.rglob('*')):
        s = path.lstat()
        found[str(path.relative_to(top))] = (
            oct(s.st_mode), names.get(s.st_uid, s.st_uid), names.get(s.st_gid, s.st_gid), int(s.st_mtime),
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None)
    return found


def test_the_unit_tests_pass_in_their_stage(buildah):
    buildah.build(SOURCE, 'tests', 'localhost/base')


def test_the_resource_is_three_names_of_one_program(unpacked):
    layout, tree = unpacked('resource')
    programs = [(tree / 'opt/resource' / name).stat() for name in ('check', 'in', 'out')]
    assert len({p.st_ino for p in programs}) == 1 and programs[0].st_nlink == 3 and programs[0].st_mode & 0o111 == 0o111
    assert (tree / 'etc/ssl/certs/ca-certificates.crt').stat().st_size > 100000
    manifest = json.loads((layout / 'blobs/sha256' / json.loads((layout / 'index.json').read_text())['manifests'][0]['digest'][7:]).read_text())
    compressed = sum(layer['size'] for layer in manifest['layers'])
    print('the resource: %.1f MB compressed' % (compressed / 1e6))
    assert compressed < 40e6
    for gone in ('usr/bin/gcc', 'usr/bin/python3', 'usr/bin/meson', 'src'):
        assert not (tree / gone).exists()


def test_check_in_and_out_as_concourse_runs_them(container, image, rootlet, scratch):
    versions, _ = ask(container, 'check', {'source': image})
    assert len(versions) == 1 and versions[0]['tag'] == 'v1'

    get = scratch / 'get'
    get.mkdir()
    garden.own(get)
    got, text = ask(container, 'in', {'source': image, 'version': versions[0]}, '/tmp/build/get', mounts=[('/tmp/build/get', get, 'rw')])
    assert got['version'] == versions[0] and {'name': 'tag', 'value': 'v1'} in got['metadata'], got
    told = json.loads((get / 'metadata.json').read_text())
    assert (told['env'], told['user'], told['cmd']) == (['A=b'], 'me', ['sh']), told
    assert rootlet('unpack', '--tls-verify=false', image['repository'] + ':v1', scratch / 'here').rc == 0
    assert listing(get / 'rootfs') == listing(scratch / 'here'), text

    put = scratch / 'put'
    layout = mkimage.Layout(put / 'built')
    layout.tag('x', layout.image([mkimage.pack(mkimage.Layer().d('./').f('hello', 'world').bytes())]))
    garden.own(put)
    target = {'repository': image['repository'] + '-out', 'insecure': True}
    done, text = ask(container, 'out', {'source': target, 'params': {'image': 'built', 'version': '1.2.3', 'bump_aliases': True}},
                     '/tmp/build/put', mounts=[('/tmp/build/put', put, 'ro')])
    assert done['version']['tag'] == '1.2.3', done
    for tag in ('1.2.3', '1.2', '1', 'latest'):
        again, _ = ask(container, 'check', {'source': dict(target, tag=tag)})
        assert again[-1]['digest'] == done['version']['digest'], tag


def test_a_worker_s_certificates_hide_the_image_s(container, image, scratch):
    """--certs-dir: the worker's directory is bound over /etc/ssl/certs, with a bundle or only files."""
    certs = scratch / 'certs'
    certs.mkdir()
    (certs / 'own.pem').write_bytes((container.rootfs / 'etc/ssl/certs/ca-certificates.crt').read_bytes())
    versions, _ = ask(container, 'check', {'source': image}, mounts=[('/etc/ssl/certs', certs, 'ro')])
    assert len(versions) == 1


def test_an_error_is_one_line_and_no_json(container, image):
    status, out, text = container.run(['/opt/resource/check'], {'source': dict(image, repository=image['repository'] + '/nothing')})
    assert (status, out) == (0, '[]\n') or (status != 0 and out == ''), text
    status, out, text = container.run(['/opt/resource/in', '/tmp/get'], {'source': image, 'version': {'digest': 'sha256:' + '0' * 64}})
    assert status != 0 and out == '' and '0000' in text, text


def test_the_worker_mounts_lazily(unpacked, image, scratch):
    """The worker's image with /dev/fuse, as a worker's container has it: host root, chrooted."""
    tree = unpacked('worker')[1]
    (tree / 'mnt/x').mkdir()
    script = ('mount --bind /dev /dev_; exec chroot . sh -c \'rootlet mount --tls-verify=false "$1" /mnt/x && cat /mnt/x/etc/new && '
              'rootlet status /mnt/x >/dev/null && rootlet umount /mnt/x\' sh "$1"')
    script = 'mount --make-rprivate / && mount --bind /dev dev && mount -t proc proc proc && ' + script.split('; ', 1)[1]
    done = subprocess.run(['unshare', '--mount', 'sh', '-c', script, 'sh', image['repository'] + ':v1'], cwd=tree, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)
    assert done.stdout == b'new\n' and done.returncode == 0, done
