"""The fault registry (lab/fault_registry.py) as an object: started, told what to do wrong, asked what it saw."""
import http.client, json, os, pathlib, subprocess, sys, time

LAB = pathlib.Path(__file__).resolve().parent / 'lab'
IMAGE = 'mf-layer-ten'      # of lab/make_corpus.py: ten layers of 200 KiB, valid
OTHER = 'control-tar'       # another valid image
USER, PASSWORD = 'u', 'p'   # what every client here has


def make_images(path):
    """The two images as layouts below PATH: the registry's root."""
    subprocess.run([sys.executable, LAB / 'make_corpus.py', path, '--only', '%s,%s' % (IMAGE, OTHER)], check=True,
                   stdout=subprocess.DEVNULL)
    return path


class FaultRegistry:
    def __init__(self, root, directory, *options):
        directory.mkdir(parents=True)
        ports = directory / 'ports'
        self.process = subprocess.Popen(
            [sys.executable, LAB / 'fault_registry.py', '--root', root, '--listen', '127.0.0.1:0', '--ports-file', ports,
             '--log', directory / 'log', *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not ports.exists():
            assert self.process.poll() is None and time.monotonic() < until, 'the fault registry does not start'
            time.sleep(0.05)
        self.ports = json.loads(ports.read_text())
        self.host = self.ports['registry']
        self.image = '%s/%s:latest' % (self.host, IMAGE)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(*self.host.split(':'), timeout=60)
        connection.request(method, '/__fault__/' + path, body=body and json.dumps(body))
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status == 200, data
        return data

    def configure(self, *faults, **more):
        """These faults from now on, and counters at zero."""
        self.ask('PUT', '', dict({'seed': 3}, faults=list(faults), **more))
        self.ask('POST', 'reset')

    def seen(self, log=True):
        lines = self.ask('GET', 'log').splitlines() if log else []
        return Seen(json.loads(self.ask('GET', ''))['stats'], [json.loads(x) for x in lines])


class Seen:
    """What the registry, its CDN and its trap saw since configure()."""

    def __init__(self, stats, log):
        self.log = log
        self.requests = stats.get('requests', 0)
        self.leaks = stats.get('LEAKED_AUTHORIZATION', 0)
        self.cookies = stats.get('cookies_sent_by_client', 0)
        self.faults = sum(n for k, n in stats.items() if k.startswith('fault_'))
        self.trapped = stats.get('requests_trap', 0)
        self.tokens = stats.get('requests_token', 0)
        self.blob_bytes = sum(r['bytes'] for r in log if r['kind'] in ('blob', 'cdn', 'hop'))

    def worst_blob(self):
        """The most requests for one blob."""
        count = {}
        for r in self.log:
            if r['kind'] == 'blob':
                count[r['path']] = count.get(r['path'], 0) + 1
        return max(count.values(), default=0)


def authfile(path, *hosts, user=USER, password=PASSWORD):
    path.write_text(json.dumps({'auths': {h: {'username': user, 'password': password} for h in hosts}}))
    return path


def blob_bytes(layout):
    """Bytes of config and layers of the image in a layout: what an undisturbed pull fetches."""
    def blob(digest):
        return layout / 'blobs' / digest.replace(':', os.sep)
    top = json.loads((layout / 'index.json').read_text())['manifests'][0]['digest']
    manifest = json.loads(blob(top).read_text())
    return sum(d['size'] for d in [manifest['config'], *manifest['layers']])
