/*
 * Asking what tags name: one HEAD each, many at once over connections that are kept.  A check
 * without a cursor has hundreds to ask for, and each takes as long as the way to the registry.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "image/parallel.h"
#include "resource/check.h"

int look_at(const struct check *check, struct look *look, struct err *err)
{
	auto_descriptor found = { 0 };
	auto_ref ref = { 0 };
	ref_copy(&ref, &check->session->ref);
	free(ref.tag);
	ref.tag = mem_strdup(look->tag);
	int r = repo_head(check->repo, &ref, &found, err);
	if (r < 0 && r != -ENOENT)
		return r;
	look->asked = true;
	look->there = r == 0;
	if (look->there)
		look->digest = found.digest;
	return 0;
}

struct row {
	const struct check *check;
	struct look *const *looks;
};

static int run(void *arg, size_t task, struct err *err)
{
	const struct row *row = arg;
	struct look *look = row->looks[task];
	return look->asked ? 0 : look_at(row->check, look, err);
}

int look_at_all(const struct check *check, struct look *const *looks, size_t count, struct err *err)
{
	struct row row = { check, looks };
	atomic_bool stop = false;
	const struct parallel parallel = { .count = count, .run = run, .arg = &row, .stop = &stop };
	if (count == 0)
		return 0;
	return parallel_run(&parallel, count < LOOK_THREADS_MAX ? count : LOOK_THREADS_MAX, err);
}
