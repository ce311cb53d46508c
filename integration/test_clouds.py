"""Credentials that clouds give out, and certificates: check and in against lab/clouds.py's stand-ins.

Every run is made with debug on, and nothing secret may be in what it says.
"""
import base64, contextlib, json, os, pathlib, ssl, subprocess, threading, time

import pytest

import clouds
import conftest
import lazyimages
import mkimage
import mountlib
import push_registry

ROLE = 'arn:aws:iam::123456789012:role/'
GAR = {'google_metadata': True}


class Run:
    """run(source, ...) -> check; .get(source) -> in.  SECRETS: what must not be seen."""

    def __init__(self, rootlet, directory, image):
        self.rootlet, self.directory, self.image = rootlet, directory, image
        self.env, self.secrets, self.count = {}, [], 0

    def step(self, args, source, env=None, **request):
        source = dict({'debug': True}, **source)
        done = self.rootlet(*args, data=json.dumps(dict(request, source=source)).encode(),
                            env={'TEST': 'true', **self.env, **(env or {})})
        for secret in [s for make in self.secrets for s in make() if s]:
            assert secret not in done.text and secret.encode() not in done.out, 'a secret was shown'
        return done

    def __call__(self, source, **how):
        done = self.step(['check'], source, **how)
        if done.rc == 0:
            assert [v['digest'] for v in json.loads(done.out)] == [self.image], done
        return done

    def get(self, source, params=None, **how):
        self.count += 1
        self.to = self.directory / ('get%d' % self.count)
        return self.step(['in', self.to], source, version={'tag': 'latest', 'digest': self.image},
                         params=params or {}, **how)


@pytest.fixture
def run(rootlet, tmp_path, small_layout):
    index = json.loads((pathlib.Path(small_layout) / 'index.json').read_text())
    return Run(rootlet, tmp_path, index['manifests'][0]['digest'])


@pytest.fixture
def closing():
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(contextlib.closing(server))


@pytest.fixture
def trap(closing):
    """A server that nobody should ask."""
    return closing(clouds.Server(lambda request: clouds.reply({})))


def refused(done, rc, *says):
    assert done.rc == rc and done.out == b'', done
    for word in says:
        assert word in done.text.splitlines()[-1], done


# ---- AWS
@pytest.fixture
def aws(run, closing, small_layout):
    aws = closing(clouds.Aws())
    aws.registry = closing(clouds.Registry(small_layout, aws.accept))
    run.env = {'AWS_ENDPOINT_URL': aws.url, 'AWS_EC2_METADATA_SERVICE_ENDPOINT': aws.url + '/'}
    run.secrets.append(aws.secrets)
    return aws


def source_of(key, **more):
    names = 'aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'
    return dict({'repository': 'team/app', 'aws_region': 'eu-west-1'},
                **{n: v for n, v in zip(names, key) if v}, **more)


@pytest.mark.parametrize('session', [False, True])
def test_ecr_with_keys_of_the_source(run, aws, session):
    source = source_of(aws.add_key('me', session))
    done = run.get(source)
    assert done.rc == 0, done
    assert (run.to / 'repository').read_text() == aws.registry.host + '/team/app'
    assert json.loads(done.out)['metadata'][0]['value'] == aws.registry.host + '/team/app'
    assert (run.to / 'rootfs/etc/motd').exists() or (run.to / 'rootfs/motd').is_symlink()
    assert aws.used == [('GetAuthorizationToken', 'me')] and aws.wrong == []
    assert {clouds.basic(r) for r in aws.registry.requests} == {None, ('AWS', aws.passwords[0])}
    assert run(source).rc == 0 and len(aws.used) == 2


