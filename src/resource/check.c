/*
 * The check step: which digest a tag has now.
 *
 * A registry keeps no history, so there are at most two versions to tell: the one Concourse knows,
 * while it can still be fetched, and the one the tag names now, oldest first.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "resource/resource.h"
#include "resource/session.h"
#include "term/report.h"

#define ANSWER_MAX_BYTES 4096

static void add_version(struct str *out, const char *tag, const struct digest *digest)
{
	str_add(out, out->length > 1 ? ",{\"tag\":" : "{\"tag\":");
	json_add_string(out, tag);
	str_addf(out, ",\"digest\":\"%s\"}", digest_show(digest));
}

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
static int find_known(const struct session *session, struct repo *repo, const struct digest *now,
		      struct digest *out, struct err *err)
{
	const struct source_version *known = &session->request.version;
	/* what is no digest cannot be there */
	if (!known->digest || digest_parse(out, known->digest, NULL) < 0 || digest_equal(out, now))
		return 0;
	auto_ref ref = { 0 };
	session_ref_at(session, out, &ref);
	struct digest same;
	return find(repo, &ref, &same, err);
}

static int check_tag(const struct session *session, struct str *out, struct err *err)
{
	AUTO(repo) repo = NULL;
	int r = repo_open(&repo, &session->ref, &session->images.repo, err);
	if (r < 0)
		return r;

	const char *tag = session->ref.tag ? session->ref.tag : "latest";
	struct digest now, known;
	str_addc(out, '[');
	r = find(repo, &session->ref, &now, err);
	if (r == 0)
		report_line("tag '%s' not found in '%s'", esc(tag),
			    esc(session->request.source.repository));
	if (r > 0) {
		r = find_known(session, repo, &now, &known, err);
		if (r > 0)
			add_version(out, tag, &known);
		if (r >= 0)
			add_version(out, tag, &now);
	}
	str_addc(out, ']');
	return r < 0 ? r : 0;
}

static int check(struct err *err)
{
	AUTO(session) session = NULL;
	int r = session_open(&session, STEP_CHECK, err);
	if (r < 0)
		return r;
	auto_str answer = STR_MAX(ANSWER_MAX_BYTES);
	r = check_tag(session, &answer, err);
	return r < 0 ? r : session_answer(str_text(&answer), err);
}

int resource_check(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	/* There is nothing to undo: a signal may end it at once. */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	struct err err = { 0 };
	int r = check(&err);
	return r < 0 ? session_fail(r, &err) : 0;
}
