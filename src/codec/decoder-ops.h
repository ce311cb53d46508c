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

/* Told where decoding can begin: the first byte of a member or frame was just taken from io->in. */
struct decoder_watch {
	int (*start)(void *arg, struct err *err); /* what it returns when negative is handed on */
	void *arg;				  /* borrowed */
};

/* zstd.c; WATCH is borrowed, NULL for none. */
MUST_USE int zstd_decoder_new(struct decoder **out, const struct decoder_watch *watch,
			      struct err *err);
