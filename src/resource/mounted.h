/*
 * The rootfs of a get step as a lazy mount instead of a copy.
 */
#pragma once

#include "base/err.h"
#include "resource/session.h"

/*
 * Mount REF at PATH, which is made (its parent must exist), as the request's source says who we
 * are. The mount stays when the step has ended.  On failure nothing is left.  -EOPNOTSUPP with
 * a line why FUSE cannot be used here; else as mount_start.
 */
MUST_USE int mounted_provide(struct session *session, const struct ref *ref, const char *path,
			     struct err *err);
/* What the mount at PATH has come to, by its status. */
struct mounted_cost {
	uint64_t fetched_bytes;		    /* until it answered */
	size_t layers, cached_layers;	    /* of these the cache had the tables */
	double stream_bytes, present_bytes; /* decoded; of these the cache has so many now */
};
MUST_USE int mounted_cost(struct mounted_cost *out, const char *path, struct err *err);

/* Take it away again, with its directory: the step fails after all. */
void mounted_undo(const char *path);
