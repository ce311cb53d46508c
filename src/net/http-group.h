/*
 * Requests that belong together: they are counted, and can be ended all at once.  A group is
 * optional for a request; every function takes NULL for "no group".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct http;
struct http_group;

struct http_counts {
	uint64_t requests; /* sent, or tried to */
	uint64_t retries;  /* pauses before another try */
	uint64_t bytes;	   /* of bodies */
};

/* HTTP is borrowed. */
struct http_group *http_group_new(struct http *http);
/* All transfers of the group must be freed before. */
void http_group_free(struct http_group *group);
DEFINE_AUTO(http_group)

/*
 * Requests in flight and pauses end with -ECANCELED now, later ones at once; there is no way back.
 * Does not wait for their owners.  Any thread.
 */
void http_group_abort(struct http_group *group);
bool http_group_aborted(const struct http_group *group);

/* Sleep MS before a request is tried again; false when the group was aborted before their end. */
bool http_group_pause(struct http_group *group, unsigned ms);

/* All zero for NULL. */
struct http_counts http_group_counts(const struct http_group *group);
