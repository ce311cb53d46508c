/*
 * For each layer the first table that serves: the one the cache has; one that came with the layer,
 * read through a few ranges; else the layer is scanned.  First all layers are asked, then those
 * that have to be are scanned.  Small layers are scanned even if they have a table, meanwhile: one
 * request, and all of it verified.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "image/lazy-internal.h"
#include "image/parallel.h"
#include "image/scan.h"
#include "image/table-store.h"
#include "layer/find.h"

/* As LAZY_SCAN_BELOW_BYTES, where bytes are dearer than requests. */
#define SCAN_BELOW_EXACT_BYTES (8u * 1024)

void lazy_layer_release(struct lazy_layer *layer)
{
	cache_spans_free(TAKE(layer->spans));
	table_free(TAKE(layer->table));
	free(TAKE(layer->data));
	cache_map_release(&layer->map);
	layer->map = (struct cache_map){ 0 };
}

/* Every range a table names is in the blob. */
static int check_ranges(const struct table *table, const struct descriptor *d, struct err *err)
{
	for (uint32_t i = 0; i < table_span_count(table); i++) {
		const struct table_span *s = table_span(table, i);
		if (s->blob_offset > d->size || s->blob_size > d->size - s->blob_offset)
			return err_set(err, EBADMSG, "its table has bytes behind the blob's end");
	}
	return 0;
}

static int open_table(struct lazy_layer *layer, const void *data, size_t size, struct err *err)
{
	AUTO(table) table = NULL;
	int r = table_open(&table, data, size, err);
	if (r == 0)
		r = check_ranges(table, layer->descriptor, err);
	if (r < 0)
		return r;
	layer->size = size;
	layer->table = TAKE(table);
	return 0;
}

static bool use_cached(struct lazy *lazy, struct lazy_layer *layer)
{
	struct stored_table stored;
	struct err err = { 0 };
	if (!table_store_get(&stored, lazy->options.cache, lazy->image, layer->number,
			     lazy->options.least))
		return false;
	if (open_table(layer, stored.table, stored.size, &err) < 0) {
		log_debug("cached table of '%s': %s", digest_show(layer->key), err_text(&err));
		stored_table_release(&stored);
		return false;
	}
	layer->map = stored.map;
	layer->layout = stored.layout;
	layer->cached_table = true;
	atomic_store(&layer->trust, stored.trust);
	return true;
}

/*
 * What the cache has just kept is used from there: memory that is mapped is the kernel's to take
 * back, and the same for all mounts of the image.
 */
static void use_kept(struct lazy *lazy, struct lazy_layer *layer)
{
	struct lazy_layer kept = { .number = layer->number,
				   .descriptor = layer->descriptor,
				   .key = layer->key };
	if (!use_cached(lazy, &kept))
		return;
	if (kept.layout == layer->layout && kept.size == layer->size) {
		table_free(layer->table);
		free(TAKE(layer->data));
		layer->table = TAKE(kept.table);
		layer->map = kept.map;
		kept.map = (struct cache_map){ 0 };
	}
	lazy_layer_release(&kept);
}

/* --- tables that come with a layer --- */

static const char *annotation(void *arg, const char *key)
{
	return json_string(json_get(arg, key));
}

/* Fill FIND with the layer's annotations; *json keeps their values. */
static void read_annotations(struct json **json, const struct descriptor *d)
{
	const char *text = d->annotations_json;
	if (!text || json_parse(json, text, strlen(text), 0, NULL) < 0)
		*json = NULL;
}

static const char *no_annotation(void *arg, const char *key)
{
	(void)arg;
	(void)key;
	return NULL;
}

static void refuse(struct lazy_layer *layer, const struct err *err)
{
	auto_str text = STR_MAX(sizeof(layer->refused) - 1);
	str_addf(&text, "%.200s", err_text(err));
	memcpy(layer->refused, str_text(&text), strlen(str_text(&text)) + 1);
	log_debug("layer '%s': its table is not used: %s", digest_show(layer->key), layer->refused);
}

/* A table that was found becomes the layer's; a bad one is only remembered. */
static void take_found(struct lazy *lazy, struct lazy_layer *layer, void **data, size_t size,
		       enum trust trust)
{
	struct err err = { 0 };
	if (open_table(layer, *data, size, &err) < 0) {
		refuse(layer, &err);
		return;
	}
	layer->data = TAKE(*data);
	layer->layout = table_layout(layer->data, size);
	atomic_store(&layer->trust, trust);
	table_store_put(lazy->options.cache, lazy->image, layer->number, layer->data, size, trust);
	use_kept(lazy, layer);
}

