/*
 * Decoding from the middle: a span is a piece of a compressed blob that can be decoded without what
 * came before it.  Where such pieces begin is found by codec/indexer.h, or told by a table of
 * contents (layer/table.h).
 *
 * A span decoder turns buffers into buffers, like codec/decoder.h, but starts at a point and may be
 * left at any time: it checks no trailer's CRC unless it decoded the member from its start, and its
 * caller verifies the result by a digest.
 *
 *	SPAN_STORED	bytes as they are
 *	SPAN_GZIP	the first byte of a gzip member's header (RFC 1952)
 *	SPAN_DEFLATE	a deflate block (RFC 1951) inside a member: BITS high bits of the first
 *			byte belong to it (0: it begins with the next whole byte), and WINDOW are
 *			the up to 32 KiB of output before it.  Behind the member's end come its
 *			trailer and further members, which are decoded too
 *	SPAN_ZSTD	the first byte of a zstd frame (or skippable frame), further frames follow
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "codec/decoder.h"

#define SPAN_WINDOW_BYTES (32u * 1024)

enum span_start {
	SPAN_STORED,
	SPAN_GZIP,
	SPAN_DEFLATE,
	SPAN_ZSTD,
};

struct span_point {
	enum span_start start;
	uint8_t bits;	       /* 0..7, of SPAN_DEFLATE */
	const uint8_t *window; /* packed by window_pack; borrowed during span_decoder_new */
	size_t window_size;    /* 0: no bytes before it are needed */
};

struct span_decoder;
/* -EBADMSG a window that does not unpack, bits above 7; -ENOMEM. */
MUST_USE int span_decoder_new(struct span_decoder **out, const struct span_point *point,
			      struct err *err);
void span_decoder_free(struct span_decoder *decoder);
DEFINE_AUTO(span_decoder)
/*
 * As decoder_run: until the input is used up or the room is full.  -EBADMSG for data that are none,
 * also for output that goes on behind the blob's last member.  *IO is advanced.
 */
MUST_USE int span_decoder_run(struct span_decoder *decoder, struct decoder_io *io, struct err *err);

/*
 * A window as a point stores it, see window.c.  WINDOW has SIZE <= SPAN_WINDOW_BYTES bytes, the
 * last being the one right before the point; what the span does not refer to should be zero, which
 * makes it small.  *out is yours to free; NULL and 0 only when SIZE is 0.
 */
MUST_USE int window_pack(uint8_t **out, size_t *out_size, const uint8_t *window, size_t size,
			 struct err *err);
/* The SPAN_WINDOW_BYTES bytes before a point, zeros in front where there are fewer.  -EBADMSG. */
MUST_USE int window_unpack(uint8_t out[SPAN_WINDOW_BYTES], const uint8_t *packed, size_t size,
			   struct err *err);
