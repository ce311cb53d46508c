"""check, in and out as Concourse runs them: JSON on stdin, over the wire from a docker-registry."""
import hashlib, json, os, re, shutil, signal, subprocess, tarfile, threading, time

import pytest

import conftest
import mkimage
import push
import runner

NO_DIGEST = 'sha256:' + '0' * 64


# ---- what is in the registry
class Images:
    """One layout with all images, and their digests by name."""

    def __init__(self, directory):
        self.layout = mkimage.Layout(directory)
        base = mkimage.pack(mkimage.Layer().d('./').d('etc').f('etc/motd', 'hello\n').f('etc/gone', 'x')
                            .f('big', mkimage.noise(2000000)).f('tool', 'x', mode=0o4755).bytes())
        top = mkimage.pack(mkimage.Layer().d('etc').wh('etc/gone').s('motd', 'etc/motd').bytes())
        self.base, self.top = base, top
        config = {'Env': ['PATH=/bin', 'A=<&>'], 'Cmd': ['sh', '-c', 'a && b'], 'User': '1000:1000',
                  'Labels': {'z': '1', 'a<b': 'c&d "e"', 'K\u00e9y': '\u2028'}, 'WorkingDir': '/w'}
        self.d = {
            'one': self.layout.image([base, top], config=config),
            'two': self.layout.image([base, top, base], config={'Entrypoint': ['/tool'], 'Labels': None}),
            'docker': self.layout.image([base], docker=True),
            'empty': self.layout.image([]),
            'other': self.layout.image([top], arch='s390x'),
        }
        claim = self.layout.image([mkimage.pack(b'{}', '')])    # stands in the index as BuildKit's attestations do
        claim['platform'] = {'architecture': 'unknown', 'os': 'unknown'}
        claim['annotations'] = {'vnd.docker.reference.type': 'attestation-manifest'}
        self.d['index'] = self.layout.index([self.d['one'], self.d['other'], claim])
        self.d['foreign'] = self.layout.index([self.d['other']])

    def digest(self, name):
        return self.d[name]['digest']

    def bytes(self, digest):
        with open(self.layout.path(digest), 'rb') as f:
            return f.read()


@pytest.fixture(scope='module')
def images(scratch):
    return Images(scratch / 'resource-images')


def fill(host, images, repository='app', **more):
    """Push all of IMAGES, each under its name as tag."""
    to = push.Registry(host, repository, **more)
    for name, descriptor in images.d.items():
        to.image(images.layout, descriptor, name)
    return host + '/' + repository


@pytest.fixture(scope='module')
def app(registry, images):
    """The repository that holds them."""
    return fill(registry, images)


# ---- running the steps
def request(source, version=None, params=None):
    what = {'source': source}
    if version is not None:
        what['version'] = version
    if params is not None:
        what['params'] = params
    return json.dumps(what).encode()


@pytest.fixture
def check(rootlet):
    def run(source, version=None, **how):
        return rootlet('check', data=request(source, version), **how)
    return run


