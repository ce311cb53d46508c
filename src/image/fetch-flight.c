/*
 * Who waits for what.  Every flight is queued or covered by a run, so that somebody is about it;
 * when a run leaves without having answered one, fetch_settle finds it a new place.
 */
#include <errno.h>
#include <stdlib.h>

#include "image/fetch-internal.h"

bool fetch_at_hand(const struct fetcher *f, size_t layer, uint32_t span)
{
	return cache_spans_has(f->layers[layer].given->spans, span) ||
	       fetch_recent_has(f->recent, fetch_key(layer, span));
}

struct fetch_run *fetch_covering(const struct fetcher *f, size_t layer, uint32_t span)
{
	struct fetch_run *run = NULL;
	LL_FOREACH(f->runs, run)
	if (run->layer == layer && span >= run->done && span < run->cut)
		return run;
	return NULL;
}

struct fetch_flight *fetch_flight_find(const struct fetcher *f, uint64_t key)
{
	struct fetch_flight *flight = NULL;
	HASH_FIND(hh, f->flights, &key, sizeof(key), flight);
	return flight;
}

void fetch_flight_queue(struct fetcher *f, struct fetch_flight *flight)
{
	if (flight->queued)
		return;
	flight->queued = true;
	DL_APPEND(f->demand, flight);
	pthread_cond_signal(&f->work);
}

static void flight_drop(struct fetcher *f, struct fetch_flight *flight)
{
	if (flight->queued)
		DL_DELETE(f->demand, flight);
	HASH_DEL(f->flights, flight);
	free(flight);
	atomic_fetch_sub(&f->pending[FETCH_DEMAND], 1);
}

/*
 * Somebody waits for what RUN fetches: it is demand now.  Where a run in the background would come
 * to it late, it ends before instead, and the span is asked for apart.
 */
static bool ride(struct fetcher *f, struct fetch_run *run, uint32_t span)
{
	const struct table *table = f->layers[run->layer].given->table;
	uint64_t offset = table_span(table, span)->blob_offset;
	if (run->class != FETCH_DEMAND && !run->whole && offset > run->position &&
	    offset - run->position > FETCH_AHEAD_MAX_BYTES) {
		uint32_t head = fetch_plan_unit_head(table, span), end = run->cut;
		if (head >= run->begun && head > run->done) {
			run->cut = head;
			for (uint32_t i = head; i < end; i++)
				fetch_want(f, run->layer, i, run->class);
			return false;
		}
	}
	fetch_class_set(f, run, FETCH_DEMAND);
	return true;
}

/* Nobody waits but who can: the span is prefetched, in its turn. */
static bool is_patient(const struct fetcher *f, const struct fetch_flight *flight)
{
	const struct fetch_layer *layer = &f->layers[fetch_key_layer(flight->key)];
	return !flight->demanded &&
	       atomic_load(&layer->flags[fetch_key_span(flight->key)]) & FETCH_WANTS_PREFETCH;
}

static void be_patient(struct fetcher *f, struct fetch_flight *flight)
{
	size_t layer = fetch_key_layer(flight->key);
	uint32_t span = fetch_key_span(flight->key);
	if (fetch_covering(f, layer, span))
		return;
	fetch_want(f, layer, span, FETCH_PREFETCH);
	if (is_patient(f, flight))
		pthread_cond_signal(&f->work);
	else /* there was no room */
		fetch_flight_queue(f, flight);
}

static int flight_add(struct fetcher *f, struct fetch_wait *wait, struct err *err)
{
	size_t layer = wait->span.layer;
	uint64_t key = fetch_key(layer, wait->span.span);
	if (f->stopping)
		return err_set(err, ECANCELED, "the mount ends");
	if (fetch_troubles_look(f->troubles, key, fetch_now_ms(), err) == FETCH_TROUBLE_PAUSED)
		return err->code;
	struct fetch_flight *flight = fetch_flight_find(f, key);
	bool is_new = !flight;
	if (is_new) {
		flight = mem_make(struct fetch_flight, .key = key);
		HASH_ADD(hh, f->flights, key, sizeof(flight->key), flight);
		atomic_fetch_add(&f->pending[FETCH_DEMAND], 1);
	}
	wait->next = NULL;
	if (flight->last)
		flight->last->next = wait;
	else
		flight->waits = wait;
	flight->last = wait;
	if (!wait->patient && !flight->demanded) {
		struct fetch_run *run = fetch_covering(f, layer, wait->span.span);
		flight->demanded = true;
		if (!run || !ride(f, run, wait->span.span))
			fetch_flight_queue(f, flight);
	} else if (is_new) {
		be_patient(f, flight);
	}
	return 0;
}

