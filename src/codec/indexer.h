/*
 * A decoder that also finds where decoding can begin again: the one pass over a layer that makes it
 * readable at random.  Decodes exactly as codec/decoder.h (same input accepted, same output), and
 * reports points about every DISTANCE bytes of output, in order.
 *
 *	gzip	member starts, and deflate block boundaries with the part of the 32 KiB before them
 *		that is really referred to (sparse windows, see codec/probe.h); at least 32 KiB of
 *		output apart, and as far as the blocks are: some writers make giant ones
 *	zstd	frame starts
 *	plain	every DISTANCE bytes
 *
 * The first point is always at output 0 (plain data of no bytes have none); output follows each
 * other one.  A point may be reported after more output than its own offset was given out (the
 * window needs what comes behind it); all are out when indexer_run returned 0 for input_ended with
 * input used up and room left.  Points inside of members depend on the library and on how the input
 * was cut; each was tried out by decoding from it.
 */
#pragma once

#include "codec/decoder.h"
#include "codec/span.h"

struct indexer_point {
	struct span_point point; /* window borrowed for the call */
	uint64_t in;  /* offset in the blob of the first byte a span decoder wants (with bits: the
			 byte that holds them) */
	uint64_t out; /* offset in the decoded stream */
};

struct indexer_options {
	uint64_t distance; /* of output, bytes */
	int (*found)(void *arg, const struct indexer_point *point, struct err *err);
	void *arg; /* borrowed */
	/* Of gzip only members are wanted: they are reported before output behind them is out. */
	bool members_only;
};

struct indexer;
MUST_USE int indexer_new(struct indexer **out, enum codec codec,
			 const struct indexer_options *options, struct err *err);
void indexer_free(struct indexer *indexer);
DEFINE_AUTO(indexer)
/* As decoder_run.  Also what options.found returned when that is negative. */
MUST_USE int indexer_run(struct indexer *indexer, struct decoder_io *io, bool input_ended,
			 struct err *err);
/*
 * "isa-l 2.30" or "zlib 1.2.13": what finds blocks.  ISA-L only if it passed a test, which takes a
 * few milliseconds once in the process, here or in indexer_new.
 */
const char *indexer_library(void);
