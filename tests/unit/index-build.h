/* Indexing memory in pieces, keeping the points, and decoding from one of them. */
#pragma once

#include <stdlib.h>

#include "codec/indexer-internal.h"
#include "tests/unit/gzip-build.h"

struct points {
	struct indexer_point *at; /* owned, and their windows */
	size_t count, capacity;
};

static inline void points_release(struct points *points)
{
	for (size_t i = 0; i < points->count; i++)
		free((void *)(uintptr_t)points->at[i].point.window);
	free(points->at);
}
#define auto_points __attribute__((cleanup(points_release))) struct points

static inline int points_add(void *arg, const struct indexer_point *point, struct err *err)
{
	struct points *points = arg;
	(void)err;
	points->at = mem_grow(points->at, &points->capacity, points->count, sizeof(*points->at));
	points->at[points->count] = *point;
	points->at[points->count++].point.window = point->point.window_size > 0
							   ? mem_copy(point->point.window,
								      point->point.window_size)
							   : NULL;
	return 0;
}

struct feed {
	size_t in_bytes, out_bytes;
};

static inline size_t piece_of(size_t left, size_t most)
{
	return left < most ? left : most;
}

/* Run as decoder.h prescribes, one of the two; each piece of input is a buffer of its own. */
static inline int feed_run(struct bytes *out, struct decoder *decoder, struct indexer *indexer,
			   const struct bytes *in, struct feed feed, size_t out_max)
{
	auto_free uint8_t *room = mem_new(feed.out_bytes);
	for (size_t at = 0;;) {
		size_t n = piece_of(in->size - at, feed.in_bytes);
		bool last = n == 0;
		auto_free uint8_t *piece = mem_copy(in->data + at, n);
		struct decoder_io io = { .in = piece, .in_size = n };
		at += n;
		do {
			io.out = room;
			io.out_size = feed.out_bytes;
			int r = indexer ? indexer_run(indexer, &io, last, NULL)
					: decoder_run(decoder, &io, last, NULL);
			bytes_add(out, room, feed.out_bytes - io.out_size);
			if (r < 0 || out->size > out_max)
				return r;
		} while (io.in_size > 0 || io.out_size == 0);
		if (last)
			return 0;
	}
}

static inline int index_run(struct bytes *out, struct indexer *x, const struct bytes *in,
			    struct feed feed, size_t out_max)
{
	return feed_run(out, NULL, x, in, feed, out_max);
}

static inline int index_all(struct bytes *out, struct points *points,
			    const struct gzip_inflate *inflate, enum codec codec,
			    const struct bytes *in, uint64_t distance, struct feed feed,
			    size_t out_max)
{
	const struct indexer_options options = { .distance = distance,
						 .found = points_add,
						 .arg = points };
	AUTO(indexer) x = NULL;
	if (indexer_new_by(&x, inflate, codec, &options, NULL) < 0)
		abort();
	bytes_add(out, "", 0);
	return index_run(out, x, in, feed, out_max);
}

/* The same by the decoder. */
static inline int decode_all(struct bytes *out, enum codec codec, const struct bytes *in,
			     struct feed feed, size_t out_max)
{
	AUTO(decoder) decoder = NULL;
	if (decoder_new(&decoder, codec, NULL) < 0)
		abort();
	bytes_add(out, "", 0);
	return feed_run(out, decoder, NULL, in, feed, out_max);
}

/* WANTED bytes from a point on, given FEED at a time; fewer at the blob's end, or its error. */
static inline int span_read(struct bytes *out, const struct gzip_inflate *inflate,
			    const struct indexer_point *point, const struct bytes *in,
			    size_t wanted, struct feed feed)
{
	AUTO(span_decoder) span = NULL;
	auto_free uint8_t *room = mem_new(piece_of(wanted, feed.out_bytes));
	int r = span_decoder_new_by(&span, inflate, &point->point, NULL);
	size_t at = (size_t)point->in;
	while (r == 0) {
		size_t n = piece_of(in->size - at, feed.in_bytes);
		auto_free uint8_t *piece = mem_copy(in->data + at, n);
		struct decoder_io io = { .in = piece, .in_size = n };
		do {
			size_t space = piece_of(wanted - out->size, feed.out_bytes);
			io.out = room;
			io.out_size = space;
			r = span_decoder_run(span, &io, NULL);
			bytes_add(out, room, space - io.out_size);
		} while (r == 0 && out->size < wanted && (io.in_size > 0 || io.out_size == 0));
		at += n;
		if (n == 0 || out->size == wanted)
			break;
	}
	return r;
}
