/*
 * Making a table: arrays that grow, and at the end one piece of memory with all of them.  The same
 * calls give the same bytes, because the cache knows a table by its digest.
 */
#include <errno.h>
#include <stdlib.h>

#include "layer/table-file.h"

#define WINDOWS_MAX_BYTES ((uint64_t)1 << 32)

struct table_builder {
	enum table_kind kind;
	uint32_t prefetch_spans;
	struct toc *toc;	      /* owned */
	struct table_span *spans;     /* owned */
	struct table_extent *extents; /* owned */
	uint32_t *contents;	      /* owned; where each one's extents begin */
	uint8_t *windows;	      /* owned */
	struct table_rest *rests;     /* owned; of the first rest_count spans */
	size_t rest_count, rest_capacity;
	size_t span_count, span_capacity, extent_count, extent_capacity, content_count,
		content_capacity, windows_size, windows_capacity;
};

struct table_builder *table_builder_new(enum table_kind kind)
{
	return mem_make(struct table_builder, .kind = kind, .toc = toc_new());
}

void table_builder_free(struct table_builder *builder)
{
	if (!builder)
		return;
	toc_free(builder->toc);
	free(builder->spans);
	free(builder->extents);
	free(builder->contents);
	free(builder->windows);
	free(builder->rests);
	free(builder);
}

struct toc *table_builder_toc(struct table_builder *builder)
{
	return builder->toc;
}

void table_builder_prefetch(struct table_builder *builder, uint32_t spans)
{
	builder->prefetch_spans = spans;
}

int table_builder_content(struct table_builder *builder, const struct table_extent *extents,
			  size_t count, uint32_t *content, struct err *err)
{
	struct table_builder *b = builder;
	if (b->content_count >= TOC_ENTRIES_MAX || count > UINT32_MAX - b->extent_count)
		return err_set(err, E2BIG, "more than %u files or %u extents", TOC_ENTRIES_MAX,
			       UINT32_MAX);
	b->contents = mem_grow(b->contents, &b->content_capacity, b->content_count,
			       sizeof(*b->contents));
	b->contents[b->content_count] = (uint32_t)b->extent_count;
	for (size_t i = 0; i < count; i++) {
		b->extents = mem_grow(b->extents, &b->extent_capacity, b->extent_count,
				      sizeof(*b->extents));
		b->extents[b->extent_count++] = extents[i];
	}
	*content = (uint32_t)b->content_count++;
	return 0;
}

static int add_window(struct table_builder *b, const uint8_t *packed, size_t size, struct err *err)
{
	if (size > TABLE_WINDOW_MAX_BYTES || b->windows_size > WINDOWS_MAX_BYTES - size)
		return err_set(err, E2BIG, "windows of more than %llu bytes",
			       (unsigned long long)WINDOWS_MAX_BYTES);
	while (b->windows_capacity < b->windows_size + size)
		b->windows = mem_grow(b->windows, &b->windows_capacity, b->windows_capacity, 1);
	memcpy(b->windows + b->windows_size, packed, size);
	b->windows_size += size;
	return 0;
}

/* A span of the group the last one is in shares its window. */
static bool shares_window(const struct table_builder *b, const struct table_span *span,
			  const uint8_t *packed, size_t size)
{
	if (b->span_count == 0 || size == 0)
		return false;
	const struct table_span *last = &b->spans[b->span_count - 1];
	return last->blob_offset == span->blob_offset && last->window_size == size &&
	       memcmp(b->windows + last->window, packed, size) == 0;
}

int table_builder_span(struct table_builder *builder, const struct table_span *span,
		       const uint8_t *packed, size_t packed_size, struct err *err)
{
	struct table_builder *b = builder;
	struct table_span copy = *span;
	memset(copy.padding, 0, sizeof(copy.padding));
	if (!copy.has_digest)
		memset(copy.digest, 0, sizeof(copy.digest));
	copy.window = 0;
	copy.window_size = (uint32_t)packed_size;
	if (b->span_count >= TABLE_SPANS_MAX)
		return err_set(err, E2BIG, "more than %u spans", TABLE_SPANS_MAX);
	if (shares_window(b, span, packed, packed_size)) {
		copy.window = b->spans[b->span_count - 1].window;
	} else if (packed_size > 0) {
		copy.window = b->windows_size;
		int r = add_window(b, packed, packed_size, err);
		if (r < 0)
			return r;
	}
	b->spans = mem_grow(b->spans, &b->span_capacity, b->span_count, sizeof(*b->spans));
	b->spans[b->span_count++] = copy;
	return 0;
}

