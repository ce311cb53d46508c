"""The registry the tools pull from: one that runs already, or a private docker-registry."""
import json, os, platform, socket, subprocess, time, urllib.error, urllib.request

ACCEPT = ', '.join([
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
    'application/vnd.docker.distribution.manifest.v2+json',
])
ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64'}


class Registry:
    """HOST:PORT, plain HTTP."""

    def __init__(self, address):
        self.address = address

    def url(self, *parts):
        return '/'.join(['http://%s/v2' % self.address, *parts])

    def manifest(self, image):
        """The manifest of NAME:TAG, for this machine where there are several."""
        name, _, tag = image.partition(':')
        document = self.get_json(self.url(name, 'manifests', tag or 'latest'))
        if 'manifests' in document:
            machine = ARCHITECTURES.get(platform.machine(), platform.machine())
            fitting = [m for m in document['manifests']
                       if m.get('platform', {}).get('architecture') == machine]
            if not fitting:
                raise SystemExit("bench: '%s' has nothing for %s" % (image, machine))
            document = self.get_json(self.url(name, 'manifests', fitting[0]['digest']))
        return document

    def get_json(self, url):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers={'Accept': ACCEPT})) as r:
                return json.load(r)
        except urllib.error.URLError as e:
            raise SystemExit('bench: %s: %s' % (url, e))

    def layers(self, image):
        """(digest, size, compression) of each layer, lowest first."""
        kinds = {'gzip': 'gzip', 'zstd': 'zstd'}
        out = []
        for layer in self.manifest(image)['layers']:
            kind = layer['mediaType'].replace('.', '+').rsplit('+', 1)[-1]
            out.append((layer['digest'], layer['size'], kinds.get(kind, 'none')))
        return out

    def has(self, image):
        name, _, tag = image.partition(':')
        request = urllib.request.Request(self.url(name, 'manifests', tag), headers={'Accept': ACCEPT})
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.HTTPError:
            return False
        return True

    def push_blob(self, name, digest, path):
        request = urllib.request.Request(self.url(name, 'blobs', 'uploads/'), method='POST')
        with urllib.request.urlopen(request) as reply:
            where = reply.headers['Location']
        where += ('&' if '?' in where else '?') + 'digest=' + digest
        with open(path, 'rb') as body:
            headers = {'Content-Type': 'application/octet-stream',
                       'Content-Length': str(os.path.getsize(path))}
            urllib.request.urlopen(urllib.request.Request(where, body, headers, method='PUT')).close()

    def push_manifest(self, image, document):
        name, _, tag = image.partition(':')
        request = urllib.request.Request(self.url(name, 'manifests', tag), json.dumps(document).encode(),
                                         {'Content-Type': document['mediaType']}, method='PUT')
        urllib.request.urlopen(request).close()


class PrivateRegistry(Registry):
    """A docker-registry of our own on a free port of HOST; it dies with us."""

    def __init__(self, work, host='127.0.0.1'):
        with socket.socket() as s:
            s.bind((host, 0))
            super().__init__('%s:%d' % (host, s.getsockname()[1]))
        self.work = os.path.join(work, 'registry')
        self.process = None

    def __enter__(self):
        os.makedirs(self.work, exist_ok=True)
        config = os.path.join(self.work, 'config.yml')
        with open(config, 'w') as f:
            json.dump({'version': '0.1',
                       'log': {'level': 'error', 'accesslog': {'disabled': True}},
                       'storage': {'filesystem': {'rootdirectory': os.path.join(self.work, 'data')}},
                       'http': {'addr': self.address}}, f)
        with open(os.path.join(self.work, 'log'), 'wb') as log:
            self.process = subprocess.Popen(['setpriv', '--pdeathsig', 'TERM', 'docker-registry',
                                             'serve', config], stdout=log, stderr=log)
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url('')).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.__exit__()
        raise SystemExit('bench: docker-registry did not start, see %s/log' % self.work)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
