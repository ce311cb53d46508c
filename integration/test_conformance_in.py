"""The get step held against the rules of registry-image: each row of them, over the wire, requests counted.

Against lab/script_registry.py, which records what it is asked; the environment holds nothing but TEST=true.
"""
import hashlib, io, json, os, re, tarfile

import pytest

import conformlib
import mkimage
import script_registry

NO_DIGEST = 'sha256:' + '0' * 64
FORMATS = ['rootfs', 'oci', 'oci-layout']
FILES = [{'etc/motd': b'one\n', 'gone': b'x'}, {'etc/issue': b'two\n', '.wh.gone': b''}]


@pytest.fixture
def registry():
    with script_registry.ScriptRegistry() as r:
        yield r


@pytest.fixture
def get(binary, registry, tmp_path):
    """get(digest, params, tag=, **source): run the step on registry/app into get.to."""
    def run(digest, params=None, tag='v', raw=None, before=(), **source):
        request = {'source': {'repository': registry.host + '/app', **source},
                   'version': {'tag': tag, 'digest': digest}}
        if tag is None:
            del request['version']['tag']
        if params is not None:
            request['params'] = params
        return conformlib.step(binary, 'in', raw or request, run.to, before=before)
    run.to = tmp_path / 'to'
    run.to.mkdir()
    return run


@pytest.fixture
def image(registry):
    return registry.image('app', 'v', files=FILES, labels={'b': '2', 'a.x': '1'}, annotations={'z': 'Z', 'a.y': 'Y'},
                          config={'Env': ['PATH=/bin'], 'Cmd': ['sh'], 'User': 'u', 'WorkingDir': '/w'})


def asked(registry):
    return [str(r) for r in registry.requests]


def answer(done, digest, repository, tag='v', more=()):
    want = {'version': {'tag': tag, 'digest': digest},
            'metadata': [{'name': 'repository', 'value': repository}, {'name': 'tag', 'value': tag or ''},
                         *({'name': n, 'value': v} for n, v in more)]}
    if tag is None:
        want['version']['tag'] = ''
    assert done.json == want, done
    assert done.out == (json.dumps(want, separators=(',', ':')) + '\n').encode()


def read(to, name):
    return (to / name).read_bytes()


def tree(path):
    return {os.path.relpath(os.path.join(d, f), path): open(os.path.join(d, f), 'rb').read()
            for d, _, names in os.walk(path) for f in names}


def blob_hex(data):
    return hashlib.sha256(data).hexdigest()


# ---- the answer and the files of every format
@pytest.mark.parametrize('kind', FORMATS)
def test_what_is_said_and_the_files_of_a_version(get, registry, image, kind):
    done = get(image, {'format': kind})
    answer(done, image, registry.host + '/app')
    assert done.text.startswith('fetching %s/app@%s\n' % (registry.host, image))
    for name, text in (('tag', 'v'), ('digest', image), ('repository', registry.host + '/app')):
        assert read(get.to, name) == text.encode() and os.stat(get.to / name).st_mode & 0o777 == 0o644
    want = {'rootfs': {'rootfs', 'metadata.json', 'labels.json'}, 'oci': {'image.tar', 'labels.json'}, 'oci-layout': {'oci'}}
    assert set(os.listdir(get.to)) == {'tag', 'digest', 'repository'} | want[kind]


@pytest.mark.parametrize('kind', FORMATS)
def test_the_last_line_has_bytes_time_and_rate(get, image, kind):
    last = get(image, {'format': kind}).text.splitlines()[-1]
    assert ' fetched, ' in last and ' s, ' in last and last.endswith('/s'), last


def test_a_version_with_only_a_digest(get, registry, image):
    answer(get(image, tag=None), image, registry.host + '/app', tag=None)
    assert read(get.to, 'tag') == b''


@pytest.mark.parametrize('kind, blobs', [('rootfs', 3), ('oci', 3), ('oci-layout', 3)])
def test_no_request_too_many(get, registry, image, kind, blobs):
    assert get(image, {'format': kind}).rc == 0
    assert asked(registry)[0] == 'GET /v2/app/manifests/' + image
    assert registry.count('GET', 'manifest') == 1 and registry.count('GET', 'blob') == blobs
    assert len(registry.requests) == 1 + blobs


