"""The hostile corpus (lab/make_corpus.py): every case ends as it must, as root and as an ordinary user.

0 escapes, 0 crashes, nothing left behind, memory below 256 MiB; lab/run_corpus.py judges.  The corpus lies on a
loop-mounted ext4 together with the destinations: bombs fill that, and hard links out of the root would work.
"""
import json, subprocess, sys

import pytest

import make_corpus
import run_corpus
from conftest import HERE, mounted, need_root

MEMORY_MIB = 256
NAMES = [c['name'] for c in make_corpus.CASES if not c['heavy']]
WHO = ['root', 'user']


@pytest.fixture(scope='module')
def trap(scratch):
    need_root()
    with mounted(scratch / 'trap', 'ext4', 3 << 30) as path:
        yield path


@pytest.fixture(scope='module')
def corpora(trap, ordinary_user):
    """{who: (passwd entry or None, corpus, work)}: each belongs to the one who unpacks it, so that he could do harm."""
    out = {}
    for who in WHO:
        user = ordinary_user if who == 'user' else None
        base = trap / who
        base.mkdir()
        subprocess.run([sys.executable, HERE / 'lab' / 'make_corpus.py', base / 'corpus'], check=True,
                       stdout=subprocess.DEVNULL)
        if user:
            subprocess.run(['chown', '-Rh', '%d:%d' % (user.pw_uid, user.pw_gid), base], check=True)
        out[who] = user, base / 'corpus', base / 'work'
        out[who][2].mkdir()
    return out


def test_the_corpus_is_whole(corpora):
    assert len(NAMES) >= 217
    for _, corpus, _ in corpora.values():
        with open(corpus / 'cases.json') as f:
            assert json.load(f) == NAMES


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('who', WHO)
def test_case(binary, sanitized, corpora, who, name):
    user, corpus, work = corpora[who]
    r = run_corpus.run_case(str(corpus / name), str(work), '%s unpack oci:{layout}:{ref} {target}' % binary, 60, user,
                            memory=not sanitized)
    assert r['verdict'] == 'pass', r
    assert sanitized or r['rss_mib'] < MEMORY_MIB, r
    if r['outcome'] == 'rejected':
        assert r['rc'] in OTHER_STATUS.get(name, (6, 7)), r


# Rejected for other reasons than "corrupt or hostile" (6) and "not supported" (7).
OTHER_STATUS = {
    'blob-missing': [3],
    'foreign-urls': [3],                # URLs in a manifest are never fetched: the layer is not there
    'ix-no-platform': [3],
    'ix-empty': [3],
    'ix-platform-escape': [3],
    'cf-os': [3],                       # an image of another system
}
