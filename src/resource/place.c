/* Remembering what was made in a directory, so that all of it can be taken away.  Used by in.c. */
#include "resource/place.h"

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

struct place {
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

static int check_empty(const struct place *place, bool may_hold_rootfs, struct err *err)
{
	int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int r = err_sys(err, "read directory '%s'", esc(place->path));
		mem_close_fd(&fd);
		return r;
	}
	int r = 0;
	const struct dirent *entry;
	while (r == 0 && (entry = readdir(dir))) {
		if (!is_allowed(entry->d_name, may_hold_rootfs))
			r = err_set(err, EINVAL, "directory '%s' is not empty: it holds '%s'",
				    esc(place->path), esc(entry->d_name));
	}
	(void)closedir(dir);
	return r;
}

int place_open(struct place **out, const char *path, bool may_hold_rootfs, struct err *err)
{
	AUTO(place) place = mem_make(struct place, .path = mem_strdup(path), .fd = -1);
	if (mkdir(path, 0755) == 0)
		place->made = true;
	else if (errno != EEXIST)
		return err_sys(err, "make directory '%s'", esc(path));
	place->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->fd < 0)
		return err_sys(err, "open directory '%s'", esc(path));
	int r = check_empty(place, may_hold_rootfs, err);
	if (r < 0)
		return r;
	*out = TAKE(place);
	return 0;
}

void place_free(struct place *place)
{
	if (!place)
		return;
	for (size_t i = 0; !place->kept && i < place->count; i++)
		(void)io_remove_tree(place->fd, place->names[i], NULL);
	if (!place->kept && place->made)
		(void)rmdir(place->path);
	mem_close_fd(&place->fd);
	free(place->path);
	free(place);
}

void place_keep(struct place *place)
{
	place->kept = true;
}

int place_fd(const struct place *place)
{
	return place->fd;
}

void place_made(struct place *place, const char *name)
{
	assert(place->count < NAMES_MAX);
	place->names[place->count++] = name;
}

int place_write(struct place *place, const char *name, const void *data, size_t size,
		struct err *err)
{
	int r = io_write_file(place->fd, name, data, size, FILE_MODE, err);
	if (r < 0)
		return err_wrap(err, r, "write '%s'", name);
	place_made(place, name);
	return 0;
}