def test_ecr_roles_are_taken_in_their_order(run, aws):
    aws.trusts = {ROLE + 'one': 'me', ROLE + 'two': ROLE + 'one'}
    key = aws.add_key('me')
    assert run(source_of(key, aws_role_arns=[ROLE + 'one', ROLE + 'two'])).rc == 0
    assert aws.used == [('AssumeRole', 'me'), ('AssumeRole', ROLE + 'one'), ('GetAuthorizationToken', ROLE + 'two')]
    assert run(source_of(key, aws_role_arn=ROLE + 'one')).rc == 0
    refused(run(source_of(key, aws_role_arn=ROLE + 'two')), 4, "take the role '%stwo'" % ROLE, 'source.aws_access_key_id',
            'AWS STS answered 403: AccessDenied: me may not take it')


@pytest.mark.parametrize('how', ['environment', 'source'])
def test_ecr_with_a_web_identity(run, aws, tmp_path, how):
    aws.trusts, aws.web_tokens = {ROLE + 'pod': 'pod', ROLE + 'next': ROLE + 'pod'}, {'header.claims.signature': 'pod'}
    (tmp_path / 'token').write_text('header.claims.signature\n')
    source = {'repository': 'app', 'aws_region': 'eu-west-1'}
    env = {'AWS_WEB_IDENTITY_TOKEN_FILE': str(tmp_path / 'token'), 'AWS_ROLE_ARN': ROLE + 'pod'}
    if how == 'source':
        env, source = {}, dict(source, aws_web_identity_token='header.claims.signature', aws_role_arns=[ROLE + 'pod'])
    assert run(source, env=env).rc == 0
    assert aws.used == [('AssumeRoleWithWebIdentity', 'pod'), ('GetAuthorizationToken', ROLE + 'pod')] and aws.wrong == []
    source['aws_role_arns'] = source.get('aws_role_arns', []) + [ROLE + 'next']
    assert run(source, env=env).rc == 0 and aws.used[-1] == ('GetAuthorizationToken', ROLE + 'next')
    aws.web_tokens = {'header.claims.other': 'pod'}
    refused(run(source, env=env), 4, 'AWS_WEB_IDENTITY' if how == 'environment' else 'aws_web_identity_token')


def test_ecr_with_keys_of_the_environment(run, aws):
    names = 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'
    source = {'repository': 'app', 'aws_region': 'eu-west-1'}
    assert run(source, env=dict(zip(names, aws.add_key('env', True)))).rc == 0
    assert aws.used == [('GetAuthorizationToken', 'env')]


def test_ecr_with_an_instances_role(run, aws):
    source = {'repository': 'app', 'aws_region': 'eu-west-1'}
    assert run(source).rc == 0
    assert aws.used == [('GetAuthorizationToken', 'instance')] and aws.wrong == []
    assert aws.asked()[0] == 'PUT /latest/api/token'
    refused(run(source, env={'AWS_EC2_METADATA_DISABLED': 'true'}), 4, 'no keys for AWS')
    aws.instance_role = None
    refused(run(source), 4, 'no role for this instance')


