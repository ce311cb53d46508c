/*
 * Gets spans: from whoever serves the blobs into the cache, verified.  A few threads, each with one
 * ranged request at a time; a span is in flight once however many want it, in this process and (by
 * the cache's locks) among processes.
 *
 * Order: demand, then prefetch, then fill.  Neighbouring misses become one single-range request of
 * at most 8 MiB: over a gap of an eighth of the pipe (bandwidth times round trip, measured here),
 * demand over up to 512 KiB when all threads are busy; what lies between is decoded and kept too.
 * Demand that goes on where the last one ended doubles its read-ahead up to twice the pipe, as long
 * as what it brings along is read.  Other demand gets what lies near it by prefetch (fetch-near.h).
 *
 * A span whose digest is wrong is fetched once more over a new connection (REPO_BLOB_FRESH), then
 * fails with -EBADMSG; its readers get that, the next reader tries again after FETCHER_PAUSE_MS.  A
 * blob whose server does no ranges is streamed whole, once, into the cache.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/spans.h"
#include "image/fetch-near.h"
#include "layer/table.h"
#include "oci/repo.h"

#define FETCHER_PAUSE_MS 1000u
#define FETCHER_LAYERS_MAX 4096u

struct fetcher;

struct fetcher_layer {
	const struct descriptor *descriptor; /* borrowed */
	const struct table *table;	     /* borrowed */
	struct cache_spans *spans;	     /* borrowed */
};

struct fetcher_options {
	struct repo *repo;		    /* borrowed */
	const struct fetcher_layer *layers; /* borrowed array, outlives the fetcher */
	size_t layer_count;
	unsigned threads; /* 0: 8 */
	bool exact;	  /* fetch what is asked for, and no neighbours */
	/* A span failed for good, with layer, range, host and reason; any thread; may be NULL. */
	void (*failed)(void *arg, const char *text);
	void *arg;
};

MUST_USE int fetcher_new(struct fetcher **out, const struct fetcher_options *options,
			 struct err *err);
/*
 * Waiters get -ECANCELED, then requests in flight are ended (repo_abort: the repo is of no use
 * afterwards).  No other call may be running or follow.
 */
void fetcher_free(struct fetcher *fetcher);
DEFINE_AUTO(fetcher)

enum fetch_class {
	FETCH_DEMAND,
	FETCH_PREFETCH,
	FETCH_FILL,
	/* only to ask with: they are prefetch then */
	FETCH_SOON,
	FETCH_LATER,
};

struct fetch_span {
	uint32_t layer, span;
};

/*
 * Bytes of one span that somebody waits for.  Filled by fetcher_get or later by a fetcher's thread;
 * DONE is called exactly once, from any thread, never while a lock is held.
 */
struct fetch_wait {
	struct fetch_span span;
	void *buf; /* caller's, SIZE bytes, from AT inside the span */
	uint32_t size, at;
	void (*done)(struct fetch_wait *wait, int r, const struct err *err);
	bool patient; /* what it waits for is prefetch, not demand; no miss is counted */
	/* the fetcher's */
	struct fetch_wait *next;
	uint64_t since_us;
};

/*
 * Bytes of a span: 1 when they were at hand (cache), copied, DONE not called; 0 when DONE will be
 * called, or was: for a span that just failed also by this thread, before this returns.  Never
 * blocks on the network.
 */
int fetcher_get(struct fetcher *fetcher, struct fetch_wait *wait);
/* Forget a wait that was not done yet: true; false when DONE was or is being called. */
bool fetcher_forget(struct fetcher *fetcher, struct fetch_wait *wait);

/*
 * Get these into the cache some time (spans there already cost nothing); returns at once.  Twice
 * the same span is once.  Prefetch keeps the order, up to FETCHER_PREFETCH_MAX that wait; fill goes
 * by the blob.  FETCH_DEMAND: the caller is about to fetcher_get them one by one; the request for
 * the first takes the others along.  FETCH_SOON, FETCH_LATER: prefetch before and after the rest.
 */
#define FETCHER_PREFETCH_MAX 65536u
void fetcher_want(struct fetcher *fetcher, const struct fetch_span *spans, size_t count,
		  enum fetch_class class);
/*
 * From now on demand of LAYER takes along what lies near it (fetch-near.h).  NEAR is taken over,
 * may be NULL, and is given once.
 */
void fetcher_know(struct fetcher *fetcher, size_t layer, struct fetch_near *near);
/* Milliseconds since demand last missed (UINT64_MAX: never), and whether a class is all done. */
uint64_t fetcher_quiet_ms(const struct fetcher *fetcher);
bool fetcher_idle(const struct fetcher *fetcher, enum fetch_class class);

struct fetcher_stats {
	uint64_t requests, fetched_bytes; /* ranges asked for, compressed bytes received */
	uint64_t hits, misses;		  /* fetcher_get calls */
	uint64_t retries, errors;
	uint64_t latency_us[16]; /* of misses: histogram, bucket i: < 2^i * 250 us */
};
void fetcher_stats(const struct fetcher *fetcher, size_t layer, struct fetcher_stats *out);
