/*
 * The map of a layer's spans: a file mapped shared, read and changed through atomics.
 *
 * A record is a small sequence lock whose sequence is its mark: a writer clears the mark, changes
 * the rest, sets the mark; a reader that sees one mark before and after saw one record.  The locks
 * are open-file-description locks on bytes of the map's file, far behind each other by kind; as
 * threads of one process share the description, what it holds is also kept in a set here.
 */
#include "cache/span-map.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/siphash.h"

#define LOCKS_APART (UINT64_C(1) << 40)

struct record {
	_Atomic uint64_t sum;
	_Atomic uint64_t mark; /* boot | generation << 32 */
	_Atomic uint64_t offset;
	_Atomic uint32_t size;
	_Atomic uint32_t check;
};

struct header {
	char magic[8];
	uint32_t format;
	uint32_t span_count;
	uint64_t layout;
	uint64_t stream_size;
	uint64_t check;
	uint8_t zeros[24];
};

_Static_assert(sizeof(struct record) == 32, "as drawn in span-map.h");
_Static_assert(sizeof(struct header) == 64, "as drawn in span-map.h");

struct span_map {
	int fd;	    /* owned; -1 in memory */
	void *base; /* owned mapping; NULL in memory */
	size_t base_size;
	struct record *records; /* in the mapping; owned when in memory */
	uint32_t capacity;	/* records allocated in memory */
	bool writable;
	bool settled;
	struct span_map_shape shape;
	uint32_t boot;
	_Atomic uint64_t *proven; /* owned; where marks cannot be renewed: those that held */
	pthread_mutex_t mutex;	  /* guards held, held_* */
	uint64_t *held;		  /* owned: lock bytes this object has */
	size_t held_count, held_capacity;
};

static const char magic[8] = "rootlet";

/* ---- making and opening */

static uint64_t header_check(const struct header *h)
{
	return siphash_keyed(h, offsetof(struct header, check), 1, SPAN_MAP_FORMAT, 1, 3);
}

static struct span_map *make(int fd, uint32_t boot)
{
	struct span_map *map = mem_make(struct span_map, .fd = fd, .boot = boot);
	(void)pthread_mutex_init(&map->mutex, NULL);
	return map;
}

struct span_map *span_map_new(uint32_t boot)
{
	struct span_map *map = make(-1, boot);
	map->writable = true;
	map->shape.stream_size = SPAN_MAP_STREAM_MAX_BYTES;
	return map;
}

static size_t file_size(uint32_t span_count)
{
	return sizeof(struct header) + span_count * sizeof(struct record);
}

static int map_file(struct span_map *map, size_t size, struct err *err)
{
	int access = PROT_READ | (map->writable ? PROT_WRITE : 0);
	void *base = mmap(NULL, size, access, MAP_SHARED, map->fd, 0);
	if (base == MAP_FAILED)
		return err_sys(err, "map the spans");
	map->base = base;
	map->base_size = size;
	map->records = (struct record *)((char *)base + sizeof(struct header));
	map->settled = true;
	return 0;
}

static int shape_check(const struct span_map_shape *shape, struct err *err)
{
	if (shape->span_count > SPAN_MAP_SPANS_MAX)
		return err_set(err, E2BIG, "%u spans", shape->span_count);
	if (shape->stream_size > SPAN_MAP_STREAM_MAX_BYTES)
		return err_set(err, E2BIG, "a stream of %llu bytes",
			       (unsigned long long)shape->stream_size);
	return 0;
}

/*
 * Where blocks are copied when written (btrfs), a store into the map of a full disk would be
 * deadly though its blocks are there; elsewhere this is refused and not needed.
 */
