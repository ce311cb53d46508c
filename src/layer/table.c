/*
 * Reading a table: pointers into the file, set up once by table_open.  Afterwards nothing here can
 * fail, takes no lock and allocates nothing, so that any thread may ask.  Made by table-build.c,
 * checked by table-check.c and toc-parts.c.
 */
#include "layer/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "layer/table-file.h"

const char *trust_name(enum trust trust)
{
	static const char *const names[] = {
		[TRUST_NONE] = "none",
		[TRUST_ATTESTED] = "attested",
		[TRUST_BOUND] = "bound",
		[TRUST_VERIFIED] = "verified",
	};
	return names[trust];
}

const char *table_kind_name(enum table_kind kind)
{
	static const char *const names[] = {
		[TABLE_SCAN] = "scan",
		[TABLE_ESTARGZ] = "estargz",
		[TABLE_ZSTD_CHUNKED] = "zstd:chunked",
		[TABLE_TAR] = "tar",
	};
	return names[kind];
}

bool table_file_offsets(const struct table_header *header, uint64_t offsets[TABLE_SECTIONS + 1])
{
	static const size_t sizes[TABLE_SECTIONS] = {
		[TABLE_ENTRIES] = sizeof(struct toc_entry),
		[TABLE_SPANS] = sizeof(struct table_span),
		[TABLE_EXTENTS] = sizeof(struct table_extent),
		[TABLE_CONTENTS] = sizeof(uint32_t),
		[TABLE_XATTRS] = sizeof(struct toc_xattr_record),
		[TABLE_STRINGS] = 1,
		[TABLE_VALUES] = 1,
		[TABLE_WINDOWS] = 1,
		[TABLE_RESTS] = sizeof(struct table_rest),
	};
	uint64_t at = sizeof(*header), size = 0;
	for (int i = 0; i < TABLE_SECTIONS; i++) {
		offsets[i] = at;
		if (!mul_ok(header->counts[i], sizes[i], &size) || !add_ok(at, size, &at) ||
		    !add_ok(at, -at % TABLE_ALIGN_BYTES, &at))
			return false;
	}
	offsets[TABLE_SECTIONS] = at;
	return true;
}

static int check_header(const struct table_header *h, struct err *err)
{
	if (memcmp(h->magic, TABLE_MAGIC, sizeof(h->magic)) != 0)
		return err_set(err, EBADMSG, "not a table");
	if (h->format != TABLE_FORMAT)
		return err_set(err, EBADMSG, "a table of format %u, not %d", h->format,
			       TABLE_FORMAT);
	if (h->kind > TABLE_TAR || h->spare != 0)
		return err_set(err, EBADMSG, "a table of unknown kind");
	if (h->counts[TABLE_SPANS] > TABLE_SPANS_MAX || h->counts[TABLE_EXTENTS] > UINT32_MAX ||
	    (h->counts[TABLE_RESTS] != 0 && h->counts[TABLE_RESTS] != h->counts[TABLE_SPANS]) ||
	    h->counts[TABLE_CONTENTS] == 0 || h->counts[TABLE_CONTENTS] > TOC_ENTRIES_MAX + 1u)
		return err_set(err, EBADMSG, "a table with impossible counts");
	if (h->prefetch_spans > h->counts[TABLE_SPANS] && h->prefetch_spans != TABLE_NO_SPAN)
		return err_set(err, EBADMSG, "%u spans to prefetch", h->prefetch_spans);
	return 0;
}

static void set_up(struct table *table, const uint8_t *data,
		   const uint64_t offsets[TABLE_SECTIONS + 1])
{
	const struct table_header *h = table->header;
	table->spans = (const void *)(data + offsets[TABLE_SPANS]);
	table->extents = (const void *)(data + offsets[TABLE_EXTENTS]);
	table->contents = (const void *)(data + offsets[TABLE_CONTENTS]);
	table->windows = data + offsets[TABLE_WINDOWS];
	table->rests = (const void *)(data + offsets[TABLE_RESTS]);
	table->span_count = (uint32_t)h->counts[TABLE_SPANS];
	table->content_count = (uint32_t)h->counts[TABLE_CONTENTS] - 1;
	table->extent_count = h->counts[TABLE_EXTENTS];
	table->windows_size = h->counts[TABLE_WINDOWS];
	table->parts = (struct toc_parts){
		.entries = (const void *)(data + offsets[TABLE_ENTRIES]),
		.entry_count = (size_t)h->counts[TABLE_ENTRIES],
		.strings = (const char *)data + offsets[TABLE_STRINGS],
		.strings_size = (size_t)h->counts[TABLE_STRINGS],
		.xattrs = (const void *)(data + offsets[TABLE_XATTRS]),
		.xattr_count = (size_t)h->counts[TABLE_XATTRS],
		.values = data + offsets[TABLE_VALUES],
		.values_size = (size_t)h->counts[TABLE_VALUES],
		.dropped_xattrs = h->dropped_xattrs,
	};
}

