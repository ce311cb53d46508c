"""Everything that goes wrong: its message, its exit status, and that the destination is as it was."""
import contextlib, hashlib, json, os, shutil, signal, subprocess, time, zlib

import pytest

import mkimage
import runner
from conftest import (compare_trees, free_port, mounted, need_root, need_tool, push, registry_running, snapshot)

GIB = 1 << 30


def fails(rootlet, status, says, *args, target, **how):
    """The run ends with STATUS, says all of SAYS, answers nothing, and leaves TARGET alone."""
    before = snapshot(target)
    done = rootlet('unpack', *args, target, **how)
    assert done.rc == status, done
    assert done.out == b'', done
    last = done.text.splitlines()[-1]
    assert last.startswith('rootlet: '), done
    for word in says if isinstance(says, list) else [says]:
        assert word.lower() in last.lower(), done
    assert snapshot(target) == before, 'the destination changed'
    return done


# ---- not found
def test_no_such_tag_in_a_layout(rootlet, small_layout, place):
    fails(rootlet, 3, ["'nosuch'", small_layout], 'oci:%s:nosuch' % small_layout, target=place / 'root')


def test_no_such_layout(rootlet, place):
    fails(rootlet, 3, "no such file", 'oci:%s:x' % (place / 'nothing'), target=place / 'root')


def test_a_directory_that_is_no_layout(rootlet, place):
    (place / 'empty').mkdir()
    done = rootlet('unpack', 'oci:%s:x' % (place / 'empty'), place / 'root')
    assert done.rc in (3, 6) and done.out == b'' and not (place / 'root').exists(), done


@pytest.mark.parametrize('kind', ['oci-archive', 'docker-archive'])
def test_no_such_archive(rootlet, place, kind):
    fails(rootlet, 3, "no such file", '%s:%s' % (kind, place / 'nothing.tar'), target=place / 'root')


def test_no_such_tag_in_a_registry(rootlet, registry, small_layout, place):
    push(small_layout, 'latest', registry + '/there:latest')
    fails(rootlet, 3, [registry, 'there', 'nosuch'], '--tls-verify=false', registry + '/there:nosuch', target=place / 'root')


def test_no_such_repository(rootlet, registry, place):
    fails(rootlet, 3, [registry, 'not/there'], '--tls-verify=false', registry + '/not/there', target=place / 'root')


def test_no_such_digest(rootlet, registry, small_layout, place):
    push(small_layout, 'latest', registry + '/there:latest')
    digest = 'sha256:' + '0' * 64
    fails(rootlet, 3, digest, '--tls-verify=false', registry + '/there@' + digest, target=place / 'root')


# ---- network
def test_no_such_host(rootlet, place):
    fails(rootlet, 5, 'no-such-host.invalid', 'no-such-host.invalid/x', target=place / 'root')


def test_nobody_listens(rootlet, place):
    host = '127.0.0.1:%d' % free_port()
    fails(rootlet, 5, host, '--tls-verify=false', host + '/x', target=place / 'root')


# ---- denied
# htpasswd -nbB tester right-password
HTPASSWD = 'tester:$2y$05$2VdfE3Xcz1B1ozI/o0ACce9N.TmE0zlPHT1okJWZU4ln8zBORPS9a\n'


@pytest.fixture(scope='module')
def guarded(scratch, small_layout):
    """A registry that wants a password, with an image."""
    base = scratch / 'guarded'
    (scratch / 'guarded.htpasswd').write_text(HTPASSWD)
    extra = 'auth: {htpasswd: {realm: test, path: %s}}\n' % (scratch / 'guarded.htpasswd')
    with registry_running(base, extra) as host:
        push(small_layout, 'latest', host + '/app:latest', '--dest-creds', 'tester:right-password')
        yield host


def auth_file(place, host, user, password):
    import base64
    path = place / 'auth.json'
    path.write_text(json.dumps({'auths': {host: {'auth': base64.b64encode(('%s:%s' % (user, password)).encode()).decode()}}}))
    return path