@pytest.mark.parametrize('file', [False, True])
def test_ecr_with_a_containers_role(run, aws, tmp_path, file):
    source = {'repository': 'app', 'aws_region': 'eu-west-1'}
    env = {'AWS_CONTAINER_CREDENTIALS_FULL_URI': aws.url + '/container', 'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'wrong-one'}
    run.secrets.append(lambda: [aws.container_token])
    refused(run(source, env=env), 4, 'AWS container metadata')
    if file:
        (tmp_path / 'token').write_text(aws.container_token + '\n')
        env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'] = str(tmp_path / 'token')
    else:
        env['AWS_CONTAINER_AUTHORIZATION_TOKEN'] = aws.container_token
    assert run(source, env=env).rc == 0
    assert aws.used == [('GetAuthorizationToken', 'container')]


def test_metadata_is_not_asked_through_a_proxy(run, aws, trap):
    source = {'repository': 'app', 'aws_region': 'eu-west-1'}
    env = {'http_proxy': trap.url, 'AWS_EC2_METADATA_SERVICE_ENDPOINT': 'http://0.0.0.0:%d' % aws.port}
    assert run(source, env=env).rc == 0
    assert trap.requests == []


def test_a_wrong_key_is_named_and_not_shown(run, aws):
    key = aws.add_key('me', True)
    done = run(source_of((key[0], 'guessed', key[2])))
    refused(done, 4, 'source.aws_access_key_id', 'Amazon ECR answered 403: InvalidSignatureException')
    assert 'Canonical' not in done.text and aws.wrong == ['signature']
    refused(run(source_of(('AKIAUNKNOWN', 'unknown-secret', None))), 4, 'UnrecognizedClientException')
    assert aws.registry.requests == []


def test_a_secret_in_an_answer_is_not_shown(run, aws, closing):
    key = aws.add_key('me', True)
    parrot = closing(clouds.Server(lambda r: clouds.reply({'message': 'you sent ' + r.headers['X-Amz-Security-Token']}, 403)))
    done = run(source_of(key), env={'AWS_ENDPOINT_URL_ECR': parrot.url})
    refused(done, 4, 'Amazon ECR answered 403')
    assert len(parrot.requests) == 1


def test_nothing_is_asked_without_a_region(run, aws, small_layout, closing):
    open_registry = closing(clouds.Registry(small_layout, None))
    open_registry.lets_in = lambda request: True
    env = dict(zip(('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'), aws.add_key('env')), AWS_REGION='eu-west-1')
    source = {'repository': open_registry.host + '/app'}
    assert run(source, env=env).rc == 0
    done = run(dict(source, aws_access_key_id='a', aws_role_arn='b', azure_client_id='c', aws_ecr_registry_id=1), env=env)
    assert done.rc == 0 and [w in done.text for w in ('without aws_region', 'without azure_acr', 'aws_ecr_registry_id has no')]
    assert aws.requests == [] and all(r.authorization is None for r in open_registry.requests)


def test_redirects_of_clouds_are_not_followed(run, aws, trap, closing):
    away = closing(clouds.Server(lambda r: (307, {'Location': trap.url + '/'}, b'')))
    done = run(source_of(aws.add_key('me', True)), env={'AWS_ENDPOINT_URL': away.url})
    refused(done, 5, 'Amazon ECR answered 307')
    assert trap.requests == []


def test_a_redirect_of_a_blob_gets_no_password(run, aws, closing, small_layout):
    store = closing(clouds.Registry(small_layout, None))
    store.lets_in = lambda request: True
    aws.registry.elsewhere = store
    assert run.get(source_of(aws.add_key('me'))).rc == 0
    assert store.requests and all(r.authorization is None for r in store.requests)


def test_out_pushes_to_ecr(run, aws, small_layout):
    with push_registry.PushRegistry(user='AWS') as to:
        to.url = 'http://' + to.host
        to.allowed = lambda r: r.headers.get('Authorization') in [
            'Basic ' + base64.b64encode(b'AWS:' + p.encode()).decode() for p in aws.passwords]
        aws.registry, layout = to, pathlib.Path(small_layout)
        done = run.step(['out', layout.parent], source_of(aws.add_key('me'), tag='v'), params={'image': layout.name})
        assert done.rc == 0 and to.host + '/team/app' in done.out.decode(), done
        assert 'v' in to.manifests['team/app'] and aws.used == [('GetAuthorizationToken', 'me')]


@pytest.mark.parametrize('url', ['http://example.com', 'http://10.0.0.1:1', 'https://me:secret@example.com', 'nonsense'])
def test_an_endpoint_must_be_safe(run, aws, url):
    done = run(source_of(aws.add_key('me')), env={'AWS_ENDPOINT_URL_ECR': url})
    refused(done, 2, '$AWS_ENDPOINT_URL_ECR')
    assert 'secret@' not in done.text


def test_a_cloud_that_fails_now_and_then_is_asked_again(run, aws):
    answer, failed = aws.answer, []

    def sometimes(request):
        if request.headers.get('X-Amz-Target') and len(failed) < 2:
            failed.append(1)
            return clouds.reply({'__type': 'ServerException'}, 500)
        return answer(request)
    aws.answer = sometimes
    assert run(source_of(aws.add_key('me'))).rc == 0 and len(failed) == 2
    aws.answer = lambda request: clouds.reply({'__type': 'ServerException'}, 500)
    refused(run(source_of(aws.add_key('me'))), 5, 'Amazon ECR answered 500: ServerException (5 tries)')


@pytest.mark.parametrize('body', [b'', b'{}', b'{"authorizationData":[]}', b'[' * 100, b'x' * 300000,
                                  b'{"authorizationData":[{"authorizationToken":"bm8=","proxyEndpoint":"https://a"}]}',
                                  b'{"authorizationData":[{"authorizationToken":"QVdTOnB3","proxyEndpoint":"http://a.com"}]}'],
                         ids=['empty', 'object', 'none', 'deep', 'huge', 'no-password', 'no-https'])
def test_ecrs_answer_may_be_anything(run, aws, body):
    aws.answer = lambda request: (200, {}, body)
    refused(run(source_of(aws.add_key('me'))), 5, 'Amazon ECR')


@pytest.mark.parametrize('source,says', [
    ({'aws_region': 'eu west'}, "source.aws_region 'eu west' is not the name of a region"),
    ({'aws_region': 'eu-west-1', 'aws_account_id': '12'}, "source.aws_account_id '12' does not have 12 digits"),
    ({'aws_region': 'eu-west-1', 'aws_access_key_id': 'a'}, 'go together'),
    ({'aws_region': 'eu-west-1', 'aws_role_arn': 'a', 'aws_role_arns': ['b']}, 'exclude each other'),
    ({'aws_region': 'eu-west-1', 'aws_web_identity_token': 'a'}, 'needs a role'),
    ({'aws_region': 'eu-west-1', 'azure_acr': True}, 'exclude each other'),
    ({'azure_acr': True, 'azure_environment': 'Mars'}, "'Mars' is none of"),
    ({'azure_acr': True, 'azure_auth_type': 'x'}, "'x' is neither"),
    ({'google_credentials': 'x', 'google_metadata': True}, 'exclude each other'),
    ({'google_credentials': '{"type":"authorized_user"}'}, "type 'authorized_user' is neither"),
    ({'google_credentials': {'type': 'service_account'}}, 'client_email is missing'),
    ({'google_credentials': 'no json'}, 'is not JSON'),
])
def test_what_is_wrong_in_a_source_is_said(run, aws, source, says):
    refused(run(dict({'repository': 'app'}, **source)), 7 if 'authorized_user' in says else 2, says)
    assert aws.requests == []


# ---- expiry
def test_a_password_is_renewed_when_it_is_refused(run, aws):
    """The registry forgets the password after the manifest: both layers are then fetched with another."""
    dropped = []

    def before(request):
        if '/blobs/' in request.path and not dropped:
            dropped.append(aws.passwords.pop())
            aws.passwords.append('')
        return None
    aws.registry.before = before
    assert run.get(source_of(aws.add_key('me'))).rc == 0
    assert dropped and len(aws.used) == 2


def test_a_password_that_expires_is_renewed_before(run, aws):
    """Good for two seconds: what is asked later is asked with another, and nothing is refused but the first request."""
    aws.lives = 2

    def before(request):
        if request.path.endswith('/latest') and request.authorization:
            threading.Event().wait(2.2)
            aws.passwords[0] = 'expired'
            return aws.registry.content(request)
        return None
    aws.registry.before = before
    layer = json.loads((aws.registry.layout / 'blobs' / run.image.replace(':', '/')).read_text())['layers'][0]['digest']
    done = run.step(['check'], source_of(aws.add_key('me')), version={'tag': 'latest', 'digest': layer})
    assert done.rc == 0 and [v['digest'] for v in json.loads(done.out)] == [layer, run.image], done
    assert len(aws.used) == 2 and done.text.count(': 401') == 1, done


def test_a_mount_stays_signed_in(run, aws, fuse, closing, tmp_path):
    """The password that the mount began with dies before the first file is read: reads go on with another."""
    layout = mkimage.Layout(tmp_path / 'layout')
    layout.tag('latest', lazyimages.image(layout, [lazyimages.estargz(lazyimages.work_layer('a', 20, 1 << 20))]))
    aws.registry = closing(clouds.Registry(tmp_path / 'layout', aws.accept))
    run.image, gate, held = aws.registry.digest, threading.Event(), []
    manifest = json.loads((aws.registry.layout / 'blobs' / run.image.replace(':', '/')).read_text())
    layer = manifest['layers'][0]

    def before(request):        # the table of contents passes, the rest is held
        if request.path.endswith(layer['digest']):
            start = int((request.headers.get('Range') or 'bytes=0-')[6:].split('-')[0])
            if start < layer['size'] - 65536:
                held.append(request)
                gate.wait(30)

    aws.registry.before = before
    run.env = dict(run.env, ROOTLET_RUN=str(tmp_path / 'run'), ROOTLET_CACHE=str(tmp_path / 'cache'))
    (tmp_path / 'run').mkdir()
    done = run.get(source_of(aws.add_key('me')), {'lazy': 'require'})
    try:
        assert done.rc == 0 and b'mounted' in done.out, done
        asked = len(aws.used)
        aws.passwords[:] = ['forgotten'] * len(aws.passwords)
        reader = subprocess.Popen(['timeout', '60', 'tar', '-cf', tmp_path / 'read.tar', '-C', run.to / 'rootfs', '.'],
                                  stderr=subprocess.PIPE)
        mountlib.wait_until('a blob is asked for', 30, lambda: held)
        gate.set()
        said = reader.communicate()[1]
        assert reader.returncode == 0, said
        assert len(aws.used) == asked + 1 and aws.wrong == []
    finally:
        gate.set()
        run.rootlet('umount', run.to / 'rootfs', env=run.env)


# ---- Azure
@pytest.fixture
def azure(run, closing, small_layout):
    azure = closing(clouds.Azure())
    azure.registry = closing(clouds.Registry(small_layout, azure.accept, realm='/oauth2/token'))
    azure.registry.before = azure.exchange(azure.registry)
    azure.source = {'repository': azure.registry.host + '/app', 'azure_acr': True}
    run.env = {'AZURE_POD_IDENTITY_AUTHORITY_HOST': azure.url}
    run.secrets.append(azure.secrets)
    return azure


def test_acr_by_managed_identity(run, azure):
    assert run.get(azure.source).rc == 0
    assert azure.wrong == [] and len(azure.access) == len(azure.refresh) == 1
    azure.client = 'client-1'
    assert run(dict(azure.source, azure_client_id='client-1', azure_tenant_id='tenant-1')).rc == 0
    azure.registry.requests.clear()
    refused(run(dict(azure.source, azure_client_id='client-2')), 4, 'source.azure_acr: the Azure instance metadata')
    assert all(r.authorization is None and r.path != '/oauth2/exchange' for r in azure.registry.requests)
    refused(run(dict(azure.source, azure_client_id='client-1', azure_tenant_id='other')), 4, 'exchange the identity')


def test_acr_by_an_app_services_identity(run, azure):
    env = {'IDENTITY_ENDPOINT': azure.url + '/app/token', 'IDENTITY_HEADER': azure.header}
    assert run(azure.source, env=env).rc == 0 and azure.wrong == []
    refused(run(azure.source, env=dict(env, IDENTITY_ENDPOINT='http://example.com/t')), 2, '$IDENTITY_ENDPOINT')


def test_acr_by_workload_identity(run, azure, tmp_path):
    (tmp_path / 'token').write_text(azure.federated)
    azure.client = 'client-1'
    env = {'AZURE_AUTHORITY_HOST': azure.url, 'AZURE_TENANT_ID': azure.tenant, 'AZURE_CLIENT_ID': 'client-1',
           'AZURE_FEDERATED_TOKEN_FILE': str(tmp_path / 'token')}
    source = dict(azure.source, azure_auth_type=' Workload_Identity ')
    assert run(source, env=env).rc == 0 and azure.wrong == []
    refused(run(source), 4, '$AZURE_FEDERATED_TOKEN_FILE')


@pytest.mark.parametrize('environment,resource', [('AzureGovernment', 'https://management.usgovcloudapi.net/'),
                                                  ('AzureChina', 'https://management.chinacloudapi.cn/')])
def test_acr_of_other_clouds(run, azure, environment, resource):
    azure.resource = resource
    assert run(dict(azure.source, azure_environment=environment)).rc == 0 and azure.wrong == []


def elsewhere(server):
    """The same server by a name that is not this machine's own."""
    return {'repository': '0.0.0.0:%d/app' % server.port, 'insecure': True}


def test_an_identitys_token_goes_to_azure_only(run, azure):
    refused(run(dict(azure.source, **elsewhere(azure.registry))), 2, 'no name of Azure', 'source.azure_environment')
    assert azure.access == [] and azure.registry.requests != []
    assert run(dict(azure.source, azure_environment='AzurePublic', **elsewhere(azure.registry))).rc != 2


# ---- Google
@pytest.fixture(scope='module')
def rsa(scratch):
    conftest.need_tool('openssl')
    out = scratch / 'google-keys'
    out.mkdir()
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', out / 'key.pem'],
                   check=True, stderr=subprocess.DEVNULL)
    subprocess.run(['openssl', 'pkey', '-in', out / 'key.pem', '-pubout', '-out', out / 'public.pem'], check=True)
    return out


