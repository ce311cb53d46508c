"""digest, manifest, config, platforms, tags, history, inspect: what is told without fetching a layer."""
import contextlib, hashlib, json, os, socket, subprocess

import pytest

import lazyimages
import mkimage
from conftest import push
from looklib import Look, on_terminal, plain_characters

SHELL = '/bin/sh -c '


@pytest.fixture(scope='module')
def look(rootlet, binary, scratch):
    return Look(rootlet, binary, scratch / 'documents-cache')


def config_with(**more):
    return {'Env': ['PATH=/bin', 'X=gr\u00fc\u00dfe'], 'Cmd': ['/bin/sh', '-c', 'a "b"'], 'User': '1:2', 'WorkingDir': '/w',
            'Labels': {'b': '2', 'a': 'x\x1b[2Jy'}, 'ExposedPorts': {'80/tcp': {}, '53/udp': {}},
            'Volumes': {'/data': {}}, 'StopSignal': 'SIGQUIT', **more}


@pytest.fixture(scope='module')
def layout(scratch):
    """'one': a manifest of three layers with an odd history; 'two': an index of two platforms and an attestation."""
    layout = mkimage.Layout(scratch / 'documents')
    tars = [mkimage.Layer().d('etc').f('etc/a', b'x' * 1000).bytes(), mkimage.Layer().f('b', b'y' * 500).bytes(),
            lazyimages.work_layer('one', 40, 1 << 20, b'1', most=60000)]
    layers = [lazyimages.plain(tars[0]), lazyimages.plain(tars[1]), lazyimages.estargz(tars[2])]
    one = lazyimages.image(layout, layers)
    manifest = json.load(open(layout.path(one['digest'])))
    config = json.load(open(layout.path(manifest['config']['digest'])))
    config['config'] = config_with()
    config['history'] = [
        {'created': '2024-01-02T03:04:05Z', 'created_by': SHELL + '#(nop) ADD file:x in / '},
        {'created_by': SHELL + '#(nop)  ENV A=1', 'empty_layer': True},
        {'created_by': SHELL + 'apt-get update &&\n\tapt-get install x\x1b[31m', 'comment': 'c'},
        {'created_by': 'COPY . /app # buildkit'},
    ]
    manifest['config'] = layout.blob(json.dumps(config).encode(), manifest['config']['mediaType'])
    one = dict(layout.blob(json.dumps(manifest).encode(), manifest['mediaType']), platform=one['platform'])
    layout.tag('one', one)
    arm = layout.image([mkimage.pack(tars[1])], arch='arm64')
    arm['platform']['variant'] = 'v8'
    odd = dict(layout.blob(b'{"mediaType":"application/vnd.oci.image.manifest.v1+json"}', one['mediaType']),
               platform={'architecture': 'unknown', 'os': 'unknown'})
    one['platform'] = {'os': 'linux', 'architecture': mkimage.ARCH}
    layout.tag('two', layout.index([one, arm, odd]))
    layout.one, layout.arm = one, arm
    return layout


def image(layout, tag):
    return 'oci:%s:%s' % (layout.d, tag)


def test_digest_is_of_what_is_named(look, layout):
    index = hashlib.sha256(look.ask('manifest', image(layout, 'two'))).hexdigest()
    assert look.ask('digest', image(layout, 'two')).decode() == 'sha256:%s\n' % index
    assert look.ask('digest', image(layout, 'one')).decode() == layout.one['digest'] + '\n'
    for platform in ('linux/arm64', 'arm64/v8'):
        assert look.ask('digest', '--platform', platform, image(layout, 'two')).decode() == layout.arm['digest'] + '\n'
    told = json.loads(look.ask('digest', '--json', image(layout, 'one')))
    assert told['digest'] == layout.one['digest'] and told['size'] == layout.one['size']
    assert told['media_type'] == layout.one['mediaType'] and told['image'].endswith(':one')


def test_documents_are_byte_for_byte(look, layout):
    manifest = open(layout.path(layout.arm['digest']), 'rb').read()
    assert look.ask('manifest', '--platform=linux/arm64', image(layout, 'two')) == manifest
    told = json.loads(look.ask('manifest', '--json', '--platform=linux/arm64', image(layout, 'two')))
    assert told['manifest'] == json.loads(manifest) and told['digest'] == layout.arm['digest']
    named = json.loads(manifest)['config']['digest']
    config = look.ask('config', '--platform=linux/arm64', image(layout, 'two'))
    assert 'sha256:' + hashlib.sha256(config).hexdigest() == named
    assert json.loads(look.ask('config', '--json', image(layout, 'one')))['config']['config'] == config_with()


