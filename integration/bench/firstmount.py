"""
What the first mount of an image costs beside its download, the second mount, and the filling of a lazy mount beside an
unpack; with what is demanded of them.

Everything is measured from the registry as it is, and the first mount also through a proxy that gives each connection
BENCH_LINE_MB MB/s (default 50), as from a registry that is not on this machine.  The floor is `curl | igzip` for each
layer, as many at once as rootlet takes, with nothing checked and nothing kept; "checked" adds what every image demands:
the SHA-256 of each blob and of each stream.
"""
import json, os, shlex, shutil, socket, subprocess, time
from statistics import median

from measure import FreshFs, measured, missing
from tools import FASTEST

SETTLE_S = 600
ROWS = ['download, inflate', 'the same, checked', 'first mount', 'second mount', 'second mount, no network', 'unpack',
        'filled mount', 'mount and tar c', 'unpack and tar c']
# text, row, divided by, field, most
DEMANDS = [
    ('first mount, by download and inflate', 'first mount', 'download, inflate', 'wall', 1.15),
    ('CPU of it', 'first mount', 'download, inflate', 'cpu', None),
    ('first mount, by the same checked', 'first mount', 'the same, checked', 'wall', None),
    ('CPU of it', 'first mount', 'the same, checked', 'cpu', None),
    ('second mount, s', 'second mount', None, 'wall', 0.05),
    ('second mount without network, s', 'second mount, no network', None, 'wall', 0.05),
    ('filled mount, by unpack', 'filled mount', 'unpack', 'wall', 1.1),
    ('CPU of it', 'filled mount', 'unpack', 'cpu', 1.1),
    ('mount and tar c, by unpack and tar c', 'mount and tar c', 'unpack and tar c', 'wall', 1.1),
    ('CPU of it', 'mount and tar c', 'unpack and tar c', 'cpu', 1.1),
]


class Line:
    """An nginx before the registry that lets each connection have so many MB/s."""

    def __init__(self, work, registry, rate_mb):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.address = '127.0.0.1:%d' % s.getsockname()[1]
        self.config = os.path.join(work, 'line.conf')
        with open(self.config, 'w') as f:
            f.write('daemon off; worker_processes 1; pid %s.pid; error_log %s.log;\n'
                    'events { }\n'
                    'http { access_log off; client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s;\n'
                    '  uwsgi_temp_path %s; scgi_temp_path %s;\n'
                    '  server { listen %s; location / { proxy_pass http://%s; proxy_set_header Host $http_host;\n'
                    '    proxy_buffering on; proxy_max_temp_file_size 0; limit_rate %dk; } } }\n'
                    % ((self.config,) * 2 + (work,) * 5 + (self.address, registry.address, rate_mb * 1000)))

    def __enter__(self):
        self.server = subprocess.Popen(['nginx', '-c', self.config], stderr=subprocess.DEVNULL)
        host, port = self.address.split(':')
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return self
            except OSError:
                if time.monotonic() > until or self.server.poll() is not None:
                    raise SystemExit('bench: nginx does not start')
                time.sleep(0.05)

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()


