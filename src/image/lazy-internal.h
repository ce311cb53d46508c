/*
 * What the parts of a lazily opened image share:
 *
 *	lazy-open.c	the order of opening, and the end
 *	lazy-config.c	the config, fetched beside that
 *	lazy-table.c	a table for each layer: cached, found or scanned
 *	lazy-tree.c	the layers' tables merged, or the tree of the last time
 *	lazy-read.c	bytes of files; what takes too long
 *	lazy-record.c	what the first minute touches, and fetching it ahead
 *	lazy-ahead.c	what is read next, where there is no record
 *	lazy-modules.c	what interpreters will read next
 *	lazy-fill.c	the rest, when nobody waits
 *	lazy-verify.c	whether a whole blob is what the manifest and the config say
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "image/fetcher.h"
#include "image/lazy.h"

/* A layer; layers of the image with the same blob and the same diffID share one. */
struct lazy_layer {
	size_t number;			     /* of the first such layer in the image */
	const struct descriptor *descriptor; /* borrowed from the image */
	const struct digest *key; /* borrowed from the image; what the cache knows it by */
	void *data;		  /* owned: the table's file, or NULL and in map */
	struct cache_map map;	  /* owned */
	size_t size;		  /* of the table's file */
	struct table *table;	  /* owned; NULL: the layer has to be scanned */
	uint64_t layout;
	struct cache_spans *spans; /* owned */
	bool cached_table;
	char refused[256];		 /* why a table that is there was not used */
	_Atomic uint32_t trust;		 /* enum trust */
	atomic_bool bad;		 /* the whole blob turned out to be wrong */
	_Atomic uint64_t verified_bytes; /* fetched by lazy_verify */
};

/* A read that waits for bytes; see lazy-read.c. */
struct reading;

/* Spans in the order they were first touched; see lazy-record.c. */
struct record {
	pthread_mutex_t mutex; /* guards spans, count, capacity and touched */
	atomic_bool on;
	struct fetch_span *spans; /* owned */
	size_t count, capacity;
	uint8_t **touched; /* owned, as its members: a bit a span, by layer */
	size_t known;	   /* spans in the record of the last time; set before ON */
	uint64_t end_ms;   /* when it is saved; set before ON */
};

/* The config on its way; see lazy-config.c. */
struct late_config {
	enum { CONFIG_COMING, CONFIG_HERE, CONFIG_FAILED } state; /* guarded by the mutex of lazy */
	bool runs;						  /* the thread */
	pthread_t thread;
	int code; /* set with the state */
	struct err err;
};

struct lazy {
	struct lazy_options options; /* strings in it are not used after lazy_open */
	struct image *image;	     /* owned */
	bool is_cached;		     /* image->repo is of cached_repo_new */
	bool config_is_late;	     /* image->config is empty until lazy_config_wait says 0 */
	struct late_config config;
	struct lazy_layer *layers; /* owned */
	size_t layer_count;
	uint32_t *of_layer;	       /* owned; by layer of the image: its number in LAYERS */
	atomic_bool stop;	       /* while opening: a layer failed; later: it ends */
	struct cache_map tree_map;     /* owned; the rootfs's file, or */
	void *tree_data;	       /* owned */
	struct rootfs *rootfs;	       /* owned */
	struct fetcher_layer *fetched; /* owned; for the fetcher */
	struct fetcher *fetcher;       /* owned */
	struct repo_counts cost;       /* of opening */

	struct record record;
	struct lazy_ahead *ahead; /* owned; NULL: nothing is fetched ahead */

	/* reads that wait, by deadline; and the thread that looks at them */
	pthread_mutex_t mutex; /* guards the readings' list and the ends of both threads */
	pthread_cond_t changed;
	struct reading *oldest, *newest;
	bool ending;
	bool clock_runs, fill_runs;
	pthread_t clock, fill;
};

/* lazy-config.c: once each start and end, or neither; when start has returned, anybody may wait. */
void lazy_config_start(struct lazy *lazy);
bool lazy_config_is_here(struct lazy *lazy);
MUST_USE int lazy_config_wait(struct lazy *lazy, struct err *err); /* -ECANCELED: end says why */
MUST_USE int lazy_config_end(struct lazy *lazy, struct err *err);

