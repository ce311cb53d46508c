/*
 * What nobody asked for yet, fetched when nobody waits: so that a mount works on without its
 * registry.  Layers that were not verified as a whole are streamed once, which fills and verifies
 * them (lazy-verify.c); the others get the spans they lack, a window at a time.
 */
#include <errno.h>

#include "base/log.h"
#include "image/lazy-internal.h"

#define QUIET_MS 1000u
#define LOOK_MS 100u
#define WINDOW_BYTES (32u * 1024 * 1024) /* of the blob */
#define WINDOW_SPANS 1024u
#define AGAIN_MS 30000u /* after something failed; doubles up to: */
#define AGAIN_MAX_MS 600000u

bool lazy_fill_wait(struct lazy *lazy, unsigned ms)
{
	uint64_t when = lazy_now_ms() + ms;
	const struct timespec until = { .tv_sec = (time_t)(when / 1000),
					.tv_nsec = (long)(when % 1000) * 1000000 };
	LOCKED(&lazy->mutex);
	while (!lazy->ending && lazy_now_ms() < when)
		(void)pthread_cond_timedwait(&lazy->changed, &lazy->mutex, &until);
	return lazy->ending;
}

static bool is_quiet(struct lazy *lazy)
{
	return lazy->options.fill == LAZY_FILL_NOW ||
	       (fetcher_quiet_ms(lazy->fetcher) >= QUIET_MS &&
		fetcher_idle(lazy->fetcher, FETCH_PREFETCH));
}

bool lazy_fill_pause(struct lazy *lazy)
{
	while (!atomic_load(&lazy->stop) && !is_quiet(lazy))
		if (lazy_fill_wait(lazy, LOOK_MS))
			return true;
	return atomic_load(&lazy->stop);
}

static bool is_full(const struct lazy_layer *layer)
{
	return cache_spans_present(layer->spans) >= table_span_count(layer->table);
}

/* Missing spans from *at on, at most a window of them; *at becomes where to go on. */
static size_t next_window(const struct lazy *lazy, uint32_t number, uint32_t *at,
			  struct fetch_span *spans)
{
	const struct lazy_layer *layer = &lazy->layers[number];
	size_t count = 0;
	uint64_t from = 0;
	for (; *at < table_span_count(layer->table) && count < WINDOW_SPANS; ++*at) {
		const struct table_span *s = table_span(layer->table, *at);
		if (cache_spans_has(layer->spans, *at))
			continue;
		from = count == 0 ? s->blob_offset : from;
		if (count > 0 && s->blob_offset + s->blob_size - from > WINDOW_BYTES)
			break;
		spans[count++] = (struct fetch_span){ number, *at };
	}
	return count;
}

/* True when the image is freed. */
static bool fill_layer(struct lazy *lazy, uint32_t number)
{
	auto_free struct fetch_span *spans = mem_new(WINDOW_SPANS * sizeof(*spans));
	uint32_t at = 0;
	for (;;) {
		if (lazy_fill_pause(lazy))
			return true;
		size_t count = next_window(lazy, number, &at, spans);
		if (count == 0)
			return false;
		fetcher_want(lazy->fetcher, spans, count, FETCH_FILL);
		while (!fetcher_idle(lazy->fetcher, FETCH_FILL))
			if (lazy_fill_wait(lazy, LOOK_MS))
				return true;
	}
}

static bool wants_verifying(const struct lazy_layer *layer)
{
	return atomic_load(&layer->trust) < TRUST_VERIFIED && !atomic_load(&layer->bad);
}

static bool is_done(const struct lazy_layer *layer)
{
	return atomic_load(&layer->bad) || (!wants_verifying(layer) && is_full(layer));
}

/* All layers once; true when nothing is left to do. */
static bool fill_all(struct lazy *lazy)
{
	bool done = true;
	for (uint32_t i = 0; i < lazy->layer_count && !atomic_load(&lazy->stop); i++) {
		struct lazy_layer *layer = &lazy->layers[i];
		struct err err = { 0 };
		if (wants_verifying(layer) && lazy_verify(lazy, i, &err) < 0)
			log_debug("layer '%s' is not verified: %s", digest_show(layer->key),
				  err_text(&err));
		if (!is_done(layer) && !wants_verifying(layer) && fill_layer(lazy, i))
			return true;
		done = done && is_done(layer);
	}
	return done || atomic_load(&lazy->stop);
}

/* Is there room for all of it?  Else filling would only throw out what is read. */
static bool has_room(const struct lazy *lazy)
{
	struct cache_stat stat = { 0 };
	uint64_t sum = 0;
	for (size_t i = 0; i < lazy->layer_count; i++)
		if (!add_ok(sum, table_stream_size(lazy->layers[i].table), &sum))
			return false;
	return cache_writable(lazy->options.cache) &&
	       cache_stat(lazy->options.cache, &stat, NULL) == 0 && sum < stat.quota_bytes;
}

static void *fill_thread(void *arg)
{
	struct lazy *lazy = arg;
	unsigned again = AGAIN_MS;
	if (!has_room(lazy)) {
		log_debug("no fill: the cache has no room for the whole image");
		return NULL;
	}
	while (!fill_all(lazy)) {
		if (!cache_writable(lazy->options.cache) || lazy_fill_wait(lazy, again))
			return NULL;
		again = again * 2 < AGAIN_MAX_MS ? again * 2 : AGAIN_MAX_MS;
	}
	return NULL;
}

void lazy_fill_start(struct lazy *lazy)
{
	if (lazy->fill_runs)
		return;
	lazy->fill_runs = pthread_create(&lazy->fill, NULL, fill_thread, lazy) == 0;
}
