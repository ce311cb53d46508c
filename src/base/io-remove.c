/*
 * Removing a tree that an image made: any depth, any mode, without recursion.
 *
 * One descriptor is open at a time, that of the deepest directory.  Each level remembers who it
 * is and which of its subdirectories are left; the way up is "..", believed only when it leads to
 * the directory we came from.  A failure is kept and the rest is removed all the same.
 */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

#define TRIES_MAX 3

struct level {
	dev_t device;
	ino_t inode;
	struct str names; /* subdirectories, each ended by a NUL */
	size_t at;	  /* the one being removed: an offset into names */
	unsigned tries;	  /* how often it was emptied */
};

struct remover {
	struct level *levels; /* owned; [0] is the directory that holds the tree */
	size_t depth, capacity;
	int fd;		 /* owned: the deepest level */
	struct err *err; /* borrowed */
	int result;	 /* the first failure */
};

static void keep_failure(struct remover *r, const char *name)
{
	if (r->result == 0)
		r->result = err_sys(r->err, "remove '%s'", esc(name));
}

static struct level *deepest(struct remover *r)
{
	return &r->levels[r->depth - 1];
}

static void push(struct remover *r, int fd, const struct stat *st)
{
	r->levels = mem_grow(r->levels, &r->capacity, r->depth, sizeof(*r->levels));
	r->levels[r->depth++] = (struct level){ .device = st->st_dev,
						.inode = st->st_ino,
						.names = STR_MAX(SIZE_MAX / 2) };
	mem_close_fd(&r->fd);
	r->fd = fd;
}

static void pop(struct remover *r)
{
	str_release(&r->levels[--r->depth].names);
}

/* openat2 also sees bind mounts of the same filesystem, which st_dev does not tell apart. */
static int open_directory(int dirfd, const char *name, int flags)
{
	flags |= O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct open_how how = { .flags = (unsigned)flags,
				.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dirfd, name, flags);
	return fd;
}

/* Make a directory ours to read and empty; by its descriptor, so that no name is trusted twice. */
static void allow_all(int dirfd, const char *name)
{
	char path[32];
	auto_close int fd = open_directory(dirfd, name, O_PATH);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0)
		(void)chmod(path, 0700);
}

static int open_to_empty(int dirfd, const char *name, struct stat *st)
{
	int fd = open_directory(dirfd, name, O_RDONLY);
	if (fd < 0 && errno == EACCES) {
		allow_all(dirfd, name);
		fd = open_directory(dirfd, name, O_RDONLY);
	}
	if (fd < 0 || fstat(fd, st) < 0)
		return fd;
	if ((st->st_mode & 0700) != 0700)
		(void)fchmod(fd, 0700);
	return fd;
}

/* Unlink what is no directory, note what is one. */
static void empty_one(struct remover *r, const struct dirent *e)
{
	if (str_equal(e->d_name, ".") || str_equal(e->d_name, ".."))
		return;
	bool directory = e->d_type == DT_DIR;
	if (!directory && unlinkat(r->fd, e->d_name, 0) < 0 && errno != ENOENT) {
		if (errno != EISDIR)
			keep_failure(r, e->d_name);
		else
			directory = true;
	}
	if (directory)
		str_addn(&deepest(r)->names, e->d_name, strlen(e->d_name) + 1);
}

static void empty_files(struct remover *r, const char *name)
{
	int fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		keep_failure(r, name);
		mem_close_fd(&fd);
		return;
	}
	errno = 0;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		empty_one(r, e);
		errno = 0;
	}
	if (errno != 0 && r->levels[r->depth - 2].tries == TRIES_MAX)
		keep_failure(r, name);
	(void)closedir(dir);
}

static void go_down(struct remover *r)
{
	const struct level *parent = deepest(r);
	auto_free char *name = mem_strdup(parent->names.data + parent->at);
	struct stat st = { 0 };
	int fd = open_to_empty(r->fd, name, &st);
	if (fd >= 0 && st.st_dev != parent->device) {
		mem_close_fd(&fd);
		fd = -1;
		errno = EXDEV;
	}
	if (fd < 0) {
		keep_failure(r, name);
		return;
	}
	push(r, fd, &st);
	empty_files(r, name);
}

static bool go_up(struct remover *r)
{
	struct stat st = { 0 };
	int fd = openat(r->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	pop(r);
	const struct level *parent = deepest(r);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != parent->device ||
	    st.st_ino != parent->inode) {
		mem_close_fd(&fd);
		if (r->result == 0)
			r->result = err_set(r->err, EIO, "a directory moved while it was removed");
		return false;
	}
	mem_close_fd(&r->fd);
	r->fd = fd;
	return true;
}

/*
 * The next subdirectory of the deepest level: gone at once when empty, entered when not.  Some
 * filesystems skip names when others go while a directory is read, so one that is still not empty
 * is entered again; but not once anything failed, or a stuck file would be tried 3^depth times.
 */
static void remove_next(struct remover *r)
{
	struct level *l = deepest(r);
	const char *name = l->names.data + l->at;
	bool gone = unlinkat(r->fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
	bool full = !gone && (errno == ENOTEMPTY || errno == EEXIST);
	if (full && l->tries < (r->result == 0 ? TRIES_MAX : 1)) {
		l->tries++;
		go_down(r);
		return;
	}
	if (!gone)
		keep_failure(r, name);
	l->at += strlen(name) + 1;
	l->tries = 0;
}

static void remove_all(struct remover *r)
{
	for (;;) {
		struct level *l = deepest(r);
		if (l->at < l->names.length)
			remove_next(r);
		else if (r->depth == 1 || !go_up(r))
			break;
	}
}

int io_remove_tree(int dirfd, const char *name, struct err *err)
{
	if (strchr(name, '/'))
		return err_set(err, EINVAL, "remove '%s': not one component", esc(name));
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return err_sys(err, "remove '%s'", esc(name));
	struct stat st;
	int fd = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		mem_close_fd(&fd);
		return err_sys(err, "remove '%s'", esc(name));
	}
	struct remover r = { .fd = -1, .err = err };
	push(&r, fd, &st);
	str_addn(&deepest(&r)->names, name, strlen(name) + 1);
	remove_all(&r);
	while (r.depth > 0)
		pop(&r);
	mem_free_pointer(&r.levels);
	mem_close_fd(&r.fd);
	return r.result;
}