/* lazy-table.c */
MUST_USE int lazy_find_tables(struct lazy *lazy, struct err *err);
/* Scan all layers whose table was found, not made here: they do not fit together. */
MUST_USE int lazy_scan_found(struct lazy *lazy, struct err *err);
bool lazy_has_found(const struct lazy *lazy); /* are there any? */
void lazy_layer_release(struct lazy_layer *layer);

/* lazy-tree.c */
MUST_USE int lazy_merge(struct lazy *lazy, struct err *err);

/* lazy-read.c */
MUST_USE int lazy_clock_start(struct lazy *lazy, struct err *err);
uint64_t lazy_now_ms(void);
/* As lazy_read, but nobody's: it is not recorded. */
MUST_USE int lazy_read_ahead(struct lazy *lazy, uint32_t inode, void *buf, size_t size,
			     uint64_t offset, size_t *got, struct err *err);

/* As lazy_read_start of the file's first SIZE bytes, but nobody's, and no demand: the bytes come
 * when prefetch comes to them. */
MUST_USE int lazy_read_patiently(struct lazy *lazy, struct lazy_request *request, uint32_t inode,
				 void *buf, size_t size, size_t *got);

/* lazy-record.c */
void lazy_record_start(struct lazy *lazy);
void lazy_record_touch(struct lazy *lazy, uint32_t layer, uint32_t span);
/* When it has to be saved (lazy_now_ms); UINT64_MAX: never, or it was. */
uint64_t lazy_record_due(struct lazy *lazy);
void lazy_record_save(struct lazy *lazy); /* once; nothing when nothing was recorded */
void lazy_record_release(struct lazy *lazy);

/* lazy-ahead.c */
void lazy_ahead_start(struct lazy *lazy);
/* Somebody reads the start of a file. */
void lazy_ahead_seen(struct lazy *lazy, uint32_t inode, const void *head, size_t size);
/* A file shall be fetched ahead: true for who is the first to say so. */
bool lazy_ahead_take(struct lazy *lazy, uint32_t inode);
/* A program or library that was taken: what it needs will be read, too. */
void lazy_ahead_program(struct lazy *lazy, uint32_t inode, enum fetch_class class);
void lazy_ahead_stop(struct lazy *lazy); /* it begins nothing more */
void lazy_ahead_join(struct lazy *lazy); /* before the fetcher goes: its thread reads */
void lazy_ahead_free(struct lazy *lazy); /* after it: reads that end call lazy_ahead_seen */

/* Spans to be fetched ahead, collected to be asked for together; zeroed but for LAZY and CLASS. */
#define LAZY_WANTS_MAX 512u
struct lazy_wants {
	struct lazy *lazy; /* borrowed */
	enum fetch_class class;
	size_t count;
	struct fetch_span spans[LAZY_WANTS_MAX];
};
/* What is missing of [FROM, TO) of a file; of a whole file, or of a large one its start, and when
 * it is a program or library also its end, which says what it needs. */
void lazy_wants_range(struct lazy_wants *wants, uint32_t inode, uint64_t from, uint64_t to);
void lazy_wants_file(struct lazy_wants *wants, uint32_t inode, bool program);
void lazy_wants_flush(struct lazy_wants *wants);

/* lazy-fill.c */
void lazy_fill_start(struct lazy *lazy);
/* Wait MS or until the image is freed: true then. */
bool lazy_fill_wait(struct lazy *lazy, unsigned ms);
/* Wait until nobody waits for bytes (as the user said); true when the image is freed. */
bool lazy_fill_pause(struct lazy *lazy);

/* lazy-verify.c: 0 also when the layer is bad; negative: it could not be told. */
MUST_USE int lazy_verify(struct lazy *lazy, uint32_t layer, struct err *err);

void lazy_log(struct lazy *lazy, const char *format, ...) PRINTF_LIKE(2, 3);