void table_builder_rest(struct table_builder *builder, const uint8_t rest[HASH_REST_BYTES])
{
	struct table_builder *b = builder;
	b->rests = mem_grow(b->rests, &b->rest_capacity, b->rest_count, sizeof(*b->rests));
	memcpy(b->rests[b->rest_count++].bytes, rest, HASH_REST_BYTES);
}

static void put(uint8_t *file, uint64_t offset, const void *data, size_t size)
{
	if (size > 0)
		memcpy(file + offset, data, size);
}

static void put_all(const struct table_builder *b, const struct toc_parts *parts, uint8_t *file,
		    const uint64_t *at)
{
	const uint32_t end = (uint32_t)b->extent_count;
	size_t contents_size = b->content_count * sizeof(*b->contents);
	put(file, at[TABLE_ENTRIES], parts->entries, parts->entry_count * sizeof(struct toc_entry));
	put(file, at[TABLE_SPANS], b->spans, b->span_count * sizeof(*b->spans));
	put(file, at[TABLE_EXTENTS], b->extents, b->extent_count * sizeof(*b->extents));
	put(file, at[TABLE_CONTENTS], b->contents, contents_size);
	put(file, at[TABLE_CONTENTS] + contents_size, &end, sizeof(end));
	put(file, at[TABLE_XATTRS], parts->xattrs,
	    parts->xattr_count * sizeof(struct toc_xattr_record));
	put(file, at[TABLE_STRINGS], parts->strings, parts->strings_size);
	put(file, at[TABLE_VALUES], parts->values, parts->values_size);
	put(file, at[TABLE_WINDOWS], b->windows, b->windows_size);
	put(file, at[TABLE_RESTS], b->rests, b->rest_count * sizeof(*b->rests));
}

int table_builder_finish(struct table_builder *builder, void **out, size_t *size, struct err *err)
{
	const struct table_builder *b = builder;
	const struct toc_parts parts = toc_parts_of(b->toc);
	const struct table_header header = {
		.magic = TABLE_MAGIC,
		.format = TABLE_FORMAT,
		.kind = b->kind,
		.prefetch_spans = b->prefetch_spans,
		.dropped_xattrs = parts.dropped_xattrs,
		.counts = {
			[TABLE_ENTRIES] = parts.entry_count,
			[TABLE_SPANS] = b->span_count,
			[TABLE_EXTENTS] = b->extent_count,
			[TABLE_CONTENTS] = b->content_count + 1,
			[TABLE_XATTRS] = parts.xattr_count,
			[TABLE_STRINGS] = parts.strings_size,
			[TABLE_VALUES] = parts.values_size,
			[TABLE_WINDOWS] = b->windows_size,
			[TABLE_RESTS] = b->rest_count,
		},
	};
	uint64_t offsets[TABLE_SECTIONS + 1];
	if (!table_file_offsets(&header, offsets) || offsets[TABLE_SECTIONS] > SIZE_MAX)
		return err_set(err, E2BIG, "a table too large for memory");
	auto_free void *file = NULL;
	int r = mem_try(&file, (size_t)offsets[TABLE_SECTIONS], 1, err);
	if (r < 0)
		return r;
	memcpy(file, &header, sizeof(header));
	put_all(b, &parts, file, offsets);
	AUTO(table) table = NULL;
	r = table_open(&table, file, (size_t)offsets[TABLE_SECTIONS], err);
	if (r < 0)
		return r;
	*size = (size_t)offsets[TABLE_SECTIONS];
	*out = TAKE(file);
	return 0;
}
