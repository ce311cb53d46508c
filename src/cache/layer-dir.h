/* One layer's directory in the cache, opened: its stream, its map, and the lock that says "in use".
 */
#pragma once

#include "cache/cache-internal.h"
#include "cache/span-map.h"

struct layer_dir {
	int dir;	      /* owned; -1: keeps nothing */
	int use;	      /* owned, locked shared while it is open */
	int stream;	      /* owned */
	struct span_map *map; /* owned; never NULL after layer_dir_init */
	bool writable;
};

/* Has nothing and keeps nothing, until opened or begun. */
void layer_dir_init(struct layer_dir *dir, const struct cache *cache);
void layer_dir_release(struct layer_dir *dir);
/* Now is its last use. */
void layer_dir_touch(const struct layer_dir *dir);

/*
 * Open layers/NAME; SHAPE NULL: whatever shape it has.  -ENOENT there is none; -EBADMSG it was odd:
 * now it is gone, as far as we may write; -EAGAIN somebody holds it for long.
 */
MUST_USE int layer_dir_open(struct layer_dir *out, struct cache *cache, const char *name,
			    const struct span_map_shape *shape, struct err *err);

/* Begin one in tmp/, then give it its name.  -EEXIST another has it; all failures leave it be. */
MUST_USE int layer_dir_begin(struct layer_dir *out, struct cache_tmp *tmp, struct cache *cache,
			     struct err *err);
MUST_USE int layer_dir_finish(struct layer_dir *dir, struct cache_tmp *tmp, struct cache *cache,
			      const char *name, const struct span_map_shape *shape,
			      struct err *err);

/* Remove layers/NAME if nobody uses it (and it has fewer than FEWER spans): true when it is gone.
 */
bool layer_dir_remove(struct cache *cache, const char *name, uint32_t fewer);
bool layer_dir_used(struct cache *cache, const char *name);

/*
 * Compare a span's bytes with its sum.  1: right, and trusted from now on; 0: wrong, and dropped;
 * -EAGAIN: it changed meanwhile.
 */
int layer_dir_check(struct layer_dir *dir, uint32_t span, const struct span_entry *entry);
/* The span's bytes are not to be had any more. */
void layer_dir_drop(struct layer_dir *dir, uint32_t span, const struct span_entry *entry);
/* All SIZE bytes, or false. */
bool layer_dir_pread(const struct layer_dir *dir, void *buf, size_t size, uint64_t offset);
void layer_dir_punch(const struct layer_dir *dir, uint64_t offset, uint64_t size);
