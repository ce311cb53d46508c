#!/usr/bin/env python3
"""Read files of one tree and compare every byte with another; one JSON object at the end.

usage: reader.py TRUTH PATH [--threads N] [--seed N] [--loop [--piece BYTES]] [--drop] [--only PREFIX] [--shuffle]

Without --loop every file once; with it until standard input ends.  --drop forgets the pages after each read, so that
the next one asks the file system again.  --piece: nothing longer, anywhere, and no read-ahead.  Errors are counted by name and the file left.
"""
import argparse, errno, json, os, random, stat, sys, threading, time


def arguments():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('truth')
    p.add_argument('path')
    p.add_argument('--threads', type=int, default=4)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--loop', action='store_true')
    p.add_argument('--piece', type=int)
    p.add_argument('--drop', action='store_true')
    p.add_argument('--shuffle', action='store_true')
    p.add_argument('--only', default='')
    return p.parse_args()


def files_of(root):
    out = []
    for top, dirs, names in os.walk(os.fsencode(root)):
        dirs.sort()
        for name in sorted(names):
            full = os.path.join(top, name)
            s = os.lstat(full)
            if stat.S_ISREG(s.st_mode) and s.st_size:
                out.append((os.path.relpath(full, os.fsencode(root)), s.st_size))
    return out


class Reader:
    def __init__(self, args):
        self.args = args
        self.todo = [f for f in files_of(args.truth) if f[0].startswith(os.fsencode(args.only))]
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.next = 0
        self.result = {'reads': 0, 'bytes': 0, 'errors': {}, 'wrong': [], 'slowest': 0.0}

    def take(self, dice):
        if self.args.loop:
            return None if self.over.is_set() else dice.choice(self.todo)
        with self.lock:
            self.next += 1
            return self.todo[self.next - 1] if self.next <= len(self.todo) else None

    def run(self, number):
        dice = random.Random(self.args.seed * 1000 + number)
        while True:
            one = self.take(dice)
            if one is None:
                return
            self.read(dice, *one)

    def read(self, dice, name, size):
        """A whole file when it is small or each is read once, else a piece of it."""
        offset, length = 0, size
        if self.args.loop and size > (self.args.piece or 1 << 17):
            offset = dice.randrange(size)
            length = min(size - offset, self.args.piece or dice.choice((1, 4096, 1 << 17, 1 << 20)))
        with open(os.path.join(os.fsencode(self.args.truth), name), 'rb', buffering=0) as f:
            truth = pread(f.fileno(), length, offset)
        began, got, error = time.monotonic(), None, None
        try:
            fd = os.open(os.path.join(os.fsencode(self.args.path), name), os.O_RDONLY)
            try:
                if self.args.piece:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
                got = pread(fd, length, offset)
                if self.args.drop:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
        except OSError as e:
            error = errno.errorcode.get(e.errno, str(e.errno))
        with self.lock:
            self.count(name, offset, truth, got, error, time.monotonic() - began)

    def count(self, name, offset, truth, got, error, seconds):
        r = self.result
        r['reads'] += 1
        r['slowest'] = max(r['slowest'], seconds)
        if error:
            r['errors'][error] = r['errors'].get(error, 0) + 1
        elif got != truth:
            shown = os.fsdecode(name).encode('ascii', 'backslashreplace').decode()
            r['wrong'].append('%s at %d: %d bytes of %d' % (shown, offset, len(got), len(truth)))
        else:
            r['bytes'] += len(got)


def pread(fd, length, offset):
    out = b''
    while len(out) < length:
        piece = os.pread(fd, length - len(out), offset + len(out))
        if not piece:
            break
        out += piece
    return out


def main():
    args = arguments()
    reader = Reader(args)
    if args.shuffle:
        random.Random(args.seed).shuffle(reader.todo)
    threads = [threading.Thread(target=reader.run, args=(n,)) for n in range(args.threads)]
    for t in threads:
        t.start()
    if args.loop:
        sys.stdin.buffer.read()
        reader.over.set()
    for t in threads:
        t.join()
    json.dump(reader.result, sys.stdout)


if __name__ == '__main__':
    main()
