"""Tokens, credentials and certificates against a registry that is written for each case in a few lines.

The registry serves one image; a function of the case sees each request first and may answer it.
"""
import base64, contextlib, http.server, json, pathlib, ssl, subprocess, threading, time, urllib.parse

import pytest

import conftest
import runner

OCI = 'application/vnd.oci.image.manifest.v1+json'
SECRET = 'correct-horse'


class Request:
    def __init__(self, handler, body):
        self.method = handler.command
        self.path, _, self.query = handler.path.partition('?')
        self.headers = handler.headers
        self.form = dict(urllib.parse.parse_qsl(body.decode()))
        self.args = dict(urllib.parse.parse_qsl(self.query))
        self.authorization = handler.headers.get('Authorization')


class Registry:
    """answer(request) -> None (go on to the image) or (status, headers, body)."""

    def __init__(self, layout, answer, tls=None):
        self.layout, self.answer, self.seen = pathlib.Path(layout), answer, []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                request = Request(self, body)
                registry.seen.append(request)
                status, headers, data = registry.answer(request) or registry.content(request.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                if self.command != 'HEAD':
                    self.wfile.write(data)

            do_POST = do_HEAD = do_GET

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):     # clients that do not like our certificate hang up
                pass

        self.server = Server(('127.0.0.1', 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.host = '127.0.0.1:%d' % self.port
        self.url = '%s://%s' % ('https' if tls else 'http', self.host)
        self.image = self.host + '/team/app:latest'
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def content(self, path):
        what, reference = path.split('/')[-2:]
        if what == 'manifests' and ':' not in reference:
            reference = json.loads((self.layout / 'index.json').read_text())['manifests'][0]['digest']
        data = (self.layout / 'blobs' / reference.replace(':', '/')).read_bytes()
        return 200, {'Content-Type': OCI if what == 'manifests' else 'application/octet-stream'}, data

    def count(self, path):
        return sum(r.path == path for r in self.seen)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve(small_layout):
    with contextlib.ExitStack() as stack:
        def start(answer, **how):
            return stack.enter_context(contextlib.closing(Registry(small_layout, answer, **how)))
        yield start


@pytest.fixture
def pull(rootlet, tmp_path):
    """pull(registry, auth={...}): unpack its image; AUTH is the host's entry in an authfile."""
    def run(registry, *args, auth=None, config=None, env=None, image=None):
        if auth is not None:
            config = {'auths': {registry.host: auth}}
        if config is not None:
            (tmp_path / 'auth.json').write_text(json.dumps(config))
            args = ('--authfile', tmp_path / 'auth.json', *args)
        done = rootlet('unpack', *args, image or registry.image, tmp_path / 'root',
                       env=dict({'ROOTLET_RETRY_BASE_MS': '2'}, **(env or {})))
        assert SECRET not in done.text and SECRET not in done.out.decode(), 'a secret was shown'
        assert done.rc == 0 or not (tmp_path / 'root').exists()
        return done
    return run


PAIR = {'username': 'me', 'password': SECRET}
BASIC = 'Basic ' + base64.b64encode(b'me:' + SECRET.encode()).decode()


def refused(challenge=None, status=401, **error):
    headers = {'Content-Type': 'application/json'}
    if challenge:
        headers['WWW-Authenticate'] = challenge
    return status, headers, json.dumps({'errors': [error]} if error else {}).encode()


def tokens(request, realm='/token', token='tok', **more):
    """A bearer registry: 401 without the token, and a token endpoint that anybody may ask."""
    if request.path == realm:
        return 200, {'Content-Type': 'application/json'}, json.dumps(dict(more, token=token)).encode()
    if request.authorization == 'Bearer ' + token:
        return None
    host = request.headers['Host']
    return refused('Bearer realm="http://%s%s",service="the service",scope="repository:else:push"' % (host, realm))


def test_a_token_is_asked_for_our_own_scope(serve, pull):
    registry = serve(tokens)
    assert pull(registry, auth=PAIR).rc == 0
    asked = [r for r in registry.seen if r.path == '/token']
    assert len(asked) == 1
    assert asked[0].args == {'service': 'the service', 'scope': 'repository:team/app:pull', 'account': 'me'}
    assert '%2F' in asked[0].query and asked[0].authorization == BASIC


def test_without_credentials_a_token_is_asked_for_anonymously(serve, pull):
    registry = serve(tokens)
    assert pull(registry).rc == 0
    asked = [r for r in registry.seen if r.path == '/token']
    assert len(asked) == 1 and asked[0].authorization is None and 'account' not in asked[0].args


def test_an_identity_token_is_exchanged_by_post(serve, pull):
    def answer(request):
        if request.path == '/token':
            assert request.method == 'POST' and request.authorization is None
            assert request.form == {'grant_type': 'refresh_token', 'refresh_token': SECRET, 'client_id': 'rootlet',
                                    'service': 'the service', 'scope': 'repository:team/app:pull'}
            return 200, {}, json.dumps({'access_token': 'tok', 'expires_in': 5}).encode()
        return tokens(request)
    registry = serve(answer)
    assert pull(registry, auth={'auth': base64.b64encode(b'me:').decode(), 'identitytoken': SECRET}).rc == 0


@pytest.mark.parametrize('status', [404, 405])
def test_an_identity_token_serves_as_password_where_post_is_unknown(serve, pull, status):
    def answer(request):
        if request.path == '/token' and request.method == 'POST':
            return status, {}, b''
        return tokens(request)
    registry = serve(answer)
    assert pull(registry, auth={'identitytoken': SECRET}).rc == 0
    got = [r for r in registry.seen if r.path == '/token' and r.method == 'GET']
    assert base64.b64decode(got[0].authorization.split()[1]).decode() == '<token>:' + SECRET


def test_a_registry_token_is_used_as_it_is(serve, pull):
    def answer(request):
        return None if request.authorization == 'Bearer ' + SECRET else tokens(request)
    registry = serve(answer)
    assert pull(registry, auth={'registrytoken': SECRET}).rc == 0
    assert registry.count('/token') == 0


def test_bearer_goes_before_basic(serve, pull):
    def answer(request):
        reply = tokens(request)
        if reply and reply[0] == 401:
            reply[1]['WWW-Authenticate'] = 'Basic realm="x", ' + reply[1]['WWW-Authenticate']
        return reply
    registry = serve(answer)
    assert pull(registry, auth=PAIR).rc == 0
    assert registry.count('/token') == 1


def test_a_challenge_may_only_stand_at_the_root(serve, pull):
    def answer(request):
        if request.path == '/v2/' or request.path == '/token' or request.authorization:
            return tokens(request)
        return refused()
    registry = serve(answer)
    assert pull(registry, auth=PAIR).rc == 0
    assert registry.count('/v2/') == 1


@pytest.mark.parametrize('status', [403, 404])
def test_a_registry_may_hide_images_from_strangers(serve, pull, status):
    def answer(request):
        if request.path.startswith('/v2/team') and not request.authorization:
            return refused(status=status)
        return tokens(request)
    assert pull(serve(answer)).rc == {403: 4, 404: 3}[status]
    assert pull(serve(answer), auth=PAIR).rc == 0


@pytest.mark.parametrize('realm', ['https://tokens.example.net/t', 'https://127.0.0.1.example.net/t', 'https://192.0.2.7/t'])
def test_credentials_do_not_go_to_a_strange_realm(serve, pull, realm):
    registry = serve(lambda r: refused('Bearer realm="%s",service="x"' % realm))
    done = pull(registry, auth=PAIR)
    assert done.rc == 4 and realm in done.text and 'was not sent' in done.text and 'auth.json' in done.text, done
    assert len(registry.seen) == 1


@pytest.mark.parametrize('realm', ['http://127.0.0.1:9/t', 'http://169.254.169.254/latest', 'http://[::1]:{port}/t',
                                   'file:///etc/passwd', '/token', 'http://me:x@{host}/token', 'http://{host}/token#x',
                                   'http://2130706433:1/token', 'https://{host}@192.0.2.1/'])
@pytest.mark.parametrize('auth', [PAIR, None], ids=['credentials', 'anonymous'])
def test_a_realm_that_makes_no_sense_is_not_spoken_to(serve, pull, realm, auth):
    registry = serve(lambda r: refused('Bearer realm="%s",service="x"' %
                                       realm.format(host=registry.host, port=registry.port)))
    done = pull(registry, auth=auth)
    assert done.rc in (4, 5) and 'realm' in done.text, done
    assert len(registry.seen) == 1


def test_a_name_that_leads_into_our_network_is_no_realm(serve, pull):
    trap = serve(tokens)
    registry = serve(lambda r: refused('Bearer realm="http://localhost:%d/token",service="x"' % trap.port))
    done = pull(registry)
    assert done.rc == 5 and 'localhost' in done.text, done
    assert trap.seen == []


def test_a_realm_does_not_redirect(serve, pull):
    trap = serve(tokens)

    def answer(request):
        if request.path == '/token':
            return 307, {'Location': trap.url + '/token'}, b''
        return tokens(request)
    done = pull(serve(answer), auth=PAIR)
    assert done.rc == 5 and 'answered 307' in done.text, done
    assert trap.seen == []


@pytest.mark.parametrize('token', ['a\r\nX-Injected: 1', 'a b', '', 'x' * 70000, 'ä'])
def test_a_token_that_no_header_may_hold(serve, pull, token):
    def answer(request):
        if request.path == '/token':
            return 200, {}, json.dumps({'token': token}).encode()
        return tokens(request)
    registry = serve(answer)
    done = pull(registry, auth=PAIR)
    assert done.rc == 5 and 'token' in done.text, done
    assert len(registry.seen) == 2


def test_a_token_answer_has_a_limit(serve, pull):
    def answer(request):
        if request.path == '/token':
            return 200, {}, json.dumps({'token': 'tok', 'padding': 'x' * (1 << 20)}).encode()
        return tokens(request)
    assert pull(serve(answer), auth=PAIR).rc == 5


def test_a_refusal_says_who_and_why(serve, pull):
    def answer(request):
        if request.authorization == 'Bearer tok':
            return refused(status=403, code='DENIED', message='not \x1b[31myours\u202e' + 'x' * 5000)
        return tokens(request)
    registry = serve(answer)
    done = pull(registry, auth=PAIR)
    assert done.rc == 4, done
    assert 'DENIED' in done.text and 'auth.json' in done.text and registry.host in done.text, done
    assert '\x1b' not in done.text and '\u202e' not in done.text and len(done.text) < 2000, done
    assert registry.count('/token') == 1


def test_a_token_that_is_never_enough(serve, pull):
    def answer(request):
        if request.path == '/token':
            return tokens(request)
        return refused('Bearer realm="http://%s/token",service="x",error="insufficient_scope"' % request.headers['Host'])
    registry = serve(answer)
    done = pull(registry, auth=PAIR)
    assert done.rc == 4 and 'auth.json' in done.text, done
    assert len(registry.seen) <= 5


def test_a_wrong_password_is_said_with_its_source(serve, pull):
    def answer(request):
        if request.path == '/token':
            return refused(code='UNAUTHORIZED', message='incorrect username or password')
        return tokens(request)
    registry = serve(answer)
    done = pull(registry, auth=PAIR)
    assert done.rc == 4 and 'incorrect username' in done.text and 'auth.json' in done.text, done
    assert registry.count('/token') == 1


def test_basic_without_credentials(serve, pull):
    done = pull(serve(lambda r: refused('Basic realm="x"')))
    assert done.rc == 4 and 'user name and password' in done.text, done


def test_a_dead_token_costs_one_new_one_for_all_layers(serve, pull):
    """Both layers are asked for with the same token before either is told that it is dead."""
    both, alive = threading.Barrier(2, timeout=20), threading.Event()

    def answer(request):
        if request.path == '/token':
            number = sum(r.path == '/token' for r in registry.seen)
            if number > 1:
                time.sleep(0.5)     # long enough for the other one to want it too
            return 200, {}, json.dumps({'token': 'tok%d' % number}).encode()
        if '/blobs/' in request.path and request.authorization == 'Bearer tok1':
            if alive.is_set():
                both.wait()
                return tokens(request, token='tok2')
            alive.set()             # the config
        if request.authorization in ('Bearer tok1', 'Bearer tok2'):
            return None
        return tokens(request)
    registry = serve(answer)
    assert pull(registry, '--jobs', '2', auth=PAIR).rc == 0
    assert registry.count('/token') == 2


def test_a_credential_helper_is_asked(serve, pull, tmp_path):
    helper = tmp_path / 'docker-credential-fake'
    helper.write_text('#!/bin/sh\nread -r h\necho "$1 $h" >>%s/asked\n'
                      'echo \'{"Username":"me","Secret":"%s"}\'\n' % (tmp_path, SECRET))
    helper.chmod(0o755)
    registry = serve(lambda r: None if r.authorization == BASIC else refused('Basic realm="x"'))
    env = {'PATH': '%s:/usr/bin:/bin' % tmp_path}
    assert pull(registry, config={'credHelpers': {registry.host: 'fake'}}, env=env).rc == 0
    assert (tmp_path / 'asked').read_text() == 'get %s\n' % registry.host
    helper.write_text('#!/bin/sh\necho the vault is closed\nexit 1\n')
    (tmp_path / 'root').rename(tmp_path / 'old')
    done = pull(registry, config={'credsStore': 'fake'}, env=env)
    assert done.rc == 4 and 'docker-credential-fake' in done.text and 'vault is closed' in done.text, done


# ---- certificates
@pytest.fixture(scope='module')
def keys(scratch):
    """A server's and a client's certificate, each its own authority."""
    conftest.need_tool('openssl')
    out = scratch / 'auth-keys'
    out.mkdir()
    for who in ('server', 'client'):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days',
                        '2', '-subj', '/CN=' + who, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', out / (who + '.key'),
                        '-out', out / (who + '.crt')], check=True, stderr=subprocess.DEVNULL)
    return out


