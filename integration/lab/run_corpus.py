#!/usr/bin/env python3
"""Run one command over the hostile corpus (make_corpus.py) and judge what it did.  Standard library only.

usage: run_corpus.py CORPUS WORK --command 'rootlet unpack oci:{layout}:{ref} {target}' [--only GLOB] [--user NAME]

In --command: {layout} {ref} {target} {work} {name}.  WORK must be on the same file system as CORPUS (or hard link
escapes cannot show), best a small loop mount so that bombs hit ENOSPC there.

Outcome per case: rejected, accepted, hang (timeout), crash (signal).
Findings: ESCAPE (canary or host directory changed), LEAK (canary content in the root), CONTENT (must_contain
wrong), LEFT (a rejected image left something behind), TERM (raw control bytes in output), SLOW / MEMORY / DISK
(limits of the case exceeded).
Verdict: pass | lax (accepted, only reject is safe) | strict (rejected, should work) | differs | limit | FAIL.
"""
import argparse, base64, fnmatch, json, os, pwd, stat, subprocess

import runner


def snap(d):
    """Everything below d: names, types, attributes and contents."""
    out = {}
    for root, dirs, files in os.walk(d):
        for n in [''] + dirs + files:
            p = os.path.join(root, n) if n else root
            try:
                s = os.lstat(p)
            except OSError:
                continue
            v = [s.st_mode, s.st_uid, s.st_gid, s.st_nlink if not stat.S_ISDIR(s.st_mode) else 0]
            if stat.S_ISREG(s.st_mode):
                v.append(open(p, 'rb').read(100000))
            if stat.S_ISLNK(s.st_mode):
                v.append(os.readlink(p))
            try:
                v.append(sorted(os.listxattr(p, follow_symlinks=False)))
            except OSError:
                pass
            out[os.path.relpath(p, d)] = v
    return out


def rmtree(d):
    subprocess.run(['rm', '-rf', '--', d], stderr=subprocess.DEVNULL)


def rootless(want):
    """What an ordinary user can make of it: owners become the user's, capabilities need root."""
    want = {k: v for k, v in want.items() if k not in ('uid', 'gid')}
    if 'xattr' in want:
        want['xattr'] = {k: v for k, v in want['xattr'].items() if k.startswith('user.')}
    return want


