/*
 * The decoded bytes of one layer: read, written, given a name.
 *
 * The bytes are in one sparse file (layer-dir.c), the map says which are there (span-map.c).  Here
 * is the order that makes it right: a span is written, then marked; a mark is looked at before and
 * after a read; who removes clears the mark, then the bytes; and bytes and record change only
 * under the span's write lock.
 */
#include "cache/spans.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache/layer-dir.h"

#define READ_TRIES 8
#define OPEN_TRIES 8

struct cache_spans {
	struct cache *cache;		/* borrowed */
	struct layer_dir layer;		/* its map is never NULL */
	struct cache_tmp tmp;		/* while it has no name */
	_Atomic uint64_t unnamed_bytes; /* written meanwhile */
	/* while it is appended to, by one thread: */
	XXH3_state_t *sum; /* owned; of the span that is coming */
	uint32_t number;   /* of it */
	uint64_t start, end;
	bool broken; /* some of its bytes were not kept */
};

static struct cache_spans *make(struct cache *cache)
{
	struct cache_spans *spans = mem_make(struct cache_spans, .cache = cache, .tmp = { -1, "" });
	layer_dir_init(&spans->layer, cache);
	return spans;
}

void cache_spans_free(struct cache_spans *spans)
{
	if (!spans)
		return;
	layer_dir_touch(&spans->layer);
	layer_dir_release(&spans->layer);
	cache_tmp_release(&spans->tmp, spans->cache);
	(void)XXH3_freeState(spans->sum);
	free(spans);
}

/* ---- opening */

static int make_named(struct cache_spans *spans, const char *name,
		      const struct span_map_shape *shape, struct err *err)
{
	struct cache_tmp tmp = { .fd = -1 };
	struct layer_dir layer;
	int r = layer_dir_begin(&layer, &tmp, spans->cache, err);
	if (r < 0)
		return r;
	r = layer_dir_finish(&layer, &tmp, spans->cache, name, shape, err);
	if (r < 0) {
		layer_dir_release(&layer);
		cache_tmp_release(&tmp, spans->cache);
		return r;
	}
	cache_tmp_release(&tmp, spans->cache);
	layer_dir_release(&spans->layer);
	spans->layer = layer;
	return 0;
}

static int open_named(struct cache_spans *spans, const char *name,
		      const struct span_map_shape *shape, struct err *err)
{
	struct layer_dir layer;
	int r = layer_dir_open(&layer, spans->cache, name, shape, err);
	if (r < 0)
		return r;
	layer_dir_release(&spans->layer);
	spans->layer = layer;
	layer_dir_touch(&spans->layer);
	return 0;
}

/* Opens what is there, or makes it; what was odd is made anew. */
static int open_or_make(struct cache_spans *spans, const char *name,
			const struct span_map_shape *shape, struct err *err)
{
	int r = 0;
	for (int i = 0; i < OPEN_TRIES; i++) {
		r = open_named(spans, name, shape, err);
		if (r == -EBADMSG && cache_writable(spans->cache))
			continue;
		if (r != -ENOENT || !cache_writable(spans->cache))
			return r;
		r = cache_fail(spans->cache, make_named(spans, name, shape, err));
		if (r != -EEXIST)
			return r;
	}
	return r;
}

int cache_spans_open(struct cache_spans **out, struct cache *cache, const struct digest *digest,
		     uint64_t layout, uint32_t span_count, uint64_t stream_size, struct err *err)
{
	struct span_map_shape shape = { layout, stream_size, span_count };
	AUTO(cache_spans) spans = make(cache);
	int r = open_or_make(spans, cache_layer_name(digest, layout).text, &shape, err);
	if (r == -ENOMEM)
		return r;
	*out = TAKE(spans);
	return 0;
}

int cache_spans_new(struct cache_spans **out, struct cache *cache, struct err *err)
{
	AUTO(cache_spans) spans = make(cache);
	if (cache_writable(cache)) {
		struct layer_dir layer;
		int r = cache_fail(cache, layer_dir_begin(&layer, &spans->tmp, cache, err));
		if (r == -ENOMEM)
			return r;
		if (r == 0) {
			layer_dir_release(&spans->layer);
			spans->layer = layer;
		}
	}
	*out = TAKE(spans);
	return 0;
}

