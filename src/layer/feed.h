/*
 * The streams a table of contents comes through: a range of the blob, with taps on the way that
 * count and hash what passes.
 */
#pragma once

#include "base/digest.h"
#include "base/input.h"
#include "base/stream.h"

#define FEED_PIECE_BYTES ((size_t)4 << 20)
#define FEED_HEAD_BYTES 8

/*
 * [offset, offset+size) of INPUT (borrowed), read PIECE_BYTES at a time; what is skipped is not
 * read.  -EBADMSG when that is not inside the input.
 */
struct stream *feed_range(struct input *input, uint64_t offset, uint64_t size, size_t piece_bytes);

/*
 * The same as it comes, all at once where it has to be fetched: what has come can be worked on
 * while the rest is on its way.
 */
struct stream *feed_whole(struct input *input, uint64_t offset, uint64_t size);

struct feed_tap {
	struct hasher *hasher; /* borrowed or NULL: gets what passes */
	uint64_t max_bytes;    /* -E2BIG beyond */
	bool strip_head;       /* the first FEED_HEAD_BYTES do not pass and do not count */
	/* set by what passes */
	uint64_t bytes;
	uint8_t head[FEED_HEAD_BYTES]; /* the first bytes, passed or not */
	size_t head_size;
};

/* BELOW (taken over) with a tap (borrowed). */
struct stream *feed_through(struct stream *below, struct feed_tap *tap);
