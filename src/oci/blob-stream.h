/*
 * A blob as a stream that mends itself: broken connections, dead tokens, expired URLs and servers
 * with their own idea of ranges are dealt with inside.  See repo_blob for the contract.
 */
#pragma once

#include "base/stream.h"
#include "oci/manifest.h"

#define BLOB_SOURCES_MAX 2

struct endpoint;

struct blob_options {
	struct endpoint *const *sources; /* borrowed, outlive the stream: mirror, then origin */
	unsigned source_count;		 /* 1..BLOB_SOURCES_MAX */
	bool fresh;			 /* REPO_BLOB_FRESH */
	/* Exactly [offset, offset+length), inside the blob; length 0: the blob, at most a byte more
	 */
	uint64_t offset, length;
	/* SOURCE failed with WHY, the next one is asked; any thread; never NULL. */
	void (*failed)(void *arg, struct endpoint *source, const struct err *why);
	void *arg;
};

/*
 * Returns when the first bytes are about to come, so that an unknown blob is an error here.
 * -EOPNOTSUPP: a range, and no source does ranges (which is kept in the endpoints).
 */
MUST_USE int blob_stream_open(struct stream **out, const struct descriptor *d,
			      const struct blob_options *options, struct err *err);