def cpu_of(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Runs:
    """One image, on one new ext4."""

    def __init__(self, binary, registry, image, disk):
        self.binary, self.registry, self.image, self.disk = binary, registry, image, disk
        self.mount, self.log, self.jobs = disk + '/mount', disk + '.log', disk + '.jobs'
        self.cache, self.eager = disk + '/cache', disk + '/eager'
        self.env = dict(os.environ, ROOTLET_CACHE=self.cache, ROOTLET_RUN=disk + '.run')
        for folder in (self.mount, self.env['ROOTLET_RUN']):
            os.makedirs(folder, exist_ok=True)

    def timed(self, argv):
        cost = measured(argv, self.log, self.env)
        if not cost:
            with open(self.log, errors='replace') as f:
                raise SystemExit('bench: %s: %s' % (' '.join(argv), f.read()[-2000:]))
        return {'wall': cost.wall, 'cpu': cost.cpu}

    def download(self, address, checked):
        steps = []
        for digest, _, kind in sorted(self.registry.layers(self.image), key=lambda layer: -layer[1]):
            url = 'http://%s/v2/%s/blobs/%s' % (address, self.image.partition(':')[0], digest)
            step = 'curl -fsS %s | %s >/dev/null'
            if checked:
                step = 'curl -fsS %s | tee >(openssl dgst -sha256 >/dev/null) | %s | openssl dgst -sha256 >/dev/null'
            steps.append(step % (shlex.quote(url), FASTEST[kind]))
        with open(self.jobs, 'w') as f:
            f.write('\n'.join(steps) + '\n')
        return self.timed(['xargs', '-a', self.jobs, '-d', '\n', '-P', str(min(os.cpu_count(), 8)), '-I{}', 'bash',
                           '-o', 'pipefail', '-c', '{}'])

    def status(self):
        return json.loads(subprocess.check_output([self.binary, 'status', '--json', self.mount], env=self.env))

    def start(self, address, fill='off', before=()):
        shown = self.timed([*before, self.binary, 'mount', '--quiet', '--tls-verify=false', '--fill=' + fill,
                            '--no-prefetch', address + '/' + self.image, self.mount])
        status = self.status()
        self.daemon = status['daemon_pid']
        shown['cpu'] += cpu_of(self.daemon) + cpu_of(status['supervisor_pid'])
        return shown

    def stop(self):
        subprocess.run([self.binary, 'umount', self.mount], env=self.env, check=True)

    def forget(self):
        shutil.rmtree(self.cache, ignore_errors=True)

    def whole(self):
        layers = self.status()['layers']
        return all(s['spans_present'] >= s['spans'] and s['trust'] == 'verified' for s in layers)

    def filled(self, address):
        """From nothing to an image that is all there and all checked."""
        self.forget()
        began = time.monotonic()
        self.start(address, 'now')
        while not self.whole():
            if time.monotonic() - began > SETTLE_S:
                raise SystemExit('bench: the image is not whole after %d s' % SETTLE_S)
            time.sleep(0.02)
        cost = {'wall': time.monotonic() - began, 'cpu': cpu_of(self.daemon)}
        self.stop()
        return cost

    def tar(self, tree):
        return self.timed(['sh', '-c', 'tar -C "$1" --one-file-system -c . | cat >/dev/null', 'sh', tree])

    def mounted_tar(self, address):
        self.forget()
        cost = self.start(address)
        before = cpu_of(self.daemon)
        read = self.tar(self.mount)
        both = {'wall': cost['wall'] + read['wall'], 'cpu': cost['cpu'] + read['cpu'] + cpu_of(self.daemon) - before}
        self.stop()
        return both

    def unpacked(self, address):
        return self.timed([self.binary, 'unpack', '--quiet', '--devices', '--tls-verify=false',
                           address + '/' + self.image, self.eager])


def sums(a, b):
    return {k: a[k] + b[k] for k in a}


def one_image(binary, registry, lines, image, work, out):
    """One repetition; LINES: name and address of each way to the registry, the bare one first."""
    def note(row, cost, line=lines[0][0]):
        out.setdefault((image, line, row), []).append(cost)
    with FreshFs(work) as path:
        runs = Runs(binary, registry, image, path)
        bare = lines[0][1]
        runs.download(bare, False)       # the registry has read it once
        for line, address in lines:
            note(ROWS[0], runs.download(address, False), line)
            note(ROWS[1], runs.download(address, True), line)
            runs.forget()
            note('first mount', runs.start(address), line)
            runs.stop()
            note('second mount', runs.start(address), line)
            runs.stop()
            note('second mount, no network', runs.start(address, before=['unshare', '-n']), line)
            runs.stop()
        unpacked = runs.unpacked(bare)
        note('unpack', unpacked)
        note('unpack and tar c', sums(unpacked, runs.tar(runs.eager)))
        note('filled mount', runs.filled(bare))
        note('mount and tar c', runs.mounted_tar(bare))


def middle(out, image, line, row, field):
    runs = out.get((image, line, row))
    return median(r[field] for r in runs) if runs else None


def demands(out, image, line):
    for text, row, by, field, most in DEMANDS:
        a = middle(out, image, line, row, field)
        b = middle(out, image, line, by, field) if by else 1
        if a and b:
            yield text, a / b, most


def table(out, images, lines):
    print('\n| image | link | what | wall s | CPU s |\n|---|---|---|---|---|')
    for image, line, row in out:
        print('| %s | %s | %s | %.3f | %.3f |' % (image, line, row, middle(out, image, line, row, 'wall'),
                                                   middle(out, image, line, row, 'cpu')))
    print('\n| image | link | demand | measured | most | met |\n|---|---|---|---|---|---|')
    for image in images:
        for line, _ in lines:
            for text, value, most in demands(out, image, line):
                met = '-' if most is None else 'yes' if value <= most else 'no'
                print('| %s | %s | %s | %.3g | %s | %s |' % (image, line, text, value, most or '-', met))


def run_all(binary, registry, images, work, repeat, say):
    out = {}
    rate_mb = int(os.environ.get('BENCH_LINE_MB', '50'))
    lines = [('loopback', registry.address)]

    def each():
        for rep in range(repeat):
            for image in images:
                say('bench: %d/%d first mount of %s' % (rep + 1, repeat, image))
                one_image(binary, registry, lines, image, work, out)
    if missing('nginx'):
        say('bench: no slow link: nginx is not installed')
        each()
    else:
        with Line(work, registry, rate_mb) as line:
            lines.append(('%d MB/s' % rate_mb, line.address))
            each()
    table(out, images, lines)
