"""Help, manual pages, completion and the parser agree, because one table makes them; and the shells can use it."""
import os, re, subprocess

import pytest

import mkimage
from conftest import need_tool, push, registry_running
from looklib import Look

OPTION = re.compile(r'^  (?:(-.)(?:, |(?= )|$))?(--[a-z0-9-]+)?(?:\[=([^\]]+)\]| (\S+))?(?= |$)')


def options_of(text):
    """[(letter or None, word or None, its value's name or None)] of a --help text."""
    found = []
    for line in text.split('\nOptions:\n', 1)[-1].splitlines() if '\nOptions:\n' in text else ():
        if re.match('  -', line):
            letter, word, maybe, value = OPTION.match(line).groups()
            assert letter or word, line
            found.append((letter, word, maybe or value))
    return found


@pytest.fixture(scope='module')
def helps(rootlet):
    """command -> its --help."""
    listed = rootlet('--help').out.decode().split('Commands:\n')[1].split('\n\n')[0]
    names = re.findall(r'^  ([a-z-]+) ', listed, re.M)
    assert len(names) > 15
    return {name: rootlet(name, '--help').out.decode() for name in names}


def words(rootlet, *args):
    """(what else a shell should offer, [word]) for a command line."""
    done = rootlet('completion', '--words', '--', *args)
    assert done.rc == 0 and done.err == b'', done
    lines = done.out.decode().splitlines()
    return lines[0], [line.split('\t')[0] for line in lines[1:]]


def names_of(option):
    return {name for name in option[:2] if name}


def test_all_of_them_are_found(helps):
    """The pattern above sees as many options as there are lines that begin with one."""
    for name, text in helps.items():
        assert len(options_of(text)) == len(re.findall(r'^  -', text, re.M)), name
    assert (None, '--content', 'PATH') in options_of(helps['diff']) and ('-0', '--null', None) in options_of(helps['diff'])


@pytest.fixture(scope='module')
def pages(rootlet, helps):
    """command -> its manual page; None: the program's."""
    return {name: rootlet('help', '--man', *([name] if name else [])).out.decode() for name in [None, *helps]}


def test_the_manual_pages_have_each_option(rootlet, helps, pages):
    everything = rootlet('--help').out.decode()
    for name, text in helps.items():
        page = pages[name]
        assert page.startswith('.TH "ROOTLET-%s" 1 ' % name.upper()) and 'rootlet\\-%s (1)' % name in pages[None]
        assert '\\fB%s\\fR ' % name.replace('-', '\\-') in pages[None]
        listed = re.findall(r'\\fB(\\-.*?)\\fR', page.split('.SH OPTIONS', 1)[-1].split('.SH EXIT STATUS')[0])
        assert {x.replace('\\', '') for x in listed} == set().union(set(), *map(names_of, options_of(text))), name
        summary = re.search(r'\\- (.*)\n\.SH SYNOPSIS', page)[1].replace('\\-', '-').replace('\\(aq', "'")
        assert re.search(r'^  %s +%s$' % (name, re.escape(summary)), everything, re.M), name


