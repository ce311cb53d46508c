"""The put step held against the rules of registry-image: each row of them, over the wire, requests counted.

Against lab/push_registry.py, which records what it is asked; the environment holds nothing but TEST=true.
"""
import base64, hashlib, io, json, os, shutil, tarfile

import pytest

import mkimage
import push_registry

INDEX = 'application/vnd.oci.image.index.v1+json'


@pytest.fixture
def registry():
    with push_registry.PushRegistry() as r:
        yield r


@pytest.fixture(scope='module')
def images(scratch):
    """DIR with everything a put may name."""
    d = scratch / 'out-images'
    d.mkdir()
    one = mkimage.Layer().d('./').d('etc').f('etc/motd', 'hello\n').f('big', mkimage.noise(300000))
    two = mkimage.Layer().d('etc').f('etc/more', 'x' * 5000)
    packed = [mkimage.pack(one.bytes()), mkimage.pack(two.bytes(), '')]
    lay = mkimage.Layout(d / 'layout')
    image = lay.image(packed, labels={'a': 'b'})
    lay.tag('latest', image)
    marked = shutil.copytree(d / 'layout', d / 'marked')
    (marked / 'single-image-digest').write_text(image['digest'])
    other = lay.image(packed[:1], arch='s390x')
    claim = lay.image([mkimage.pack(b'{}', '')])
    claim['platform'] = {'architecture': 'unknown', 'os': 'unknown'}
    claim['annotations'] = {'vnd.docker.reference.digest': image['digest'],
                            'vnd.docker.reference.type': 'attestation-manifest'}
    shutil.copytree(d / 'layout', d / 'multi')
    multi = mkimage.Layout(d / 'multi')
    index = multi.index([image, other, claim])
    multi.i['manifests'] = []
    multi.tag('latest', index)
    pair = mkimage.Layout(shutil.copytree(d / 'multi', d / 'pair'))
    pair.i['manifests'] = []
    pair.tag('a', image)
    pair.tag('b', other)
    solo = mkimage.Layout(d / 'solo')
    solo.tag('latest', solo.image(packed[:1], arch='s390x'))
    archive(d / 'oci.tar', d / 'layout')
    docker(d / 'docker.tar', d / 'layout', image, 1)
    docker(d / 'two.tar', d / 'layout', image, 2)
    (d / 'plain.txt').write_text('no image')
    (d / 'empty').mkdir()
    (d / 'tags').write_text('one two\n\tthree\n')
    (d / 'badtags').write_text('one no/tag\n')
    (d / 'notags').write_text(' \n')
    return type('Images', (), {'dir': d, 'layout': lay, 'image': image, 'index': index, 'other': other, 'claim': claim})


def archive(path, directory):
    with tarfile.open(path, 'w') as t:
        for name in sorted(os.listdir(directory)):
            t.add(directory / name, name)


def docker(path, layout, image, count):
    """As docker save wrote it before version 25."""
    def blob(digest):
        return (layout / 'blobs' / 'sha256' / digest.split(':')[1]).read_bytes()
    manifest = json.loads(blob(image['digest']))
    files = {manifest['config']['digest'].split(':')[1] + '.json': blob(manifest['config']['digest'])}
    for d in manifest['layers']:
        files[d['digest'].split(':')[1] + '/layer.tar'] = blob(d['digest'])
    entry = {'Config': next(iter(files)), 'Layers': [n for n in files if n.endswith('tar')]}
    files['manifest.json'] = json.dumps([dict(entry, RepoTags=['app:%d' % i]) for i in range(count)]).encode()
    with tarfile.open(path, 'w') as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))


