/*
 * The decoder of a span: the decoders that a whole blob goes through, begun elsewhere.  Only inside
 * of a deflate stream is there something to prepare, the window and the odd bits.  Called by
 * whoever reads a layer at random, with bytes that a table of spans chose.
 */
#include "codec/span.h"

#include <errno.h>
#include <stdlib.h>

#include "codec/indexer-internal.h"

struct span_decoder {
	struct decoder *decoder; /* owned */
	/* Inside of a deflate stream, until the byte came that holds the bits: */
	const struct gzip_inflate *inflate; /* borrowed, static; NULL when there is nothing to do */
	void *state;			    /* borrowed from decoder */
	uint8_t bits;
	size_t window_size; /* 0 or all of it */
	uint8_t window[SPAN_WINDOW_BYTES];
};

static void start(struct span_decoder *span, uint8_t byte)
{
	const struct gzip_block block = { .ahead = { byte }, .ahead_size = 1, .bits = span->bits };
	span->inflate->start(span->state, &block, span->window, span->window_size);
	span->inflate = NULL;
}

static int prepare(struct span_decoder *span, const struct gzip_inflate *inflate,
		   const struct span_point *point, struct err *err)
{
	if (point->bits > 7)
		return err_set(err, EBADMSG, "a span begins with %u bits", point->bits);
	if (point->window_size > 0) {
		int r = window_unpack(span->window, point->window, point->window_size, err);
		if (r < 0)
			return r;
		span->window_size = SPAN_WINDOW_BYTES;
	}
	span->inflate = inflate;
	span->state = inflate->new ();
	span->bits = point->bits;
	span->decoder = gzip_decoder_inside(inflate, span->state);
	if (span->bits == 0)
		start(span, 0);
	return 0;
}

int span_decoder_new_by(struct span_decoder **out, const struct gzip_inflate *inflate,
			const struct span_point *point, struct err *err)
{
	AUTO(span_decoder) span = mem_new(sizeof(*span));
	int r = 0;
	if (point->start == SPAN_DEFLATE)
		r = prepare(span, inflate, point, err);
	else if (point->start == SPAN_GZIP)
		span->decoder = gzip_decoder_new(inflate);
	else
		r = decoder_new(&span->decoder, point->start == SPAN_ZSTD ? CODEC_ZSTD : CODEC_NONE,
				err);
	if (r == 0)
		*out = TAKE(span);
	return r;
}

int span_decoder_new(struct span_decoder **out, const struct span_point *point, struct err *err)
{
	return span_decoder_new_by(out, gzip_inflate_best, point, err);
}

void span_decoder_free(struct span_decoder *span)
{
	if (!span)
		return;
	decoder_free(span->decoder);
	free(span);
}

int span_decoder_run(struct span_decoder *span, struct decoder_io *io, struct err *err)
{
	if (span->inflate && io->in_size > 0) {
		start(span, *io->in++);
		io->in_size--;
	}
	return span->inflate ? 0 : decoder_run(span->decoder, io, false, err);
}
