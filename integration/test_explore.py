"""explore, driven by tmux: keys are sent, screens captured and compared."""
import contextlib, os, re, shlex, signal, subprocess, tarfile, tempfile, time

import pytest

import mkimage
from conftest import need_tool
from looklib import Look

WAIT = 30       # how long a screen may take on a busy machine


class Screen:
    """A terminal of its own with a shell's command line in it."""

    def __init__(self, directory, command, env, columns=80, rows=24):
        need_tool('tmux')
        self.socket = os.path.join(directory, 'tmux')
        settings = ''.join('%s=%s ' % (k, shlex.quote(str(v))) for k, v in env.items())
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', columns, '-y', rows,
                  'env %s %s; echo STATUS $?; cat' % (settings, command))

    def tmux(self, *args):
        done = subprocess.run(['tmux', '-S', self.socket, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(os.environ, LC_ALL='C.UTF-8', TERM='screen'), timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def lines(self, *options):
        return self.tmux('capture-pane', '-p', *options).split('\n')

    def until(self, holds):
        """The lines of the screen, once HOLDS(lines)."""
        end = time.monotonic() + WAIT
        while True:
            lines = self.lines()
            if holds(lines):
                return lines
            assert time.monotonic() < end, '\n'.join(lines)
            time.sleep(0.03)

    def shows(self, *texts, row=None):
        return self.until(lambda lines: all(t in ('\n'.join(lines) if row is None else lines[row]) for t in texts))

    def hides(self, *texts):
        return self.until(lambda lines: not any(t in '\n'.join(lines) for t in texts))

    def press(self, *keys):
        for key in keys:
            self.tmux('send-keys', *(['-l', key] if len(key) == 1 else [key]))

    def program(self):
        """The pid of what the shell waits for."""
        shell = self.tmux('display-message', '-p', '#{pane_pid}').strip()
        with open('/proc/%s/task/%s/children' % (shell, shell)) as f:
            return int(f.read().split()[0])

    def close(self):
        with contextlib.suppress(AssertionError):
            self.tmux('kill-server')


def tree(lines):
    """What the right side shows, from below its heading to the foot."""
    return [line[32:].rstrip() for line in lines[2:-2] if line[32:].strip()]


def layers(lines):
    return [line[:30].rstrip() for line in lines[2:12] if line[:30].strip()]


@pytest.fixture(scope='module')
def image(scratch):
    one = mkimage.Layer().d('etc').f('etc/conf', 'first\n' * 100).f('etc/gone', b'x' * 2048).d('etc/ssl').f('etc/ssl/key', 'k' * 10)
    one.d('usr').f('usr/text', ''.join('line %d\n' % n for n in range(300))).f('usr/binary', b'\0\1\2ABC' * 10)
    two = mkimage.Layer().d('etc').f('etc/conf', 'second\n' * 200).wh('etc/gone').f('etc/new', 'n' * 3000)
    three = mkimage.Layer().d('odd').f('odd/esc\x1b[31m\x1b[2J', 'a').f('odd/new\nline', 'b').f(b'odd/bad\xff\xfe'.decode('utf-8', 'surrogateescape'), 'c')
    three.f('odd/wide\u4e2d\u6587' + '\u4e2d' * 40, 'd').f('odd/rtl\u202eabc', 'e').f('odd/' + 'long' * 50, 'f').s('odd/link', 'to\x1b]0;x\x07')
    three.f('odd/tab\tx\x1b[31my\n', '\x1b[31mred\x1b[2J\x07 wide \u4e2d\n')
    layout = mkimage.Layout(scratch / 'explored')
    layout.tag('x', layout.image([mkimage.pack(x.bytes()) for x in (one, two, three)]))
    return 'oci:%s:x' % layout.d


@pytest.fixture
def explore(binary, scratch):
    """explore(image): a Screen with it."""
    with contextlib.ExitStack() as stack:
        def start(image, columns=80, rows=24, **env):
            directory = stack.enter_context(tempfile.TemporaryDirectory(dir=scratch))
            command = '%s explore %s' % (binary, shlex.quote(image))
            screen = Screen(directory, command, dict({'ROOTLET_CACHE': scratch / 'explore-cache', 'TERM': 'screen'}, **env), columns, rows)
            stack.callback(screen.close)
            return screen
        yield start


def test_the_whole_image_at_80_columns(explore, image):
    screen = explore(image)
    lines = screen.shows('NAME  of the whole image', 'q quit')
    assert layers(lines) == ['> all    9.6K all layers merge', '    1    5.2K layer 0', '    2    4.3K layer 1', '    3      29 layer 2']
    assert tree(lines) == ['    4.4K + etc/', '      29 + odd/', '    2.6K + usr/']
    assert max(len(x) for x in lines) <= 80 and 'wasted' in '\n'.join(lines)
    screen.press('q')
    assert 'STATUS 0' in '\n'.join(screen.shows('STATUS'))


def test_a_layer_shows_what_it_changed(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    screen.press('Down', 'Down', 'Tab', 'Space')
    lines = screen.shows('changes of layer 2', 'new')
    rows = {x.split()[-1]: x[0] for x in tree(lines)}
    assert rows == {'etc/': '.', 'conf': '~', 'gone': '-', 'new': '+', 'ssl/': ' ', 'usr/': ' '}
    colours = '\n'.join(screen.lines('-e'))
    assert re.search('\x1b\\[32m\\+ [^\n]*new', colours) and re.search('\x1b\\[31m- [^\n]*gone', colours)
    assert re.search('\x1b\\[33m~ [^\n]*conf', colours)
    screen.press('C-u')                              # unchanged names are hidden
    assert [x.split()[-1] for x in tree(screen.hides('ssl/'))] == ['etc/', 'conf', 'gone', 'new']
    screen.press('C-a')
    screen.hides(' new')
    screen.press('C-r')
    screen.hides(' gone')
    screen.press('m')
    assert 'changed names are hidden' in screen.hides(' conf')[23]
    screen.press('m', 'C-r', 'C-a', 'C-u')
    assert [x.split()[-1] for x in tree(screen.shows(' gone', 'ssl/', ' new', ' conf'))][0] == 'etc/'
    screen.press('Tab', 'C-a', 'Down')               # since the first layer
    screen.shows('changes since layer 1, to 3')
    rows = {x.split()[-1]: x[0] for x in tree(screen.lines())}
    assert rows['new'] == '+' and rows['gone'] == '-' and rows['odd/'] == '+'
    screen.press('C-l')
    screen.shows('changes of layer 3')
    screen.hides(' gone')


def test_colours_can_be_turned_off(explore, image):
    screen = explore(image, NO_COLOR=1)
    screen.shows('of the whole image')
    screen.press('Down', 'Down', 'Tab', 'Space')
    screen.shows('changes of layer 2', 'new')
    assert not re.search('\x1b\\[3[0-7]m', '\n'.join(screen.lines('-e')))


def test_directories_open_and_close(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    screen.press('Tab', 'Right')
    screen.shows('conf')
    screen.press('j', 'j', 'j', 'l')
    screen.shows('key')
    screen.press('j', 'h')                          # from the key to its directory
    screen.press('h')
    screen.hides('key')
    screen.press('*')
    screen.shows('key', 'binary')
    screen.press('C-Space')
    assert [x.split()[-1] for x in tree(screen.hides('conf'))] == ['etc/', 'odd/', 'usr/']
    screen.press('C-b')
    screen.shows('drwxr-xr-x')


def test_filter(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    screen.press('/', 'K', 'e', 'y')
    lines = screen.until(lambda lines: [x.split()[-1] for x in tree(lines)] == ['etc/', 'ssl/', 'key'])
    assert 'Filter: Key' in lines[23]
    screen.press('BSpace', 'BSpace', 'BSpace', 'c', '*', '?', 'f', 'Enter')
    screen.until(lambda lines: [x.split()[-1] for x in tree(lines)] == ['etc/', 'conf'])
    screen.press('Escape')
    screen.until(lambda lines: [x.split()[-1] for x in tree(lines)] == ['etc/', 'odd/', 'usr/'])
    screen.press('C-f', 'q', 'q')
    screen.shows('(nothing)')


def test_wasted_bytes_are_marked(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    screen.press('w', 'Tab', 'Space')
    lines = screen.shows('w ', 'conf')
    conf = next(x for x in tree(lines) if x.endswith('conf'))
    assert re.search(r' 1\.4K w +2\.0K ', conf), conf            # 600 bytes below it, 1400 that stay
    assert re.search('\x1b\\[35m[^\n]*conf', '\n'.join(screen.lines('-e')))


def test_a_file_in_the_pager(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    screen.press('/', 't', 'e', 'x', 't', 'Enter', 'j', 'Enter')
    lines = screen.shows('line 0', '/usr/text')
    assert lines[22] == 'line 22' and lines[23].startswith(' /usr/text  1/300')
    screen.press('PageDown')
    screen.shows('line 45')
    screen.press('G')
    assert screen.shows('line 299')[22] == 'line 299'
    screen.press('q')
    screen.shows('Tab side')
    screen.press('Escape', '/', 'b', 'i', 'n', 'a', 'Enter', 'j', 'Enter')
    assert screen.shows('00000000')[0].startswith('00000000  00 01 02 41 42 43 00 01')
    screen.press('q', 'Escape', '/', 'l', 'i', 'n', 'k', 'Enter', 'j', 'Enter')
    screen.shows("has no content")
    screen.press('Escape', 'Tab', 'g', 'Down', 'Tab', '/', 'c', 'o', 'n', 'f', 'Enter', 'j', 'Enter')
    screen.shows('a later layer replaced or removed this version')


def test_no_name_disturbs_the_screen(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    screen.press('Tab', 'j', 'Space')
    lines = screen.shows('odd/', r'esc\x1b[31m\x1b[2J', r'new\x0aline', r'bad\xff\xfe', r'rtl\u202eabc', 'wide\u4e2d\u6587')
    assert all(line[31] == '|' or n in (0, 23) for n, line in enumerate(lines[:24])), lines
    assert 'of the whole image' in lines[1] and len(lines) == 25
    screen.press('/', 't', 'a', 'b', 'Enter', 'j', 'Enter')
    assert screen.shows(r'\x1b[31mred\x1b[2J\x07 wide ' + '\u4e2d')[23].startswith(r' /odd/tab\x09x\x1b[31my\x0a  1/1')


def test_a_terminal_that_changes(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    screen.press('Tab', '*')
    screen.shows('key')
    for columns, rows in ((120, 40), (60, 12), (30, 5), (200, 60), (80, 24)):
        screen.tmux('resize-window', '-x', columns, '-y', rows)
        small = columns < 40
        lines = screen.until(lambda lines: len(lines) == rows + 1 and (('too small' in lines[0]) if small else 'q quit' in lines[-2] or 'help' in lines[-2]))
        assert max(map(len, lines)) <= columns
        screen.press('j')
    screen.press('?')
    screen.shows('Keys', 'view a file')
    screen.press('x', 'q')
    screen.shows('STATUS 0')


def test_the_terminal_is_given_back(explore, image):
    for keys in (('q',), ('C-c',)):
        screen = explore(image)
        screen.shows('of the whole image')
        screen.press(*keys)
        lines = screen.shows('STATUS 0')
        assert not any('of the whole image' in x for x in lines)
        assert screen.tmux('display-message', '-p', '#{alternate_on} #{cursor_flag}').strip() == '0 1'


def test_a_signal_ends_it_in_order(explore, image):
    screen = explore(image)
    screen.shows('of the whole image')
    os.kill(screen.program(), signal.SIGTERM)
    screen.shows('STATUS 143', 'stopped')
    assert screen.tmux('display-message', '-p', '#{alternate_on}').strip() == '0'


def test_where_it_cannot_run(rootlet, image, place, explore):
    done = rootlet('explore', image)
    assert done.rc == 2 and 'needs a terminal' in done.text and done.out == b''
    # ncurses forgets a few bytes when it does not know a terminal
    screen = explore(image, TERM='no-such-terminal', ASAN_OPTIONS='detect_leaks=0')
    screen.shows("the terminal 'no-such-terminal' is not known", 'STATUS 2')
    screen = explore(image + 'y')
    screen.shows('STATUS 3')


def many_files(directories, files):
    """A tar of empty files d00/f000 ...: by hand, because tarfile takes its time."""
    def entry(name, kind):
        info = tarfile.TarInfo(name)
        info.type, info.mode = kind, 0o755
        return info.tobuf(tarfile.USTAR_FORMAT)
    blank = entry('d00/f000', tarfile.REGTYPE)
    total = sum(blank[:148]) + 8 * 32 + sum(blank[156:]) - sum(b'd00/f000')
    out = []
    for d in range(directories):
        out.append(entry('d%02d/' % d, tarfile.DIRTYPE))
        for f in range(files):
            name = b'd%02d/f%03d' % (d, f)
            out.append(name + blank[8:148] + b'%06o\0 ' % (total + sum(name)) + blank[156:])
    return b''.join(out) + bytes(1024)


def processor_seconds(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_a_hundred_thousand_files(rootlet, binary, explore, scratch, sanitized):
    layout = mkimage.Layout(scratch / 'many')
    layout.tag('x', layout.image([mkimage.pack(many_files(100, 1000), '')]))
    image = 'oci:%s:x' % layout.d
    Look(rootlet, binary, scratch / 'explore-cache').ask('ls', image)
    screen = explore(image)
    screen.shows('d00/')
    assert sanitized or processor_seconds(screen.program()) < 1         # it takes a tenth of that
    screen.press('Tab', '*')
    screen.shows('f000')
    screen.press('G')
    screen.shows('f998', 'f999')
    screen.press('/', 'f', '1', '2', '3')
    screen.until(lambda lines: 'Filter: f123' in lines[23] and [x.split()[-1] for x in tree(lines)][-2:] == ['d99/', 'f123'])
    screen.press('Escape', 'C-Space', 'q')
    screen.shows('STATUS 0')
