#!/usr/bin/env python3
"""agree.py [--tls-verify=false] [--work DIR] [--only CHECK,...] [--quick] IMAGE...

Unpack each image and ask of it what every command says: do they agree with the real tools on that tree, is the mount
that tree, does the tree differ from the one before it as 'rootlet diff' says?  A line for each image and check:

    IMAGE<TAB>CHECK<TAB>SECONDS<TAB>ok, or the number of differences        and these, indented

Needs root and FUSE.  The binary is $ROOTLET, else build/rootlet.  Exit status 1 when something differs.
"""
import argparse, functools, os, pathlib, subprocess, sys, tempfile, time

LAB = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
os.environ.setdefault('ROOTLET_LAB_SECONDS', '3600')
sys.path[:0] = [str(LAB), str(LAB.parent)]

import agreelib  # noqa: E402
import mountlib  # noqa: E402
import runner  # noqa: E402
from looklib import Look  # noqa: E402

CHECKS = 'ls', 'ls_sorted', 'ls_json', 'find', 'find_newer', 'du', 'tree', 'stat_json', 'cat', 'grep'
LARGE_BYTES = 100 << 20         # of larger trees only a part is searched and copied
LARGE_PATTERNS = [['-n', 'root'], ['-i', '-c', 'Copyright'], ['-l', '-E', 'G(PL|NU)'], ['-F', '-n', 'a.b'], ['no such thing at all']]
PLACES = 'etc', 'usr/share/doc', 'app', 'usr/share/perl5', 'usr/lib/python3', 'size', 'names', 'rehl'


class Agree:
    """One image after the other; the tree of the one before is kept for diff.

    OPTIONS are for every command that takes an image.  QUICK: a third of the expressions and patterns, others each time,
    and only some directories are searched.
    """

    def __init__(self, binary, work, options=(), quick=False):
        self.binary, self.work, self.options, self.quick = binary, work, options, quick
        self.look = Look(self.rootlet, binary, work / 'cache', options)
        self.before = None
        self.count = 0

    def rootlet(self, *args, timeout=3600, **how):
        done = runner.run([self.binary, *args], timeout, most=1 << 31, **how)
        assert not done.hang and not done.crashed, done
        return done

    def unpack(self, image, tree):
        done = self.rootlet('unpack', '--quiet', '--devices', *self.options, image, tree)
        return done.seconds, [done.text.strip()] if done.rc else []

    def close(self):
        if self.before:
            remove(self.before[1])

    def image(self, image, only=()):
        """(check, seconds, differences) of each check."""
        self.count += 1
        tree = self.work / ('tree%d' % self.count)
        seconds, found = self.unpack(image, tree)
        yield 'unpack', seconds, found
        if found:
            return
        for name, check in self.checks(image, tree).items():
            if not only or name in only:
                began = time.monotonic()
                try:
                    found = check()
                except AssertionError as wrong:
                    found = ['fails: %s' % wrong]
                yield name, time.monotonic() - began, found
        self.close()
        self.before = image, tree

    def some(self, items):
        return items[self.count % 3::3] if self.quick else items

    def checks(self, image, tree):
        """{name: what gives the differences}"""
        large = agreelib.sizes(tree)[b'/'] > LARGE_BYTES
        places = [p for p in PLACES if (tree / p).is_dir()] if large or self.quick else []
        patterns = LARGE_PATTERNS if large else self.some(agreelib.PATTERNS)
        more = {'find': [self.some(agreelib.EXPRESSIONS)], 'grep': [patterns, places or ['']]}
        out = {name: functools.partial(getattr(agreelib, name), self.look, image, tree, *more.get(name, ())) for name in CHECKS}
        out['cp'] = lambda: self.copied(image, tree, places[0] if large and places else '')
        if self.before:
            out['diff'] = lambda: agreelib.diff(self.look, [self.before[0], image], [self.before[1], tree])
        out['mount'] = lambda: self.mounted(image, tree)
        return out

    def copied(self, image, tree, path):
        place = pathlib.Path(tempfile.mkdtemp(prefix='cp', dir=self.work))
        try:
            return agreelib.cp(self.look, image, tree, place, path)
        finally:
            remove(place)

    def mounted(self, image, tree):
        """Equal trees, and tar's bytes of them."""
        with tempfile.TemporaryDirectory(prefix='agree') as run:        # a short name, for its sockets
            place = pathlib.Path(tempfile.mkdtemp(prefix='mounts', dir=self.work))
            lab = mountlib.MountLab(self.rootlet, place, pathlib.Path(run))
            try:
                return self.unlike_mount(tree, lab.mount(image, *self.options).path)
            finally:
                lab.close()
                remove(place)

    @staticmethod
    def unlike_mount(tree, at):
        done = subprocess.run([sys.executable, LAB / 'compare-trees.py', tree, at], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        found = done.stdout.decode().splitlines()
        if done.returncode not in (0, 1) or bool(found) != bool(done.returncode):
            found.append(done.stderr.decode())
        # attributes have been compared, and ext4 keeps several of a file in an order of its own
        if len({mountlib.tar_digest(p, timeout=3600, xattrs=False) for p in (tree, at)}) != 1:
            found.append('tar of the mount is another')
        return found


def remove(path):
    subprocess.run(['rm', '-rf', '--one-file-system', '--', path], check=True)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('images', nargs='+')
    p.add_argument('--tls-verify', default='true')
    p.add_argument('--work')
    p.add_argument('--only', default='')
    p.add_argument('--quick', action='store_true')
    args = p.parse_args()
    wrong = 0
    mountlib.unshare_mounts()
    with tempfile.TemporaryDirectory(prefix='agree', dir=args.work) as work:
        binary = pathlib.Path(os.environ.get('ROOTLET', LAB.parent.parent / 'build' / 'rootlet')).resolve()
        agree = Agree(binary, pathlib.Path(work), ['--tls-verify=' + args.tls_verify], args.quick)
        for image in args.images:
            for check, seconds, found in agree.image(image, list(filter(None, args.only.split(',')))):
                wrong += len(found)
                print(image, check, '%.1f' % seconds, len(found) or 'ok', *('\n    ' + f[:2000] for f in found[:20]), sep='\t', flush=True)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
