/*
 * A layer's tar, where a mount or a look at the image has left all of it in the cache.  Who reads
 * it holds it against the diffID, as what comes from a registry.
 */
#pragma once

#include "cache/cache.h"
#include "image/image.h"

struct kept_layer;

/* NULL: some of it is missing. */
struct kept_layer *kept_layer_open(struct cache *cache, const struct image *image, size_t layer);
void kept_layer_free(struct kept_layer *kept);
DEFINE_AUTO(kept_layer)

/* The next bytes, up to ROOM of them; 0 at the end.  -EAGAIN it was evicted meanwhile. */
MUST_USE int kept_layer_read(struct kept_layer *kept, void *out, size_t room, size_t *size,
			     struct err *err);