# ---- 3.2 rootfs
def test_rootfs(get, image):
    get(image)
    assert tree(get.to / 'rootfs') == {'etc/motd': b'one\n', 'etc/issue': b'two\n'}
    assert read(get.to, 'metadata.json') == b'{"cmd":["sh"],"entrypoint":null,"env":["PATH=/bin"],"user":"u"}\n'
    assert read(get.to, 'labels.json') == b'{"a.x":"1","b":"2"}\n'


def test_an_image_without_anything(get, registry):
    empty = registry.image('app', 'v')
    answer(get(empty), empty, registry.host + '/app')
    assert read(get.to, 'metadata.json') == b'{"cmd":null,"entrypoint":null,"env":null,"user":""}\n'
    assert read(get.to, 'labels.json') == b'{}\n' and not (get.to / 'rootfs').exists()


@pytest.mark.parametrize('kind', ['oci', 'oci-layout'])
def test_an_image_without_anything_in_the_other_formats(get, registry, kind):
    empty = registry.image('app', 'v')
    answer(get(empty, {'format': kind}), empty, registry.host + '/app')


def test_go_escapes_are_kept(get, registry):
    digest = registry.image('app', 'v', labels={'<&>': '\u2028"\\'}, config={'Cmd': ['<a>']})
    get(digest)
    assert read(get.to, 'labels.json') == b'{"\\u003c\\u0026\\u003e":"\\u2028\\"\\\\"}\n'
    assert b'"cmd":["\\u003ca\\u003e"]' in read(get.to, 'metadata.json')


# ---- 3.3 oci
def test_the_archive_is_go_containerregistrys(get, registry, image):
    get(image, {'format': 'oci'})
    manifest = json.loads(registry.manifests['app'][image])
    layers = [d['digest'].split(':')[1] + '.tar.gz' for d in manifest['layers']]
    with tarfile.open(get.to / 'image.tar') as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == [manifest['config']['digest'], *layers, 'manifest.json']
        assert all(m.mode == 0o644 and m.mtime == 0 for m in members)
        assert json.load(tar.extractfile('manifest.json')) == [
            {'Config': manifest['config']['digest'], 'RepoTags': [registry.host + '/app:v'], 'Layers': layers}]
        for d, m in zip(manifest['layers'], members[1:]):
            assert tar.extractfile(m).read() == registry.blobs['app'][d['digest']]


# ---- 3.4 oci-layout
def test_a_single_image_becomes_a_layout_with_a_marker(get, registry, image):
    get(image, {'format': 'oci-layout'})
    assert read(get.to, 'oci/single-image-digest') == image.encode()
    index = json.loads(read(get.to, 'oci/index.json'))
    assert [m['digest'] for m in index['manifests']] == [image]
    assert read(get.to, 'oci/oci-layout') == b'{\n    "imageLayoutVersion": "1.0.0"\n}'
    names = {p.name: p.read_bytes() for p in (get.to / 'oci/blobs/sha256').iterdir()}
    assert all(blob_hex(data) == name for name, data in names.items()) and len(names) == 4


def test_an_index_becomes_the_layout_byte_for_byte(get, registry, image):
    other = registry.image('app', files=[{'x': b'x'}], arch='s390x')
    index = registry.index('app', [(image, mkimage.ARCH), (other, 's390x')], 'i')
    get(index, {'format': 'oci-layout', 'platform': {'architecture': 'mips'}})      # the platform does not matter
    assert read(get.to, 'oci/index.json') == registry.manifests['app'][index]
    assert not (get.to / 'oci/single-image-digest').exists()
    names = {p.name for p in (get.to / 'oci/blobs/sha256').iterdir()}
    assert {image.split(':')[1], other.split(':')[1]} < names


# ---- platforms
@pytest.fixture
def multi(registry):
    """An index, and {architecture: file content}."""
    arches = ['amd64', 'arm64', 's390x', 'arm']
    return registry.index('app', [(registry.image('app', files=[{'arch': a.encode()}], arch=a), a) for a in arches], 'i')


@pytest.mark.parametrize('source, params, want', [
    (None, None, mkimage.ARCH),
    ({'architecture': 's390x'}, None, 's390x'),
    ({'architecture': 's390x', 'os': 'linux'}, {'architecture': 'arm64'}, 'arm64'),
    ({'architecture': 's390x'}, {'os': 'linux'}, 's390x'),          # completed from the source
    ({'architecture': 'arm64/v8'}, None, 'arm64'),                  # the example that never worked
    ({'architecture': 'arm64', 'variant': 'v8'}, None, 'arm64'),
    ('linux/s390x', None, 's390x'),
])
def test_platforms(get, multi, source, params, want):
    more = {'platform': source} if source else {}
    done = get(multi, {'platform': params} if params else None, **more)
    assert done.rc == 0 and read(get.to, 'rootfs/arch') == want.encode(), done


