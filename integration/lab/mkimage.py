#!/usr/bin/env python3
"""OCI layouts made byte by byte with the standard library, independent of every image tool.

    layer = Layer().d('etc').f('etc/motd', 'hello\\n').s('motd', 'etc/motd')
    Layout('/dir').tag('latest', Layout.image([pack(layer.bytes(), 'gzip')]))

As a program: mkimage.py DIR TAG FILE...   one layer holding the files, for trying things out.
"""
import gzip, hashlib, io, json, os, platform, subprocess, sys, tarfile

NOW = 1700000000
OCI = 'application/vnd.oci.image.'
DOCKER = 'application/vnd.docker.'
REF_NAME = 'org.opencontainers.image.ref.name'
ARCH = {'x86_64': 'amd64', 'aarch64': 'arm64', 'armv7l': 'arm'}.get(platform.machine(), platform.machine())


class Layer:
    """One layer under construction: each method adds an entry and returns the layer."""

    def __init__(self, fmt=tarfile.PAX_FORMAT):
        self.b = io.BytesIO()
        self.t = tarfile.open(fileobj=self.b, mode='w', format=fmt, encoding='utf-8', errors='surrogateescape')

    def add(self, name, type=tarfile.REGTYPE, data=b'', mode=None, uid=0, gid=0, mtime=NOW, link='', dev=(0, 0),
            xattr=None, pax=None):
        i = tarfile.TarInfo(name)
        i.type, i.mtime, i.uid, i.gid, i.linkname = type, mtime, uid, gid, link
        i.mode = mode if mode is not None else {tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}.get(type, 0o644)
        i.devmajor, i.devminor = dev
        i.size = len(data) if type == tarfile.REGTYPE else 0
        i.uname, i.gname = 'nobody-such', 'nogroup-such'      # must be ignored in favour of ids
        p = dict(pax or {})
        for k, v in (xattr or {}).items():
            p['SCHILY.xattr.' + k] = v.decode('utf-8', 'surrogateescape') if isinstance(v, bytes) else v
        i.pax_headers = p
        self.t.addfile(i, io.BytesIO(data) if i.size else None)
        return self

    def d(self, n, **k): return self.add(n, tarfile.DIRTYPE, **k)
    def f(self, n, data=b'', **k): return self.add(n, data=data if isinstance(data, bytes) else data.encode(), **k)
    def s(self, n, to, **k): return self.add(n, tarfile.SYMTYPE, link=to, **k)
    def h(self, n, to, **k): return self.add(n, tarfile.LNKTYPE, link=to, **k)

    def wh(self, n):
        a, b = os.path.split(n)
        return self.f(os.path.join(a, '.wh.' + b), mode=0)

    def opq(self, d): return self.f(d + '/.wh..wh..opq', mode=0)

    def bytes(self):
        self.t.close()
        return self.b.getvalue()


def noise(n, seed=b'x'):
    """N bytes that do not compress, always the same for a seed."""
    return hashlib.shake_128(seed).digest(n)


def gz(data, level=6):
    return gzip.compress(data, level, mtime=0)


def zst(data, *options):
    return subprocess.run(['zstd', '-q', '-c', *options], input=data, check=True, stdout=subprocess.PIPE).stdout


def pack(tar, codec='gzip', blob=None):
    """(tar, codec, blob): what Layout.image takes; BLOB where the compressed bytes are made elsewhere."""
    if blob is None:
        blob = {'gzip': lambda b: gz(b, 1), 'zstd': lambda b: zst(b, '-1'), '': lambda b: b}[codec](tar)
    return tar, codec, blob


class Layout:
    def __init__(self, d):
        self.d = str(d)
        os.makedirs(self.d + '/blobs/sha256', exist_ok=True)
        if not os.path.exists(self.d + '/oci-layout'):
            with open(self.d + '/oci-layout', 'w') as f:
                f.write('{"imageLayoutVersion":"1.0.0"}')
        self.i = {'schemaVersion': 2, 'manifests': []}
        if os.path.exists(self.d + '/index.json'):
            with open(self.d + '/index.json') as f:
                self.i = json.load(f)

    def path(self, digest):
        return '%s/blobs/sha256/%s' % (self.d, digest.split(':')[1])

    def blob(self, b, media_type):
        h = hashlib.sha256(b).hexdigest()
        with open('%s/blobs/sha256/%s' % (self.d, h), 'wb') as f:
            f.write(b)
        return {'mediaType': media_type, 'digest': 'sha256:' + h, 'size': len(b)}

    def image(self, layers, docker=False, arch=ARCH, config=None, labels=None, diff_ids=None):
        """A manifest's descriptor.  layers: [pack(...)]."""
        types = {'gzip': 'image.rootfs.diff.tar.gzip', '': 'image.rootfs.diff.tar'}
        media = (lambda c: DOCKER + types[c]) if docker else (lambda c: OCI + 'layer.v1.tar' + ('+' + c if c else ''))
        if diff_ids is None:
            diff_ids = ['sha256:' + hashlib.sha256(t).hexdigest() for t, _, _ in layers]
        cfg = {'architecture': arch, 'os': 'linux', 'created': '2023-11-14T22:13:20Z',
               'config': config if config is not None else {
                   'Env': ['PATH=/bin'], 'Cmd': ['/bin/sh'], 'Labels': labels or {}},
               'rootfs': {'type': 'layers', 'diff_ids': diff_ids},
               'history': [{'created_by': 'layer %d' % n} for n, _ in enumerate(layers)]}
        m = {'schemaVersion': 2,
             'mediaType': DOCKER + 'distribution.manifest.v2+json' if docker else OCI + 'manifest.v1+json',
             'config': self.blob(json.dumps(cfg).encode(), DOCKER + 'container.image.v1+json' if docker else OCI + 'config.v1+json'),
             'layers': [self.blob(b, media(c)) for _, c, b in layers]}
        r = self.blob(json.dumps(m, indent=1).encode(), m['mediaType'])
        r['platform'] = {'architecture': arch, 'os': 'linux'}
        return r

    def index(self, descriptors):
        ix = {'schemaVersion': 2, 'mediaType': OCI + 'index.v1+json', 'manifests': descriptors}
        return self.blob(json.dumps(ix).encode(), ix['mediaType'])

    def tag(self, name, descriptor):
        """Name a manifest or index; returns its digest."""
        d = {k: v for k, v in descriptor.items() if k != 'platform'}
        d['annotations'] = {REF_NAME: name}
        self.i['manifests'] = [m for m in self.i['manifests']
                               if (m.get('annotations') or {}).get(REF_NAME) != name] + [d]
        with open(self.d + '/index.json', 'w') as f:
            json.dump(self.i, f, indent=1)
        return d['digest']


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    layer = Layer()
    for name in sys.argv[3:]:
        with open(name, 'rb') as f:
            layer.f(os.path.basename(name), f.read(), mode=os.stat(name).st_mode & 0o7777)
    layout = Layout(sys.argv[1])
    print(layout.tag(sys.argv[2], layout.image([pack(layer.bytes())])))


if __name__ == '__main__':
    main()
