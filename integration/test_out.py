"""Pushing and what comes of it: read by others, read by us, disturbed in every way."""
import contextlib, hashlib, json, os, random, re, shutil, signal, subprocess, threading, time

import pytest

import conftest
import mkimage
import mountlib
import push_registry
import runner

NEEDED = ('skopeo',)


@pytest.fixture(scope='module')
def layout(scratch):
    """A layout of tag 'one' (two layers, gzip and plain), 'zstd', 'docker', and 'all', an index of two."""
    lay = mkimage.Layout(scratch / 'push-layout')
    base = mkimage.Layer().d('./').d('etc').f('etc/motd', 'hello\n').f('etc/gone', 'x').f('big', mkimage.noise(2000000))
    top = mkimage.Layer().d('etc').wh('etc/gone').s('motd', 'etc/motd').f('etc/su', 'x', mode=0o4755)
    base, top = base.bytes(), top.bytes()
    one = lay.image([mkimage.pack(base), mkimage.pack(top, '')], labels={'a': 'b'})
    other = lay.image([mkimage.pack(top)], arch='s390x')
    lay.tag('one', one)
    lay.tag('zstd', lay.image([mkimage.pack(base, 'zstd'), mkimage.pack(top, 'zstd')]))
    lay.tag('docker', lay.image([mkimage.pack(base), mkimage.pack(top)], docker=True))
    lay.tag('none', lay.image([]))
    lay.tag('all', lay.index([one, other]))
    return lay


