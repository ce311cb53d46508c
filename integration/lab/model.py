"""A small model of the image specification's layers: what the tree must be after each entry.

Random layers are made against it and written as tars; whatever has one meaning only is allowed, the rest raises
Ambiguous and is left out of the layer.  Independent of the program under test: plain dictionaries, no shortcuts.
"""
import os, random, stat, tarfile

import mkimage

HOPS = 40
SECOND = 10**9


class Ambiguous(Exception):
    """Readers may differ on this entry, or must refuse it: no layer holds it."""


class Inode:
    def __init__(self, kind, mode=0o755, uid=0, gid=0, mtime=0, xattrs=None, data=b'', extents=None, size=0, target=b''):
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.xattrs = dict(xattrs or {})
        self.data, self.extents, self.size, self.target = data, extents, size, target
        self.children = {}            # directories: name -> Inode; hard links: the same Inode twice
        self.implied = False          # no layer lists this directory

    def content(self):
        if self.extents is None:
            return self.data
        out = bytearray(self.size)
        at = 0
        for offset, size in self.extents:
            out[offset:offset + size] = self.data[at:at + size]
            at += size
        return bytes(out)


class Model:
    def __init__(self):
        self.root = Inode('dir')
        self.root.implied = True

    def walk(self, path, links=True):
        """The directory at PATH (a list of names), following links inside the root; Ambiguous when there is none."""
        todo, at, parents, hops = list(path), self.root, [], 0
        while todo:
            name = todo.pop(0)
            if name in (b'', b'.'):
                continue
            if name == b'..':
                at = parents.pop() if parents else self.root
                continue
            child = at.children.get(name)
            if child is None:
                raise Ambiguous('nothing there')
            if child.kind == 'symlink':
                hops += 1
                if not links or hops > HOPS:
                    raise Ambiguous('links')
                if child.target.startswith(b'/'):
                    at, parents = self.root, []
                todo = child.target.split(b'/') + todo
            elif child.kind == 'dir':
                parents.append(at)
                at = child
            else:
                raise Ambiguous('no directory')
        return at

    def way(self, path):
        """(the directory that exists, names to be made below it) for a new entry's parent."""
        for n in range(len(path), -1, -1):
            try:
                found = self.walk(path[:n])
            except Ambiguous as reason:
                if str(reason) == 'nothing there':
                    continue
                raise
            if n < len(path) and path[n] in found.children:
                raise Ambiguous('a dangling link on the way')
            return found, path[n:]
        raise Ambiguous('no way')

    def whiteout(self, path):
        parent = self.walk(path[:-1], links=False)
        parent.children.pop(path[-1], None)

    def opaque(self, path):
        self.walk(path, links=False).children.clear()

    def put(self, path, inode):
        """A new inode at PATH, or a directory's attributes on the one that is there."""
        if not path:
            target = self.root
        else:
            found, rest = self.way(path[:-1])
            old = found.children.get(path[-1]) if not rest else None
            target = old if old is not None and old.kind == inode.kind == 'dir' else None
        if target is not None:
            for k in ('mode', 'uid', 'gid', 'mtime', 'xattrs'):
                setattr(target, k, getattr(inode, k))
            target.implied = False
            return
        for name in rest:
            new = Inode('dir')
            new.implied = True
            found.children[name] = new
            found = new
        found.children[path[-1]] = inode

    def link(self, path, target):
        """A hard link.  What it is about to replace must not be on the way to its target."""
        source = self.walk(target[:-1]).children.get(target[-1])
        if source is None or source.kind == 'dir':
            raise Ambiguous('no target')
        found, rest = self.way(path[:-1])
        if not rest and found.children.get(path[-1]) is source:
            raise Ambiguous('a link to itself')
        if not rest and getattr(found.children.get(path[-1]), 'kind', '') == 'dir':
            raise Ambiguous('a link over a directory')
        self.put(path, source)

    def paths(self, kinds=None):
        """All (path, inode), directories before what they hold."""
        todo = [((), self.root)]
        while todo:
            path, inode = todo.pop()
            if path and (kinds is None or inode.kind in kinds):
                yield list(path), inode
            if inode.kind == 'dir':
                todo += [(path + (n,), c) for n, c in inode.children.items()]