static void write_in_place(int fd)
{
	int flags = 0;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

int span_map_create(struct span_map **out, int dirfd, const struct span_map_shape *shape,
		    uint32_t boot, struct err *err)
{
	int r = shape_check(shape, err);
	if (r < 0)
		return r;
	int fd = openat(dirfd, "map", O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "create the map");
	AUTO(span_map) map = make(fd, boot);
	map->writable = true;
	map->shape = *shape;
	size_t size = file_size(shape->span_count);
	write_in_place(fd);
	r = posix_fallocate(fd, 0, (off_t)size);
	if (r != 0)
		return err_errno(err, r, "allocate the map");
	struct header h = { .format = SPAN_MAP_FORMAT,
			    .span_count = shape->span_count,
			    .layout = shape->layout,
			    .stream_size = shape->stream_size };
	memcpy(h.magic, magic, sizeof(magic));
	h.check = header_check(&h);
	if (pwrite(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return err_sys(err, "write the map");
	r = map_file(map, size, err);
	if (r < 0)
		return r;
	*out = TAKE(map);
	return 0;
}

static int read_header(struct span_map *map, size_t *size, struct err *err)
{
	struct header h;
	struct stat st;
	if (fstat(map->fd, &st) < 0)
		return err_sys(err, "look at the map");
	if (!S_ISREG(st.st_mode) || pread(map->fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return err_set(err, EBADMSG, "the map has no header");
	if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.format != SPAN_MAP_FORMAT ||
	    h.check != header_check(&h))
		return err_set(err, EBADMSG, "the map's header is broken");
	map->shape = (struct span_map_shape){ h.layout, h.stream_size, h.span_count };
	if (shape_check(&map->shape, NULL) < 0 || (uint64_t)st.st_size != file_size(h.span_count))
		return err_set(err, EBADMSG, "the map's size is wrong");
	*size = file_size(h.span_count);
	return 0;
}

int span_map_open(struct span_map **out, int fd, bool writable, uint32_t boot, struct err *err)
{
	AUTO(span_map) map = make(fd, boot);
	size_t size = 0;
	int r = read_header(map, &size, err);
	if (r < 0)
		return r;
	map->writable = writable && (fallocate(fd, 0, 0, (off_t)size) == 0 || errno == EOPNOTSUPP);
	r = map_file(map, size, err);
	if (r < 0)
		return r;
	if (!map->writable) {
		void *proven = NULL;
		r = mem_try(&proven, map->shape.span_count, sizeof(*map->proven), err);
		if (r < 0)
			return r;
		map->proven = proven;
	}
	*out = TAKE(map);
	return 0;
}

void span_map_free(struct span_map *map)
{
	if (!map)
		return;
	if (map->base)
		(void)munmap(map->base, map->base_size);
	else
		free(map->records);
	mem_close_fd(&map->fd);
	(void)pthread_mutex_destroy(&map->mutex);
	free(map->proven);
	free(map->held);
	free(map);
}

struct span_map_shape span_map_shape(const struct span_map *map)
{
	return map->shape;
}

bool span_map_writable(const struct span_map *map)
{
	return map->writable;
}

int span_map_grow(struct span_map *map, uint32_t count, struct err *err)
{
	if (count <= map->shape.span_count)
		return 0;
	if (map->settled)
		return err_set(err, EINVAL, "span %u of %u", count - 1, map->shape.span_count);
	if (count > SPAN_MAP_SPANS_MAX)
		return err_set(err, E2BIG, "%u spans", count);
	if (count > map->capacity) {
		uint32_t wanted = count < 32 ? 64 : count * 2;
		void *grown = NULL;
		int r = mem_try(&grown, wanted, sizeof(struct record), err);
		if (r < 0)
			return r;
		if (map->records)
			memcpy(grown, map->records, map->shape.span_count * sizeof(struct record));
		free(map->records);
		map->records = grown;
		map->capacity = wanted;
	}
	map->shape.span_count = count;
	return 0;
}

int span_map_settle(struct span_map *map, const struct span_map_shape *shape, struct err *err)
{
	int r = shape_check(shape, err);
	if (r == 0)
		r = span_map_grow(map, shape->span_count, err);
	if (r < 0)
		return r;
	map->shape = *shape;
	map->settled = true;
	return 0;
}

/* ---- records */

static uint64_t mark_of(uint32_t boot, uint32_t generation)
{
	return boot | (uint64_t)generation << 32;
}

static uint32_t mark_boot(uint64_t mark)
{
	return (uint32_t)mark;
}

/* The same generation's successor, of nobody. */
static uint64_t mark_gone(uint64_t mark)
{
	return mark_of(0, (uint32_t)(mark >> 32) + 1);
}

static uint32_t record_check(uint32_t span, const struct span_entry *e)
{
	uint64_t words[] = { span, e->sum, e->offset, e->size };
	return (uint32_t)siphash_keyed(words, sizeof(words), 2, SPAN_MAP_FORMAT, 1, 3);
}

/* One record as it was at one time, if it can be had; then it is still to be checked. */
static bool snapshot(const struct record *record, struct span_entry *out, uint32_t *check)
{
	for (int tries = 0; tries < 4; tries++) {
		out->mark = atomic_load_explicit(&record->mark, memory_order_acquire);
		out->sum = atomic_load_explicit(&record->sum, memory_order_relaxed);
		out->offset = atomic_load_explicit(&record->offset, memory_order_relaxed);
		out->size = atomic_load_explicit(&record->size, memory_order_relaxed);
		*check = atomic_load_explicit(&record->check, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&record->mark, memory_order_relaxed) == out->mark)
			return true;
	}
	return false;
}

bool span_map_load(const struct span_map *map, uint32_t span, struct span_entry *out)
{
	struct span_entry e;
	uint32_t check;
	uint64_t end;
	if (span >= map->shape.span_count || !snapshot(&map->records[span], &e, &check))
		return false;
	if (mark_boot(e.mark) == 0 || check != record_check(span, &e) ||
	    !add_ok(e.offset, e.size, &end) || end > map->shape.stream_size)
		return false;
	*out = e;
	return true;
}

uint32_t span_map_present(const struct span_map *map)
{
	struct span_entry e;
	uint32_t present = 0;
	for (uint32_t i = 0; i < map->shape.span_count; i++)
		present += span_map_load(map, i, &e);
	return present;
}

bool span_map_same(const struct span_map *map, uint32_t span, const struct span_entry *entry)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&map->records[span].mark, memory_order_relaxed) == entry->mark;
}

bool span_map_trusted(const struct span_map *map, uint32_t span, const struct span_entry *entry)
{
	return mark_boot(entry->mark) == map->boot ||
	       (map->proven && atomic_load(&map->proven[span]) == entry->mark);
}

static bool replace_mark(struct span_map *map, uint32_t span, uint64_t from, uint64_t to)
{
	return map->writable && atomic_compare_exchange_strong(&map->records[span].mark, &from, to);
}

bool span_map_trust(struct span_map *map, uint32_t span, const struct span_entry *entry)
{
	if (!map->proven)
		return replace_mark(map, span, entry->mark,
				    mark_of(map->boot, (uint32_t)(entry->mark >> 32)));
	atomic_store(&map->proven[span], entry->mark);
	return span_map_same(map, span, entry);
}

bool span_map_clear(struct span_map *map, uint32_t span, const struct span_entry *entry)
{
	return mark_boot(entry->mark) != 0 &&
	       replace_mark(map, span, entry->mark, mark_gone(entry->mark));
}

void span_map_describe(struct span_map *map, uint32_t span, const struct span_entry *entry)
{
	struct record *record = &map->records[span];
	uint64_t mark = atomic_load(&record->mark);
	while (mark_boot(mark) != 0 &&
	       !atomic_compare_exchange_weak(&record->mark, &mark, mark_gone(mark)))
		;
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&record->sum, entry->sum, memory_order_relaxed);
	atomic_store_explicit(&record->offset, entry->offset, memory_order_relaxed);
	atomic_store_explicit(&record->size, entry->size, memory_order_relaxed);
	atomic_store_explicit(&record->check, record_check(span, entry), memory_order_relaxed);
}