@pytest.fixture
def get(rootlet, tmp_path):
    """get(source, digest, params): run `in` on an empty directory, .to."""
    def run(source, digest, params=None, tag='v', **how):
        version = {'tag': tag, 'digest': digest}
        return rootlet('in', run.to, data=request(source, version, params), **how)
    run.to = tmp_path / 'get'
    run.to.mkdir()
    return run


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def sha256(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def assert_failed(done, rc, says, to=None):
    assert done.rc == rc and done.out == b'', done
    assert done.text.splitlines()[-1].startswith('rootlet: '), done
    assert says in done.text, done
    if to is not None:
        assert sorted(os.listdir(to)) == []


# ---- check
def versions(*pairs):
    """What check prints for these."""
    return b'[' + b','.join(b'{"tag":"%s","digest":"%s"}' % (t.encode(), d.encode()) for t, d in pairs) + b']\n'


@pytest.fixture(scope='module')
def moved(registry, images):
    """A repository whose tag 'v' is now 'two'; 'one' is still there, 'docker' was deleted."""
    to = push.Registry(registry, 'moved')
    for name in ('docker', 'one', 'two'):
        to.image(images.layout, images.d[name], 'v')
    to.image(images.layout, images.d['one'], 'latest')
    to.image(images.layout, images.d['index'], '1.10')
    to.image(images.layout, images.d['one'], '42')
    to.image(images.layout, images.d['one'], 'true')
    to.delete(images.digest('docker'))
    return registry + '/moved'


@pytest.mark.parametrize('version, wanted', [
    (None, ['two']),
    ({'tag': 'v', 'digest': 'two'}, ['two']),
    ({'tag': 'v', 'digest': 'one'}, ['one', 'two']),
    ({'tag': 'another', 'digest': 'one'}, ['one', 'two']),      # printed with the source's tag
    ({'digest': 'one'}, ['one', 'two']),
    ({'tag': 'v', 'digest': 'docker'}, ['two']),                # deleted
    ({'tag': 'v', 'digest': NO_DIGEST}, ['two']),               # never was
    ({'tag': 'v', 'digest': ''}, ['two']),
    ({'tag': 'v'}, ['two']),
    ({'tag': 'v', 'digest': 'sha256:12'}, ['two']),
    ({}, ['two']),
])
def test_check_answers_old_and_new_oldest_first(check, moved, images, version, wanted):
    if version and version.get('digest') in images.d:
        version = dict(version, digest=images.digest(version['digest']))
    done = check({'repository': moved, 'tag': 'v'}, version)
    assert done.rc == 0 and done.err == b'', done
    assert done.out == versions(*(('v', images.digest(w)) for w in wanted))


@pytest.mark.parametrize('version', [None, 'one'])
def test_check_of_a_missing_tag_is_empty(check, moved, images, version):
    done = check({'repository': moved, 'tag': 'gone'}, version and {'tag': 'v', 'digest': images.digest(version)})
    assert done.rc == 0 and done.out == b'[]\n' and "'gone' not found" in done.text, done


def test_check_of_a_missing_repository_is_empty(check, registry):
    done = check({'repository': registry + '/nothing-here', 'tag': 'v'})
    assert done.rc == 0 and done.out == b'[]\n', done


@pytest.mark.parametrize('tag, prints, wanted', [(42, '42', 'one'), (True, 'true', 'one'), ('latest', 'latest', 'one')])
def test_check_reads_tags_as_text(check, moved, images, tag, prints, wanted):
    done = check({'repository': moved, 'tag': tag})
    assert done.rc == 0 and done.out == versions((prints, images.digest(wanted))), done


@pytest.mark.parametrize('tag', [None, ''])
def test_check_without_a_tag_looks_for_versions(check, moved, tag):
    done = check({'repository': moved, 'tag': tag})
    assert done.rc == 0 and [v['tag'] for v in json.loads(done.out)] == ['1.10', '42'], done


def test_check_keeps_the_digits_of_a_number(rootlet, moved, images):
    done = rootlet('check', data=b'{"source":{"repository":"%s","tag":1.10}} and more' % moved.encode())
    assert done.rc == 0 and done.out == versions(('1.10', images.digest('index'))), done


def test_check_answers_the_digest_of_an_index(check, app, images):
    done = check({'repository': app, 'tag': 'index', 'platform': {'architecture': 'no-such'}})
    assert done.rc == 0 and done.out == versions(('index', images.digest('index'))), done


def test_check_of_a_layout(check, images, small_layout):
    done = check({'repository': 'oci:%s' % small_layout})
    digest = json.loads(read(small_layout + '/index.json'))['manifests'][0]['digest']
    assert done.rc == 0 and done.out == versions(('latest', digest)), done


# ---- requests that are refused
REFUSED = [
    ('check', {'source': {'repository': 'a', 'usrname': 'x'}}, 2,
     "unknown field 'usrname' in source (did you mean 'username'?)"),
    ('in', {'source': {'repository': 'a'}, 'params': {'skip_downlaod': True}}, 2,
     "unknown field 'skip_downlaod' in params (did you mean 'skip_download'?)"),
    ('in', {'source': {'repository': 'a', 'skip_download': True}}, 2,
     "unknown field 'skip_download' in source (it belongs in the params of a get step)"),
    ('in', {'source': {'repository': 'a'}, 'params': {'tag': 'x'}}, 2, 'it belongs in source'),
    ('check', {'source': {'repository': 'a'}, 'params': {}}, 2, "unknown field 'params'"),
    ('check', {'source': {'repository': 'a', 'registry_mirror': {'url': 'x'}}}, 2,
     "unknown field 'url' in source.registry_mirror"),
    ('check', {'source': {'repository': 'a', 'aws_region': 'x/y'}}, 2, "source.aws_region 'x/y' is not the name of"),
    ('check', {'source': {'repository': 'a', 'semver_constraint': '>= x.y.z.a'}}, 2, 'source.semver_constraint: improper'),
    ('check', {'source': {'repository': 'a', 'tag_regex': '('}}, 2, 'source.tag_regex'),
    ('in', {'source': {'repository': 'a', 'label_regex': '('}, 'version': {'digest': NO_DIGEST}}, 2, 'source.label_regex'),
    ('check', {'source': {}}, 2, 'source.repository is missing'),
    ('check', {'source': {'repository': 'UPPER/case'}}, 2, 'source.repository'),
    ('check', {'source': {'repository': '127.0.0.1:1/a:tag'}}, 2, 'source.repository'),
    ('check', {'source': {'repository': 'a', 'tag': 'not a tag'}}, 2, 'source.tag'),
    ('check', {'source': {'repository': 'a', 'platform': {'architecture': 'a/b/c/d'}}}, 2, "'b/c/d'"),
    ('in', {'source': {'repository': 'a'}, 'version': {'tag': 'x'}}, 2, 'version.digest is missing'),
    ('in', {'source': {'repository': 'a'}}, 2, 'version.digest is missing'),
    ('in', {'source': {'repository': 'a'}, 'version': {'digest': 'sha256:12'}}, 2, 'version.digest'),
    ('in', {'source': {'repository': 'a'}, 'version': {'digest': NO_DIGEST}, 'params': {'format': 'zip'}}, 2,
     "unknown format 'zip'"),
]


@pytest.mark.parametrize('step, what, rc, says', REFUSED)
def test_requests_that_are_refused(rootlet, tmp_path, step, what, rc, says):
    assert_failed(rootlet(step, tmp_path, data=json.dumps(what).encode()), rc, says, tmp_path)


@pytest.mark.parametrize('text', [b'', b'{', b'[]', b'nonsense', b'{"source":{"repository":"\xff"}}'])
@pytest.mark.parametrize('step', ['check', 'in'])
def test_no_request_is_refused(rootlet, tmp_path, step, text):
    assert_failed(rootlet(step, tmp_path, data=text), 2, 'request', tmp_path)


def test_in_without_a_destination(rootlet, app, images):
    done = rootlet('in', data=request({'repository': app}, {'tag': 'v', 'digest': images.digest('one')}))
    assert_failed(done, 2, 'destination path not specified')


def test_out_wants_a_repository(rootlet, tmp_path):
    assert_failed(rootlet('out', tmp_path, data=b'{}'), 2, 'source.repository is missing')


def test_steps_by_the_name_they_are_called(binary, tmp_path, app, images):
    for name in ('check', 'in', 'out'):
        os.symlink(binary, tmp_path / name)
    done = runner.run([tmp_path / 'check'], data=request({'repository': app, 'tag': 'one'}))
    assert done.rc == 0 and done.out == versions(('one', images.digest('one'))), done
    version = {'tag': 'one', 'digest': images.digest('one')}
    done = runner.run([tmp_path / 'in', tmp_path / 'to'], data=request({'repository': app}, version))
    assert done.rc == 0 and os.listdir(tmp_path / 'to/rootfs'), done
    assert runner.run([tmp_path / 'out', tmp_path / 'to'], data=b'{}').rc == 2


# ---- in: the files of every format
def answer(repository, digest, tag='v'):
    return (b'{"version":{"tag":"%s","digest":"%s"},"metadata":[{"name":"repository","value":"%s"},'
            b'{"name":"tag","value":"%s"}]}\n' % tuple(s.encode() for s in (tag, digest, repository, tag)))


def assert_version_files(to, repository, digest, tag='v'):
    for name, text in (('tag', tag), ('digest', digest), ('repository', repository)):
        assert read(to / name) == text.encode()
        assert os.stat(to / name).st_mode & 0o7777 == 0o644


def test_in_unpacks_a_rootfs(get, app, images):
    digest = images.digest('one')
    done = get({'repository': app}, digest)
    assert done.rc == 0 and done.out == answer(app, digest), done
    assert done.text.splitlines()[0] == 'fetching %s@%s' % (app, digest)
    assert re.search(r'^\S+ MiB fetched, \S+ MiB unpacked into 6 files in \S+ s, \S+ MiB/s$', done.text, re.M), done
    assert sorted(os.listdir(get.to)) == ['digest', 'labels.json', 'metadata.json', 'repository', 'rootfs', 'tag']
    assert_version_files(get.to, app, digest)
    assert read(get.to / 'metadata.json') == (
        b'{"cmd":["sh","-c","a \\u0026\\u0026 b"],"entrypoint":null,"env":["PATH=/bin","A=\\u003c\\u0026\\u003e"],'
        b'"user":"1000:1000"}\n')
    assert read(get.to / 'labels.json') == (
        b'{"K\xc3\xa9y":"\\u2028","a\\u003cb":"c\\u0026d \\"e\\"","z":"1"}\n')
    root = get.to / 'rootfs'
    assert sorted(os.listdir(root)) == ['big', 'etc', 'motd', 'tool'] and os.listdir(root / 'etc') == ['motd']
    assert read(root / 'big') == mkimage.noise(2000000) and os.readlink(root / 'motd') == 'etc/motd'
    assert os.stat(root / 'tool').st_mode & 0o7777 == 0o4755


def test_in_writes_null_for_lists_that_are_absent(get, app, images):
    assert get({'repository': app}, images.digest('two')).rc == 0
    assert read(get.to / 'metadata.json') == b'{"cmd":null,"entrypoint":["/tool"],"env":null,"user":""}\n'
    assert read(get.to / 'labels.json') == b'{}\n'


@pytest.mark.parametrize('name', ['docker', 'index'])
def test_in_reads_docker_manifests_and_indexes(get, app, images, name):
    done = get({'repository': app}, images.digest(name))
    assert done.rc == 0 and done.out == answer(app, images.digest(name)), done
    assert_version_files(get.to, app, images.digest(name))
    assert read(get.to / 'rootfs/etc/motd') == b'hello\n'


def test_in_of_an_image_without_layers_makes_no_rootfs(get, app, images):
    done = get({'repository': app}, images.digest('empty'))
    assert done.rc == 0, done
    assert sorted(os.listdir(get.to)) == ['digest', 'labels.json', 'metadata.json', 'repository', 'tag']


def test_in_without_a_tag(rootlet, tmp_path, app, images):
    done = rootlet('in', tmp_path, data=request({'repository': app}, {'digest': images.digest('one')}))
    assert done.rc == 0 and done.out == answer(app, images.digest('one'), ''), done
    assert_version_files(tmp_path, app, images.digest('one'), '')


def test_in_makes_its_destination(rootlet, tmp_path, app, images):
    done = rootlet('in', tmp_path / 'new', data=request({'repository': app}, {'digest': images.digest('one')}))
    assert done.rc == 0 and os.path.isdir(tmp_path / 'new/rootfs'), done


@pytest.mark.parametrize('source, params, wanted', [
    ({}, None, ['big', 'etc', 'motd', 'tool']),
    ({'architecture': 's390x'}, None, ['etc', 'motd']),
    ({}, {'architecture': 's390x'}, ['etc', 'motd']),
    ({'architecture': 's390x'}, {'architecture': mkimage.ARCH}, ['big', 'etc', 'motd', 'tool']),
    ({'os': 'linux'}, {'architecture': 's390x'}, ['etc', 'motd']),
    ('linux/s390x', None, ['etc', 'motd']),
])
def test_in_chooses_the_platform(get, app, images, source, params, wanted):
    done = get({'repository': app, 'platform': source}, images.digest('index'), params and {'platform': params})
    assert done.rc == 0 and sorted(os.listdir(get.to / 'rootfs')) == wanted, done


@pytest.mark.parametrize('params', [{}, {'format': 'oci'}, {'skip_download': True}])
def test_in_of_a_platform_that_is_not_there(get, app, images, params):
    done = get({'repository': app, 'platform': {'architecture': 'riscv64'}}, images.digest('index'), params)
    assert_failed(done, 3, 'linux/riscv64', get.to)
    assert 'linux/s390x' in done.text and 'linux/' + mkimage.ARCH in done.text and 'unknown' not in done.text


# ---- in: oci, what docker loads
def test_in_writes_an_archive(get, app, images):
    digest = images.digest('two')
    done = get({'repository': app}, digest, {'format': 'oci'}, tag='1.0')
    assert done.rc == 0 and done.out == answer(app, digest, '1.0'), done
    assert sorted(os.listdir(get.to)) == ['digest', 'image.tar', 'labels.json', 'repository', 'tag']
    assert_version_files(get.to, app, digest, '1.0')
    manifest = json.loads(images.bytes(digest))
    layers = [l['digest'].split(':')[1] + '.tar.gz' for l in manifest['layers']]
    with tarfile.open(get.to / 'image.tar') as tar:
        entries = tar.getmembers()
        assert [e.name for e in entries] == [manifest['config']['digest'], layers[0], layers[1], 'manifest.json']
        assert all((e.mode, e.mtime, e.uid, e.gid, e.isreg()) == (0o644, 0, 0, 0, True) for e in entries)
        contents = {e.name: tar.extractfile(e).read() for e in entries}
    assert layers[2] == layers[0]           # listed twice, there once
    assert contents[entries[0].name] == images.bytes(manifest['config']['digest'])
    for name in layers:
        assert sha256(contents[name]) == 'sha256:' + name.split('.')[0]
    assert contents['manifest.json'] == json.dumps(
        [{'Config': manifest['config']['digest'], 'RepoTags': [app + ':1.0'], 'Layers': layers}],
        separators=(',', ':')).encode()
    assert os.stat(get.to / 'image.tar').st_mode & 0o7777 == 0o644


def test_an_archive_is_read_back(rootlet, get, app, images, tmp_path):
    assert get({'repository': app}, images.digest('one'), {'format': 'oci'}).rc == 0
    conftest.skopeo('copy', '-q', 'docker-archive:%s' % (get.to / 'image.tar'), 'oci:%s:x' % (tmp_path / 'copy'))
    trees = []
    for source in ('docker-archive:%s' % (get.to / 'image.tar'), 'oci:%s:x' % (tmp_path / 'copy')):
        trees.append(tmp_path / ('tree%d' % len(trees)))
        done = rootlet('unpack', '--quiet', source, trees[-1])
        assert done.rc == 0, done
    assert conftest.compare_trees(*trees) == [] and read(trees[0] / 'etc/motd') == b'hello\n'


def test_an_archive_is_a_source_itself(rootlet, get, app, images, tmp_path):
    """repository: docker-archive:FILE"""
    assert get({'repository': app}, images.digest('one'), {'format': 'oci'}).rc == 0
    source = {'repository': 'docker-archive:%s' % (get.to / 'image.tar')}
    found = rootlet('check', data=request(source))
    assert found.rc == 0, found
    version = json.loads(found.out)[0]
    for kind in ('rootfs', 'oci', 'oci-layout'):
        done = rootlet('in', tmp_path / kind, data=request(source, version, {'format': kind}))
        assert done.rc == 0, done
    assert read(tmp_path / 'rootfs/rootfs/etc/motd') == b'hello\n'
    with tarfile.open(tmp_path / 'oci/image.tar') as copy, tarfile.open(get.to / 'image.tar') as first:
        assert copy.getnames() == first.getnames()
    assert_layout(tmp_path / 'oci-layout/oci', [version['digest'], *below(images, images.digest('one'))])


# ---- in: oci-layout
def assert_layout(to, wanted):
    """Every blob is what its name says, and they are the WANTED ones."""
    found = {'sha256:' + name for name in os.listdir(to / 'blobs/sha256')}
    assert found == set(wanted)
    for digest in found:
        assert sha256(read(to / 'blobs/sha256' / digest.split(':')[1])) == digest
    assert read(to / 'oci-layout') == b'{\n    "imageLayoutVersion": "1.0.0"\n}'


def below(images, digest):
    """A manifest's config and layers."""
    manifest = json.loads(images.bytes(digest))
    return [manifest['config']['digest']] + [l['digest'] for l in manifest['layers']]


def modes(to):
    return {str(p.relative_to(to)): p.stat().st_mode & 0o7777 for p in to.rglob('*') if p.is_file()}


@pytest.mark.parametrize('name', ['one', 'docker'])
def test_in_writes_a_layout_of_one_image(get, app, images, name):
    digest = images.digest(name)
    done = get({'repository': app}, digest, {'format': 'oci-layout'})
    assert done.rc == 0 and done.out == answer(app, digest), done
    assert sorted(os.listdir(get.to)) == ['digest', 'oci', 'repository', 'tag']
    assert_version_files(get.to, app, digest)
    to = get.to / 'oci'
    assert_layout(to, [digest, *below(images, digest)])
    assert read(to / 'single-image-digest') == digest.encode()
    d = images.d[name]
    assert read(to / 'index.json') == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"%s",'
        b'"size":%d,"digest":"%s"}]}' % (d['mediaType'].encode(), d['size'], digest.encode()))
    config, *layers = (('blobs/sha256/' + b.split(':')[1]) for b in below(images, digest))
    assert modes(to) == {'oci-layout': 0o755, 'index.json': 0o755, 'single-image-digest': 0o755, config: 0o644,
                         'blobs/sha256/' + digest.split(':')[1]: 0o644, **{l: 0o600 for l in layers}}


