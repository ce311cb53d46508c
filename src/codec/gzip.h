/*
 * gzip inside the codec floor: gzip.c reads the members' headers and trailers (RFC 1952) and leaves
 * the deflate streams between them to a library through struct gzip_inflate.
 *
 *	gzip file := member+ zero*
 *	member    := 1f 8b 08 flags mtime[4] xfl os
 *	             [size[2] extra[size]] [name 00] [comment 00] [crc16[2]]    as flags say
 *	             deflate stream
 *	             crc32[4] isize[4]                                          of the output
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "codec/decoder.h"

#define GZIP_REST_MAX_BYTES 8
#define GZIP_AHEAD_MAX_BYTES 512

struct decoder_watch;

/* What is known when a deflate stream has ended. */
struct gzip_inflated {
	uint32_t crc; /* CRC32 of the output since reset */
	/* Bytes that were taken from the input but lie behind the deflate stream. */
	uint8_t rest[GZIP_REST_MAX_BYTES];
	size_t rest_size;
};

/* Where a deflate block begins. */
struct gzip_block {
	/*
	 * Bytes that were taken from the input, but belong to the block or lie behind its start; of
	 * the first one only the BITS high bits when that is not 0.
	 */
	uint8_t ahead[GZIP_AHEAD_MAX_BYTES];
	size_t ahead_size;
	uint8_t bits; /* 0..7 */
};

/* What run and find return. */
enum gzip_stop {
	GZIP_MORE,  /* the input is used up or the room is full */
	GZIP_ENDED, /* the deflate stream has ended, *end is set */
	GZIP_BLOCK, /* the next block begins here, *block is set; find only */
};

/* One raw deflate stream after another, by some library; the state is the library's own. */
struct gzip_inflate {
	const char *(*library)(void);
	void *(*new)(void); /* aborts when memory is gone */
	void (*free)(void *state);
	void (*reset)(void *state);
	/*
	 * As reset, but the stream goes on inside: in front of BLOCK, with the SIZE <= 32 KiB
	 * bytes of WINDOW before it.  The first byte of "ahead" counts as taken only when bits is
	 * not 0; what else is in there comes as input.  No CRC32 is wanted at its end.
	 */
	void (*start)(void *state, const struct gzip_block *block, const uint8_t *window,
		      size_t size);
	/* Inflate: an enum gzip_stop, or -EBADMSG bad data. */
	int (*run)(void *state, struct decoder_io *io, struct gzip_inflated *end, struct err *err);
	/*
	 * The same bytes, but stops in front of the next block that it notices; slower.  All output
	 * before the block was given out then.
	 */
	int (*find)(void *state, struct decoder_io *io, struct gzip_block *block,
		    struct gzip_inflated *end, struct err *err);
};

extern const struct gzip_inflate gzip_inflate_zlib;
/* ISA-L where Meson found it (gzip-isal.c), else zlib (gzip-isal-none.c). */
extern const struct gzip_inflate *const gzip_inflate_best;

/* INFLATE is borrowed and static. */
struct decoder *gzip_decoder_new(const struct gzip_inflate *inflate);
/* The same with a state of INFLATE, taken over, and a watch, borrowed, for members' starts. */
struct decoder *gzip_decoder_watched(const struct gzip_inflate *inflate, void *state,
				     const struct decoder_watch *watch);
/*
 * The same for data that begin inside a deflate stream: STATE, taken over, was started there.  That
 * member's trailer is passed over unchecked.
 */
struct decoder *gzip_decoder_inside(const struct gzip_inflate *inflate, void *state);