def tls_of(keys, wants_client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / 'server.crt', keys / 'server.key')
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(keys / 'client.crt')
    return context


def put_certs(keys, directory, *files):
    directory.mkdir(parents=True)
    for source, name in files:
        (directory / name).write_bytes((keys / source).read_bytes())


def test_certs_d_is_read_by_host_and_port(serve, pull, keys, tmp_path):
    registry = serve(lambda r: None, tls=tls_of(keys))
    env = {'ROOTLET_CERTS_DIR': str(tmp_path / 'certs.d')}
    put_certs(keys, tmp_path / 'certs.d' / '127.0.0.1:1', ('server.crt', 'ca.crt'))
    done = pull(registry, env=env)
    assert done.rc == 5 and 'certificate' in done.text, done
    put_certs(keys, tmp_path / 'certs.d' / registry.host, ('server.crt', 'ca.crt'))
    assert pull(registry, env=env).rc == 0


@pytest.mark.parametrize('bundle, linked, good', [
    (['server', 'client'], [], True),           # no links: the bundle
    (['client'], ['server', 'client'], True),   # only its link is needed
    (['server', 'client'], ['client'], True),   # the links do not have it: the bundle once more
    (['client'], ['client'], False),
])
def test_the_system_s_certificates(serve, binary, keys, tmp_path, bundle, linked, good):
    conftest.need_root()
    certs = tmp_path / 'certs'
    certs.mkdir()
    (certs / 'ca-certificates.crt').write_bytes(b''.join((keys / (n + '.crt')).read_bytes() for n in bundle))
    for name in linked:
        known = subprocess.run(['openssl', 'x509', '-hash', '-noout', '-in', keys / (name + '.crt')], check=True,
                               stdout=subprocess.PIPE, text=True).stdout.strip()
        (certs / (known + '.0')).write_bytes((keys / (name + '.crt')).read_bytes())
    registry = serve(lambda r: None, tls=tls_of(keys))
    done = runner.run(['unshare', '--mount', 'sh', '-c', 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"', 'sh',
                       certs, binary, 'unpack', registry.image, tmp_path / 'root'])
    assert (done.rc == 0) == good, done
    assert good or (done.rc == 5 and 'certificate' in done.text and registry.seen == []), done