def test_a_document_cannot_drive_a_terminal(look, layout, binary):
    layout.tag('odd', dict(layout.blob(json.dumps(dict(json.load(open(layout.path(layout.one['digest']))), note='\u202e\u009b2J')
                                                  , ensure_ascii=False).encode(), layout.one['mediaType'])))
    argv = [binary, 'manifest', '--quiet', image(layout, 'odd')]
    assert '\u202e'.encode() in look.ask('manifest', image(layout, 'odd'))
    seen = on_terminal(argv, {'ROOTLET_CACHE': str(look.cache)})
    assert plain_characters(seen) and rb'\u202e\u009b2J' in seen


def test_platforms_are_those_of_the_index(look, layout):
    lines = look.ask('platforms', image(layout, 'two')).decode().splitlines()
    assert [line.split() for line in lines] == [['linux/' + mkimage.ARCH, layout.one['digest']],
                                                ['linux/arm64/v8', layout.arm['digest']]]
    told = [json.loads(x) for x in look.ask('platforms', '--json', image(layout, 'one')).splitlines()]
    assert told == [{'platform': 'linux/' + mkimage.ARCH, 'digest': layout.one['digest'], 'media_type': layout.one['mediaType']}]


def test_an_index_in_an_index_is_opened(look, layout):
    inner = layout.index([layout.arm])
    layout.tag('nested', layout.index([layout.one, inner]))
    names = [x.split()[0] for x in look.ask('platforms', image(layout, 'nested')).decode().splitlines()]
    assert names == ['linux/' + mkimage.ARCH, 'linux/arm64/v8']


def test_history_has_layers_and_commands(look, layout):
    lines = look.ask('history', image(layout, 'one')).decode().splitlines()
    assert [line.split(None, 1)[0] for line in lines] == ['LAYER', '1', '-', '2', '3']
    assert lines[1].endswith('2024-01-02       ADD file:x in /') and lines[2].endswith(' ENV A=1')
    assert lines[3].endswith(r' RUN apt-get update &&  apt-get install x\x1b[31m') and lines[4].endswith(' COPY . /app')
    told = [json.loads(x) for x in look.ask('history', '--json', image(layout, 'one')).splitlines()]
    assert [t['layer'] for t in told] == [1, None, 2, 3]
    sizes = [x['size'] for x in json.load(open(layout.path(layout.one['digest'])))['layers']]
    assert [t['size'] for t in told if t['layer']] == sizes
    assert told[2]['command'] == SHELL + 'apt-get update &&\n\tapt-get install x\x1b[31m' and told[2]['comment'] == 'c'


def test_a_history_that_does_not_fit_hides_no_layer(look, layout):
    manifest = json.load(open(layout.path(layout.one['digest'])))
    config = json.load(open(layout.path(manifest['config']['digest'])))
    config['history'] = [{'created_by': 'only one'}]
    manifest['config'] = layout.blob(json.dumps(config).encode(), manifest['config']['mediaType'])
    layout.tag('short', layout.blob(json.dumps(manifest).encode(), manifest['mediaType']))
    told = [json.loads(x) for x in look.ask('history', '--json', image(layout, 'short')).splitlines()]
    assert [(t['layer'], t['command']) for t in told] == [(1, 'only one'), (2, ''), (3, '')]


def test_history_is_cut_to_the_terminal(look, layout, binary):
    seen = on_terminal([binary, 'history', '--quiet', image(layout, 'one')], {}, columns=60)
    assert max(map(len, seen.decode().splitlines())) <= 60 and b'...' in seen and plain_characters(seen)