def test_the_os_of_the_source_stays(get, registry, multi):
    done = get(multi, {'platform': {'architecture': 's390x'}}, platform={'os': 'windows'})
    assert done.rc == 3 and 'windows/s390x' in done.text and os.listdir(get.to) == [], done


def test_a_child_without_a_platform_is_linux_amd64(get, registry):
    index = registry.index('app', [registry.image('app', files=[{'x': b'x'}], arch='amd64')], 'i')
    assert get(index, platform={'architecture': 'amd64', 'os': 'linux'}).rc == 0


def test_a_platform_that_is_missing_is_named_with_those_there_are(get, multi):
    done = get(multi, platform={'architecture': 'riscv64'})
    assert done.rc == 3 and done.out == b'' and 'riscv64' in done.text and 'linux/s390x' in done.text, done
    assert os.listdir(get.to) == []


def test_a_single_image_is_taken_whatever_the_platform(get, registry, image):
    assert get(image, platform={'architecture': 's390x'}).rc == 0


# ---- skip_download
def test_skip_download(get, registry, image):
    answer(get(image, {'skip_download': True}), image, registry.host + '/app')
    assert sorted(os.listdir(get.to)) == ['digest', 'repository', 'tag']
    assert asked(registry) == ['GET /v2/app/manifests/' + image]


def test_skip_download_does_not_care_about_the_format(get, image):
    assert get(image, {'skip_download': True, 'format': 'zip'}).rc == 0


def test_skip_download_of_what_is_gone_fails(get, registry, image):
    done = get(NO_DIGEST, {'skip_download': True})
    assert done.rc == 3 and os.listdir(get.to) == []


def test_a_format_that_does_not_exist_costs_no_request(get, registry, image):
    get(image, {'format': 'zip'}).refused("unknown format 'zip' in params, it must be 'rootfs', 'oci' or 'oci-layout'")
    assert registry.requests == []


# ---- labels and annotations
@pytest.mark.parametrize('source, want', [
    ({'label_regex': '.'}, [('a.x', '1'), ('b', '2')]),
    ({'label_regex': '^b$'}, [('b', '2')]),
    ({'label_regex': 'nothing'}, []),
    ({'annotation_regex': '.'}, [('a.y', 'Y'), ('z', 'Z')]),
    ({'label_regex': r'^a\.', 'annotation_regex': r'^a\.'}, [('a.x', '1'), ('a.y', 'Y')]),
])
@pytest.mark.parametrize('params', [{'skip_download': True}, {}, {'format': 'oci-layout'}], ids=['skip', 'rootfs', 'layout'])
def test_labels_and_annotations_become_metadata(get, registry, image, source, want, params):
    answer(get(image, params, **source), image, registry.host + '/app', more=want)


def test_of_an_index_those_of_the_platform(get, registry, image):
    other = registry.image('app', labels={'b': 'other'}, arch='s390x')
    index = registry.index('app', [(image, mkimage.ARCH), (other, 's390x')], 'i')
    for n, params in enumerate(({}, {'format': 'oci-layout'}, {'skip_download': True})):
        get.to = get.to.parent / str(n)
        done = get(index, params, label_regex='^b', platform={'architecture': 's390x'})
        answer(done, index, registry.host + '/app', more=[('b', 'other')])


def test_a_layout_without_the_platform_has_no_labels_to_show(get, registry, image):
    index = registry.index('app', [(image, mkimage.ARCH)], 'i')
    done = get(index, {'format': 'oci-layout'}, label_regex='.', platform={'architecture': 'mips'})
    answer(done, index, registry.host + '/app')
    assert 'no labels or annotations are shown' in done.text


# ---- what is not there
def test_a_digest_that_was_pushed_just_now_is_waited_for(get, registry, image):
    seen = []
    registry.fault = lambda r: seen.append(r) or (404 if len(seen) < 4 else None) if r.kind == 'manifest' else None
    answer(get(image), image, registry.host + '/app')
    assert asked(registry)[:4] == ['GET /v2/app/manifests/' + image] * 4


