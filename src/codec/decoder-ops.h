/* What every kind of decoder is behind decoder.h: the struct is the first member of each. */
#pragma once

#include "codec/decoder.h"

struct decoder_ops {
	/* See decoder_run. */
	int (*run)(struct decoder *decoder, struct decoder_io *io, bool input_ended,
		   struct err *err);
	void (*free)(struct decoder *decoder);
};

struct decoder {
	const struct decoder_ops *ops; /* borrowed, static */
};

/* zstd.c */
MUST_USE int zstd_decoder_new(struct decoder **out, struct err *err);
