/*
 * Scanning as a pass over a layer (pass.h): decoded by an indexer, the reader's thread gives the
 * stream to the cutter on its way to the tar reader.  Nothing of it is found by anybody before
 * size, digest and diffID were right.
 */
#include "image/scan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/log.h"
#include "codec/indexer.h"
#include "codec/tar.h"
#include "image/cutter.h"
#include "image/pass.h"

/*
 * Points are reported at most 512 KiB behind their place (a probe follows 32 KiB, and a block of
 * the ring), and have to be known a little ahead of the bytes.
 */
#define LAG_BYTES (SCAN_SPAN_MAX_BYTES / CUTTER_NEAR_PART + 512u * 1024)

struct attempt {
	struct pass pass;
	struct cache *cache;	      /* borrowed */
	struct indexer *indexer;      /* owned; the caller's thread */
	struct cutter *cutter;	      /* owned */
	struct cache_spans *spans;    /* owned; NULL: the cache is of no use */
	struct table_builder *made;   /* owned; the reader's thread */
	struct table_extent *extents; /* owned; of one file */
	size_t extent_capacity;
};

/* What the tar reader reads: a stream that shows every piece to the cutter first. */
struct cut_stream {
	struct stream base;
	struct stream *under;  /* borrowed */
	struct cutter *cutter; /* borrowed */
	bool ended;
};

static int cut_stream_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct cut_stream *s = (struct cut_stream *)stream;
	int r = stream_next(s->under, data, size, err);
	if (r < 0 || s->ended)
		return r;
	s->ended = *size == 0;
	return cutter_add(s->cutter, *data, *size, err);
}

/* --- the reader's thread --- */

/* Where in the stream the bytes of a file are: its extents, in SCAN's array. */
static size_t find_extents(struct attempt *a, const struct tar_entry *entry)
{
	const struct tar_extent whole = { 0, entry->size };
	const struct tar_extent *list = entry->sparse ? entry->extents : &whole;
	size_t count = entry->sparse ? entry->extent_count : 1, used = 0;
	uint64_t at = entry->data_offset;
	for (size_t i = 0; i < count; i++) {
		if (list[i].size == 0)
			continue;
		a->extents = mem_grow(a->extents, &a->extent_capacity, used, sizeof(*a->extents));
		a->extents[used++] = (struct table_extent){ list[i].offset, at, list[i].size };
		at += list[i].size;
	}
	return used;
}

static int add_file(struct attempt *a, const struct tar_entry *entry, uint32_t index,
		    struct err *err)
{
	size_t count = find_extents(a, entry);
	uint32_t content;
	int r = table_builder_content(a->made, a->extents, count, &content, err);
	if (r == 0)
		toc_at(table_builder_toc(a->made), index)->content = content;
	return r;
}

static int add_entries(struct attempt *a, struct tar *tar, struct err *err)
{
	struct toc *toc = table_builder_toc(a->made);
	const struct tar_entry *entry;
	int r;
	while ((r = tar_next(tar, &entry, err)) > 0) {
		uint32_t index;
		if (pass_is_stopped(&a->pass))
			return err_set(err, ECANCELED, "stopped");
		r = toc_add(toc, entry, &index, err);
		if (r == 0 && index != UINT32_MAX && toc_at(toc, index)->kind == TOC_FILE)
			r = add_file(a, entry, index, err);
		if (r < 0)
			return err_wrap(err, r, "entry '%s'", esc(entry->path));
		if (a->pass.progress)
			atomic_fetch_add(&a->pass.progress->entries, 1);
	}
	return r;
}

/* Also the stream's digest, of all that the cutter saw. */
static int read_tar(void *arg, struct stream *stream, struct err *err)
{
	static const struct stream_ops ops = { .next = cut_stream_next };
	struct attempt *a = arg;
	struct cut_stream cut = { .base = { &ops }, .under = stream, .cutter = a->cutter };
	AUTO(tar) tar = tar_new(&cut.base);
	int r = add_entries(a, tar, err);
	/* an archive may end by the end of the stream, which the cutter has to see */
	for (size_t size = 1; r == 0 && size > 0 && !cut.ended;) {
		const void *data;
		r = stream_next(&cut.base, &data, &size, err);
	}
	cutter_digest(a->cutter, &a->pass.read_digest);
	return r;
}

/* --- the caller's thread --- */

