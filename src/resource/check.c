/*
 * The check step: which versions there are.  One tag has at most two (a registry keeps no history):
 * the one Concourse knows, while it can still be fetched, and the one the tag names now.  Without a
 * tag the versions are tags, chosen by an expression (check-regex.c) or as semantic versions
 * (check-semver.c).  Oldest first.
 */
#include "resource/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "resource/resource.h"
#include "term/report.h"

#define ANSWER_MAX_BYTES (64u * 1024 * 1024)

void check_release(struct check *check)
{
	for (size_t i = 0; i < check->count; i++)
		free(check->versions[i].tag);
	free(check->versions);
	*check = (struct check){ 0 };
}

void check_add(struct check *check, const char *tag, const struct digest *digest)
{
	check->versions = mem_grow(check->versions, &check->capacity, check->count,
				   sizeof(*check->versions));
	check->versions[check->count++] = (struct check_version){ mem_strdup(tag), *digest };
}

/* --- one tag --- */

/* 1 and *OUT when REF names something, 0 when it does not. */
static int find(struct repo *repo, const struct ref *ref, struct digest *out, struct err *err)
{
	auto_descriptor found = { 0 };
	int r = repo_head(repo, ref, &found, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	*out = found.digest;
	return 1;
}

/* The version Concourse has, if it is another than NOW and still there: 1 and *OUT. */
static int find_known(const struct check *check, const struct digest *now, struct digest *out,
		      struct err *err)
{
	const struct source_version *known = &check->session->request.version;
	/* what is no digest cannot be there */
	if (!known->digest || digest_parse(out, known->digest, NULL) < 0 || digest_equal(out, now))
		return 0;
	auto_ref ref = { 0 };
	session_ref_at(check->session, out, &ref);
	struct digest same;
	return find(check->repo, &ref, &same, err);
}

static int check_tag(struct check *check, struct err *err)
{
	const struct ref *ref = &check->session->ref;
	const char *tag = ref->tag ? ref->tag : "latest";
	struct digest now, known;
	int r = find(check->repo, ref, &now, err);
	if (r == 0)
		report_line("tag '%s' not found in '%s'", esc(tag),
			    esc(check->session->request.source.repository));
	if (r <= 0)
		return r;
	r = find_known(check, &now, &known, err);
	if (r > 0)
		check_add(check, tag, &known);
	if (r >= 0)
		check_add(check, tag, &now);
	return r < 0 ? r : 0;
}

/* --- the modes --- */

typedef int (*check_mode)(struct check *check, struct err *err);

/* An image on disk that nothing is asked of is the only one there, or the one that was named. */
static check_mode mode_of(const struct session *session)
{
	const struct source *source = &session->request.source;
	if (source->tag)
		return check_tag;
	if (source->tag_regex)
		return check_regex;
	if (session->ref.kind != REF_REGISTRY && !source->semver_constraint && !source->variant &&
	    !source->pre_releases)
		return check_tag;
	return check_semver;
}

static int run_once(struct check *check, check_mode mode, const struct repo_options *options,
		    struct err *err)
{
	AUTO(repo) repo = NULL;
	int r = repo_open(&repo, &check->session->ref, options, err);
	if (r < 0)
		return r;
	check->repo = repo;
	r = mode(check, err);
	check->repo = NULL;
	return r;
}

/* A mirror that has tags, but none of these, is not the last to be asked. */
static int run(struct check *check, struct err *err)
{
	check_mode mode = mode_of(check->session);
	struct repo_options options = check->session->images.repo;
	bool mirrored = options.mirror && mode != check_tag &&
			str_equal(check->session->ref.host, "docker.io");
	int r = run_once(check, mode, &options, err);
	if (r == 0 && check->count == 0 && mirrored) {
		report_line("rootlet: warning: mirror '%s' has no such tags; asking '%s'",
			    esc(options.mirror), esc(check->session->ref.host));
		options.mirror = NULL;
		r = run_once(check, mode, &options, err);
	}
	if (r == 0 && check->count == 0 && mode != check_tag)
		report_line("none of the %zu tags of '%s' is asked for", check->listed,
			    esc(check->session->request.source.repository));
	return r;
}

static int answer(const struct check *check, struct err *err)
{
	auto_str out = STR_MAX(ANSWER_MAX_BYTES);
	str_addc(&out, '[');
	for (size_t i = 0; i < check->count; i++) {
		const struct check_version *version = &check->versions[i];
		str_add(&out, i > 0 ? ",{\"tag\":" : "{\"tag\":");
		json_add_string(&out, version->tag);
		str_addf(&out, ",\"digest\":\"%s\"}", digest_show(&version->digest));
	}
	str_addc(&out, ']');
	if (out.failed)
		return err_set(err, E2BIG, "%zu versions are too many to tell", check->count);
	return session_answer(str_text(&out), err);
}

static int check_step(struct err *err)
{
	AUTO(session) session = NULL;
	int r = session_open(&session, STEP_CHECK, err);
	if (r < 0)
		return r;
	struct check check __attribute__((cleanup(check_release))) = { .session = session };
	r = run(&check, err);
	return r < 0 ? r : answer(&check, err);
}

int resource_check(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	/* There is nothing to undo: a signal may end it at once. */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	struct err err = { 0 };
	int r = check_step(&err);
	return r < 0 ? session_fail(r, &err) : 0;
}
