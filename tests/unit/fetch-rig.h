/*
 * A fetcher over memory: a repo whose ranges can fail, lie, stall and be counted, layers of every
 * kind of span, and a cache in a directory of its own.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "codec/indexer.h"
#include "image/fetcher.h"
#include "tests/unit/gzip-build.h"
#include "tests/unit/span-table.h"

#define RIG_PIECE_BYTES 7000u
#define RIG_ALWAYS 1000000

/* ---- the repo */

struct fake {
	struct repo base;
	const struct bytes *blob; /* borrowed */
	atomic_bool aborted;
	/* set before a request */
	atomic_bool stall;		  /* nothing comes until it is false */
	atomic_bool no_ranges;		  /* only whole blobs */
	atomic_int fail, corrupt;	  /* so many requests fail, or lie about byte corrupt_at */
	atomic_size_t corrupt_at, cut_at; /* cut_at: bodies break off there; 0: nowhere */
	atomic_uint delay_ms;		  /* before the first byte */
	/* counted */
	atomic_uint requests, blobs, fresh;
	pthread_mutex_t mutex; /* guards the log */
	struct {
		size_t begin, end;
	} log[4096];
};

struct fake_stream {
	struct stream base;
	struct fake *fake;
	size_t at, end;
	bool lies, waited;
	uint8_t piece[RIG_PIECE_BYTES];
};

static inline void rig_sleep(unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	(void)nanosleep(&t, NULL);
}

static inline int fake_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct fake_stream *s = (struct fake_stream *)stream;
	struct fake *fake = s->fake;
	if (!s->waited)
		rig_sleep(atomic_load(&fake->delay_ms));
	s->waited = true;
	while (atomic_load(&fake->stall) && !atomic_load(&fake->aborted))
		rig_sleep(1);
	if (atomic_load(&fake->aborted))
		return err_set(err, ECANCELED, "aborted");
	size_t cut = atomic_load(&fake->cut_at);
	if (cut && s->at >= cut)
		return err_set(err, ETIMEDOUT, "it stalled");
	size_t n = s->end - s->at < RIG_PIECE_BYTES ? s->end - s->at : RIG_PIECE_BYTES;
	memcpy(s->piece, fake->blob->data + s->at, n);
	size_t wrong = atomic_load(&fake->corrupt_at);
	if (s->lies && wrong >= s->at && wrong < s->at + n)
		s->piece[wrong - s->at] ^= 0x10;
	s->at += n;
	*data = s->piece;
	*size = n;
	return 0;
}

static inline void fake_stream_free(struct stream *stream)
{
	free(stream);
}

/* Counts down: was there one left? */
static inline bool fake_take(atomic_int *left)
{
	int n = atomic_load(left);
	while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1))
		;
	return n > 0;
}

static inline int fake_open(struct fake *fake, size_t begin, size_t end, unsigned flags,
			    struct stream **out, struct err *err)
{
	static const struct stream_ops ops = { fake_next, NULL, fake_stream_free };
	if (atomic_load(&fake->aborted))
		return err_set(err, ECANCELED, "aborted");
	if (fake_take(&fake->fail))
		return err_set(err, EAGAIN, "503");
	if (flags & REPO_BLOB_FRESH)
		atomic_fetch_add(&fake->fresh, 1);
	size_t wrong = atomic_load(&fake->corrupt_at);
	struct fake_stream *s = mem_make(struct fake_stream, .base = { &ops }, .fake = fake,
					 .at = begin, .end = end);
	s->lies = wrong >= begin && wrong < end && fake_take(&fake->corrupt);
	*out = &s->base;
	return 0;
}

static inline int fake_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
			    struct stream **out, struct err *err)
{
	struct fake *fake = (struct fake *)repo;
	(void)d;
	atomic_fetch_add(&fake->blobs, 1);
	return fake_open(fake, 0, fake->blob->size, flags, out, err);
}

