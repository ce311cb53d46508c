/*
 * A stream of memory in pieces of at most so many bytes.  Each piece is lent as an exact copy that
 * is freed with the next call, so that a sanitizer sees whoever reads behind or keeps it.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/stream.h"

struct pieces {
	struct stream base;
	const uint8_t *at; /* borrowed */
	size_t left;
	size_t piece_bytes;
	uint8_t *lent; /* owned */
};

static int pieces_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct pieces *p = (struct pieces *)stream;
	(void)err;
	free(p->lent);
	*size = p->left < p->piece_bytes ? p->left : p->piece_bytes;
	p->lent = *size > 0 ? mem_copy(p->at, *size) : NULL;
	p->at += *size;
	p->left -= *size;
	*data = p->lent;
	return 0;
}

static int pieces_skip(struct stream *stream, uint64_t n, struct err *err)
{
	struct pieces *p = (struct pieces *)stream;
	if (n > p->left)
		return err_set(err, EBADMSG, "data end early");
	p->at += n;
	p->left -= n;
	return 0;
}

static void pieces_free(struct stream *stream)
{
	free(((struct pieces *)stream)->lent);
	free(stream);
}

static inline struct stream *stream_of_pieces(const void *data, size_t size, size_t piece_bytes)
{
	static const struct stream_ops ops = { pieces_next, pieces_skip, pieces_free };
	struct pieces *p = mem_make(struct pieces, .base = { &ops }, .at = data, .left = size,
				    .piece_bytes = piece_bytes);
	return &p->base;
}

/* The same without a skip of its own. */
static inline struct stream *stream_of_pieces_only(const void *data, size_t size,
						   size_t piece_bytes)
{
	static const struct stream_ops ops = { pieces_next, NULL, pieces_free };
	struct stream *stream = stream_of_pieces(data, size, piece_bytes);
	stream->ops = &ops;
	return stream;
}
