/*
 * A small window of pieces goes through the file: while the first is handed out the others come.
 * Of many files the fetcher hears some thousands ahead, again and again, for its queue is finite.
 */
#include "image/contents.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "image/lazy-internal.h"
#include "image/rootfs-walk.h"

#define PIECE_BYTES (4u * 1024 * 1024)
#define PIECES 4u
#define WANT_SPANS_MAX 16384u /* of one call; each is up to some MiB */
#define ROW_STEP 4096u	      /* files from one such call to the next, which is for twice as many */

struct window;

struct part {
	struct lazy_request request; /* first */
	struct window *window;	     /* borrowed */
	uint8_t *buf;		     /* owned */
	size_t got;
	int code;
	bool waiting; /* guarded by the window's mutex, as are got, code and its err */
};

struct window {
	struct lazy *lazy; /* borrowed */
	uint32_t inode;
	uint64_t size, asked; /* of the file; from here on nothing was asked for yet */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct err err; /* of the first failure */
	bool aborted;	/* the repo is of no use any more */
	struct part parts[PIECES];
};

static void part_done(struct lazy_request *request, int r, size_t got, const struct err *err)
{
	struct part *part = (struct part *)request;
	struct window *w = part->window;
	LOCKED(&w->mutex);
	part->code = r;
	part->got = got;
	part->waiting = false;
	if (r < 0 && err && w->err.code == 0)
		w->err = *err;
	pthread_cond_broadcast(&w->changed);
}

static void ask(struct window *w, struct part *part)
{
	uint64_t left = w->size - w->asked;
	size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, got = 0;
	if (!part->buf)
		part->buf = mem_new(size);
	part->request.done = part_done;
	part->window = w;
	part->code = 0;
	part->waiting = true;
	uint64_t offset = w->asked;
	w->asked += size;
	if (lazy_read_start(w->lazy, &part->request, w->inode, part->buf, size, offset, &got) == 1)
		part_done(&part->request, 0, got, NULL);
}

static bool is_cancelled(const struct window *w)
{
	const atomic_bool *cancel = w->lazy->options.cancel;
	return cancel && atomic_load(cancel);
}

/* Who asked us to stop does not want to wait for the network: what is under way is ended. */
static void look_at_cancel(struct window *w)
{
	if (w->aborted || !is_cancelled(w))
		return;
	w->aborted = true;
	repo_abort(w->lazy->image->repo);
}

static int await(struct window *w, struct part *part, struct err *err)
{
	LOCKED(&w->mutex);
	while (part->waiting) {
		look_at_cancel(w);
		struct timespec until;
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		(void)pthread_cond_timedwait(&w->changed, &w->mutex, &until);
	}
	if (part->code < 0 && err)
		*err = w->err;
	return part->code;
}

/* What is lent comes back, whatever happened. */
static void window_release(struct window *w)
{
	for (size_t i = 0; i < PIECES; i++) {
		IGNORE(await(w, &w->parts[i], NULL));
		free(w->parts[i].buf);
	}
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->mutex);
}

int contents_read(struct lazy *lazy, uint32_t inode, contents_take *take, void *arg,
		  struct err *err)
{
	const struct rootfs_inode *file = rootfs_inode(lazy->rootfs, inode);
	if (!file || !S_ISREG(file->mode))
		return err_set(err, EINVAL, "no regular file");
	__attribute__((cleanup(window_release))) struct window w = {
		.lazy = lazy,
		.inode = inode,
		.size = file->size,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	for (size_t i = 0; i < PIECES && w.asked < w.size; i++)
		ask(&w, &w.parts[i]);
	uint64_t done = 0;
	for (size_t at = 0; done < w.size; at = (at + 1) % PIECES) {
		struct part *part = &w.parts[at];
		int r = await(&w, part, err);
		if (r == 0 && is_cancelled(&w))
			r = err_set(err, ECANCELED, "stopped");
		if (r == 0)
			r = take(arg, part->buf, part->got, err);
		if (r != 0)
			return r < 0 ? r : 0;
		done += part->got;
		if (w.asked < w.size)
			ask(&w, part);
	}
	return 0;
}

struct wanted {
	struct fetch_span *spans; /* owned */
	size_t count;
};

static void want_stream(const struct lazy *lazy, struct wanted *wanted, uint32_t layer,
			const struct table_extent *extent)
{
	const struct lazy_layer *l = &lazy->layers[layer];
	uint64_t end = extent->stream_offset + extent->size;
	uint32_t i = table_find_span(l->table, extent->stream_offset);
	for (; i < table_span_count(l->table) && wanted->count < WANT_SPANS_MAX; i++) {
		if (table_span(l->table, i)->stream_offset >= end)
			return;
		if (!cache_spans_has(l->spans, i))
			wanted->spans[wanted->count++] = (struct fetch_span){ layer, i };
	}
}

static void want_file(const struct lazy *lazy, struct wanted *wanted, uint32_t number)
{
	const struct rootfs_inode *inode = rootfs_inode(lazy->rootfs, number);
	if (!inode || !S_ISREG(inode->mode) || inode->size == 0)
		return;
	uint32_t layer = lazy->of_layer[inode->layer], count = 0;
	const struct table_extent *e = table_extents(lazy->layers[layer].table, inode->a, &count);
	for (uint32_t i = 0; i < count; i++)
		want_stream(lazy, wanted, layer, &e[i]);
}

/* By the blob; names in a directory need not lie as they are sorted. */
static int compare(const void *a, const void *b)
{
	const struct fetch_span *x = a, *y = b;
	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	return x->span < y->span ? -1 : x->span > y->span;
}

void contents_want(struct lazy *lazy, const uint32_t *inodes, size_t count)
{
	struct wanted wanted = { .spans = mem_new(WANT_SPANS_MAX * sizeof(*wanted.spans)) };
	for (size_t i = 0; i < count && wanted.count < WANT_SPANS_MAX; i++)
		want_file(lazy, &wanted, inodes[i]);
	qsort(wanted.spans, wanted.count, sizeof(*wanted.spans), compare);
	if (wanted.count > 1)
		fetcher_want(lazy->fetcher, wanted.spans, wanted.count, FETCH_PREFETCH);
	free(wanted.spans);
}

static int note_file(void *arg, const struct rootfs_visit *visit, struct err *err)
{
	struct contents_row *row = arg;
	(void)err;
	if (visit->leaving || !S_ISREG(visit->inode->mode))
		return ROOTFS_WALK_ON;
	row->files = mem_grow(row->files, &row->capacity, row->count, sizeof(*row->files));
	row->files[row->count++] = visit->number;
	return ROOTFS_WALK_ON;
}

void contents_row_init(struct contents_row *row, struct lazy *lazy, uint32_t number)
{
	const struct rootfs_walk_options options = { note_file, row };
	*row = (struct contents_row){ .lazy = lazy };
	/* what it did not get to is fetched when it is read */
	IGNORE(rootfs_walk(lazy_rootfs(lazy), number, "", &options, NULL));
}

void contents_row_release(struct contents_row *row)
{
	free(row->files);
	*row = (struct contents_row){ 0 };
}

void contents_row_next(struct contents_row *row)
{
	size_t left = row->count - row->at;
	if (row->at % ROW_STEP == 0 && left > 1)
		contents_want(row->lazy, row->files + row->at,
			      left < 2 * ROW_STEP ? left : 2 * ROW_STEP);
	row->at += left > 0;
}
