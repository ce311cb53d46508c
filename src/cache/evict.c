/*
 * Keeping the quota: small files and layers nobody uses go first, by last use; when that is not
 * enough, spans of the layers in use, spread evenly over all of them.
 *
 * One evicts at a time; who finds the lock taken leaves it to the other.  The mark goes before the
 * bytes, both under the span's write lock, so that no reader sees the hole and no writer's bytes
 * are punched.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "cache/layer-dir.h"

#define PASSES 3
#define DISK_BLOCK_BYTES UINT64_C(4096)
#define PIECE_MAX_BYTES (UINT64_C(1) << 20)

/* The descriptor whose closing gives the lock up; -EAGAIN another evicts. */
static int lock_evictor(const struct cache *cache, struct err *err)
{
	auto_close int fd = openat(cache->dir, "lock",
				   O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, "lock the cache");
	return TAKE_FD(fd);
}

/* ---- whole things */

static bool remove_entry(struct cache *cache, const struct inventory_entry *e)
{
	if (e->kind == CACHE_KINDS)
		return layer_dir_remove(cache, e->name.text, UINT32_MAX);
	if (unlinkat(cache->kinds[e->kind], e->name.text, 0) == 0)
		return true;
	return errno == EISDIR &&
	       cache_discard(cache, cache->kinds[e->kind], e->name.text, NULL) == 0;
}

/* Until no more than TO bytes are left: what remains in *INVENTORY is in use. */
static void remove_unused(struct cache *cache, struct inventory *inventory, uint64_t to)
{
	size_t kept = 0;
	for (size_t i = 0; i < inventory->count; i++) {
		struct inventory_entry e = inventory->entries[i];
		if (inventory->disk_bytes > to && remove_entry(cache, &e))
			inventory->disk_bytes -= e.disk_bytes;
		else
			inventory->entries[kept++] = e;
	}
	inventory->count = kept;
}

/* ---- spans */

/*
 * What goes, spread over all there is: a share of it, in neighbouring pieces, as blocks are freed
 * whole and what is fetched again is fetched in fewer requests.
 */
struct spread {
	double share;
	double due;	/* pieces that should have gone by now */
	uint64_t piece; /* how much is decided at once */
	uint64_t left;	/* of the piece being decided */
	bool goes;	/* it does */
};

static bool spread_hits(struct spread *s, uint64_t size)
{
	if (s->left == 0) {
		s->left = s->piece;
		s->due += s->share;
		s->goes = s->due >= 1;
		s->due -= s->goes ? 1 : 0;
	}
	s->left -= size < s->left ? size : s->left;
	return s->goes;
}

/*
 * Spans in a row that go or are not there, between two that stay; FROM is the end of the one
 * before, so that the blocks which they share among themselves, and those of the gaps, get free.
 */
struct run {
	uint32_t first;
	uint64_t from;
	bool goes;     /* there is something to clear in it */
	uint64_t data; /* where the stream's data from here on begin */
};

static void evict_one(struct layer_dir *layer, uint32_t span)
{
	struct span_entry e;
	if (span_map_load(layer->map, span, &e) &&
	    span_map_lock(layer->map, SPAN_LOCK_WRITE, span) == 1) {
		if (span_map_clear(layer->map, span, &e))
			layer_dir_punch(layer, e.offset, e.size);
		span_map_unlock(layer->map, SPAN_LOCK_WRITE, span);
	}
}

/* All spans from FIRST to before END, whose bytes lie in [FROM, TO). */
static void evict_run(struct layer_dir *layer, const struct run *run, uint32_t end, uint64_t to)
{
	struct span_entry e;
	bool alone = span_map_lock_row(layer->map, SPAN_LOCK_WRITE, run->first, end - run->first);
	for (uint32_t i = run->first; i < end; i++) {
		if (!alone)
			evict_one(layer, i); /* somebody is writing one of them */
		else if (span_map_load(layer->map, i, &e))
			(void)span_map_clear(layer->map, i, &e);
	}
	if (!alone)
		return;
	layer_dir_punch(layer, run->from, to - run->from);
	span_map_unlock_row(layer->map, SPAN_LOCK_WRITE, run->first, end - run->first);
}

/* Whole blocks have data though no span is there: a writer or an evictor was killed. */
static bool left_over(const struct layer_dir *layer, struct run *run, uint64_t to)
{
	uint64_t from = (run->from + DISK_BLOCK_BYTES - 1) & ~(DISK_BLOCK_BYTES - 1);
	to &= ~(DISK_BLOCK_BYTES - 1);
	if (from >= to || run->data >= to)
		return false;
	off_t data = lseek(layer->stream, (off_t)from, SEEK_DATA);
	run->data = data < 0 ? UINT64_MAX : (uint64_t)data;
	return run->data < to;
}

static void end_run(struct layer_dir *layer, struct run *run, uint32_t end, uint64_t to)
{
	if (end > run->first && to > run->from && (run->goes || left_over(layer, run, to)))
		evict_run(layer, run, end, to);
}

