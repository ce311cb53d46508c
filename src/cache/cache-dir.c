/*
 * The directories: made on demand, checked to be ours alone, swept of what dead processes left.
 *
 * All is done below descriptors and follows no link.  What is being made lies in tmp/ under a
 * random name, locked (flock) by who makes it; the lock goes with the process, then anybody may
 * remove it.
 */
#include "cache/cache-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/str.h"

#define NAME_TRIES 16
#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static const char *const kind_names[CACHE_KINDS] = {
	[CACHE_TABLE] = "tables",	[CACHE_ROOTFS] = "trees", [CACHE_RECORD] = "records",
	[CACHE_DOCUMENT] = "documents", [CACHE_NAME] = "names",
};

const char *cache_kind_name(enum cache_kind kind)
{
	return kind < CACHE_KINDS ? kind_names[kind] : "layers";
}

/* ---- opening */

/* Why PATH cannot be opened as a directory, in words. */
static int refuse(int dirfd, const char *path, int code, struct err *err)
{
	struct stat st;
	if (code != ENOTDIR && code != ELOOP)
		return err_errno(err, code, "open cache '%s'", esc(path));
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return err_set(err, EACCES, "cache '%s' is a symbolic link", esc(path));
	return err_set(err, EINVAL, "cache '%s' is not a directory", esc(path));
}

static int check_ours(int fd, const char *path, mode_t forbidden, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "look at cache '%s'", esc(path));
	if (st.st_uid != geteuid())
		return err_set(err, EACCES, "cache '%s' belongs to user %u, not to us (%u)",
			       esc(path), st.st_uid, geteuid());
	if (st.st_mode & forbidden)
		return err_set(err, EACCES, "cache '%s' is open to others (mode %04o): chmod go-%s",
			       esc(path), st.st_mode & 07777u, forbidden & 055 ? "rwx" : "w");
	return 0;
}

/* -ENOENT it is not there and was not made, as that did not work: then writing is off. */
static int open_or_make(struct cache *cache, int dirfd, const char *path, struct err *err)
{
	int fd = openat(dirfd, path, OPEN_DIRECTORY);
	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : refuse(dirfd, path, errno, err);
	if (mkdirat(dirfd, path, 0700) < 0 && errno != EEXIST) {
		if (errno != ENOENT)
			(void)cache_fail(cache, -errno);
		return err_set(err, ENOENT, "no cache '%s'", esc(path));
	}
	fd = openat(dirfd, path, OPEN_DIRECTORY);
	return fd >= 0 ? fd : refuse(dirfd, path, errno, err);
}

/* The directories above PATH that are missing; why the first of them could not be made. */
static void make_parents(struct cache *cache, const char *path)
{
	auto_free char *part = mem_strdup(path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			(void)cache_fail(cache, -errno);
		*slash = '/';
	}
}

static int open_root(struct cache *cache, struct err *err)
{
	int fd = open(cache->path, OPEN_DIRECTORY);
	if (fd < 0 && errno == ENOENT)
		make_parents(cache, cache->path);
	if (fd < 0)
		fd = open_or_make(cache, AT_FDCWD, cache->path, err);
	if (fd < 0)
		return fd;
	cache->root = fd;
	return check_ours(fd, cache->path, 022, err);
}

static int open_below(int *out, struct cache *cache, int dirfd, const char *name, struct err *err)
{
	int fd = open_or_make(cache, dirfd, name, err);
	if (fd < 0)
		return fd;
	*out = fd;
	return check_ours(fd, name, 077, err);
}

static int open_all(struct cache *cache, struct err *err)
{
	int r = open_root(cache, err);
	if (r == 0)
		r = open_below(&cache->dir, cache, cache->root, CACHE_FORMAT, err);
	if (r == 0 && faccessat(cache->dir, ".", W_OK, AT_EACCESS) < 0)
		(void)cache_fail(cache, -errno);
	if (r == 0)
		r = open_below(&cache->layers, cache, cache->dir, "layers", err);
	if (r == 0)
		r = open_below(&cache->tmp, cache, cache->dir, "tmp", err);
	for (size_t i = 0; r == 0 && i < CACHE_KINDS; i++)
		r = open_below(&cache->kinds[i], cache, cache->dir, kind_names[i], err);
	return r;
}

