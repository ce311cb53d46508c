/* Tables in the cache: a fixed header in front of what layer/table.h reads. */
#include "image/table-store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "image/scan.h"

#define MAGIC "rltable1"

struct header {
	char magic[8];
	uint32_t trust, padding;
	uint64_t layout;
	uint8_t diff_id[DIGEST_BYTES_MAX];
	uint8_t spare[40];
};
_Static_assert(sizeof(struct header) == 128, "the table behind it stays aligned");

void stored_table_release(struct stored_table *stored)
{
	cache_map_release(&stored->map);
	*stored = (struct stored_table){ 0 };
}

/* Is it what this image wants, and as much trusted? */
static bool serves(const struct header *h, const struct digest *diff_id, enum trust least)
{
	if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0 || h->trust > TRUST_VERIFIED ||
	    h->trust < (uint32_t)least)
		return false;
	return h->trust != TRUST_VERIFIED ||
	       memcmp(h->diff_id, diff_id->bytes, sizeof(h->diff_id)) == 0;
}

bool table_store_get(struct stored_table *out, struct cache *cache, const struct image *image,
		     size_t layer, enum trust least)
{
	const struct digest *key = scan_layer_key(image, layer);
	struct stored_table found = { 0 };
	struct err err = { 0 };
	if (cache_get(cache, CACHE_TABLE, key, &found.map, &err) < 0)
		log_debug("table of '%s': %s", digest_show(key), err_text(&err));
	const struct header *h = found.map.data;
	if (!h)
		return false;
	if (found.map.size < sizeof(*h) || !serves(h, &image->config.diff_ids[layer], least)) {
		stored_table_release(&found);
		return false;
	}
	found.table = h + 1;
	found.size = found.map.size - sizeof(*h);
	found.layout = h->layout;
	found.trust = (enum trust)h->trust;
	*out = found;
	return true;
}

bool table_store_has(struct cache *cache, const struct image *image, size_t layer)
{
	struct cache_map map = { 0 };
	if (cache_get(cache, CACHE_TABLE, scan_layer_key(image, layer), &map, NULL) < 0)
		return false;
	bool has = map.data;
	cache_map_release(&map);
	return has;
}

void table_store_put(struct cache *cache, const struct image *image, size_t layer,
		     const void *table, size_t size, enum trust trust)
{
	const struct digest *key = scan_layer_key(image, layer);
	struct header h = { .magic = MAGIC,
			    .trust = (uint32_t)trust,
			    .layout = table_layout(table, size) };
	if (trust == TRUST_VERIFIED)
		memcpy(h.diff_id, image->config.diff_ids[layer].bytes, sizeof(h.diff_id));
	void *memory = NULL;
	struct err err = { 0 };
	int r = mem_try(&memory, sizeof(h) + size, 1, &err);
	auto_free uint8_t *file = memory;
	if (r == 0) {
		memcpy(file, &h, sizeof(h));
		memcpy(file + sizeof(h), table, size);
		r = cache_put(cache, CACHE_TABLE, key, file, sizeof(h) + size, &err);
	}
	if (r < 0)
		log_debug("table of '%s' is not kept: %s", digest_show(key), err_text(&err));
}

void table_store_drop(struct cache *cache, const struct image *image, size_t layer)
{
	cache_drop(cache, CACHE_TABLE, scan_layer_key(image, layer));
}