static inline int fake_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
			     uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	struct fake *fake = (struct fake *)repo;
	(void)d;
	if (atomic_load(&fake->no_ranges))
		return err_set(err, EOPNOTSUPP, "no ranges");
	pthread_mutex_lock(&fake->mutex);
	unsigned n = atomic_fetch_add(&fake->requests, 1);
	if (n < N_ELEMENTS(fake->log)) {
		fake->log[n].begin = (size_t)offset;
		fake->log[n].end = (size_t)(offset + length);
	}
	pthread_mutex_unlock(&fake->mutex);
	return fake_open(fake, (size_t)offset, (size_t)(offset + length), flags, out, err);
}

/* Was a range asked for that begins at OFFSET? */
static inline bool fake_logged(struct fake *fake, uint64_t offset)
{
	bool found = false;
	pthread_mutex_lock(&fake->mutex);
	for (size_t i = 0; i < atomic_load(&fake->requests) && i < N_ELEMENTS(fake->log); i++)
		found = found || fake->log[i].begin == offset;
	pthread_mutex_unlock(&fake->mutex);
	return found;
}

static inline void fake_abort(struct repo *repo)
{
	atomic_store(&((struct fake *)repo)->aborted, true);
}

/* ---- layers */

struct rig_layer {
	struct bytes blob, plain; /* plain: the whole stream */
	struct span_table table;
};

static inline void rig_layer_release(struct rig_layer *l)
{
	bytes_release(&l->blob);
	bytes_release(&l->plain);
	span_table_release(&l->table);
}

/* COUNT chunks of MOST bytes at most, each a span, or two that begin at one place. */
static inline void rig_chunks(struct rig_layer *l, enum span_start start, size_t count, size_t most,
			      bool pairs)
{
	auto_free struct table_span *spans = mem_new(2 * count * sizeof(*spans));
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		size_t size = most / 2 + (i * 7919) % (most / 2), begin = l->blob.size;
		auto_bytes text = bytes_text(size, (uint32_t)i + 1);
		if (start == SPAN_GZIP)
			add_member(&l->blob, &text, &(struct member){ .level = 6 });
		else if (start == SPAN_ZSTD)
			add_frame(&l->blob, &text, 3, 1);
		else
			bytes_add(&l->blob, text.data, text.size);
		size_t first = pairs ? size / 3 : size;
		for (size_t at = 0; at < size; at += at ? size - first : first) {
			size_t length = at ? size - first : first;
			struct digest digest;
			digest_of(&digest, DIGEST_SHA256, text.data + at, length);
			spans[n] = (struct table_span){ .blob_offset = begin,
							.blob_size = l->blob.size - begin,
							.stream_offset = l->plain.size,
							.stream_size = (uint32_t)length,
							.skip = at,
							.start = (uint8_t)start,
							.has_digest = 1 };
			memcpy(spans[n++].digest, digest.bytes, sizeof(spans[0].digest));
			bytes_add(&l->plain, text.data + at, length);
		}
	}
	l->table = span_table_of(TABLE_ESTARGZ, spans, n);
}

struct rig_points {
	struct table_builder *builder;
	const struct bytes *plain;
	struct indexer_point last;
	uint8_t *window; /* owned, of last */
	bool any;
};

/* The span from the last point to (IN, OUT), of which a byte may be shared. */
static inline void rig_point_end(struct rig_points *p, uint64_t in, uint64_t out)
{
	struct digest digest;
	digest_of(&digest, DIGEST_SHA256, p->plain->data + p->last.out, out - p->last.out);
	struct table_span span = { .blob_offset = p->last.in,
				   .blob_size = in - p->last.in,
				   .stream_offset = p->last.out,
				   .stream_size = (uint32_t)(out - p->last.out),
				   .start = (uint8_t)p->last.point.start,
				   .bits = p->last.point.bits,
				   .has_digest = 1 };
	memcpy(span.digest, digest.bytes, sizeof(span.digest));
	if (table_builder_span(p->builder, &span, p->window, p->last.point.window_size, NULL) < 0)
		abort();
}