def test_inspect_fetches_no_layer(look, layout, registry):
    where = registry + '/inspected'
    push(layout.d, 'one', where + ':x')
    done = look.run('inspect', '--debug', '--tls-verify=false', where + ':x')
    assert done.rc == 0, done
    page = done.out.decode()
    manifest = json.load(open(layout.path(layout.one['digest'])))
    plain = [x['digest'] for x in manifest['layers'][:2]]
    assert not any(digest in done.text for digest in plain), done.text
    for line in ('User        1:2', 'Directory   /w', r'Command     ["/bin/sh", "-c", "a \"b\""]', 'Ports       80/tcp, 53/udp',
                 'Volumes     /data', 'Stop signal SIGQUIT', r'Labels      a=x\x1b[2Jy', '            b=2'):
        assert line in page.splitlines(), page
    told = json.loads(look.ask('inspect', '--tls-verify=false', '--json', where + ':x'))
    assert told['ports'] == ['80/tcp', '53/udp'] and told['labels'] == {'a': 'x\x1b[2Jy', 'b': '2'}
    assert [(x['layer'], x['index'], x['trust']) for x in told['layers']] == [
        (1, None, None), (2, None, None), (3, 'estargz', 'bound')]
    assert [x['unpacked_bytes'] for x in told['layers'][:2]] == [None, None] and told['layers'][2]['unpacked_bytes'] > 1 << 20
    look.ask('ls', '--tls-verify=false', where + ':x')          # scans the two small layers
    told = json.loads(look.ask('inspect', '--tls-verify=false', '--json', where + ':x'))
    assert [(x['index'], x['unpacked_bytes']) for x in told['layers'][:2]] == [('scan', 1000), ('scan', 500)]


@pytest.fixture(scope='module')
def tagged(rootlet, registry, small_layout):
    where = registry + '/tagged'
    push(small_layout, 'latest', where + ':latest')
    tags = 'v1.10.0', '1.9', '1.10.0-rc.1', '1.10.0-rc.10', '1.10.0-rc.9', 'a', '2'
    assert rootlet('tag', '--tls-verify=false', where + ':latest', *tags).rc == 0
    return where


def test_tags_are_sorted_by_version(look, tagged):
    args = '--tls-verify=false', tagged
    lines = look.ask('tags', '--sort=semver', *args).decode().splitlines()
    assert lines == ['a', 'latest', '1.9', '1.10.0-rc.1', '1.10.0-rc.9', '1.10.0-rc.10', 'v1.10.0', '2']
    assert look.ask('tags', '--sort=name', *args).decode().splitlines() == sorted(lines)
    assert sorted(look.ask('tags', *args).decode().splitlines()) == sorted(lines)
    assert [json.loads(x) for x in look.ask('tags', '--json', '--sort=name', *args).splitlines()] == [{'tag': t} for t in sorted(lines)]


def test_what_cannot_be_told(look, layout, tagged, place):
    for command in ('digest', 'manifest', 'config', 'platforms', 'history', 'inspect'):
        assert 'none' in look.fails(command, image(layout, 'none'), rc=3)
        assert 'not 2 operands' in look.fails(command, 'a', 'b', rc=2)
    assert 'not known' in look.fails('tags', '--tls-verify=false', tagged + '-not', rc=3)
    look.fails('tags', '--tls-verify=false', tagged + ':latest', rc=2)
    assert 'name or semver' in look.fails('tags', '--sort=x', tagged, rc=2)
    assert "no image for 'linux/s390x'" in look.fails('digest', '--platform=linux/s390x', image(layout, 'two'), rc=3)
    archive = place / 'a.tar'
    subprocess.run(['skopeo', 'copy', '-q', image(layout, 'one'), 'docker-archive:%s:x:1' % archive], check=True)
    made = hashlib.sha256(look.ask('manifest', 'docker-archive:%s' % archive)).hexdigest()
    assert look.ask('digest', 'docker-archive:%s' % archive).decode() == 'sha256:%s\n' % made
    assert len(look.ask('history', 'docker-archive:%s' % archive).splitlines()) == 5


def test_a_reader_that_goes_away_ends_it_quietly(look, layout, binary):
    done = subprocess.run(['bash', '-c', '"$0" manifest --quiet "$1" | true; echo ${PIPESTATUS[0]}', binary, image(layout, 'one')],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, ROOTLET_CACHE=str(look.cache)))
    assert done.stderr == b'' and done.stdout in (b'141\n', b'0\n')
    with contextlib.ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.callback(theirs.close)
        ours.close()
        done = subprocess.run([binary, 'manifest', '--quiet', image(layout, 'one')], stdout=theirs, stderr=subprocess.PIPE)
    assert done.returncode == -13 and done.stderr == b''


def test_a_full_disk_is_an_error(look, layout, binary):
    for command in ('manifest', 'history', 'inspect', 'digest'):
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([binary, command, '--quiet', image(layout, 'one')], stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 1 and b'No space left on device' in done.stderr, (command, done)