def test_the_manual_pages_are_troff_without_faults(pages):
    need_tool('groff')
    done = subprocess.run(['groff', '-man', '-Tascii', '-ww', '-P-cbou'], input=''.join(pages.values()).encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0 and done.stderr == b'', done.stderr
    assert done.stdout.count(b'\nNAME') == len(pages) and b'--content PATH' in done.stdout


def test_completion_has_each_option(rootlet, helps):
    for name, text in helps.items():
        kind, found = words(rootlet, name, '-')
        assert kind == ':words'
        assert set(found) == set().union(set(), *map(names_of, options_of(text))), name
    assert set(words(rootlet, '')[1]) == set(helps) == set(words(rootlet, 'help', '')[1])


def arguments(option, value, glued):
    """An option as it is typed: with its value in the same word, or in the next."""
    value = {'--type': 'f', '--newer': '/1', '--newermt': '2024-01-01'}.get(option, 'true' if value and value.startswith('true|') else value and '1')
    if not value or value == 'true' and not glued:
        return [option]
    return ['%s=%s' % (option, value)] if glued and option.startswith('--') else [option, value]


def test_the_parser_takes_each_option(rootlet, helps):
    for name, text in helps.items():
        for glued in (False, True):
            args = [word for *names, value in options_of(text) for option in filter(None, names) if option != '--help'
                    for word in arguments(option, value, glued)]
            done = rootlet(name, *args, '--help')
            assert (done.rc, done.out.decode()) == (0, text), (name, args, done)
        if options_of(text):
            done = rootlet(name, '--no-such-option', '--help')
            assert done.rc == 2 and b'unknown option' in done.err, name


def test_few_words_are_offered(rootlet, helps):
    assert words(rootlet, 'tags', '--sort', '') == (':words', ['name', 'semver'])
    assert words(rootlet, 'tags', '--sort=s') == (':words', ['--sort=semver'])
    assert words(rootlet, 'diff', '--tls-verify=') == (':words', ['--tls-verify=true', '--tls-verify=false'])
    assert words(rootlet, 'cache', 'v') == (':words', ['verify'])
    assert words(rootlet, 'completion', '')[1] == ['bash', 'zsh', 'fish']
    assert words(rootlet, 'unpack', 'image', '')[0] == ':dirs' and words(rootlet, 'unpack', '--authfile', '')[0] == ':files'
    assert words(rootlet, 'ls', 'o')[1] == ['oci:', 'oci-archive:'][:len(words(rootlet, 'ls', 'o')[1])] != []
    assert words(rootlet, 'nonsense', '-') == (':words', []) and words(rootlet, 'ls', '--', '-')[1] == []
    assert words(rootlet, '--')[1] == ['--help', '--version']


def test_pages_and_scripts_are_installed(rootlet, binary, helps, place):
    """As meson install runs it."""
    script = os.path.join(os.path.dirname(__file__), '..', 'docs', 'install-pages')
    env = dict(os.environ, MESON_INSTALL_DESTDIR_PREFIX=str(place / 'usr'))
    subprocess.run([script, binary, 'share'], env=env, check=True)
    found = {str(p.relative_to(place / 'usr/share')): p.read_bytes() for p in place.rglob('*') if p.is_file()}
    assert set(found) == {'man/man1/rootlet.1', *('man/man1/rootlet-%s.1' % name for name in helps),
                          'bash-completion/completions/rootlet', 'zsh/site-functions/_rootlet',
                          'fish/vendor_completions.d/rootlet.fish'}
    assert found['man/man1/rootlet-diff.1'] == rootlet('help', '--man', 'diff').out
    assert found['zsh/site-functions/_rootlet'] == rootlet('completion', 'zsh').out


def test_wrong_shells(rootlet):
    done = rootlet('completion', 'tcsh')
    assert done.rc == 2 and "not 'tcsh'" in done.text
    assert rootlet('completion').rc == 2 and rootlet('help', '--man', 'nothing').rc == 2


# ---- paths in images
@pytest.fixture(scope='module')
def known(rootlet, binary, scratch):
    """(cache, image): looked into once while its registry was there."""
    layer = mkimage.Layer().d('etc').f('etc/passwd').f('etc/pass word').f('etc/motd').d('etc/ssl').f('bad\nname').f(b'\xff'.decode('utf-8', 'surrogateescape'))
    layout = mkimage.Layout(scratch / 'known')
    layout.tag('x', layout.image([mkimage.pack(layer.bytes())]))
    look = Look(rootlet, binary, scratch / 'known-cache')
    with registry_running(scratch / 'known-registry') as host:
        push(layout.d, 'x', host + '/known:x')
        look.ask('ls', '--tls-verify=false', host + '/known:x')
    return look, host + '/known:x'


def test_paths_of_an_image_come_from_the_cache_alone(known):
    look, image = known

    def ask(*args):
        return look.run('completion', '--words', '--', *args).out.decode().splitlines()
    assert ask('ls', image, '') == [':words', '/etc/']           # names that a line cannot carry are left out
    assert ask('ls', '-l', image, '/etc/p') == [':words', '/etc/pass word', '/etc/passwd']
    assert ask('cat', image, 'etc/motd', 'etc/s') == [':words', 'etc/ssl/']
    assert ask('grep', '-r', 'x', image, '/e') == [':words', '/etc/']
    assert ask('cp', image + ':/etc/m') == [':words', image + ':/etc/motd']
    assert ask('ls', image + 'z', '') == [':words'] and ask('ls', image, '/no/') == [':words']
    assert ask('ls', '--cache', '/nonexistent/c', image, '/') == [':words']


# ---- the shells themselves
def complete_in_bash(look, line):
    script = '''source <("$R" completion bash)
    COMP_LINE=$LINE COMP_POINT=${#LINE} COMPREPLY=() COMP_WORDS=() COMP_CWORD=0
    rootlet() { "$R" "$@"; }; compopt() { :; }
    # as readline breaks the line
    while IFS= read -r word; do COMP_WORDS+=("$word"); done < "$WORDS"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _rootlet; printf '%s\\n' "${COMPREPLY[@]}"'''
    broken = re.findall(r'[:=]+|(?:\\.|[^\s:=])+', line) + ([''] if line[-1] in ' :=' else [])
    path = look.cache.parent / 'words'
    path.write_text(''.join(w + '\n' for w in broken))
    env = dict(os.environ, R=str(look.binary), LINE=line, WORDS=str(path), ROOTLET_CACHE=str(look.cache))
    done = subprocess.run(['bash', '-c', script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.stderr == '', done.stderr
    return [x for x in done.stdout.splitlines() if x]


def test_bash(known):
    look, image = known
    assert complete_in_bash(look, 'rootlet unp') == ['unpack']
    assert complete_in_bash(look, 'rootlet tags --so') == ['--sort']
    assert complete_in_bash(look, 'rootlet tags --sort=') == ['name', 'semver']        # '=' breaks words there
    assert complete_in_bash(look, 'rootlet ls %s /etc/pass' % image) == [r'/etc/pass\ word', '/etc/passwd']
    assert complete_in_bash(look, r'rootlet ls %s /etc/pass\ w' % image) == [r'/etc/pass\ word']
    assert complete_in_bash(look, 'rootlet cp %s:/etc/mo' % image) == ['/etc/motd']
    assert complete_in_bash(look, 'rootlet cat %s etc/motd -' % image).count('--quiet') == 1


def test_fish(known):
    need_tool('fish')
    look, image = known
    script = 'set -gx PATH $D $PATH; rootlet completion fish | source; complete -C $LINE'

    def ask(line):
        env = dict(os.environ, D=str(look.binary.parent), LINE=line, ROOTLET_CACHE=str(look.cache), HOME=str(look.cache))
        done = subprocess.run(['fish', '--no-config', '-c', script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.stderr == '', done.stderr
        return [x.split('\t')[0] for x in done.stdout.splitlines()]
    assert ask('rootlet unp') == ['unpack'] and ask('rootlet tags --sort ') == ['name', 'semver']
    assert set(ask('rootlet ls %s /etc/pass' % image)) == {'/etc/pass word', '/etc/passwd'}


def test_zsh(known):
    need_tool('zsh')
    look, image = known
    script = look.cache.parent / 'complete.zsh'
    # the completion system needs a line editor: a terminal of its own, where Tab is pressed
    script.write_text('''zmodload zsh/zpty; zpty z zsh -f -i
    zpty -w z "PS1=; PATH=$D:\\$PATH; autoload -U compinit; compinit -u -D; source <(rootlet completion zsh); print READY"
    while zpty -r z line; do [[ $line = *READY[^\\"]* && $line != *print* ]] && break; done
    zpty -n -w z "$LINE"$'\\t'
    zpty -n -w z $'\\x01print -r -- \\'GOT<\\x05>\\'\\n'
    while zpty -r z line; do [[ $line = *GOT\\<* && $line != *print* ]] && { print -r -- $line; break }; done
    zpty -d z''')

    def ask(line):
        env = dict(os.environ, D=str(look.binary.parent), LINE=line, ROOTLET_CACHE=str(look.cache), TERM='dumb', HOME=str(look.cache))
        done = subprocess.run(['zsh', '-f', script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        return re.search('GOT<(.*)>', done.stdout)[1]
    assert ask('rootlet unp').rstrip() == 'rootlet unpack' and ask('rootlet ls %s /et' % image) == 'rootlet ls %s /etc/' % image


def test_the_scripts_have_no_faults(rootlet, place):
    for shell in ('bash', 'zsh', 'fish'):
        need_tool(shell)
        (place / shell).write_bytes(rootlet('completion', shell).out)
        done = subprocess.run([shell, '-n', place / shell], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0 and done.stdout == b'', (shell, done.stdout)