@pytest.fixture
def google(run, closing, small_layout, rsa):
    google = closing(clouds.Google(rsa / 'public.pem'))
    google.registry = closing(clouds.Registry(small_layout, google.accept, realm='/v2/token'))
    google.source = {'repository': google.registry.host + '/project/app'}
    google.key = {'type': 'service_account', 'client_email': google.email, 'private_key': (rsa / 'key.pem').read_text(),
                  'private_key_id': 'kid-1', 'token_uri': google.url + '/token'}
    google.external = {'type': 'external_account', 'audience': google.audience, 'token_url': google.url + '/v1/token',
                       'subject_token_type': 'urn:ietf:params:oauth:token-type:jwt', 'credential_source': {'file': '/nowhere'}}
    run.env = {'GCE_METADATA_HOST': google.host}
    run.secrets += [google.secrets, lambda: google.key['private_key'].splitlines()[1:-1]]
    return google


@pytest.mark.parametrize('form', [dict, json.dumps])
def test_google_by_a_service_accounts_key(run, google, form):
    assert run.get(dict(google.source, google_credentials=form(google.key))).rc == 0
    assert google.wrong == [] and google.used == ['key']


def test_google_says_why_it_refuses(run, google):
    done = run(dict(google.source, google_credentials=dict(google.key, client_email='somebody@else')))
    refused(done, 4, 'source.google_credentials (service account)', 'Google answered 400: invalid_grant: issuer')
    done = run(dict(google.source, google_credentials=dict(google.key, private_key='-----BEGIN PRIVATE KEY-----\nAAAA')))
    assert done.rc == 2 and 'no RSA private key' in done.text and 'AAAA' not in done.text, done