def test_a_password_is_needed(rootlet, guarded, place):
    fails(rootlet, 4, guarded, '--tls-verify=false', guarded + '/app', target=place / 'root')


def test_a_wrong_password(rootlet, guarded, place):
    path = auth_file(place, guarded, 'tester', 'wr0ng-password')
    done = fails(rootlet, 4, [guarded, str(path)], '--tls-verify=false', '--authfile', path, guarded + '/app',
                 target=place / 'root')
    assert 'wr0ng' not in done.text
    debug = rootlet('unpack', '--debug', '--tls-verify=false', '--authfile', path, guarded + '/app', place / 'root')
    assert debug.rc == 4 and 'wr0ng' not in debug.text and 'd3IwbmctcGFzc3dvcmQ' not in debug.text
    import base64
    assert base64.b64encode(b'tester:wr0ng-password').decode() not in debug.text


def test_the_right_password(rootlet, guarded, place):
    path = auth_file(place, guarded, 'tester', 'right-password')
    done = rootlet('unpack', '--tls-verify=false', '--authfile', path, guarded + '/app', place / 'root')
    assert done.rc == 0, done
    done = rootlet('unpack', '--tls-verify=false', guarded + '/app', place / 'root2', env={'REGISTRY_AUTH_FILE': str(path)})
    assert done.rc == 0, done


def test_no_such_authfile(rootlet, guarded, place):
    fails(rootlet, 3, str(place / 'none.json'), '--authfile', place / 'none.json', guarded + '/app', target=place / 'root')


def test_an_authfile_that_is_no_json(rootlet, guarded, place):
    (place / 'auth.json').write_text('{"auths": sesame')
    done = fails(rootlet, 6, str(place / 'auth.json'), '--authfile', place / 'auth.json', guarded + '/app', target=place / 'root')
    assert 'sesame' not in done.text


def test_a_place_one_may_not_write(rootlet, ordinary_user, small_layout, place):
    fails(rootlet, 4, 'permission denied', 'oci:%s:latest' % small_layout, target=place / 'root', user=ordinary_user)


# ---- TLS
@pytest.fixture(scope='module')
def https(scratch, small_layout):
    """A registry with a certificate nobody signed."""
    need_tool('openssl')
    key, crt = scratch / 'https.key', scratch / 'https.crt'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', crt, '-days', '2',
                    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], check=True, stderr=subprocess.DEVNULL)
    with registry_running(scratch / 'https', http='  tls: {certificate: %s, key: %s}\n' % (crt, key)) as host:
        push(small_layout, 'latest', host + '/app:latest')
        yield host


def test_a_certificate_nobody_signed(rootlet, https, place):
    fails(rootlet, 5, [https, 'certificate'], https + '/app', target=place / 'root')
    for option in ('--tls-verify', '--tls-verify=true'):
        fails(rootlet, 5, [https, 'certificate'], option, https + '/app', target=place / 'root')


def test_a_certificate_unchecked_on_demand(rootlet, https, place):
    done = rootlet('unpack', '--tls-verify=false', https + '/app', place / 'root')
    assert done.rc == 0, done


# ---- the destination
@pytest.mark.parametrize('what', ['file', 'hidden', 'directory', 'link'])
def test_a_destination_that_is_not_empty(rootlet, small_layout, place, what):
    root = place / 'root'
    root.mkdir(0o750)
    if what == 'directory':
        (root / 'd').mkdir()
    elif what == 'link':
        (root / 'l').symlink_to('nowhere')
    else:
        (root / {'file': 'f', 'hidden': '.f'}[what]).write_text('mine')
    fails(rootlet, 2, ['not empty', str(root)], 'oci:%s:latest' % small_layout, target=root)


def test_a_destination_that_is_a_file(rootlet, small_layout, place):
    (place / 'root').write_text('mine')
    fails(rootlet, 2, ['directory', str(place / 'root')], 'oci:%s:latest' % small_layout, target=place / 'root')
    assert (place / 'root').read_text() == 'mine'


