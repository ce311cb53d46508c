/* Making tables of spans for tests. */
#pragma once

#include <stdlib.h>

#include "base/mem.h"
#include "layer/table.h"

/* A finished table and the memory it lies in. */
struct span_table {
	struct table *table;
	void *file;
};

static inline void span_table_release(struct span_table *t)
{
	table_free(t->table);
	free(t->file);
}
#define auto_span_table __attribute__((cleanup(span_table_release))) struct span_table

static inline struct span_table span_table_of(enum table_kind kind, const struct table_span *spans,
					      size_t count)
{
	AUTO(table_builder) builder = table_builder_new(kind);
	struct span_table t = { 0 };
	size_t size = 0;
	for (size_t i = 0; i < count; i++)
		if (table_builder_span(builder, &spans[i], NULL, 0, NULL) < 0)
			abort();
	if (table_builder_finish(builder, &t.file, &size, NULL) < 0 ||
	    table_open(&t.table, t.file, size, NULL) < 0)
		abort();
	return t;
}

/* COUNT spans (1..8) as 5 bytes each say: distance in the blob, bytes, skip, size, start. */
static inline struct span_table span_table_of_bytes(const uint8_t *bytes, size_t count)
{
	struct table_span spans[8];
	struct table_span last = { 0 };
	for (size_t i = 0; i < count && i < N_ELEMENTS(spans); i++) {
		const uint8_t *p = bytes + 5 * i;
		bool same = i > 0 && p[0] == 0;
		last = (struct table_span){
			.blob_offset = last.blob_offset + p[0],
			.blob_size = p[1] + 1u,
			.stream_offset = last.stream_offset + last.stream_size,
			.skip = same ? last.skip + last.stream_size + p[2] : p[2],
			.stream_size = p[3] * 16u + 1,
			.start = same ? last.start : p[4] % 4,
		};
		spans[i] = last;
	}
	return span_table_of(TABLE_TAR, spans, count);
}
