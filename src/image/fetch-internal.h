/*
 * What the files of the fetcher share.  fetcher.c is the interface and the threads, fetch-flight.c
 * who waits for what, fetch-pick.c what is done next, fetch-run.c one request.
 *
 * A span that somebody waits for has a flight; it is queued until a run (a request) covers it.  A
 * run covers the spans [done, cut); whoever comes to wait for one of them waits for the run.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>
#include <utlist.h>

#include "image/fetch-near.h"
#include "image/fetch-pace.h"
#include "image/fetch-plan.h"
#include "image/fetch-recent.h"
#include "image/fetch-trouble.h"
#include "image/fetcher.h"

#define FETCH_CLASSES (FETCH_FILL + 1)
#define FETCH_RINGS 3
/* A span further ahead than this in a running prefetch or fill is fetched apart. */
#define FETCH_AHEAD_MAX_BYTES (2u * 1024 * 1024)

enum fetch_flags {
	FETCH_WANTS_PREFETCH = 1u << 0,
	FETCH_WANTS_FILL = 1u << 1,
	FETCH_AROUND = 1u << 2, /* taken along unasked, not read yet */
	FETCH_MARK = 1u << 3,	/* when it is read, what follows is fetched */
	FETCH_LOCKED = 1u << 4, /* by us in the cache; goes from a run that was cut to the next */
};

struct fetch_flight {
	uint64_t key;
	struct fetch_wait *waits, *last; /* borrowed, a list */
	bool demanded;			 /* somebody waits who is not patient */
	bool queued;			 /* in the fetcher's demand list */
	struct fetch_flight *prev, *next;
	UT_hash_handle hh;
};

/* One request; lives on the stack of the thread that makes it. */
struct fetch_run {
	size_t layer;
	uint32_t lead;
	struct fetch_plan plan;
	unsigned flags; /* enum repo_blob_flags */
	bool whole;	/* the blob from its start, for a server without ranges */
	uint8_t *held;	/* owned: enum fetch_held a span of the plan; NULL: all that is missing */
	/* guarded by the fetcher's mutex once it is in the list */
	enum fetch_class class;
	uint32_t done, begun, cut; /* spans before done are over, before begun begun, from cut on
				      not ours any more */
	uint64_t position;	   /* of the blob's bytes read */
	bool body;		   /* bytes are coming */
	struct fetch_run *next;
};

struct fetch_layer {
	const struct fetcher_layer *given; /* borrowed */
	uint32_t span_count;
	_Atomic uint8_t *flags; /* owned: enum fetch_flags a span */
	atomic_uint_fast64_t requests, fetched_bytes, hits, misses, retries, errors;
	atomic_uint_fast64_t latency_us[16];
	/* guarded by the fetcher's mutex */
	bool whole;  /* its server does no ranges */
	bool unkept; /* the cache kept a span not */
	unsigned whole_running;
	uint32_t fill_at, fill_left;
	uint64_t fill_after_ms;
	struct fetch_pace_layer pace;
	struct fetch_near *near; /* owned; NULL: not known (yet) */
};

/* Spans in the order they were asked for. */
struct fetch_ring {
	uint64_t *keys; /* owned, FETCHER_PREFETCH_MAX */
	size_t first, count;
};

struct fetcher {
	struct fetcher_options options;
	struct fetch_layer *layers; /* owned */
	pthread_t *threads;	    /* owned */
	unsigned thread_count, threads_running;
	atomic_uint_fast64_t missed_ms;		     /* 0: never */
	atomic_uint_fast64_t pending[FETCH_CLASSES]; /* flights, spans wanted; and runs */

	pthread_mutex_t mutex; /* guards what follows, and what says so above */
	pthread_cond_t work;   /* there may be something to pick */
	pthread_cond_t calm;   /* a run ended, or we are to stop */
	bool stopping;
	struct fetch_flight *flights; /* owned, a hash */
	struct fetch_flight *demand;  /* those of them that are queued, a list */
	struct fetch_run *runs;	      /* borrowed, a list */
	unsigned running[FETCH_CLASSES];
	struct fetch_ring prefetch[FETCH_RINGS]; /* soon, in its turn, later */
	struct fetch_troubles *troubles;	 /* owned */
	struct fetch_recent *recent;		 /* owned */
	struct fetch_pace pace;
	uint64_t asked_bytes, again_bytes; /* of requests; of them what was here or on its way */
};

static inline uint64_t fetch_key(size_t layer, uint32_t span)
{
	return (uint64_t)layer << 32 | span;
}

static inline size_t fetch_key_layer(uint64_t key)
{
	return (size_t)(key >> 32);
}

static inline uint32_t fetch_key_span(uint64_t key)
{
	return (uint32_t)key;
}

uint64_t fetch_now_us(void);
uint64_t fetch_now_ms(void);
/* Wait for COND, at most TIMEOUT_MS; the mutex is held. */
void fetch_wait_ms(struct fetcher *fetcher, pthread_cond_t *cond, unsigned timeout_ms);
struct cache_span fetch_cache_span(const struct fetch_layer *layer, uint32_t span);

/* ---- fetch-flight.c; "locked": the mutex is held */

/* Is the span at hand: in the cache, or among the recent?  Locked. */
bool fetch_at_hand(const struct fetcher *fetcher, size_t layer, uint32_t span);
/* The run that covers a span, or NULL.  Locked. */
struct fetch_run *fetch_covering(const struct fetcher *fetcher, size_t layer, uint32_t span);
struct fetch_flight *fetch_flight_find(const struct fetcher *fetcher, uint64_t key); /* locked */
/* Let WAIT wait for its span: -ECANCELED, or why the span failed a moment ago. */
MUST_USE int fetch_flight_add(struct fetcher *fetcher, struct fetch_wait *wait, struct err *err);
/* Queue a flight that no run covers any more.  Locked. */
void fetch_flight_queue(struct fetcher *fetcher, struct fetch_flight *flight);
/* The waits of a span, which has no flight then; NULL when nobody waits.  Locked. */
struct fetch_wait *fetch_flight_take(struct fetcher *fetcher, uint64_t key);
/* Call all: with the bytes of their span, or R < 0 and ERR.  Not locked. */
void fetch_answer(struct fetcher *fetcher, struct fetch_wait *waits, const uint8_t *bytes, int r,
		  const struct err *err);
/* Flights that no run covers: answered when their span is at hand, else queued.  Not locked. */
void fetch_settle(struct fetcher *fetcher);
/* Bytes that are at hand: 1, else 0.  Not locked. */
int fetch_read(struct fetcher *fetcher, struct fetch_wait *wait);

/* ---- fetch-pick.c; all locked */

/* The next run, entered in the list; false when there is nothing to do. */
bool fetch_pick(struct fetcher *fetcher, struct fetch_run *run);
void fetch_class_set(struct fetcher *fetcher, struct fetch_run *run, enum fetch_class class);
void fetch_class_end(struct fetcher *fetcher, struct fetch_run *run); /* it left the list */
void fetch_want(struct fetcher *fetcher, size_t layer, uint32_t span, enum fetch_class class);
/* A marked span was read. */
void fetch_read_ahead(struct fetcher *fetcher, size_t layer, uint32_t span);

/* ---- fetch-run.c */

/* Make the request and leave the list. */
void fetch_run(struct fetcher *fetcher, struct fetch_run *run);