int table_open(struct table **out, const void *data, size_t size, struct err *err)
{
	assert((uintptr_t)data % TABLE_ALIGN_BYTES == 0);
	uint64_t offsets[TABLE_SECTIONS + 1];
	if (size < sizeof(struct table_header))
		return err_set(err, EBADMSG, "a table of %zu bytes", size);
	AUTO(table) table = mem_make(struct table, .header = data);
	int r = check_header(table->header, err);
	if (r < 0)
		return r;
	if (!table_file_offsets(table->header, offsets) || offsets[TABLE_SECTIONS] != size)
		return err_set(err, EBADMSG, "a table cut or continued: %zu bytes", size);
	set_up(table, data, offsets);
	r = toc_parts_check(&table->parts, table->content_count, err);
	if (r == 0)
		r = table_check(table, err);
	if (r < 0)
		return r;
	table->toc = toc_of_parts(&table->parts);
	*out = TAKE(table);
	return 0;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	toc_free(table->toc);
	free(table);
}

enum table_kind table_kind(const struct table *table)
{
	return (enum table_kind)table->header->kind;
}

struct toc *table_toc(struct table *table)
{
	return table->toc;
}

uint64_t table_stream_size(const struct table *table)
{
	if (table->span_count == 0)
		return 0;
	const struct table_span *last = &table->spans[table->span_count - 1];
	return last->stream_offset + last->stream_size;
}

uint32_t table_span_count(const struct table *table)
{
	return table->span_count;
}

const struct table_span *table_span(const struct table *table, uint32_t span)
{
	assert(span < table->span_count);
	return &table->spans[span];
}

uint32_t table_find_span(const struct table *table, uint64_t stream_offset)
{
	uint32_t low = 0, high = table->span_count;
	while (low < high) { /* the first span that begins behind the offset */
		uint32_t middle = low + (high - low) / 2;
		if (table->spans[middle].stream_offset <= stream_offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return TABLE_NO_SPAN;
	const struct table_span *s = &table->spans[low - 1];
	return stream_offset - s->stream_offset < s->stream_size ? low - 1 : TABLE_NO_SPAN;
}

struct span_point table_point(const struct table *table, uint32_t span)
{
	const struct table_span *s = table_span(table, span);
	return (struct span_point){
		.start = (enum span_start)s->start,
		.bits = s->bits,
		.window = s->window_size > 0 ? table->windows + s->window : NULL,
		.window_size = s->window_size,
	};
}

/* Where the stream's sha256 stands behind a span. */
static void place_behind(const struct table *table, uint32_t span, struct hash_place *out)
{
	const struct table_span *s = &table->spans[span];
	out->size = s->stream_offset + s->stream_size;
	memcpy(out->chain, s->digest, sizeof(out->chain));
	memcpy(out->rest, table->rests[span].bytes, sizeof(out->rest));
}

static bool leads_on(const struct table *table, uint32_t span, const void *bytes)
{
	struct hash_place before, found, wanted;
	if (span > 0)
		place_behind(table, span - 1, &before);
	place_behind(table, span, &wanted);
	AUTO(hash_chain) chain = hash_chain_new(span > 0 ? &before : NULL);
	hash_chain_add(chain, bytes, table->spans[span].stream_size);
	hash_chain_place(chain, &found);
	return hash_place_equal(&found, &wanted);
}

int table_verify(const struct table *table, uint32_t span, const void *bytes, struct err *err)
{
	const struct table_span *s = table_span(table, span);
	struct digest digest;
	bool good = table_kind(table) == TABLE_TAR;
	if (s->has_digest == TABLE_DIGEST_NONE)
		return good ? 0 : err_set(err, EBADMSG, "have no digest to be held against");
	if (s->has_digest == TABLE_DIGEST_SPAN) {
		digest_of(&digest, DIGEST_SHA256, bytes, s->stream_size);
		good = memcmp(digest.bytes, s->digest, sizeof(s->digest)) == 0;
	} else {
		good = leads_on(table, span, bytes);
	}
	return good ? 0 : err_set(err, EBADMSG, "do not match their digest");
}

const struct table_extent *table_extents(const struct table *table, uint32_t content,
					 uint32_t *count)
{
	assert(content < table->content_count);
	*count = table->contents[content + 1] - table->contents[content];
	return table->extents + table->contents[content];
}

uint32_t table_prefetch_spans(const struct table *table)
{
	return table->header->prefetch_spans;
}