static int look_for_table(struct lazy *lazy, struct lazy_layer *layer, struct err *err)
{
	AUTO(json) json = NULL;
	AUTO(input) blob = repo_input(lazy->image->repo, layer->descriptor);
	auto_free void *data = NULL;
	size_t size = 0;
	enum trust trust = TRUST_NONE;
	struct err refused = { 0 }, why = { 0 };
	read_annotations(&json, layer->descriptor);
	const struct find_layer find = {
		.blob = blob,
		.annotation = json ? annotation : no_annotation,
		/* json_get only reads it */
		.arg = json ? (void *)(uintptr_t)json_root(json) : NULL,
		.least = lazy->options.least,
		.exact = lazy->options.exact,
	};
	int r = find_table(&find, &data, &size, &trust, &refused, &why);
	int config = lazy_config_wait(lazy, err);
	if (config < 0)
		return config;
	/* who cannot give ranges can still give the whole; a table full of nonsense is none */
	if (r == -EOPNOTSUPP || r == -EBADMSG || r == -E2BIG) {
		refuse(layer, &why);
		return 0;
	}
	if (r < 0 && err)
		*err = why;
	if (r < 0)
		return r;
	if (data)
		take_found(lazy, layer, &data, size, trust);
	else if (refused.code < 0)
		refuse(layer, &refused);
	return 0;
}

/* --- scanning --- */

struct scans {
	struct lazy *lazy; /* borrowed */
	uint32_t *layers;  /* owned; largest first */
	size_t count;
	struct progress *progress; /* borrowed or NULL; in the same order */
};

/* Fetched whole, verified, and its bytes in the cache. */
static int scan_into(struct lazy *lazy, struct lazy_layer *layer, struct layer_progress *progress,
		     struct err *err)
{
	const struct scan_options options = {
		.progress = progress,
		.cancel = lazy->options.cancel,
		.stop = &lazy->stop,
		.allow_bomb = lazy->options.allow_bomb,
	};
	__attribute__((cleanup(scan_result_release))) struct scan_result result = { 0 };
	int r = scan_layer(&result, lazy->image, layer->number, lazy->options.cache, &options, err);
	if (r == 0)
		r = open_table(layer, result.table, result.table_size, err);
	if (r < 0)
		return r;
	layer->data = TAKE(result.table);
	layer->layout = result.layout;
	layer->spans = TAKE(result.spans);
	layer->cached_table = false;
	atomic_store(&layer->trust, TRUST_VERIFIED);
	table_store_put(lazy->options.cache, lazy->image, layer->number, layer->data, layer->size,
			TRUST_VERIFIED);
	use_kept(lazy, layer);
	return 0;
}

static int scan_one(void *arg, size_t task, struct err *err)
{
	const struct scans *scans = arg;
	struct layer_progress *progress = scans->progress ? &scans->progress->layers[task] : NULL;
	return scan_into(scans->lazy, &scans->lazy->layers[scans->layers[task]], progress, err);
}

static int by_size(const void *x, const void *y, void *arg)
{
	const struct lazy *lazy = arg;
	uint32_t i = *(const uint32_t *)x, j = *(const uint32_t *)y;
	uint64_t a = lazy->layers[i].descriptor->size, b = lazy->layers[j].descriptor->size;
	if (a != b)
		return a > b ? -1 : 1;
	return i < j ? -1 : 1;
}

static void init_progress(const struct scans *scans, struct progress *progress)
{
	progress_init(progress, scans->count);
	for (size_t i = 0; i < scans->count; i++) {
		const struct lazy_layer *layer = &scans->lazy->layers[scans->layers[i]];
		progress->layers[i].digest = *layer->key;
		progress->layers[i].total_bytes = layer->descriptor->size;
	}
}

/* All layers without a table; shown to the user when SHOWN. */
static int scan_missing(struct lazy *lazy, bool shown, struct err *err)
{
	auto_free uint32_t *layers = mem_new(lazy->layer_count * sizeof(*layers));
	struct scans scans = { .lazy = lazy, .layers = layers };
	for (uint32_t i = 0; i < lazy->layer_count; i++)
		if (!lazy->layers[i].table)
			layers[scans.count++] = i;
	if (scans.count == 0)
		return 0;
	qsort_r(layers, scans.count, sizeof(*layers), by_size, lazy);
	__attribute__((cleanup(progress_release))) struct progress progress = { 0 };
	if (shown && lazy->options.scanning) {
		init_progress(&scans, &progress);
		scans.progress = &progress;
		lazy->options.scanning(lazy->options.arg, &progress);
	}
	const struct parallel parallel = {
		.count = scans.count,
		.run = scan_one,
		.arg = &scans,
		.stop = &lazy->stop,
	};
	int r = parallel_run(&parallel, parallel_threads(lazy->options.jobs, scans.count), err);
	if (scans.progress)
		lazy->options.scanning(lazy->options.arg, NULL);
	return r;
}

/* --- what each layer has --- */