def test_a_client_certificate_is_shown(serve, pull, keys, tmp_path):
    registry = serve(lambda r: None, tls=tls_of(keys, wants_client=True))
    env = {'ROOTLET_CERTS_DIR': str(tmp_path / 'certs.d')}
    put_certs(keys, tmp_path / 'certs.d' / registry.host, ('server.crt', 'ca.crt'))
    assert pull(registry, env=env).rc == 5
    assert registry.seen == []
    put_certs(keys, tmp_path / 'more', ('client.crt', 'client.cert'), ('client.key', 'client.key'))
    for name in ('client.cert', 'client.key'):
        (tmp_path / 'more' / name).rename(tmp_path / 'certs.d' / registry.host / name)
    assert pull(registry, env=env).rc == 0


def test_https_is_not_left_for_http(serve, pull, keys):
    plain = serve(lambda r: None)
    registry = serve(lambda r: (307, {'Location': plain.url + r.path}, b'') if '/blobs/' in r.path else None,
                     tls=tls_of(keys))
    done = pull(registry, '--tls-verify=false')
    assert done.rc == 5 and 'from https to http' in done.text, done
    assert plain.seen == []


def test_a_password_in_a_redirect_is_neither_used_nor_shown(serve, pull):
    target = serve(lambda r: None)
    registry = serve(lambda r: (307, {'Location': 'http://me:%s@%s%s' % (SECRET, target.host, r.path)}, b'')
                     if '/blobs/' in r.path else None)
    assert pull(registry).rc == 5
    assert target.seen == []


def test_a_redirect_elsewhere_gets_no_credentials(serve, pull):
    target = serve(lambda r: None)

    def answer(request):
        if request.authorization != 'Bearer tok' or request.path == '/token':
            return tokens(request)
        return (307, {'Location': target.url + request.path}, b'') if '/blobs/' in request.path else None
    assert pull(serve(answer), auth=PAIR).rc == 0
    assert target.seen and not any(r.authorization or r.headers.get('Cookie') for r in target.seen)


def test_a_redirect_within_the_registry_keeps_them(serve, pull):
    def answer(request):
        if request.authorization != 'Bearer tok' or request.path == '/token':
            return tokens(request)
        if '/blobs/' in request.path and not request.query:
            return 302, {'Location': request.path + '?again'}, b''
        return None
    registry = serve(answer)
    assert pull(registry, auth=PAIR).rc == 0
    assert any(r.query == 'again' for r in registry.seen)