def test_a_destination_without_parent(rootlet, small_layout, place):
    fails(rootlet, 3, str(place / 'no/root'), 'oci:%s:latest' % small_layout, target=place / 'no/root')


def test_an_empty_destination_is_used_and_restored(rootlet, small_layout, place):
    root = place / 'root'
    root.mkdir(0o750)
    fails(rootlet, 3, 'nosuch', 'oci:%s:nosuch' % small_layout, target=root)
    assert rootlet('unpack', 'oci:%s:latest' % small_layout, root).rc == 0
    assert (root / 'etc/motd').read_text() == 'hello\n'


# ---- corrupt layers
def one_layer(place, tar, codec='gzip', blob=None, **more):
    layout = mkimage.Layout(place / 'layout')
    packed = mkimage.pack(tar, codec, blob)
    layout.tag('x', layout.image([packed], **more))
    return layout, packed[2]


def some_tar():
    layer = mkimage.Layer().d('d')
    for i in range(30):
        layer.f('d/%d' % i, mkimage.noise(5000, b'%d' % i))
    return layer.bytes()


def layer_path(layout):
    with open(layout.path(layout.i['manifests'][0]['digest'])) as f:
        return layout.path(json.load(f)['layers'][0]['digest'])


def rewrite(path, data):
    with open(path, 'wb') as f:
        f.write(data)