/* Another process was faster: use what it has, unless nobody else does and ours is more. */
static int give_name(struct cache_spans *spans, const char *name,
		     const struct span_map_shape *shape, struct err *err)
{
	int r = 0;
	for (int i = 0; i < OPEN_TRIES; i++) {
		r = layer_dir_finish(&spans->layer, &spans->tmp, spans->cache, name, shape, err);
		if (r != -EEXIST && r != -ENOTDIR)
			break;
		if (layer_dir_remove(spans->cache, name, span_map_present(spans->layer.map)))
			continue;
		r = open_named(spans, name, shape, err);
		if (r != -ENOENT && r != -EBADMSG)
			break;
	}
	if (r == 0)
		cache_tmp_release(&spans->tmp, spans->cache);
	return cache_fail(spans->cache, r);
}

int cache_spans_publish(struct cache_spans *spans, const struct digest *digest, uint64_t layout,
			uint32_t span_count, uint64_t stream_size, struct err *err)
{
	struct span_map_shape shape = { layout, stream_size, span_count };
	int r = span_map_settle(spans->layer.map, &shape, err);
	if (r < 0)
		return r;
	if (spans->tmp.name[0] == '\0' || !cache_writable(spans->cache))
		return 0;
	/* failing that it stays what it is: ours alone, until it is freed */
	IGNORE(give_name(spans, cache_layer_name(digest, layout).text, &shape, err));
	return 0;
}

/* ---- reading */

bool cache_spans_has(const struct cache_spans *spans, uint32_t span)
{
	struct span_entry entry;
	return span_map_load(spans->layer.map, span, &entry);
}

uint32_t cache_spans_present(const struct cache_spans *spans)
{
	return span_map_present(spans->layer.map);
}

int cache_spans_read(struct cache_spans *spans, const struct cache_span *span, void *buf,
		     size_t size, uint32_t at)
{
	struct layer_dir *layer = &spans->layer;
	uint32_t n = span->number;
	if (at > span->size || size > span->size - at)
		return 0;
	for (int i = 0; i < READ_TRIES; i++) {
		struct span_entry entry;
		if (!span_map_load(layer->map, n, &entry) || entry.offset != span->offset ||
		    entry.size != span->size)
			return 0;
		if (!span_map_trusted(layer->map, n, &entry)) {
			if (layer_dir_check(layer, n, &entry) == 0)
				return 0;
			continue;
		}
		bool whole = layer_dir_pread(layer, buf, size, entry.offset + at);
		if (!span_map_same(layer->map, n, &entry))
			continue;
		if (whole)
			return 1;
		/* the file is cut, or the disk is bad */
		layer_dir_drop(layer, n, &entry);
		return 0;
	}
	return 0;
}

/* ---- writing */

