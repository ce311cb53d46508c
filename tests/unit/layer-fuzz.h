/* What the fuzz targets of the ways to a table share: making one, and walking through it. */
#pragma once

#include "tests/unit/layer-build.h"

#define FUZZ_PAYLOAD_BYTES 4096

/* A layer whose table of contents is DATA; in front of it are zeros. */
static inline void fuzz_layer(struct build *b, const uint8_t *data, size_t size)
{
	auto_free char *json = mem_strndup((const char *)data, size);
	bytes_add_zeros(&b->blob, FUZZ_PAYLOAD_BYTES);
	b->json_all = json;
	if (b->zstd)
		build_end_zstd(b, false);
	else
		build_end_estargz(b);
	b->json_all = NULL;
}

/* Every extent is inside its file and its bytes are in spans inside the blob. */
static inline void fuzz_extents(const struct table *t, const struct toc_entry *e,
				uint64_t blob_size)
{
	uint32_t count = 0;
	const struct table_extent *x = table_extents(t, e->content, &count);
	for (uint32_t i = 0; i < count; i++) {
		if (x[i].file_offset + x[i].size > e->size)
			abort();
		for (uint64_t at = x[i].stream_offset; at < x[i].stream_offset + x[i].size;) {
			uint32_t number = table_find_span(t, at);
			if (number == TABLE_NO_SPAN)
				abort();
			const struct table_span *s = table_span(t, number);
			if (s->blob_offset + s->blob_size > blob_size)
				abort();
			at = s->stream_offset + s->stream_size;
		}
	}
}

static inline void fuzz_table(const struct bytes *blob,
			      int (*make)(const struct find_layer *layer, void **data, size_t *size,
					  struct err *err))
{
	struct notes none = { 0 };
	AUTO(input) input = input_of_memory(blob->data, blob->size);
	const struct find_layer layer = { .blob = input, .annotation = note, .arg = &none };
	auto_free void *file = NULL;
	size_t size = 0;
	AUTO(table) t = NULL;
	if (make(&layer, &file, &size, NULL) < 0)
		return;
	if (table_open(&t, file, size, NULL) < 0)
		abort();
	struct toc *toc = table_toc(t);
	for (uint32_t i = 0; i < toc_count(toc); i++)
		if (toc_at(toc, i)->content != TOC_NO_CONTENT)
			fuzz_extents(t, toc_at(toc, i), blob->size);
}
