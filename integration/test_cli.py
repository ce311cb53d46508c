"""The command line: help, version, statuses, what goes to stdout and what to stderr."""
import json, os, re, subprocess

import pytest

import mkimage

COMMANDS = ['unpack', 'push', 'copy', 'tag', 'check', 'in', 'out', 'help']
TRY = re.compile(r"try 'rootlet (\w+ )?--help'")


def test_help_names_every_command(rootlet):
    for args in (['--help'], ['-h'], ['help']):
        done = rootlet(*args)
        assert done.rc == 0 and done.err == b''
        for command in COMMANDS:
            assert b'\n  %-10s ' % command.encode() in done.out


@pytest.mark.parametrize('command', COMMANDS)
def test_each_command_has_the_same_help_twice(rootlet, command):
    a, b = rootlet('help', command), rootlet(command, '--help')
    assert (a.rc, b.rc) == (0, 0) and a.out == b.out and a.out.startswith(b'Usage: rootlet %s' % command.encode())
    assert a.err == b.err == b''


@pytest.mark.parametrize('args', [[], *([c] for c in COMMANDS)])
def test_help_fits_80_columns(rootlet, args):
    text = rootlet('help', *args).out.decode()
    assert max(map(len, text.splitlines())) <= 80 and '\t' not in text


def test_every_option_of_unpack_is_documented(rootlet):
    listed = re.findall(r'^  --([a-z-]+)', rootlet('unpack', '--help').out.decode(), re.M)
    assert {'platform', 'jobs', 'authfile', 'tls-verify', 'devices', 'allow-bomb', 'max-unpacked', 'quiet', 'debug',
            'json'} <= set(listed)
    page = (os.path.join(os.path.dirname(__file__), '../docs/command-line.md'))
    with open(page) as f:
        text = f.read()
    for option in listed:
        assert '`--%s' % option in text, option


def test_version_names_the_libraries(rootlet):
    done = rootlet('--version')
    assert done.rc == 0 and done.err == b''
    assert re.fullmatch(r'rootlet \d+\.\d+\.\d+\nlibcurl/\S+ \S.*\ninflate: (isa-l|zlib) \S+\n', done.out.decode())


@pytest.mark.parametrize('args, says', [
    ([], 'Usage: rootlet COMMAND'),
    (['unpak'], "unknown command 'unpak': did you mean 'unpack'?"),
    (['--verson'], "unknown option '--verson'"),
    (['\x1b[2Jx'], "unknown command '\\x1b[2Jx'"),
    (['help', 'unpak'], "did you mean 'unpack'?"),
    (['unpack'], 'wants IMAGE DIR, not 0 operands'),
    (['unpack', 'a'], 'not 1 operand'),
    (['unpack', 'a', 'b', 'c'], 'not 3 operands'),
    (['unpack', '--plaform=linux/amd64', 'a', 'b'], "unknown option '--plaform=linux/amd64': did you mean '--platform'?"),
    (['unpack', '--jobs', '0', 'a', 'b'], "'--jobs' wants a number from 1"),
    (['unpack', 'a', 'b', '--jobs'], "'--jobs' wants N"),
    (['unpack', '--tls-verify=maybe', 'a', 'b'], "'--tls-verify' wants true or false, not 'maybe'"),
    (['unpack', '--max-unpacked', 'lots', 'a', 'b'], "'--max-unpacked' wants a size"),
])
def test_wrong_usage_is_2_on_stderr(rootlet, args, says):
    done = rootlet(*args)
    assert done.rc == 2 and done.out == b'' and says in done.text
    assert not args or TRY.search(done.text), done


@pytest.mark.parametrize('image', ['oci:', 'UPPER/Case', 'x:y:z', 'http://host/x', 'a@sha256:12', '', 'nosuch:scheme:x'])
def test_a_reference_that_is_none_is_2(rootlet, tmp_path, image):
    done = rootlet('unpack', image, tmp_path / 'root')
    assert done.rc == 2 and done.out == b'' and done.err.startswith(b'rootlet: '), done
    assert not os.path.exists(tmp_path / 'root')


def test_a_platform_that_is_none_is_2(rootlet, small_layout, tmp_path):
    done = rootlet('unpack', '--platform', 'a/b/c/d', 'oci:%s:latest' % small_layout, tmp_path / 'root')
    assert done.rc == 2 and "'a/b/c/d'" in done.text


def test_json_is_the_documented_object(rootlet, small_layout, tmp_path):
    done = rootlet('unpack', '--json', 'oci:%s:latest' % small_layout, tmp_path / 'root')
    assert done.rc == 0, done
    assert done.out.count(b'\n') == 1 and done.out.endswith(b'\n')
    result = json.loads(done.out)
    index = json.load(open(os.path.join(small_layout, 'index.json')))
    digest = index['manifests'][0]['digest']
    assert list(result) == ['image', 'digest', 'manifest', 'platform', 'layers', 'fetched_bytes', 'cached_layers', 'unpacked_bytes',
                            'files', 'skipped_devices', 'dropped_xattrs', 'failed_xattrs', 'failed_owners',
                            'trailing_layers', 'seconds']
    assert result['image'] == 'oci:%s:latest' % small_layout
    assert result['digest'] == result['manifest'] == digest
    assert result['platform'].startswith('linux/' + mkimage.ARCH)
    assert result['layers'] == 2 and 0 < result['seconds'] < 60
    assert result['fetched_bytes'] > 300000 and result['unpacked_bytes'] > 300000
    found = int(subprocess.check_output('find %s | wc -l' % (tmp_path / 'root'), shell=True))
    assert result['files'] in (found, found - 1)        # with or without the root itself
    assert not any(result[k] for k in result if k.startswith(('skipped', 'dropped', 'failed', 'trailing')))


