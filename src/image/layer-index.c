/*
 * Tables of layers for who only wants to describe an image ("rootlet inspect").  Small layers are
 * left alone: lazy-table.c scans them rather than trust their tables, so none is put in the cache.
 */
#include "image/layer-index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "image/lazy.h"
#include "image/parallel.h"
#include "image/table-store.h"
#include "layer/find.h"

#define JOBS 8

struct looking {
	const struct image *image;   /* borrowed */
	struct cache *cache;	     /* borrowed */
	struct layer_index *indexes; /* borrowed */
};

static bool describe(struct layer_index *out, const void *data, size_t size, enum trust trust)
{
	AUTO(table) table = NULL;
	if (table_open(&table, data, size, NULL) < 0)
		return false;
	struct toc *toc = table_toc(table);
	*out = (struct layer_index){
		.known = true,
		.kind = table_kind(table),
		.trust = trust,
		.entries = toc_count(toc),
	};
	for (uint32_t i = 0; i < toc_count(toc); i++) {
		const struct toc_entry *entry = toc_at(toc, i);
		if (entry->kind == TOC_FILE &&
		    !add_ok(out->unpacked_bytes, entry->size, &out->unpacked_bytes))
			out->unpacked_bytes = UINT64_MAX;
	}
	return true;
}

static bool describe_cached(struct looking *looking, size_t layer)
{
	struct stored_table stored;
	if (!table_store_get(&stored, looking->cache, looking->image, layer, TRUST_BOUND))
		return false;
	bool good = describe(&looking->indexes[layer], stored.table, stored.size, stored.trust);
	stored_table_release(&stored);
	return good;
}

static const char *annotation(void *arg, const char *key)
{
	return json_string(json_get(arg, key));
}

static int look_for(struct looking *looking, size_t layer, const struct json *annotations,
		    struct err *err)
{
	const struct descriptor *d = &looking->image->manifest.layers[layer];
	AUTO(input) blob = repo_input(looking->image->repo, d);
	auto_free void *data = NULL;
	size_t size = 0;
	enum trust trust = TRUST_NONE;
	struct err refused = { 0 };
	const struct find_layer find = {
		.blob = blob,
		.annotation = annotation,
		.arg = (void *)(uintptr_t)json_root(annotations), /* json_get only reads it */
		.least = TRUST_BOUND,
	};
	int r = find_table(&find, &data, &size, &trust, &refused, err);
	if (r == -EOPNOTSUPP || r == -EBADMSG || r == -E2BIG)
		return 0; /* who wants its files will scan it */
	if (r == 0 && data && describe(&looking->indexes[layer], data, size, trust))
		table_store_put(looking->cache, looking->image, layer, data, size, trust);
	return r;
}

static int look(void *arg, size_t layer, struct err *err)
{
	struct looking *looking = arg;
	const struct descriptor *d = &looking->image->manifest.layers[layer];
	AUTO(json) json = NULL;
	if (describe_cached(looking, layer) || !digest_known(&d->digest) || !d->annotations_json ||
	    d->size < LAZY_SCAN_BELOW_BYTES || d->size == UINT64_MAX ||
	    json_parse(&json, d->annotations_json, strlen(d->annotations_json), 0, NULL) < 0)
		return 0;
	int r = look_for(looking, layer, json, err);
	return r < 0 ? err_wrap(err, r, "layer %zu of '%s'", layer + 1, looking->image->repo->name)
		     : 0;
}

int layer_indexes(struct layer_index **out, const struct image *image, struct cache *cache,
		  struct err *err)
{
	size_t count = image->manifest.layer_count;
	auto_free struct layer_index *indexes = mem_new((count + 1) * sizeof(*indexes));
	struct looking looking = { image, cache, indexes };
	atomic_bool stop = false;
	const struct parallel parallel = {
		.count = count,
		.run = look,
		.arg = &looking,
		.stop = &stop,
	};
	int r = parallel_run(&parallel, parallel_threads(JOBS, count), err);
	if (r < 0)
		return r;
	*out = TAKE(indexes);
	return 0;
}