# ---- judging
def openat_path(root, rel):
    """lstat of root/rel, component by component, never following a link. (stat, dirfd, name)"""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    parts = [p for p in rel.split('/') if p not in ('', '.')]
    if not parts:
        return os.fstat(fd), fd, '.'
    for p in parts[:-1]:
        n = os.open(p, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        os.close(fd)
        fd = n
    return os.stat(parts[-1], dir_fd=fd, follow_symlinks=False), fd, parts[-1]


def check_path(root, rel, want):
    try:
        s, fd, n = openat_path(root, rel)
    except OSError as e:
        return ['%s: %s' % (rel[:60], e.strerror)]
    bad = []
    try:
        kind = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'char', stat.S_IFBLK: 'block',
                stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket'}.get(stat.S_IFMT(s.st_mode))
        if kind != want.get('type', kind):
            return ['%s: is %s' % (rel[:60], kind)]
        if 'mode' in want and (s.st_mode & 0o7777) != int(want['mode'], 8):
            bad.append('%s: mode %04o' % (rel[:60], s.st_mode & 0o7777))
        for k, v in (('uid', s.st_uid), ('gid', s.st_gid), ('size', s.st_size), ('nlink', s.st_nlink), ('mtime', int(s.st_mtime))):
            if k in want and want[k] != v:
                bad.append('%s: %s %s' % (rel[:60], k, v))
        if 'target' in want and os.readlink(n, dir_fd=fd) != want['target']:
            bad.append('%s: target %s' % (rel[:60], os.readlink(n, dir_fd=fd)[:60]))
        if 'content' in want and kind == 'file':
            f = os.open(n, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
            d = b''
            while len(d) < 1 << 20:
                k = os.read(f, 65536)
                if not k:
                    break
                d += k
            os.close(f)
            if d != want['content'].encode():
                bad.append('%s: content %r' % (rel[:60], d[:24]))
        if 'same_inode_as' in want:
            s2, f2, _ = openat_path(root, want['same_inode_as'])
            os.close(f2)
            if s2.st_ino != s.st_ino:
                bad.append('%s: not one inode' % rel[:60])
        for k, v in want.get('xattr', {}).items():
            try:
                got = base64.b64encode(os.getxattr('/proc/self/fd/%d/%s' % (fd, n), k, follow_symlinks=False)).decode()
            except OSError as e:
                got = e.strerror
            if got != v:
                bad.append('%s: xattr %s %s' % (rel[:60], k, got[:40]))
    finally:
        os.close(fd)
    return bad


def judge(c, r, root, before, after, hbefore, x):
    f = []
    outcome = 'hang' if r.hang else 'rejected' if r.rc else 'accepted'
    txt = r.out + r.err
    if r.crashed or r.rc < 0 and not r.hang:
        outcome = 'crash'
    if before != after:
        d = [k for k in set(before) | set(after) if before.get(k) != after.get(k)]
        f.append('ESCAPE canary: ' + ', '.join(sorted(d)[:4]))
    for p in c.get('must_not_exist_outside', []):
        if os.path.lexists(p) and not any('ESCAPE' in z for z in f):
            f.append('ESCAPE ' + os.path.basename(p))
    new = sorted(set(os.listdir(x.host)) - hbefore - {'rootfs'}) if os.path.isdir(x.host) else ['host directory gone']
    if new:
        f.append('ESCAPE host: ' + ', '.join(new)[:80])
    if outcome == 'rejected' and os.path.lexists(root):
        f.append('LEFT ' + ', '.join(sorted(os.listdir(root)))[:80])
    if outcome == 'accepted' and os.path.isdir(root) and not os.path.islink(root):
        for k in ('must_contain', 'must_contain_if_ok'):
            bad = []
            for p, w in c.get(k, {}).items():
                bad += check_path(root, p, rootless(w) if x.user else w)
            if bad:
                f.append('CONTENT ' + '; '.join(bad[:3]))
        for p in c.get('must_not_contain', []):
            try:
                s, fd, _ = openat_path(root, p)
                os.close(fd)
                f.append('CONTENT has ' + p)
            except OSError:
                pass
        for k, neg in (('prefer_contain', False), ('prefer_not_contain', True)):
            for p in c.get(k, {}):
                try:
                    s, fd, _ = openat_path(root, p)
                    os.close(fd)
                    there = True
                except OSError:
                    there = False
                if there == neg:
                    f.append('note: %s %s' % (p, 'present' if there else 'absent'))
        for p in c.get('must_not_be_uid0', []):
            try:
                s, fd, _ = openat_path(root, p)
                os.close(fd)
                if s.st_uid == 0 or s.st_gid == 0:
                    f.append('CONTENT %s owned by %d:%d' % (p, s.st_uid, s.st_gid))
            except OSError:
                pass
        secret = os.lstat(os.path.join(x.canary, 'secret')) if os.path.exists(os.path.join(x.canary, 'secret')) else None
        if c.get('must_not_leak') and secret:
            for e in os.scandir(root):
                if e.is_file(follow_symlinks=False):
                    s = e.stat(follow_symlinks=False)
                    if s.st_ino == secret.st_ino and s.st_dev == secret.st_dev or (
                            s.st_size < 1000 and b'CANARY-SECRET' in open(e.path, 'rb').read()):
                        f.append('LEAK ' + e.name)
        if c.get('must_not_have_xattr'):
            for e in os.scandir(root):
                try:
                    z = [k for k in os.listxattr(e.path, follow_symlinks=False) if c['must_not_have_xattr'] in k]
                except OSError:
                    z = []
                if z:
                    f.append('CONTENT %s has %s' % (e.name, z[0]))
    elif outcome == 'accepted':
        f.append('CONTENT no root directory')
    if any(ch in txt for ch in (b'\x1b[2J', b'\x1b]0;', b'\x1b[31m')):
        f.append('TERM raw escape in output')
    lim = c.get('limits', {})
    if 'seconds' in lim and r.seconds > lim['seconds'] and not r.hang:
        f.append('SLOW %.0f s' % r.seconds)
    if 'rss_mib' in lim and r.rss_mib > lim['rss_mib']:
        f.append('MEMORY %d MiB' % r.rss_mib)
    if 'disk_mib' in lim and os.path.isdir(x.host):
        du = int(subprocess.run(['du', '-sm', x.work], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.split()[0] or 0)
        if du > lim['disk_mib'] + 200:
            f.append('DISK %d MiB' % du)
    if outcome in ('hang', 'crash') or any(z.startswith(('ESCAPE', 'LEAK', 'LEFT')) for z in f):
        v = 'FAIL'
    elif outcome == 'rejected':
        v = 'pass' if 'reject' in c['accept'] else 'strict'
    else:
        v = 'pass' if ('contain' in c['accept'] or 'ok' in c['accept']) else 'lax'
        if any(z.startswith('CONTENT') for z in f):
            v = 'differs'
    if v == 'pass' and any(z.startswith(('SLOW', 'MEMORY', 'DISK', 'TERM')) for z in f):
        v = 'limit'
    return outcome, v, f


class Ctx:
    pass


def errline(out):
    t = [z for z in out.decode('utf-8', 'replace').strip().split('\n') if z.strip()] or ['']
    return ''.join(ch if ch.isprintable() else '?' for ch in t[-1])[:260]


def run_case(case_dir, work, command, timeout=60, user=None, memory=True):
    """Run COMMAND on one case and judge it.  USER: a passwd entry, who then must own the case."""
    with open(os.path.join(case_dir, 'case.json')) as f:
        c = json.load(f)
    if not memory:
        c.get('limits', {}).pop('rss_mib', None)
    x = Ctx()
    x.user, x.layout, x.canary = user, os.path.join(case_dir, 'layout'), os.path.join(case_dir, 'canary')
    x.work = os.path.join(os.path.abspath(work), 'case')
    x.host = os.path.join(x.work, 'host')
    keep = os.path.join(os.path.abspath(work), 'canary.orig')
    for d in (keep, x.work):
        rmtree(d)
    subprocess.run(['cp', '-a', x.canary, keep], check=True)
    os.makedirs(x.host)
    if user:
        for d in (x.work, x.host):
            os.chown(d, user.pw_uid, user.pw_gid)
    before, hb = snap(x.canary), set(os.listdir(x.host))
    root = os.path.join(x.host, 'rootfs')
    argv = [w.format(layout=x.layout, ref=c['ref'], target=root, work=x.work, name=c['name']) for w in command.split()]
    try:
        run = runner.run_measured if 'rss_mib' in c.get('limits', {}) else runner.run
        r = run(argv, timeout, user=user)
        outcome, verdict, findings = judge(c, r, root, before, snap(x.canary), hb, x)
    finally:
        rmtree(x.work)
        if snap(x.canary) != before:
            rmtree(x.canary)
            subprocess.run(['cp', '-a', keep, x.canary], check=True)
        rmtree(keep)
    return {'case': c['name'], 'level': c['level'], 'expect': c['expect'], 'outcome': outcome, 'verdict': verdict,
            'findings': findings, 'rc': r.rc, 'seconds': round(r.seconds, 2), 'rss_mib': r.rss_mib,
            'error': errline(r.err) if outcome != 'accepted' else ''}


def main():
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument('corpus')
    ap.add_argument('work')
    ap.add_argument('--command', required=True)
    ap.add_argument('--only', default='*')
    ap.add_argument('--user')
    ap.add_argument('--timeout', type=float, default=60)
    a = ap.parse_args()
    os.makedirs(a.work, exist_ok=True)
    user = pwd.getpwnam(a.user) if a.user else None
    with open(os.path.join(a.corpus, 'cases.json')) as f:
        names = [n for n in json.load(f) if any(fnmatch.fnmatch(n, p) for p in a.only.split(','))]
    tally = {}
    for n in names:
        r = run_case(os.path.abspath(os.path.join(a.corpus, n)), a.work, a.command, a.timeout, user)
        tally[r['verdict']] = tally.get(r['verdict'], 0) + 1
        print('%-26s %-9s %-7s %5.1fs %4dM %s %s' % (n, r['outcome'], r['verdict'], r['seconds'], r['rss_mib'],
                                                     ' | '.join(r['findings']), r['error']))
    print(json.dumps(tally))


if __name__ == '__main__':
    main()
