"""The check step held against the rules of registry-image: each row of them, over the wire, requests counted.

Against lab/script_registry.py, which records what it is asked; the environment holds nothing but TEST=true.
"""
import json, time

import pytest

import conformlib
import script_registry

NO_DIGEST = 'sha256:' + '0' * 64


@pytest.fixture
def registry():
    with script_registry.ScriptRegistry() as r:
        yield r


@pytest.fixture
def check(binary, registry):
    """check(version, **source): run the step on registry/app."""
    def run(version=None, raw=None, **source):
        request = {'source': {'repository': registry.host + '/app', **source}}
        if version is not None:
            request['version'] = version
        return conformlib.step(binary, 'check', raw or request)
    return run


@pytest.fixture
def app(registry):
    """app('1.0', '1.1'): an image of its own for each word; '1.0=1.1' are one image."""
    made = {}

    def make(*words, name='app'):
        for word in words:
            tags = word.split('=')
            digest = registry.image(name, *tags, labels={'n': word})
            made.update({tag: digest for tag in tags})
        return made
    return make


def asked(registry, method=None):
    return [str(r) for r in registry.requests if method in (None, r.method)]


def versions(made, *tags):
    return [{'tag': t, 'digest': made[t]} for t in tags]


# ---- 2.1 one tag
def test_a_tag_is_one_head(check, registry, app):
    made = app('v')
    assert check(tag='v').json == versions(made, 'v')
    assert asked(registry) == ['HEAD /v2/app/manifests/v']


def test_the_digest_is_that_of_the_index(check, registry):
    child = registry.image('app')
    index = registry.index('app', [(child, 's390x')], 'v')
    assert check(tag='v').json == [{'tag': 'v', 'digest': index}]


def test_a_tag_that_is_missing_gives_nothing(check, registry, app):
    made = app('other')
    done = check({'tag': 'v', 'digest': made['other']}, tag='v')
    assert done.json == [] and "tag 'v' not found" in done.text
    assert asked(registry) == ['HEAD /v2/app/manifests/v']


def test_a_repository_that_is_missing_gives_nothing(check):
    assert check(tag='v').json == []


def test_the_version_that_is_current_is_told_once(check, registry, app):
    made = app('v')
    assert check({'tag': 'v', 'digest': made['v']}, tag='v').json == versions(made, 'v')
    assert asked(registry) == ['HEAD /v2/app/manifests/v']


def test_an_older_version_comes_first_with_the_tag_of_the_source(check, registry, app):
    made = app('old', 'v')
    done = check({'tag': 'somewhere-else', 'digest': made['old']}, tag='v')
    assert done.json == [{'tag': 'v', 'digest': made['old']}, {'tag': 'v', 'digest': made['v']}]
    assert asked(registry) == ['HEAD /v2/app/manifests/v', 'HEAD /v2/app/manifests/' + made['old']]


def test_an_older_version_that_is_gone_is_not_told(check, registry, app):
    made = app('v')
    assert check({'tag': 'v', 'digest': NO_DIGEST}, tag='v').json == versions(made, 'v')
    assert asked(registry) == ['HEAD /v2/app/manifests/v', 'HEAD /v2/app/manifests/' + NO_DIGEST]


@pytest.mark.parametrize('version', [{'tag': 'v', 'digest': ''}, {'tag': 'v'}, {'digest': 'nonsense'}])
def test_a_version_without_a_digest_costs_nothing(check, registry, app, version):
    made = app('v')
    assert check(version, tag='v').json == versions(made, 'v')
    assert len(registry.requests) == 1


@pytest.mark.parametrize('written, tag', [('42.1', '42.1'), ('1.10', '1.10'), ('true', 'true'), ('"x"', 'x')])
def test_a_tag_is_read_as_it_is_written(check, registry, app, written, tag):
    made = app(tag)
    raw = b'{"source":{"repository":"%s/app","tag":%s}}' % (registry.host.encode(), written.encode())
    assert check(raw=raw).json == versions(made, tag)


