/*
 * Decompression of one layer's bytes: gzip (any number of members, RFC 1952), zstd (any number of
 * frames, skippable ones too, RFC 8878) or none, chosen by magic bytes.
 *
 * A decoder only turns buffers into buffers: memory is O(1) whatever the input says.  Trailing
 * zeros behind the last gzip member are fine (gzip(1) takes them), any other garbage is -EBADMSG;
 * so are a wrong CRC32 or ISIZE, a cut member and a zstd window above 128 MiB or a dictionary. gzip
 * is inflated by ISA-L where Meson found it, else by zlib (gzip-isal.c, gzip-zlib.c): one
 * interface, equal results for all that compressors write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/stream.h"

enum codec {
	CODEC_NONE, /* plain */
	CODEC_GZIP,
	CODEC_ZSTD,
};

#define CODEC_MAGIC_BYTES 4

/* By the first bytes; fewer than CODEC_MAGIC_BYTES only when the blob is that short. */
enum codec codec_detect(const void *data, size_t size);
const char *codec_name(enum codec codec); /* "plain", "gzip", "zstd" */
/* Which library inflates gzip: "isa-l 2.30" or "zlib 1.2.13". */
const char *codec_gzip_library(void);

struct decoder_io {
	const uint8_t *in; /* borrowed; advanced past what was consumed */
	size_t in_size;	   /* what is left of it */
	uint8_t *out;	   /* the caller's; advanced past what was written */
	size_t out_size;   /* room left */
};

struct decoder;
MUST_USE int decoder_new(struct decoder **out, enum codec codec, struct err *err);
void decoder_free(struct decoder *decoder);
DEFINE_AUTO(decoder)

/*
 * Decode until the input is used up or the room is full.  Call again with the same INPUT_ENDED
 * until the input is used up and room was left over; after the last input call with input_ended
 * set: -EBADMSG then when the compressed stream is not complete.
 */
MUST_USE int decoder_run(struct decoder *decoder, struct decoder_io *io, bool input_ended,
			 struct err *err);

/*
 * A stream over another: detects the codec from the first bytes and decodes in pieces of
 * PIECE_BYTES. Takes INPUT over.
 */
struct stream *decoder_stream(struct stream *input, size_t piece_bytes);
