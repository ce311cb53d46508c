/* Remembering what was made in a directory, so that all of it can be taken away.  Used by in.c. */
#include "resource/dest.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/str.h"

#define NAMES_MAX 16
#define FILE_MODE 0644

struct dest {
	char *path; /* owned */
	int fd;	    /* owned */
	bool made;  /* the directory itself */
	bool kept;
	const char *names[NAMES_MAX]; /* borrowed, static: made in it */
	size_t count;
};

static bool is_allowed(const char *name, bool may_hold_rootfs)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || str_starts(name, ".rootlet-") ||
	       (may_hold_rootfs && strcmp(name, "rootfs") == 0);
}

static int check_empty(const struct dest *dest, bool may_hold_rootfs, struct err *err)
{
	int fd = openat(dest->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int r = err_sys(err, "read destination '%s'", esc(dest->path));
		mem_close_fd(&fd);
		return r;
	}
	int r = 0;
	const struct dirent *entry;
	while (r == 0 && (entry = readdir(dir))) {
		if (!is_allowed(entry->d_name, may_hold_rootfs))
			r = err_set(err, EINVAL, "destination '%s' is not empty: it holds '%s'",
				    esc(dest->path), esc(entry->d_name));
	}
	(void)closedir(dir);
	return r;
}

int dest_open(struct dest **out, const char *path, bool may_hold_rootfs, struct err *err)
{
	AUTO(dest) dest = mem_make(struct dest, .path = mem_strdup(path), .fd = -1);
	if (mkdir(path, 0755) == 0)
		dest->made = true;
	else if (errno != EEXIST)
		return err_sys(err, "create destination '%s'", esc(path));
	dest->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dest->fd < 0 && errno == ENOTDIR)
		return err_set(err, EINVAL, "destination '%s' is no directory", esc(path));
	if (dest->fd < 0)
		return err_sys(err, "open destination '%s'", esc(path));
	int r = check_empty(dest, may_hold_rootfs, err);
	if (r < 0)
		return r;
	*out = TAKE(dest);
	return 0;
}

void dest_free(struct dest *dest)
{
	if (!dest)
		return;
	for (size_t i = 0; !dest->kept && i < dest->count; i++)
		(void)!io_remove_tree(dest->fd, dest->names[i], NULL);
	if (!dest->kept && dest->made)
		(void)rmdir(dest->path);
	mem_close_fd(&dest->fd);
	free(dest->path);
	free(dest);
}

void dest_keep(struct dest *dest)
{
	dest->kept = true;
}

int dest_fd(const struct dest *dest)
{
	return dest->fd;
}

void dest_made(struct dest *dest, const char *name)
{
	assert(dest->count < NAMES_MAX);
	dest->names[dest->count++] = name;
}

int dest_write(struct dest *dest, const char *name, const void *data, size_t size, struct err *err)
{
	int r = io_write_file(dest->fd, name, data, size, FILE_MODE, err);
	if (r < 0)
		return err_wrap(err, r, "write '%s'", name);
	dest_made(dest, name);
	return 0;
}
