/*
 * One blob into a registry repository (distribution-spec "Pushing blobs"): POST for a place, PATCH
 * with the bytes, PUT with the digest.  When the connection breaks the registry is asked how much
 * it has, and the rest is sent.
 */
#pragma once

#include "base/err.h"
#include "oci/sink.h"

struct endpoint;

/*
 * *OUTCOME is SINK_MOUNTED when blob->mount_from had it.  -EBADMSG the source's bytes are not what
 * the digest says, or the registry says so of what it got (each after a second try); -EACCES ..
 * as ask_endpoint; the source's own errors.
 */
MUST_USE int upload_blob(struct endpoint *endpoint, const struct sink_blob *blob,
			 enum sink_outcome *outcome, struct err *err);

/* Is it there?  HEAD; whatever is no clear yes is a no, but what cannot be asked is an error. */
MUST_USE int upload_find(struct endpoint *endpoint, const struct digest *digest, bool *there,
			 struct err *err);
