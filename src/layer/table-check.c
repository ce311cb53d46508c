/*
 * Are these spans and extents right?  Everything that later reads the table goes by them without
 * another look: each byte of an extent has a span that gives it, each span says how it is decoded,
 * and all of it is in the order that binary search and groups need.  One pass over spans and one
 * over extents; no extent's check depends on its size.
 */
#include "layer/table-file.h"

#include <errno.h>
#include <stdlib.h>

struct check {
	const struct table *table; /* borrowed */
	uint32_t *runs; /* owned; per span: number of the row of spans without a gap it is in */
	uint32_t near;	/* the span the last extent ended in: the next one begins there, mostly */
};

static int bad_span(uint32_t i, const char *what, struct err *err)
{
	return err_set(err, EBADMSG, "span %u: %s", i, what);
}

static int check_start(const struct table *table, uint32_t i, struct err *err)
{
	const struct table_span *s = &table->spans[i];
	if (s->start > SPAN_ZSTD || s->bits > 7 || s->has_digest > TABLE_DIGEST_CHAIN)
		return bad_span(i, "no such way to start", err);
	if (s->start != SPAN_DEFLATE && (s->bits != 0 || s->window_size != 0))
		return bad_span(i, "bits or a window that are not needed", err);
	if (s->window_size > TABLE_WINDOW_MAX_BYTES || s->window > table->windows_size ||
	    s->window_size > table->windows_size - s->window)
		return bad_span(i, "its window is outside", err);
	return 0;
}

/* A chain leads from the stream's start to its end. */
static int check_chain(const struct table *table, uint32_t i, struct err *err)
{
	const struct table_span *s = &table->spans[i];
	const struct table_span first = { 0 }, *before = i > 0 ? s - 1 : &first;
	bool chained = s->has_digest == TABLE_DIGEST_CHAIN;
	if (chained != (table->header->counts[TABLE_RESTS] > 0))
		return bad_span(i, "not the digest that the others have", err);
	if (chained && s->stream_offset != before->stream_offset + before->stream_size)
		return bad_span(i, "a gap in the chain of digests", err);
	return 0;
}

static int check_range(const struct table *table, uint32_t i, struct err *err)
{
	const struct table_span *s = &table->spans[i];
	uint64_t end;
	if (s->stream_size == 0 || s->stream_size > TABLE_SPAN_MAX_BYTES)
		return bad_span(i, "empty or too large", err);
	if (s->blob_size == 0 || !add_ok(s->blob_offset, s->blob_size, &end) ||
	    !add_ok(s->stream_offset, (uint64_t)s->stream_size, &end) ||
	    !add_ok(s->skip, (uint64_t)s->stream_size, &end))
		return bad_span(i, "an impossible range", err);
	return 0;
}

/* Against the span before it. */
static int check_order(const struct table *table, uint32_t i, struct err *err)
{
	const struct table_span *s = &table->spans[i], *before = s - 1;
	if (s->stream_offset < before->stream_offset + before->stream_size)
		return bad_span(i, "not behind the one before it", err);
	if (s->blob_offset < before->blob_offset)
		return bad_span(i, "not in the order of the blob", err);
	if (s->blob_offset > before->blob_offset)
		return 0;
	if (s->start != before->start || s->bits != before->bits || s->window != before->window ||
	    s->window_size != before->window_size)
		return bad_span(i, "two ways to start at one place", err);
	if (s->skip < before->skip + before->stream_size)
		return bad_span(i, "not behind the one before it in its group", err);
	return 0;
}

static int check_spans(struct check *c, struct err *err)
{
	const struct table *table = c->table;
	for (uint32_t i = 0; i < table->span_count; i++) {
		int r = check_range(table, i, err);
		if (r == 0)
			r = check_start(table, i, err);
		if (r == 0 && i > 0)
			r = check_order(table, i, err);
		if (r == 0)
			r = check_chain(table, i, err);
		if (r < 0)
			return r;
		const struct table_span *s = &table->spans[i];
		bool gap = i > 0 && s->stream_offset != s[-1].stream_offset + s[-1].stream_size;
		c->runs[i] = i > 0 ? c->runs[i - 1] + gap : 0;
	}
	return 0;
}

static bool holds(const struct table_span *s, uint64_t offset)
{
	return offset >= s->stream_offset && offset - s->stream_offset < s->stream_size;
}

static uint32_t find_near(struct check *c, uint64_t offset)
{
	const struct table *table = c->table;
	for (uint32_t i = c->near; i < table->span_count && i < c->near + 2; i++)
		if (holds(&table->spans[i], offset))
			return c->near = i;
	uint32_t found = table_find_span(table, offset);
	if (found != TABLE_NO_SPAN)
		c->near = found;
	return found;
}

/* Every byte of it is in a span: both ends are, and no gap is between. */
static bool is_covered(struct check *c, const struct table_extent *e)
{
	uint64_t end;
	if (e->size == 0 || !add_ok(e->stream_offset, e->size, &end))
		return false;
	uint32_t first = find_near(c, e->stream_offset);
	uint32_t last = find_near(c, end - 1);
	return first != TABLE_NO_SPAN && last != TABLE_NO_SPAN && c->runs[first] == c->runs[last];
}

static int check_content(struct check *c, uint32_t content, struct err *err)
{
	uint32_t count = 0;
	const struct table_extent *e = table_extents(c->table, content, &count);
	uint64_t end = 0;
	for (uint32_t i = 0; i < count; i++) {
		bool rises = e[i].file_offset >= end;
		if (!rises || !is_covered(c, &e[i]) || !add_ok(e[i].file_offset, e[i].size, &end))
			return err_set(err, EBADMSG, "content %u: extent %u %s", content, i,
				       rises ? "is of bytes that are nowhere" : "is out of order");
	}
	return 0;
}

static int check_contents(struct check *c, struct err *err)
{
	const struct table *table = c->table;
	const uint32_t *contents = table->contents;
	if (contents[0] != 0 || contents[table->content_count] != table->extent_count)
		return err_set(err, EBADMSG, "extents that belong to no content");
	for (uint32_t i = 0; i < table->content_count; i++)
		if (contents[i] > contents[i + 1])
			return err_set(err, EBADMSG, "content %u: ends before it begins", i);
	for (uint32_t i = 0; i < table->content_count; i++) {
		int r = check_content(c, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* No content is longer than its file. */
static int check_sizes(const struct table *table, struct err *err)
{
	for (size_t i = 0; i < table->parts.entry_count; i++) {
		const struct toc_entry *e = &table->parts.entries[i];
		uint32_t count = 0;
		if (e->content == TOC_NO_CONTENT)
			continue;
		const struct table_extent *x = table_extents(table, e->content, &count);
		if (count > 0 && x[count - 1].file_offset + x[count - 1].size > e->size)
			return err_set(err, EBADMSG, "more content than size of number %zu", i);
	}
	return 0;
}

int table_check(const struct table *table, struct err *err)
{
	auto_free uint32_t *runs = NULL;
	void *memory = NULL;
	int r = mem_try(&memory, table->span_count + (size_t)1, sizeof(*runs), err);
	if (r < 0)
		return r;
	runs = memory;
	struct check c = { .table = table, .runs = runs };
	r = check_spans(&c, err);
	if (r == 0)
		r = check_contents(&c, err);
	return r < 0 ? r : check_sizes(table, err);
}
