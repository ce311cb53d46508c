"""Stand-ins for what AWS, Azure and Google are asked for credentials, in threads of the test.

Each verifies what it is asked itself: AWS's signatures are computed again, Google's assertions are verified with
openssl.  What is not as it should be is answered with the status the cloud would give, and lands in `.wrong`.
"""
import base64, hashlib, hmac, http.server, itertools, json, pathlib, re, subprocess, threading, time, urllib.parse

OCI = 'application/vnd.oci.image.manifest.v1+json'
ACR_USER = '00000000-0000-0000-0000-000000000000'


class Request:
    def __init__(self, handler):
        self.method, self.headers = handler.command, handler.headers
        self.path, _, self.query = handler.path.partition('?')
        self.body = handler.rfile.read(int(handler.headers.get('Content-Length') or 0))
        self.args = dict(urllib.parse.parse_qsl(self.query))
        self.form = dict(urllib.parse.parse_qsl(self.body.decode('latin-1')))
        self.authorization = handler.headers.get('Authorization')
        self.certificate = getattr(handler.connection, 'getpeercert', lambda: None)()

    def __str__(self):
        return '%s %s' % (self.method, self.path)


def basic(request):
    """(user, password) of a Basic header, or None."""
    kind, _, value = (request.authorization or '').partition(' ')
    return tuple(base64.b64decode(value).decode().split(':', 1)) if kind == 'Basic' else None


def reply(what, status=200, **headers):
    return status, dict({'Content-Type': 'application/json'}, **headers), json.dumps(what).encode()


