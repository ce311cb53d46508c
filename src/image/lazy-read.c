/*
 * Reading bytes of files: the parts of a file that a read covers are holes (zeros) or lie in
 * spans; each span that is not at hand is waited for by a piece of the reading.  The last piece
 * that is done calls back.  A clock ends readings that take too long.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "image/lazy-internal.h"

#define AHEAD_MAX 64 /* spans of one read that are announced together */

/* One span's part of a reading. */
struct piece {
	struct fetch_wait wait;
	struct reading *reading; /* borrowed */
	struct piece *next;
};

struct reading {
	struct lazy *lazy;	      /* borrowed */
	struct lazy_request *request; /* borrowed */
	_Atomic uint32_t pending;     /* pieces not done, and one for each who uses it */
	bool quiet;		      /* nobody reads: neither recorded nor looked into */
	bool patient;		      /* nor is it demand */
	uint32_t inode;
	uint8_t *buf; /* borrowed */
	uint64_t offset;
	size_t got;
	int code;	      /* guarded by lazy->mutex, as is err */
	struct err *err;      /* owned; of the first failure */
	struct piece *pieces; /* owned; those that were not at hand */
	struct piece *spare;  /* owned */
	/* the list of those that wait; guarded by lazy->mutex */
	uint64_t deadline_ms;
	struct reading *older, *newer;
	bool listed;
};

uint64_t lazy_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- the life of a reading --- */

static void free_reading(struct reading *r)
{
	while (r->pieces) {
		struct piece *next = r->pieces->next;
		free(r->pieces);
		r->pieces = next;
	}
	free(r->spare);
	free(r->err);
	free(r);
}

static void unlist(struct reading *r)
{
	struct lazy *lazy = r->lazy;
	if (!r->listed)
		return;
	r->listed = false;
	if (r->older)
		r->older->newer = r->newer;
	else
		lazy->oldest = r->newer;
	if (r->newer)
		r->newer->older = r->older;
	else
		lazy->newest = r->older;
}

/* Behind all others: they all have as long. */
static void list_reading(struct reading *r)
{
	struct lazy *lazy = r->lazy;
	LOCKED(&lazy->mutex);
	r->deadline_ms = lazy_now_ms() + lazy->options.read_timeout_ms;
	r->listed = true;
	r->older = lazy->newest;
	if (lazy->newest)
		lazy->newest->newer = r;
	else
		lazy->oldest = r;
	lazy->newest = r;
	if (lazy->oldest == r)
		pthread_cond_broadcast(&lazy->changed);
}

/* Its bytes are there. */
static void look_at(const struct reading *r)
{
	if (!r->quiet && r->offset == 0)
		lazy_ahead_seen(r->lazy, r->inode, r->buf, r->got);
}

static void finish(struct reading *r)
{
	if (r->code == 0)
		look_at(r);
	pthread_mutex_lock(&r->lazy->mutex);
	unlist(r);
	pthread_mutex_unlock(&r->lazy->mutex);
	r->request->done(r->request, r->code, r->code < 0 ? 0 : r->got, r->err);
	free_reading(r);
}

static void put_reading(struct reading *r)
{
	if (atomic_fetch_sub(&r->pending, 1) == 1)
		finish(r);
}

static void fail(struct reading *r, int code, const struct err *err)
{
	LOCKED(&r->lazy->mutex);
	if (r->code < 0)
		return;
	r->code = code;
	r->err = mem_make(struct err, .code = code);
	if (err)
		*r->err = *err;
}

static void piece_done(struct fetch_wait *wait, int code, const struct err *err)
{
	struct reading *r = ((struct piece *)wait)->reading;
	if (code < 0)
		fail(r, code, err);
	put_reading(r);
}

/* --- what it reads --- */

static void read_piece(struct reading *r, struct fetch_span span, uint8_t *buf, uint32_t size,
		       uint32_t at)
{
	struct piece *piece = r->spare ? TAKE(r->spare) : mem_new(sizeof(*piece));
	*piece = (struct piece){
		.wait = { .span = span,
			  .buf = buf,
			  .size = size,
			  .at = at,
			  .done = piece_done,
			  .patient = r->patient },
		.reading = r,
	};
	if (!r->quiet)
		lazy_record_touch(r->lazy, span.layer, span.span);
	atomic_fetch_add(&r->pending, 1);
	if (fetcher_get(r->lazy->fetcher, &piece->wait) == 1) {
		atomic_fetch_sub(&r->pending, 1);
		r->spare = piece;
	} else {
		piece->next = r->pieces;
		r->pieces = piece;
	}
}

/* A read of several spans that are not there shall be one request. */
static void announce(struct lazy *lazy, uint32_t layer, uint32_t first, uint64_t end)
{
	const struct lazy_layer *l = &lazy->layers[layer];
	struct fetch_span spans[AHEAD_MAX];
	size_t count = 0;
	for (uint32_t i = first; i < table_span_count(l->table) && count < AHEAD_MAX; i++) {
		if (table_span(l->table, i)->stream_offset >= end)
			break;
		if (!cache_spans_has(l->spans, i))
			spans[count++] = (struct fetch_span){ layer, i };
	}
	if (count > 1)
		fetcher_want(lazy->fetcher, spans, count, FETCH_DEMAND);
}

