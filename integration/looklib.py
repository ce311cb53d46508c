"""Looking into images: the command with a cache of its own, the same question asked of a real tool, and a terminal."""
import fcntl, os, pty, re, select, struct, subprocess, termios, time, unicodedata

import runner

C_LOCALE = {'PATH': os.environ['PATH'], 'LC_ALL': 'C', 'TZ': 'UTC'}
HIDDEN = [(0, 0x1f), (0x7f, 0x9f), (0xad, 0xad), (0x61c, 0x61c), (0x180e, 0x180e), (0x200b, 0x200f), (0x2028, 0x202e),
          (0x2060, 0x206f), (0xfeff, 0xfeff), (0xfff9, 0xfffb), (0xe0000, 0xe0fff)]


class Look:
    """ask('ls', '-l', image): a run that must succeed, its standard output as bytes."""

    def __init__(self, rootlet, binary, cache, options=()):
        self.rootlet, self.binary, self.cache, self.options = rootlet, binary, cache, options

    def run(self, *args, **how):
        env = dict({'TZ': 'UTC', 'ROOTLET_CACHE': os.fspath(self.cache)}, **how.pop('env', {}))
        return self.rootlet(args[0], *self.options, *args[1:], env=env, **how)

    def ask(self, *args, rc=0, **how):
        done = self.run(args[0], '--quiet', *args[1:], **how)
        assert done.rc == rc and done.err == b'', done
        return done.out

    def fails(self, *args, rc):
        """The message of a question that cannot be answered; nothing is on standard output."""
        done = self.run(*args)
        assert done.rc == rc and done.out == b'', done
        return done.text


def real(*command, cwd, rc=(0,), locale='C'):
    """What the tool everybody has says, below a tree."""
    done = subprocess.run(command, cwd=cwd, env=dict(C_LOCALE, LC_ALL=locale), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode in rc, (command, done.stderr)
    return done.stdout


def shown(name):
    """NAME (bytes) as it is printed for people."""
    out = []
    for c in name.decode('utf-8', 'surrogateescape'):
        n = ord(c)
        if 0xdc80 <= n <= 0xdcff:
            out.append('\\x%02x' % (n - 0xdc00))
        elif any(a <= n <= b for a, b in HIDDEN):
            out.append('\\x%02x' % n if n < 0x80 else '\\u%04x' % n if n < 0x10000 else '\\U%08x' % n)
        else:
            out.append('\\\\' if c == '\\' else c)
    return ''.join(out).encode()


def json_name(entry, key='path'):
    """The exact bytes of a name in JSON."""
    import base64
    if key + '_base64' in entry:
        return base64.b64decode(entry[key + '_base64'])
    return entry[key].encode()


ENTRY = re.compile(rb'([-dlcbps][-rwxsStT]{9}\+?)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+,\s+\d+|\d+) (\S+ \S+) (.*)', re.S)


def long_entries(out):
    """(directory, [entry...]) of NUL-ended ls -lR, ours or the real one, directories without their size."""
    found = []
    for token in out.split(b'\0'):
        entry = ENTRY.fullmatch(token)
        if entry and not token.startswith((b'.', b'/')):
            fields = list(entry.groups())
            fields[4] = b'-' if fields[0].startswith(b'd') else fields[4].replace(b' ', b'')
            found[-1][1].append(tuple(fields))
        elif token.strip(b'\n'):
            heading = re.sub(rb':\ntotal \d+$', b'', token.lstrip(b'\n'), flags=re.S)
            found.append((heading[:-1] if heading.endswith(b':') else heading, []))
    return found


def on_terminal(argv, env, timeout=60, rows=24, columns=80):
    """Standard output of ARGV on a terminal, as the terminal gets it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    process = runner.start(argv, out=theirs, env=dict({'TERM': 'xterm'}, **env))
    os.close(theirs)
    seen, until = bytearray(), time.monotonic() + timeout
    while select.select([ours], [], [], max(0, until - time.monotonic()))[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:         # EIO: the other end is closed
            break
        if not piece:
            break
        seen += piece
    rc, _, hang = runner.wait(process, max(1, until - time.monotonic()))
    os.close(ours)
    assert rc == 0 and not hang, (rc, hang, bytes(seen))
    return bytes(seen).replace(b'\r\n', b'\n')


def plain_characters(data):
    """No byte of it drives a terminal."""
    text = data.decode()            # must be UTF-8
    return all(c == '\n' or unicodedata.category(c) not in ('Cc', 'Cf') for c in text)
