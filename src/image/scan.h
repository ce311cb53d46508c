/*
 * The one pass over a layer that nobody prepared: downloaded once, inflated once; verifies size,
 * digest and diffID, records the table (entries, spans about every SCAN_DISTANCE bytes with their
 * sha256, sparse windows), and leaves the decoded bytes in the cache.
 *
 *	caller's thread   blob bytes -> size, digest -> indexer -> ring
 *	tar thread        ring -> entries, extents; spans cut, written to the cache; diffID
 */
#pragma once

#include <stdatomic.h>

#include "cache/spans.h"
#include "image/image.h"
#include "layer/table.h"

#define SCAN_DISTANCE_BYTES (1024u * 1024)
#define SCAN_SPAN_MAX_BYTES (2u * 1024 * 1024) /* a longer one is cut into a group */

struct scan_options {
	struct layer_progress *progress; /* borrowed or NULL */
	const atomic_bool *cancel;	 /* borrowed or NULL: the user wants to stop */
	const atomic_bool *stop;	 /* borrowed or NULL: another layer failed */
	bool allow_bomb;
};

struct scan_result {
	void *table; /* owned: the file table_open reads */
	size_t table_size;
	uint64_t layout;	   /* table_layout of it */
	struct cache_spans *spans; /* owned: holds what was decoded, published */
	uint64_t fetched_bytes;
};
void scan_result_release(struct scan_result *result);

/* Layer number LAYER of IMAGE.  Errors as unpack_layer; wrong bytes are fetched once more. */
MUST_USE int scan_layer(struct scan_result *out, struct image *image, size_t layer,
			struct cache *cache, const struct scan_options *options, struct err *err);

/* What a layer's table and bytes are kept under: its blob's digest, or its diffID where there is
 * none. Borrowed. */
const struct digest *scan_layer_key(const struct image *image, size_t layer);

/* The layout number of a table, for cache_spans_open: the first 8 bytes of its SHA-256. */
uint64_t table_layout(const void *table, size_t size);