NAMES = [b'a', b'b', b'c', b'dir', b'sub', b'lib', b'usr', b'x.y', b'..data', b'...', b' ', b'-rf', b'new\nline', b'tab\t',
         b'back\\slash', b'quote"\'', b'*?[x]', 'grüße'.encode(), 'e\u0301'.encode(), '😀'.encode(), b'\xe9\xff\x80', b'\x01\x1b[2J',
         b'wh.', b'x.wh.y', b'.wh', b'%s%n', b'n' * 250, b'm' * 251, b'k' * 100, b'k' * 101]
LONG = b'L' * 255          # too long for a whiteout


class Writer:
    """Random layers; the model follows."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.model = Model()
        self.names = self.r.sample(NAMES, 9) + [b'a', b'b', b'dir']

    def name(self):
        return LONG if self.r.random() < 0.01 else self.r.choice(self.names)

    def path(self):
        """One that exists (to be changed), below one that exists, or anywhere."""
        r = self.r
        known = [p for p, _ in self.model.paths()]
        kind = r.random()
        if known and kind < 0.3:
            return list(r.choice(known))
        if known and kind < 0.8:
            base = list(r.choice(known))[:6]
            return base + [self.name()]
        return [self.name() for _ in range(r.randint(1, 4))]

    def attributes(self, pax):
        r = self.r
        mtime = r.choice([0, 1, 1700000000, 4102444800, r.randrange(1 << 32)]) * SECOND
        if pax and r.random() < 0.5:
            mtime = r.choice([-315619200 * SECOND + 5, mtime + r.randrange(SECOND), mtime + 1])
        ids = [0, 0, 0, 1, 33, 65534, 1000000] + ([4294967294, 3000000000] if pax else [])
        return {'mode': r.choice([0o644, 0o755, 0o600, 0, 0o4755, 0o2755, 0o1777, 0o7777, r.randrange(0o10000)]),
                'uid': r.choice(ids), 'gid': r.choice(ids), 'mtime': mtime}

    def xattrs(self, pax, kind):
        r = self.r
        if not pax or kind not in ('file', 'dir') or r.random() < 0.7:
            return {}
        # three of the longest fit into the one block of 4096 bytes that ext4 has for them
        values = [b'v', b'', b'two\nlines', b'a=b', bytes([0, 255, 1]), 'grüße'.encode(), b'x' * 1200]
        out = {'user.' + r.choice(['a', 'b', 'mime_type', 'x.y.z']): r.choice(values) for _ in range(r.randint(1, 3))}
        if kind == 'file' and r.random() < 0.2:
            out['security.capability'] = bytes.fromhex('0100000200200000000000000000000000000000')
        return out

    def inode(self, pax):
        r = self.r
        kind = r.choice(['file'] * 5 + ['dir'] * 4 + ['symlink'] * 2 + ['fifo'])
        a = self.attributes(pax)
        inode = Inode(kind, xattrs=self.xattrs(pax, kind), **a)
        if kind == 'file':
            size = r.choice([0, 1, 511, 512, 513, 4096, 10000, r.randrange(200000)])
            inode.data = mkimage.noise(size, r.randbytes(8)) if r.random() < 0.5 else b'z' * size
            if pax and r.random() < 0.1:
                self.make_sparse(inode)
        if kind == 'symlink':
            inode.target = self.target()
        return inode

    def make_sparse(self, inode):
        r = self.r
        inode.extents, at = [], 0
        for _ in range(r.randint(0, 5)):
            at += r.choice([0, 4096, 1 << 20, r.randrange(1 << 21)])
            size = r.choice([1, 512, 4096, r.randrange(1, 9000)])
            inode.extents.append((at, size))
            at += size
        inode.size = at + r.choice([0, 1, 100000, 1 << 22])
        inode.data = mkimage.noise(sum(s for _, s in inode.extents), r.randbytes(8))

    def target(self):
        r = self.r
        known = [p for p, i in self.model.paths(('dir', 'symlink'))]
        if known and r.random() < 0.6:
            way = b'/'.join(r.choice(known))
            return r.choice([b'/', b'../../../../', b'./', b'', b'//']) + way
        return r.choice([b'a', b'../b', b'/', b'.', b'..', b'/no/such', b'dir//sub/', b'self', b't/' * 100, b'\xff\n'])

    # ---- one layer
    def layer(self, lower):
        """[(what, path, argument)] that the model took, markers anywhere among them."""
        r = self.r
        pax = r.random() < 0.75
        markers = self.markers() if lower else []
        entries = []
        for _ in range(r.choice([0, 1, 5, 20, 60])):
            path = self.path() if r.random() > 0.02 else []
            try:
                if path and r.random() < 0.15:
                    known = [p for p, i in self.model.paths(('file', 'symlink', 'fifo'))]
                    if not known:
                        continue
                    target = list(r.choice(known))
                    self.model.link(path, target)
                    entries.append(('link', path, target))
                else:
                    inode = self.inode(pax) if path else Inode('dir', **self.attributes(pax))
                    self.model.put(path, inode)
                    entries.append(('inode', path, inode))
            except Ambiguous:
                continue
        for marker in markers:
            entries.insert(r.randint(0, len(entries)), marker)
        return pax, entries

    def markers(self):
        r, out = self.r, []
        known = list(self.model.paths())
        for _ in range(r.choice([0, 0, 1, 3, 8])):
            path, inode = r.choice(known) if known else ([self.name()], None)
            try:
                if r.random() < 0.25 and (inode is None or inode.kind == 'dir'):
                    path = path if r.random() > 0.03 else []
                    self.model.opaque(path)
                    out.append(('opaque', path, None))
                elif len(path[-1]) <= 251:
                    self.model.whiteout(path)
                    out.append(('whiteout', path, None))
            except Ambiguous:
                continue
        return out

    # ---- as a tar
    def spelled(self, path, directory=False):
        r = self.r
        text = b'/'.join(path) or b'.'
        if r.random() < 0.1:
            text = text.replace(b'/', b'//', 1)
        text = r.choice([b'', b'', b'', b'./', b'/'] if path else [b'']) + text
        return os.fsdecode(text + (b'/' if directory and r.random() < 0.7 else b''))

    def tar(self, pax, entries):
        layer = mkimage.Layer(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)
        for what, path, argument in entries:
            if what == 'whiteout':
                layer.f(self.spelled(path[:-1] + [b'.wh.' + path[-1]]), mode=0)
            elif what == 'opaque':
                layer.f(self.spelled(path + [b'.wh..wh..opq']), mode=0)
            elif what == 'link':
                layer.h(self.spelled(path), self.spelled(argument))
            else:
                self.add(layer, pax, path, argument)
        data = layer.bytes()
        end = self.r.random()
        return data if end < 0.8 else data + bytes(512 * self.r.randint(1, 30))

    def add(self, layer, pax, path, inode):
        extra = {}
        seconds, ns = divmod(inode.mtime, SECOND)
        if pax and (ns or seconds < 0):
            sign = '-' if inode.mtime < 0 else ''
            extra['mtime'] = '%s%d.%09d' % (sign, *divmod(abs(inode.mtime), SECOND))
        kind = {'file': tarfile.REGTYPE, 'dir': tarfile.DIRTYPE, 'symlink': tarfile.SYMTYPE, 'fifo': tarfile.FIFOTYPE}[inode.kind]
        name, data = self.spelled(path, inode.kind == 'dir'), inode.data
        if inode.extents is not None:
            extra.update({'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': name,
                          'GNU.sparse.realsize': str(inode.size)})
            table = b'%d\n' % len(inode.extents) + b''.join(b'%d\n%d\n' % e for e in inode.extents)
            name, data = 'GNUSparseFile.0/x', table + bytes(-len(table) % 512) + data
        layer.add(name, kind, data=data, mode=inode.mode, uid=inode.uid, gid=inode.gid, mtime=max(seconds, 0),
                  link=os.fsdecode(inode.target), xattr=inode.xattrs, pax=extra)


# ---- comparing
def differences(model, root, rootless=None, holes=True):
    """What is wrong with the tree at ROOT; ROOTLESS: the passwd entry of an ordinary user who made it.
    HOLES: its file system keeps holes of sparse files, and says so."""
    bad, inodes, root = [], {}, os.fsencode(root)
    todo = [(b'', model.root)]
    while todo:
        path, want = todo.pop()
        full = os.path.join(root, path) if path else root
        try:
            s = os.lstat(full)
        except OSError as e:
            bad.append('%r: %s' % (path, e.strerror))
            continue
        bad += ['%r: %s' % (path, d) for d in wrong(want, full, s, rootless, holes)]
        if want.kind == 'dir':
            for name in set(os.listdir(full)) ^ set(want.children):
                bad.append('%r: %s' % (os.path.join(path, name), 'missing' if name in want.children else 'should not be'))
            todo += [(os.path.join(path, n), c) for n, c in want.children.items() if os.path.lexists(os.path.join(full, n))]
        else:
            inodes.setdefault(id(want), []).append((path, s))
    for names in inodes.values():
        if len({s.st_ino for _, s in names}) > 1 or any(s.st_nlink != len(names) for _, s in names):
            bad.append('links: %r' % [(p, s.st_ino, s.st_nlink) for p, s in names])
    return bad


def wrong(want, full, s, rootless, holes):
    kinds = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'symlink', stat.S_IFIFO: 'fifo'}
    kind = kinds.get(stat.S_IFMT(s.st_mode), '?')
    if kind != want.kind:
        yield 'is a %s, not a %s' % (kind, want.kind)
        return
    mask = 0o1777 if rootless else 0o7777          # setuid and setgid of other owners cannot be kept
    if kind != 'symlink' and (s.st_mode ^ want.mode) & mask:
        yield 'mode %o, not %o' % (s.st_mode & 0o7777, want.mode)
    owner = (rootless.pw_uid, rootless.pw_gid) if rootless else (want.uid, want.gid)
    if (s.st_uid, s.st_gid) != owner:
        yield 'owner %d:%d, not %d:%d' % (s.st_uid, s.st_gid, *owner)
    if s.st_mtime_ns != want.mtime:
        yield 'mtime %d, not %d' % (s.st_mtime_ns, want.mtime)
    if kind == 'symlink' and os.readlink(full) != want.target:
        yield 'target %r, not %r' % (os.readlink(full), want.target)
    if rootless and not os.access(full, os.R_OK):
        return
    if kind in ('file', 'dir'):
        got = {n: os.getxattr(full, n) for n in os.listxattr(full)}
        xattrs = {k: v for k, v in want.xattrs.items() if not rootless or k.startswith('user.')}
        if got != xattrs:
            yield 'xattrs %r, not %r' % (got, xattrs)
    if kind == 'file':
        with open(full, 'rb') as f:
            content = f.read()
        if content != want.content():
            yield 'content differs (%d bytes, not %d)' % (len(content), len(want.content()))
        # a block may hold the indirect blocks' numbers, or the attributes
        most = 8192 + sum(size // 4096 * 4096 + 8192 for _, size in want.extents or ())
        if holes and want.extents is not None and s.st_blocks * 512 > most:
            yield 'holes were filled: %d blocks' % s.st_blocks