def test_a_tag_wins_over_the_other_modes(check, registry, app):
    made = app('v', '1.0.0')
    assert check(tag='v', tag_regex='^1', semver_constraint='>=1', variant='x', pre_releases=True).json == versions(made, 'v')
    assert len(registry.requests) == 1


# ---- HEAD, and GET where it is of no use
def drop(*names):
    return lambda h, headers: [headers.pop(n, None) for n in names] if h.command == 'HEAD' else None


def test_without_a_digest_in_the_answer_to_head_get_is_asked(check, registry, app):
    made = app('v')
    registry.quirk = drop('Docker-Content-Digest')
    assert check(tag='v').json == versions(made, 'v')
    assert asked(registry) == ['HEAD /v2/app/manifests/v', 'GET /v2/app/manifests/v']


@pytest.mark.parametrize('status', [400, 403, 405, 501, 502])
def test_head_may_be_refused(check, registry, app, status):
    made = app('v')
    registry.fault = lambda r: status if r.method == 'HEAD' else None
    assert check(tag='v').json == versions(made, 'v')
    assert asked(registry, 'GET')[-1] == 'GET /v2/app/manifests/v'


@pytest.mark.parametrize('kind', ['dummy', '', None])
def test_a_content_type_that_says_nothing_is_enough(check, registry, app, kind):
    made = app('v')
    registry.quirk = lambda h, headers: headers.pop('Content-Type') if kind is None else headers.update({'Content-Type': kind})
    assert check(tag='v').json == versions(made, 'v')
    assert asked(registry) == ['HEAD /v2/app/manifests/v']


def test_bytes_make_the_digest_where_nobody_tells_it(check, registry, app):
    made = app('v')
    registry.quirk = lambda h, headers: [headers.pop(n) for n in ('Docker-Content-Digest', 'Content-Type')]
    assert check(tag='v').json == versions(made, 'v')


def test_who_is_busy_is_not_asked_by_get(check, registry, app):
    made = app('v')
    registry.once()
    assert check(tag='v').json == versions(made, 'v')
    assert asked(registry) == ['HEAD /v2/app/manifests/v'] * 2


def test_everything_is_tried_again(check, registry, app):
    made = app('1.0.0', '1.1.0')
    registry.once(503)
    assert check().json == versions(made, '1.0.0', '1.1.0')
    registry.forget()
    registry.once(429)
    assert check(tag_regex='.', created_at_sort=True).tags == ['1.0.0', '1.1.0']
    assert {(r.method, r.kind) for r in registry.requests} == {('GET', 'tags'), ('HEAD', 'manifest'), ('GET', 'manifest'),
                                                               ('GET', 'blob')}


def test_a_registry_that_stays_ill_fails_the_check(check, registry, app):
    app('v')
    registry.fault = lambda r: 500
    check(tag='v').refused("'%s' answered 500" % registry.host, rc=5)
    assert len(registry.requests) < 12


# ---- messages
def test_a_limit_tells_what_remains_and_when_it_is_reset(check, registry, app):
    app('v')
    limit = {'RateLimit-Limit': '100;w=21600', 'RateLimit-Remaining': '0;w=21600', 'Retry-After': '2520'}
    registry.fault = lambda r: {'status': 429, 'headers': limit}
    check(tag='v').refused('429', '0 of 100 requests per 6 h remain, reset in 42 min', rc=5)
    assert asked(registry) == ['HEAD /v2/app/manifests/v']


def test_a_limit_that_is_reset_at_a_time(check, registry, app):
    app('v')
    limit = {'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': str(int(time.time()) + 5000), 'Retry-After': '5000'}
    registry.fault = lambda r: {'status': 429, 'headers': limit}
    check(tag='v').refused('0 requests remain, reset in 83 min', rc=5)