static uint64_t blocks_of(const struct layer_dir *layer)
{
	struct stat st;
	return fstat(layer->stream, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

/* Spans are sorted by their place in the stream. */
static void evict_layer(struct layer_dir *layer, const struct span_map_shape *shape,
			struct spread *spread)
{
	struct run run = { 0 };
	for (uint32_t i = 0; i < shape->span_count; i++) {
		struct span_entry e;
		if (!span_map_load(layer->map, i, &e))
			continue;
		if (spread_hits(spread, e.size)) {
			run.goes = true;
			continue;
		}
		end_run(layer, &run, i, e.offset);
		run = (struct run){ .first = i + 1, .from = e.offset + e.size, .data = run.data };
	}
	/* the last block may reach beyond the end */
	end_run(layer, &run, shape->span_count, shape->stream_size + DISK_BLOCK_BYTES);
}

/* Bytes that became free. */
static uint64_t evict_spans(struct cache *cache, const char *name, struct spread *spread)
{
	struct layer_dir layer;
	if (layer_dir_open(&layer, cache, name, NULL, NULL) < 0)
		return 0;
	uint64_t before = blocks_of(&layer);
	struct span_map_shape shape = span_map_shape(layer.map);
	uint64_t part = shape.stream_size / 16;
	spread->piece = 1 + (part < PIECE_MAX_BYTES ? part : PIECE_MAX_BYTES);
	spread->left = 0;
	if (layer.writable)
		evict_layer(&layer, &shape, spread);
	uint64_t after = blocks_of(&layer);
	layer_dir_release(&layer);
	return before > after ? before - after : 0;
}

static uint64_t layers_bytes(const struct inventory *inventory)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < inventory->count; i++)
		sum += inventory->entries[i].kind == CACHE_KINDS ? inventory->entries[i].disk_bytes
								 : 0;
	return sum;
}

static void evict_used(struct cache *cache, struct inventory *inventory, uint64_t to)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	for (int pass = 0; pass < PASSES && inventory->disk_bytes > to; pass++) {
		uint64_t all = layers_bytes(inventory), much = inventory->disk_bytes - to;
		/* a start that differs, so that it is not always the same spans */
		struct spread spread = { .share = much < all ? (double)much / (double)all : 1.0,
					 .due = (double)(now.tv_nsec % 65536) / 65536 };
		for (size_t i = 0; i < inventory->count && all > 0; i++) {
			struct inventory_entry *e = &inventory->entries[i];
			if (e->kind != CACHE_KINDS)
				continue;
			uint64_t freed = evict_spans(cache, e->name.text, &spread);
			freed = freed < e->disk_bytes ? freed : e->disk_bytes;
			e->disk_bytes -= freed;
			inventory->disk_bytes -= freed;
		}
	}
}

/* ---- when */

enum evict_flags {
	EVICT_WHOLE_ONLY = 1u << 0,
};

/* More than FROM bytes become at most TO, if that can be; the lock is held. */
static int evict(struct cache *cache, uint64_t from, uint64_t to, unsigned flags, uint64_t *freed,
		 struct err *err)
{
	auto_inventory inventory = { 0 };
	int r = inventory_take(&inventory, cache, err);
	if (r < 0)
		return r;
	uint64_t before = inventory.disk_bytes;
	if (before > from) {
		remove_unused(cache, &inventory, to);
		if (!(flags & EVICT_WHOLE_ONLY))
			evict_used(cache, &inventory, to);
	}
	*freed = before - inventory.disk_bytes;
	return 0;
}

int cache_evict(struct cache *cache, uint64_t to_bytes, uint64_t *freed, struct err *err)
{
	uint64_t bytes = 0;
	auto_close int lock = cache->dir < 0 ? -1 : lock_evictor(cache, err);
	if (lock < 0 && lock != -EAGAIN && cache->dir >= 0)
		return lock;
	int r = lock < 0 ? 0 : evict(cache, to_bytes, to_bytes, 0, &bytes, err);
	if (r == 0 && freed)
		*freed = bytes;
	return r;
}

void cache_wrote(struct cache *cache, uint64_t size)
{
	uint64_t freed = 0;
	if (atomic_fetch_add(&cache->written, size) + size < cache->check_bytes)
		return;
	auto_close int lock = lock_evictor(cache, NULL);
	if (lock < 0)
		return;
	atomic_store(&cache->written, 0);
	IGNORE(evict(cache, cache->quota_bytes, cache->quota_bytes / 10 * 9, 0, &freed, NULL));
}

/* ---- clearing */

/* "v0" when we are "v1"; what newer ones made is not ours to judge. */
static int clear_older(void *arg, const char *name, struct err *err)
{
	const struct cache *cache = arg;
	unsigned long long number = 0, ours = 0;
	if (name[0] != 'v' || !str_parse_u64(name + 1, &number) ||
	    !str_parse_u64(&CACHE_FORMAT[1], &ours) || number >= ours)
		return 0;
	return io_remove_tree(cache->root, name, err);
}

int cache_clear(struct cache *cache, uint64_t *freed, struct err *err)
{
	uint64_t bytes = 0;
	auto_close int lock = cache->dir < 0 ? -1 : lock_evictor(cache, err);
	if (lock < 0 && cache->dir >= 0)
		return lock;
	int r = cache_dir_each(cache->root, clear_older, cache, err);
	if (r == 0 && lock >= 0)
		r = evict(cache, 0, 0, EVICT_WHOLE_ONLY, &bytes, err);
	if (r == 0 && freed)
		*freed = bytes;
	return r;
}
