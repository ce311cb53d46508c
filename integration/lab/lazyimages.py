"""Images made to be read lazily, from plain tars: eStargz and zstd:chunked in both dialects, byte by byte.

The real converters (convert.py) do not make every shape that the formats allow: payloads that share a gzip member,
the old footers, chunks of zeros, the prefixes of old annotations.  These do.

    layer = estargz(Layer().f('a', b'...').bytes(), chunk=65536)
    Layout(d).tag('x', image(Layout(d), [layer, plain(tar)]))

Names and links must be UTF-8, for JSON holds nothing else, and no file sparse.
"""
import base64, gzip, hashlib, io, json, struct, tarfile, time

from mkimage import Layer, noise, pack, zst

TOC_DIGEST = 'containerd.io/snapshot/stargz/toc.digest'
UNCOMPRESSED = 'io.containers.estargz.uncompressed-size'
PREFIX = 'io.github.containers.zstd-chunked.'
OLD_PREFIX = 'io.containers.zstd-chunked.'
LANDMARK = '.prefetch.landmark'
NO_LANDMARK = '.no.prefetch.landmark'
TYPES = {tarfile.REGTYPE: 'reg', tarfile.DIRTYPE: 'dir', tarfile.SYMTYPE: 'symlink', tarfile.LNKTYPE: 'hardlink',
         tarfile.CHRTYPE: 'char', tarfile.BLKTYPE: 'block', tarfile.FIFOTYPE: 'fifo'}


def sha(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def members(tar):
    """(TarInfo, bytes of its headers, payload, padding) of every entry; without the blocks at the end."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as t:
        for i in t:
            size = i.size if i.isreg() else 0
            assert not i.sparse
            end = i.offset_data + size
            yield i, tar[i.offset:i.offset_data], tar[i.offset_data:end], bytes(-size % 512)


def entry_of(i):
    """What a table of contents says of a tar's entry, contents left out."""
    e = {'name': i.name + ('/' if i.isdir() else ''), 'type': TYPES[i.type], 'mode': i.mode, 'uid': i.uid, 'gid': i.gid,
         'modtime': rfc3339(i)}
    if i.isreg():
        e['size'] = i.size
    if i.linkname:
        e['linkName'] = i.linkname
    if i.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        e.update(devMajor=i.devmajor, devMinor=i.devminor)
    prefix = 'SCHILY.xattr.'
    xattrs = {k[len(prefix):]: base64.b64encode(v.encode('utf-8', 'surrogateescape')).decode()
              for k, v in i.pax_headers.items() if k.startswith(prefix)}
    if xattrs:
        e['xattrs'] = xattrs
    return {k: v for k, v in e.items() if v not in (0, '')}


def rfc3339(i):
    """The time of an entry, to the nanosecond where its PAX header has one."""
    seconds, _, fraction = i.pax_headers.get('mtime', str(int(i.mtime))).partition('.')
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(int(seconds))) + ('.' + fraction if fraction else '') + 'Z'


def pieces(data, chunk):
    return [(at, data[at:at + chunk]) for at in range(0, len(data), chunk)]


def end_of(tar):
    """The blocks behind the last entry."""
    return tar[sum(len(h) + len(d) + len(p) for _, h, d, p in members(tar)):]


def trimmed(tar):
    """With two blocks of zeros at its end and no more: skopeo 1.9 loses others when it compresses to zstd:chunked."""
    return tar[:len(tar) - len(end_of(tar))] + bytes(1024)


class Parts:
    """A blob of compressed parts, each begun by cut(), and the tar that they hold."""

    def __init__(self, compress):
        self.compress = compress
        self.blob, self.tar, self.open = bytearray(), bytearray(), b''

    def add(self, data):
        self.open += data
        self.tar += data

    def cut(self):
        """End the part; where the next one begins."""
        if self.open:
            self.blob += self.compress(self.open)
            self.open = b''
        return len(self.blob)


def chunked(parts, tar, chunk, share, whole):
    """Write TAR into PARTS and give the entries of its table, in the manner of eStargz.

    Each chunk begins a part, unless the one before has fewer than SHARE bytes: then it lies inside at innerOffset.
    WHOLE: files of one chunk have no members of a chunk but chunkDigest.
    """
    entries, start, began = [], 0, False
    for i, header, data, padding in members(tar):
        entry = entry_of(i)
        parts.add(header)
        if data:
            entry['digest'] = sha(data)
        for at, piece in pieces(data, chunk):
            if not began or len(parts.open) >= share:
                start, began = parts.cut(), True
            one = entry if at == 0 else {'name': i.name, 'type': 'chunk', 'chunkOffset': at}
            one.update(offset=start, innerOffset=len(parts.open), chunkDigest=sha(piece))
            if not whole or len(data) > chunk:
                one['chunkSize'] = len(piece)
            if at:
                entries.append({k: v for k, v in one.items() if v != 0})
            parts.add(piece)
            if at == 0:
                entries.append(entry)
        if not data:
            entries.append(entry)
        parts.add(padding)
    for e in entries:
        if not e.get('innerOffset'):
            e.pop('innerOffset', None)
    return entries


def toc_of(entries):
    return json.dumps({'version': 1, 'entries': entries}, indent='\t').encode()


# ---- eStargz
def footer(at, size):
    """An empty gzip member that says where the table is: of 51 bytes, or the old one of 47."""
    text = b'%016xSTARGZ' % at
    extra = b'SG' + struct.pack('<H', len(text)) + text if size == 51 else text
    out = b'\x1f\x8b\x08\x04\0\0\0\0\0\xff' + struct.pack('<H', len(extra)) + extra + b'\x01\0\0\xff\xff' + bytes(8)
    assert len(out) == size
    return out


