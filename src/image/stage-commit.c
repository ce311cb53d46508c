/*
 * The last step of an unpack, and what undoes it: entries of root/ are renamed up into the
 * destination one by one.  Their names are written down first, so that a run that dies in between
 * can be cleaned up by the next: it removes those names and nothing else.  The list of names is the
 * last thing that goes: while it is there, the tree does not count.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/str.h"
#include "image/stage-internal.h"

#define COMMIT_FILE "commit"
#define COMMIT_MAX_BYTES (256u * 1024 * 1024)

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Names in DIRFD into OUT, each with its NUL. */
static int list_names(int dirfd, struct str *out, struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__attribute__((cleanup(close_dir))) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int r = err_sys(err, "list a directory");
		mem_close_fd(&fd);
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			return errno	     ? err_sys(err, "list a directory")
			       : out->failed ? err_set(err, E2BIG, "too many names in a directory")
					     : 0;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			str_addn(out, entry->d_name, strlen(entry->d_name) + 1);
	}
}

#define for_each_name(name, list)                                                       \
	for (const char *name = str_text(list); name < str_text(list) + (list)->length; \
	     name += strlen(name) + 1)

static bool has_name(const struct str *list, const char *wanted)
{
	for_each_name(name, list)
	{
		if (strcmp(name, wanted) == 0)
			return true;
	}
	return false;
}

/* What a killed run left: both may be there, or one of them. */
struct leftover {
	const char *dir;    /* the private directory, or NULL; borrowed from the list of names */
	const char *commit; /* the file of names outside it, or NULL; the same */
	int dirfd, commitfd;
};

static void leftover_close(struct leftover *leftover)
{
	mem_close_fd(&leftover->dirfd);
	mem_close_fd(&leftover->commitfd);
}

