/*
 * What is kept on local disk, for all processes of one user on this machine.
 *
 *	DIR/v1/			0700, owner = effective user, checked
 *	    lock		who evicts
 *	    tables/ALG-HEX	small whole files, a directory for each enum cache_kind, named by
 *				a digest, with a checksum in front that is verified when opened
 *	    layers/ALG-HEX.LAYOUT/	decoded bytes of one layer, see cache/spans.h
 *	    tmp/		what is being made; swept when nobody holds its lock
 *
 * Any number of threads and processes may use a cache; a kill or a power cut at any instruction
 * never makes it serve a wrong byte.  Files appear whole (written in tmp/, renamed).  A full disk
 * or a cache that cannot be written turns writing off for this process (cache_writable), never
 * fails a read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#define CACHE_FORMAT "v1"

enum cache_kind {
	CACHE_TABLE,	/* layer/table.h, by blob digest */
	CACHE_ROOTFS,	/* image/rootfs.h, by manifest digest and what else decides it */
	CACHE_RECORD,	/* which spans a mount's first minute touched, by manifest digest */
	CACHE_DOCUMENT, /* manifests, indexes, configs: by their own digest */
	CACHE_NAME,	/* what a reference named last, by digest of its text */
	CACHE_KINDS,
};

struct cache;

struct cache_options {
	const char *path;    /* NULL: $ROOTLET_CACHE, /var/cache/rootlet for root, else
				$XDG_CACHE_HOME/rootlet or ~/.cache/rootlet */
	bool existing;	     /* nothing is made: -ENOENT when there is none */
	uint64_t size_bytes; /* quota; 0: 10 GiB or a tenth of the disk, whichever is less */
};

/*
 * Open or make it.  -EACCES not ours, open to others or a symbolic link; -EINVAL no directory, or
 * none to choose.  A directory that cannot be written or made (read-only, full) opens all the same:
 * cache_writable() is then false.
 */
MUST_USE int cache_open(struct cache **out, const struct cache_options *options, struct err *err);
void cache_free(struct cache *cache);
DEFINE_AUTO(cache)
const char *cache_path(const struct cache *cache);
bool cache_writable(const struct cache *cache);
/* Why it is not written to any more: "no space left on device"; "" while it is. */
const char *cache_trouble(const struct cache *cache);

/* A mapping of a cached file's contents; data NULL: there is none. */
struct cache_map {
	const void *data;
	size_t size;
	void *base; /* of the mapping, for release */
	size_t base_size;
};
/* *out.data is NULL when it is not there, or was corrupt (then it is removed).  -ENOMEM. */
MUST_USE int cache_get(struct cache *cache, enum cache_kind kind, const struct digest *key,
		       struct cache_map *out, struct err *err);
void cache_map_release(struct cache_map *map);
/*
 * Replaces what was there; where writing is off it keeps nothing and succeeds.  -E2BIG more than
 * 1 GiB; -ENOSPC and the like: nothing changed, and writing may be off now.
 */
MUST_USE int cache_put(struct cache *cache, enum cache_kind kind, const struct digest *key,
		       const void *data, size_t size, struct err *err);
void cache_drop(struct cache *cache, enum cache_kind kind, const struct digest *key);

/*
 * Make it at most TO_BYTES: files and whole unused layers first, by last use, then spans of layers
 * in use.  For "rootlet cache prune": the writers keep the quota themselves.  *freed is 0 while
 * another process evicts.
 */
MUST_USE int cache_evict(struct cache *cache, uint64_t to_bytes, uint64_t *freed, struct err *err);

/* What "rootlet cache ls|stat|verify|clear" show and do. */
struct cache_item {
	enum cache_kind kind; /* CACHE_KINDS: a layer's decoded bytes */
	struct digest digest;
	uint64_t disk_bytes;
	uint64_t spans, spans_present; /* of layers */
	int64_t used_s;		       /* last use, Unix time */
	bool in_use;
};
MUST_USE int cache_list(struct cache *cache,
			int (*item)(void *arg, const struct cache_item *item, struct err *err),
			void *arg, struct err *err);
struct cache_stat {
	uint64_t disk_bytes, quota_bytes;
	uint64_t layers, files;
};
MUST_USE int cache_stat(struct cache *cache, struct cache_stat *out, struct err *err);
/* Read everything, drop what fails its checksum; *checked and *dropped count files and spans. */
MUST_USE int cache_verify(struct cache *cache, uint64_t *checked, uint64_t *dropped,
			  struct err *err);
/* Remove all that nobody uses right now, and older formats.  -EAGAIN another process evicts. */
MUST_USE int cache_clear(struct cache *cache, uint64_t *freed, struct err *err);
