/*
 * Bytes are held back until it is known where the next point is, or until more than a span's
 * worth is held: then the span ends at its maximum, and those behind it begin decoding at the same
 * point and pass over what was before.  So a point that comes late only costs a group, never a
 * wrong table.
 *
 * Which blob bytes a span needs is known when the point behind it is: spans are put together with
 * points at the end, from two lists.
 */
#include "image/cutter.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Points are reported at most this much behind their place. */
#define LATE_BYTES (512u * 1024)

struct cut_point {
	uint64_t in, out;
	uint8_t *window; /* owned; packed */
	size_t window_size;
	uint8_t start, bits;
};

struct cut_span {
	uint64_t offset;
	uint32_t size;
	uint8_t digest[32];
};

struct cutter {
	struct cache_spans *kept; /* borrowed or NULL */
	uint32_t span_max;
	pthread_mutex_t mutex; /* guards points, point_count and point_capacity */
	struct cut_point *points;
	size_t point_count, point_capacity;
	/* the reader's thread: */
	size_t next;   /* the first point that may lie behind start */
	uint8_t *hold; /* owned; bytes from start on */
	size_t held, room;
	uint64_t start; /* of the span being gathered */
	bool ended;
	struct cut_span *spans; /* owned */
	size_t span_count, span_capacity;
};

struct cutter *cutter_new(struct cache_spans *spans, uint32_t span_max_bytes)
{
	struct cutter *c = mem_make(struct cutter, .kept = spans, .span_max = span_max_bytes,
				    .room = (size_t)span_max_bytes + 2 * LATE_BYTES,
				    .mutex = PTHREAD_MUTEX_INITIALIZER);
	c->hold = mem_new(c->room);
	return c;
}

void cutter_free(struct cutter *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->point_count; i++)
		free(c->points[i].window);
	free(c->points);
	free(c->hold);
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

/* Where the first point behind the span's start is; UINT64_MAX: not known yet. */
static uint64_t next_point(struct cutter *c)
{
	LOCKED(&c->mutex);
	while (c->next < c->point_count && c->points[c->next].out <= c->start)
		c->next++;
	return c->next < c->point_count ? c->points[c->next].out : UINT64_MAX;
}

/*
 * How many of the held bytes make a span now; 0: more have to come first.  What is cut must not
 * depend on when a point comes to be known, as long as that is within LATE_BYTES: then the same
 * layer always gets the same table.
 */
static size_t cut_size(struct cutter *c)
{
	uint64_t length = next_point(c) - c->start; /* huge: it is not known */
	size_t wanted = c->span_max;
	if (length <= c->span_max)
		wanted = (size_t)length;
	else if (length <= c->span_max + LATE_BYTES &&
		 length / 2 <= c->span_max) /* no small rest */
		wanted = (size_t)length / 2;
	else if (length > c->room && c->held < c->room && !c->ended)
		return 0;
	if (c->held >= wanted)
		return wanted;
	return c->ended ? c->held : 0;
}

static uint64_t first_eight(const uint8_t *digest)
{
	uint64_t sum = 0;
	for (int i = 7; i >= 0; i--)
		sum = sum << 8 | digest[i];
	return sum;
}

static void keep(struct cutter *c, const struct cut_span *span)
{
	const struct cache_span place = { .number = (uint32_t)c->span_count,
					  .offset = span->offset,
					  .size = span->size };
	/* a cache that is full is no reason to fail: what is not in it is fetched again */
	if (c->kept &&
	    cache_spans_write(c->kept, &place, c->hold, first_eight(span->digest), NULL) < 0)
		c->kept = NULL;
}

static int cut(struct cutter *c, size_t size, struct err *err)
{
	struct cut_span span = { .offset = c->start, .size = (uint32_t)size };
	struct digest digest;
	if (c->span_count >= TABLE_SPANS_MAX)
		return err_set(err, E2BIG, "more than %u spans", TABLE_SPANS_MAX);
	digest_of(&digest, DIGEST_SHA256, c->hold, size);
	memcpy(span.digest, digest.bytes, sizeof(span.digest));
	keep(c, &span);
	c->spans = mem_grow(c->spans, &c->span_capacity, c->span_count, sizeof(*c->spans));
	c->spans[c->span_count++] = span;
	c->start += size;
	c->held -= size;
	memmove(c->hold, c->hold + size, c->held);
	return 0;
}

static int cut_ready(struct cutter *c, struct err *err)
{
	for (size_t size; (size = cut_size(c)) > 0;) {
		int r = cut(c, size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cutter_add(struct cutter *c, const void *data, size_t size, struct err *err)
{
	const uint8_t *at = data;
	c->ended = size == 0;
	while (size > 0) {
		size_t n = c->room - c->held;
		n = n < size ? n : size;
		memcpy(c->hold + c->held, at, n);
		c->held += n;
		at += n;
		size -= n;
		int r = cut_ready(c, err);
		if (r < 0)
			return r;
	}
	return c->ended ? cut_ready(c, err) : 0;
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
			.has_digest = 1,
		};
		memcpy(span.digest, s->digest, sizeof(span.digest));
		int r = table_builder_span(builder, &span, p->window, p->window_size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

uint32_t cutter_span_count(const struct cutter *c)
{
	return (uint32_t)c->span_count;
}

uint64_t cutter_stream_size(const struct cutter *c)
{
	return c->start;
}
