"""What every command says of an image, against the real tool on the tree that an unpack makes of it.

Each function gives the differences, as text for people: none when they agree.  LOOK is a looklib.Look, TREE a path.
"""
import base64, datetime, json, os, re, stat, subprocess, tempfile

import looklib
import mountlib
from looklib import json_name, long_entries, real, shown

TYPES = {stat.S_IFREG: 'file', stat.S_IFDIR: 'directory', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'char', stat.S_IFBLK: 'block',
         stat.S_IFIFO: 'fifo'}
UTF8 = {'LC_ALL': 'C.UTF-8'}


def unlike(what, ours, theirs, most=5):
    """What one of two collections has and the other has not, once each."""
    out = []
    for sign, a, b in (('rootlet', ours, theirs), ('the real one', theirs, ours)):
        b = set(b)
        more = [x for x in a if x not in b]
        out += ['%s: only %s has %r' % (what, sign, x) for x in more[:most]]
        if len(more) > most:
            out.append('%s: and %d more' % (what, len(more) - most))
    if not out and list(ours) != list(theirs):
        first = next((x for x in zip(ours, theirs) if x[0] != x[1]), (len(ours), len(theirs)))
        out.append('%s: another order, or another number of the same: %r' % (what, first))
    return out


def names(tree, *tests):
    """What find(1) finds, as paths from '/' on, sorted."""
    found = real('find', '.', *tests, '-print0', cwd=tree, locale='C.UTF-8').split(b'\0')[:-1]
    return sorted(p[1:] or b'/' for p in found)


# ---- ls
def ls(look, image, tree):
    theirs = long_entries(real('ls', '-lnRa', '--zero', '--time-style=long-iso', '.', cwd=tree))
    # what is above the root is the root itself: the real one shows what is above the tree
    theirs = [(b'/' + d[2:], e) for d, all in theirs for e in [(b'directory',), *all] if e[-1] != b'..']
    ours = [(d, e) for d, all in long_entries(look.ask('ls', '-lRa', '-0', image)) for e in [(b'directory',), *all] if e[-1] != b'..']
    return unlike('ls -lRa -0', ours, theirs) + ls_as_people_see_it(look, image, theirs)


def ls_as_people_see_it(look, image, theirs):
    """The same in lines, where names are escaped; columns have any width."""
    lines = [b' '.join([*e[:6], shown(e[6])]) if len(e) > 1 else shown(d) + b':' for d, e in theirs if not e[-1].startswith(b'.')]
    ours = []
    for line in filter(None, look.ask('ls', '-lR', image, env=UTF8).split(b'\n')):
        entry = looklib.ENTRY.fullmatch(line)
        if entry:
            fields = list(entry.groups())
            fields[4] = b'-' if fields[0].startswith(b'd') else fields[4].replace(b' ', b'')
            line = b' '.join(fields)
        if not re.fullmatch(rb'total \d+', line):
            ours.append(line)
    hidden = {shown(d) + b':' for d, _ in theirs if b'/.' in d}
    inside, seen = False, []
    for line in lines:              # without what lies in hidden directories
        inside = line in hidden if line.startswith(b'/') and line.endswith(b':') else inside
        if not inside:
            seen.append(line)
    return unlike('ls -lR', ours, seen)


def ls_sorted(look, image, tree):
    """Directories without others in them, for those have sizes of their own only in the real one."""
    found = []
    above = {os.path.dirname(p) for p in names(tree, '-mindepth', '1', '-type', 'd')}
    for path in every([p for p in names(tree, '-type', 'd', '!', '-empty') if p not in above], 3):
        for order, flag in (('size', '-S'), ('time', '-t')):
            ours = look.ask('ls', '-a0', '--sort', order, image, path).split(b'\0')
            theirs = real('ls', '-a', '--zero', flag, b'.' + path, cwd=tree).split(b'\0')
            dots = b'.', b'..'
            found += unlike('ls --sort=%s %r' % (order, path), [n for n in ours if n not in dots], [n for n in theirs if n not in dots])
    return found


# ---- entries in JSON
def wrong_entry(entry, path):
    """The members of ENTRY that are not what the file PATH is."""
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    seconds, _, fraction = entry['mtime'].rstrip('Z').partition('.')
    date = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=s.st_mtime_ns // 10**9)
    ours = [entry['type'], int(entry['mode'], 8), entry['uid'], entry['gid'], entry['nlink'], entry['size'], seconds, int(fraction or 0)]
    theirs = [TYPES[kind], stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid, s.st_nlink, 0 if kind == stat.S_IFDIR else s.st_size,
              date.isoformat(), s.st_mtime_ns % 10**9]
    if kind == stat.S_IFLNK:
        ours.append(json_name(entry, 'target'))
        theirs.append(os.readlink(path))
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        ours += [entry['major'], entry['minor']]
        theirs += [os.major(s.st_rdev), os.minor(s.st_rdev)]
    return [] if ours == theirs else ['%r: %r, not %r' % (path, ours, theirs)]


