"""An image made of what this machine has installed: four layers of programs and one of small files."""
import hashlib, json, os, platform, shutil, stat

from measure import sh
from registry import ARCHITECTURES

PARTS = ['/usr/bin', '/usr/lib', '/usr/share', '/usr/include']
SMALL_MAX_BYTES = 16384
SMALL_FILES = 30000
NAME = 'host'


def files_below(top):
    """Regular files and symlinks below TOP, in the order of their names, with their sizes."""
    for where, dirs, names in os.walk(top):
        dirs.sort()
        for name in sorted(names):
            path = os.path.join(where, name)
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                yield path, info.st_size if stat.S_ISREG(info.st_mode) else 0


def take(files, budget):
    """The first files that fit into BUDGET bytes; one larger than a quarter of it is passed over."""
    out = []
    for path, size in files:
        if size > budget / 4:
            continue
        budget -= size
        if budget < 0:
            break
        out.append(path)
    return out


def small_files():
    out = []
    for top in PARTS:
        for path, size in files_below(top):
            if 0 < size <= SMALL_MAX_BYTES:
                out.append(path)
            if len(out) == SMALL_FILES:
                return out
    return out


def write_tar(path, names, arguments=()):
    """A tar of NAMES; the same machine makes the same bytes."""
    command = ['tar', '-c', '--numeric-owner', '--format=posix',
               '--pax-option=delete=atime,delete=ctime', '--no-recursion', '-f', path, *arguments,
               '-C', '/', '--null', '-T', '-']
    sh(*command, input=b'\0'.join(os.fsencode(n.lstrip('/')) for n in names))


def sha256(path):
    with open(path, 'rb') as f:
        return 'sha256:' + hashlib.file_digest(f, 'sha256').hexdigest()


def make_layers(work, mib):
    """Paths of the layers' tars."""
    tars = []
    for i, top in enumerate(PARTS):
        tars.append(os.path.join(work, '%d.tar' % i))
        write_tar(tars[-1], take(files_below(top), mib * 2**20 / len(PARTS)))
    tars.append(os.path.join(work, 'small.tar'))
    write_tar(tars[-1], small_files(), ['--transform=flags=rhS;s,^,srv/small/,'])
    return tars


def push(registry, work, mib):
    """NAME:TAG of the image, made and pushed if the registry does not have it."""
    image = '%s:gzip-%d' % (NAME, mib)
    if registry.has(image):
        return image
    work = os.path.join(work, 'make')
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    layers, diff_ids = [], []
    for tar in make_layers(work, mib):
        diff_ids.append(sha256(tar))
        sh('gzip', '-6n', tar)
        blob = tar + '.gz'
        layers.append(descriptor('application/vnd.oci.image.layer.v1.tar+gzip', blob))
        registry.push_blob(NAME, layers[-1]['digest'], blob)
    config = os.path.join(work, 'config.json')
    machine = ARCHITECTURES.get(platform.machine(), platform.machine())
    with open(config, 'w') as f:
        json.dump({'architecture': machine, 'os': 'linux', 'config': {},
                   'rootfs': {'type': 'layers', 'diff_ids': diff_ids}}, f)
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': descriptor('application/vnd.oci.image.config.v1+json', config),
                'layers': layers}
    registry.push_blob(NAME, manifest['config']['digest'], config)
    registry.push_manifest(image, manifest)
    shutil.rmtree(work)
    return image


def descriptor(media_type, path):
    return {'mediaType': media_type, 'digest': sha256(path), 'size': os.path.getsize(path)}
