/*
 * Cuts the decoded stream of a layer into the spans of its table while it passes: at the points
 * where decoding can begin again (codec/indexer.h), which may come to be known a little after the
 * bytes; pieces without a point for long are cut into groups.  Each span is hashed and kept in the
 * cache.
 */
#pragma once

#include "cache/spans.h"
#include "codec/indexer.h"
#include "layer/table.h"

struct cutter;
/* SPANS: where the bytes are kept, borrowed; NULL: nowhere. */
struct cutter *cutter_new(struct cache_spans *spans, uint32_t span_max_bytes);
void cutter_free(struct cutter *cutter);
DEFINE_AUTO(cutter)

/* As options.found of an indexer; another thread's than the bytes'. */
MUST_USE int cutter_point(void *cutter, const struct indexer_point *point, struct err *err);
/* The next bytes of the stream; SIZE 0: it has ended, all points are known.  -E2BIG. */
MUST_USE int cutter_add(struct cutter *cutter, const void *data, size_t size, struct err *err);

/* When it has ended: append all spans to BUILDER, for a blob of BLOB_SIZE bytes. */
MUST_USE int cutter_build(const struct cutter *cutter, struct table_builder *builder,
			  uint64_t blob_size, struct err *err);
uint32_t cutter_span_count(const struct cutter *cutter);
uint64_t cutter_stream_size(const struct cutter *cutter);