def test_google_by_the_metadata_server(run, google):
    assert run(dict(google.source, **GAR)).rc == 0
    assert run(dict(google.source, google_service_account='a@b.c', **GAR)).rc == 0
    assert google.used == ['metadata-default', 'metadata-a%40b.c'] and google.wrong == []


@pytest.mark.parametrize('how', ['text', 'json', 'source'])
@pytest.mark.parametrize('impersonate', [False, True])
def test_google_by_workload_identity(run, google, tmp_path, how, impersonate):
    account, source, token = dict(google.external), dict(google.source), tmp_path / 'subject'
    token.write_text(json.dumps({'id_token': google.subject}) if how == 'json' else google.subject + '\n')
    account['credential_source'] = {'file': str(token)}
    if how == 'json':
        account['credential_source']['format'] = {'type': 'json', 'subject_token_field_name': 'id_token'}
    if how == 'source':
        del account['credential_source']
        source['google_identity_token'] = google.subject
    if impersonate:
        account['service_account_impersonation_url'] = google.url + '/v1/projects/-/serviceAccounts/x:generateAccessToken'
    google.direct = not impersonate
    assert run(dict(source, google_credentials=account)).rc == 0
    assert google.used == ['federated'] + ['impersonated'] * impersonate and google.wrong == []


