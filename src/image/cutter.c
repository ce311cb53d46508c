/*
 * Nothing is held back: bytes are hashed and go to the cache as they come, and a span ends where
 * the next point is.  Without one it ends before it is too large, and those behind it begin
 * decoding at the same point and pass over what was before.  So a point that comes late only costs
 * a group, never a wrong table.
 *
 * Which blob bytes a span needs is known when the point behind it is: spans are put together with
 * points at the end, from two lists.
 */
#include "image/cutter.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct cut_point {
	uint64_t in, out;
	uint8_t *window; /* owned; packed */
	size_t window_size;
	uint8_t start, bits;
};

struct cut_span {
	uint64_t offset;
	uint32_t size;
	struct hash_place behind;
};

struct cutter {
	struct cache_spans *kept; /* borrowed or NULL */
	uint32_t span_max;
	pthread_mutex_t mutex; /* guards points, point_count and point_capacity */
	struct cut_point *points;
	size_t point_count, point_capacity;
	/* the reader's thread: */
	struct hash_chain *chain; /* owned; of all bytes */
	size_t next;		  /* the first point that can end the span */
	uint64_t start, at;	  /* of the span that is gathered; of what comes */
	struct cut_span *spans;	  /* owned */
	size_t span_count, span_capacity;
};

struct cutter *cutter_new(struct cache_spans *spans, uint32_t span_max_bytes)
{
	return mem_make(struct cutter, .kept = spans, .span_max = span_max_bytes,
			.chain = hash_chain_new(NULL), .mutex = PTHREAD_MUTEX_INITIALIZER);
}

void cutter_free(struct cutter *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->point_count; i++)
		free(c->points[i].window);
	free(c->points);
	hash_chain_free(c->chain);
	free(c->spans);
	free(c);
}

int cutter_point(void *cutter, const struct indexer_point *point, struct err *err)
{
	struct cutter *c = cutter;
	struct cut_point own = {
		.in = point->in,
		.out = point->out,
		.window_size = point->point.window_size,
		.start = (uint8_t)point->point.start,
		.bits = point->point.bits,
	};
	if (own.window_size > 0)
		own.window = mem_copy(point->point.window, own.window_size);
	LOCKED(&c->mutex);
	if (c->point_count >= TABLE_SPANS_MAX) {
		free(own.window);
		return err_set(err, E2BIG, "more than %u spans", TABLE_SPANS_MAX);
	}
	c->points = mem_grow(c->points, &c->point_capacity, c->point_count, sizeof(*c->points));
	c->points[c->point_count++] = own;
	return 0;
}

/*
 * Where the first point is that can end the span, UINT64_MAX: nowhere yet.  One that came to be
 * known too late, behind bytes that are gone, cannot.
 */
static uint64_t next_point(struct cutter *c)
{
	LOCKED(&c->mutex);
	while (c->next < c->point_count &&
	       (c->points[c->next].out <= c->start || c->points[c->next].out < c->at))
		c->next++;
	return c->next < c->point_count ? c->points[c->next].out : UINT64_MAX;
}

/*
 * Where the span ends, as far as that is known: at the next point, or early enough before its most
 * that no small rest is left in front of a point.  What is cut must not depend on when a point
 * comes to be known, as long as that is in time: then the same layer always gets the same table.
 */
static uint64_t span_end(struct cutter *c)
{
	uint64_t point = next_point(c), most = c->start + c->span_max;
	uint64_t early = most - c->span_max / CUTTER_NEAR_PART;
	if (point <= most)
		return point;
	return early > c->at ? early : c->at;
}

/* A cache that is full is no reason to fail: what is not in it is fetched again. */
static void keep(struct cutter *c, int r)
{
	if (r < 0)
		c->kept = NULL;
}

static int cut(struct cutter *c, struct err *err)
{
	struct cut_span span = { .offset = c->start, .size = (uint32_t)(c->at - c->start) };
	if (c->span_count >= TABLE_SPANS_MAX)
		return err_set(err, E2BIG, "more than %u spans", TABLE_SPANS_MAX);
	hash_chain_place(c->chain, &span.behind);
	c->spans = mem_grow(c->spans, &c->span_capacity, c->span_count, sizeof(*c->spans));
	c->spans[c->span_count++] = span;
	c->start = c->at;
	if (c->kept)
		keep(c, cache_spans_cut(c->kept, NULL));
	return 0;
}

/* SIZE bytes, none of them behind the span's end. */
static void gather(struct cutter *c, const uint8_t *data, size_t size)
{
	if (size == 0)
		return;
	hash_chain_add(c->chain, data, size);
	if (c->kept)
		keep(c, cache_spans_append(c->kept, data, size, NULL));
	c->at += size;
}

int cutter_add(struct cutter *c, const void *data, size_t size, struct err *err)
{
	const uint8_t *from = data;
	bool ended = size == 0;
	while (size > 0) {
		uint64_t left = span_end(c) - c->at;
		size_t n = left < size ? (size_t)left : size;
		gather(c, from, n);
		from += n;
		size -= n;
		/* is it the end, now that more is known? */
		int r = c->at > c->start && c->at == span_end(c) ? cut(c, err) : 0;
		if (r < 0)
			return r;
	}
	return ended && c->at > c->start ? cut(c, err) : 0;
}

void cutter_digest(struct cutter *c, struct digest *out)
{
	hash_chain_finish(c->chain, out);
}

/* The end of what has to be fetched for a span: where the point behind it begins. */
static uint64_t blob_end(const struct cutter *c, size_t behind, uint64_t blob_size)
{
	if (behind >= c->point_count)
		return blob_size;
	const struct cut_point *p = &c->points[behind];
	uint64_t end = p->in + (p->bits > 0);
	return end < blob_size ? end : blob_size;
}

int cutter_build(const struct cutter *c, struct table_builder *builder, uint64_t blob_size,
		 struct err *err)
{
	size_t at = 0, behind = 0;
	for (size_t i = 0; i < c->span_count; i++) {
		const struct cut_span *s = &c->spans[i];
		while (at + 1 < c->point_count && c->points[at + 1].out <= s->offset)
			at++;
		while (behind < c->point_count && c->points[behind].out < s->offset + s->size)
			behind++;
		const struct cut_point *p = &c->points[at];
		struct table_span span = {
			.blob_offset = p->in,
			.blob_size = blob_end(c, behind, blob_size) - p->in,
			.stream_offset = s->offset,
			.skip = s->offset - p->out,
			.stream_size = s->size,
			.start = p->start,
			.bits = p->bits,
			.has_digest = TABLE_DIGEST_CHAIN,
		};
		memcpy(span.digest, s->behind.chain, sizeof(span.digest));
		int r = table_builder_span(builder, &span, p->window, p->window_size, err);
		if (r < 0)
			return r;
		table_builder_rest(builder, s->behind.rest);
	}
	return 0;
}

uint32_t cutter_span_count(const struct cutter *c)
{
	return (uint32_t)c->span_count;
}

uint64_t cutter_stream_size(const struct cutter *c)
{
	return c->at;
}
