/*
 * The bytes below the tar reader: a stream, the piece of it that is being read, and how far from
 * the stream's start that is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stream.h"

struct tar_input {
	struct stream *stream; /* borrowed */
	const uint8_t *at;     /* borrowed from stream until the next call here */
	size_t left;	       /* of the piece */
	uint64_t offset;       /* of "at" in the stream */
	bool ended;
};

/* Have at least a byte in at/left, or ended. */
MUST_USE int tar_input_fill(struct tar_input *input, struct err *err);

/* Pass over N <= left bytes of the piece. */
void tar_input_advance(struct tar_input *input, size_t n);

/* Copy up to SIZE bytes; *got is less only at the end. */
MUST_USE int tar_input_read(struct tar_input *input, void *buf, size_t size, size_t *got,
			    struct err *err);

/* Copy exactly SIZE bytes; -EBADMSG when the stream ends before. */
MUST_USE int tar_input_exactly(struct tar_input *input, void *buf, size_t size, struct err *err);

/* Pass over exactly N bytes; -EBADMSG when the stream ends before. */
MUST_USE int tar_input_skip(struct tar_input *input, uint64_t n, struct err *err);
