/* What the files of this folder share: the cache's descriptors, names, and things half made. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "cache/cache.h"

#define CACHE_NAME_MAX 160
#define CACHE_FILE_MAX_BYTES (UINT64_C(1) << 30)

struct cache {
	char *path;		/* owned */
	int root;		/* owned: DIR; this and all below are -1 where there is none */
	int dir;		/* owned: DIR/v1 */
	int layers;		/* owned */
	int tmp;		/* owned */
	int kinds[CACHE_KINDS]; /* owned */
	uint64_t quota_bytes;
	uint64_t check_bytes; /* the usage is looked at after so much was written */
	_Atomic uint64_t written;
	uint32_t boot;	       /* never 0 */
	pthread_mutex_t mutex; /* guards the setting of trouble */
	atomic_bool off;       /* not written to any more; trouble is constant from then on */
	char trouble[160];
};

/* Tests only: as if the machine had been started anew. */
void cache_set_boot(struct cache *cache, uint32_t boot);

/*
 * Something failed while writing, with -R.  Turns writing off, unless it was for want of memory or
 * descriptors, or because somebody else was faster.  Returns R.
 */
int cache_fail(struct cache *cache, int r);

/* "sha256-<hex>" */
struct cache_name {
	char text[CACHE_NAME_MAX];
};
struct cache_name cache_name_of(const struct digest *digest);
bool cache_name_parse(struct digest *out, const char *name);
/* "sha256-<hex>.<layout as 16 hex digits>" */
struct cache_name cache_layer_name(const struct digest *digest, uint64_t layout);
bool cache_layer_name_parse(struct digest *out, uint64_t *layout, const char *name);

/* ---- cache-dir.c */

/* Open or make DIR and what is below it; where that cannot be written, writing is off. */
MUST_USE int cache_dirs_open(struct cache *cache, struct err *err);
void cache_dirs_close(struct cache *cache);

/*
 * Something being made in tmp/; its lock keeps it from being swept.  When it got its place the name
 * is "" and only the descriptor goes with the release; else it is removed.
 */
struct cache_tmp {
	int fd;
	char name[32];
};
MUST_USE int cache_tmp_make(struct cache_tmp *out, struct cache *cache, bool directory,
			    struct err *err);
void cache_tmp_release(struct cache_tmp *tmp, struct cache *cache);
/* Remove NAME of PARENT: out of sight at once, then piece by piece. */
MUST_USE int cache_discard(struct cache *cache, int parent, const char *name, struct err *err);

/* Each name in DIRFD that does not begin with a dot, until EACH fails. */
MUST_USE int cache_dir_each(int dirfd, int (*each)(void *arg, const char *name, struct err *err),
			    void *arg, struct err *err);

/* ---- cache-files.c */

/* Map and check an opened file.  -EBADMSG it is not what was put; -E2BIG. */
MUST_USE int cache_file_map(struct cache_map *out, int fd, enum cache_kind kind,
			    const struct digest *key, struct err *err);
const char *cache_kind_name(enum cache_kind kind);

/* ---- inventory.c */

struct inventory_entry {
	enum cache_kind kind; /* CACHE_KINDS: a layer */
	struct cache_name name;
	uint64_t disk_bytes;
	int64_t used_s; /* never in the future */
};
struct inventory {
	struct inventory_entry *entries; /* owned; oldest use first */
	size_t count, capacity;
	uint64_t disk_bytes; /* with what is being made */
};
MUST_USE int inventory_take(struct inventory *out, struct cache *cache, struct err *err);
void inventory_release(struct inventory *inventory);
#define auto_inventory __attribute__((cleanup(inventory_release))) struct inventory

/* ---- evict.c */

/* SIZE bytes more are there: now and then, look whether the quota is kept. */
void cache_wrote(struct cache *cache, uint64_t size);
