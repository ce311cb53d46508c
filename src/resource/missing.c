/*
 * A version that is gone leaves its user with a digest that means nothing to anybody; the tags that
 * are there mean something.  Whatever goes wrong in here is ignored: there is an error already.
 */
#include "resource/missing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

#define CLOSEST_MAX 5u
#define LOOKED_AT_MAX 20000u /* tags: each costs a comparison of all letters with all */

struct near {
	const char *tag; /* borrowed */
	size_t distance;
	size_t place;
};

static bool is_nearer(const struct near *a, const struct near *b)
{
	/* of two as near the later in the list, which is mostly the newer */
	return a->distance != b->distance ? a->distance < b->distance : a->place > b->place;
}

/* Keep NEAR among the best, which are sorted. */
static void keep(struct near *best, size_t *count, struct near near)
{
	size_t at = *count < CLOSEST_MAX ? (*count)++ : CLOSEST_MAX - 1;
	if (at == CLOSEST_MAX - 1 && best[at].tag && !is_nearer(&near, &best[at]))
		return;
	for (; at > 0 && is_nearer(&near, &best[at - 1]); at--)
		best[at] = best[at - 1];
	best[at] = near;
}

static void add_closest(struct str *out, const struct tags *tags, const char *tag)
{
	struct near best[CLOSEST_MAX] = { 0 };
	size_t count = 0, looked_at = tags->count < LOOKED_AT_MAX ? tags->count : LOOKED_AT_MAX;
	for (size_t i = 0; i < looked_at; i++) {
		const char *other = tags->names[i];
		keep(best, &count, (struct near){ other, str_distance(tag, other), i });
	}
	str_addf(out, "; there is no tag '%s' either, ", esc(tag));
	str_add(out, count > 1 ? "the closest are " : count ? "only " : "nor any other");
	for (size_t i = 0; i < count; i++)
		str_addf(out, "%s'%s'", i > 0 ? ", " : "", esc(best[i].tag));
}

static bool has(const struct tags *tags, const char *tag)
{
	for (size_t i = 0; i < tags->count; i++) {
		if (strcmp(tags->names[i], tag) == 0)
			return true;
	}
	return false;
}

static void explain(struct repo *repo, const struct ref *ref, const char *tag, struct str *out)
{
	auto_descriptor found = { 0 };
	auto_tags tags = { 0 };
	if (repo_head(repo, ref, &found, NULL) != -ENOENT || repo_tags(repo, &tags, NULL) < 0)
		return;
	if (has(&tags, tag))
		str_addf(out, "; the tag '%s' is there, for another image: check again", esc(tag));
	else
		add_closest(out, &tags, tag);
}

void missing_explain(const struct session *session, const struct ref *ref, const char *tag,
		     struct err *err)
{
	AUTO(repo) repo = NULL;
	auto_str more = STR_MAX(ERR_TEXT_MAX_BYTES);
	if (!tag || ref->kind != REF_REGISTRY ||
	    repo_open(&repo, ref, &session->images.repo, NULL) < 0)
		return;
	explain(repo, ref, tag, &more);
	if (more.length == 0)
		return;
	struct err before = *err;
	(void)err_set(err, -before.code, "%s%s", err_text(&before), str_text(&more));
}
