/*
 * Cuts the decoded stream of a layer into the spans of its table while it passes: at the points
 * where decoding can begin again (codec/indexer.h); pieces without a point for long are cut into
 * groups.  The stream is hashed once: spans are held against places of the hash.  Each span is kept
 * in the cache.
 *
 * Points up to SPAN_MAX_BYTES / CUTTER_NEAR_PART behind bytes have to be known before the bytes
 * come, or it is chance where spans end.
 */
#pragma once

#include "cache/spans.h"
#include "codec/indexer.h"
#include "layer/table.h"

#define CUTTER_NEAR_PART 8

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
/* Of all of the stream, once. */
void cutter_digest(struct cutter *cutter, struct digest *out);
uint32_t cutter_span_count(const struct cutter *cutter);
uint64_t cutter_stream_size(const struct cutter *cutter);
