/* Streams over a blob that is read by ranges: cut out, counted, hashed. */
#include "layer/feed.h"

#include <errno.h>
#include <stdlib.h>

#define REST_MAX_BYTES 65536u

struct range {
	struct stream base;
	struct input *input; /* borrowed */
	uint64_t at, left;
	uint8_t *piece; /* owned */
	size_t piece_bytes;
};

static int range_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct range *range = (struct range *)stream;
	size_t n = range->left < range->piece_bytes ? (size_t)range->left : range->piece_bytes;
	if (!range->piece)
		range->piece = mem_new(range->piece_bytes);
	int r = input_read(range->input, range->piece, n, range->at, err);
	if (r < 0)
		return r;
	range->at += n;
	range->left -= n;
	*data = range->piece;
	*size = n;
	return 0;
}

static int range_skip(struct stream *stream, uint64_t n, struct err *err)
{
	struct range *range = (struct range *)stream;
	if (n > range->left)
		return err_set(err, EBADMSG, "the data end early");
	range->at += n;
	range->left -= n;
	return 0;
}

static void range_free(struct stream *stream)
{
	free(((struct range *)stream)->piece);
	free(stream);
}

struct stream *feed_range(struct input *input, uint64_t offset, uint64_t size, size_t piece_bytes)
{
	static const struct stream_ops ops = { range_next, range_skip, range_free };
	size_t piece = size < piece_bytes ? (size_t)size + 1 : piece_bytes;
	struct range *range = mem_make(struct range, .base = { &ops }, .input = input, .at = offset,
				       .left = size, .piece_bytes = piece);
	return &range->base;
}

struct whole {
	struct stream base;
	struct input *input;  /* borrowed */
	struct stream *below; /* owned; NULL before the first piece */
	uint64_t offset, left;
	bool failed; /* it is not asked again: who is below has tried as often as is good */
};

static int whole_open(struct whole *w, struct err *err)
{
	struct err why = { 0 };
	int r = input_stream(w->input, w->offset, w->left, &w->below, &why);
	if (r == -EOPNOTSUPP)
		w->below = feed_range(w->input, w->offset, w->left, FEED_PIECE_BYTES);
	else if (r < 0)
		return err_set(err, -r, "%s", err_text(&why));
	return 0;
}

static int whole_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct whole *w = (struct whole *)stream;
	int r = w->below ? 0 : whole_open(w, err);
	if (r == 0)
		r = stream_next(w->below, data, size, err);
	w->failed = r < 0;
	if (r < 0)
		return r;
	if (*size > w->left || (*size == 0 && w->left > 0))
		return err_set(err, EBADMSG, "the data end early, or late");
	w->left -= *size;
	return 0;
}

/* A connection can be used again when all that was asked for was taken from it. */
static void take_rest(struct whole *w)
{
	const void *data;
	size_t size = 1;
	while (w->below && !w->failed && w->left <= REST_MAX_BYTES && size > 0)
		if (whole_next(&w->base, &data, &size, NULL) < 0)
			return;
}

static void whole_free(struct stream *stream)
{
	struct whole *w = (struct whole *)stream;
	take_rest(w);
	stream_free(w->below);
	free(w);
}

struct stream *feed_whole(struct input *input, uint64_t offset, uint64_t size)
{
	static const struct stream_ops ops = { .next = whole_next, .free = whole_free };
	struct whole *w = mem_make(struct whole, .base = { &ops }, .input = input, .offset = offset,
				   .left = size);
	return &w->base;
}

struct tapped {
	struct stream base;
	struct stream *below; /* owned */
	struct feed_tap *tap; /* borrowed */
};

/* How many of the first bytes are kept back. */
static size_t take_head(struct feed_tap *tap, const void *data, size_t size)
{
	size_t n = FEED_HEAD_BYTES - tap->head_size;
	n = n < size ? n : size;
	if (n > 0)
		memcpy(tap->head + tap->head_size, data, n);
	tap->head_size += n;
	return tap->strip_head ? n : 0;
}

static int tapped_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct tapped *t = (struct tapped *)stream;
	struct feed_tap *tap = t->tap;
	size_t kept;
	do { /* a piece that is kept back whole is not the end */
		int r = stream_next(t->below, data, size, err);
		if (r < 0 || *size == 0)
			return r;
		kept = take_head(tap, *data, *size);
	} while (kept == *size);
	*data = (const uint8_t *)*data + kept;
	*size -= kept;
	tap->bytes += *size;
	if (tap->bytes > tap->max_bytes)
		return err_set(err, E2BIG, "more than %llu bytes",
			       (unsigned long long)tap->max_bytes);
	if (tap->hasher)
		hasher_add(tap->hasher, *data, *size);
	return 0;
}

static void tapped_free(struct stream *stream)
{
	stream_free(((struct tapped *)stream)->below);
	free(stream);
}

struct stream *feed_through(struct stream *below, struct feed_tap *tap)
{
	static const struct stream_ops ops = { .next = tapped_next, .free = tapped_free };
	struct tapped *t = mem_make(struct tapped, .base = { &ops }, .below = below, .tap = tap);
	return &t->base;
}
