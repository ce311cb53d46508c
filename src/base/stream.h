/*
 * A stream of bytes that is read once, front to back, in pieces its owner lends.
 *
 * Streams stack: a registry blob, a file, the members of an archive and a decoded layer all look
 * the same.  The struct is the first member of each implementation.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct stream;

struct stream_ops {
	/* See stream_next. */
	int (*next)(struct stream *stream, const void **data, size_t *size, struct err *err);
	/* Optional: pass over N bytes without reading them; see stream_skip. */
	int (*skip)(struct stream *stream, uint64_t n, struct err *err);
	void (*free)(struct stream *stream);
};

struct stream {
	const struct stream_ops *ops; /* borrowed, static */
};

/*
 * The next piece.  *data is borrowed until the next call; *size is 0 at the end (and stays so).
 * Blocks; one thread at a time.
 */
MUST_USE int stream_next(struct stream *stream, const void **data, size_t *size, struct err *err);

/*
 * Pass over exactly N bytes; -EBADMSG when the stream ends before, -EOPNOTSUPP when this kind of
 * stream has to be read (nothing was passed over then).
 */
MUST_USE int stream_skip(struct stream *stream, uint64_t n, struct err *err);

/*
 * Read everything into one allocation of at most MAX_BYTES (-E2BIG beyond); *out is NUL-terminated
 * behind *size and yours to free.
 */
MUST_USE int stream_read_all(struct stream *stream, size_t max_bytes, char **out, size_t *size,
			     struct err *err);

void stream_free(struct stream *stream); /* accepts NULL */
DEFINE_AUTO(stream)

/* Bytes in memory; DATA is borrowed and must outlive the stream. */
struct stream *stream_of_memory(const void *data, size_t size);

/* [offset, offset+size) of a file; cannot fail, and takes the descriptor over. */
struct stream *stream_of_fd(int fd, uint64_t offset, uint64_t size);
