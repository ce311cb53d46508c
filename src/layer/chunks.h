/*
 * From files cut into chunks to a table: what the makers of eStargz and zstd:chunked tables share.
 * Files are added in the order of the tar, each with its chunks behind it; then the stream is laid
 * out in the order of the blob, and each chunk that has bytes becomes a span.
 *
 *	blob	| hdr | b0 | b1 | hdr | a0 | zeros | a2 |   TOC
 *	stream	| b0 | b1 |    | a0 |      | a2 |		(each file, and what follows a hole,
 *	                                                         as far into a page as in the file)
 *
 * Refused: chunks that do not cover their file exactly once and in order, that share bytes of the
 * blob, that lie outside of it, that nothing proves (no digest), that are larger than a span may
 *be.
 */
#pragma once

#include "base/json.h"
#include "layer/table.h"

struct chunk {
	uint64_t blob_offset; /* where decoding begins */
	uint64_t blob_end;    /* 0: where the next one begins, or the payload ends */
	uint64_t skip;	      /* decoded bytes in front of it there */
	uint64_t file_offset;
	uint64_t size;
	bool zeros;	      /* a hole: nothing above but the last two counts */
	struct digest digest; /* sha256 */
};

struct chunks_options {
	enum table_kind kind;
	enum span_start start;
	uint64_t payload_end; /* of the blob: behind it are the table of contents and the footer */
};

struct chunks;
struct chunks *chunks_new(const struct chunks_options *options);
void chunks_free(struct chunks *chunks);
DEFINE_AUTO(chunks)

/* The next entry, of any type; a file's chunks follow.  As toc_add; -EBADMSG also when the file
 * before it is not complete. */
MUST_USE int chunks_entry(struct chunks *chunks, const struct tar_entry *entry, struct err *err);
/* The next chunk of the last entry.  -EBADMSG, -E2BIG. */
MUST_USE int chunks_add(struct chunks *chunks, const struct chunk *chunk, struct err *err);

/* An entry of a JSON table of contents (layer/jtoc.h); for toc_json_read, ARG is the chunks. */
int chunks_json(void *arg, const struct json_value *value, struct err *err);

/* The finished table, as table_builder_finish. */
MUST_USE int chunks_finish(struct chunks *chunks, void **out, size_t *size, struct err *err);
