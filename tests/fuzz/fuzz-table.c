/* Tables: whatever is opened can be read everywhere it may be asked. */
#include <stdlib.h>

#include "layer/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_spans(struct table *t)
{
	for (uint32_t i = 0; i < table_span_count(t); i++) {
		const struct span_point p = table_point(t, i);
		if (table_find_span(t, table_span(t, i)->stream_offset) != i)
			abort();
		for (size_t k = 0; k < p.window_size; k += 64)
			(void)*(const volatile uint8_t *)(p.window + k);
		auto_free void *zeros = mem_new(table_span(t, i)->stream_size);
		IGNORE(table_verify(t, i, zeros, NULL));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free void *copy = size ? mem_copy(data, size) : mem_new(1);
	AUTO(table) t = NULL;
	if (table_open(&t, copy, size, NULL) < 0)
		return 0;
	walk_spans(t);
	struct toc *toc = table_toc(t);
	for (uint32_t i = 0; i < toc_count(toc); i++) {
		const struct toc_entry *e = toc_at(toc, i);
		struct toc_xattr x[4];
		uint32_t count = 0;
		size_t there = strlen(toc_string(toc, e->path)) + strlen(toc_string(toc, e->link));
		there += toc_xattrs(toc, e, x, N_ELEMENTS(x));
		const struct table_extent *extents = e->content != TOC_NO_CONTENT
							     ? table_extents(t, e->content, &count)
							     : NULL;
		for (uint32_t k = 0; k < count; k++)
			if (table_find_span(t, extents[k].stream_offset) == TABLE_NO_SPAN || !there)
				abort();
	}
	return 0;
}
