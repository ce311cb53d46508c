/*
 * What is behind indexer.h and span.h inside the codec floor: the same by a chosen library, and the
 * parts of an indexer.
 */
#pragma once

#include "codec/decoder-ops.h"
#include "codec/gzip.h"
#include "codec/indexer.h"

struct indexer {
	struct decoder *decoder;	/* owned; the codec's, or the one that copies */
	struct indexer_options options; /* arg borrowed */
	struct decoder_watch watch;	/* of members and frames */
	bool plain;
	uint64_t next; /* of output: from here on a point is wanted */
	/* A member or frame that is a point once output follows, so that no span is empty. */
	bool holding;
	struct indexer_point held;

	/* Of the current run: what was consumed and given out before it. */
	const struct decoder_io *io; /* borrowed */
	const uint8_t *in_start, *out_start;
	uint64_t in_before, out_before;
};

/* The offsets of the next byte to be read and to be written; only inside of a run. */
uint64_t indexer_in(const struct indexer *x);
uint64_t indexer_out(const struct indexer *x);
bool indexer_wants_point(const struct indexer *x);
MUST_USE int indexer_report(struct indexer *x, const struct indexer_point *point, struct err *err);

/* indexer-gzip.c: a gzip decoder that reports points to X (borrowed, owns the decoder). */
struct decoder *gzip_indexer_new(struct indexer *x, const struct gzip_inflate *inflate);

/*
 * indexer-check.c: whether points of INFLATE are points, by indexing and decoding a small sample;
 * takes a few milliseconds.
 */
bool indexer_check(const struct gzip_inflate *inflate);

/* As indexer_new and span_decoder_new; INFLATE is borrowed and static. */
MUST_USE int indexer_new_by(struct indexer **out, const struct gzip_inflate *inflate,
			    enum codec codec, const struct indexer_options *options,
			    struct err *err);
MUST_USE int span_decoder_new_by(struct span_decoder **out, const struct gzip_inflate *inflate,
				 const struct span_point *point, struct err *err);
