/*
 * Layers' tables as the cache keeps them: with how far they are trusted, and of which tar.
 *
 *	u8  magic[8]	"rltable1"
 *	u32 trust	enum trust
 *	u32 padding
 *	u64 layout	table_layout
 *	u8  diff_id[64]	of TRUST_VERIFIED: the tar that the blob turned out to be (zeros behind a
 *			sha256)
 *	u8  padding[40]	to 128 bytes
 *	table
 */
#pragma once

#include "cache/cache.h"
#include "image/image.h"
#include "layer/table.h"

struct stored_table {
	const void *table; /* borrowed from the map */
	size_t size;
	uint64_t layout;
	enum trust trust;
	struct cache_map map; /* owned */
};
void stored_table_release(struct stored_table *stored);

/*
 * The table of layer LAYER of IMAGE, when one of at least LEAST is there: true.  One that was
 * verified against another diffID than this image's is none.
 */
bool table_store_get(struct stored_table *out, struct cache *cache, const struct image *image,
		     size_t layer, enum trust least);
/* Is there anything that table_store_get would look at?  Needs no config. */
bool table_store_has(struct cache *cache, const struct image *image, size_t layer);
/* A cache that does not take it is a loss of time only; said in a debug line. */
void table_store_put(struct cache *cache, const struct image *image, size_t layer,
		     const void *table, size_t size, enum trust trust);
void table_store_drop(struct cache *cache, const struct image *image, size_t layer);
