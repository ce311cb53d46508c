/*
 * Whole reads, whole writes, and opening below a directory.
 *
 * Nothing here keeps state: beneath_open asks for openat2 every time and walks by hand where the
 * kernel or a seccomp filter refuses it.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"

#define READ_FIRST_BYTES (16 * 1024)
#define NAME_TRIES 16

/* --- opening below a directory --- */

/* Absolute, or with a ".." anywhere: the kernel would allow "a/..", the walk could not. */
static bool leaves(const char *path)
{
	if (path[0] == '/')
		return true;
	for (const char *p = path; *p; p += strspn(p, "/")) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return true;
		p += n;
	}
	return false;
}

static bool creates(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static int open_in_kernel(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)flags,
		.mode = creates(flags) ? mode & 07777 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

static bool is_link(int dirfd, const char *name)
{
	struct stat st;
	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0 &&
	       S_ISLNK(st.st_mode);
}

/* One component; a symbolic link is ELOOP as openat2 says, also where openat says otherwise. */
static int open_component(int dirfd, const char *name, int flags, mode_t mode)
{
	int fd = openat(dirfd, name, flags | O_NOFOLLOW, mode);
	if (fd < 0) {
		if (errno == ENOTDIR)
			errno = is_link(dirfd, name) ? ELOOP : ENOTDIR;
		return -1;
	}
	if ((flags & (O_PATH | O_NOFOLLOW)) == O_PATH && is_link(fd, "")) {
		(void)close(fd);
		errno = ELOOP;
		return -1;
	}
	return fd;
}

static int open_by_walk(int dirfd, const char *path, int flags, mode_t mode)
{
	auto_close int held = -1;
	int at = dirfd;
	for (;;) {
		char name[NAME_MAX + 1];
		size_t n = strcspn(path, "/");
		if (n > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		const char *rest = path + n + strspn(path + n, "/");
		if (*rest == '\0')
			return open_component(at, name, flags | (path[n] ? O_DIRECTORY : 0), mode);
		int next = open_component(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		if (next < 0)
			return -1;
		mem_close_fd(&held);
		held = at = next;
		path = rest;
	}
}

int beneath_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err)
{
	flags |= O_CLOEXEC;
	if (leaves(path))
		return err_errno(err, EXDEV, "open '%s'", esc(path));
	int fd = open_in_kernel(dirfd, path, flags, mode);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open_by_walk(dirfd, path, flags, mode);
	if (fd < 0)
		return err_sys(err, "open '%s'", esc(path));
	return fd;
}

/* --- whole files --- */

int io_write_all(int fd, const void *data, size_t size, struct err *err)
{
	const char *p = data;
	while (size > 0) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "write");
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* Room for at least one more byte and the NUL, but never for more than MAX + 2. */
static int grow(char **data, size_t *capacity, size_t max_bytes, struct err *err)
{
	size_t wanted = *capacity ? 2 * *capacity : READ_FIRST_BYTES;
	if (wanted > max_bytes + 2)
		wanted = max_bytes + 2;
	char *grown = realloc(*data, wanted);
	if (!grown)
		return err_set(err, ENOMEM, "out of memory for %zu bytes", wanted);
	*data = grown;
	*capacity = wanted;
	return 0;
}

int io_read_all(int fd, size_t max_bytes, char **out, size_t *size, struct err *err)
{
	auto_free char *data = NULL;
	size_t used = 0, capacity = 0;
	for (;;) {
		if (used + 1 >= capacity) {
			int r = grow(&data, &capacity, max_bytes, err);
			if (r < 0)
				return r;
		}
		ssize_t n = read(fd, data + used, capacity - used - 1);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "read");
		if (n == 0)
			break;
		used += n > 0 ? (size_t)n : 0;
		if (used > max_bytes)
			return err_set(err, E2BIG, "more than %zu bytes", max_bytes);
	}
	data[used] = '\0';
	*size = used;
	*out = TAKE(data);
	return 0;
}

int io_read_file(int dirfd, const char *path, size_t max_bytes, char **out, size_t *size,
		 struct err *err)
{
	auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open '%s'", esc(path));
	int r = io_read_all(fd, max_bytes, out, size, err);
	return r < 0 ? err_wrap(err, r, "read '%s'", esc(path)) : 0;
}

struct temporary {
	char name[40];
};

static void make_name(struct temporary *out)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		abort();
	(void)snprintf(out->name, sizeof(out->name), ".rootlet-%016llx",
		       (unsigned long long)random);
}

/* Give an unnamed file a temporary name; false where that does not work (no /proc). */
static bool link_unnamed(int dirfd, int fd, struct temporary *out)
{
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int i = 0; i < NAME_TRIES; i++) {
		make_name(out);
		if (linkat(AT_FDCWD, path, dirfd, out->name, AT_SYMLINK_FOLLOW) == 0)
			return true;
		if (errno != EEXIST)
			return false;
	}
	return false;
}

static int fill(int fd, const void *data, size_t size, mode_t mode, struct err *err)
{
	int r = io_write_all(fd, data, size, err);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = err_sys(err, "change mode");
	return r;
}

/* -EOPNOTSUPP where unnamed files are not to be had: then it is done with a name from the start. */
static int write_unnamed(struct temporary *out, int dirfd, const void *data, size_t size,
			 mode_t mode, struct err *err)
{
	auto_close int fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, EOPNOTSUPP, "no unnamed files here");
	int r = fill(fd, data, size, mode, err);
	if (r < 0)
		return r;
	return link_unnamed(dirfd, fd, out) ? 0 : err_set(err, EOPNOTSUPP, "cannot link");
}

static int write_named(struct temporary *out, int dirfd, const void *data, size_t size, mode_t mode,
		       struct err *err)
{
	make_name(out);
	auto_close int fd = openat(dirfd, out->name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "create");
	int r = fill(fd, data, size, mode, err);
	if (r < 0)
		(void)unlinkat(dirfd, out->name, 0);
	return r;
}

int io_write_file(int dirfd, const char *name, const void *data, size_t size, mode_t mode,
		  struct err *err)
{
	struct temporary temporary;
	int r = write_unnamed(&temporary, dirfd, data, size, mode, err);
	if (r == -EOPNOTSUPP)
		r = write_named(&temporary, dirfd, data, size, mode, err);
	if (r < 0)
		return err_wrap(err, r, "write '%s'", esc(name));
	if (renameat(dirfd, temporary.name, dirfd, name) < 0) {
		r = err_sys(err, "write '%s'", esc(name));
		(void)unlinkat(dirfd, temporary.name, 0);
		return r;
	}
	return 0;
}

size_t io_descriptor_share(size_t shares)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 16;
	size_t share = (size_t)(limit.rlim_cur / shares);
	return share < 16 ? 16 : share > 4096 ? 4096 : share;
}