static inline int rig_point(void *arg, const struct indexer_point *point, struct err *err)
{
	struct rig_points *p = arg;
	(void)err;
	if (p->any)
		rig_point_end(p, point->in + (point->point.bits > 0), point->out);
	free(p->window);
	p->any = true;
	p->last = *point;
	p->window = point->point.window_size
			    ? mem_copy(point->point.window, point->point.window_size)
			    : NULL;
	return 0;
}

/* One gzip member, with points inside. */
static inline void rig_inside(struct rig_layer *l, size_t size, size_t distance)
{
	l->plain = bytes_text(size, 77);
	add_member(&l->blob, &l->plain, &(struct member){ .level = 6 });
	AUTO(table_builder) builder = table_builder_new(TABLE_SCAN);
	AUTO(indexer) indexer = NULL;
	struct rig_points points = { .builder = builder, .plain = &l->plain };
	const struct indexer_options options = { .distance = distance,
						 .found = rig_point,
						 .arg = &points };
	auto_free uint8_t *out = mem_new(size + 1);
	struct decoder_io io = { l->blob.data, l->blob.size, out, size + 1 };
	size_t file_size = 0;
	if (indexer_new(&indexer, CODEC_GZIP, &options, NULL) < 0 ||
	    indexer_run(indexer, &io, false, NULL) < 0 || indexer_run(indexer, &io, true, NULL) < 0)
		abort();
	rig_point_end(&points, l->blob.size, size);
	free(points.window);
	if (table_builder_finish(builder, &l->table.file, &file_size, NULL) < 0 ||
	    table_open(&l->table.table, l->table.file, file_size, NULL) < 0)
		abort();
}

/* ---- the whole */

struct rig {
	struct fake fake;
	struct rig_layer layer;
	struct descriptor descriptor;
	char path[64];
	struct cache *cache;
	struct cache_spans *spans;
	struct fetcher_layer given;
	struct fetcher *fetcher;
	pthread_mutex_t mutex; /* guards failed_text */
	unsigned failed;
	char failed_text[ERR_TEXT_MAX_BYTES];
};

static inline void rig_failed(void *arg, const char *text)
{
	struct rig *rig = arg;
	pthread_mutex_lock(&rig->mutex);
	rig->failed++;
	(void)snprintf(rig->failed_text, sizeof(rig->failed_text), "%s", text);
	pthread_mutex_unlock(&rig->mutex);
}

static inline void rig_open_cache(struct rig *rig)
{
	struct descriptor *d = &rig->descriptor;
	if (cache_open(&rig->cache, &(struct cache_options){ .path = rig->path }, NULL) < 0 ||
	    cache_spans_open(&rig->spans, rig->cache, &d->digest, 1,
			     table_span_count(rig->layer.table.table),
			     table_stream_size(rig->layer.table.table), NULL) < 0)
		abort();
}

/* Everything but the layer, which RIG has. */
static inline void rig_start(struct rig *rig, unsigned threads)
{
	static const struct repo_ops ops = { .blob = fake_blob,
					     .range = fake_range,
					     .abort = fake_abort };
	static char name[] = "fake/app";
	rig->fake.base = (struct repo){ &ops, name };
	rig->fake.blob = &rig->layer.blob;
	pthread_mutex_init(&rig->fake.mutex, NULL);
	pthread_mutex_init(&rig->mutex, NULL);
	rig->descriptor.size = rig->layer.blob.size;
	digest_of(&rig->descriptor.digest, DIGEST_SHA256, rig->layer.blob.data,
		  rig->layer.blob.size);
	(void)snprintf(rig->path, sizeof(rig->path), "/tmp/test-fetcher-XXXXXX");
	if (!mkdtemp(rig->path))
		abort();
	rig_open_cache(rig);
	rig->given = (struct fetcher_layer){ &rig->descriptor, rig->layer.table.table, rig->spans };
	const struct fetcher_options options = { .repo = &rig->fake.base,
						 .layers = &rig->given,
						 .layer_count = 1,
						 .threads = threads,
						 .failed = rig_failed,
						 .arg = rig };
	if (fetcher_new(&rig->fetcher, &options, NULL) < 0)
		abort();
}

