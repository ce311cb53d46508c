"""push_registry's registry to read from: filled by hand, made to answer in odd ways, slow, over TLS, or as a mirror.

    with ScriptRegistry() as r:
        d = r.image('app', '1.2.3', labels={'a': 'b'})     # a manifest, its config and layers, under tags
        r.tag('app', 'latest', d)
        r.quirk = lambda request, headers: headers.pop('Content-Type', None)
        r.delay = 0.03
        ... r.asked, r.connections, r.most_at_once

`quirk` changes the headers of every manifest's answer.  `once` answers 429 to the first request of each kind.
"""
import hashlib, json, re, ssl, threading, time

import mkimage
import push_registry

MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
CONFIG = 'application/vnd.oci.image.config.v1+json'
INDEX = 'application/vnd.oci.image.index.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'


def sha256(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


class Handler(push_registry.Handler):
    """Counts connections, and what is answered at the same time."""

    def setup(self):
        super().setup()
        with self.server.registry.lock:
            self.server.registry.connections += 1

    def serve(self):
        registry = self.server.registry
        with registry.lock:
            registry.at_once += 1
            registry.most_at_once = max(registry.most_at_once, registry.at_once)
        try:
            if registry.delay:
                time.sleep(registry.delay)
            super().serve()
        finally:
            with registry.lock:
                registry.at_once -= 1

    do_GET = do_HEAD = serve

    def say(self, status, headers=None, body=b''):
        headers = dict(headers or {})
        if self.server.registry.quirk and '/manifests/' in self.path and status == 200:
            self.server.registry.quirk(self, headers)
        super().say(status, headers, body)


class ScriptRegistry(push_registry.PushRegistry):
    def __init__(self, *args, certificate=None, address='127.0.0.1', port=0, **more):
        super().__init__(*args, **more)
        self.server.server_close()
        self.server = push_registry.Server((address, port), Handler)
        self.server.registry = self
        self.host = '%s:%d' % (address, self.server.server_port)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.quirk, self.delay, self.link = None, 0, None
        self.connections = self.at_once = self.most_at_once = 0
        self.order = {}

    # ---- filling
    def put(self, name, document, media_type, *tags):
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = sha256(data)
        self.types[digest] = media_type
        self.manifests.setdefault(name, {})[digest] = data
        for tag in tags:
            self.tag(name, tag, digest)
        return digest

    def tag(self, name, tag, digest):
        self.manifests[name][tag] = self.manifests[name][digest]

    def blob_of(self, name, data):
        self.blobs.setdefault(name, {})[sha256(data)] = data
        return {'digest': sha256(data), 'size': len(data)}

    def image(self, name, *tags, files=(), created='2024-01-01T00:00:00Z', labels=None, annotations=None, arch=None,
              config=None, os='linux'):
        """An image of one layer for each member of FILES ({path: bytes}); returns its digest."""
        layers, diff_ids = [], []
        for content in files:
            layer = mkimage.Layer()
            for path, data in content.items():
                layer.f(path, data)
            tar = layer.bytes()
            layers.append(dict(self.blob_of(name, mkimage.gz(tar)), mediaType=LAYER))
            diff_ids.append(sha256(tar))
        what = {'os': os, 'architecture': arch or mkimage.ARCH, 'config': dict(config or {}, Labels=labels),
                'rootfs': {'type': 'layers', 'diff_ids': diff_ids}}
        if created is not None:
            what['created'] = created
        manifest = {'schemaVersion': 2, 'mediaType': MANIFEST, 'layers': layers,
                    'config': dict(self.blob_of(name, json.dumps(what).encode()), mediaType=CONFIG)}
        if annotations is not None:
            manifest['annotations'] = annotations
        return self.put(name, manifest, MANIFEST, *tags)

    def index(self, name, children, *tags):
        """CHILDREN: (digest, architecture) or digest alone, which has no platform."""
        entries = []
        for child in children:
            digest, arch = child if isinstance(child, tuple) else (child, None)
            entry = {'mediaType': self.types[digest], 'digest': digest, 'size': len(self.manifests[name][digest])}
            if arch:
                entry['platform'] = {'os': 'linux', 'architecture': arch}
            entries.append(entry)
        return self.put(name, {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': entries}, INDEX, *tags)

    # ---- answering
    def once(self, status=429, headers=None, but=()):
        """The first request of each method and kind is refused."""
        seen = set()

        def fault(request):
            key = (request.method, request.kind)
            if key in seen or request.kind in but:
                return None
            seen.add(key)
            return {'status': status, 'headers': headers or {}}
        self.fault = fault

    def tags(self, h, request, name):
        """In the order of self.order[name] where there is one; paged by self.page; self.link bends the Link."""
        if name not in self.manifests:
            return h.error(404, 'NAME_UNKNOWN', 'repository name not known to registry')
        names = self.order.get(name) or sorted(t for t in self.manifests[name] if not re.match('sha256:', t))
        at = int(request.query.get('at', 0))
        limit = min(int(request.query.get('n', 100)), getattr(self, 'page', 1000))
        headers = {}
        if at + limit < len(names):
            link = '/v2/%s/tags/list?n=%s&at=%d' % (name, request.query.get('n', 100), at + limit)
            headers['Link'] = '<%s>; rel="next"' % (self.link(link) if self.link else link)
        h.say(200, headers, json.dumps({'name': name, 'tags': names[at:at + limit]}).encode())