def test_the_image_of_the_json_is_the_one_of_several(rootlet, edge_layout, tmp_path):
    done = rootlet('unpack', '--json', '--platform', 'linux/arm64', 'oci:%s:multi' % edge_layout, tmp_path / 'root')
    assert done.rc == 0, done
    result = json.loads(done.out)
    assert result['platform'].startswith('linux/arm64') and result['digest'] != result['manifest']
    assert (tmp_path / 'root/arch').read_text() == 'arm64\n'


def test_a_missing_platform_lists_those_there_are(rootlet, edge_layout, tmp_path):
    done = rootlet('unpack', '--platform', 'linux/s390x', 'oci:%s:multi' % edge_layout, tmp_path / 'root')
    assert done.rc == 3 and done.out == b''
    assert 'linux/s390x' in done.text and 'linux/amd64' in done.text and 'linux/arm64' in done.text
    assert not os.path.exists(tmp_path / 'root')


def test_without_json_stdout_is_empty_and_a_summary_ends_stderr(rootlet, small_layout, tmp_path):
    done = rootlet('unpack', 'oci:%s:latest' % small_layout, tmp_path / 'root')
    assert done.rc == 0 and done.out == b''
    lines = done.text.splitlines()
    assert sum(line.startswith('layer ') for line in lines) == 2
    assert re.fullmatch(r'[\d.]+ KiB fetched, [\d.]+ KiB unpacked into \d+ files in [\d.]+ s, [\d.]+ [KM]iB/s', lines[-1])


def test_quiet_says_nothing(rootlet, small_layout, tmp_path):
    done = rootlet('unpack', '--quiet', 'oci:%s:latest' % small_layout, tmp_path / 'root')
    assert (done.rc, done.out, done.err) == (0, b'', b'')
    done = rootlet('unpack', '--quiet', 'oci:%s:latest' % small_layout, tmp_path / 'root')
    assert done.rc == 2 and done.text.count('\n') == 1     # errors are said all the same


def test_debug_says_each_step_with_its_time(rootlet, small_layout, tmp_path):
    done = rootlet('unpack', '--debug', 'oci:%s:latest' % small_layout, tmp_path / 'root')
    assert done.rc == 0 and done.out == b''
    steps = [line for line in done.text.splitlines() if re.match(r'\[ *\d+\.\d{3}\] ', line)]
    assert len(steps) >= 2, done


def test_what_is_not_kept_is_one_line(rootlet, edge_layout, tmp_path):
    done = rootlet('unpack', '--json', 'oci:%s:edge-gzip' % edge_layout, tmp_path / 'root')
    assert done.rc == 0, done
    lost = [line for line in done.text.splitlines() if line.startswith('not kept: ')]
    assert len(lost) == 1 and '3 device nodes' in lost[0]
    assert json.loads(done.out)['skipped_devices'] == 3
    assert not os.path.exists(tmp_path / 'root/special/null')


@pytest.mark.parametrize('rows, columns', [(24, 80), (24, 40), (5, 200), (2, 10)])
def test_a_terminal_sees_whole_lines_that_fit(rootlet, edge_layout, tmp_path, rows, columns):
    done = rootlet('unpack', 'oci:%s:edge-gzip' % edge_layout, tmp_path / 'root', terminal=True, rows=rows,
                   columns=columns)
    assert done.rc == 0 and done.out == b''
    text = done.text.replace('\r\n', '\n')
    summary = text.index(' fetched, ')
    drawn = re.sub(r'\x1b\[\d*[AJK]|\r', '', text[:text.rindex('\n', 0, summary)])
    assert '\x1b' not in drawn
    assert max(map(len, drawn.splitlines())) < max(columns, 21)
    assert '4/4 layers' in drawn.splitlines()[-1]
    assert text.count('\x1b[J') <= 3 + 10 * done.seconds    # redrawn at most ten times a second


def test_a_reader_that_went_away_is_an_error(binary, small_layout, tmp_path):
    with open('/dev/full', 'wb') as full:
        done = subprocess.run([binary, 'unpack', '--quiet', '--json', 'oci:%s:latest' % small_layout, tmp_path / 'root'],
                              stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b'write to standard output' in done.stderr


@pytest.mark.parametrize('closed', ['<&-', '>&-', '2>&-', '<&- >&- 2>&-'])
def test_closed_standard_files_are_no_trap(binary, small_layout, tmp_path, closed):
    script = '%s unpack oci:%s:latest %s %s' % (binary, small_layout, tmp_path / 'root', closed)
    assert subprocess.run(['sh', '-c', script], stderr=subprocess.DEVNULL).returncode == 0
    assert (tmp_path / 'root/etc/motd').read_text() == 'hello\n'


def test_the_name_it_is_called_by_chooses_the_command(binary, tmp_path):
    for name in ('check', 'in', 'out'):
        link = tmp_path / name
        os.link(binary, link) if os.stat(binary).st_dev == os.stat(tmp_path).st_dev else link.symlink_to(binary)
        done = subprocess.run([link, '--help'], stdout=subprocess.PIPE)
        assert done.returncode == 0 and done.stdout.startswith(b'Usage: rootlet %s' % name.encode())


def test_out_says_what_it_lacks(rootlet, tmp_path):
    done = rootlet('out', tmp_path, data=b'{"source":{"repository":"x"}}')
    assert done.rc == 3 and done.out == b'' and b'params.image is missing' in done.err
