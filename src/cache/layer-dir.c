/*
 * One layer's directory: made in tmp/, renamed to its name when complete, moved back to tmp/ when
 * it goes.
 *
 * Whoever uses it holds a shared lock on "use"; whoever removes it needs that lock alone.  One who
 * opens can come too late: locked, it looks whether the name still leads to this directory.
 */
#include "cache/layer-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define OPEN_TRIES 16
#define LOCK_TRIES 200 /* of 10 ms */
#define PIECE_BYTES (256u * 1024)

void layer_dir_init(struct layer_dir *dir, const struct cache *cache)
{
	*dir = (struct layer_dir){
		.dir = -1, .use = -1, .stream = -1, .map = span_map_new(cache->boot)
	};
}

void layer_dir_release(struct layer_dir *dir)
{
	span_map_free(dir->map);
	mem_close_fd(&dir->stream);
	mem_close_fd(&dir->use);
	mem_close_fd(&dir->dir);
	*dir = (struct layer_dir){ .dir = -1, .use = -1, .stream = -1 };
}

void layer_dir_touch(const struct layer_dir *dir)
{
	if (dir->writable && dir->use >= 0)
		(void)futimens(dir->use, NULL);
}

/* ---- opening */

/* NAME of layers/ is still this directory. */
static bool still_there(const struct cache *cache, const char *name, int dirfd)
{
	struct stat here, there;
	return fstat(dirfd, &here) == 0 &&
	       fstatat(cache->layers, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* There is no waiting for flock with a deadline; it is only held alone for moments. */
static int lock_shared(int fd, struct err *err)
{
	static const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_SH | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, "lock a cached layer");
		(void)nanosleep(&pause, NULL);
	}
	return err_set(err, EAGAIN, "a cached layer is locked by another process");
}

/* Read only where it cannot be written; then *writable becomes false. */
static int open_file(int dirfd, const char *name, bool *writable, struct err *err)
{
	int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = *writable ? openat(dirfd, name, O_RDWR | flags) : -1;
	if (fd < 0 && (!*writable || errno == EROFS || errno == EACCES || errno == EPERM)) {
		*writable = false;
		fd = openat(dirfd, name, O_RDONLY | flags);
	}
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ELOOP || errno == EISDIR)
		return err_set(err, EBADMSG, "a cached layer has no file '%s'", name);
	return err_sys(err, "open '%s' of a cached layer", name);
}

static bool shape_equal(const struct span_map_shape *a, const struct span_map_shape *b)
{
	return a->layout == b->layout && a->stream_size == b->stream_size &&
	       a->span_count == b->span_count;
}

static int open_contents(struct layer_dir *d, const struct cache *cache,
			 const struct span_map_shape *shape, struct err *err)
{
	d->stream = open_file(d->dir, "stream", &d->writable, err);
	if (d->stream < 0)
		return d->stream;
	int fd = open_file(d->dir, "map", &d->writable, err);
	if (fd < 0)
		return fd;
	struct span_map *map = NULL;
	int r = span_map_open(&map, fd, d->writable, cache->boot, err);
	if (r < 0)
		return r;
	span_map_free(d->map);
	d->map = map;
	d->writable = span_map_writable(map);
	struct span_map_shape has = span_map_shape(map);
	struct stat st;
	if (shape && !shape_equal(shape, &has))
		return err_set(err, EBADMSG, "a cached layer has another shape");
	if (fstat(d->stream, &st) < 0)
		return err_sys(err, "look at a cached layer");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != has.stream_size)
		return err_set(err, EBADMSG, "a cached layer's stream has another size");
	return 0;
}

/* -ESTALE: it went away while we opened it. */
static int open_once(struct layer_dir *d, struct cache *cache, const char *name,
		     const struct span_map_shape *shape, struct err *err)
{
	d->dir = openat(cache->layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->dir < 0) {
		if (errno == ENOTDIR || errno == ELOOP)
			return err_set(err, EBADMSG, "a cached layer is no directory");
		return err_sys(err, "open a cached layer");
	}
	d->writable = true;
	int r = d->use = open_file(d->dir, "use", &d->writable, err);
	if (r >= 0)
		r = lock_shared(d->use, err);
	if (r == 0)
		r = open_contents(d, cache, shape, err);
	return still_there(cache, name, d->dir) ? r : -ESTALE;
}

int layer_dir_open(struct layer_dir *out, struct cache *cache, const char *name,
		   const struct span_map_shape *shape, struct err *err)
{
	for (int i = 0; i < OPEN_TRIES && cache->layers >= 0; i++) {
		struct layer_dir d;
		layer_dir_init(&d, cache);
		int r = open_once(&d, cache, name, shape, err);
		if (r == 0) {
			*out = d;
			return 0;
		}
		layer_dir_release(&d);
		if (r == -EBADMSG && cache_writable(cache))
			IGNORE(cache_discard(cache, cache->layers, name, NULL));
		if (r != -ESTALE)
			return r;
	}
	return err_set(err, ENOENT, "no cached layer");
}

/* ---- making */

static int create_file(int dirfd, const char *name, struct err *err)
{
	int fd = openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(err, "create '%s' of a cached layer", name) : fd;
}

static int begin(struct layer_dir *d, struct err *err)
{
	int r = d->use = create_file(d->dir, "use", err);
	if (r >= 0)
		r = lock_shared(d->use, err);
	if (r >= 0)
		r = d->stream = create_file(d->dir, "stream", err);
	return r < 0 ? r : 0;
}