static int begin(void *arg, enum codec codec, struct err *err)
{
	struct attempt *a = arg;
	const struct indexer_options options = { .distance = SCAN_DISTANCE_BYTES,
						 .found = cutter_point,
						 .arg = a->cutter };
	return indexer_new(&a->indexer, codec, &options, err);
}

static int run(void *arg, struct decoder_io *io, bool input_ended, struct err *err)
{
	struct attempt *a = arg;
	return indexer_run(a->indexer, io, input_ended, err);
}

static void attempt_reset(struct attempt *a)
{
	indexer_free(TAKE(a->indexer));
	cutter_free(TAKE(a->cutter));
	cache_spans_free(TAKE(a->spans));
	table_builder_free(TAKE(a->made));
	free(TAKE(a->extents));
	a->extent_capacity = 0;
}

static int try_layer(void *arg, unsigned flags, bool *again, struct err *err)
{
	struct attempt *a = arg;
	struct err why = { 0 };
	attempt_reset(a);
	if (cache_spans_new(&a->spans, a->cache, &why) < 0)
		log_debug("scan without a cache: %s", err_text(&why));
	a->cutter = cutter_new(a->spans, SCAN_SPAN_MAX_BYTES);
	a->made = table_builder_new(TABLE_SCAN);
	return pass_run(&a->pass, flags, again, err);
}

/* --- the result --- */

uint64_t table_layout(const void *table, size_t size)
{
	struct digest digest;
	uint64_t layout = 0;
	digest_of(&digest, DIGEST_SHA256, table, size);
	for (int i = 7; i >= 0; i--)
		layout = layout << 8 | digest.bytes[i];
	return layout;
}

const struct digest *scan_layer_key(const struct image *image, size_t layer)
{
	const struct digest *digest = &image->manifest.layers[layer].digest;
	return digest_known(digest) ? digest : &image->config.diff_ids[layer];
}

/* The bytes get their name; where that fails, an object that knows what else there is of them. */
static int publish(struct attempt *a, const struct digest *key, struct scan_result *out,
		   struct err *err)
{
	uint32_t count = cutter_span_count(a->cutter);
	uint64_t size = cutter_stream_size(a->cutter);
	struct err why = { 0 };
	if (a->spans && cache_spans_publish(a->spans, key, out->layout, count, size, &why) == 0) {
		out->spans = TAKE(a->spans);
		return 0;
	}
	if (a->spans)
		log_debug("layer '%s' is not kept: %s", digest_show(key), err_text(&why));
	return cache_spans_open(&out->spans, a->cache, key, out->layout, count, size, err);
}

static int finish(struct attempt *a, const struct digest *key, struct scan_result *out,
		  struct err *err)
{
	int r = cutter_build(a->cutter, a->made, a->pass.fetched_bytes, err);
	if (r == 0)
		r = table_builder_finish(a->made, &out->table, &out->table_size, err);
	if (r < 0)
		return r;
	out->layout = table_layout(out->table, out->table_size);
	return publish(a, key, out, err);
}

void scan_result_release(struct scan_result *result)
{
	free(TAKE(result->table));
	cache_spans_free(TAKE(result->spans));
}

int scan_layer(struct scan_result *out, struct image *image, size_t layer, struct cache *cache,
	       const struct scan_options *options, struct err *err)
{
	__attribute__((cleanup(attempt_reset))) struct attempt a = {
		.cache = cache,
		.pass = {
			.image = image,
			.layer = layer,
			.progress = options->progress,
			.cancel = options->cancel,
			.stop = options->stop,
			.allow_bomb = options->allow_bomb,
			.begin = begin,
			.run = run,
			.read = read_tar,
			.read_hashes = DIGEST_SHA256,
			.read_lag_bytes = LAG_BYTES,
			.arg = &a,
		},
	};
	__attribute__((cleanup(scan_result_release))) struct scan_result result = { 0 };
	int r = pass_layer(&a.pass, try_layer, &a, err);
	if (r < 0)
		return r;
	result.fetched_bytes = a.pass.fetched_bytes;
	r = finish(&a, scan_layer_key(image, layer), &result, err);
	if (r < 0)
		return err_wrap(err, r, "layer %zu of '%s'", layer + 1, image->repo->name);
	*out = result;
	result = (struct scan_result){ 0 };
	return 0;
}