@pytest.mark.parametrize('change,rc,says', [
    ({'token_url': 'https://example.com/'}, 2, "token_url is at 'example.com', which is none of Google's hosts"),
    ({'token_url': 'http://sts.googleapis.com/'}, 2, 'token_url'),
    ({'service_account_impersonation_url': 'https://googleapis.com.example.com/'}, 2, 'service_account_impersonation_url'),
    ({'credential_source': {'url': 'http://127.0.0.1/'}}, 7, 'credential_source has no file'),
    ({'credential_source': {'file': '/nonexistent/token'}}, 4, "'/nonexistent/token'"),
    ({'audience': ''}, 2, 'audience is missing'),
])
def test_googles_external_accounts_are_checked(run, google, change, rc, says):
    refused(run(dict(google.source, google_credentials=dict(google.external, **change))), rc, says)
    assert google.requests == []


def test_googles_token_goes_to_google_only(run, google):
    refused(run(dict(GAR, **elsewhere(google.registry))), 2, "no registry of Google's")
    refused(run(dict(google.source, google_credentials=dict(google.key, token_uri='https://example.com/'))), 2, 'token_uri')
    assert google.requests == []


def test_what_is_no_metadata_server_gives_no_token(run, google, closing):
    other = closing(clouds.Server(lambda r: clouds.reply({'access_token': 'x', 'expires_in': 1})))
    refused(run(dict(google.source, **GAR), env={'GCE_METADATA_HOST': other.host}), 5, 'Metadata-Flavor')
    assert all(r.authorization is None for r in google.registry.requests)


