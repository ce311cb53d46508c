/*
 * A plain tar is its own table of contents: headers are read by ranges, data are passed over.  The
 * spans are slices of the blob as it is; nothing proves their bytes.
 */
#include <errno.h>
#include <stdlib.h>

#include "layer/feed.h"
#include "layer/find.h"

#define WINDOW_BYTES ((size_t)64 << 10)
#define SLICE_BYTES ((uint32_t)1 << 20)

/* Where a file's data are in the tar. */
static int add_content(struct table_builder *builder, const struct tar_entry *entry,
		       uint32_t *content, struct err *err)
{
	const struct tar_extent whole = { 0, entry->size };
	const struct tar_extent *from = entry->sparse ? entry->extents : &whole;
	size_t count = entry->sparse ? entry->extent_count : 1, used = 0;
	uint64_t stored = entry->data_offset;
	void *memory = NULL;
	int r = mem_try(&memory, count, sizeof(struct table_extent), err);
	if (r < 0)
		return r;
	auto_free struct table_extent *extents = memory;
	for (size_t i = 0; i < count; i++) {
		if (from[i].size > 0)
			extents[used++] = (struct table_extent){ from[i].offset, stored,
								 from[i].size };
		stored += from[i].size;
	}
	return table_builder_content(builder, extents, used, content, err);
}

static int add_entry(struct table_builder *builder, const struct tar_entry *entry, struct err *err)
{
	struct toc *toc = table_builder_toc(builder);
	uint32_t index, content;
	int r = toc_add(toc, entry, &index, err);
	if (r < 0 || index == UINT32_MAX || toc_at(toc, index)->kind != TOC_FILE ||
	    entry->size == 0)
		return r;
	r = add_content(builder, entry, &content, err);
	if (r == 0)
		toc_at(toc, index)->content = content;
	return r;
}

static int add_slices(struct table_builder *builder, uint64_t size, struct err *err)
{
	for (uint64_t at = 0; at < size; at += SLICE_BYTES) {
		uint64_t n = size - at < SLICE_BYTES ? size - at : SLICE_BYTES;
		const struct table_span span = { .blob_offset = at,
						 .blob_size = n,
						 .stream_offset = at,
						 .stream_size = (uint32_t)n,
						 .start = SPAN_STORED };
		int r = table_builder_span(builder, &span, NULL, 0, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tarwalk_table(const struct find_layer *layer, void **data, size_t *size, struct err *err)
{
	AUTO(table_builder) builder = table_builder_new(TABLE_TAR);
	AUTO(stream) stream = feed_range(layer->blob, 0, layer->blob->size, WINDOW_BYTES);
	AUTO(tar) tar = tar_new(stream);
	const struct tar_entry *entry = NULL;
	int r;
	while ((r = tar_next(tar, &entry, err)) > 0) {
		r = add_entry(builder, entry, err);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = add_slices(builder, layer->blob->size, err);
	return r < 0 ? r : table_builder_finish(builder, data, size, err);
}
