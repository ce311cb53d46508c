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

/* What is known when a deflate stream has ended. */
struct gzip_inflated {
	uint32_t crc; /* CRC32 of the output since reset */
	/* Bytes that were taken from the input but lie behind the deflate stream. */
	uint8_t rest[GZIP_REST_MAX_BYTES];
	size_t rest_size;
};

/* One raw deflate stream after another, by some library; the state is the library's own. */
struct gzip_inflate {
	const char *(*library)(void);
	void *(*new)(void); /* aborts when memory is gone */
	void (*free)(void *state);
	void (*reset)(void *state);
	/*
	 * Inflate until the input is used up or the room is full (0), or the stream has ended (1,
	 * *end set).  -EBADMSG bad data.
	 */
	int (*run)(void *state, struct decoder_io *io, struct gzip_inflated *end, struct err *err);
};

/* Of gzip-isal.c or gzip-zlib.c, whichever Meson chose. */
extern const struct gzip_inflate gzip_inflate;

/* INFLATE is borrowed and static. */
struct decoder *gzip_decoder_new(const struct gzip_inflate *inflate);