/* [OFFSET, OFFSET+SIZE) of a layer's stream, all of it in spans. */
static void read_stream(struct reading *r, uint32_t layer, uint64_t offset, uint8_t *buf,
			size_t size)
{
	const struct table *table = r->lazy->layers[layer].table;
	uint32_t i = table_find_span(table, offset);
	const struct table_span *s = table_span(table, i);
	if (!r->patient && offset + size > s->stream_offset + s->stream_size)
		announce(r->lazy, layer, i, offset + size);
	for (; size > 0; s = table_span(table, ++i)) {
		uint32_t at = (uint32_t)(offset - s->stream_offset);
		uint32_t n = s->stream_size - at;
		n = n < size ? n : (uint32_t)size;
		read_piece(r, (struct fetch_span){ layer, i }, buf, n, at);
		buf += n;
		offset += n;
		size -= n;
		if (size == 0)
			break;
	}
}

/* The first extent that ends behind OFFSET. */
static uint32_t find_extent(const struct table_extent *extents, uint32_t count, uint64_t offset)
{
	uint32_t low = 0, high = count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (extents[middle].file_offset + extents[middle].size <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void read_file(struct reading *r, const struct rootfs_inode *inode, uint8_t *buf,
		      uint64_t offset)
{
	uint32_t layer = r->lazy->of_layer[inode->layer], count = 0;
	const struct table_extent *e = table_extents(r->lazy->layers[layer].table, inode->a,
						     &count);
	uint64_t end = offset + r->got;
	for (uint32_t i = find_extent(e, count, offset); i < count && offset < end; i++) {
		uint64_t start = e[i].file_offset, stop = start + e[i].size;
		if (start >= end)
			break;
		if (start > offset) {
			memset(buf, 0, (size_t)(start - offset));
			buf += start - offset;
			offset = start;
		}
		stop = stop < end ? stop : end;
		read_stream(r, layer, e[i].stream_offset + (offset - start), buf,
			    (size_t)(stop - offset));
		buf += stop - offset;
		offset = stop;
	}
	if (offset < end)
		memset(buf, 0, (size_t)(end - offset));
}

/* How many of SIZE bytes from OFFSET there are; negative: nothing can be read there. */
static int clip(struct lazy *lazy, const struct rootfs_inode *inode, size_t size, uint64_t offset,
		size_t *got, struct err *err)
{
	*got = 0;
	if (!inode || !S_ISREG(inode->mode))
		return err_set(err, EINVAL, "no regular file");
	if (offset >= inode->size || size == 0)
		return 0;
	*got = size < inode->size - offset ? size : (size_t)(inode->size - offset);
	const struct lazy_layer *layer = &lazy->layers[lazy->of_layer[inode->layer]];
	if (atomic_load(&layer->bad))
		return err_set(err, EBADMSG, "layer '%s' is not what its digests say",
			       digest_show(layer->key));
	return 0;
}

enum manner {
	READS,	   /* somebody does */
	LOOKS,	   /* we do */
	PATIENTLY, /* and it has time */
};

static int read_start(struct lazy *lazy, struct lazy_request *request, uint32_t inode, void *buf,
		      size_t size, uint64_t offset, enum manner manner, size_t *got)
{
	const struct rootfs_inode *file = rootfs_inode(lazy->rootfs, inode);
	struct err err = { 0 };
	size_t there = 0;
	int code = clip(lazy, file, size, offset, &there, &err);
	if (code < 0) {
		request->done(request, code, 0, &err);
		return 0;
	}
	*got = there;
	if (there == 0)
		return 1;
	struct reading *r = mem_make(struct reading, .lazy = lazy, .request = request, .pending = 1,
				     .quiet = manner != READS, .patient = manner == PATIENTLY,
				     .inode = inode, .buf = buf, .offset = offset, .got = there);
	read_file(r, file, buf, offset);
	if (!r->pieces) {
		look_at(r);
		free_reading(r);
		return 1;
	}
	list_reading(r);
	put_reading(r);
	return 0;
}

int lazy_read_start(struct lazy *lazy, struct lazy_request *request, uint32_t inode, void *buf,
		    size_t size, uint64_t offset, size_t *got)
{
	return read_start(lazy, request, inode, buf, size, offset, READS, got);
}

int lazy_read_patiently(struct lazy *lazy, struct lazy_request *request, uint32_t inode, void *buf,
			size_t size, size_t *got)
{
	return read_start(lazy, request, inode, buf, size, 0, PATIENTLY, got);
}

/* --- blocking --- */

struct waiting {
	struct lazy_request request;
	pthread_mutex_t mutex; /* guards the rest */
	pthread_cond_t changed;
	bool done;
	int code;
	size_t got;
	struct err err;
};

static void wake(struct lazy_request *request, int code, size_t got, const struct err *err)
{
	struct waiting *w = (struct waiting *)request;
	LOCKED(&w->mutex);
	w->done = true;
	w->code = code;
	w->got = got;
	if (err)
		w->err = *err;
	pthread_cond_signal(&w->changed);
}

static int read_and_wait(struct lazy *lazy, uint32_t inode, void *buf, size_t size, uint64_t offset,
			 enum manner manner, size_t *got, struct err *err)
{
	struct waiting w = { .request = { wake },
			     .mutex = PTHREAD_MUTEX_INITIALIZER,
			     .changed = PTHREAD_COND_INITIALIZER };
	if (read_start(lazy, &w.request, inode, buf, size, offset, manner, got) == 1)
		return 0;
	pthread_mutex_lock(&w.mutex);
	while (!w.done)
		pthread_cond_wait(&w.changed, &w.mutex);
	pthread_mutex_unlock(&w.mutex);
	if (w.code < 0 && err)
		*err = w.err;
	if (w.code == 0)
		*got = w.got;
	return w.code;
}

int lazy_read(struct lazy *lazy, uint32_t inode, void *buf, size_t size, uint64_t offset,
	      size_t *got, struct err *err)
{
	return read_and_wait(lazy, inode, buf, size, offset, READS, got, err);
}

int lazy_read_ahead(struct lazy *lazy, uint32_t inode, void *buf, size_t size, uint64_t offset,
		    size_t *got, struct err *err)
{
	return read_and_wait(lazy, inode, buf, size, offset, LOOKS, got, err);
}

/* --- the clock --- */

/* Use R a little longer, unless it has ended. */
static bool hold(struct reading *r)
{
	uint32_t pending = atomic_load(&r->pending);
	while (pending > 0)
		if (atomic_compare_exchange_weak(&r->pending, &pending, pending + 1))
			return true;
	return false;
}

/* What was waited for: as the fetcher says it of spans that failed. */
static int overdue(const struct reading *r, struct err *err)
{
	const struct fetch_span *first = &r->pieces->wait.span;
	const struct lazy_layer *layer = &r->lazy->layers[first->layer];
	const struct table_span *span = table_span(layer->table, first->span);
	return err_set(err, ETIMEDOUT,
		       "layer %zu of '%s': bytes %llu-%llu of blob '%s': no answer within %u ms",
		       layer->number + 1, r->lazy->image->repo->name,
		       (unsigned long long)span->blob_offset,
		       (unsigned long long)(span->blob_offset + span->blob_size - 1),
		       digest_show(&layer->descriptor->digest), r->lazy->options.read_timeout_ms);
}

static void expire(struct reading *r)
{
	struct err err = { 0 };
	int code = overdue(r, &err);
	fail(r, code, &err);
	lazy_log(r->lazy, "%s", err_text(&err));
	for (struct piece *p = r->pieces; p; p = p->next)
		if (fetcher_forget(r->lazy->fetcher, &p->wait))
			put_reading(r);
	put_reading(r);
}

/* One that is overdue, held; else NULL, and when the next one will be (or UINT64_MAX). */
static struct reading *take_overdue(struct lazy *lazy, uint64_t now, uint64_t *next)
{
	*next = UINT64_MAX;
	while (lazy->oldest) {
		struct reading *r = lazy->oldest;
		if (r->deadline_ms > now) {
			*next = r->deadline_ms;
			return NULL;
		}
		unlist(r);
		if (hold(r))
			return r;
	}
	return NULL;
}

static void wait_until(struct lazy *lazy, uint64_t when)
{
	if (when == UINT64_MAX) {
		pthread_cond_wait(&lazy->changed, &lazy->mutex);
		return;
	}
	const struct timespec until = { .tv_sec = (time_t)(when / 1000),
					.tv_nsec = (long)(when % 1000) * 1000000 };
	(void)pthread_cond_timedwait(&lazy->changed, &lazy->mutex, &until);
}

static void *clock_thread(void *arg)
{
	struct lazy *lazy = arg;
	pthread_mutex_lock(&lazy->mutex);
	while (!lazy->ending) {
		uint64_t now = lazy_now_ms(), next, record = lazy_record_due(lazy);
		struct reading *r = take_overdue(lazy, now, &next);
		if (r || record <= now) {
			pthread_mutex_unlock(&lazy->mutex);
			if (r)
				expire(r);
			if (record <= now)
				lazy_record_save(lazy);
			pthread_mutex_lock(&lazy->mutex);
			continue;
		}
		wait_until(lazy, next < record ? next : record);
	}
	pthread_mutex_unlock(&lazy->mutex);
	return NULL;
}

int lazy_clock_start(struct lazy *lazy, struct err *err)
{
	int code = pthread_create(&lazy->clock, NULL, clock_thread, lazy);
	if (code != 0)
		return err_errno(err, code, "start a thread");
	lazy->clock_runs = true;
	return 0;
}
