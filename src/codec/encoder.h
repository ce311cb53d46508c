/*
 * Compression of a layer, reproducibly: the same bytes give the same output in every run, however
 * they were cut into pieces (one thread, no time stamp, no name, a fixed level).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "codec/decoder.h"

struct encoder;

/* CODEC_GZIP or CODEC_ZSTD. */
MUST_USE int encoder_new(struct encoder **out, enum codec codec, struct err *err);
void encoder_free(struct encoder *encoder);
DEFINE_AUTO(encoder)

struct encoder_put {
	int (*put)(void *arg, const void *data, size_t size, struct err *err);
	void *arg; /* borrowed */
};

/* Compress DATA, and with ENDED all that is left; what comes out goes to PUT, whose errors pass. */
MUST_USE int encoder_run(struct encoder *encoder, const void *data, size_t size, bool ended,
			 const struct encoder_put *put, struct err *err);