@pytest.fixture
def lazily(binary, registry, lab):
    """lazily(digest, name): run the step with a mount in the place of an unpacked tree; it is taken away at the end."""
    made = []

    def run(digest, name):
        made.append(lab.place / name)
        request = {'source': {'repository': registry.host + '/app'}, 'params': {'lazy': 'require'},
                   'version': {'tag': 'v', 'digest': digest}}
        return conformlib.step(binary, 'in', request, made[-1], env=lab.env(**conformlib.ENV))
    yield run
    for to in made:
        if (to / 'rootfs').exists():
            assert lab.run('umount', to / 'rootfs').rc == 0


def test_a_mount_waits_for_it_too(registry, image, lazily, lab):
    seen = []
    registry.fault = lambda r: seen.append(r) or (404 if len(seen) < 4 else None) if r.kind == 'manifest' else None
    mounted = [('provided', 'mounted, bytes are fetched when they are read')]
    answer(lazily(image, 'to'), image, registry.host + '/app', more=mounted)
    assert asked(registry)[:4] == ['GET /v2/app/manifests/' + image] * 4
    assert tree(lab.place / 'to/rootfs') == {'etc/motd': b'one\n', 'etc/issue': b'two\n'}


def test_a_mount_waits_for_a_version_that_is_gone_only_so_long(registry, image, lazily, lab):
    done = lazily(NO_DIGEST, 'to')
    assert done.rc == 3 and "the tag 'v' is there, for another image" in done.text, done
    assert asked(registry)[:5] == ['GET /v2/app/manifests/' + NO_DIGEST] * 5 and not (lab.place / 'to').exists()


def test_a_mount_tells_what_was_fetched_and_what_the_cache_knew(registry, image, lazily):
    says = '%s fetched, mounted in %s; the cache knew %d of 2 layers and has 100%% of their bytes'
    pattern = lambda *a: re.escape(says % a).replace('SIZE', r'[\d.]+ (B|KiB)').replace('TIME', r'[\d.]+ m?s')
    assert re.search(pattern('SIZE', 'TIME', 0), lazily(image, 'first').text)
    done = lazily(image, 'again')
    assert re.search(pattern('0 B', 'TIME', 2), done.text), done


def test_a_version_that_is_gone_names_the_closest_tags(get, registry, image):
    for tag in ('1.2.2', '1.2.4', '1.3', 'unrelated-thing'):
        registry.tag('app', tag, image)
    done = get(NO_DIGEST, tag='1.2.3')
    assert done.rc == 3 and done.out == b'' and os.listdir(get.to) == []
    assert "there is no tag '1.2.3' either, the closest are '1.2.4', '1.2.2', '1.3'" in done.text, done
    assert NO_DIGEST in done.text


def test_a_version_whose_tag_moved_says_so(get, registry, image):
    done = get(NO_DIGEST)
    assert done.rc == 3 and "the tag 'v' is there, for another image" in done.text, done


def test_a_missing_layer_is_not_a_missing_version(get, registry, image):
    layer = json.loads(registry.manifests['app'][image])['layers'][0]['digest']
    registry.fault = lambda r: 404 if r.path.endswith(layer) else None
    done = get(image)
    assert done.rc == 3 and 'either' not in done.text and layer[7:19] in done.text and os.listdir(get.to) == []


@pytest.mark.parametrize('version', [{}, {'tag': 'v'}, {'digest': 'sha256:12'}])
def test_a_version_without_a_digest(binary, registry, get, version):
    request = {'source': {'repository': registry.host + '/app'}, 'version': version}
    conformlib.step(binary, 'in', request, get.to).refused('version.digest')
    assert registry.requests == []


def test_no_destination(binary):
    conformlib.step(binary, 'in', {'source': {'repository': 'a'}, 'version': {'digest': NO_DIGEST}}).refused(
        'destination path not specified')


def test_schema1_is_refused_by_name(get, registry):
    digest = registry.put('app', {'schemaVersion': 1, 'fsLayers': []},
                          'application/vnd.docker.distribution.manifest.v1+prettyjws', 'old')
    done = get(digest)
    assert done.rc == 7 and 'schema' in done.text, done


# ---- odd registries
@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('content_type', [None, 'dummy', 'binary/octet-stream'])
def test_the_content_type_does_not_matter(get, registry, image, kind, content_type):
    registry.quirk = lambda h, headers: (headers.pop('Content-Type') if content_type is None
                                         else headers.update({'Content-Type': content_type}))
    answer(get(image, {'format': kind}), image, registry.host + '/app')


