"""The images that mounts are measured on besides those that are given: one big file, and very many small ones."""
import hashlib, io, json, os, tarfile

import host_image
from measure import sh

MANY_FILES = 100000
MANY_PER_DIRECTORY = 100
MANY_BYTES = 8192


def noise(number, size):
    """Bytes that do not compress, always the same for a number."""
    return hashlib.shake_128(b'%d' % number).digest(size)


def push_big(registry, work, mib):
    """NAME:TAG of an image that is one big file."""
    def files():
        path = os.path.join(work, 'big')
        with open(path, 'wb') as f:
            for n in range(mib):
                f.write(noise(n, 1 << 20))
        yield 'big', path
        os.unlink(path)
    return push(registry, work, 'big:raw-%d' % mib, files, '')


def push_many(registry, work):
    """NAME:TAG of an image of MANY_FILES files of MANY_BYTES each."""
    def files():
        for n in range(MANY_FILES):
            yield 'd%04d/f%06d' % (n // MANY_PER_DIRECTORY, n), noise(n, MANY_BYTES)
    return push(registry, work, 'many:gzip-%d' % MANY_FILES, files, '+gzip')


def write_tar(path, files):
    """FILES: names, with a path or with bytes."""
    with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as tar:
        for name, data in files():
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            if isinstance(data, str):
                info.size = os.path.getsize(data)
                with open(data, 'rb') as f:
                    tar.addfile(info, f)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def push(registry, work, image, files, suffix):
    """One layer of FILES, made and pushed if the registry does not have it."""
    if registry.has(image):
        return image
    folder = os.path.join(work, 'make')
    os.makedirs(folder, exist_ok=True)
    blob = os.path.join(folder, 'layer.tar')
    write_tar(blob, files)
    diff_id = host_image.sha256(blob)
    if suffix:
        sh('gzip', '-1nf', blob)
        blob += '.gz'
    name, layer = image.partition(':')[0], host_image.descriptor(
        'application/vnd.oci.image.layer.v1.tar' + suffix, blob)
    registry.push_blob(name, layer['digest'], blob)
    os.unlink(blob)
    config = os.path.join(folder, 'config.json')
    with open(config, 'w') as f:
        json.dump({'architecture': host_image.ARCHITECTURES.get(os.uname().machine, os.uname().machine), 'os': 'linux',
                   'config': {}, 'rootfs': {'type': 'layers', 'diff_ids': [diff_id]}}, f)
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': host_image.descriptor('application/vnd.oci.image.config.v1+json', config), 'layers': [layer]}
    registry.push_blob(name, manifest['config']['digest'], config)
    registry.push_manifest(image, manifest)
    return image
