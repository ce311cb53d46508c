"""A command in a container: runc in a root filesystem, as the image's config says."""
import json, os, subprocess, time

RUNC_TIMEOUT_S = 120


class Container:
    """
    Runs COMMAND with sh in the tree at ROOT, the network that of this machine.  The tree is read-only: what a program
    writes goes to tmpfs or fails, as with `docker run --read-only --tmpfs /tmp`.
    """

    def __init__(self, work, root, environment, command):
        self.bundle = os.path.join(work, 'bundle')
        self.log = os.path.join(work, 'container.log')
        self.name = 'rootlet-bench-%d' % os.getpid()
        os.makedirs(self.bundle, exist_ok=True)
        path = os.path.join(self.bundle, 'config.json')
        if not os.path.exists(path):
            subprocess.run(['runc', 'spec'], cwd=self.bundle, check=True)
        with open(path) as f:
            spec = json.load(f)
        spec['root'] = {'path': root, 'readonly': True}
        spec['process'].update(terminal=False, args=['sh', '-c', command], env=environment)
        spec['linux']['namespaces'] = [n for n in spec['linux']['namespaces'] if n['type'] != 'network']
        spec['linux'].setdefault('resources', {})['cpu'] = {'shares': 262144}   # others are not what is measured
        if not any(m['destination'] == '/tmp' for m in spec['mounts']):
            spec['mounts'].append({'destination': '/tmp', 'type': 'tmpfs', 'source': 'tmpfs'})
        with open(path, 'w') as f:
            json.dump(spec, f)

    def run(self):
        """Seconds until it has ended."""
        start = time.monotonic()
        with open(self.log, 'wb') as log:
            done = subprocess.run(['runc', 'run', '--bundle', self.bundle, self.name], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log, timeout=RUNC_TIMEOUT_S)
        seconds = time.monotonic() - start
        if done.returncode != 0:
            with open(self.log, errors='replace') as f:
                raise SystemExit('bench: runc: %s' % f.read().strip()[-1000:])
        return seconds


class Containerd:
    """A private containerd inside a slow link, with stargz-snapshotter's daemon where that is installed."""

    def __init__(self, work, link, port):
        self.home = os.path.join(work, 'containerd')
        self.socket = os.path.join(self.home, 'c.sock')
        self.stargz = os.path.join(self.home, 's.sock')
        self.link, self.registry, self.started = link, '%s:%d' % (link.near, port), []

    def start(self, snapshotter):
        os.makedirs(self.home, exist_ok=True)
        plugin = '[proxy_plugins.stargz]\n type = "snapshot"\n address = "%s"\n' % self.stargz
        self.write('containerd.toml', 'version = 2\nroot = "%s/root"\nstate = "%s/state"\n'
                   'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n address = "%s"\n%s' % (
                       self.home, self.home, self.socket, plugin if snapshotter == 'stargz' else ''))
        if snapshotter == 'stargz':
            self.write('stargz.toml', 'no_background_fetch = true\n[[resolver.host."%s".mirrors]]\n host = "%s"\n'
                       ' insecure = true\n[blob]\n check_always = false\n' % (self.registry, self.registry))
            self.spawn('containerd-stargz-grpc', '--address', self.stargz, '--config', self.home + '/stargz.toml',
                       '--root', self.home + '/stargz', '--log-level', 'warn')
            self.wait(lambda: os.path.exists(self.stargz))
        self.spawn('containerd', '--config', self.home + '/containerd.toml', '--log-level', 'warn')
        self.wait(lambda: self.ctr('ctr', 'version', check=False).returncode == 0)

    def write(self, name, text):
        with open(os.path.join(self.home, name), 'w') as f:
            f.write(text)

    def spawn(self, *argv):
        with open(os.path.join(self.home, argv[0] + '.log'), 'wb') as log:
            self.started.append(subprocess.Popen([*self.link.enter, *argv], stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=log, start_new_session=True))

    def wait(self, ready):
        until = time.monotonic() + 30
        while not ready():
            if time.monotonic() > until:
                raise SystemExit('bench: containerd did not start, see ' + self.home)
            time.sleep(0.05)

    def ctr(self, program, *args, check=True):
        done = subprocess.run([*self.link.enter, program, '-a', self.socket, *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if check and done.returncode != 0:
            raise SystemExit('bench: %s: %s' % (program, done.stdout.decode(errors='replace').strip()[-1000:]))
        return done

    def first_command(self, snapshotter, image, command):
        """Pull and run; seconds of each."""
        full = '%s/%s' % (self.registry, image)
        pull = ['ctr-remote', 'image', 'rpull'] if snapshotter == 'stargz' else ['ctr', 'image', 'pull']
        times = [time.monotonic()]
        self.ctr(*pull, '--plain-http', full)
        times.append(time.monotonic())
        self.ctr('ctr', 'run', '--rm', '--net-host', '--snapshotter', snapshotter, full, 'bench%d' % os.getpid(),
                 'sh', '-c', command)
        times.append(time.monotonic())
        return times[1] - times[0], times[2] - times[1]

    def stop(self):
        for child in reversed(self.started):
            child.terminate()
            child.wait()
        self.started = []
        with open('/proc/self/mounts') as f:
            mounts = [line.split()[1] for line in f]
        for mount in reversed(mounts):
            if mount.startswith(self.home + '/'):
                subprocess.run(['umount', '-l', mount], stderr=subprocess.DEVNULL)
        subprocess.run(['rm', '-rf', self.home], check=True)
