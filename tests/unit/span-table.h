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