@pytest.mark.parametrize('status', [429, 503])
@pytest.mark.parametrize('kind', FORMATS)
def test_the_first_request_of_each_kind_is_refused(get, registry, image, kind, status):
    registry.once(status)
    answer(get(image, {'format': kind}), image, registry.host + '/app')
    assert {(r.method, r.kind) for r in registry.requests} == {('GET', 'manifest'), ('GET', 'blob')}


def test_a_limit_that_lasts_is_told(get, registry, image):
    registry.fault = lambda r: {'status': 429, 'headers': {'RateLimit-Limit': '100;w=21600', 'RateLimit-Remaining': '0;w=21600',
                                                           'Retry-After': '1200'}} if r.kind == 'blob' else None
    done = get(image)
    assert done.rc == 5 and '0 of 100 requests per 6 h remain, reset in 20 min' in done.text, done
    assert os.listdir(get.to) == []


@pytest.mark.parametrize('where', ['/elsewhere/%s', '../elsewhere/%s'])
def test_redirects_may_be_relative(get, registry, image, where):
    def fault(request):
        if request.path.startswith('/elsewhere/') or '/blobs/elsewhere/' in request.path:
            data = registry.blobs['app'].get(request.path.split('/')[-1])
            return {'status': 200, 'body': data, 'headers': {'Content-Length': str(len(data))}}
        if request.kind == 'blob' or 'elsewhere' in request.path:
            return {'status': 307, 'headers': {'Location': where % request.path.split('/')[-1]}}
        return None
    registry.fault = fault
    if where.startswith('..'):
        registry.fault = lambda r: fault(r) if '/app/elsewhere/' not in r.path else {
            'status': 200, 'body': registry.blobs['app'][r.path.split('/')[-1]]}
    answer(get(image), image, registry.host + '/app')