class Server:
    """One HTTP server; answer(request) -> (status, headers, body)."""

    def __init__(self, answer=None, tls=None):
        self.requests, self.wrong = [], []
        if answer:
            self.answer = answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_GET(self):
                request = Request(self)
                outer.requests.append(request)
                status, headers, data = outer.answer(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                if self.command != 'HEAD':
                    self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_HEAD = do_GET

        class Http(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):     # who speaks TLS to us, or does not like our certificate, hangs up
                pass

        self.server = Http(('127.0.0.1', 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.host = '127.0.0.1:%d' % self.port
        self.url = '%s://%s' % ('https' if tls else 'http', self.host)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def asked(self):
        return [str(r) for r in self.requests]

    def refuse(self, why, status=403):
        self.wrong.append(why)
        return reply({'message': why}, status)


class Registry(Server):
    """One image for whoever accept(user, password) lets in: by Basic, or by a token bought at REALM with it."""

    def __init__(self, layout, accept, realm=None, tls=None, elsewhere=None):
        self.layout, self.accept, self.realm, self.elsewhere = pathlib.Path(layout), accept, realm, elsewhere
        self.tokens, self.numbers = set(), itertools.count()
        self.before = lambda request: None
        super().__init__(tls=tls)

    @property
    def digest(self):
        return json.loads((self.layout / 'index.json').read_text())['manifests'][0]['digest']

    def answer(self, request):
        early = self.before(request)
        if early:
            return early
        if self.realm and request.path == self.realm:
            return self.sell(request)
        if not self.lets_in(request):
            challenge = 'Bearer realm="%s%s",service="%s"' % (self.url, self.realm, self.host) if self.realm else \
                'Basic realm="%s/",service="ecr.amazonaws.com"' % self.url
            return reply({'errors': [{'code': 'DENIED', 'message': 'not you'}]}, 401, **{'WWW-Authenticate': challenge})
        return self.content(request)

    def lets_in(self, request):
        if not self.realm:
            return basic(request) is not None and self.accept(*basic(request))
        return (request.authorization or '').partition(' ')[2] in self.tokens

    def sell(self, request):
        if not basic(request) or not self.accept(*basic(request)):
            return reply({'errors': [{'code': 'UNAUTHORIZED', 'message': 'no such user'}]}, 401)
        token = 'registry-token-%d' % next(self.numbers)
        self.tokens.add(token)
        return reply({'token': token, 'expires_in': 300})

    def content(self, request):
        if request.path == '/v2/':
            return reply({})
        what, reference = request.path.split('/')[-2:]
        if what == 'manifests' and ':' not in reference:
            reference = self.digest
        if what == 'blobs' and self.elsewhere:
            return 307, {'Location': self.elsewhere.url + request.path}, b''
        data = (self.layout / 'blobs' / reference.replace(':', '/')).read_bytes()
        headers = {'Content-Type': OCI if what == 'manifests' else 'application/octet-stream', 'Docker-Content-Digest': reference}
        asked = re.fullmatch(r'bytes=(\d+)-(\d*)', request.headers.get('Range') or '')
        if not asked or what == 'manifests':
            return 200, headers, data
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        headers['Content-Range'] = 'bytes %d-%d/%d' % (first, last, len(data))
        return 206, headers, data[first:last + 1]


# ---- AWS
def sign(secret, day, region, service, text):
    key = ('AWS4' + secret).encode()
    for part in (day, region, service, 'aws4_request', text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def signature_of(request, secret):
    """(signature it should have, canonical request), from what Authorization says was signed."""
    fields = dict(f.split('=', 1) for f in request.authorization.split(' ', 1)[1].replace(' ', '').split(','))
    names = fields['SignedHeaders'].split(';')
    headers = ''.join('%s:%s\n' % (n, ' '.join(request.headers[n].split())) for n in names)
    canonical = '\n'.join([request.method, request.path, request.query, headers, ';'.join(names),
                           hashlib.sha256(request.body).hexdigest()])
    _, day, region, service, _ = fields['Credential'].split('/')
    scope = '/'.join([day, region, service, 'aws4_request'])
    text = '\n'.join(['AWS4-HMAC-SHA256', request.headers['X-Amz-Date'], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    return fields, sign(secret, day, region, service, text), canonical


def iso(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))


class Aws(Server):
    """STS, ECR, and the metadata of an instance and a container."""

    def __init__(self, region='eu-west-1'):
        self.region, self.registry, self.lives = region, None, 43200
        self.keys = {}              # id -> (secret, session token or None, who)
        self.trusts = {}            # role -> who may take it
        self.passwords = []         # given by ECR, newest last
        self.used = []              # (action, who asked)
        self.web_tokens = {}        # web identity token -> who
        self.instance_role, self.container_token = 'instance-role', 'container secret token'.replace(' ', '-')
        self.numbers = itertools.count(1)
        super().__init__()

    def add_key(self, who, session=False):
        n = next(self.numbers)
        key = 'AKIA%016d' % n, 'secret/%d+%s' % (n, hashlib.sha256(b'%d' % n).hexdigest()[:30]), \
            'session/%d+==' % n if session else None
        self.keys[key[0]] = key[1], key[2], who
        return key

    def secrets(self):
        return [s for key in self.keys.values() for s in key[:2] if s] + self.passwords + list(self.web_tokens)

    def answer(self, request):
        if request.path.startswith('/latest/'):
            return self.instance(request)
        if request.path == '/container':
            if request.authorization != self.container_token:
                return self.refuse('container token', 401)
            return reply(self.document('container'))
        if request.headers.get('X-Amz-Target') == 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken':
            return self.ecr(request)
        return self.sts(request)

    def document(self, who):
        key = self.add_key(who, session=True)
        return {'Code': 'Success', 'AccessKeyId': key[0], 'SecretAccessKey': key[1], 'Token': key[2], 'Expiration': iso(3600)}

    def instance(self, request):
        if request.path == '/latest/api/token':
            good = request.method == 'PUT' and request.headers.get('X-aws-ec2-metadata-token-ttl-seconds')
            return (200, {}, b'imds-session') if good else self.refuse('metadata v1', 405)
        if request.headers.get('X-aws-ec2-metadata-token') != 'imds-session':
            return self.refuse('metadata without a session', 401)
        at = '/latest/meta-data/iam/security-credentials/'
        if request.path == at and self.instance_role:
            return 200, {'Content-Type': 'text/plain'}, self.instance_role.encode()
        return reply(self.document('instance')) if request.path == at + 'instance-role' else reply({}, 404)

    def who(self, request, service):
        """Who has signed the request; None and the answer when nobody has."""
        if not (request.authorization or '').startswith('AWS4-HMAC-SHA256 '):
            return None, self.refuse('not signed')
        key = self.keys.get(request.authorization.split('Credential=')[1].split('/')[0])
        if not key:
            return None, self.refuse('UnrecognizedClientException', 400)
        fields, wanted, canonical = signature_of(request, key[0])
        signed = fields['SignedHeaders'].split(';')
        needed = {'host', 'x-amz-date', 'content-type'} | {n.lower() for n in request.headers if n.lower().startswith('x-amz-')}
        if fields['Signature'] != wanted or not needed <= set(signed) or request.headers['Host'] != self.host:
            self.wrong.append('signature')      # as AWS says it: with all that should have been signed
            return None, reply({'__type': 'InvalidSignatureException', 'message': 'The request signature we calculated does '
                                'not match.\n\nThe Canonical String for this request should have been\n' + canonical}, 403)
        if (request.headers.get('X-Amz-Security-Token') or None) != key[1]:
            return None, self.refuse('session token')
        if fields['Credential'].split('/')[2:4] != [self.region, service]:
            return None, self.refuse('scope ' + fields['Credential'])
        return key[2], None

    def ecr(self, request):
        who, refusal = self.who(request, 'ecr')
        if refusal:
            return refusal
        self.used.append(('GetAuthorizationToken', who))
        self.passwords.append('ecr-password-%d-' % len(self.passwords) + 'x' * 1000)
        token = base64.b64encode(b'AWS:' + self.passwords[-1].encode()).decode()
        return reply({'authorizationData': [{'authorizationToken': token, 'expiresAt': round(time.time() + self.lives, 3),
                                             'proxyEndpoint': self.registry.url}]})

    def sts(self, request):
        form, action = request.form, request.form.get('Action')
        if action == 'AssumeRoleWithWebIdentity' and request.authorization is None:
            who, refusal = self.web_tokens.get(form.get('WebIdentityToken')), None
        else:
            who, refusal = self.who(request, 'sts')
        if refusal:
            return refusal
        self.used.append((action, who))
        if who is None or form.get('Version') != '2011-06-15' or not form.get('RoleSessionName') or \
                self.trusts.get(form.get('RoleArn')) != who:
            self.wrong.append('role')
            return 403, {}, (b'<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>%s may not take it'
                             b'</Message></Error></ErrorResponse>' % str(who).encode())
        key = self.add_key(form['RoleArn'], session=True)
        return 200, {'Content-Type': 'text/xml'}, (
            '<%sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%sResult><AssumedRoleUser><AssumedRoleId>x'
            '</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s'
            '</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></%sResult></%sResponse>'
            % (action, action, *key, iso(3600), action, action)).encode()

    def accept(self, user, password):
        return user == 'AWS' and password in self.passwords


# ---- Azure
class Azure(Server):
    """The instance's and the app service's identity, and Microsoft's login; and the registry's exchange, as `before`."""

    def __init__(self, resource='https://management.azure.com/'):
        self.resource, self.client, self.tenant, self.lives = resource, None, 'tenant-1', 10800
        self.header, self.federated = 'identity-header-secret', 'federated-token'
        self.access, self.refresh = [], []
        super().__init__()

    def secrets(self):
        return self.access + self.refresh + [self.header, self.federated]

    def give(self, client, resource):
        if client != self.client or resource != self.resource:
            return self.refuse('identity %s for %s' % (client, resource), 400)
        self.access.append('aad-token-%d' % len(self.access))
        return reply({'access_token': self.access[-1], 'expires_in': '86399', 'token_type': 'Bearer'})

    def answer(self, request):
        args = request.args
        if request.path == '/metadata/identity/oauth2/token':
            if request.headers.get('Metadata') != 'true' or args.get('api-version') != '2018-02-01':
                return self.refuse('no Metadata header', 400)
            return self.give(args.get('client_id'), args.get('resource'))
        if request.path == '/app/token':
            if request.headers.get('X-IDENTITY-HEADER') != self.header or args.get('api-version') != '2019-08-01':
                return self.refuse('identity header', 401)
            return self.give(args.get('client_id'), args.get('resource'))
        if request.path == '/%s/oauth2/v2.0/token' % self.tenant:
            form = request.form
            if form.get('client_assertion') != self.federated or form.get('grant_type') != 'client_credentials' or \
                    form.get('client_assertion_type') != 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer':
                return self.refuse('assertion', 401)
            return self.give(form.get('client_id'), form.get('scope', '').replace('.default', ''))
        return self.refuse('path ' + request.path, 404)

    def exchange(self, registry):
        def before(request):
            if request.path == '/v2/' and not request.authorization:
                realm = '%s/oauth2/exchange?tenant=%s' % (registry.url, self.tenant)
                return reply({}, 401, **{'WWW-Authenticate': 'Bearer realm="%s",service="%s"' % (realm, registry.host)})
            if request.path != '/oauth2/exchange':
                return None
            form = request.form
            if (form.get('grant_type'), form.get('service'), form.get('tenant')) != ('access_token', registry.host, self.tenant) \
                    or form.get('access_token') not in self.access:
                return self.refuse('exchange %s' % sorted(form), 401)
            claims = base64.urlsafe_b64encode(json.dumps({'exp': time.time() + self.lives}).encode()).decode().rstrip('=')
            self.refresh.append('e30.%s.%d' % (claims, len(self.refresh)))
            return reply({'refresh_token': self.refresh[-1]})
        return before

    def accept(self, user, password):
        return user == ACR_USER and password in self.refresh


# ---- Google
class Google(Server):
    """OAuth for service accounts, the metadata server, STS and IAM; PUBLIC: the key assertions are verified with."""

    def __init__(self, public, email='robot@project.iam.gserviceaccount.com'):
        self.public, self.email, self.subject, self.audience = public, email, 'subject-token', '//iam.googleapis.com/pool'
        self.tokens, self.federated, self.used, self.lives, self.direct = [], [], [], 3599, False
        super().__init__()

    def secrets(self):
        return self.tokens + self.federated + [self.subject]

    def give(self, how, tokens=None):
        tokens = self.tokens if tokens is None else tokens
        tokens.append('ya29.%s-%d' % (how, len(tokens)))
        self.used.append(how)
        return reply({'access_token': tokens[-1], 'expires_in': self.lives, 'token_type': 'Bearer'}, **{'Metadata-Flavor': 'Google'})

    def answer(self, request):
        if request.path == '/token' and request.method == 'POST':
            wrong = self.wrong_assertion(request.form)
            return reply({'error': 'invalid_grant', 'error_description': self.wrong.append(wrong) or wrong}, 400) if wrong \
                else self.give('key')
        if request.path.startswith('/computeMetadata/v1/instance/service-accounts/'):
            if request.headers.get('Metadata-Flavor') != 'Google':
                return self.refuse('flavour')
            return self.give('metadata-' + request.path.split('/')[-2])
        if request.path == '/v1/token':
            return self.sts(request.form)
        if request.path.endswith(':generateAccessToken'):
            token = (request.authorization or '').partition('Bearer ')[2]
            if token not in self.federated or 'cloud-platform' not in json.loads(request.body)['scope'][0]:
                return self.refuse('impersonation', 403)
            self.give('impersonated')
            return reply({'accessToken': self.tokens[-1], 'expireTime': iso(self.lives)})
        return self.refuse('path ' + request.path, 404)

    def sts(self, form):
        wanted = {'grant_type': 'urn:ietf:params:oauth:grant-type:token-exchange', 'audience': self.audience,
                  'subject_token': self.subject, 'subject_token_type': 'urn:ietf:params:oauth:token-type:jwt',
                  'requested_token_type': 'urn:ietf:params:oauth:token-type:access_token',
                  'scope': 'https://www.googleapis.com/auth/cloud-platform'}
        if form != wanted:
            return reply({'error': 'invalid_request', 'error_description': self.wrong.append('sts') or 'sts'}, 400)
        return self.give('federated', self.federated)

    def wrong_assertion(self, form):
        """What is wrong with a JWT, by openssl and by its claims; None when it is good."""
        head, claims, signature = form['assertion'].split('.')
        raw = [base64.urlsafe_b64decode(p + '=' * (-len(p) % 4)) for p in (head, claims, signature)]
        held = self.public.with_suffix('.signature')
        held.write_bytes(raw[2])
        done = subprocess.run(['openssl', 'dgst', '-sha256', '-verify', self.public, '-signature', held], input=
                              ('%s.%s' % (head, claims)).encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        claims, now = json.loads(raw[1]), time.time()
        checks = {'signature': done.returncode == 0, 'header': json.loads(raw[0]) == {'alg': 'RS256', 'typ': 'JWT', 'kid': 'kid-1'},
                  'grant': form.get('grant_type') == 'urn:ietf:params:oauth:grant-type:jwt-bearer',
                  'issuer': claims['iss'] == self.email, 'audience': claims['aud'] == self.url + '/token',
                  'scope': 'cloud-platform' in claims['scope'],
                  'time': now - 60 < claims['iat'] <= now + 1 and claims['exp'] - claims['iat'] <= 3600}
        return next((what for what, good in checks.items() if not good), None)

    def accept(self, user, password):
        return user == 'oauth2accesstoken' and password in self.tokens + self.federated * self.direct