int layer_dir_begin(struct layer_dir *out, struct cache_tmp *tmp, struct cache *cache,
		    struct err *err)
{
	struct cache_tmp made = { .fd = -1 };
	int r = cache_tmp_make(&made, cache, true, err);
	if (r < 0)
		return r;
	struct layer_dir d;
	layer_dir_init(&d, cache);
	d.writable = true;
	d.dir = fcntl(made.fd, F_DUPFD_CLOEXEC, 0);
	r = d.dir < 0 ? err_sys(err, "open a cached layer") : begin(&d, err);
	if (r < 0) {
		layer_dir_release(&d);
		cache_tmp_release(&made, cache);
		return r;
	}
	*out = d;
	*tmp = made;
	return 0;
}

static int finish(struct span_map **map, struct layer_dir *d, const struct cache_tmp *tmp,
		  struct cache *cache, const char *name, const struct span_map_shape *shape,
		  struct err *err)
{
	if (ftruncate(d->stream, (off_t)shape->stream_size) < 0)
		return err_sys(err, "size a cached layer");
	int r = span_map_create(map, d->dir, shape, cache->boot, err);
	if (r < 0)
		return r;
	span_map_copy(*map, d->map);
	/* a directory that is there is not empty, so this replaces nothing */
	if (renameat(cache->tmp, tmp->name, cache->layers, name) == 0)
		return 0;
	if (errno == ENOTEMPTY)
		errno = EEXIST;
	return err_sys(err, "name a cached layer");
}

int layer_dir_finish(struct layer_dir *dir, struct cache_tmp *tmp, struct cache *cache,
		     const char *name, const struct span_map_shape *shape, struct err *err)
{
	AUTO(span_map) map = NULL;
	int r = finish(&map, dir, tmp, cache, name, shape, err);
	if (r < 0) {
		(void)unlinkat(dir->dir, "map", 0);
		return r;
	}
	tmp->name[0] = '\0';
	span_map_free(dir->map);
	dir->map = TAKE(map);
	return 0;
}

/* ---- removing */

/* The lock of "use" alone; negative when somebody uses it or there is no such layer. */
static int lock_alone(struct cache *cache, const char *name, int *dirfd)
{
	auto_close int dir = openat(cache->layers, name,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int use = dir < 0 ? -1
				     : openat(dir, "use",
					      O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	/* without "use" nobody can have opened it */
	if (dir < 0 || (use < 0 && errno != ENOENT))
		return -1;
	if (use < 0)
		use = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (use < 0 || flock(use, LOCK_EX | LOCK_NB) < 0 || !still_there(cache, name, dir))
		return -1;
	*dirfd = TAKE_FD(dir);
	return TAKE_FD(use);
}

static uint32_t count_spans(int dirfd, uint32_t boot)
{
	AUTO(span_map) map = NULL;
	int fd = openat(dirfd, "map", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && span_map_open(&map, fd, false, boot, NULL) == 0 ? span_map_present(map)
									  : 0;
}

bool layer_dir_remove(struct cache *cache, const char *name, uint32_t fewer)
{
	auto_close int dir = -1;
	auto_close int use = lock_alone(cache, name, &dir);
	if (use < 0 || (fewer != UINT32_MAX && count_spans(dir, cache->boot) >= fewer))
		return false;
	return cache_discard(cache, cache->layers, name, NULL) == 0;
}

bool layer_dir_used(struct cache *cache, const char *name)
{
	auto_close int dir = -1;
	auto_close int use = lock_alone(cache, name, &dir);
	return use < 0;
}

/* ---- bytes */

bool layer_dir_pread(const struct layer_dir *dir, void *buf, size_t size, uint64_t offset)
{
	char *at = buf;
	while (size > 0) {
		ssize_t n = pread(dir->stream, at, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return true;
}

void layer_dir_punch(const struct layer_dir *dir, uint64_t offset, uint64_t size)
{
	if (size > 0 && dir->writable)
		(void)fallocate(dir->stream, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)offset, (off_t)size);
}

static bool sum_is_right(const struct layer_dir *dir, const struct span_entry *entry)
{
	XXH3_state_t *state = XXH3_createState();
	auto_free void *piece = mem_new(PIECE_BYTES);
	bool good = state && XXH3_64bits_reset(state) == XXH_OK;
	for (uint64_t at = 0; at < entry->size && good; at += PIECE_BYTES) {
		uint64_t left = entry->size - at;
		size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
		good = layer_dir_pread(dir, piece, n, entry->offset + at) &&
		       XXH3_64bits_update(state, piece, n) == XXH_OK;
	}
	good = good && XXH3_64bits_digest(state) == entry->sum;
	(void)XXH3_freeState(state);
	return good;
}

int layer_dir_check(struct layer_dir *dir, uint32_t span, const struct span_entry *entry)
{
	bool right = sum_is_right(dir, entry);
	if (!span_map_same(dir->map, span, entry))
		return -EAGAIN;
	if (right)
		return span_map_trust(dir->map, span, entry) ? 1 : -EAGAIN;
	layer_dir_drop(dir, span, entry);
	return 0;
}

void layer_dir_drop(struct layer_dir *dir, uint32_t span, const struct span_entry *entry)
{
	int locked = span_map_lock(dir->map, SPAN_LOCK_WRITE, span);
	if (span_map_clear(dir->map, span, entry) && locked == 1)
		layer_dir_punch(dir, entry->offset, entry->size);
	if (locked == 1)
		span_map_unlock(dir->map, SPAN_LOCK_WRITE, span);
}