def sha256(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


@pytest.fixture
def out(rootlet, images, registry):
    """out(params, **source): run the step on the images."""
    def run(params=None, raw=None, **source):
        what = {'source': {'repository': registry.host + '/app', **source}}
        if params is not None:
            what['params'] = params
        return rootlet('out', images.dir, data=raw or json.dumps(what).encode(), env={'TEST': 'true'})
    return run


def answer(done):
    assert done.rc == 0, done
    a = json.loads(done.out)
    assert list(a) == ['version', 'metadata'] and list(a['version']) == ['tag', 'digest'], a
    assert [m['name'] for m in a['metadata']] == ['repository', 'tags'], a
    return a


def refused(done, says, rc=2):
    assert done.rc == rc and done.out == b'' and says in done.text, done


# ---- 4.1 what image may be
def test_a_layout_without_the_marker_is_pushed_as_its_index(out, registry, images):
    a = answer(out({'image': 'layout'}, tag='v'))
    want = (images.dir / 'layout' / 'index.json').read_bytes()
    assert registry.manifests['app']['v'] == want and a['version'] == {'tag': 'v', 'digest': sha256(want)}
    assert registry.types[sha256(want)] == INDEX
    assert images.image['digest'] in registry.manifests['app']


def test_the_marker_names_the_image_that_is_pushed(out, registry, images):
    a = answer(out({'image': 'marked'}, tag='v'))
    assert a['version']['digest'] == images.image['digest']
    assert sha256(registry.manifests['app']['v']) == images.image['digest']
    assert len(registry.manifests['app']) == 2      # by tag and digest, nothing around it


def test_an_index_of_one_index_is_unwrapped_and_pushed_with_all_children(out, registry, images):
    a = answer(out({'image': 'multi'}, tag='v'))
    assert a['version']['digest'] == images.index['digest'] == sha256(registry.manifests['app']['v'])
    assert {images.image['digest'], images.other['digest'], images.claim['digest']} < set(registry.manifests['app'])


def test_a_layout_of_several_images_is_an_index(out, registry, images):
    a = answer(out({'image': 'pair'}, tag='v'))
    assert a['version']['digest'] == sha256((images.dir / 'pair' / 'index.json').read_bytes())


def test_no_image_means_the_directory_itself(rootlet, registry, images):
    what = {'source': {'repository': registry.host + '/app', 'tag': 'v'}}
    done = rootlet('out', images.dir / 'marked', data=json.dumps(what).encode(), env={'TEST': 'true'})
    assert answer(done)['version']['digest'] == images.image['digest']


def test_no_image_and_no_layout_is_an_error(out):
    done = out({}, tag='v')
    assert done.rc != 0 and 'params.image is missing' in done.text, done


def test_a_docker_archive_keeps_its_layers_as_they_are(out, registry, images):
    a = answer(out({'image': 'docker.tar'}, tag='v'))
    pushed = json.loads(registry.manifests['app']['v'])
    was = json.loads((images.dir / 'layout/blobs/sha256' / images.image['digest'].split(':')[1]).read_bytes())
    assert [x['digest'] for x in pushed['layers']] == [x['digest'] for x in was['layers']]
    assert pushed['config']['digest'] == was['config']['digest']
    assert [x['mediaType'].rpartition('.')[2] for x in pushed['layers']] == ['tar+gzip', 'tar']
    assert a['version']['digest'] == sha256(registry.manifests['app']['v'])


def test_a_docker_archive_of_several_images_is_refused_by_name(out, registry):
    done = out({'image': 'two.tar'}, tag='v')
    assert done.rc == 2 and 'app:0' in done.text and 'app:1' in done.text, done
    assert registry.asked == []


def test_an_oci_archive_is_pushed(out, registry, images):
    assert answer(out({'image': 'oci.tar'}, tag='v'))['version']['digest'] == images.image['digest']


@pytest.mark.parametrize('made', ['oci', 'image.tar'])
def test_the_directory_of_a_get_leads_to_what_is_in_it(out, registry, images, made):
    got = images.dir / 'got'
    got.mkdir()
    if made == 'oci':
        shutil.copytree(images.dir / 'marked', got / made)
    else:
        shutil.copy(images.dir / 'docker.tar', got / made)
    refused(out({'image': 'got'}, tag='v'), "it holds 'got/%s'" % made, rc=3)
    answer(out({'image': 'got/' + made}, tag='v'))
    shutil.rmtree(got)


@pytest.mark.parametrize('image, says', [
    ('nope', "no files match glob 'nope'"),
    ('*.tar', "too many files/directories match glob '*.tar'"),
])
def test_globs(out, registry, image, says):
    refused(out({'image': image}, tag='v'), says)
    assert registry.asked == []


@pytest.mark.parametrize('image', ['d?cker.tar', 'marke*', '[m]arked'])
def test_globs_match(out, image):
    answer(out({'image': image}, tag='v'))


@pytest.mark.parametrize('image', ['plain.txt', 'empty'])
def test_what_is_no_image_is_refused(out, registry, image):
    done = out({'image': image}, tag='v')
    assert done.rc != 0 and image in done.text and registry.asked == [], done


# ---- 4.2 tags
def tags_of(done):
    return answer(done)['metadata'][1]['value'].split(' ')


def test_tags_come_in_their_order(out, registry):
    done = out({'image': 'marked', 'version': '1.2.3', 'bump_aliases': True, 'additional_tags': 'tags',
                'tag_prefix': 'p-'}, tag='v')
    want = ['v', '1.2.3', 'latest', '1', '1.2', 'p-one', 'p-two', 'p-three']
    assert tags_of(done) == want and answer(done)['version']['tag'] == 'v'
    assert {t for t in registry.manifests['app'] if ':' not in t} == set(want)


def test_a_tag_given_twice_is_pushed_once_and_told_twice(out, registry):
    assert tags_of(out({'image': 'marked', 'version': '1.2.3'}, tag='1.2.3')) == ['1.2.3', '1.2.3']
    assert sum(x == 'PUT /v2/app/manifests/1.2.3' for x in registry.asked) == 1


def test_no_tag_is_an_error(out, registry):
    refused(out({'image': 'marked'}), "no tag specified - need either 'version:' in params or 'tag:' in source")
    assert registry.asked == []


@pytest.mark.parametrize('version, tag', [
    ('v1.2.3', '1.2.3'), ('1.2', '1.2.0'), ('1', '1.0.0'), ('1.2.3-rc.1', '1.2.3-rc.1'), (2, '2.0.0'),
])
def test_versions_are_normalised(out, version, tag):
    assert tags_of(out({'image': 'marked', 'version': version})) == [tag]


@pytest.mark.parametrize('version', ['x', '1.2.3.4', '1.2.3-', '', '1..2', '1.2.3-a..b', 'v', '-1'])
def test_what_is_no_version_is_refused(out, registry, version):
    done = out({'image': 'marked', 'version': version})
    refused(done, 'invalid semantic version' if version else 'no tag specified')
    assert registry.asked == []


def test_build_metadata_fit_no_tag(out):
    refused(out({'image': 'marked', 'version': '1.2.3+b1'}), 'build metadata')


def test_a_variant_is_put_behind_the_version_and_its_aliases(out):
    done = out({'image': 'marked', 'version': '1.2.3', 'bump_aliases': True}, variant='slim')
    assert tags_of(done) == ['1.2.3-slim', 'slim', '1-slim', '1.2-slim']


@pytest.mark.parametrize('params', [{'tag_prefix': 'p'}, {'tag_prefix': 'p', 'additional_tags': 'notags'}])
def test_a_prefix_needs_additional_tags(out, params):
    refused(out(dict(params, image='marked'), tag='v'), 'tag_prefix can only be used when additional_tags are specified')


def test_additional_tags_alone_are_enough(out):
    assert tags_of(out({'image': 'marked', 'additional_tags': 'tags'})) == ['one', 'two', 'three']


@pytest.mark.parametrize('params, source, rc', [
    ({'additional_tags': 'badtags'}, {}, 2), ({'additional_tags': 'gone'}, {}, 3), ({}, {'tag': 'no tag'}, 2),
])
def test_bad_tags_are_refused_before_anything_is_sent(out, registry, params, source, rc):
    done = out(dict(params, image='marked'), **source)
    assert done.rc == rc and registry.count('PUT', 'manifest') == 0, done


# ---- 4.3 bump_aliases
@pytest.mark.parametrize('there, version, aliases', [
    ([], '1.2.3', ['latest', '1', '1.2']),
    (['1.2.3'], '1.2.3', ['latest', '1', '1.2']),                 # equal does not block
    (['2.0.0'], '1.2.3', ['1', '1.2']),
    (['1.3.0'], '1.2.3', ['1.2']),
    (['1.2.4'], '1.2.3', []),
    (['1.1.9'], '1.2.3', ['latest', '1', '1.2']),
    (['2.0.0-rc.1', '1.9.0-slim', 'v', 'latest', '1', '1.2'], '1.2.3', ['latest', '1', '1.2']),
    (['1.2.10'], '1.2.9', []),                                    # by number, not by letter
    ([], '1.2.3-rc.1', []),
])
def test_aliases_are_left_to_newer_versions(out, registry, images, there, version, aliases):
    answer(out({'image': 'solo'}, tag='v'))
    registry.manifests['app'].update((t, registry.manifests['app']['v']) for t in there)
    assert tags_of(out({'image': 'marked', 'version': version, 'bump_aliases': True})) == [version] + aliases


def test_aliases_need_a_version(out, registry):
    assert tags_of(out({'image': 'marked', 'bump_aliases': True}, tag='v')) == ['v']
    assert registry.count('GET', 'tags') == 0


def test_tags_are_read_page_by_page(out, registry):
    answer(out({'image': 'marked'}, tag='v'))
    registry.manifests['app'].update(('1.2.%d' % i, registry.manifests['app']['v']) for i in range(9))
    registry.page = 4
    assert tags_of(out({'image': 'marked', 'version': '1.2.7', 'bump_aliases': True})) == ['1.2.7']
    assert registry.count('GET', 'tags') == 3


@pytest.mark.parametrize('body', [b'', b'<html>', b'{"errors":[]}', b'{"errors":[{"code":"NAME_UNKNOWN"}]}'])
def test_a_new_repository_has_no_tags_however_that_is_said(out, registry, body):
    registry.fault = lambda r: {'status': 404, 'body': body} if r.kind == 'tags' else None
    assert tags_of(out({'image': 'marked', 'version': '1.0.0', 'bump_aliases': True})) == ['1.0.0', 'latest', '1', '1.0']


# ---- 4.4 the requests
def test_the_requests_of_a_first_push_and_of_a_second(out, registry, images):
    answer(out({'image': 'marked'}, tag='v'))
    kinds = [(r.method, r.kind) for r in registry.requests]
    assert kinds[0] == ('HEAD', 'manifest') and registry.asked[0].endswith('/manifests/v')
    for method, kind, count in (('HEAD', 'blob', 3), ('POST', 'begin', 3), ('PATCH', 'upload', 3), ('PUT', 'upload', 3),
                                ('PUT', 'manifest', 1), ('GET', 'manifest', 0), ('GET', 'ping', 0)):
        assert kinds.count((method, kind)) == count, (method, kind, registry.asked)
    last = max(i for i, k in enumerate(kinds) if k[1] in ('upload', 'blob'))
    assert kinds.index(('PUT', 'manifest')) > last      # blobs first
    for r in registry.requests:
        if r.method == 'PATCH':
            assert r.headers['Content-Type'] == 'application/octet-stream' and r.headers['Content-Length']
            assert 'Transfer-Encoding' not in r.headers and 'Expect' not in r.headers
    registry.forget()
    answer(out({'image': 'marked'}, tag='v'))
    assert registry.asked == ['HEAD /v2/app/manifests/v']
    registry.forget()
    answer(out({'image': 'marked'}, tag='w'))
    assert [r.kind for r in registry.requests] == ['manifest'] * len(registry.requests)
    assert registry.count('PUT', 'manifest') == 1


def test_children_come_before_their_index(out, registry, images):
    answer(out({'image': 'multi'}, tag='v'))
    puts = [r.path.split('/')[-1] for r in registry.requests if (r.method, r.kind) == ('PUT', 'manifest')]
    assert puts[-1] == 'v' and sorted(puts[:-1]) == sorted(d['digest'] for d in (images.image, images.other, images.claim))


def test_only_blobs_that_are_missing_are_sent(out, registry):
    answer(out({'image': 'solo'}, tag='v'))         # its layer is one of the other's two
    registry.forget()
    answer(out({'image': 'marked'}, tag='w'))
    assert registry.count('HEAD', 'blob') == 3 and registry.count('PATCH', 'upload') == 2


@pytest.mark.parametrize('status', [403, 404])
def test_a_tag_that_may_not_be_seen_is_pushed(out, registry, status):
    registry.fault = lambda r: status if r.method in ('HEAD', 'GET') and r.kind == 'manifest' and r.number < 4 else None
    answer(out({'image': 'marked'}, tag='v'))


def test_locations_may_be_relative(rootlet, images):
    with push_registry.PushRegistry(location='relative') as r:
        what = {'source': {'repository': r.host + '/app', 'tag': 'v'}, 'params': {'image': 'marked'}}
        answer(rootlet('out', images.dir, data=json.dumps(what).encode(), env={'TEST': 'true'}))


@pytest.mark.parametrize('kind', ['manifest', 'blob', 'begin', 'upload'])
@pytest.mark.parametrize('fault', [429, 503, 'reset'])
def test_the_first_request_of_each_kind_may_fail(out, registry, images, kind, fault):
    seen = set()

    def first(r):
        if r.kind == kind and r.method not in seen:
            seen.add(r.method)
            return fault
    registry.fault = first
    assert answer(out({'image': 'marked'}, tag='v'))['version']['digest'] == images.image['digest']
    assert seen


def test_a_broken_upload_goes_on_where_it_stopped(out, registry):
    cut = []

    def once(r):
        if r.method == 'PATCH' and int(r.headers['Content-Length']) > 100000 and not cut:
            cut.append(r)
            return 'cut', 70000
    registry.fault = once
    answer(out({'image': 'marked'}, tag='v'))
    rest = [r for r in registry.requests if r.headers.get('Content-Range')]
    assert cut and len(rest) == 1 and rest[0].headers['Content-Range'].startswith('70000-'), registry.asked
    assert rest[0].path == cut[0].path


def test_a_lost_upload_starts_anew(out, registry):
    lost = []

    def once(r):
        if r.method == 'PATCH' and not lost:
            lost.append(r)
            registry.uploads.clear()
    registry.fault = once
    answer(out({'image': 'marked'}, tag='v'))
    assert registry.count('POST', 'begin') >= 4


def test_a_blob_that_came_though_the_answer_was_lost_is_not_sent_again(out, registry):
    lost = []

    def once(r):
        if r.method == 'PUT' and r.kind == 'upload' and not lost:
            lost.append(r)
            name = r.path.split('/')[-1]
            registry.blobs.setdefault('app', {})[r.query['digest']] = registry.uploads.pop(name)
            return 'reset'
    registry.fault = once
    answer(out({'image': 'marked'}, tag='v'))
    assert lost and registry.count('PATCH', 'upload') == 3


def test_a_blob_that_was_said_to_be_there_and_is_not_is_sent(out, registry):
    lie = []

    def once(r):
        if (r.method, r.kind) == ('HEAD', 'blob') and not lie:
            lie.append(r)
            return {'status': 200, 'headers': {'Content-Length': '5'}}
    registry.fault = once
    answer(out({'image': 'marked'}, tag='v'))


@pytest.mark.parametrize('times, good', [(2, True), (9, False)])
def test_a_registry_disturbed_by_another_push_is_asked_again(out, registry, times, good):
    left = [times]

    def disturbed(r):
        if (r.method, r.kind) != ('PUT', 'manifest') or not left[0]:
            return None
        left[0] -= 1
        return {'status': 400, 'body': b'{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}'}
    registry.fault = disturbed
    done = out({'image': 'marked'}, tag='v')
    if good:
        answer(done)
    else:
        refused(done, 'DIGEST_INVALID', rc=5)
        assert left[0] == 5


def test_a_manifest_that_is_stored_otherwise_is_an_error(out, registry):
    registry.fault = lambda r: ({'status': 201, 'headers': {'Docker-Content-Digest': 'sha256:' + '1' * 64}}
                                if (r.method, r.kind) == ('PUT', 'manifest') else None)
    refused(out({'image': 'marked'}, tag='v'), 'stored the manifest as', rc=6)


def test_a_manifest_that_is_not_there_afterwards_is_an_error(out, registry):
    registry.fault = lambda r: 201 if (r.method, r.kind) == ('PUT', 'manifest') else None
    refused(out({'image': 'marked'}, tag='v'), 'does not show', rc=5)


def test_a_blob_whose_bytes_are_wrong_is_not_pushed(out, registry, images):
    bad = shutil.copytree(images.dir / 'marked', images.dir / 'bent')
    try:
        big = max((bad / 'blobs/sha256').iterdir(), key=lambda p: p.stat().st_size)
        data = bytearray(big.read_bytes())
        data[1000] ^= 1
        big.write_bytes(data)
        refused(out({'image': 'bent'}, tag='v'), 'digest', rc=6)
        assert registry.count('PUT', 'manifest') == 0
    finally:
        shutil.rmtree(bad)


def test_a_refusal_names_the_credential_not_its_value(rootlet, images):
    with push_registry.PushRegistry(user='u', password='right') as r:
        what = {'source': {'repository': r.host + '/app', 'tag': 'v', 'username': 'u', 'password': 'sesame'},
                'params': {'image': 'marked'}}
        done = rootlet('out', images.dir, data=json.dumps(what).encode(), env={'TEST': 'true'})
        assert done.rc == 4 and 'source.username' in done.text and 'sesame' not in done.text, done


def test_tokens_are_asked_for_with_the_right_to_push(rootlet, images):
    with push_registry.PushRegistry(user='u', password='p') as r:
        r.bearer = 'secret-token'
        what = {'source': {'repository': r.host + '/app', 'tag': 'v', 'username': 'u', 'password': 'p'},
                'params': {'image': 'marked'}}
        answer(rootlet('out', images.dir, data=json.dumps(what).encode(), env={'TEST': 'true'}))
        assert r.scopes == [['repository:app:pull,push']]


def test_a_registry_that_wants_no_credential_is_asked_once(out, registry):
    answer(out({'image': 'marked'}, tag='v', username='u', password='p'))
    assert registry.count('GET', 'ping') == 1


def test_credentials_do_not_follow_an_upload_elsewhere(rootlet, images):
    with push_registry.PushRegistry(user='u', password='p') as r, push_registry.PushRegistry() as store:
        def away(request):
            if request.kind == 'begin':
                store.uploads['u'] = b''
                return {'status': 202, 'headers': {'Location': 'http://%s/v2/app/blobs/uploads/u' % store.host}}
        r.fault = away
        what = {'source': {'repository': r.host + '/app', 'tag': 'v', 'username': 'u', 'password': 'p'},
                'params': {'image': 'marked'}}
        rootlet('out', images.dir, data=json.dumps(what).encode(), env={'TEST': 'true'})
        assert store.requests and not any('Authorization' in q.headers for q in store.requests)


def test_blobs_are_mounted_from_where_they_are_said_to_be(out, registry, images):
    answer(out({'image': 'marked'}, tag='v', repository=registry.host + '/base'))
    lay = mkimage.Layout(shutil.copytree(images.dir / 'layout', images.dir / 'sourced'))
    try:
        manifest = json.loads((images.dir / 'layout/blobs/sha256' / images.image['digest'].split(':')[1]).read_bytes())
        for d in manifest['layers']:
            d['annotations'] = {'containerd.io/distribution.source.' + registry.host: 'base,more'}
        d = lay.blob(json.dumps(manifest).encode(), manifest['mediaType'])
        (images.dir / 'sourced' / 'single-image-digest').write_text(d['digest'])
        lay.tag('latest', d)
        registry.forget()
        answer(out({'image': 'sourced'}, tag='v'))
        assert registry.count('PATCH', 'upload') == 0 and registry.count('POST', 'begin') == 3
    finally:
        shutil.rmtree(images.dir / 'sourced')


# ---- 4.5 and the fields
@pytest.mark.parametrize('params, source, says, rc', [
    ({}, {'content_trust': {'server': 'https://x', 'repository_key_id': 'a'}}, 'cosign', 7),
    ({'index': True}, {}, 'params.index', 7),
    ({'images': ['layout']}, {}, 'exclude each other', 2),
    ({'compression': 'brotli'}, {}, "unknown compression 'brotli'", 2),
    ({'annotations': {'a': 1}}, {}, "'a' must be a string", 2),
    ({'imgae': 'x'}, {}, "unknown field 'imgae' in params (did you mean 'image'?)", 2),
    ({'skip_download': True}, {}, 'the params of a get step', 2),
    ({'tag': 'x'}, {}, 'it belongs in source', 2),
])
def test_fields_are_refused(out, registry, params, source, says, rc):
    done = out(dict({'image': 'marked'}, **params), tag='v', **source)
    assert done.rc == rc and says in done.text and registry.asked == [], done


def test_out_takes_no_version(out, registry):
    raw = json.dumps({'source': {'repository': registry.host + '/app', 'tag': 'v'}, 'version': {'tag': 'v'}}).encode()
    refused(out(raw=raw), "unknown field 'version'")


def test_what_follows_the_request_is_not_read(out, registry):
    raw = json.dumps({'source': {'repository': registry.host + '/app', 'tag': 'v'}, 'params': {'image': 'marked'}}).encode()
    answer(out(raw=raw + b' trailing {'))


def test_the_directory_must_be_given(rootlet, registry):
    done = rootlet('out', data=json.dumps({'source': {'repository': registry.host + '/app', 'tag': 'v'}}).encode())
    assert done.rc == 2 and 'source path not specified' in done.text, done


def test_content_trust_does_not_stop_check(rootlet, registry):
    source = {'repository': registry.host + '/app', 'tag': 'v', 'content_trust': {'server': 'x'}}
    done = rootlet('check', data=json.dumps({'source': source}).encode(), env={'TEST': 'true'})
    assert done.rc == 0 and done.out == b'[]\n', done


def test_the_mirror_has_no_part_in_it(out, registry):
    with push_registry.PushRegistry() as mirror:
        answer(out({'image': 'marked'}, tag='v', registry_mirror={'host': mirror.host}))
        assert mirror.asked == []


# ---- beyond registry-image
def test_images_become_an_index(out, registry, images):
    answer(out({'images': ['marked', 'solo']}, tag='v'))
    index = json.loads(registry.manifests['app']['v'])
    assert index['mediaType'] == INDEX
    assert [m['platform']['architecture'] for m in index['manifests']] == [mkimage.ARCH, 's390x']
    assert index['manifests'][0]['digest'] == images.image['digest']


def test_two_images_of_one_platform_are_refused(out, registry):
    refused(out({'images': ['marked', 'docker.tar']}, tag='v'), "it is the second for 'linux/")
    assert registry.asked == []


def test_annotations_are_set_on_the_top(out, registry, images):
    answer(out({'image': 'multi', 'annotations': {'org.example': 'a&b'}}, tag='v'))
    index = json.loads(registry.manifests['app']['v'])
    assert index['annotations'] == {'org.example': 'a&b'}
    assert [m['digest'] for m in index['manifests']] == [d['digest'] for d in (images.image, images.other, images.claim)]


@pytest.mark.parametrize('codec, magic', [('gzip', b'\x1f\x8b'), ('zstd', b'\x28\xb5\x2f\xfd')])
def test_compression_is_reproducible_and_keeps_the_diff_ids(out, registry, images, codec, magic):
    a = answer(out({'image': 'multi', 'compression': codec}, tag='v'))
    registry.forget()
    assert answer(out({'image': 'multi', 'compression': codec}, tag='v')) == a
    assert registry.count('PATCH', 'upload') == 0
    index = json.loads(registry.manifests['app']['v'])
    child = json.loads(registry.manifests['app'][index['manifests'][0]['digest']])
    for layer in child['layers']:
        data = registry.blobs['app'][layer['digest']]
        assert data.startswith(magic) and len(data) == layer['size'] and layer['mediaType'].endswith('+' + codec)
    claim = index['manifests'][2]
    assert claim['annotations']['vnd.docker.reference.digest'] == index['manifests'][0]['digest'] != images.image['digest']
    was = json.loads((images.dir / 'layout/blobs/sha256' / images.image['digest'].split(':')[1]).read_bytes())
    assert child['config'] == was['config']