def test_a_bent_layer_is_never_unpacked(get, registry, image):
    layer = json.loads(registry.manifests['app'][image])['layers'][1]['digest']
    data = bytearray(registry.blobs['app'][layer])
    data[len(data) // 2] ^= 1
    registry.blobs['app'][layer] = bytes(data)
    done = get(image)
    assert done.rc == 6 and os.listdir(get.to) == [], done


@pytest.mark.parametrize('bearer', [None, 'token'])
def test_credentials(binary, tmp_path, bearer):
    with script_registry.ScriptRegistry('user', 's3cret') as r:
        r.bearer = bearer
        digest = r.image('app', 'v', files=FILES)
        source = {'repository': r.host + '/app', 'username': 'user', 'password': 's3cret'}
        request = {'source': source, 'version': {'tag': 'v', 'digest': digest}}
        answer(conformlib.step(binary, 'in', request, tmp_path / 'a'), digest, r.host + '/app')
        source['password'] = 'wr0ng'
        done = conformlib.step(binary, 'in', request, tmp_path / 'b')
        assert done.rc == 4 and done.out == b'' and 'source.username' in done.text and 'wr0ng' not in done.text, done
        del source['password']
        assert conformlib.step(binary, 'in', request, tmp_path / 'c').rc == 4


def test_an_authority_of_the_source(binary, tmp_path):
    pem, key = conformlib.certificate(tmp_path, 'IP:127.0.0.1')
    with script_registry.ScriptRegistry(certificate=(pem, key)) as r:
        digest = r.image('app', 'v', files=FILES)
        request = {'source': {'repository': r.host + '/app', 'ca_certs': [pem.read_text()]},
                   'version': {'tag': 'v', 'digest': digest}}
        answer(conformlib.step(binary, 'in', request, tmp_path / 'to'), digest, r.host + '/app')
        request['source']['insecure'] = True        # plain http may be used: that does not make a certificate good
        del request['source']['ca_certs']
        assert conformlib.step(binary, 'in', request, tmp_path / 'no').rc == 5


# ---- payloads
@pytest.mark.parametrize('more, says', [
    ({'params': {'formt': 'oci'}}, "unknown field 'formt' in params (did you mean 'format'?)"),
    ({'params': {'label_regex': 'x'}}, "unknown field 'label_regex' in params (it belongs in source)"),
    ({'params': {'image': 'x'}}, "'image' in params (it belongs in the params of a put step)"),
    ({'params': {'platform': {'cpu': 'x'}}}, "unknown field 'cpu' in params.platform"),
    ({'params': {'skip_download': 'yes'}}, 'params.skip_download must be true or false, not a string'),
    ({'get_params': {}}, "unknown field 'get_params'"),
    ({'version': {'digest': NO_DIGEST, 'ref': 'x'}}, "unknown field 'ref' in version"),
])
def test_what_cannot_be_meant_is_refused(binary, tmp_path, more, says):
    request = {'source': {'repository': 'a'}, 'version': {'digest': NO_DIGEST}, **more}
    conformlib.step(binary, 'in', request, tmp_path).refused(says)


@pytest.mark.parametrize('field', ['label_regex', 'annotation_regex'])
def test_an_expression_that_is_none_is_refused(binary, tmp_path, field):
    request = {'source': {'repository': 'a', field: '[a'}, 'version': {'digest': NO_DIGEST}}
    conformlib.step(binary, 'in', request, tmp_path).refused('source.' + field)


def test_debug_gives_lines(get, image):
    done = get(image, debug=True)
    assert done.rc == 0 and 'GET http' in done.text


# ---- mirrors of Docker Hub
@pytest.fixture(scope='module')
def hub(scratch):
    with conformlib.docker_hub(scratch) as it:
        yield it


@pytest.fixture
def hub_get(binary, hub, tmp_path):
    """hub_get(digest, mirror, params): a get of 'thing' on Docker Hub into .to; .hub is that."""
    def run(digest, mirror, params=None, **source):
        _, before, ca = hub
        request = {'source': {'repository': 'thing', 'ca_certs': [ca], 'registry_mirror': mirror, **source},
                   'version': {'tag': 'v', 'digest': digest}, 'params': params or {}}
        return conformlib.step(binary, 'in', request, run.to, before=before)
    run.to = tmp_path / 'to'
    run.hub = hub[0]
    run.hub.forget()
    run.hub.manifests, run.hub.blobs, run.hub.fault = {}, {}, None
    return run


@pytest.mark.parametrize('kind', FORMATS)
def test_a_mirror_serves_all_of_it(hub_get, registry, kind):
    digest = registry.image('library/thing', 'v', files=FILES)
    done = hub_get(digest, {'host': registry.host}, {'format': kind})
    answer(done, digest, 'thing')
    assert read(hub_get.to, 'repository') == b'thing' and hub_get.hub.requests == []
    if kind == 'oci':
        with tarfile.open(hub_get.to / 'image.tar') as tar:
            assert json.load(tar.extractfile('manifest.json'))[0]['RepoTags'] == ['index.docker.io/library/thing:v']


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('ill', ['unresolvable', 'unknown', 'busy', 'no layers', 'bent layers', 'cut layers'])
def test_what_a_mirror_does_not_serve_the_origin_does(hub_get, registry, kind, ill):
    digest = hub_get.hub.image('library/thing', 'v', files=FILES)
    host = registry.host
    if ill in ('no layers', 'bent layers', 'cut layers', 'busy'):
        registry.image('library/thing', 'v', files=FILES)
    if ill == 'unresolvable':
        host = 'mirror.invalid'
    elif ill == 'busy':
        registry.fault = lambda r: 429
    elif ill == 'no layers':
        registry.fault = lambda r: 404 if r.kind == 'blob' else None
    elif ill == 'cut layers':
        registry.fault = lambda r: {'status': 200, 'headers': {'Content-Length': '1000000', 'Connection': 'close'},
                                     'body': b'x' * 10} if r.kind == 'blob' else None
    elif ill == 'bent layers':
        registry.blobs['library/thing'] = {d: bytes([b[0]]) + bytes(len(b) - 1)
                                           for d, b in registry.blobs['library/thing'].items()}
    done = hub_get(digest, {'host': host}, {'format': kind})
    answer(done, digest, 'thing')
    assert hub_get.hub.requests != []
    assert sorted(os.listdir(hub_get.to)) == sorted({'rootfs': ['digest', 'labels.json', 'metadata.json', 'repository', 'rootfs', 'tag'],
                                                     'oci': ['digest', 'image.tar', 'labels.json', 'repository', 'tag'],
                                                     'oci-layout': ['digest', 'oci', 'repository', 'tag']}[kind])
    if kind == 'rootfs':
        assert tree(hub_get.to / 'rootfs') == {'etc/motd': b'one\n', 'etc/issue': b'two\n'}


def test_neither_has_it(hub_get, registry):
    hub_get.hub.image('library/thing', 'w')
    done = hub_get(NO_DIGEST, {'host': registry.host})
    assert done.rc == 3 and "there is no tag 'v' either, only 'w'" in done.text and not hub_get.to.exists(), done