def estargz(tar, chunk=4 << 20, share=0, footer_size=51, whole=True, annotate=True, level=4):
    """(tar, codec, blob, annotations) of an eStargz layer; the table of contents becomes the tar's last entry."""
    parts = Parts(lambda data: gzip.compress(data, level, mtime=0))
    toc = toc_of(chunked(parts, tar, chunk, share, whole))
    at = parts.cut()
    own = Layer(tarfile.USTAR_FORMAT).add('stargz.index.json', data=toc, mode=0, mtime=0).bytes()
    parts.add(own[:512 + len(toc) + -len(toc) % 512] + bytes(1024))
    parts.cut()
    annotations = {TOC_DIGEST: sha(toc), UNCOMPRESSED: str(len(parts.tar))}
    return bytes(parts.tar), 'gzip', bytes(parts.blob + footer(at, footer_size)), annotations if annotate else {}


def with_landmark(first, rest, name=LANDMARK):
    """The tar of what is to be prefetched, the landmark, and the rest; FIRST and REST are tars."""
    mark = Layer().f(name, b'\x0f').bytes()
    return first[:len(first) - len(end_of(first))] + mark[:1024] + rest


# ---- zstd:chunked
def frame(data):
    """One zstd frame; small ones are stored, to spare a process each."""
    if len(data) > 1 << 12:
        return zst(data, '-1', '--no-check')
    header = b'\x28\xb5\x2f\xfd\x60' + struct.pack('<H', len(data) - 256) if len(data) >= 256 else \
        b'\x28\xb5\x2f\xfd\x20' + bytes([len(data)])
    return header + struct.pack('<I', len(data) << 3 | 1)[:3] + data


def skippable(data):
    return b'\x50\x2a\x4d\x18' + struct.pack('<I', len(data)) + data


def zchunked(tar, dialect='A', chunk=64 << 10, prefix=None, zeros=True, footer_size=64):
    """(tar, codec, blob, annotations) of a zstd:chunked layer: by containers/storage (A) or stargz-snapshotter (B)."""
    parts = Parts(frame)
    entries = frames_a(parts, tar, chunk, zeros) if dialect == 'A' else chunked(parts, tar, chunk, 0, True)
    parts.add(end_of(tar))
    end = parts.cut()
    toc = toc_of(entries) if dialect == 'B' else None
    split = frame(b'{"type":2}\n')
    if dialect == 'A':
        toc = json.dumps({'version': 1, 'entries': entries, 'tarSplitDigest': sha(split)}).encode()
    packed = zst(toc)
    position = end + 8, len(packed), len(toc), 1
    blob = bytes(parts.blob + skippable(packed))
    if dialect == 'A':
        at = len(blob) + 8
        blob += skippable(split)
        values = position + (at, len(split), 11)
        blob += skippable(struct.pack('<7Q', *values) + b'GNUlInUx' if footer_size == 64 else
                          struct.pack('<4Q', *position) + b'GnUlInUx')
    else:
        blob += skippable(struct.pack('<4Q', *position) + b'GnUlInUx')
    prefix = prefix or (PREFIX if dialect == 'A' else OLD_PREFIX)
    annotations = {prefix + 'manifest-checksum': sha(packed), prefix + 'manifest-position': '%d:%d:%d:%d' % position}
    if dialect == 'B':
        annotations.update({TOC_DIGEST: sha(toc), UNCOMPRESSED: str(len(parts.tar))})
    return bytes(parts.tar), 'zstd', blob, annotations


def frames_a(parts, tar, chunk, zeros):
    """The same for dialect A: a frame ends where a payload ends, chunks say what they are, no innerOffset."""
    entries = []
    for i, header, data, padding in members(tar):
        entry = entry_of(i)
        parts.add(header)
        entries.append(entry)
        cut = pieces(data, chunk)
        for at, piece in cut:
            one = entry if at == 0 else {'name': i.name, 'type': 'chunk'}
            one['offset'] = parts.cut()
            if len(cut) > 1:
                one.update(chunkSize=len(piece), chunkOffset=at, chunkDigest=sha(piece))
                if zeros and not piece.strip(b'\0'):
                    one['chunkType'] = 'zeros'
            parts.add(piece)
            if at:
                entries.append(one)
        if data:
            entry.update(digest=sha(data), endOffset=parts.cut())
        parts.add(padding)
    return entries


# ---- images
def plain(tar, codec='gzip'):
    return (*pack(tar, codec), {})


def image(layout, layers, labels=None, config=None):
    """The descriptor of an image of such layers."""
    described = layout.image([layer[:3] for layer in layers], labels=labels, config=config)
    with open(layout.path(described['digest'])) as f:
        manifest = json.load(f)
    for to, (_, _, _, annotations) in zip(manifest['layers'], layers):
        if annotations:
            to['annotations'] = annotations
    out = layout.blob(json.dumps(manifest).encode(), manifest['mediaType'])
    return dict(out, platform=described['platform'])


def text(n, seed):
    """N bytes that compress to half."""
    return noise((n + 1) // 2, seed).hex().encode()[:n]


def work_layer(name, files, big, seed=b'w', most=40000):
    """A tar below NAME/: FILES files of up to MOST bytes in directories of 50, and one big file of BIG bytes."""
    layer = Layer().d(name)
    for n in range(files):
        if n % 50 == 0:
            layer.d('%s/d%03d' % (name, n // 50))
        key = b'%s/%d' % (seed, n)
        size = int.from_bytes(hashlib.sha256(key).digest()[:4], 'big') % most
        data = text(size, key) if n % 3 else noise(size, key)
        layer.f('%s/d%03d/f%05d' % (name, n // 50, n), data, mtime=1600000000 + n)
    if big:
        layer.f(name + '/big', text(big // 2, seed) + noise(big - big // 2, seed))
    return layer.bytes()