def test_in_writes_a_layout_of_an_index(get, app, images):
    digest = images.digest('index')
    done = get({'repository': app, 'platform': {'architecture': 'no-such'}}, digest, {'format': 'oci-layout'})
    assert done.rc == 0, done
    to = get.to / 'oci'
    assert read(to / 'index.json') == images.bytes(digest) and not os.path.exists(to / 'single-image-digest')
    children = [m['digest'] for m in json.loads(images.bytes(digest))['manifests']]
    assert_layout(to, children + [b for c in children for b in below(images, c)])


def test_a_layout_of_one_image_is_read_back(get, app, images, tmp_path):
    conftest.need_tool('umoci')
    assert get({'repository': app}, images.digest('one'), {'format': 'oci-layout'}).rc == 0
    conftest.skopeo('copy', '-q', '--preserve-digests', 'oci:%s' % (get.to / 'oci'), 'oci:%s:x' % (tmp_path / 'copy'))
    copied = json.loads(read(tmp_path / 'copy/index.json'))['manifests'][0]
    assert copied['digest'] == images.digest('one')
    subprocess.run(['umoci', 'unpack', '--image', '%s:x' % (tmp_path / 'copy'), tmp_path / 'bundle'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert read(tmp_path / 'bundle/rootfs/etc/motd') == b'hello\n'


def test_a_layout_of_an_index_is_read_back(rootlet, get, app, images, tmp_path):
    assert get({'repository': app}, images.digest('index'), {'format': 'oci-layout'}).rc == 0
    # index.json is the index itself: give it a name, so that tools find it
    layout = mkimage.Layout(tmp_path / 'named')
    shutil.copytree(get.to / 'oci/blobs', tmp_path / 'named/blobs', dirs_exist_ok=True)
    layout.tag('x', layout.blob(read(get.to / 'oci/index.json'), images.d['index']['mediaType']))
    source = 'oci:%s:x' % layout.d
    conftest.skopeo('copy', '-q', '--all', '--preserve-digests', source, 'dir:%s' % (tmp_path / 'copy'))
    assert sha256(read(tmp_path / 'copy/manifest.json')) == images.digest('index')
    done = rootlet('unpack', '--quiet', '--platform=linux/s390x', source, tmp_path / 'tree')
    assert done.rc == 0 and sorted(os.listdir(tmp_path / 'tree')) == ['etc', 'motd'], done


def test_in_of_a_layout(rootlet, tmp_path, images, small_layout):
    """repository: oci:DIR, without any registry."""
    source = {'repository': 'oci:%s' % small_layout}
    version = json.loads(rootlet('check', data=request(source)).out)[0]
    for kind, made in (('rootfs', 'rootfs/motd'), ('oci', 'image.tar'), ('oci-layout', 'oci/index.json')):
        done = rootlet('in', tmp_path / kind, data=request(source, version, {'format': kind}))
        assert done.rc == 0 and os.path.lexists(tmp_path / kind / made), done
        assert_version_files(tmp_path / kind, source['repository'], version['digest'], 'latest')


# ---- in: nothing
@pytest.mark.parametrize('more', [{}, {'format': 'zip'}])
def test_in_without_download(get, app, images, more):
    done = get({'repository': app}, images.digest('one'), dict(more, skip_download=True))
    assert done.rc == 0 and done.out == answer(app, images.digest('one')) and done.err == b'', done
    assert sorted(os.listdir(get.to)) == ['digest', 'repository', 'tag']
    assert_version_files(get.to, app, images.digest('one'))


# ---- what fails
@pytest.mark.parametrize('params', [{}, {'format': 'oci'}, {'format': 'oci-layout'}, {'skip_download': True}])
def test_in_of_a_digest_that_is_gone(get, moved, images, params):
    assert_failed(get({'repository': moved}, images.digest('docker'), params), 3, images.digest('docker'), get.to)


@pytest.mark.parametrize('kind', ['rootfs', 'oci', 'oci-layout'])
@pytest.mark.parametrize('flaw', ['flipped', 'short', 'long'])
def test_in_of_a_tampered_layer_leaves_nothing(rootlet, tmp_path, images, scratch, kind, flaw):
    layout = tmp_path / 'layout'
    shutil.copytree(images.layout.d, layout)
    digest = below(images, images.digest('one'))[1]
    path = layout / 'blobs/sha256' / digest.split(':')[1]
    data = bytearray(read(path))
    data[len(data) // 2] ^= flaw == 'flipped'
    path.write_bytes(data[:-1] if flaw == 'short' else data + b'x' if flaw == 'long' else data)
    index = {'schemaVersion': 2, 'manifests': [images.d['one']]}
    (layout / 'index.json').write_text(json.dumps(index))
    to = tmp_path / 'to'
    to.mkdir()
    version = {'tag': 'v', 'digest': images.digest('one')}
    done = rootlet('in', to, data=request({'repository': 'oci:%s' % layout}, version, {'format': kind}))
    assert_failed(done, 6, digest.split(':')[1], to)


def test_in_wants_an_empty_destination(get, app, images):
    (get.to / 'mine').write_text('x')
    done = get({'repository': app}, images.digest('one'))
    assert done.rc == 2 and done.out == b'' and "not empty: it holds 'mine'" in done.text, done
    assert os.listdir(get.to) == ['mine']
    (get.to / 'mine').unlink()
    (get.to / 'rootfs').mkdir()
    (get.to / 'rootfs/mine').write_text('x')
    done = get({'repository': app}, images.digest('one'))
    assert done.rc == 2 and done.out == b'' and 'empty' in done.text, done
    assert os.listdir(get.to) == ['rootfs'] and os.listdir(get.to / 'rootfs') == ['mine']


@pytest.mark.parametrize('kind', ['rootfs', 'oci', 'oci-layout'])
def test_in_to_a_full_disk_leaves_nothing(rootlet, scratch, app, images, kind):
    with conftest.mounted(scratch / ('full-' + kind), 'tmpfs', 1 << 20) as to:
        version = {'tag': 'v', 'digest': images.digest('one')}
        done = rootlet('in', to, data=request({'repository': app}, version, {'format': kind}))
        assert_failed(done, 1, 'No space left on device', to)


def test_in_that_cannot_answer_leaves_nothing(rootlet, binary, tmp_path, app, images):
    with open('/dev/full', 'wb') as full, open(tmp_path / 'request', 'wb+') as given:
        given.write(request({'repository': app}, {'tag': 'v', 'digest': images.digest('one')}))
        given.seek(0)
        process = runner.start([binary, 'in', tmp_path / 'to'], stdin=given, out=full, err=subprocess.PIPE)
        text = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and b'stdout' in text, text
    assert not os.path.exists(tmp_path / 'to')


# ---- who we are, and whom we trust
@pytest.fixture(scope='module')
def private(scratch, images):
    """A registry that wants user:s3cret."""
    path = scratch / 'private.htpasswd'
    path.write_text('user:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n')
    extra = 'auth: {htpasswd: {realm: test, path: %s}}\n' % path
    with conftest.registry_running(scratch / 'private', extra) as host:
        yield fill(host, images, headers={'Authorization': 'Basic dXNlcjpzM2NyZXQ='})


def test_credentials_of_the_source_are_used_and_never_shown(check, get, private, images):
    source = {'repository': private, 'tag': 'one', 'username': 'user', 'password': 's3cret', 'debug': True}
    done = check(source)
    assert done.rc == 0 and done.out == versions(('one', images.digest('one'))), done
    assert b's3cret' not in done.err and b'dXNlcjpzM2NyZXQ' not in done.err
    done = get(source, images.digest('one'))
    assert done.rc == 0 and os.path.exists(get.to / 'rootfs/etc/motd'), done
    assert b's3cret' not in done.err and b'dXNlcjpzM2NyZXQ' not in done.err


@pytest.mark.parametrize('who', [{}, {'username': 'user', 'password': 'wr0ng'}, {'username': 'user'},
                                 {'username': 'user', 'password': ''}])
def test_wrong_credentials_are_denied(check, get, private, images, who):
    done = check(dict(who, repository=private, tag='one'))
    assert_failed(done, 4, '')
    assert b'wr0ng' not in done.err
    assert_failed(get(dict(who, repository=private), images.digest('one')), 4, '', get.to)


def test_docker_config_is_not_read(check, private, tmp_path):
    """As registry-image: who we are comes from the source alone."""
    (tmp_path / 'config.json').write_text(json.dumps({'auths': {private.split('/')[0]: {'auth': 'dXNlcjpzM2NyZXQ='}}}))
    done = check({'repository': private, 'tag': 'one'}, env={'DOCKER_CONFIG': str(tmp_path), 'HOME': str(tmp_path)})
    assert_failed(done, 4, '')


@pytest.fixture(scope='module')
def secure(scratch, images):
    """A registry with a certificate of our own: (repository, PEM)."""
    conftest.need_tool('openssl')
    key, pem = scratch / 'tls.key', scratch / 'tls.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                    '-keyout', key, '-out', pem, '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=DNS:localhost,IP:127.0.0.1'], check=True, stderr=subprocess.DEVNULL)
    plain = scratch / 'secure'
    with conftest.registry_running(plain) as host:
        fill(host, images)
    shutil.move(plain / 'data', scratch / 'secure-data')
    http = '  tls: {certificate: %s, key: %s}\n' % (pem, key)
    extra = ''
    with conftest.registry_running(scratch / 'secure-tls', extra, http) as host:
        shutil.copytree(scratch / 'secure-data', scratch / 'secure-tls/data', dirs_exist_ok=True)
        yield host + '/app', pem.read_text()


def test_ca_certs_are_trusted(check, get, secure, images):
    repository, pem = secure
    source = {'repository': repository, 'tag': 'one', 'ca_certs': [pem]}
    done = check(source)
    assert done.rc == 0 and done.out == versions(('one', images.digest('one'))), done
    done = get(source, images.digest('one'))
    assert done.rc == 0 and os.path.exists(get.to / 'rootfs/etc/motd'), done


def test_unknown_certificates_are_not_trusted(check, get, secure, images):
    repository, _ = secure
    done = check({'repository': repository, 'tag': 'one'})
    assert_failed(done, 5, 'certificate')
    assert_failed(get({'repository': repository}, images.digest('one')), 5, 'certificate', get.to)
    assert_failed(check({'repository': repository, 'tag': 'one', 'insecure': True}), 5, 'certificate')


# ---- mirrors of Docker Hub
@pytest.fixture(scope='module')
def mirror(registry, images):
    fill(registry, images, 'library/only-here')
    return registry


@pytest.mark.parametrize('form', ['%s', 'http://%s', 'http://%s/'])
def test_a_mirror_is_asked_first(check, get, mirror, images, form):
    source = {'repository': 'only-here', 'tag': 'one', 'registry_mirror': {'host': form % mirror}}
    done = check(source)
    assert done.rc == 0 and done.out == versions(('one', images.digest('one'))), done
    done = get(source, images.digest('one'), {'format': 'oci'}, tag='one')
    assert done.rc == 0 and done.out == answer('only-here', images.digest('one'), 'one'), done
    assert_version_files(get.to, 'only-here', images.digest('one'), 'one')
    with tarfile.open(get.to / 'image.tar') as tar:
        manifest = json.load(tar.extractfile('manifest.json'))
    assert manifest[0]['RepoTags'] == ['index.docker.io/library/only-here:one']


def test_a_mirror_has_its_own_credentials(check, private, images, scratch):
    host = private.split('/')[0]
    fill(host, images, 'library/secret', headers={'Authorization': 'Basic dXNlcjpzM2NyZXQ='})
    source = {'repository': 'secret', 'tag': 'one', 'username': 'else', 'password': 'x',
              'registry_mirror': {'host': host, 'username': 'user', 'password': 's3cret'}}
    done = check(source)
    assert done.rc == 0 and done.out == versions(('one', images.digest('one'))), done


def test_a_mirror_is_not_asked_for_other_registries(check, mirror, app, images):
    source = {'repository': app, 'tag': 'one', 'registry_mirror': {'host': '127.0.0.1:1'}}
    done = check(source)
    assert done.rc == 0 and done.out == versions(('one', images.digest('one'))) and done.err == b'', done


def test_a_mirror_with_a_path_is_refused(check):
    assert_failed(check({'repository': 'a', 'registry_mirror': {'host': 'https://m.test/path'}}), 2, 'path')


# ---- what is shown
def test_debug_shows_log_lines_instead_of_progress(get, app, images):
    done = get({'repository': app, 'debug': True}, images.digest('one'))
    assert done.rc == 0, done
    assert re.search(r'^\[?\s*\d+\.\d+', done.text, re.M) and 'layer 1/2' not in done.text, done


def test_names_from_outside_are_escaped(check):
    done = check({'repository': 'a\x1b[31m'})
    assert_failed(done, 2, '\\x1b[31m')
