/*
 * Bytes that can be read at any offset: a file, a blob in a registry, the decoded stream of a
 * layer.  The struct is the first member of each implementation.  Sources stack.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct input;
struct stream; /* base/stream.h */

struct input_ops {
	/* See input_read; OFFSET and SIZE were checked against the input's size. */
	int (*read)(struct input *input, void *buf, size_t size, uint64_t offset, struct err *err);
	void (*free)(struct input *input);
	/* Optional: see input_stream; likewise checked. */
	int (*stream)(struct input *input, uint64_t offset, uint64_t size, struct stream **out,
		      struct err *err);
};

struct input {
	const struct input_ops *ops; /* borrowed, static */
	uint64_t size;
};

/*
 * Exactly SIZE bytes from OFFSET into BUF.  Blocks; any thread.  -EBADMSG when that is not inside
 * the input; else what the implementation says.
 */
MUST_USE int input_read(struct input *input, void *buf, size_t size, uint64_t offset,
			struct err *err);
/*
 * The same bytes as they come, for who has something to do with the first while others are on their
 * way; *out must be freed before the input.  It may end early.  -EOPNOTSUPP: they are here, or a
 * read would get them all the same.
 */
MUST_USE int input_stream(struct input *input, uint64_t offset, uint64_t size, struct stream **out,
			  struct err *err);
void input_free(struct input *input); /* accepts NULL */
DEFINE_AUTO(input)

/* Bytes in memory; DATA is borrowed and must outlive the input. */
struct input *input_of_memory(const void *data, size_t size);
/* [offset, offset+size) of a file; takes the descriptor over. */
struct input *input_of_fd(int fd, uint64_t offset, uint64_t size);
