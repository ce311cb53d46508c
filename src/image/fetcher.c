/*
 * The interface and the threads.  Under the one mutex nothing is done but arithmetic on the tables
 * of what is wanted; requests, decoding, the cache and callbacks are outside.
 */
#include "image/fetcher.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "image/fetch-internal.h"

#define THREADS_DEFAULT 8u
#define THREADS_MAX 64u
#define WANT_AT_ONCE 1024u
#define FILL_LOOK_MS 500u /* a layer's fill that failed is looked at again */

uint64_t fetch_now_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t fetch_now_ms(void)
{
	return fetch_now_us() / 1000;
}

void fetch_wait_ms(struct fetcher *f, pthread_cond_t *cond, unsigned timeout_ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(cond, &f->mutex, &until);
}

struct cache_span fetch_cache_span(const struct fetch_layer *layer, uint32_t span)
{
	const struct table_span *s = table_span(layer->given->table, span);
	return (struct cache_span){ span, s->stream_offset, s->stream_size };
}

/* Wait until there is a run to make; false when the fetcher ends. */
static bool next_run(struct fetcher *f, struct fetch_run *run)
{
	LOCKED(&f->mutex);
	while (!f->stopping) {
		if (fetch_pick(f, run))
			return true;
		if (atomic_load(&f->pending[FETCH_FILL]))
			fetch_wait_ms(f, &f->work, FILL_LOOK_MS);
		else
			pthread_cond_wait(&f->work, &f->mutex);
	}
	return false;
}

static void *work(void *arg)
{
	struct fetcher *f = arg;
	struct fetch_run run;
	while (next_run(f, &run))
		fetch_run(f, &run);
	return NULL;
}

static void conditions_init(struct fetcher *f)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->work, &attr);
	pthread_cond_init(&f->calm, &attr);
	pthread_condattr_destroy(&attr);
}

static int layers_init(struct fetcher *f, struct err *err)
{
	f->layers = mem_new(f->options.layer_count * sizeof(*f->layers));
	for (size_t i = 0; i < f->options.layer_count; i++) {
		struct fetch_layer *layer = &f->layers[i];
		layer->given = &f->options.layers[i];
		layer->span_count = table_span_count(layer->given->table);
		void *flags = NULL;
		int r = mem_try(&flags, (size_t)layer->span_count + 1, sizeof(*layer->flags), err);
		if (r < 0)
			return r;
		layer->flags = flags;
	}
	return 0;
}

static int threads_start(struct fetcher *f, struct err *err)
{
	f->threads = mem_new(f->thread_count * sizeof(*f->threads));
	while (f->threads_running < f->thread_count) {
		int code = pthread_create(&f->threads[f->threads_running], NULL, work, f);
		if (code)
			return err_errno(err, code, "start thread %u of the fetcher",
					 f->threads_running + 1);
		f->threads_running++;
	}
	return 0;
}

int fetcher_new(struct fetcher **out, const struct fetcher_options *options, struct err *err)
{
	if (options->layer_count > FETCHER_LAYERS_MAX)
		return err_set(err, E2BIG, "%zu layers, %u are allowed", options->layer_count,
			       FETCHER_LAYERS_MAX);
	AUTO(fetcher) f = mem_make(struct fetcher, .options = *options);
	conditions_init(f);
	f->thread_count = options->threads ? options->threads : THREADS_DEFAULT;
	if (f->thread_count > THREADS_MAX)
		f->thread_count = THREADS_MAX;
	for (size_t i = 0; i < FETCH_RINGS; i++)
		f->prefetch[i].keys = mem_new(FETCHER_PREFETCH_MAX * sizeof(uint64_t));
	f->troubles = fetch_troubles_new();
	f->recent = fetch_recent_new();
	int r = layers_init(f, err);
	if (r == 0)
		r = threads_start(f, err);
	if (r < 0)
		return r;
	*out = TAKE(f);
	return 0;
}

static void layer_release(struct fetch_layer *layer)
{
	free(layer->flags);
	fetch_near_free(layer->near);
}

/* Let the threads end, and give back all waits. */
static struct fetch_wait *stop(struct fetcher *f)
{
	struct fetch_wait *waits = NULL;
	LOCKED(&f->mutex);
	f->stopping = true;
	while (f->flights) {
		struct fetch_wait *last = f->flights->last;
		last->next = waits;
		waits = fetch_flight_take(f, f->flights->key);
	}
	pthread_cond_broadcast(&f->work);
	pthread_cond_broadcast(&f->calm);
	return waits;
}