static bool is_small(const struct lazy *lazy, const struct descriptor *d)
{
	return d->size < (lazy->options.exact ? SCAN_BELOW_EXACT_BYTES : LAZY_SCAN_BELOW_BYTES);
}

struct search {
	struct lazy *lazy; /* borrowed */
	bool at_once;	   /* small layers are scanned while others are asked */
};

/* Is there a layer whose table may have to be waited for? */
static bool may_wait(const struct lazy *lazy)
{
	for (size_t i = 0; i < lazy->layer_count; i++) {
		const struct descriptor *d = lazy->layers[i].descriptor;
		if (!is_small(lazy, d) && d->annotations_json)
			return true;
	}
	return false;
}

/* Can a range of its blob bring a table? */
static bool can_ask(const struct lazy *lazy, const struct descriptor *d)
{
	return !lazy->options.offline && !is_small(lazy, d) && d->size != UINT64_MAX &&
	       digest_known(&d->digest) && lazy->options.least < TRUST_VERIFIED;
}

/* Without the config: where nothing but a table in the blob can serve. */
static bool is_asked_early(struct lazy *lazy, const struct lazy_layer *layer)
{
	return can_ask(lazy, layer->descriptor) && !lazy_config_is_here(lazy) &&
	       !table_store_has(lazy->options.cache, lazy->image, layer->number);
}

static int ask(struct lazy *lazy, struct lazy_layer *layer, struct err *err)
{
	int r = look_for_table(lazy, layer, err);
	return r < 0 && r != -ECANCELED ? err_wrap(err, r, "layer %zu of '%s'", layer->number + 1,
						   lazy->image->repo->name)
					: r;
}

static int find_one(void *arg, size_t task, struct err *err)
{
	const struct search *search = arg;
	struct lazy *lazy = search->lazy;
	struct lazy_layer *layer = &lazy->layers[task];
	const struct descriptor *d = layer->descriptor;
	const atomic_bool *cancel = lazy->options.cancel;
	if (cancel && atomic_load(cancel))
		return err_set(err, ECANCELED, "stopped");
	if (is_asked_early(lazy, layer))
		return ask(lazy, layer, err);
	int r = lazy_config_wait(lazy, err);
	if (r < 0 || use_cached(lazy, layer))
		return r;
	if (lazy->options.offline)
		return err_set(err, EAGAIN, "layer %zu has no table in the cache",
			       layer->number + 1);
	if (is_small(lazy, d))
		return search->at_once ? scan_into(lazy, layer, NULL, err) : 0;
	return can_ask(lazy, d) ? ask(lazy, layer, err) : 0;
}

/* --- both --- */

static int open_spans(struct lazy *lazy, struct err *err)
{
	for (size_t i = 0; i < lazy->layer_count; i++) {
		struct lazy_layer *layer = &lazy->layers[i];
		if (layer->spans)
			continue;
		int r = cache_spans_open(&layer->spans, lazy->options.cache, layer->key,
					 layer->layout, table_span_count(layer->table),
					 table_stream_size(layer->table), err);
		if (r < 0)
			return err_wrap(err, r, "layer %zu of '%s'", layer->number + 1,
					lazy->image->repo->name);
	}
	return 0;
}

int lazy_find_tables(struct lazy *lazy, struct err *err)
{
	struct search search = { lazy, may_wait(lazy) };
	const struct parallel parallel = {
		.count = lazy->layer_count,
		.run = find_one,
		.arg = &search,
		.stop = &lazy->stop,
	};
	/* they wait for the network, not for a core */
	unsigned least = lazy->options.exact ? 16 : 8;
	unsigned jobs = lazy->options.jobs > least ? lazy->options.jobs : least;
	lazy_config_start(lazy);
	int found = parallel_run(&parallel, parallel_threads(jobs, lazy->layer_count), err);
	int r = lazy_config_end(lazy, err);
	r = r < 0 ? r : found;
	if (r == 0)
		r = scan_missing(lazy, true, err);
	return r == 0 ? open_spans(lazy, err) : r;
}

static bool was_found(const struct lazy_layer *layer)
{
	return layer->table && table_kind(layer->table) != TABLE_SCAN;
}

bool lazy_has_found(const struct lazy *lazy)
{
	for (size_t i = 0; i < lazy->layer_count; i++)
		if (was_found(&lazy->layers[i]))
			return true;
	return false;
}

int lazy_scan_found(struct lazy *lazy, struct err *err)
{
	for (size_t i = 0; i < lazy->layer_count; i++) {
		struct lazy_layer *layer = &lazy->layers[i];
		if (!was_found(layer))
			continue;
		table_store_drop(lazy->options.cache, lazy->image, layer->number);
		lazy_layer_release(layer);
	}
	int r = scan_missing(lazy, false, err);
	return r == 0 ? open_spans(lazy, err) : r;
}
