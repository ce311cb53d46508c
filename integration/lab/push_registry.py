"""A registry to push to, in memory, in a thread of the test: it records what it is asked and does wrong what it is told.

    with PushRegistry() as r:
        r.fault = lambda request: 503 if request.number % 10 == 0 else None
        ... push to r.host + '/app' ...
        r.asked           # ['HEAD /v2/app/manifests/v', ...]
        r.manifests['app']['v'], r.blobs['app'][digest]

A fault is a function of the Request: None (all is well), a status, a dict {'status', 'headers', 'body'}, 'reset', or
('cut', N): N bytes of the body are taken, the upload keeps them, and the connection is reset.
"""
import base64, hashlib, http.server, json, re, socket, struct, threading, urllib.parse


class Request:
    """What fault functions and tests see of one request."""

    def __init__(self, number, handler):
        self.number, self.method, self.headers = number, handler.command, handler.headers
        url = urllib.parse.urlsplit(handler.path)
        self.path, self.query = url.path, dict(urllib.parse.parse_qsl(url.query))
        self.kind = self.kind_of()
        self.body = b''

    def kind_of(self):
        for kind, pattern in (('token', r'^/token$'), ('ping', r'^/v2/$'), ('tags', r'/tags/list$'),
                              ('begin', r'/blobs/uploads/$'), ('upload', r'/blobs/uploads/'),
                              ('blob', r'/blobs/'), ('manifest', r'/manifests/')):
            if re.search(pattern, self.path):
                return kind
        return 'other'

    def __str__(self):
        return '%s %s' % (self.method, self.path)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.connection.close()

    def say(self, status, headers=None, body=b''):
        self.send_response(status)
        for k, v in (headers or {}).items():
            self.send_header(k, v)
        if 'Content-Length' not in (headers or {}) and status != 204:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def error(self, status, code, message=''):
        self.say(status, {'Content-Type': 'application/json'},
                 json.dumps({'errors': [{'code': code, 'message': message}]}).encode())

    def take_body(self, limit=None):
        left = int(self.headers.get('Content-Length') or 0)
        if limit is not None:
            left = min(left, limit)
        data = bytearray()
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 20))
            if not piece:
                break
            data += piece
            left -= len(piece)
        return bytes(data)

    def serve(self):
        registry = self.server.registry
        request = registry.note(self)
        fault = registry.fault and registry.fault(request)
        if fault == 'reset':
            self.take_body(100)
            return self.reset()
        if isinstance(fault, tuple):
            return registry.cut(self, request, fault[1])
        if registry.is_too_large(request):
            self.error(413, 'TOO_LARGE')        # at once, as proxies do; what still comes is thrown away
            self.close_connection = True
            return self.take_body()
        request.body = self.take_body()
        if isinstance(fault, int):
            fault = {'status': fault}
        if fault:
            return self.say(fault['status'], fault.get('headers'), fault.get('body', b''))
        registry.answer(self, request)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class PushRegistry:
    def __init__(self, user=None, password=None, location='absolute'):
        self.user, self.password, self.location = user, password, location
        self.lock = threading.RLock()
        self.requests, self.fault = [], None
        self.blobs, self.manifests, self.types, self.uploads = {}, {}, {}, {}
        self.largest, self.bearer, self.scopes = None, None, []
        self.server = Server(('127.0.0.1', 0), Handler)
        self.server.registry = self
        self.host = '127.0.0.1:%d' % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    # ---- what was asked
    def note(self, handler):
        with self.lock:
            request = Request(len(self.requests) + 1, handler)
            self.requests.append(request)
            return request

    @property
    def asked(self):
        return [str(r) for r in self.requests]

    def count(self, method, kind):
        return sum(r.method == method and r.kind == kind for r in self.requests)

    def forget(self):
        self.requests, self.scopes = [], []

    def is_too_large(self, request):
        return self.largest is not None and int(request.headers.get('Content-Length') or 0) > self.largest

    # ---- answering
    def answer(self, h, request):
        if request.kind == 'token':
            return self.token(h, request)
        if self.user and not self.allowed(request):
            return h.say(401, {'WWW-Authenticate': 'Bearer realm="http://%s/token",service="s"' % self.host
                               if self.bearer else 'Basic realm="x"'})
        if request.kind == 'ping':
            return h.say(200)
        repository = re.match(r'/v2/(.+?)/(blobs|manifests|tags)/', request.path)
        if not repository:
            return h.error(404, 'NOT_FOUND')
        with self.lock:
            getattr(self, request.kind)(h, request, repository[1])

    def allowed(self, request):
        given = request.headers.get('Authorization', '')
        if self.bearer:
            return given == 'Bearer ' + self.bearer
        return given == 'Basic ' + base64.b64encode(('%s:%s' % (self.user, self.password)).encode()).decode()

    def token(self, h, request):
        self.scopes.append(urllib.parse.parse_qs(urllib.parse.urlsplit(h.path).query).get('scope'))
        want = 'Basic ' + base64.b64encode(('%s:%s' % (self.user, self.password)).encode()).decode()
        if request.headers.get('Authorization') != want:
            return h.error(401, 'UNAUTHORIZED')
        h.say(200, {}, json.dumps({'token': self.bearer}).encode())

    def tags(self, h, request, name):
        if name not in self.manifests:
            return h.error(404, 'NAME_UNKNOWN')
        names = sorted(t for t in self.manifests[name] if ':' not in t)
        n, last = int(request.query.get('n', 100)), request.query.get('last', '')
        page = [t for t in names if t > last]
        headers = {}
        limit = min(n, getattr(self, 'page', n))
        if len(page) > limit:
            page = page[:limit]
            headers['Link'] = '</v2/%s/tags/list?n=%d&last=%s>; rel="next"' % (name, n, page[-1])
        h.say(200, headers, json.dumps({'name': name, 'tags': page}).encode())

    def blob(self, h, request, name):
        digest = request.path.split('/')[-1]
        data = self.blobs.get(name, {}).get(digest)
        if data is None:
            return h.error(404, 'BLOB_UNKNOWN')
        h.say(200, {'Docker-Content-Digest': digest, 'Content-Length': str(len(data))}, data)

    def manifest(self, h, request, name):
        reference = request.path.split('/')[-1]
        there = self.manifests.setdefault(name, {}) if request.method == 'PUT' else self.manifests.get(name, {})
        if request.method != 'PUT':
            data = there.get(reference)
            if data is None:
                return h.error(404, 'MANIFEST_UNKNOWN')
            digest = 'sha256:' + hashlib.sha256(data).hexdigest()
            return h.say(200, {'Content-Type': self.types[digest], 'Docker-Content-Digest': digest,
                               'Content-Length': str(len(data))}, data)
        document = json.loads(request.body)
        digest = 'sha256:' + hashlib.sha256(request.body).hexdigest()
        blobs = self.blobs.get(name, {})
        for d in document.get('layers', []) + ([document['config']] if 'config' in document else []):
            if d['digest'] not in blobs:
                return h.error(404, 'MANIFEST_BLOB_UNKNOWN', d['digest'])
        for d in document.get('manifests', []):
            if d['digest'] not in there:
                return h.error(404, 'MANIFEST_UNKNOWN', d['digest'])
        there[reference] = there[digest] = request.body
        self.types[digest] = request.headers['Content-Type']
        h.say(201, {'Docker-Content-Digest': digest, 'Location': '/v2/%s/manifests/%s' % (name, digest)})

    # ---- uploads
    def place(self, name, upload):
        path = '/v2/%s/blobs/uploads/%s?_state=%d' % (name, upload, len(self.uploads[upload]))
        return path if self.location == 'relative' else 'http://%s%s' % (self.host, path)

    def told(self, name, upload):
        size = len(self.uploads[upload])
        return {'Location': self.place(name, upload), 'Range': '0-%d' % max(0, size - 1)}

    def begin(self, h, request, name):
        source = self.blobs.get(request.query.get('from'), {}).get(request.query.get('mount'))
        if source is not None:
            self.blobs.setdefault(name, {})[request.query['mount']] = source
            return h.say(201, {'Location': '/v2/%s/blobs/%s' % (name, request.query['mount'])})
        upload = 'u%d' % request.number
        self.uploads[upload] = b''
        h.say(202, self.told(name, upload))

    def upload(self, h, request, name):
        upload = request.path.split('/')[-1]
        if upload not in self.uploads:
            return h.error(404, 'BLOB_UPLOAD_UNKNOWN')
        if request.method == 'GET':
            return h.say(204, self.told(name, upload))
        at = request.headers.get('Content-Range')
        if at and int(at.split('-')[0]) != len(self.uploads[upload]):
            return h.error(416, 'RANGE_INVALID')
        self.uploads[upload] += request.body
        if request.method == 'PATCH':
            return h.say(202, self.told(name, upload))
        data, digest = self.uploads.pop(upload), request.query.get('digest')
        if digest != 'sha256:' + hashlib.sha256(data).hexdigest():
            return h.error(400, 'DIGEST_INVALID')
        self.blobs.setdefault(name, {})[digest] = data
        h.say(201, {'Docker-Content-Digest': digest, 'Location': '/v2/%s/blobs/%s' % (name, digest)})

    def cut(self, h, request, size):
        data = h.take_body(size)
        upload = request.path.split('/')[-1]
        with self.lock:
            if upload in self.uploads:
                self.uploads[upload] += data
        h.reset()