/* What nobody holds is of a dead process.  One that has just been made and is not locked yet can be
 * hit, too: its maker notices. */
static int sweep_one(void *arg, const char *name, struct err *err)
{
	struct cache *cache = arg;
	(void)err;
	auto_close int fd = openat(cache->tmp, name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	IGNORE(io_remove_tree(cache->tmp, name, NULL));
	return 0;
}

int cache_dirs_open(struct cache *cache, struct err *err)
{
	struct err why = { 0 };
	int r = open_all(cache, &why);
	if (r == -ENOENT && cache_writable(cache))
		(void)cache_fail(cache, -EACCES);
	if (r < 0 && r != -ENOENT) {
		if (err)
			*err = why;
		return r;
	}
	if (cache_writable(cache))
		IGNORE(cache_dir_each(cache->tmp, sweep_one, cache, NULL));
	return 0;
}

void cache_dirs_close(struct cache *cache)
{
	for (size_t i = 0; i < CACHE_KINDS; i++)
		mem_close_fd(&cache->kinds[i]);
	mem_close_fd(&cache->tmp);
	mem_close_fd(&cache->layers);
	mem_close_fd(&cache->dir);
	mem_close_fd(&cache->root);
}

int cache_dir_each(int dirfd, int (*each)(void *arg, const char *name, struct err *err), void *arg,
		   struct err *err)
{
	if (dirfd < 0)
		return 0;
	int fd = openat(dirfd, ".", OPEN_DIRECTORY);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		int r = err_sys(err, "list the cache");
		mem_close_fd(&fd);
		return r;
	}
	int r = 0;
	for (struct dirent *e = readdir(dir); e && r == 0; e = readdir(dir)) {
		if (e->d_name[0] != '.')
			r = each(arg, e->d_name, err);
	}
	(void)closedir(dir);
	return r;
}

/* ---- what is being made */

static void make_name(char out[32])
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)getpid();
	(void)snprintf(out, 32, "%016llx", (unsigned long long)random);
}

static int create(const struct cache *cache, const char *name, bool directory)
{
	if (!directory)
		return openat(cache->tmp, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
			      0600);
	if (mkdirat(cache->tmp, name, 0700) < 0)
		return -1;
	return openat(cache->tmp, name, OPEN_DIRECTORY);
}

static bool swept(int fd)
{
	struct stat st;
	return flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0;
}

int cache_tmp_make(struct cache_tmp *out, struct cache *cache, bool directory, struct err *err)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		struct cache_tmp tmp = { .fd = -1 };
		make_name(tmp.name);
		tmp.fd = create(cache, tmp.name, directory);
		if (tmp.fd < 0 && errno != EEXIST && errno != ENOENT)
			return err_sys(err, "create '%s' in the cache", tmp.name);
		if (tmp.fd >= 0 && !swept(tmp.fd)) {
			*out = tmp;
			return 0;
		}
		mem_close_fd(&tmp.fd);
	}
	return err_set(err, EAGAIN, "no file can be made in the cache");
}

void cache_tmp_release(struct cache_tmp *tmp, struct cache *cache)
{
	if (tmp->name[0] != '\0')
		IGNORE(io_remove_tree(cache->tmp, tmp->name, NULL));
	tmp->name[0] = '\0';
	mem_close_fd(&tmp->fd);
	tmp->fd = -1;
}

int cache_discard(struct cache *cache, int parent, const char *name, struct err *err)
{
	char aside[32];
	make_name(aside);
	if (renameat(parent, name, cache->tmp, aside) < 0) {
		if (errno == ENOENT)
			return 0;
		return cache_fail(cache, err_sys(err, "remove '%s' from the cache", esc(name)));
	}
	return io_remove_tree(cache->tmp, aside, err);
}