def sha256(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def digest_of(layout, tag):
    return next(m['digest'] for m in layout.i['manifests'] if m['annotations'][mkimage.REF_NAME] == tag)


def put(rootlet, directory, repository, tag='v', **params):
    done = rootlet('out', directory, data=json.dumps(
        {'source': {'repository': repository, 'tag': tag}, 'params': params}).encode(), env={'TEST': 'true'})
    assert done.rc == 0, done
    return json.loads(done.out)['version']


def raw(where):
    return subprocess.run(['skopeo', 'inspect', '--raw', '--tls-verify=false', 'docker://' + where], check=True,
                          stdout=subprocess.PIPE).stdout


# ---- out, then in
@pytest.mark.parametrize('tag', ['one', 'zstd', 'docker', 'none', 'all'])
def test_out_then_in_gives_the_same_tree_and_digest(rootlet, registry, layout, tmp_path, tag):
    """Through in's own oci-layout, as a pipeline that copies images does."""
    source = registry + '/out-in-' + tag
    done = rootlet('push', '--tls-verify=false', 'oci:%s:%s' % (layout.d, tag), source + ':first')
    assert done.rc == 0, done
    version = {'tag': 'first', 'digest': digest_of(layout, tag)}
    got = tmp_path / 'got'
    got.mkdir()
    done = rootlet('in', got, data=json.dumps({'source': {'repository': source}, 'version': version,
                                               'params': {'format': 'oci-layout'}}).encode())
    assert done.rc == 0, done
    assert put(rootlet, tmp_path, source + '-2', image='got/oci') == {'tag': 'v', 'digest': version['digest']}
    trees = []
    for n, repository in enumerate((source + ':first', source + '-2:v')):
        trees.append(tmp_path / ('tree%d' % n))
        done = rootlet('unpack', '--platform=%s' % mkimage.ARCH, '--tls-verify=false', repository, trees[n])
        assert done.rc == 0, done
    assert conftest.compare_trees(*trees) == []
    assert sha256(raw(source + '-2:v')) == version['digest']


def test_the_pipeline_to_try_names_what_its_get_makes(rootlet, registry, layout, tmp_path):
    text = (conftest.HERE.parent / 'docker/concourse/pipeline.yml').read_text()
    step = text[text.index('- name: push'):]
    assert 'get: alpine' in step and 'format: oci-layout' in step
    image = re.search(r'image: (\S+?),', step)[1]
    done = rootlet('push', '--tls-verify=false', 'oci:%s:one' % layout.d, registry + '/try:one')
    assert done.rc == 0, done
    request = {'source': {'repository': registry + '/try'}, 'params': {'format': 'oci-layout'},
               'version': {'tag': 'one', 'digest': digest_of(layout, 'one')}}
    assert rootlet('in', tmp_path / 'alpine', data=json.dumps(request).encode()).rc == 0
    assert put(rootlet, tmp_path, registry + '/try', image=image)['digest'] == digest_of(layout, 'one')


def test_what_out_pushed_is_read_by_others(rootlet, registry, layout, tmp_path):
    conftest.need_tool('skopeo', 'umoci')
    where = registry + '/peers'
    shutil.copytree(layout.d, tmp_path / 'all')
    put(rootlet, tmp_path, where, image='all')
    for tag, kind in (('one', 'oci'), ('docker', 'dir'), ('zstd', 'oci')):
        done = rootlet('push', '--tls-verify=false', 'oci:%s:%s' % (layout.d, tag), where + ':' + tag)
        assert done.rc == 0, done
        conftest.skopeo('copy', '-q', '--src-tls-verify=false', 'docker://%s:%s' % (where, tag),
                        '%s:%s%s' % (kind, tmp_path / tag, ':x' if kind == 'oci' else ''))
    subprocess.run(['umoci', 'unpack', '--rootless', '--image', '%s:x' % (tmp_path / 'one'), tmp_path / 'bundle'],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (tmp_path / 'bundle/rootfs/etc/motd').read_text() == 'hello\n'
    assert not (tmp_path / 'bundle/rootfs/etc/gone').exists()


def test_what_out_pushed_is_pulled_by_podman(rootlet, registry, layout, scratch):
    conftest.need_root()
    conftest.need_tool('podman')
    where = registry + '/podman:v'
    assert rootlet('push', '--tls-verify=false', 'oci:%s:all' % layout.d, where).rc == 0
    podman = ['podman', '--root', scratch / 'pm', '--runroot', scratch / 'pmr', '--storage-driver', 'vfs',
              '--cgroup-manager', 'cgroupfs']
    subprocess.run([*podman, 'pull', '-q', '--tls-verify=false', where], check=True, stdout=subprocess.DEVNULL)
    told = json.loads(subprocess.run([*podman, 'image', 'inspect', where], check=True, stdout=subprocess.PIPE).stdout)
    assert digest_of(layout, 'all') in json.dumps(told)


@contextlib.contextmanager
def containerd(home):
    """ctr's arguments for a containerd of its own."""
    home.mkdir()
    (home / 'config.toml').write_text('version = 2\nroot = "%s/root"\nstate = "%s/state"\n'
                                      'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s/sock"\n'
                                      % (home, home, home))
    with open(home / 'log', 'wb') as log:
        daemon = subprocess.Popen(['containerd', '--config', home / 'config.toml'], stdout=log, stderr=log)
    ctr = ['ctr', '--address', home / 'sock']
    try:
        mountlib.wait_until('containerd answers', 60, lambda: subprocess.run(
            [*ctr, 'version'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0)
        yield ctr
    finally:
        daemon.terminate()
        daemon.wait()


def test_what_out_pushed_is_pulled_by_containerd(rootlet, registry, layout, scratch):
    conftest.need_root()
    conftest.need_tool('containerd', 'ctr')
    where = registry + '/containerd:v'
    assert rootlet('push', '--tls-verify=false', 'oci:%s:one' % layout.d, where).rc == 0
    with containerd(scratch / 'containerd') as ctr:
        subprocess.run([*ctr, 'images', 'pull', '--plain-http', '--snapshotter', 'native', where], check=True,
                       stdout=subprocess.DEVNULL)
        listed = subprocess.run([*ctr, 'images', 'ls'], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert digest_of(layout, 'one') in listed


@pytest.mark.parametrize('kind', ['docker-archive', 'oci-archive'])
def test_archives_of_skopeo_are_pushed(rootlet, registry, layout, tmp_path, kind):
    conftest.skopeo('copy', '-q', 'oci:%s:one' % layout.d, '%s:%s:a:b' % (kind, tmp_path / 'image.tar'))
    version = put(rootlet, tmp_path, registry + '/skopeo-' + kind, image='*.tar')
    assert sha256(raw('%s/skopeo-%s:v' % (registry, kind))) == version['digest']
    done = rootlet('unpack', '--tls-verify=false', '%s/skopeo-%s:v' % (registry, kind), tmp_path / 'tree')
    assert done.rc == 0 and (tmp_path / 'tree/motd').is_symlink(), done


# ---- copy and tag
def copied(rootlet, *args):
    done = rootlet('copy', '--tls-verify=false', *args)
    assert done.rc == 0, done
    return done


def test_copy_goes_from_any_place_to_any_other(rootlet, registry, layout, tmp_path):
    """All the way round: layout, registry, registry, archive, layout, docker archive; the image stays the same."""
    digest = digest_of(layout, 'one')
    way = ['oci:%s:one' % layout.d, registry + '/way-a:1', registry + '/way-b:2', 'oci-archive:%s' % (tmp_path / 'a.tar'),
           'oci:%s:back' % (tmp_path / 'lay'), 'docker-archive:%s:app:1' % (tmp_path / 'd.tar')]
    for a, b in zip(way, way[1:]):
        done = copied(rootlet, '--json', a, b)
        assert json.loads(done.out)['digest'] == digest, done
    done = rootlet('copy', '--json', way[-1], 'oci:%s:last' % (tmp_path / 'lay'))
    assert json.loads(done.out)['digest'] == digest
    assert {m['annotations'][mkimage.REF_NAME] for m in json.loads((tmp_path / 'lay/index.json').read_text())['manifests']} \
        == {'back', 'last'}
    done = copied(rootlet, way[0], 'docker-archive:%s:app:1' % (tmp_path / 'e.tar'))
    conftest.skopeo('copy', '-q', 'docker-archive:%s' % (tmp_path / 'e.tar'), 'dir:%s' % (tmp_path / 'dir'))


def test_copy_takes_one_platform_or_all(rootlet, registry, layout, tmp_path):
    where = registry + '/platforms'
    copied(rootlet, '--all', 'oci:%s:all' % layout.d, where + ':all')
    assert sha256(raw(where + ':all')) == digest_of(layout, 'all')
    copied(rootlet, where + ':all', where + ':mine')
    assert sha256(raw(where + ':mine')) == digest_of(layout, 'one')
    copied(rootlet, '--platform=s390x', where + ':all', 'oci:%s:x' % (tmp_path / 'lay'))
    done = rootlet('copy', '--tls-verify=false', where + ':all', 'oci:%s:y' % (tmp_path / 'lay'), '--platform=arm64')
    assert done.rc == 3 and 's390x' in done.text, done
    done = rootlet('copy', '--tls-verify=false', '--all', where + ':all', 'docker-archive:%s' % (tmp_path / 'x.tar'))
    assert done.rc == 7 and not list(tmp_path.glob('x.tar*')), done


def test_copy_between_repositories_mounts(rootlet, registry, layout):
    copied(rootlet, 'oci:%s:one' % layout.d, registry + '/mount-a:1')
    done = copied(rootlet, '--json', registry + '/mount-a:1', registry + '/mount-b:1')
    answer = json.loads(done.out)
    assert answer['blobs_mounted'] == 3 and answer['sent_bytes'] == 0, answer


def test_copy_between_registries_verifies_what_passes(rootlet, layout):
    with push_registry.PushRegistry() as a, push_registry.PushRegistry() as b:
        copied(rootlet, 'oci:%s:one' % layout.d, a.host + '/x:1')
        digest = max(a.blobs['x'], key=lambda d: len(a.blobs['x'][d]))
        a.blobs['x'][digest] = b'!' + a.blobs['x'][digest][1:]
        done = rootlet('copy', '--tls-verify=false', a.host + '/x:1', b.host + '/x:1', env={'TEST': 'true'})
        assert done.rc == 6 and digest in done.text and b.manifests.get('x') is None, done


def test_push_to_several_places(rootlet, registry, layout):
    places = [registry + '/many-' + x for x in ('a:1', 'a:2', 'b:1')]
    done = rootlet('push', '--tls-verify=false', '--json', 'oci:%s:one' % layout.d, *places)
    assert done.rc == 0 and len(done.out.splitlines()) == 3, done
    assert {sha256(raw(p)) for p in places} == {digest_of(layout, 'one')}


def test_push_says_what_digest_was_expected(rootlet, registry, layout):
    done = rootlet('push', '--tls-verify=false', 'oci:%s:one' % layout.d, registry + '/want:1@sha256:' + '0' * 64)
    assert done.rc == 2 and digest_of(layout, 'one') in done.text, done


def test_tag_gives_more_names(rootlet, registry, layout, tmp_path):
    where = registry + '/tagged'
    copied(rootlet, '--all', 'oci:%s:all' % layout.d, where + ':1')
    done = rootlet('tag', '--tls-verify=false', where + ':1', '2', 'three')
    assert done.rc == 0, done
    assert sha256(raw(where + ':2')) == sha256(raw(where + ':three')) == digest_of(layout, 'all')
    shutil.copytree(layout.d, tmp_path / 'lay')
    assert rootlet('tag', 'oci:%s:one' % (tmp_path / 'lay'), 'new').rc == 0
    assert rootlet('copy', 'oci:%s:new' % (tmp_path / 'lay'), 'oci:%s:x' % (tmp_path / 'other')).rc == 0
    done = rootlet('tag', '--tls-verify=false', where + ':1', 'no/tag')
    assert done.rc == 2, done


def test_archives_are_whole_or_not_there(rootlet, layout, tmp_path):
    broken = shutil.copytree(layout.d, tmp_path / 'broken')
    big = max((broken / 'blobs/sha256').iterdir(), key=lambda p: p.stat().st_size)
    big.write_bytes(b'?' * big.stat().st_size)
    for kind in ('oci-archive', 'docker-archive'):
        done = rootlet('copy', 'oci:%s:one' % broken, '%s:%s' % (kind, tmp_path / 'x.tar'))
        assert done.rc == 6 and not list(tmp_path.glob('x.tar*')), done
    (tmp_path / 'x.tar').write_text('mine')
    done = rootlet('copy', 'oci:%s:one' % layout.d, 'oci-archive:%s' % (tmp_path / 'x.tar'))
    assert done.rc == 2 and (tmp_path / 'x.tar').read_text() == 'mine', done


# ---- disturbed
def check_pushed(registry, repository, layout, tag='v'):
    """Everything below the tag is there, byte for byte."""
    there = registry.manifests[repository]

    def walk(data):
        document = json.loads(data)
        for d in document.get('manifests', []):
            assert sha256(there[d['digest']]) == d['digest']
            walk(there[d['digest']])
        for d in document.get('layers', []) + ([document['config']] if 'config' in document else []):
            assert sha256(registry.blobs[repository][d['digest']]) == d['digest']
    walk(there[tag])
    return sha256(there[tag])


@pytest.mark.parametrize('fault', [503, 'reset', 500])
def test_a_registry_that_fails_every_tenth_request(rootlet, layout, fault):
    with push_registry.PushRegistry() as r:
        r.fault = lambda q: fault if q.number % 10 == 9 else None
        for n in range(3):
            done = rootlet('push', '--tls-verify=false', 'oci:%s:all' % layout.d, '%s/app%d:v' % (r.host, n),
                           env={'TEST': 'true'})
            assert done.rc == 0, done
            assert check_pushed(r, 'app%d' % n, layout) == digest_of(layout, 'all')


def test_uploads_that_break_again_and_again_come_through(rootlet, layout):
    """Each PATCH is cut after 300 kB: the blob of 2 MB takes seven pieces, none sent twice."""
    with push_registry.PushRegistry() as r:
        r.fault = lambda q: ('cut', 300000) if (q.method == 'PATCH' and
                                                int(q.headers['Content-Length']) > 300000) else None
        done = rootlet('push', '--tls-verify=false', 'oci:%s:one' % layout.d, r.host + '/app:v', env={'TEST': 'true'})
        assert done.rc == 0, done
        assert check_pushed(r, 'app', layout) == digest_of(layout, 'one')
        assert r.count('POST', 'begin') == 3


def test_a_server_that_takes_no_large_bodies(rootlet, tmp_path):
    """413 for a whole layer: it goes in pieces."""
    lay = mkimage.Layout(tmp_path / 'large')
    lay.tag('v', lay.image([mkimage.pack(mkimage.Layer().f('big', mkimage.noise(40 << 20)).bytes(), '')]))
    with push_registry.PushRegistry() as r:
        r.largest = 33 << 20
        done = rootlet('push', '--tls-verify=false', 'oci:%s:v' % lay.d, r.host + '/app:v', env={'TEST': 'true'})
        assert done.rc == 0, done
        check_pushed(r, 'app', lay)
        assert any(q.headers.get('Content-Range', '').startswith('33554432-') for q in r.requests)


def test_a_push_killed_at_random_points_and_run_again_ends_right(binary, rootlet, layout):
    chance = random.Random(5)
    with push_registry.PushRegistry() as r:
        killed = 0
        for n in range(8):
            repository, stop = 'app%d' % n, chance.randrange(1, 18)
            argv = [binary, 'push', '--tls-verify=false', 'oci:%s:all' % layout.d, '%s/%s:v' % (r.host, repository)]
            reached = threading.Event()
            base = len(r.requests)

            def at(q):
                if q.number - base >= stop:
                    reached.set()
                    time.sleep(0.03)
            r.fault = at
            process = runner.start(argv, env={'TEST': 'true'})
            reached.wait(5)
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            killed += process.wait(20) != 0
            r.fault = None
            assert 'v' not in r.manifests.get(repository, {}) or check_pushed(r, repository, layout)
            done = rootlet(*argv[1:], env={'TEST': 'true'})
            assert done.rc == 0, done
            assert check_pushed(r, repository, layout) == digest_of(layout, 'all')
        assert killed >= 4


def test_two_pushes_at_once_end_right(binary, registry, layout, tmp_path):
    """The same image, and two images for one tag: each says what it pushed, the tag is one of them."""
    where = registry + '/race'
    for tags in (('one', 'one'), ('one', 'docker'), ('all', 'zstd')):
        runs = [subprocess.Popen([binary, 'push', '--tls-verify=false', '--json', 'oci:%s:%s' % (layout.d, t), where + ':v'],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=runner.environment()) for t in tags]
        for process, tag in zip(runs, tags):
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            assert json.loads(out)['digest'] == digest_of(layout, tag)
        assert sha256(raw(where + ':v')) in {digest_of(layout, t) for t in tags}
    conftest.skopeo('copy', '-q', '--all', '--src-tls-verify=false', 'docker://%s:v' % where, 'oci:%s:v' % (tmp_path / 'o'))


def test_a_stopped_push_dies_of_the_signal(binary, layout):
    with push_registry.PushRegistry() as r:
        waiting = threading.Event()

        def slow(q):
            if q.method == 'PATCH':
                waiting.set()
                time.sleep(0.3)
        r.fault = slow
        process = runner.start([binary, 'push', '--tls-verify=false', 'oci:%s:all' % layout.d, r.host + '/app:v'])
        assert waiting.wait(10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
        assert 'v' not in r.manifests.get('app', {})