@pytest.mark.parametrize('bearer', [None, 'b'])
def test_a_refusal_names_the_credential_and_what_was_said(binary, bearer):
    with script_registry.ScriptRegistry('user', 'right') as r:
        r.bearer = bearer
        r.fault = lambda q: ({'status': 401, 'headers': {'WWW-Authenticate': 'Basic realm="x"'},
                              'body': b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong, try again"}]}'}
                             if not bearer and q.kind == 'manifest' else None)
        done = conformlib.step(binary, 'check', {'source': {'repository': r.host + '/app', 'tag': 'v', 'username': 'user',
                                                            'password': 's3cret'}})
        done.refused('source.username', 'UNAUTHORIZED', rc=4)
        assert bearer or 'wrong, try again' in done.text
        assert 's3cret' not in done.text and 'dXNlcjpzM2NyZXQ' not in done.text


def test_a_refusal_of_nobody_says_so(check, registry, app):
    app('v')
    registry.fault = lambda r: {'status': 403, 'body': b'{"errors":[{"code":"DENIED","message":"ask admin"}]}'}
    check(tag='v').refused('anonymous', '403', 'DENIED', 'ask admin', rc=4)


@pytest.mark.parametrize('given', [{'username': 'user'}, {'password': 'right'}, {'username': 'user', 'password': ''}])
def test_half_a_credential_is_none(binary, given):
    with script_registry.ScriptRegistry('user', 'right') as r:
        conformlib.step(binary, 'check', {'source': {'repository': r.host + '/app', 'tag': 'v', **given}}).refused(
            'there are none for it', rc=4)
        assert all('Authorization' not in q.headers for q in r.requests)


def test_a_token_is_asked_for_once(binary):
    with script_registry.ScriptRegistry('user', 'right') as r:
        r.bearer = 'token'
        for i in range(30):
            r.image('app', '1.0.%d' % i, labels={'i': str(i)})
        done = conformlib.step(binary, 'check', {'source': {'repository': r.host + '/app', 'username': 'user',
                                                            'password': 'right'}})
        assert len(done.json) == 30 and sum(q.kind == 'token' for q in r.requests) == 1
        assert r.scopes == [['repository:app:pull']]


# ---- payloads
@pytest.mark.parametrize('what, says', [
    ({'source': {'repository': 'a', 'tagregex': '1'}}, "unknown field 'tagregex' in source (did you mean 'tag_regex'?)"),
    ({'source': {'repository': 'a', 'format': 'oci'}}, "'format' in source (it belongs in the params of a get step)"),
    ({'source': {'repository': 'a', 'bump_aliases': True}}, "'bump_aliases' in source (it belongs in the params of a put step)"),
    ({'source': {'repository': 'a'}, 'params': {}}, "unknown field 'params'"),
    ({'source': {'repository': 'a'}, 'version': {'ref': 'x'}}, "unknown field 'ref' in version"),
    ({'source': {'repository': 'a', 'registry_mirror': {'hots': 'x'}}}, "'hots' in source.registry_mirror (did you mean 'host'?)"),
    ({'source': {'repository': 'a', 'platform': {'arch': 'x'}}}, "unknown field 'arch' in source.platform"),
    ({'source': {'repository': 'a', 'pre_releases': 'yes'}}, 'source.pre_releases must be true or false'),
    ({'source': {'repository': 'a', 'semver_constraint': 'foo'}}, "source.semver_constraint: improper constraint 'foo'"),
    ({'source': {'repository': 'a', 'tag_regex': '('}}, 'source.tag_regex'),
    ({'source': {}}, 'source.repository is missing'),
    (b'{"source":', 'the request on stdin'),
])
def test_what_cannot_be_meant_is_refused(binary, what, says):
    conformlib.step(binary, 'check', what).refused(says)


def test_names_are_read_in_any_case_and_only_the_first_value(check, registry, app):
    made = app('v')
    assert check(raw=b'{"Source":{"REPOSITORY":"%s/app","Tag":"v"}} {"x":' % registry.host.encode()).json == versions(made, 'v')


def test_a_bad_constraint_does_not_matter_with_a_tag(check, app):
    made = app('v')
    assert check(tag='v', semver_constraint='foo', tag_regex='(').json == versions(made, 'v')


# ---- 2.2 an expression
def test_an_expression_is_looked_for_anywhere(check, registry, app):
    made = app('1.0', 'v1.2-x', '21.1', 'latest')
    assert check(tag_regex=r'1\.\d').json == versions(made, '1.0', '21.1', 'v1.2-x')
    assert asked(registry)[0] == 'GET /v2/app/tags/list'
    assert sorted(asked(registry)[1:]) == ['HEAD /v2/app/manifests/' + t for t in ('1.0', '21.1', 'v1.2-x')]


def test_the_registrys_order_and_equal_digests_are_kept(check, registry, app):
    made = app('b=a', 'c')
    registry.order['app'] = ['c', 'b', 'a']
    assert check(tag_regex='^[abc]$').json == versions(made, 'c', 'b', 'a')


def test_an_expression_knows_no_cursor_and_no_versions(check, registry, app):
    made = app('1.0.0', '1.1.0-rc1-slim', '2.0.0')
    done = check({'tag': '2.0.0', 'digest': made['2.0.0']}, tag_regex='^[12]', semver_constraint='>1', variant='x')
    assert done.json == versions(made, '1.0.0', '1.1.0-rc1-slim', '2.0.0')


def test_no_tag_that_matches_gives_nothing(check, registry, app):
    app('a')
    assert check(tag_regex='^b').json == [] and asked(registry) == ['GET /v2/app/tags/list']


def test_a_tag_that_goes_meanwhile_is_left_out(check, registry, app):
    made = app('a', 'b')
    registry.fault = lambda r: 404 if r.path.endswith('/b') else None
    assert check(tag_regex='.').json == versions(made, 'a')


def test_an_expression_that_runs_away_is_ended(check, registry, app):
    app('a' * 100)
    check(tag_regex='^(a+)+(b|c)$').refused('too many steps', rc=6)


# ---- created_at_sort
def test_images_are_sorted_by_when_they_were_made(check, registry):
    made = {'a': registry.image('app', 'a', created='2024-03-01T00:00:00Z'),
            'b': registry.image('app', 'b', created='2024-01-01T00:00:00Z'),
            'c': registry.image('app', 'c', created='2024-02-29T23:30:00-01:00'),
            'd': registry.image('app', 'd', created=None)}
    assert check(tag_regex='.', created_at_sort=True).json == versions(made, 'd', 'b', 'a', 'c')
    assert [registry.count(*k) for k in (('HEAD', 'manifest'), ('GET', 'manifest'), ('GET', 'blob'))] == [4, 4, 4]


def test_an_image_of_two_tags_is_read_once(check, registry, app):
    made = app('a=b=c')
    assert check(tag_regex='.', created_at_sort=True).json == versions(made, 'a', 'b', 'c')
    assert registry.count('GET', 'manifest') == 1


def test_of_an_index_the_platforms_image_counts(check, registry):
    old, new = (registry.image('app', created='20%d-01-01T00:00:00Z' % y, arch='s390x') for y in (20, 24))
    middle = registry.image('app', created='2022-01-01T00:00:00Z')
    made = {'x': registry.index('app', [(middle, 'amd64'), (new, 's390x')], 'x'),
            'y': registry.index('app', [(old, 's390x'), (middle, 'arm64')], 'y')}
    assert check(tag_regex='.', created_at_sort=True, platform={'architecture': 's390x'}).json == versions(made, 'y', 'x')


def test_an_index_without_the_platform_fails_the_check(check, registry):
    registry.index('app', [(registry.image('app', arch='s390x'), 's390x')], 'x')
    check(tag_regex='.', created_at_sort=True, platform={'architecture': 'arm64'}).refused("tag 'x'", 's390x', rc=3)


def test_an_image_for_another_system_has_a_date_too(check, registry):
    made = {'w': registry.image('app', 'w', os='windows'), 'l': registry.image('app', 'l', created='2023-01-01T00:00:00Z')}
    assert check(tag_regex='.', created_at_sort=True).json == versions(made, 'l', 'w')


def test_without_an_expression_dates_do_not_matter(check, registry, app):
    made = app('1.0', '2.0')
    assert check(created_at_sort=True).json == versions(made, '1.0', '2.0') and registry.count('GET', 'blob') == 0


# ---- 2.3 versions
def test_all_versions_ascending(check, registry, app):
    made = app('1.10.0', '1.9.0', 'v1.9.5', '2', '20240101', '3.1', 'foo', '1.2.3.4', '1.2.3_4', '4.0.0-rc1', '1.x')
    assert check().json == versions(made, '1.9.0', 'v1.9.5', '1.10.0', '2', '3.1', '20240101')
    assert asked(registry)[0] == 'GET /v2/app/tags/list' and registry.count('HEAD', 'manifest') == 6


def test_no_versions_at_all(check, registry, app):
    app('foo', 'bar')
    done = check()
    assert done.json == [] and done.text == "none of the 2 tags of '%s/app' is asked for\n" % registry.host


def test_a_repository_that_is_missing_is_an_error(check, registry):
    check().refused('app', '404', 'NAME_UNKNOWN', rc=3)


@pytest.mark.parametrize('same, best', [
    ('1=1.2=1.2.3', '1.2.3'),
    ('1.2.3-rc.1=1.2.3', '1.2.3'),
    ('1.2.3.4=1.2=v1', '1.2'),
    ('1-rc=2', '2'),
    ('1.0.0-rc=1.0.0-rc.2', '1.0.0-rc.2'),
])
def test_an_image_is_told_once_by_its_best_tag(check, app, same, best):
    made = app(same)
    assert check(pre_releases=True).json == versions(made, best)


def test_equal_versions_come_in_one_order(check, registry, app):
    made = app('1.0.0', '1.0', '1', 'v1.0.0')
    want = versions(made, '1', '1.0', '1.0.0', 'v1.0.0')
    for order in (['1', '1.0', '1.0.0', 'v1.0.0'], ['v1.0.0', '1.0.0', '1.0', '1'], ['1.0', 'v1.0.0', '1', '1.0.0']):
        registry.order['app'] = order
        assert check().json == want


# ---- latest
def test_latest_is_the_newest_when_it_is_an_image_of_its_own(check, app):
    made = app('1.0.0', 'latest')
    assert check().json == versions(made, '1.0.0', 'latest')


def test_latest_is_left_out_when_it_is_a_version(check, app):
    made = app('1.0.0=latest', '2.0.0')
    assert check().json == versions(made, '1.0.0', '2.0.0')


def test_latest_alone(check, app):
    made = app('latest')
    assert check().json == versions(made, 'latest')


def test_latest_of_an_older_version_is_not_the_newest_with_a_cursor(check, registry, app):
    """registry-image tells it as the newest here."""
    made = app('1.0.0=latest', '1.5.0')
    assert check({'tag': '1.5.0', 'digest': made['1.5.0']}).json == versions(made, '1.5.0')


def test_latest_that_is_new_is_told_with_a_cursor(check, registry, app):
    made = app('1.0.0', '1.1.0', '1.5.0', 'latest')
    assert check({'tag': '1.5.0', 'digest': made['1.5.0']}).json == versions(made, '1.5.0', 'latest')


def test_a_constraint_leaves_latest_out(check, registry, app):
    made = app('1.0.0', 'latest')
    assert check(semver_constraint='*').json == versions(made, '1.0.0')
    assert asked(registry, 'HEAD') == ['HEAD /v2/app/manifests/1.0.0']


def test_latest_as_the_cursor_means_all(check, app):
    made = app('1.0.0', 'latest')
    assert check({'tag': 'latest', 'digest': made['latest']}).json == versions(made, '1.0.0', 'latest')


# ---- constraints, variants, prereleases
@pytest.mark.parametrize('constraint, want', [
    ('^1.2', ['1.2.0', '1.9.9']),
    ('~1.2', ['1.2.0']),
    ('>=1.2, <2 || 3.x', ['1.2.0', '1.9.9', '3.0.0']),
    ('1.0 - 1.9', ['1.0.0', '1.2.0', '1.9.9']),
    ('!=1.2.0 <3', ['1.0.0', '1.9.9', '2.0.0']),
    ('>9', []),
])
def test_constraints(check, registry, app, constraint, want):
    made = app('1.0.0', '1.2.0', '1.9.9', '2.0.0', '2.1.0-rc1', '3.0.0')
    assert check(semver_constraint=constraint, pre_releases=True).json == versions(made, *want)
    assert registry.count('HEAD', 'manifest') == len(want)


def test_a_constraint_with_a_prerelease_allows_them(check, app):
    made = app('1.0.0', '1.1.0-rc1', '1.1.0-beta2')
    assert check(semver_constraint='>=1.0.0-0', pre_releases=True).json == versions(made, '1.0.0', '1.1.0-beta2', '1.1.0-rc1')
    assert check(semver_constraint='>=1.0.0-0').json == versions(made, '1.0.0')


def test_prereleases(check, app):
    made = app('1.0.0-alpha', '1.0.0-beta.2', '1.0.0-rc1', '1.0.0-dev', '1.0.0-rc1-slim', '1.0.0', '1.0.0-slim')
    assert check().json == versions(made, '1.0.0')
    assert check(pre_releases=True).json == versions(made, '1.0.0-alpha', '1.0.0-beta.2', '1.0.0-rc1', '1.0.0')
    # with prefixes of one's own a "-" does not make a variant any more
    assert check(pre_releases=True, pre_release_prefixes=['dev']).json == versions(
        made, '1.0.0-alpha', '1.0.0-beta.2', '1.0.0-dev', '1.0.0-rc1', '1.0.0-rc1-slim', '1.0.0')
    assert check(pre_release_prefixes=['dev']).json == versions(made, '1.0.0')


def test_variants(check, registry, app):
    made = app('1.0.0-slim', '1.1.0-slim', '1.2.0', '1.3.0-rc1-slim', '1.4.0-alpine', 'slim', 'latest', '1.5.0slim', '-slim')
    assert check(variant='slim').json == versions(made, '1.0.0-slim', '1.1.0-slim', 'slim')
    assert check(variant='slim', pre_releases=True).json == versions(made, '1.0.0-slim', '1.1.0-slim', '1.3.0-rc1-slim', 'slim')
    assert check(variant='alpine').json == versions(made, '1.4.0-alpine')
    assert check(variant='none').json == []


# ---- the cursor
def test_what_is_not_newer_than_the_cursor_is_not_asked_for(check, registry, app):
    made = app('1.0.0', '1.1.0', '1.1', '1.2.0', '1.3.0')
    assert check({'tag': '1.1.0', 'digest': made['1.1.0']}).json == versions(made, '1.1.0', '1.2.0', '1.3.0')
    assert asked(registry)[:2] == ['GET /v2/app/tags/list', 'HEAD /v2/app/manifests/1.1.0']
    assert sorted(asked(registry)[2:]) == ['HEAD /v2/app/manifests/1.2.0', 'HEAD /v2/app/manifests/1.3.0']


def test_the_cursor_keeps_its_tag(check, app):
    made = app('1.1.0=1.1.1', '1.2.0')
    assert check({'tag': '1.1.1', 'digest': made['1.1.1']}).json == versions(made, '1.1.1', '1.2.0')
    assert check().json == versions(made, '1.1.0', '1.2.0')


@pytest.mark.parametrize('version', [
    {'tag': '1.1.0', 'digest': NO_DIGEST},      # it was pushed anew
    {'tag': '1.0.5', 'digest': NO_DIGEST},      # it is gone
    {'tag': 'foo', 'digest': NO_DIGEST},        # it is no version any more
    {'tag': '1.1.0'},
])
def test_a_cursor_that_does_not_hold_means_all(check, app, version):
    made = app('1.0.0', '1.1.0', '1.2.0')
    assert check(version).json == versions(made, '1.0.0', '1.1.0', '1.2.0')


def test_a_cursor_that_the_constraint_excludes_means_all(check, app):
    made = app('1.0.0', '1.1.0', '2.0.0')
    assert check({'tag': '2.0.0', 'digest': made['2.0.0']}, semver_constraint='<2').json == versions(made, '1.0.0', '1.1.0')


# ---- pages, and many
@pytest.mark.parametrize('link', [
    None,
    lambda at: at.split('/')[-1],                   # relative to the page
], ids=['path', 'relative'])
def test_lists_are_read_to_their_last_page(check, registry, app, link):
    made = app(*['1.0.%d' % i for i in range(25)])
    registry.page, registry.link = 10, link
    assert check().json == versions(made, *['1.0.%d' % i for i in range(25)])
    lists = [r for r in registry.requests if r.kind == 'tags']
    assert len(lists) == 3 and all(r.query['n'] == '1000' for r in lists)


def test_a_registry_may_think_it_is_somewhere_else(check, registry, app):
    """Behind a proxy: another scheme, another port, the same host."""
    app('1.0.0', '1.0.1')
    registry.page, registry.link = 1, lambda at: 'https://127.0.0.1' + at
    assert check().tags == ['1.0.0', '1.0.1']


def test_a_list_that_goes_on_elsewhere_is_refused(check, registry, app):
    app('1.0.0', '1.0.1')
    registry.page, registry.link = 1, lambda at: 'http://elsewhere.invalid' + at
    check().refused('elsewhere.invalid', rc=5)


def test_a_list_in_a_circle_is_refused(check, registry, app):
    app('1.0.0', '1.0.1')
    registry.page, registry.link = 1, lambda at: '/v2/app/tags/list?n=1000'
    check().refused('goes on where it was', rc=5)


def test_a_registry_with_a_smaller_maximum_gets_its_way(check, registry, app):
    made = app('1.0.0')
    registry.fault = lambda r: ({'status': 400, 'headers': {'Content-Type': 'application/json'},
                                 'body': b'{"errors":[{"code":"PAGINATION_NUMBER_INVALID"}]}'}
                                if r.query.get('n') == '1000' else None)
    assert check().json == versions(made, '1.0.0')


@pytest.mark.parametrize('body', [b'{"name":"app","tags":null}', b'{"name":"app"}', b'{"tags":[]}'])
def test_an_empty_list(check, registry, app, body):
    app('1.0.0')
    registry.fault = lambda r: {'status': 200, 'body': body} if r.kind == 'tags' else None
    assert check().json == []


@pytest.mark.parametrize('body', [b'<html>', b'[]', b'{"tags":{}}'])
def test_what_is_no_list_is_an_error(check, registry, app, body):
    app('1.0.0')
    registry.fault = lambda r: {'status': 200, 'body': body} if r.kind == 'tags' else None
    check().refused('list the tags', rc=5)


def test_hundreds_of_tags_take_a_few_round_trips(check, registry, app):
    """320 over 30 ms: one after the other would take 10 s."""
    made = app(*['1.%d.0' % i for i in range(320)])
    registry.delay = 0.03
    done = check()
    assert done.tags == ['1.%d.0' % i for i in range(320)] and set(made) == set(done.tags)
    assert registry.count('HEAD', 'manifest') == 320
    assert 8 <= registry.most_at_once <= 16 and registry.connections <= 17, (registry.most_at_once, registry.connections)
    assert done.seconds < 5, done.seconds


# ---- trust
def test_an_authority_of_the_source(binary, tmp_path):
    pem, key = conformlib.certificate(tmp_path, 'IP:127.0.0.1')
    with script_registry.ScriptRegistry(certificate=(pem, key)) as r:
        digest = r.image('app', '1.0.0')
        source = {'repository': r.host + '/app'}
        trusting = conformlib.step(binary, 'check', {'source': dict(source, ca_certs=[pem.read_text()])})
        assert trusting.json == [{'tag': '1.0.0', 'digest': digest}]
        conformlib.step(binary, 'check', {'source': source}).refused('certificate', rc=5)
        conformlib.step(binary, 'check', {'source': dict(source, ca_certs=['no pem'])}).refused('source.ca_certs[0]')


# ---- mirrors of Docker Hub
@pytest.fixture(scope='module')
def hub(scratch):
    with conformlib.docker_hub(scratch) as it:
        yield it


@pytest.fixture
def hub_check(binary, hub):
    """hub_check(mirror, **source): a check of 'thing' on Docker Hub; .hub is that."""
    def run(mirror, version=None, **source):
        origin, before, ca = hub
        what = {'source': {'repository': 'thing', 'ca_certs': [ca], **source}}
        if mirror:
            what['source']['registry_mirror'] = mirror
        if version:
            what['version'] = version
        return conformlib.step(binary, 'check', what, before=before)
    origin = hub[0]
    origin.forget()
    origin.manifests, origin.fault = {}, None
    run.hub = origin
    return run


@pytest.mark.parametrize('source, tag', [({'tag': 'v'}, 'v'), ({}, '1.0.0'), ({'tag_regex': '^1'}, '1.0.0')])
def test_a_mirror_that_answers_is_the_only_one_asked(hub_check, registry, source, tag):
    digest = registry.image('library/thing', tag)
    hub_check.hub.image('library/thing', tag, labels={'newer': 'yes'})
    done = hub_check({'host': registry.host}, **source)
    assert done.json == [{'tag': tag, 'digest': digest}] and done.err == b''
    assert hub_check.hub.requests == [] and all('/library/thing/' in r.path for r in registry.requests)


@pytest.mark.parametrize('source, tag', [({'tag': 'v'}, 'v'), ({}, '1.0.0'), ({'tag_regex': '^1'}, '1.0.0')])
@pytest.mark.parametrize('ill', ['unknown', 'other tags', 'forbidden', 'broken', 'unresolvable'])
def test_a_mirror_that_does_not_serve_is_left_for_the_origin(hub_check, registry, source, tag, ill):
    digest = hub_check.hub.image('library/thing', tag)
    host = 'mirror.invalid' if ill == 'unresolvable' else registry.host
    if ill == 'other tags':
        registry.image('library/thing', 'unrelated')
    registry.fault = {'forbidden': lambda r: 403, 'broken': lambda r: 500}.get(ill)
    done = hub_check({'host': host}, **source)
    assert done.json == [{'tag': tag, 'digest': digest}], done
    assert "warning: mirror '%s'" % host in done.text and 'docker.io' in done.text
    assert len(hub_check.hub.requests) == (1 if 'tag' in source else 2)


def test_a_mirror_has_credentials_of_its_own(hub_check):
    with script_registry.ScriptRegistry('m', 'p') as mirror:
        mirror.image('library/thing', 'v')
        both = {'username': 'u', 'password': 's'}
        assert hub_check({'host': mirror.host, 'username': 'm', 'password': 'p'}, tag='v', **both).tags == ['v']
        mirror.forget()
        hub_check({'host': mirror.host}, tag='v', **both)       # ours are not for the mirror
        assert mirror.requests and all('Authorization' not in r.headers for r in mirror.requests)


def test_a_mirror_may_be_a_url(hub_check, registry):
    registry.image('library/thing', 'v')
    assert hub_check({'host': 'http://%s/' % registry.host}, tag='v').tags == ['v']
    hub_check({'host': 'http://%s/path' % registry.host}, tag='v').refused('without a path')


def test_a_mirror_is_not_asked_for_other_registries(check, registry, app):
    made = app('v')
    assert check(tag='v', registry_mirror={'host': '127.0.0.1:1'}).json == versions(made, 'v')


def test_short_names_are_docker_hubs_library(hub_check):
    hub_check.hub.image('library/thing', 'v')
    assert hub_check(None, tag='v').tags == ['v']
    assert asked(hub_check.hub) == ['HEAD /v2/library/thing/manifests/v']


# ---- images on disk
def test_a_layout_has_tags_too(binary, scratch):
    import mkimage
    layout = mkimage.Layout(scratch / 'conformance-layout')
    digests = {t: layout.tag(t, layout.image([], labels={'t': t})) for t in ('1.0.0', '1.1.0', 'v')}
    source = {'repository': 'oci:%s' % layout.d}
    done = conformlib.step(binary, 'check', {'source': dict(source, tag_regex='^1')})
    assert done.json == [{'tag': t, 'digest': digests[t]} for t in ('1.0.0', '1.1.0')]
    done = conformlib.step(binary, 'check', {'source': dict(source, semver_constraint='>1.0')})
    assert done.json == [{'tag': '1.1.0', 'digest': digests['1.1.0']}]