void fetcher_free(struct fetcher *f)
{
	if (!f)
		return;
	struct err err = { 0 };
	int r = err_set(&err, ECANCELED, "the mount ends");
	fetch_answer(f, stop(f), NULL, r, &err);
	if (f->threads_running && f->options.repo)
		repo_abort(f->options.repo);
	for (unsigned i = 0; i < f->threads_running; i++)
		pthread_join(f->threads[i], NULL);
	for (size_t i = 0; f->layers && i < f->options.layer_count; i++)
		layer_release(&f->layers[i]);
	pthread_cond_destroy(&f->work);
	pthread_cond_destroy(&f->calm);
	pthread_mutex_destroy(&f->mutex);
	fetch_troubles_free(f->troubles);
	fetch_recent_free(f->recent);
	for (size_t i = 0; i < FETCH_RINGS; i++)
		free(f->prefetch[i].keys);
	free(f->threads);
	free(f->layers);
	free(f);
}

/* A span that was taken along unasked is read. */
static void note_use(struct fetcher *f, struct fetch_layer *layer, struct fetch_span at)
{
	uint8_t notes = FETCH_AROUND | FETCH_MARK;
	if (!(atomic_load_explicit(&layer->flags[at.span], memory_order_relaxed) & notes))
		return;
	uint8_t flags = atomic_fetch_and(&layer->flags[at.span], (uint8_t)~notes);
	if (!(flags & FETCH_MARK))
		return;
	LOCKED(&f->mutex);
	fetch_read_ahead(f, at.layer, at.span);
}

int fetcher_get(struct fetcher *f, struct fetch_wait *wait)
{
	struct err err = { 0 };
	assert(wait->span.layer < f->options.layer_count);
	struct fetch_layer *layer = &f->layers[wait->span.layer];
	assert(wait->span.span < layer->span_count);
	assert((uint64_t)wait->at + wait->size <=
	       table_span(layer->given->table, wait->span.span)->stream_size);
	if (!wait->patient)
		note_use(f, layer, wait->span);
	if (fetch_read(f, wait) == 1) {
		atomic_fetch_add_explicit(&layer->hits, !wait->patient, memory_order_relaxed);
		return 1;
	}
	wait->since_us = fetch_now_us();
	if (!wait->patient) {
		atomic_fetch_add_explicit(&layer->misses, 1, memory_order_relaxed);
		atomic_store(&f->missed_ms, wait->since_us / 1000);
	}
	int r = fetch_flight_add(f, wait, &err);
	if (r < 0)
		wait->done(wait, r, &err);
	return 0;
}

/* Some of them, under one lock; returns how many. */
static size_t want_some(struct fetcher *f, const struct fetch_span *spans, size_t count,
			enum fetch_class class)
{
	size_t n = count < WANT_AT_ONCE ? count : WANT_AT_ONCE;
	LOCKED(&f->mutex);
	for (size_t i = 0; i < n; i++) {
		const struct fetch_span *span = &spans[i];
		/* who recorded them may have seen other tables */
		if (span->layer >= f->options.layer_count ||
		    span->span >= f->layers[span->layer].span_count ||
		    fetch_at_hand(f, span->layer, span->span))
			continue;
		fetch_want(f, span->layer, span->span, class);
	}
	if (class != FETCH_DEMAND && n == count)
		pthread_cond_broadcast(&f->work);
	return n;
}

void fetcher_want(struct fetcher *f, const struct fetch_span *spans, size_t count,
		  enum fetch_class class)
{
	for (size_t i = 0; i < count;)
		i += want_some(f, spans + i, count - i, class);
}

void fetcher_know(struct fetcher *f, size_t layer, struct fetch_near *near)
{
	LOCKED(&f->mutex);
	f->layers[layer].near = near;
}

uint64_t fetcher_quiet_ms(const struct fetcher *f)
{
	uint64_t missed = atomic_load(&f->missed_ms), now = fetch_now_ms();
	if (!missed)
		return UINT64_MAX;
	return now > missed ? now - missed : 0;
}

bool fetcher_idle(const struct fetcher *f, enum fetch_class class)
{
	return atomic_load(&f->pending[class]) == 0;
}

void fetcher_stats(const struct fetcher *f, size_t number, struct fetcher_stats *out)
{
	const struct fetch_layer *layer = &f->layers[number];
	*out = (struct fetcher_stats){ .requests = atomic_load(&layer->requests),
				       .fetched_bytes = atomic_load(&layer->fetched_bytes),
				       .hits = atomic_load(&layer->hits),
				       .misses = atomic_load(&layer->misses),
				       .retries = atomic_load(&layer->retries),
				       .errors = atomic_load(&layer->errors) };
	for (size_t i = 0; i < N_ELEMENTS(out->latency_us); i++)
		out->latency_us[i] = atomic_load(&layer->latency_us[i]);
}
