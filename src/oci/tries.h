/*
 * Trying again: net/retry.h's arithmetic with the clock, the wait and the words.
 *
 * For tests, $ROOTLET_RETRY_BASE_MS (or TEST=true, which means 1) takes the place of the 200 ms the
 * waits grow from; how often is tried stays the same, and a server's Retry-After is kept.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/retry.h"

struct http_group;
struct http_transfer;

struct tries {
	struct retry retry;
	unsigned made;		  /* in all, also before progress */
	unsigned max;		  /* of one row without progress, at most RETRY_TRIES_MAX */
	unsigned total_max;	  /* of all */
	unsigned wait_base_ms;	  /* RETRY_BASE_MS but in tests */
	struct http_group *group; /* borrowed or NULL: its abort ends a wait, -ECANCELED */
	/* Borrowed or NULL.  While true, no answer at all is tried for only once more, at once. */
	const atomic_bool *hurried;
};

/* From the environment, once an endpoint. */
unsigned tries_wait_base_ms(void);
void tries_init(struct tries *tries, unsigned max, unsigned total_max, unsigned wait_base_ms);

/*
 * A try failed with R (text in ERR); STATUS is the answer's where there was one, else 0, AFTER its
 * Retry-After in seconds or -1.  Waits and returns 0 when it is to be tried again; else the final
 * code, with the number of tries put behind the text.
 */
MUST_USE int tries_again(struct tries *tries, int r, int status, int64_t after, struct err *err);

/* At least 64 KiB came since the last failure. */
void tries_progress(struct tries *tries);

/* Retry-After of an answer, -1 when it has none. */
int64_t tries_after(const struct http_transfer *transfer);