int fetch_flight_add(struct fetcher *f, struct fetch_wait *wait, struct err *err)
{
	LOCKED(&f->mutex);
	return flight_add(f, wait, err);
}

struct fetch_wait *fetch_flight_take(struct fetcher *f, uint64_t key)
{
	struct fetch_flight *flight = fetch_flight_find(f, key);
	if (!flight)
		return NULL;
	struct fetch_wait *waits = flight->waits;
	flight_drop(f, flight);
	return waits;
}

bool fetcher_forget(struct fetcher *f, struct fetch_wait *wait)
{
	LOCKED(&f->mutex);
	struct fetch_flight *flight = fetch_flight_find(
		f, fetch_key(wait->span.layer, wait->span.span));
	struct fetch_wait *before = NULL, *at = flight ? flight->waits : NULL;
	while (at && at != wait) {
		before = at;
		at = at->next;
	}
	if (!at)
		return false;
	if (before)
		before->next = wait->next;
	else
		flight->waits = wait->next;
	if (flight->last == wait)
		flight->last = before;
	if (!flight->waits)
		flight_drop(f, flight);
	return true;
}

static void count_latency(struct fetch_layer *layer, uint64_t us)
{
	size_t bucket = 0;
	while (bucket + 1 < N_ELEMENTS(layer->latency_us) && us >= (UINT64_C(250) << bucket))
		bucket++;
	atomic_fetch_add_explicit(&layer->latency_us[bucket], 1, memory_order_relaxed);
}

static void answer_one(struct fetcher *f, struct fetch_wait *wait, const uint8_t *bytes, int r,
		       const struct err *err)
{
	if (bytes)
		memcpy(wait->buf, bytes + wait->at, wait->size);
	if (!wait->patient)
		count_latency(&f->layers[wait->span.layer], fetch_now_us() - wait->since_us);
	wait->done(wait, r, err);
}

void fetch_answer(struct fetcher *f, struct fetch_wait *waits, const uint8_t *bytes, int r,
		  const struct err *err)
{
	while (waits) {
		struct fetch_wait *wait = waits;
		waits = wait->next;
		answer_one(f, wait, bytes, r, err);
	}
}

static struct fetch_bytes *recent_get(struct fetcher *f, uint64_t key)
{
	LOCKED(&f->mutex);
	return fetch_recent_get(f->recent, key);
}

int fetch_read(struct fetcher *f, struct fetch_wait *wait)
{
	struct fetch_layer *layer = &f->layers[wait->span.layer];
	struct cache_span span = fetch_cache_span(layer, wait->span.span);
	if (cache_spans_read(layer->given->spans, &span, wait->buf, wait->size, wait->at) == 1)
		return 1;
	AUTO(fetch_bytes) bytes = recent_get(f, fetch_key(wait->span.layer, wait->span.span));
	if (!bytes)
		return 0;
	memcpy(wait->buf, bytes->data + wait->at, wait->size);
	return 1;
}

/* Waits whose span is at hand, in one list; other flights nobody is about are queued. */
static struct fetch_wait *collect(struct fetcher *f)
{
	struct fetch_wait *found = NULL;
	struct fetch_flight *flight = NULL, *next = NULL;
	LOCKED(&f->mutex);
	HASH_ITER(hh, f->flights, flight, next)
	{
		size_t layer = fetch_key_layer(flight->key);
		uint32_t span = fetch_key_span(flight->key);
		if (flight->queued || fetch_covering(f, layer, span))
			continue;
		if (!fetch_at_hand(f, layer, span) && is_patient(f, flight))
			continue;
		if (!fetch_at_hand(f, layer, span)) {
			fetch_flight_queue(f, flight);
			continue;
		}
		flight->last->next = found;
		found = flight->waits;
		flight_drop(f, flight);
	}
	return found;
}

void fetch_settle(struct fetcher *f)
{
	struct fetch_wait *waits = collect(f);
	while (waits) {
		struct fetch_wait *wait = waits;
		waits = wait->next;
		struct err err = { 0 };
		int r = fetch_read(f, wait);
		if (r == 1)
			answer_one(f, wait, NULL, 0, NULL);
		else if ((r = fetch_flight_add(f, wait, &err)) < 0)
			answer_one(f, wait, NULL, r, &err);
	}
}
