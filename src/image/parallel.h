/* A row of independent tasks on a few threads: layers of an image. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"

struct parallel {
	size_t count; /* tasks 0 .. count-1, begun in this order */
	/* One task; any thread.  A negative result ends the row: no further task is begun. */
	int (*run)(void *arg, size_t task, struct err *err);
	void *arg;	   /* borrowed */
	atomic_bool *stop; /* borrowed: set when a task failed, read before each */
};

/* Threads to use for COUNT layers when the user wants WANTED (0: the cores, at most 8). */
size_t parallel_threads(unsigned wanted, size_t count);
/*
 * Returns when all that were begun have ended: 0, or the first failure (others, -ECANCELED by its
 * stop, do not hide it).
 */
MUST_USE int parallel_run(const struct parallel *parallel, size_t threads, struct err *err);
