"""C source for the checks: files of the tree, and their text without comments and literals."""
import pathlib, re, sys

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def root():
    """The tree to check: the argument, else the one this file is in."""
    return pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])


def files(tree, *folders, suffixes=('.c', '.h')):
    found = [p for f in folders for p in sorted((tree / f).rglob('*')) if p.suffix in suffixes and p.is_file()]
    if not found:
        sys.exit('no source in %s' % ', '.join(folders))
    return found


def code(text):
    """TEXT with comments and literals blanked; lines and columns stay where they were."""
    def blank(m):
        t = m.group()
        inside = re.sub(r'[^\n]', ' ', t)
        return inside if t[0] == '/' else t[0] + inside[1:-1] + t[-1]
    return TOKEN.sub(blank, text)


def finish(problems, what):
    for p in problems:
        print(p)
    if problems:
        sys.exit('%d %s' % (len(problems), what))
