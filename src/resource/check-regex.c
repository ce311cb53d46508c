/*
 * Versions are the tags that an expression finds, in the registry's order or in that in which the
 * images were made.  What Concourse has already does not matter: all are told.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/regex.h"
#include "image/parallel.h"
#include "resource/check.h"
#include "resource/when.h"

#define DATE_THREADS_MAX 8u

struct match {
	struct look look;
	size_t place; /* in the registry's list */
	struct when created;
	struct match *same; /* borrowed: an earlier one of the same digest, or NULL */
};

struct regex_check {
	struct check *check; /* borrowed */
	struct tags tags;
	struct match *matches; /* owned, by place until they are sorted */
	struct look **looks;   /* owned: of the matches */
	size_t count;
};

static void regex_check_release(struct regex_check *c)
{
	free(c->matches);
	free(c->looks);
	tags_release(&c->tags);
}

static int find(struct regex_check *c, struct regex *regex, struct err *err)
{
	void *matches = NULL, *looks = NULL;
	int r = mem_try(&matches, c->tags.count + 1, sizeof(*c->matches), err);
	c->matches = matches;
	if (r == 0)
		r = mem_try(&looks, c->tags.count + 1, sizeof(struct look *), err);
	c->looks = looks;
	for (size_t i = 0; r == 0 && i < c->tags.count; i++) {
		bool found = false;
		r = regex_search(regex, c->tags.names[i], &found, err);
		if (!found)
			continue;
		struct match *match = &c->matches[c->count];
		*match = (struct match){ .look = { .tag = c->tags.names[i] }, .place = i };
		c->looks[c->count++] = &match->look;
	}
	return r;
}

/* --- when they were made --- */

static int date(void *arg, size_t task, struct err *err)
{
	const struct regex_check *c = arg;
	struct match *match = &c->matches[task];
	AUTO(image) image = NULL;
	auto_ref ref = { 0 };
	if (!match->look.there || match->same)
		return 0;
	session_ref_at(c->check->session, &match->look.digest, &ref);
	int r = image_open_in(&image, c->check->repo, &ref, &c->check->session->images,
			      IMAGE_BORROW_REPO | IMAGE_ANY_OS, err);
	if (r < 0)
		return err_wrap(err, r, "tag '%s'", esc(match->look.tag));
	/* no date is older than all */
	(void)when_parse(&match->created, image->config.created);
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	const struct match *x = *(const struct match *const *)a;
	const struct match *y = *(const struct match *const *)b;
	int order = digest_compare(&x->look.digest, &y->look.digest);
	return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

/* An image of several tags is asked for once. */
static void find_same(struct regex_check *c)
{
	auto_free struct match **sorted = mem_new((c->count + 1) * sizeof(*sorted));
	for (size_t i = 0; i < c->count; i++)
		sorted[i] = &c->matches[i];
	qsort(sorted, c->count, sizeof(*sorted), by_digest);
	for (size_t i = 1; i < c->count; i++) {
		struct match *before = sorted[i - 1], *match = sorted[i];
		if (before->look.there && match->look.there &&
		    digest_equal(&before->look.digest, &match->look.digest))
			match->same = before->same ? before->same : before;
	}
}

static int by_date(const void *a, const void *b)
{
	const struct match *x = a, *y = b;
	int order = when_compare(&x->created, &y->created);
	return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int sort_by_date(struct regex_check *c, struct err *err)
{
	atomic_bool stop = false;
	const struct parallel parallel = {
		.count = c->count,
		.run = date,
		.arg = c,
		.stop = &stop,
	};
	if (c->count == 0)
		return 0;
	find_same(c);
	int r = parallel_run(&parallel, c->count < DATE_THREADS_MAX ? c->count : DATE_THREADS_MAX,
			     err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->count; i++) {
		if (c->matches[i].same)
			c->matches[i].created = c->matches[i].same->created;
	}
	qsort(c->matches, c->count, sizeof(*c->matches), by_date);
	return 0;
}

static int run(struct regex_check *c, struct err *err)
{
	const struct source *source = &c->check->session->request.source;
	AUTO(regex) regex = NULL;
	int r = regex_new(&regex, source->tag_regex, err);
	if (r < 0)
		return err_wrap(err, r, "source.tag_regex");
	r = repo_tags(c->check->repo, &c->tags, err);
	c->check->listed = c->tags.count;
	if (r == 0)
		r = find(c, regex, err);
	if (r == 0)
		r = look_at_all(c->check, c->looks, c->count, err);
	if (r == 0 && source->created_at_sort)
		r = sort_by_date(c, err);
	for (size_t i = 0; r == 0 && i < c->count; i++) {
		if (c->matches[i].look.there)
			check_add(c->check, c->matches[i].look.tag, &c->matches[i].look.digest);
	}
	return r;
}

int check_regex(struct check *check, struct err *err)
{
	struct regex_check c __attribute__((cleanup(regex_check_release))) = { .check = check };
	return run(&c, err);
}
