/*
 * Versions as tags.  All tags are listed, those that are versions are asked for: with a cursor only
 * the newer ones.  The tag without a version ("latest") is told as the newest when no version is
 * the same image; to know that, versions before the cursor may have to be asked for as well.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "resource/check.h"
#include "resource/select.h"

#define BATCH 64u /* of old versions, until one is found */

struct semver_check {
	struct check *check; /* borrowed */
	struct tags tags;
	struct selection selection;
	struct look bare;     /* tag NULL: there is none, or nobody wants it */
	struct look **looks;  /* owned: as many as there are candidates, and one */
	struct look **passed; /* owned: the same, for those the cursor passes over */
	size_t passed_count;
};

static void semver_check_release(struct semver_check *s)
{
	free(s->looks);
	free(s->passed);
	selection_release(&s->selection);
	tags_release(&s->tags);
}

static const struct source *source_of(const struct semver_check *s)
{
	return &s->check->session->request.source;
}

static int list(struct semver_check *s, struct err *err)
{
	const struct source *source = source_of(s);
	AUTO(constraint) constraint = NULL;
	void *looks = NULL, *passed = NULL;
	int r = source->semver_constraint
			? constraint_parse(&constraint, source->semver_constraint, err)
			: 0;
	if (r < 0)
		return err_wrap(err, r, "source.semver_constraint");
	r = repo_tags(s->check->repo, &s->tags, err);
	s->check->listed = s->tags.count;
	if (r == 0)
		r = selection_make(&s->selection, &s->tags, source, constraint, err);
	if (r == 0)
		r = mem_try(&looks, s->selection.count + 1, sizeof(struct look *), err);
	s->looks = looks;
	if (r == 0)
		r = mem_try(&passed, s->selection.count + 1, sizeof(struct look *), err);
	s->passed = passed;
	for (size_t i = 0; r == 0 && !source->semver_constraint && i < s->tags.count; i++) {
		if (str_equal(s->tags.names[i], selection_bare(source)))
			s->bare.tag = s->tags.names[i];
	}
	return r;
}

/* Where Concourse is, if that is still there and what it was, passes over what is not newer. */
static int use_cursor(struct semver_check *s, struct err *err)
{
	const struct source_version *known = &s->check->session->request.version;
	struct digest digest;
	struct candidate *cursor = known->tag && known->digest &&
						   digest_parse(&digest, known->digest, NULL) == 0
					   ? selection_find(&s->selection, known->tag)
					   : NULL;
	if (!cursor)
		return 0;
	s->looks[0] = &cursor->look;
	s->looks[1] = &s->bare;
	int r = look_at_all(s->check, s->looks, s->bare.tag ? 2 : 1, err);
	if (r == 0 && cursor->look.there && digest_equal(&cursor->look.digest, &digest))
		selection_pass(&s->selection, cursor);
	return r;
}

static int newest_first(const void *a, const void *b)
{
	/* a look is the first member of its candidate */
	const struct look *x = *(const struct look *const *)a, *y = *(const struct look *const *)b;
	return semver_compare(&((const struct candidate *)y)->version,
			      &((const struct candidate *)x)->version);
}

static int look(struct semver_check *s, struct err *err)
{
	size_t count = 0;
	for (size_t i = 0; i < s->selection.count; i++) {
		struct candidate *item = &s->selection.items[i];
		if (item->passed)
			s->passed[s->passed_count++] = &item->look;
		else
			s->looks[count++] = &item->look;
	}
	if (s->bare.tag)
		s->looks[count++] = &s->bare;
	qsort(s->passed, s->passed_count, sizeof(*s->passed), newest_first);
	return look_at_all(s->check, s->looks, count, err);
}

static bool is_among(const struct look *bare, struct look *const *looks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (looks[i] != bare && looks[i]->there &&
		    digest_equal(&looks[i]->digest, &bare->digest))
			return true;
	}
	return false;
}

/* Is BARE an image that no version is?  Old ones are asked for until one is found. */
static int find_alone(struct semver_check *s, bool *alone, struct err *err)
{
	*alone = false;
	if (!s->bare.tag || !s->bare.there)
		return 0;
	size_t count = s->selection.count - s->passed_count + 1;
	if (is_among(&s->bare, s->looks, count))
		return 0;
	for (size_t i = 0; i < s->passed_count; i += BATCH) {
		size_t n = s->passed_count - i < BATCH ? s->passed_count - i : BATCH;
		int r = look_at_all(s->check, s->passed + i, n, err);
		if (r < 0)
			return r;
		if (is_among(&s->bare, s->passed + i, n))
			return 0;
	}
	*alone = true;
	return 0;
}

static int run(struct semver_check *s, struct err *err)
{
	bool alone = false;
	int r = list(s, err);
	if (r == 0)
		r = use_cursor(s, err);
	if (r == 0)
		r = look(s, err);
	if (r == 0)
		r = find_alone(s, &alone, err);
	if (r < 0)
		return r;
	selection_best(&s->selection);
	for (size_t i = 0; i < s->selection.count; i++)
		check_add(s->check, s->selection.items[i].look.tag,
			  &s->selection.items[i].look.digest);
	if (alone)
		check_add(s->check, s->bare.tag, &s->bare.digest);
	return 0;
}

int check_semver(struct check *check, struct err *err)
{
	struct semver_check s __attribute__((cleanup(semver_check_release))) = { .check = check };
	return run(&s, err);
}
