/* What is sent of a blob by one request, verified over all of them.  For upload.c. */
#pragma once

#include "base/err.h"
#include "oci/sink.h"

struct part {
	const struct sink_blob *blob; /* borrowed */
	uint64_t offset, length;      /* what the next request sends */
	unsigned flags;		      /* enum repo_blob_flags */
	bool failed;		      /* the source did, not the network */
	struct hasher *hasher;	      /* owned, or NULL: the bytes were not seen in one row */
	uint64_t hashed;	      /* bytes it has seen, from the start */
};
void part_release(struct part *part);

/* For struct request_body: ARG is the part. */
int part_open(void *arg, struct stream **out, struct err *err);

/* All was sent: -EBADMSG when it was seen to have another digest.  Ends the hasher. */
MUST_USE int part_verify(struct part *part, struct err *err);