void span_map_mark(struct span_map *map, uint32_t span)
{
	struct record *record = &map->records[span];
	uint64_t mark = atomic_load(&record->mark);
	atomic_store(&record->mark, mark_of(map->boot, (uint32_t)(mark >> 32) + 1));
}

void span_map_copy(struct span_map *to, const struct span_map *from)
{
	struct span_entry e;
	for (uint32_t i = 0; i < to->shape.span_count; i++) {
		uint64_t end;
		if (!span_map_load(from, i, &e) || !add_ok(e.offset, e.size, &end) ||
		    end > to->shape.stream_size)
			continue;
		span_map_describe(to, i, &e);
		span_map_mark(to, i);
	}
}

/* ---- locks */

static size_t held_find(const struct span_map *map, uint64_t byte)
{
	size_t i = 0;
	while (i < map->held_count && map->held[i] != byte)
		i++;
	return i;
}

static bool held_add(struct span_map *map, uint64_t byte)
{
	LOCKED(&map->mutex);
	if (held_find(map, byte) < map->held_count)
		return false;
	map->held = mem_grow(map->held, &map->held_capacity, map->held_count, sizeof(*map->held));
	map->held[map->held_count++] = byte;
	return true;
}

static bool held_remove(struct span_map *map, uint64_t byte)
{
	LOCKED(&map->mutex);
	size_t i = held_find(map, byte);
	if (i == map->held_count)
		return false;
	map->held[i] = map->held[--map->held_count];
	return true;
}

static int lock_bytes(const struct span_map *map, short type, uint64_t byte, uint32_t count)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = count
	};
	int r;
	do
		r = fcntl(map->fd, F_OFD_SETLK, &lock);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int span_map_lock(struct span_map *map, enum span_lock lock, uint32_t span)
{
	uint64_t byte = (uint64_t)lock * LOCKS_APART + span;
	if (!held_add(map, byte))
		return 0;
	/* in memory nobody else sees it; a map that is only read cannot be locked to write */
	int r = map->fd < 0 || !map->writable ? 0 : lock_bytes(map, F_WRLCK, byte, 1);
	if (r == 0)
		return 1;
	(void)held_remove(map, byte);
	return r == -EAGAIN || r == -EACCES ? 0 : r;
}

void span_map_unlock(struct span_map *map, enum span_lock lock, uint32_t span)
{
	uint64_t byte = (uint64_t)lock * LOCKS_APART + span;
	/* first there, then here: another thread of ours must not get it in between and lose it */
	if (map->fd >= 0 && map->writable)
		(void)lock_bytes(map, F_UNLCK, byte, 1);
	(void)held_remove(map, byte);
}

bool span_map_lock_row(struct span_map *map, enum span_lock lock, uint32_t first, uint32_t count)
{
	return map->fd >= 0 && map->writable && count > 0 &&
	       lock_bytes(map, F_WRLCK, (uint64_t)lock * LOCKS_APART + first, count) == 0;
}

void span_map_unlock_row(struct span_map *map, enum span_lock lock, uint32_t first, uint32_t count)
{
	(void)lock_bytes(map, F_UNLCK, (uint64_t)lock * LOCKS_APART + first, count);
}
