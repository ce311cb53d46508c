/*
 * Only layers that were scanned are kept whole: their table's spans cover the stream from its first
 * byte to its last, and were right when they were written.  The file is read from span to span.
 */
#include "image/kept-layer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "cache/spans.h"
#include "image/scan.h"
#include "image/table-store.h"

struct kept_layer {
	struct stored_table stored; /* owned; what table stands on */
	struct table *table;	    /* owned */
	struct cache_spans *spans;  /* owned */
	uint32_t span;		    /* the next byte: in this one, */
	uint32_t at;		    /* so far behind its beginning */
};

static bool is_whole(const struct kept_layer *kept)
{
	uint64_t end = 0;
	uint32_t count = table_span_count(kept->table);
	if (table_kind(kept->table) != TABLE_SCAN || count == 0 ||
	    cache_spans_present(kept->spans) < count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const struct table_span *span = table_span(kept->table, i);
		if (span->stream_offset != end)
			return false;
		end += span->stream_size;
	}
	return true;
}

static int open_spans(struct kept_layer *kept, struct cache *cache, const struct digest *key,
		      struct err *err)
{
	int r = table_open(&kept->table, kept->stored.table, kept->stored.size, err);
	return r < 0 ? r
		     : cache_spans_open(&kept->spans, cache, key, kept->stored.layout,
					table_span_count(kept->table),
					table_stream_size(kept->table), err);
}

struct kept_layer *kept_layer_open(struct cache *cache, const struct image *image, size_t layer)
{
	AUTO(kept_layer) kept = mem_make(struct kept_layer, .span = 0);
	const struct digest *key = scan_layer_key(image, layer);
	struct err err = { 0 };
	if (!table_store_get(&kept->stored, cache, image, layer, TRUST_VERIFIED))
		return NULL;
	if (open_spans(kept, cache, key, &err) < 0) {
		log_debug("what the cache has of '%s': %s", digest_show(key), err_text(&err));
		return NULL;
	}
	return is_whole(kept) ? TAKE(kept) : NULL;
}

void kept_layer_free(struct kept_layer *kept)
{
	if (!kept)
		return;
	cache_spans_free(kept->spans);
	table_free(kept->table);
	stored_table_release(&kept->stored);
	free(kept);
}

int kept_layer_read(struct kept_layer *kept, void *out, size_t room, size_t *size, struct err *err)
{
	*size = 0;
	if (kept->span == table_span_count(kept->table))
		return 0;
	const struct table_span *span = table_span(kept->table, kept->span);
	const struct cache_span where = { kept->span, span->stream_offset, span->stream_size };
	size_t rest = span->stream_size - kept->at;
	size_t count = room < rest ? room : rest;
	if (cache_spans_read(kept->spans, &where, out, count, kept->at) != 1)
		return err_set(err, EAGAIN, "the cache does not have it any more");
	*size = count;
	kept->at += (uint32_t)count;
	if (kept->at == span->stream_size) {
		kept->span++;
		kept->at = 0;
	}
	return 0;
}