CODECS = ['gzip', 'zstd', '']
PLACES = [0, 1, 0.001, 0.3, 0.5, 0.9, 0.9999]


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('part', PLACES)
def test_a_blob_with_a_flipped_bit(rootlet, place, codec, part):
    layout, blob = one_layer(place, some_tar(), codec)
    at = part if isinstance(part, int) else int(len(blob) * part)
    rewrite(layer_path(layout), blob[:at] + bytes([blob[at] ^ 0x10]) + blob[at + 1:])
    fails(rootlet, 6, 'layer 1', 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('part', PLACES)
def test_a_blob_cut_short(rootlet, place, codec, part):
    layout, blob = one_layer(place, some_tar(), codec)
    rewrite(layer_path(layout), blob[:part if isinstance(part, int) else int(len(blob) * part)])
    fails(rootlet, 6, 'layer 1', 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('codec', CODECS)
def test_a_blob_longer_than_it_says(rootlet, place, codec):
    layout, blob = one_layer(place, some_tar(), codec)
    rewrite(layer_path(layout), blob + b'\0')
    fails(rootlet, 6, 'layer 1', 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('codec', ['gzip', 'zstd'])
@pytest.mark.parametrize('part', PLACES[1:])
def test_a_stream_cut_short_under_a_right_digest(rootlet, place, codec, part):
    blob = mkimage.pack(some_tar(), codec)[2]
    cut = blob[:part if isinstance(part, int) else int(len(blob) * part)]
    layout, _ = one_layer(place, some_tar(), codec, cut)
    fails(rootlet, 6, 'layer 1', 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('part', [0.3, 0.5, 0.9])
def test_a_tar_cut_short_under_right_digests(rootlet, place, codec, part):
    tar = some_tar()
    tar = tar[:int(len(tar) * part) | 1]
    layout, _ = one_layer(place, tar, codec)
    fails(rootlet, 6, 'layer 1', 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('codec', CODECS)
def test_a_wrong_diff_id(rootlet, place, codec):
    wrong = 'sha256:' + hashlib.sha256(b'other').hexdigest()
    layout, _ = one_layer(place, some_tar(), codec, diff_ids=[wrong])
    fails(rootlet, 6, ['layer 1', wrong], 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('count', [0, 2])
def test_a_wrong_number_of_diff_ids(rootlet, place, count):
    layout, _ = one_layer(place, some_tar(), diff_ids=['sha256:' + '0' * 64] * count)
    fails(rootlet, 6, 'layer', 'oci:%s:x' % layout.d, target=place / 'root')


def test_a_missing_layer(rootlet, place):
    layout, _ = one_layer(place, some_tar())
    os.unlink(layer_path(layout))
    fails(rootlet, 3, 'layer 1', 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('what', ['manifest', 'config'])
@pytest.mark.parametrize('how', ['flip', 'cut', 'empty'])
def test_a_tampered_document(rootlet, place, what, how):
    layout, _ = one_layer(place, some_tar())
    path = layout.path(layout.i['manifests'][0]['digest'])
    if what == 'config':
        with open(path) as f:
            path = layout.path(json.load(f)['config']['digest'])
    with open(path, 'rb') as f:
        data = f.read()
    rewrite(path, {'flip': data.replace(b'linux', b'lInux').replace(b'schemaVersion', b'schemaversion'),
                   'cut': data[:-1], 'empty': b''}[how])
    fails(rootlet, 6, 'sha256:' if how == 'flip' else os.path.basename(path)[:12], 'oci:%s:x' % layout.d, target=place / 'root')


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('how', ['flip', 'cut'])
def test_a_registry_that_serves_wrong_bytes(rootlet, registry, scratch, place, codec, how):
    layout, blob = one_layer(place, mkimage.Layer().f(codec + how, mkimage.noise(50000, (codec + how).encode())).bytes(), codec)
    push(layout.d, 'x', registry + '/tampered:x')
    digest = hashlib.sha256(blob).hexdigest()
    stored = scratch / 'registry/data/docker/registry/v2/blobs/sha256' / digest[:2] / digest / 'data'
    middle = len(blob) // 2
    rewrite(stored, blob[:middle] + (bytes([blob[middle] ^ 1]) + blob[middle + 1:] if how == 'flip' else b''))
    done = rootlet('unpack', '--tls-verify=false', registry + '/tampered:x', place / 'root')
    assert done.rc in ((6,) if how == 'flip' else (5, 6)), done
    assert done.out == b'' and digest[:12] in done.text and not (place / 'root').exists()


# ---- bombs
def bomb(gib, ratio_file='zeros'):
    """(blob, size of the tar): GIB GiB of zeros behind about GIB MiB of gzip, made without inflating it here."""
    header = mkimage.tarfile.TarInfo(ratio_file)
    header.size = gib * GIB
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = c.compress(header.tobuf(mkimage.tarfile.GNU_FORMAT)) + c.flush(zlib.Z_FULL_FLUSH)
    chunk = c.compress(bytes(64 << 20)) + c.flush(zlib.Z_FULL_FLUSH)
    end = c.compress(bytes(1024)) + c.flush()
    return b'\x1f\x8b\x08\0\0\0\0\0\0\xff' + head + chunk * (16 * gib) + end + bytes(8)


def test_a_bomb_of_10_gib_behind_10_mib(rootlet, sanitized, disk, place):
    blob = bomb(10)
    assert len(blob) < 11 << 20
    layout = mkimage.Layout(place / 'layout')
    layout.tag('x', layout.image([(b'', 'gzip', blob)]))
    free = shutil.disk_usage(disk).free
    done = fails(rootlet, 6, ['layer 1', '--allow-bomb'], 'oci:%s:x' % layout.d, target=place / 'root')
    assert done.seconds < (120 if sanitized else 30)
    assert sanitized or done.rss_mib < 256
    os.sync()
    assert shutil.disk_usage(disk).free > free - (64 << 20), 'disk space is lost'


def test_a_bomb_may_be_allowed(rootlet, place):
    tar = mkimage.Layer().f('zeros', bytes(GIB + (64 << 20))).bytes()
    layout, blob = one_layer(place, tar)
    assert len(tar) / len(blob) < 500 or fails(rootlet, 6, '--allow-bomb', 'oci:%s:x' % layout.d, target=place / 'root')
    done = rootlet('unpack', '--allow-bomb', 'oci:%s:x' % layout.d, place / 'root')
    assert done.rc == 0 and (place / 'root/zeros').stat().st_size == GIB + (64 << 20)


def test_max_unpacked_is_a_limit(rootlet, place):
    layout, _ = one_layer(place, some_tar())
    fails(rootlet, 6, '--max-unpacked', '--max-unpacked', '100K', 'oci:%s:x' % layout.d, target=place / 'root')
    assert rootlet('unpack', '--max-unpacked', '200K', 'oci:%s:x' % layout.d, place / 'root').rc == 0


# ---- disk full
def make_wide(directory, files, size):
    """Three layers of FILES files and some links each, a whiteout, an opaque directory."""
    layers = []
    for n in range(3):
        layer = mkimage.Layer().d('./').d('d%d' % n)
        for i in range(files):
            layer.f('d%d/f%d' % (n, i), mkimage.noise(size, b'%d %d' % (n, i)))
        for i in range(20):
            layer.h('d%d/h%d' % (n, i), 'd%d/f%d' % (n, i)).s('d%d/s%d' % (n, i), 'f%d' % i).d('d%d/e%d' % (n, i))
        layers.append(layer)
    layers[1].wh('d0/f7')
    layers[2].d('d1').opq('d1')
    layout = mkimage.Layout(directory)
    layout.tag('x', layout.image([mkimage.pack(x.bytes(), c) for x, c in zip(layers, ('gzip', 'zstd', ''))]))
    return 'oci:%s:x' % layout.d


@pytest.fixture(scope='module')
def wide(rootlet, scratch, disk):
    """(image of 12 MiB, its tree)"""
    need_root()
    need_tool('zstd')
    image, tree = make_wide(scratch / 'wide', 200, 20000), disk / 'wide-tree'
    assert rootlet('unpack', image, tree).rc == 0
    yield image, tree
    shutil.rmtree(tree)


@pytest.fixture(scope='module')
def narrow(rootlet, scratch, disk):
    """(a small image, its tree)"""
    need_root()
    need_tool('zstd')
    image, tree = make_wide(scratch / 'narrow', 40, 3000), disk / 'narrow-tree'
    assert rootlet('unpack', image, tree).rc == 0
    yield image, tree
    shutil.rmtree(tree)


@pytest.fixture(scope='module')
def tiny(rootlet, scratch, disk):
    """(an image of two layers and three names, its tree)"""
    need_root()
    layers = [mkimage.pack(mkimage.Layer().d('d').f('d/a', b'a').bytes(), 'gzip'),
              mkimage.pack(mkimage.Layer().f('d/b', b'b').f('c', b'c').bytes(), 'gzip')]
    layout = mkimage.Layout(scratch / 'tiny')
    layout.tag('x', layout.image(layers))
    image, tree = 'oci:%s:x' % layout.d, disk / 'tiny-tree'
    assert rootlet('unpack', image, tree).rc == 0
    yield image, tree
    shutil.rmtree(tree)


@pytest.mark.parametrize('empty', [False, True], ids=['new', 'empty'])
@pytest.mark.parametrize('kind, kib', [('tmpfs', k) for k in (4, 64, 500, 1000, 3000, 6000, 9000, 11000, 12000)] +
                         [('ext4', k) for k in (1000, 3000, 8000, 12000, 13000)])
def test_a_full_disk(rootlet, wide, scratch, kind, kib, empty):
    with mounted(scratch / 'full', kind, kib << 10) as path:
        root = path / 'root'
        try:
            if empty:
                root.mkdir(0o711)
        except OSError:
            return              # not even room for that
        before, space = snapshot(root), os.statvfs(path)
        done = rootlet('unpack', wide[0], root)
        if done.rc == 0:
            assert compare_trees(wide[1], root,) == []
            return
        assert done.rc == 1 and 'no space left' in done.text.lower() and done.out == b'', done
        assert snapshot(root) == before
        os.sync()
        assert os.statvfs(path).f_ffree == space.f_ffree, 'files were left behind'


@pytest.mark.parametrize('inodes', [2, 3, 4, 10, 100, 600])
def test_a_disk_without_inodes(rootlet, wide, scratch, inodes):
    with mounted(scratch / 'full', 'tmpfs', 64 << 20, ['nr_inodes=%d' % inodes]) as path:
        fails(rootlet, 1, 'no space left', wide[0], target=path / 'root')


CALLS = ['write', 'pwrite64', 'pwritev', 'writev', 'openat', 'openat2', 'mkdirat', 'mkdir', 'renameat', 'renameat2', 'linkat',
         'symlinkat', 'fchmod', 'fchmodat', 'fchown', 'fchownat', 'utimensat', 'ftruncate', 'fallocate', 'getdents64']


def injected(binary, call, error, when, image, target):
    return runner.run(['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=' + call, '-e',
                       'inject=%s:error=%s:when=%d' % (call, error, when), binary, 'unpack', '--quiet', image, target], 120,
                      env={'ASAN_OPTIONS': 'detect_leaks=0:exitcode=%d' % runner.SANITIZER_EXIT})


def leftovers(path):
    return [name for name in os.listdir(path) if name.startswith('.rootlet-unpack-')]


def only_private(path):
    """What a run leaves that could not clean up: the next one removes it."""
    return len(leftovers(path)) == len(os.listdir(path))


@pytest.mark.parametrize('error', ['ENOSPC', 'EIO'])
@pytest.mark.parametrize('call', CALLS)
def test_any_call_may_fail(rootlet, binary, narrow, place, call, error):
    """The n-th call of each thread fails once: either nothing is left or everything is right."""
    need_tool('strace')
    (image, tree), root, right = narrow, place / 'root', 0
    for when in (1, 2, 3, 4, 5, 7, 12, 50):
        done = injected(binary, call, error, when, image, root)
        assert not done.hang and not done.crashed and done.out == b'', (when, done)
        if done.rc == 0:
            assert compare_trees(tree, root) == [], when
            right += 1
        else:
            assert done.rc != 2 and done.err, (when, done)
            # these also serve to clean up, where the same thread's n-th call may be
            if root.exists() and call in ('openat', 'openat2', 'getdents64') and only_private(root):
                assert rootlet('unpack', image, root).rc == 0
                assert compare_trees(tree, root) == [], when
            else:
                assert not root.exists(), (when, done, os.listdir(root))
        shutil.rmtree(root, ignore_errors=True)
        if right == 2:
            break               # there are no more than n calls


# ---- killed in the middle
@pytest.fixture(scope='module')
def long_layout(scratch):
    """What takes a second or so: 6000 files, 60 MiB."""
    layers = []
    for n in range(3):
        layer = mkimage.Layer().d('d%d' % n)
        for i in range(2000):
            layer.f('d%d/f%d' % (n, i), mkimage.noise(10000, b'%d %d' % (n, i)))
        layers.append(mkimage.pack(layer.bytes(), 'gzip'))
    layout = mkimage.Layout(scratch / 'long')
    layout.tag('x', layout.image(layers))
    return layout.d


@pytest.fixture(scope='module')
def long_tree(rootlet, long_layout, disk):
    need_root()
    path = disk / 'long-tree'
    done = rootlet('unpack', 'oci:%s:x' % long_layout, path)
    assert done.rc == 0
    yield path, done.seconds
    shutil.rmtree(path)


def stopped(binary, image, target, number, after):
    """Start an unpack, send a signal AFTER seconds (unless it is done before); its exit status."""
    process = runner.start([binary, 'unpack', '--quiet', image, target])
    fd = os.pidfd_open(process.pid)
    try:
        if not runner.select.select([fd], [], [], after)[0]:
            process.send_signal(number)
    finally:
        os.close(fd)
    rc, _, hang = runner.wait(process, 30)
    assert not hang, 'does not end after signal %d' % number
    return rc


@pytest.mark.parametrize('empty', [False, True], ids=['new', 'empty'])
@pytest.mark.parametrize('tenth', [0.2, 1, 2, 4, 5, 6, 7, 8, 9, 9.5])
def test_killed_and_run_again(rootlet, binary, long_layout, long_tree, place, tenth, empty):
    tree, seconds = long_tree
    root = place / 'root'
    if empty:
        root.mkdir(0o711)
    rc = stopped(binary, 'oci:%s:x' % long_layout, root, signal.SIGKILL, seconds * tenth / 10)
    if rc == 0:
        return                  # it was faster
    assert rc == -signal.SIGKILL
    again(rootlet, 'oci:%s:x' % long_layout, tree, root)


def again(rootlet, image, tree, root):
    """After a kill: either the tree was complete and its maker only had to go, or the next run makes it so."""
    if not root.exists() or not os.listdir(root) or leftovers(root):
        done = rootlet('unpack', image, root)
        assert done.rc == 0, done
    assert compare_trees(tree, root, '--skip-root') == []


@pytest.mark.parametrize('call', ['renameat', 'unlinkat', 'openat', 'utimensat'])
def test_killed_at_each_step_of_the_end(rootlet, binary, tiny, place, call):
    """A small image unpacks with few calls: killed at each of them, the last ones included."""
    need_tool('strace')
    (image, tree), ended = tiny, 0
    for when in range(1, 400):
        root = place / ('root%d' % when)
        rc = runner.run(['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=' + call, '-e',
                         'inject=%s:signal=KILL:when=%d' % (call, when), binary, 'unpack', '--quiet', image, root], 60,
                        env={'ASAN_OPTIONS': 'detect_leaks=0'}).rc
        if rc == 0:
            ended += 1
            assert compare_trees(tree, root) == []
        else:
            assert rc == -signal.SIGKILL, (when, rc)
            ended = 0
            again(rootlet, image, tree, root)
        shutil.rmtree(root)
        if ended == 3:
            return              # threads count for themselves: a few runs to the end
    pytest.fail('still killed at call %d' % when)


@pytest.mark.parametrize('empty', [False, True], ids=['new', 'empty'])
@pytest.mark.parametrize('number, tenth', [(signal.SIGTERM, n) for n in (0.2, 2, 5, 8, 9.5)] +
                         [(signal.SIGINT, 5), (signal.SIGHUP, 3)])
def test_stopped_and_run_again(rootlet, binary, long_layout, long_tree, place, number, tenth, empty):
    tree, seconds = long_tree
    root = place / 'root'
    if empty:
        root.mkdir(0o711)
    before = snapshot(root)
    rc = stopped(binary, 'oci:%s:x' % long_layout, root, number, seconds * tenth / 10)
    if rc == 0:
        return
    assert rc == -number
    assert snapshot(root) == before
    assert rootlet('unpack', 'oci:%s:x' % long_layout, root).rc == 0
    assert compare_trees(tree, root, '--skip-root') == []


def test_stopping_says_so(binary, long_layout, long_tree, place):
    with open(place / 'err', 'wb') as err:
        process = runner.start([binary, 'unpack', 'oci:%s:x' % long_layout, place / 'root'], err=err)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(long_tree[1] / 3)
        process.send_signal(signal.SIGTERM)
        rc, _, hang = runner.wait(process, 30)
    assert not hang and rc == -signal.SIGTERM
    assert (place / 'err').read_text().splitlines()[-1].startswith('rootlet: ')


def test_a_second_signal_ends_it_at_once(binary, place, small_layout):
    """A registry that accepts and never answers: the first signal is noticed, the second does not wait."""
    import socket
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        server.listen()
        image = '127.0.0.1:%d/x' % server.getsockname()[1]
        process = runner.start([binary, 'unpack', '--tls-verify=false', image, place / 'root'])
        server.settimeout(20)
        with server.accept()[0]:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            rc, _, hang = runner.wait(process, 20)
    assert not hang and rc in (128 + signal.SIGTERM, -signal.SIGTERM) and time.monotonic() - began < 2
    assert not (place / 'root').exists()
