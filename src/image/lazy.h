/*
 * An image opened to be read where somebody looks: its merged tree at once, the bytes of its files
 * when they are read.  Who mounts, lists, compares or copies single files stands on this.
 *
 * lazy_open finds for each layer the first table that serves (cached | eStargz | zstd:chunked |
 * plain tar by ranges | scan), all layers at once, merges them (or maps the tree of the last time),
 * and starts the fetcher.  Everything it learns goes into the cache, so that the next time costs
 * one request, or none when the registry is away.
 */
#pragma once

#include <stdatomic.h>

#include "cache/cache.h"
#include "image/image.h"
#include "image/rootfs.h"
#include "layer/table.h"

/* Layers of less compressed bytes are scanned even if they have a table: one request, and all of it
 * is verified. */
#define LAZY_SCAN_BELOW_BYTES (1024u * 1024)

enum lazy_fill {
	LAZY_FILL_OFF,
	LAZY_FILL_IDLE, /* when demand was quiet for a second */
	LAZY_FILL_NOW,
};

struct lazy_options {
	struct image_options image;
	struct cache *cache; /* borrowed; needed */
	enum trust least;    /* tables below it are not used: the layer is scanned */
	enum lazy_fill fill;
	bool no_prefetch; /* neither record nor replay, no landmarks */
	bool exact;	  /* nothing is fetched but tables and the spans of what is read */
	bool allow_bomb;
	bool wait;    /* for an image that was pushed just now, as IMAGE_WAIT */
	bool offline; /* no registry is asked, nothing is scanned: what the cache has, or -EAGAIN */
	size_t skip_layers; /* so many at the bottom are left out, and nothing is asked of them */
	unsigned read_timeout_ms;  /* 0: 60 000; a read that takes longer fails with -ETIMEDOUT */
	unsigned jobs;		   /* layers at once; 0: the cores */
	const atomic_bool *cancel; /* borrowed or NULL; ends lazy_open with -ECANCELED */
	/* Layers are about to be scanned: counters to show; and once more with NULL when that has
	 * ended, before the counters go.  Both once at most for each lazy_open, from its thread;
	 * may be NULL. */
	void (*scanning)(void *arg, struct progress *progress);
	/* What goes wrong later (a span that fails ...), one line; any thread; may be NULL. */
	void (*log)(void *arg, const char *text);
	void *arg;
};

struct lazy;
MUST_USE int lazy_open(struct lazy **out, const struct ref *ref, const struct lazy_options *options,
		       struct err *err);
void lazy_free(struct lazy *lazy);
DEFINE_AUTO(lazy)

/* Start recording, prefetching and filling; before it only what is read is fetched. */
void lazy_start(struct lazy *lazy);

const struct image *lazy_image(const struct lazy *lazy);
const struct rootfs *lazy_rootfs(const struct lazy *lazy);
/* The table of layer LAYER of the image (0 .. lazy_layer_count - 1); borrowed, only to be read. */
struct table *lazy_table(const struct lazy *lazy, size_t layer);

/* Bytes of a regular file of the tree that are not in holes. */
uint64_t lazy_stored_bytes(const struct lazy *lazy, const struct rootfs_inode *file);

/*
 * Up to SIZE bytes of regular file INODE from OFFSET (fewer only at its end, *got).  Holes are
 * zeros.  Blocks up to read_timeout_ms.
 */
MUST_USE int lazy_read(struct lazy *lazy, uint32_t inode, void *buf, size_t size, uint64_t offset,
		       size_t *got, struct err *err);

/*
 * The same without blocking: 1 when it was all at hand (*got set), 0 when DONE will be called once,
 * with R 0 and the bytes read or a negative R (and ERR): from another thread, or by this call
 * before it returns.  BUF and REQUEST are lent until then; what lazy_free finds waiting gets
 * -ECANCELED.
 */
struct lazy_request {
	void (*done)(struct lazy_request *request, int r, size_t got, const struct err *err);
};
int lazy_read_start(struct lazy *lazy, struct lazy_request *request, uint32_t inode, void *buf,
		    size_t size, uint64_t offset, size_t *got);

/* ---- what status shows */

struct lazy_layer_status {
	struct digest digest;
	enum table_kind kind;
	bool cached_table; /* it came from the cache */
	enum trust trust;
	bool bad; /* the whole blob is not what its digests say: reads fail with -EBADMSG */
	char refused[256]; /* why a table that is there was not used; "" */
	uint64_t blob_bytes, stream_bytes;
	uint32_t spans, spans_present;
	uint64_t requests, fetched_bytes, hits, misses, retries, errors;
	uint64_t latency_us[16]; /* see fetcher_stats */
};
size_t lazy_layer_count(const struct lazy *lazy);
void lazy_layer_status(const struct lazy *lazy, size_t layer, struct lazy_layer_status *out);
/* What opening cost: bytes fetched and requests made before lazy_open returned. */
void lazy_open_cost(const struct lazy *lazy, uint64_t *bytes, uint64_t *requests);
/* Tag resolved from the cache because the registry was away: when it was last seen; 0: it was not.
 */
int64_t lazy_stale_since(const struct lazy *lazy);