/* Something whose maker is gone: open and locked by us, or -1. */
static int open_leftover(int destfd, const char *name, int flags)
{
	int fd = openat(destfd, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	mem_close_fd(&fd);
	return -1;
}

static void find_leftover(struct leftover *out, const struct str *present)
{
	for_each_name(name, present)
	{
		if (!str_starts(name, STAGE_PREFIX))
			continue;
		if (str_ends(name, STAGE_COMMIT_SUFFIX))
			out->commit = name;
		else
			out->dir = name;
	}
}

static int lock_leftover(struct leftover *leftover, int destfd, struct err *err)
{
	if (leftover->dir)
		leftover->dirfd = open_leftover(destfd, leftover->dir, O_DIRECTORY);
	if (leftover->commit)
		leftover->commitfd = open_leftover(destfd, leftover->commit, 0);
	if ((leftover->dir && leftover->dirfd < 0) || (leftover->commit && leftover->commitfd < 0))
		return err_set(err, EINVAL, "another run is unpacking there");
	return 0;
}

/* Names that the killed run was moving up. */
static int read_commit(const struct leftover *leftover, struct str *names, struct err *err)
{
	auto_free char *data = NULL;
	size_t size = 0;
	auto_close int fd = leftover->commitfd >= 0
				    ? fcntl(leftover->commitfd, F_DUPFD_CLOEXEC, 0)
				    : openat(leftover->dirfd, COMMIT_FILE,
					     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	int r = io_read_all(fd, COMMIT_MAX_BYTES, &data, &size, err);
	if (r == 0 && size > 0 && data[size - 1] == '\0')
		str_addn(names, data, size);
	return r;
}

static bool is_leftover(const struct leftover *leftover, const char *name)
{
	return str_equal(name, leftover->dir) || str_equal(name, leftover->commit);
}

/* The list of names goes last: until then the next run can go on. */
static int clear(int destfd, const struct leftover *leftover, const struct str *present,
		 struct err *err)
{
	auto_str moved = STR_MAX(COMMIT_MAX_BYTES);
	int r = read_commit(leftover, &moved, err);
	if (r < 0)
		return r;
	for_each_name(name, present)
	{
		if (!is_leftover(leftover, name) && !has_name(&moved, name))
			return err_set(err, EINVAL, "it is not empty: it holds '%s'", esc(name));
	}
	for_each_name(name, present)
	{
		if (is_leftover(leftover, name))
			continue;
		r = io_remove_tree(destfd, name, err);
		if (r < 0)
			return r;
	}
	if (leftover->dir)
		r = io_remove_tree(destfd, leftover->dir, err);
	if (r == 0 && leftover->commit)
		r = io_remove_tree(destfd, leftover->commit, err);
	return r;
}

int stage_clear_leftovers(int destfd, struct err *err)
{
	auto_str present = STR_MAX(COMMIT_MAX_BYTES);
	int r = list_names(destfd, &present, err);
	if (r < 0 || present.length == 0)
		return r;
	__attribute__((cleanup(leftover_close))) struct leftover leftover = { .dirfd = -1,
									      .commitfd = -1 };
	find_leftover(&leftover, &present);
	if (!leftover.dir && !leftover.commit)
		return err_set(err, EINVAL, "it is not empty: it holds '%s'",
			       esc(str_text(&present)));
	r = lock_leftover(&leftover, destfd, err);
	return r < 0 ? r : clear(destfd, &leftover, &present, err);
}

static int write_commit(struct stage *stage, const struct str *names, struct err *err)
{
	int r = io_write_file(stage->privatefd, COMMIT_FILE, str_text(names), names->length, 0600,
			      err);
	return r < 0 ? err_wrap(err, r, "note what is moved") : 0;
}

/* A directory of a mode that its owner may not write to cannot be moved by an ordinary user. */
static int move_up(struct stage *stage, const char *name, struct err *err)
{
	if (renameat(stage->rootfd, name, stage->destfd, name) < 0)
		return err_sys(err, "move '%s' into place", esc(name));
	return 0;
}

int stage_commit(struct stage *stage, struct err *err)
{
	auto_str names = STR_MAX(COMMIT_MAX_BYTES);
	int r = list_names(stage->rootfd, &names, err);
	if (r == 0)
		r = write_commit(stage, &names, err);
	if (r < 0)
		return r;
	for_each_name(name, &names)
	{
		r = move_up(stage, name, err);
		if (r < 0)
			break;
	}
	if (r == 0)
		return 0;
	stage_undo_commit(stage);
	return r;
}

/* The list of names, moved beside the private directory so that it can outlive it; stays locked. */
static int keep_commit(struct stage *stage, struct err *err)
{
	char name[sizeof(stage->commit)];
	(void)snprintf(name, sizeof(name), "%s" STAGE_COMMIT_SUFFIX, stage->name);
	stage->commitfd = openat(stage->privatefd, COMMIT_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (stage->commitfd < 0)
		return err_sys(err, "open the note of what is moved");
	if (flock(stage->commitfd, LOCK_EX | LOCK_NB) < 0 && errno != EOPNOTSUPP && errno != ENOLCK)
		return err_sys(err, "lock the note of what is moved");
	if (renameat(stage->privatefd, COMMIT_FILE, stage->destfd, name) < 0)
		return err_sys(err, "keep the note of what is moved");
	memcpy(stage->commit, name, sizeof(name));
	return 0;
}

int stage_remove(struct stage *stage, struct err *err)
{
	int r = keep_commit(stage, err);
	if (r == 0)
		r = io_remove_tree(stage->destfd, stage->name, err);
	if (r == 0)
		stage->name[0] = '\0';
	return r;
}

int stage_done(struct stage *stage, struct err *err)
{
	if (unlinkat(stage->destfd, stage->commit, 0) < 0)
		return err_sys(err, "remove the note of what was moved");
	stage->commit[0] = '\0';
	return 0;
}

void stage_undo_commit(struct stage *stage)
{
	auto_str names = STR_MAX(COMMIT_MAX_BYTES);
	if (list_names(stage->destfd, &names, NULL) < 0)
		return;
	for_each_name(name, &names)
	{
		if (strcmp(name, stage->name) != 0 && strcmp(name, stage->commit) != 0)
			IGNORE(io_remove_tree(stage->destfd, name, NULL));
	}
}