static int write_at(int fd, const void *data, size_t size, uint64_t offset, struct err *err)
{
	const char *at = data;
	while (size > 0) {
		ssize_t n = pwrite(fd, at, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "write to the cache");
		at += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* 1: written; 0: it was there.  The lock is held. */
static int fill(struct cache_spans *spans, const struct cache_span *span, const void *data,
		struct err *err)
{
	uint64_t sum = XXH3_64bits(data, span->size);
	struct layer_dir *layer = &spans->layer;
	struct span_entry is;
	struct span_entry entry = { .sum = sum, .offset = span->offset, .size = span->size };
	if (span_map_load(layer->map, span->number, &is) && is.sum == sum &&
	    is.offset == span->offset && is.size == span->size &&
	    span_map_trusted(layer->map, span->number, &is))
		return 0;
	span_map_describe(layer->map, span->number, &entry);
	int r = write_at(layer->stream, data, span->size, span->offset, err);
	if (r < 0) {
		layer_dir_punch(layer, span->offset, span->size);
		return r;
	}
	span_map_mark(layer->map, span->number);
	return 1;
}

/*
 * What has no name cannot be evicted: more than half of the quota would drive out all the others.
 */
static bool takes_too_much(struct cache_spans *spans, uint64_t size)
{
	if (spans->tmp.name[0] == '\0')
		return false;
	if (atomic_load(&spans->unnamed_bytes) + size > spans->cache->quota_bytes / 2)
		return true;
	(void)atomic_fetch_add(&spans->unnamed_bytes, size);
	return false;
}

int cache_spans_write(struct cache_spans *spans, const struct cache_span *span, const void *data,
		      struct err *err)
{
	struct layer_dir *layer = &spans->layer;
	uint64_t end;
	if (layer->dir < 0 || !layer->writable || !cache_writable(spans->cache) ||
	    takes_too_much(spans, span->size))
		return 0;
	if (span->number >= SPAN_MAP_SPANS_MAX)
		return err_set(err, E2BIG, "span number %u", span->number);
	int r = span_map_grow(layer->map, span->number + 1, err);
	if (r < 0)
		return r;
	if (!add_ok(span->offset, span->size, &end) || end > span_map_shape(layer->map).stream_size)
		return err_set(err, EINVAL, "span %u is not inside its layer", span->number);
	r = span_map_lock(layer->map, SPAN_LOCK_WRITE, span->number);
	if (r == 0)
		return 0; /* it is being written, or evicted, by another */
	if (r > 0) {
		r = fill(spans, span, data, err);
		span_map_unlock(layer->map, SPAN_LOCK_WRITE, span->number);
	} else {
		r = err_errno(err, -r, "lock the cache");
	}
	if (r < 0)
		return cache_fail(spans->cache, r);
	if (r > 0)
		cache_wrote(spans->cache, span->size);
	return 0;
}

/* ---- appending, while there is no name */

static bool keeps(const struct cache_spans *spans)
{
	return spans->tmp.name[0] != '\0' && cache_writable(spans->cache);
}

int cache_spans_append(struct cache_spans *spans, const void *data, size_t size, struct err *err)
{
	uint64_t at = spans->end;
	if (!add_ok(at, size, &spans->end) || spans->end > SPAN_MAP_STREAM_MAX_BYTES)
		return err_set(err, E2BIG, "a stream too long to keep");
	spans->broken = spans->broken || !keeps(spans) || takes_too_much(spans, size);
	if (spans->broken)
		return 0;
	if (!spans->sum)
		spans->sum = XXH3_createState();
	if (!spans->sum || (at == spans->start && XXH3_64bits_reset(spans->sum) != XXH_OK) ||
	    XXH3_64bits_update(spans->sum, data, size) != XXH_OK)
		return err_set(err, ENOMEM, "out of memory for a checksum");
	int r = cache_fail(spans->cache, write_at(spans->layer.stream, data, size, at, err));
	spans->broken = r < 0;
	return r;
}

static int describe_next(struct cache_spans *spans, struct err *err)
{
	struct span_map *map = spans->layer.map;
	const struct span_entry entry = { .sum = XXH3_64bits_digest(spans->sum),
					  .offset = spans->start,
					  .size = (uint32_t)(spans->end - spans->start) };
	int r = span_map_grow(map, spans->number + 1, err);
	if (r < 0)
		return r;
	span_map_describe(map, spans->number, &entry);
	span_map_mark(map, spans->number);
	cache_wrote(spans->cache, entry.size);
	return 0;
}

int cache_spans_cut(struct cache_spans *spans, struct err *err)
{
	int r = 0;
	if (spans->end - spans->start > UINT32_MAX || spans->number >= SPAN_MAP_SPANS_MAX)
		return err_set(err, E2BIG, "span number %u", spans->number);
	if (spans->broken)
		layer_dir_punch(&spans->layer, spans->start, spans->end - spans->start);
	else if (spans->end > spans->start)
		r = describe_next(spans, err);
	spans->start = spans->end;
	spans->number++;
	spans->broken = false;
	return r;
}

/* ---- who fetches */

bool cache_spans_trylock(struct cache_spans *spans, uint32_t span)
{
	/* where locks do not work, two may fetch the same */
	return span_map_lock(spans->layer.map, SPAN_LOCK_FETCH, span) != 0;
}

void cache_spans_unlock(struct cache_spans *spans, uint32_t span)
{
	span_map_unlock(spans->layer.map, SPAN_LOCK_FETCH, span);
}