def ls_json(look, image, tree):
    entries = [json.loads(line) for line in look.ask('ls', '-Ra', '--json', image).splitlines()]
    found = unlike('ls --json', sorted(map(json_name, entries)), names(tree, '-mindepth', '1'))
    return found or [bad for e in entries for bad in wrong_entry(e, os.fsencode(tree) + json_name(e))]


def stat_json(look, image, tree, most=120):
    paths = every(names(tree), most)
    entries = [json.loads(line) for line in look.ask('stat', '--json', image, '--', *paths).splitlines()]
    found = unlike('stat', list(map(json_name, entries)), paths)
    for entry, path in zip(entries, paths):
        path = os.fsencode(tree) + path
        found += wrong_entry(entry, path)
        ours = {x['name']: base64.b64decode(x['value_base64']) for x in entry['xattrs']}
        theirs = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
        if ours != theirs:
            found.append('stat: %r has the attributes %r, not %r' % (path, ours, theirs))
        if not entry['versions'] or entry['versions'][-1]['removed']:
            found.append('stat: %r has no version that stays' % path)
    return found


def every(items, most):
    """At most about so many of them, from everywhere."""
    return items[::max(1, len(items) // most)]


# ---- find
EXPRESSIONS = [
    [], ['-name', '*a*'], ['-iname', 'D*'], ['-name', '?'], ['-name', '*[0-9]'], ['-type', 'd'], ['-type', 'f,l'], ['-type', 'p'],
    ['-type', 'f', '-size', '+1k'], ['-type', 'f', '-size', '-2'], ['-type', 'f', '-size', '1'], ['-type', 'f', '-size', '512c'],
    ['-type', 'f', '-size', '+100k', '-size', '-1M'], ['-perm', '644'], ['-perm', '-4000'], ['-perm', '/022'], ['-perm', '-u+s,g+s'],
    ['-perm', 'u=rw,go=r'], ['-perm', '/a+w'], ['-perm', '-1000'], ['-newermt', '@1700000000'], ['-uid', '0'], ['-gid', '+0'],
    ['-maxdepth', '1'], ['-mindepth', '2', '-maxdepth', '2'], ['-type', 'd', '-empty'], ['-type', 'f', '-empty'],
    ['!', '-name', '*a*', '-type', 'f'], ['(', '-name', 'a', '-o', '-name', 'b', ')', '-type', 'd'],
    ['-not', '(', '-type', 'f', '-o', '-type', 'd', ')'], ['-type', 'd', '-o', '-type', 'f', '-a', '-size', '0'],
]


def find(look, image, tree, expressions=EXPRESSIONS):
    found = []
    for expression in expressions:
        group = ['(', *expression, ')'] if expression else []
        ours = sorted(look.ask('find', image, *expression, '-print0', env=UTF8).split(b'\0')[:-1])
        found += unlike('find %s' % ' '.join(expression), ours, names(tree, *group))
    return found


def find_newer(look, image, tree):
    found = []
    for path in every(names(tree, '-type', 'f'), 2):
        ours = sorted(look.ask('find', image, '-newer', path, '-print0', env=UTF8).split(b'\0')[:-1])
        found += unlike('find -newer %r' % path, ours, names(tree, '-newer', b'.' + path))
    return found


# ---- du and tree
def sizes(tree):
    """{directory: bytes of files and links below, hard links once}; and paths of directories, as bytes."""
    top = os.fsencode(tree)
    out, seen = {}, set()

    def add(path):
        total = 0
        for name in sorted(os.listdir(path)):
            s = os.lstat(path + b'/' + name)
            if stat.S_ISDIR(s.st_mode):
                total += add(path + b'/' + name)
            elif (stat.S_ISREG(s.st_mode) or stat.S_ISLNK(s.st_mode)) and s.st_ino not in seen:
                seen.add(s.st_ino)
                total += s.st_size
        out[path[len(top):] or b'/'] = total
        return total
    add(top)
    return out


def du(look, image, tree):
    wanted = sizes(tree)
    lines = look.ask('du', '-b', '-0', image).split(b'\0')[:-1]
    ours = {path: int(size) for size, _, path in (line.partition(b'\t') for line in lines)}
    return unlike('du -b', sorted(ours.items()), sorted(wanted.items())) + du_of_each(ours, tree)


def du_of_each(ours, tree):
    """The real one of every directory in which no name is a link to somewhere else; du counts such ones where it comes by first.

    Before coreutils 9.2 du counts what the directories themselves have.
    """
    top = os.fsencode(tree)
    directories = {path: os.lstat(top + path).st_size for path in names(tree, '-type', 'd')}
    own = dict.fromkeys(directories, 0)
    for path, size in directories.items():
        for above in parents(path):
            own[above] += size
    linked = {above for path in names(tree, '!', '-type', 'd', '-links', '+1') for above in parents(os.path.dirname(path))} - {b'/'}
    there = real('du', '--apparent-size', '-B1', '-0', '.', cwd=tree).split(b'\0')[:-1]
    theirs = {path[1:] or b'/': int(size) for size, _, path in (line.partition(b'\t') for line in there)}
    odd = {p for p in theirs if p not in linked and ours.get(p) not in (theirs[p], theirs[p] - own[p])}
    return ['du: %r has %r, not %d' % (p, ours.get(p), theirs[p]) for p in sorted(odd)] + unlike('du', sorted(ours), sorted(theirs))


def parents(path):
    """PATH and every directory above, '/' too."""
    while path != b'/':
        yield path
        path = os.path.dirname(path)
    yield path


def tree(look, image, tree):
    entries = [json.loads(line) for line in look.ask('tree', '--sizes', '--json', image).splitlines()]
    wanted = names(tree)
    found = unlike('tree --json', sorted(map(json_name, entries)), wanted)
    ours = {json_name(e): e['total_bytes'] for e in entries if e['type'] == 'directory'}
    found += unlike('tree --sizes', sorted(ours.items()), sorted(sizes(tree).items()))
    lines = look.ask('tree', '-0', image, env={'LC_ALL': 'C'}).split(b'\0')[:-1]
    if len(lines) != len(wanted):
        found.append('tree -0: %d lines, not %d' % (len(lines), len(wanted)))
    for line, e in zip(lines, entries):
        name = json_name(e).rsplit(b'/', 1)[1] or b'/'
        if e['type'] == 'symlink':
            name += b' -> ' + json_name(e, 'target')
        if not line.endswith(name):
            found.append('tree -0: %r for %r' % (line, name))
    return found


# ---- cat, grep
def cat(look, image, tree, largest=300000, most=150):
    top = os.fsencode(tree)
    paths = every([p for p in names(tree, '-type', 'f') if os.lstat(top + p).st_size < largest], most)
    if not paths:
        return []
    pieces = []
    for p in paths:
        with open(top + p, 'rb') as f:
            pieces.append(f.read())
    return [] if look.ask('cat', image, '--', *paths) == b''.join(pieces) else ['cat: other bytes in one of %r' % paths]


PATTERNS = [['old'], ['-i', 'FROM LAYER'], ['-n', 'r'], ['-c', 'o'], ['-l', 'layer 1'], ['-E', '^(root|from)'], ['-F', 'x.*'], ['-F', '-i', 'ROOT'],
            ['-n', '-E', '[0-9]{2}$'], ['-l', '-i', 'a'], [r'\(o\)\1'], ['-c', ''], ['no such thing at all'], ['a\nroot']]


def lines_of(out):
    """(file, text) of each line, or the names of -l."""
    return sorted(out.split(b'\n')) if b'\n' in out else sorted(out.split(b'\0'))


def grep(look, image, tree, patterns=PATTERNS, where=('',)):
    """Each pattern in the next of the places."""
    found = []
    for n, options in enumerate(patterns):
        place = where[n % len(where)]
        theirs = subprocess.run(['grep', '-r', '-Z', *options, './' + place if place else '.'], cwd=tree, env=looklib.C_LOCALE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        done = look.run('grep', '--quiet', '-r', '-0', *options, image, *(['/' + place] if place else []), env={'LC_ALL': 'C'})
        # names with a newline in them make some lines more, in both
        lines = re.sub(rb'(^|[\n\0]|Binary file )\./', rb'\1/', theirs.stdout)
        found += unlike('grep -r %s' % ' '.join(options), lines_of(done.out), lines_of(lines))
        if done.rc != theirs.returncode or done.err:
            found.append('grep -r %s: ends with %d, not %d; %r' % (' '.join(options), done.rc, theirs.returncode, done))
    return found


# ---- diff
def walk(root):
    """path (from '/') -> lstat, below and at ROOT."""
    found = {b'/': os.lstat(root)}
    for at, dirs, files in os.walk(os.fsencode(root)):
        for name in dirs + files:
            path = os.path.join(at, name)
            found[path[len(os.fsencode(root)):]] = os.lstat(path)
    return found


def xattrs(path):
    return {k: os.getxattr(path, k, follow_symlinks=False) for k in os.listxattr(path, follow_symlinks=False)}


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def change(a, b, x, y):
    """The kinds of change from path A (lstat X) to path B (lstat Y)."""
    kind = stat.S_IFMT(x.st_mode)
    if kind != stat.S_IFMT(y.st_mode):
        return {'type'}
    found = {'owner'} if (x.st_uid, x.st_gid) != (y.st_uid, y.st_gid) else set()
    if kind != stat.S_IFLNK and x.st_mode != y.st_mode:
        found.add('mode')
    if kind == stat.S_IFLNK and os.readlink(a) != os.readlink(b) or kind in (stat.S_IFCHR, stat.S_IFBLK) and x.st_rdev != y.st_rdev:
        found.add('link')
    if kind == stat.S_IFREG and (x.st_size != y.st_size or content(a) != content(b)):
        found.add('content')
    if xattrs(a) != xattrs(b):
        found.add('xattr')
    return found


def changes(one, two):
    """path -> ('added'|'removed'|'changed', kinds), of two unpacked trees."""
    a, b, found = walk(one), walk(two), {}
    for path in a.keys() | b.keys():
        if path not in a or path not in b:
            found[path] = ('added' if path in b else 'removed', set())
            continue
        kinds = change(os.fsencode(one) + path, os.fsencode(two) + path, a[path], b[path])
        if kinds:
            found[path] = ('changed', kinds)
    return found


def told(look, *args):
    """The same as rootlet tells it, in its order."""
    done = look.run('diff', '--quiet', '--json', *args)
    assert done.rc in (0, 1) and done.err == b'', done
    lines = [json.loads(x) for x in done.out.splitlines()]
    assert bool(lines) == (done.rc == 1)
    return {json_name(x): (x['change'], set(x['what'])) for x in lines}, lines


def diff(look, images, trees):
    """Two images: every kind of change; and what diff -r calls different or only in one of the trees."""
    ours = told(look, *images)[0]
    wanted = changes(*trees)
    found = ['diff: %r is %r, not %r' % (p, ours.get(p), wanted.get(p)) for p in sorted(ours.keys() | wanted.keys())
             if ours.get(p) != wanted.get(p)]
    differ, only = diff_r(*trees)
    found += unlike('diff -r', sorted(p for p, (_, kinds) in ours.items() if kinds & {'content', 'link', 'type'}), differ)
    # what is in a directory that is only in one, or no directory in the other, diff -r does not tell
    silent = {p for p, (kind, kinds) in ours.items() if kind != 'changed' or 'type' in kinds}
    tops = sorted(p for p, (kind, _) in ours.items() if kind != 'changed' and os.path.dirname(p) not in silent)
    return found + unlike('diff -r, only in one', tops, only)


def diff_r(one, two):
    """(paths that differ, paths only in one), sorted: of diff -rq."""
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(os.path.abspath(one), directory + '/a')
        os.symlink(os.path.abspath(two), directory + '/b')
        out = real('diff', '-rq', '--no-dereference', 'a/', 'b/', cwd=directory, rc=(0, 1))
    differ, only = set(), set()
    for line in re.split(rb'\n(?=Only in [ab]/|Files a/|Symbolic links a/|File a/|\Z)', out):
        alone = re.fullmatch(rb'Only in [ab](/.*?)/?: (.*)', line, re.S)
        pair = re.fullmatch(rb'Files a/(.*) and b/\1 differ|Symbolic links a/(.*) and b/\2 differ|'
                            rb'File a/(.*) is an? (.*) while file b/\3 is an? (.*)', line, re.S)
        if alone:
            only.add((alone[1] if alone[1] != b'/' else b'') + b'/' + alone[2])
        elif pair and (pair[4] is None or pair[4] != pair[5]):      # it calls no special file equal to another
            differ.add(b'/' + (pair[1] or pair[2] or pair[3]))
        else:
            assert pair or not line, line
    return sorted(differ), sorted(only)


# ---- tar
def cp(look, image, tree, place, path=''):
    """What tar makes of a copy of PATH, and of that part of the tree."""
    look.ask('cp', '--devices', '%s:/%s' % (image, path), place / 'copy')
    ours, theirs = (mountlib.tar_digest(p, timeout=3600) for p in (place / 'copy', os.path.join(tree, path)))
    left = sorted(os.listdir(place))
    subprocess.run(['rm', '-rf', '--one-file-system', place / 'copy'], check=True)
    return unlike('cp', left, ['copy']) + ([] if ours == theirs else ['cp: tar of the copy is another'])
