/*
 * One blob on its way elsewhere, as it is: size and digest are verified while it passes.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "image/progress.h"
#include "oci/repo.h"

/* Where the bytes go.  What was put is only good when copy_blob returned 0. */
struct copy_sink {
	int (*put)(void *arg, const void *data, size_t size, struct err *err);
	/* Forget what was put: the blob comes again from its start. */
	int (*restart)(void *arg, struct err *err);
	void *arg; /* borrowed */
};

struct copy_options {
	struct layer_progress *progress; /* borrowed or NULL */
	const atomic_bool *cancel;	 /* borrowed or NULL; true: -ECANCELED at the next piece */
	const atomic_bool *stop;	 /* the same, for a sibling's failure */
};

/*
 * All bytes of D into SINK.  Bytes that do not match are asked for again, without what the last
 * request knew, COPY_TRIES_MAX times in all; then -EBADMSG, also for a D without digest or size;
 * the rest as repo_blob and the sink.
 */
#define COPY_TRIES_MAX 2
MUST_USE int copy_blob(struct repo *repo, const struct descriptor *d, const struct copy_sink *sink,
		       const struct copy_options *options, struct err *err);