# ---- certificates
@pytest.fixture(scope='module')
def keys(scratch):
    conftest.need_tool('openssl')
    out = scratch / 'cloud-keys'
    out.mkdir()
    for who in ('server', 'client', 'other'):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days',
                        '2', '-subj', '/CN=' + who, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', out / (who + '.key'),
                        '-out', out / (who + '.crt')], check=True, stderr=subprocess.DEVNULL)
    return out


def tls_of(keys, verify=ssl.CERT_NONE):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / 'server.crt', keys / 'server.key')
    context.load_verify_locations(keys / 'client.crt')
    context.verify_mode = verify
    return context


def test_a_client_certificate_of_the_source(run, closing, keys, small_layout):
    store = closing(clouds.Registry(small_layout, None, tls=tls_of(keys, ssl.CERT_OPTIONAL)))
    registry = closing(clouds.Registry(small_layout, None, tls=tls_of(keys, ssl.CERT_REQUIRED), elsewhere=store))
    store.lets_in = registry.lets_in = lambda request: True
    text = {n: (keys / n).read_text() for n in os.listdir(keys)}
    run.secrets.append(lambda: [line for n, t in text.items() if n.endswith('.key') for line in t.splitlines()[1:-1]])
    source = {'repository': registry.host + '/app', 'ca_certs': [text['server.crt']]}
    assert run(source).rc == 5 and registry.requests == []
    good = dict(source, client_cert=text['client.crt'], client_key=text['client.key'])
    assert run(good).rc == 0 and run.get(good).rc == 0
    assert all(r.certificate for r in registry.requests)
    assert store.requests and not any(r.certificate for r in store.requests)     # elsewhere it is not shown
    refused(run(dict(good, client_key=text['other.key'])), 2, 'client certificate')
    refused(run(dict(good, client_key='-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n')), 2, 'client certificate')
    refused(run(dict(source, client_cert=text['client.crt'])), 2, 'go together')
