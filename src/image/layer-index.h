/*
 * What can be told of an image's layers without reading them: which kind of table each has, in the
 * cache or brought along, and what that says of its contents.  Nothing is scanned.
 */
#pragma once

#include "cache/cache.h"
#include "image/image.h"
#include "layer/table.h"

struct layer_index {
	bool known; /* false: only a scan would tell; the rest is then zero */
	enum table_kind kind;
	enum trust trust;
	uint32_t entries;
	uint64_t unpacked_bytes; /* of all regular files in it */
};

/*
 * For each layer of IMAGE (opened with its config) one in *out, yours to free.  Tables that are
 * fetched are kept in CACHE.  A table that is bad is none; errors are those of the network.
 */
MUST_USE int layer_indexes(struct layer_index **out, const struct image *image, struct cache *cache,
			   struct err *err);
