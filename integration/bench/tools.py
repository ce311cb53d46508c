"""The tools that are compared: for each the shell command that turns an image into $W/out."""
import os, shlex, shutil, subprocess

from measure import sh

SERIAL = {'gzip': 'gzip -dc', 'zstd': 'zstd -dc', 'none': 'cat'}
FASTEST = {'gzip': 'igzip -dc', 'zstd': 'zstd -dc', 'none': 'cat'}
TAR = 'tar -x --numeric-owner -p -C "$W/out"'
NEEDS = {
    'rootlet': ['meson', 'ninja'], 'rootlet-zlib': ['meson', 'ninja'],
    'floor': ['igzip', 'openssl', 'curl'], 'gzip': ['curl'],
    'umoci': ['skopeo', 'umoci'], 'podman': ['podman'],
}


class Tools:
    def __init__(self, work, source, registry):
        self.work = work
        self.source = source
        self.registry = registry
        self.binaries = {}

    def build(self, name, *options):
        """The binary of 'rootlet' or 'rootlet-zlib', built from the source beside this script."""
        given = os.environ.get('BENCH_' + name.upper().replace('-', '_'))
        if given:
            return given
        where = os.path.join(self.work, 'build-' + name)
        isal = 'disabled' if name == 'rootlet-zlib' else 'enabled'
        if not os.path.exists(os.path.join(where, 'build.ninja')):
            sh('meson', 'setup', where, self.source, '-Disal=' + isal, '-Dtests=false',
               '-Dbuildtype=debugoptimized', *options)
        sh('ninja', '-C', where, 'rootlet')
        return os.path.join(where, 'rootlet')

    def keep_layers(self, image):
        """Blobs and tars of IMAGE as local files, which the floor reads: (blob, tar, kind) each."""
        folder = os.path.join(self.work, 'layers')
        os.makedirs(folder, exist_ok=True)
        out = []
        for digest, size, kind in self.registry.layers(image):
            blob = os.path.join(folder, digest.replace(':', '-'))
            tar = blob + '.tar'
            if not os.path.exists(tar):
                url = self.registry.url(image.partition(':')[0], 'blobs', digest)
                sh('curl', '-fsS', '-o', blob, url)
                if os.path.getsize(blob) != size:
                    raise SystemExit('bench: %s has %d bytes' % (url, os.path.getsize(blob)))
                with open(tar + '.part', 'wb') as f:
                    subprocess.run([*SERIAL[kind].split(), blob], stdout=f, check=True)
                os.rename(tar + '.part', tar)
            out.append((blob, tar, kind))
        return out

    def prepare(self, tool, images):
        if tool.startswith('rootlet'):
            self.binaries[tool] = self.build(tool)
        if tool == 'floor':
            for image in images:
                self.keep_layers(image)

    def warm(self, tool, image):
        """Bring what TOOL will read into memory, so that no run pays for the disk of the one before."""
        if tool == 'floor':
            for blob, tar, _ in self.keep_layers(image):
                sh('cp', blob, '/dev/null')
                sh('cp', tar, '/dev/null')
            return
        for digest, _, _ in self.registry.layers(image):
            sh('curl', '-fsS', '-o', '/dev/null', self.registry.url(image.partition(':')[0], 'blobs', digest))

    def rootlet(self, tool, image):
        return '%s unpack --quiet --devices --tls-verify=false %s/%s "$W/out"' % (
            shlex.quote(self.binaries[tool]), self.registry.address, image)

    def floor(self, image):
        """What cannot be saved: inflate, write the files, digest of every blob and every tar."""
        steps, files = [], []
        for blob, tar, kind in self.keep_layers(image):
            steps.append('%s <%s | %s' % (FASTEST[kind], shlex.quote(blob), TAR))
            files += [shlex.quote(blob), shlex.quote(tar)]
        steps.append('openssl dgst -sha256 ' + ' '.join(files))
        return 'mkdir "$W/out"; ' + '; '.join(steps)

    def pipeline(self, image):
        """curl | gzip -dc | tar x, a layer after the other; no digest is checked, no whiteout obeyed."""
        name = image.partition(':')[0]
        return 'mkdir "$W/out"; ' + '; '.join(
            'curl -fsS %s | %s | %s' % (self.registry.url(name, 'blobs', digest), SERIAL[kind], TAR)
            for digest, _, kind in self.registry.layers(image))

    def rootfs(self, tool, where):
        """The tree that TOOL made; podman keeps a folder a layer instead."""
        return os.path.join(where, {'umoci': 'out/rootfs', 'podman': 'none'}.get(tool, 'out'))

    def command(self, tool, image):
        full = '%s/%s' % (self.registry.address, image)
        if tool.startswith('rootlet'):
            text = self.rootlet(tool, image)
        elif tool == 'floor':
            text = self.floor(image)
        elif tool == 'gzip':
            text = self.pipeline(image)
        elif tool == 'umoci':
            text = ('skopeo copy -q --src-tls-verify=false docker://%s oci:"$W/layout":x;'
                    ' umoci unpack --image "$W/layout":x "$W/out"' % full)
        elif tool == 'podman':
            text = ('podman --root "$W/podman" --runroot "$W/run" --storage-driver overlay'
                    ' pull -q --tls-verify=false %s' % full)
        else:
            raise SystemExit("bench: no tool '%s'; there are: %s" % (tool, ' '.join(NEEDS)))
        return ['bash', '-c', 'set -e -o pipefail; ' + text]


def left_out(tool):
    """Which programs TOOL needs that are not here."""
    return [p for p in NEEDS.get(tool, []) if not shutil.which(p)]
