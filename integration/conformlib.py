"""What the conformance tests of check and in share: a step with nothing in its environment, and a Docker Hub of ours."""
import contextlib, json, os, pathlib, subprocess, time

import conftest
import script_registry

ENV = {'TEST': 'true'}      # waits between tries are then milliseconds
HUB = 'registry-1.docker.io'


class Done:
    def __init__(self, rc, out, err, seconds):
        self.rc, self.out, self.err, self.seconds = rc, out, err, seconds

    @property
    def text(self):
        return self.err.decode()

    @property
    def json(self):
        assert self.rc == 0, self
        assert self.out.endswith(b'\n') and self.out.count(b'\n') == 1, self     # one compact value and a newline
        return json.loads(self.out)

    @property
    def tags(self):
        """A check's answer as [tag, ...]; each version has a tag and a digest, in this order."""
        assert all(list(v) == ['tag', 'digest'] for v in self.json), self
        return [v['tag'] for v in self.json]

    def refused(self, *says, rc=2):
        assert self.rc == rc and self.out == b'', self
        assert self.text.count('\n') == 1 and self.text.startswith('rootlet: '), self
        for s in says:
            assert s in self.text, self

    def __repr__(self):
        return 'rc=%d out=%r err=%s' % (self.rc, self.out[-2000:], self.err.decode('utf-8', 'replace')[-2000:])


def step(binary, name, request, *args, before=(), timeout=60):
    """Run a step; REQUEST is bytes or what becomes JSON."""
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    began = time.monotonic()
    done = subprocess.run([*map(os.fspath, before), os.fspath(binary), name, *map(os.fspath, args)], input=data, env=ENV,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd='/', timeout=timeout)
    assert done.returncode >= 0 and b'Sanitizer' not in done.stderr and b'runtime error' not in done.stderr, done
    return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def certificate(directory, *names):
    """(certificate, key), self-signed for NAMES ('IP:127.0.0.1', 'DNS:a.test')."""
    conftest.need_tool('openssl')
    pem, key = directory / 'cert.pem', directory / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days',
                    '30', '-subj', '/CN=test', '-addext', 'subjectAltName=' + ','.join(names), '-keyout', key, '-out', pem],
                   check=True, stderr=subprocess.DEVNULL)
    return pem, key


@contextlib.contextmanager
def docker_hub(scratch):
    """(registry, before, ca): a registry that is Docker Hub for a program run behind BEFORE and trusting CA."""
    conftest.need_root()
    conftest.need_tool('unshare')
    directory = conftest.fresh_directory('hub-', scratch)
    pem, key = certificate(directory, 'DNS:' + HUB)
    address = '127.%d.%d.%d' % (1 + os.getpid() % 250, 1 + os.getpid() // 250 % 250, 1 + int(time.time()) % 250)
    hosts = directory / 'hosts'
    hosts.write_text('127.0.0.1 localhost\n%s %s\n' % (address, HUB))
    before = ['/usr/bin/unshare', '--mount', '/bin/sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts]
    with script_registry.ScriptRegistry(certificate=(pem, key), address=address, port=443) as registry:
        yield registry, before, pem.read_text()
