/*
 * The order of opening: image, tables, tree, fetcher; and of the end: whoever waits is told, then
 * the threads, then the memory.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "image/cached-repo.h"
#include "image/lazy-internal.h"
#include "image/offline-repo.h"
#include "image/scan.h"

#define READ_TIMEOUT_MS 60000u
#define LOG_LINE_MAX_BYTES 1024

void lazy_log(struct lazy *lazy, const char *format, ...)
{
	char line[LOG_LINE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_debug("%s", line);
	if (lazy->options.log)
		lazy->options.log(lazy->options.arg, line);
}

static int open_image(struct lazy *lazy, const struct ref *ref, struct err *err)
{
	const struct image_options *options = &lazy->options.image;
	struct repo *repo = NULL;
	/* what is on disk here needs no copy in the cache */
	lazy->is_cached = ref->kind == REF_REGISTRY;
	if (lazy->is_cached && lazy->options.offline)
		repo = offline_repo_new(ref);
	int r = repo ? 0 : repo_open(&repo, ref, &options->repo, err);
	if (r < 0)
		return r;
	if (lazy->is_cached)
		repo = cached_repo_new(repo, lazy->options.cache, ref);
	/* layers on disk may be known by their diffIDs only, and cost no round trip */
	lazy->config_is_late = lazy->is_cached;
	unsigned flags = (lazy->options.wait ? IMAGE_WAIT : 0u) |
			 (lazy->config_is_late ? IMAGE_NO_CONFIG : 0u);
	return image_open_in(&lazy->image, repo, ref, options, flags, err);
}

/* The layer before number I that is the same blob, or the count so far; see lazy-config.c. */
static uint32_t find_same(const struct lazy *lazy, size_t i)
{
	const struct image *image = lazy->image;
	uint32_t n = 0;
	for (; n < lazy->layer_count; n++) {
		if (digest_equal(lazy->layers[n].key, scan_layer_key(image, i)))
			break;
	}
	return n;
}

static void list_layers(struct lazy *lazy)
{
	const struct image *image = lazy->image;
	size_t count = image->manifest.layer_count;
	lazy->layers = mem_new(count * sizeof(*lazy->layers));
	lazy->of_layer = mem_new(count * sizeof(*lazy->of_layer));
	for (size_t i = lazy->options.skip_layers; i < count; i++) {
		uint32_t n = find_same(lazy, i);
		lazy->of_layer[i] = n;
		if (n < lazy->layer_count)
			continue;
		struct lazy_layer *layer = &lazy->layers[lazy->layer_count++];
		layer->number = i;
		layer->descriptor = &image->manifest.layers[i];
		layer->key = scan_layer_key(image, i);
	}
}

static void fetch_failed(void *arg, const char *text)
{
	lazy_log(arg, "%s", text);
}

static int start_fetcher(struct lazy *lazy, struct err *err)
{
	lazy->fetched = mem_new(lazy->layer_count * sizeof(*lazy->fetched));
	for (size_t i = 0; i < lazy->layer_count; i++)
		lazy->fetched[i] = (struct fetcher_layer){
			.descriptor = lazy->layers[i].descriptor,
			.table = lazy->layers[i].table,
			.spans = lazy->layers[i].spans,
		};
	const struct fetcher_options options = {
		.repo = lazy->image->repo,
		.layers = lazy->fetched,
		.layer_count = lazy->layer_count,
		.exact = lazy->options.exact,
		.failed = fetch_failed,
		.arg = lazy,
	};
	return fetcher_new(&lazy->fetcher, &options, err);
}

static struct lazy *make_lazy(const struct lazy_options *options)
{
	struct lazy *lazy = mem_make(struct lazy, .options = *options,
				     .mutex = PTHREAD_MUTEX_INITIALIZER,
				     .record.mutex = PTHREAD_MUTEX_INITIALIZER);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&lazy->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (lazy->options.read_timeout_ms == 0)
		lazy->options.read_timeout_ms = READ_TIMEOUT_MS;
	return lazy;
}

int lazy_open(struct lazy **out, const struct ref *ref, const struct lazy_options *options,
	      struct err *err)
{
	AUTO(lazy) lazy = make_lazy(options);
	int r = open_image(lazy, ref, err);
	if (r < 0)
		return r;
	list_layers(lazy);
	r = lazy_find_tables(lazy, err);
	if (r == 0)
		r = lazy_merge(lazy, err);
	if (r == 0)
		r = start_fetcher(lazy, err);
	if (r == 0)
		r = lazy_clock_start(lazy, err);
	if (r < 0)
		return r;
	repo_counts(lazy->image->repo, &lazy->cost);
	*out = TAKE(lazy);
	return 0;
}