static inline void rig_free(struct rig *rig)
{
	fetcher_free(rig->fetcher);
	cache_spans_free(rig->spans);
	cache_free(rig->cache);
	rig_layer_release(&rig->layer);
	auto_close int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (io_remove_tree(parent, rig->path + strlen("/tmp/"), NULL) < 0)
		abort();
	pthread_mutex_destroy(&rig->fake.mutex);
	pthread_mutex_destroy(&rig->mutex);
	free(rig);
}
DEFINE_AUTO(rig)

static inline struct rig *rig_gzip(size_t chunks, size_t most, unsigned threads)
{
	struct rig *rig = mem_new(sizeof(*rig));
	rig_chunks(&rig->layer, SPAN_GZIP, chunks, most, false);
	rig_start(rig, threads);
	return rig;
}

/* ---- waiting */

struct rig_wait {
	struct fetch_wait wait;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	unsigned calls;
	int r;
	struct err err;
	uint8_t *buf; /* owned */
};

static inline void rig_done(struct fetch_wait *wait, int r, const struct err *err)
{
	struct rig_wait *w = (struct rig_wait *)wait;
	pthread_mutex_lock(&w->mutex);
	w->calls++;
	w->r = r;
	if (err)
		w->err = *err;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->mutex);
}

static inline struct rig_wait *rig_wait_new(const struct rig *rig, uint32_t span)
{
	struct rig_wait *w = mem_new(sizeof(*w));
	uint32_t size = table_span(rig->layer.table.table, span)->stream_size;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->cond, NULL);
	w->buf = mem_new(size);
	w->wait = (struct fetch_wait){
		.span = { 0, span }, .buf = w->buf, .size = size, .done = rig_done
	};
	return w;
}

static inline void rig_wait_free(struct rig_wait *w)
{
	pthread_mutex_destroy(&w->mutex);
	pthread_cond_destroy(&w->cond);
	free(w->buf);
	free(w);
}
DEFINE_AUTO(rig_wait)

static inline int rig_wait_for(struct rig_wait *w)
{
	pthread_mutex_lock(&w->mutex);
	while (!w->calls)
		pthread_cond_wait(&w->cond, &w->mutex);
	int r = w->r;
	pthread_mutex_unlock(&w->mutex);
	return r;
}

/* Are these the bytes of its span? */
static inline bool rig_right(const struct rig *rig, const struct rig_wait *w)
{
	const struct table_span *s = table_span(rig->layer.table.table, w->wait.span.span);
	return memcmp(w->buf, rig->layer.plain.data + s->stream_offset + w->wait.at,
		      w->wait.size) == 0;
}

/* A span, whole: 1 it was at hand, 0 it came, negative it failed; -EBADMSG also for wrong bytes. */
static inline int rig_get(struct rig *rig, uint32_t span, struct err *err)
{
	AUTO(rig_wait) w = rig_wait_new(rig, span);
	int hit = fetcher_get(rig->fetcher, &w->wait);
	int r = hit ? 0 : rig_wait_for(w);
	if (r < 0 && err)
		*err = w->err;
	if (r == 0 && !rig_right(rig, w))
		abort();
	return r < 0 ? r : hit;
}

/* Until the class is idle; false after ten seconds. */
static inline bool rig_idle(struct rig *rig, enum fetch_class class)
{
	for (unsigned ms = 0; ms < 10000; ms += 2) {
		if (fetcher_idle(rig->fetcher, class))
			return true;
		rig_sleep(2);
	}
	return false;
}

/* Until that many spans are in the cache: readers get theirs before it does. */
static inline bool rig_present(struct rig *rig, uint32_t count)
{
	for (unsigned ms = 0; ms < 10000; ms += 2) {
		if (cache_spans_present(rig->spans) == count)
			return true;
		rig_sleep(2);
	}
	return false;
}