void lazy_start(struct lazy *lazy)
{
	if (!lazy->options.no_prefetch) {
		lazy_record_start(lazy);
		lazy_ahead_start(lazy);
	}
	if (lazy->options.fill != LAZY_FILL_OFF)
		lazy_fill_start(lazy);
}

/* Our own threads end; what they wait for in the network is ended under them. */
static void end_threads(struct lazy *lazy)
{
	atomic_store(&lazy->stop, true);
	lazy_ahead_stop(lazy);
	pthread_mutex_lock(&lazy->mutex);
	lazy->ending = true;
	pthread_cond_broadcast(&lazy->changed);
	pthread_mutex_unlock(&lazy->mutex);
	if (lazy->image)
		repo_abort(lazy->image->repo);
	lazy_ahead_join(lazy);
	if (lazy->clock_runs)
		pthread_join(lazy->clock, NULL);
	if (lazy->fill_runs)
		pthread_join(lazy->fill, NULL);
}

void lazy_free(struct lazy *lazy)
{
	if (!lazy)
		return;
	lazy_record_save(lazy);
	end_threads(lazy);
	fetcher_free(lazy->fetcher); /* all reads are done then */
	lazy_ahead_free(lazy);
	lazy_record_release(lazy);
	rootfs_free(lazy->rootfs);
	free(lazy->tree_data);
	cache_map_release(&lazy->tree_map);
	for (size_t i = 0; i < lazy->layer_count; i++)
		lazy_layer_release(&lazy->layers[i]);
	free(lazy->layers);
	free(lazy->of_layer);
	free(lazy->fetched);
	image_free(lazy->image);
	pthread_cond_destroy(&lazy->changed);
	pthread_mutex_destroy(&lazy->mutex);
	free(lazy);
}

const struct image *lazy_image(const struct lazy *lazy)
{
	return lazy->image;
}

const struct rootfs *lazy_rootfs(const struct lazy *lazy)
{
	return lazy->rootfs;
}

struct table *lazy_table(const struct lazy *lazy, size_t layer)
{
	return lazy->layers[lazy->of_layer[layer]].table;
}

uint64_t lazy_stored_bytes(const struct lazy *lazy, const struct rootfs_inode *file)
{
	uint32_t count = 0;
	uint64_t sum = 0;
	const struct table *table = lazy->layers[lazy->of_layer[file->layer]].table;
	const struct table_extent *extents = table_extents(table, file->a, &count);
	for (uint32_t i = 0; i < count; i++)
		sum += extents[i].size;
	return sum;
}

size_t lazy_layer_count(const struct lazy *lazy)
{
	return lazy->image->manifest.layer_count;
}

void lazy_layer_status(const struct lazy *lazy, size_t layer, struct lazy_layer_status *out)
{
	uint32_t number = lazy->of_layer[layer];
	const struct lazy_layer *l = &lazy->layers[number];
	struct fetcher_stats stats = { 0 };
	fetcher_stats(lazy->fetcher, number, &stats);
	*out = (struct lazy_layer_status){
		.digest = *l->key,
		.kind = table_kind(l->table),
		.cached_table = l->cached_table,
		.trust = (enum trust)atomic_load(&l->trust),
		.bad = atomic_load(&l->bad),
		.blob_bytes = l->descriptor->size,
		.stream_bytes = table_stream_size(l->table),
		.spans = table_span_count(l->table),
		.spans_present = cache_spans_present(l->spans),
		.requests = stats.requests,
		.fetched_bytes = stats.fetched_bytes + atomic_load(&l->verified_bytes),
		.hits = stats.hits,
		.misses = stats.misses,
		.retries = stats.retries,
		.errors = stats.errors,
	};
	memcpy(out->refused, l->refused, sizeof(out->refused));
	memcpy(out->latency_us, stats.latency_us, sizeof(out->latency_us));
}

void lazy_open_cost(const struct lazy *lazy, uint64_t *bytes, uint64_t *requests)
{
	*bytes = lazy->cost.bytes;
	*requests = lazy->cost.requests;
}

int64_t lazy_stale_since(const struct lazy *lazy)
{
	return lazy->is_cached ? cached_repo_stale_since(lazy->image->repo) : 0;
}
