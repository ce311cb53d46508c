/*
 * The private directory of an unpack: made, locked, filled by the layers' writers, removed.
 * Moving up and cleaning after killed runs is in stage-commit.c.
 */
#include "image/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/siphash.h"
#include "codec/tar.h"
#include "image/stage-internal.h"

#define SHARES 16 /* of the descriptors: a writer has a sixteenth, there are a few */

/* The names of directories come from images: a keyed hash. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, length, out) ((out) = (unsigned)siphash((key), (length)))

static int make_private(struct stage *stage, struct err *err)
{
	for (int tries = 0; tries < 100; tries++) {
		uint64_t number = siphash(&tries, sizeof(tries)) ^ ((uint64_t)getpid() << 32);
		(void)snprintf(stage->name, sizeof(stage->name), STAGE_PREFIX "%06x",
			       (unsigned)(number ^ number >> 32) & 0xffffffu);
		if (mkdirat(stage->destfd, stage->name, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			return err_sys(err, "create a directory in the destination");
	}
	return err_set(err, EIO, "cannot find a free name in the destination");
}

static int make_below(int dirfd, const char *name, int *fd, struct err *err)
{
	if (mkdirat(dirfd, name, 0700) < 0)
		return err_sys(err, "create directory '%s'", name);
	*fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, "open directory '%s'", name) : 0;
}

static int open_private(struct stage *stage, struct err *err)
{
	stage->privatefd = openat(stage->destfd, stage->name,
				  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (stage->privatefd < 0)
		return err_sys(err, "open '%s'", stage->name);
	if (flock(stage->privatefd, LOCK_EX | LOCK_NB) < 0 && errno != EOPNOTSUPP &&
	    errno != ENOLCK)
		return err_sys(err, "lock '%s'", stage->name);
	/* a set-group-id destination must not pass its group on */
	if (fchmod(stage->privatefd, 0700) < 0)
		return err_sys(err, "set the mode of '%s'", stage->name);
	int r = make_below(stage->privatefd, "root", &stage->rootfd, err);
	return r < 0 ? r : make_below(stage->privatefd, "spare", &stage->sparefd, err);
}

int stage_new(struct stage **out, int destfd, struct err *err)
{
	int r = stage_clear_leftovers(destfd, err);
	if (r < 0)
		return r;
	AUTO(stage)
	stage = mem_make(struct stage, .destfd = destfd, .privatefd = -1, .rootfd = -1,
			 .sparefd = -1, .commitfd = -1);
	pthread_mutex_init(&stage->mutex, NULL);
	r = make_private(stage, err);
	if (r < 0) {
		stage->name[0] = '\0';
		return r;
	}
	r = open_private(stage, err);
	if (r < 0)
		return r;
	(void)stage_dir_number(stage, "");
	*out = TAKE(stage);
	return 0;
}

void stage_free(struct stage *stage)
{
	if (!stage)
		return;
	if (stage->name[0])
		IGNORE(io_remove_tree(stage->destfd, stage->name, NULL));
	if (stage->commit[0])
		IGNORE(io_remove_tree(stage->destfd, stage->commit, NULL));
	mem_close_fd(&stage->commitfd);
	mem_close_fd(&stage->rootfd);
	mem_close_fd(&stage->sparefd);
	mem_close_fd(&stage->privatefd);
	struct stage_dir *dir, *next;
	HASH_ITER(hh, stage->by_path, dir, next)
	{
		HASH_DEL(stage->by_path, dir);
		free(dir->path);
		free(dir);
	}
	free(stage->dirs);
	free(stage->contents);
	free(stage->strings);
	pthread_mutex_destroy(&stage->mutex);
	free(stage);
}

uint32_t stage_dir_number(struct stage *stage, const char *path)
{
	struct stage_dir *dir = NULL;
	HASH_FIND(hh, stage->by_path, path, strlen(path), dir);
	if (dir)
		return dir->number;
	dir = mem_make(struct stage_dir, .path = mem_strdup(path),
		       .number = (uint32_t)stage->dir_count);
	HASH_ADD_KEYPTR(hh, stage->by_path, dir->path, strlen(dir->path), dir);
	stage->dirs = mem_grow(stage->dirs, &stage->dir_capacity, stage->dir_count,
			       sizeof(*stage->dirs));
	stage->dirs[stage->dir_count++] = dir;
	return dir->number;
}

uint32_t stage_dir_find(const struct stage *stage, const char *path)
{
	struct stage_dir *dir = NULL;
	HASH_FIND(hh, stage->by_path, path, strlen(path), dir);
	return dir ? dir->number : UINT32_MAX;
}

/* Where a writer is: the open directories from the root down to its current one. */
struct stage_writer {
	struct stage *stage;		   /* borrowed */
	char path[TAR_PATH_MAX_BYTES + 1]; /* of the current directory */
	size_t *ends;			   /* owned; length of path at each level; ends[0] == 0 */
	int *fds;			   /* owned; the descriptors too but for fds[0], the root */
	size_t depth;			   /* levels in use; >= 1 */
	size_t most;	/* room for levels; deeper directories are reached by walking */
	uint32_t dir;	/* number of the current directory */
	bool valid;	/* the current directory could be entered */
	uint32_t *made; /* owned; contents by this writer */
	size_t made_count, made_capacity;
};

struct stage_writer *stage_writer_new(struct stage *stage)
{
	struct stage_writer *w = mem_new(sizeof(*w));
	w->stage = stage;
	w->most = io_descriptor_share(SHARES);
	w->ends = mem_new(w->most * sizeof(*w->ends));
	w->fds = mem_new(w->most * sizeof(*w->fds));
	w->fds[0] = stage->rootfd;
	w->depth = 1;
	w->dir = STAGE_ROOT_DIR;
	w->valid = true;
	return w;
}

static void leave(struct stage_writer *w, size_t depth)
{
	while (w->depth > depth)
		mem_close_fd(&w->fds[--w->depth]);
	w->path[w->ends[w->depth - 1]] = '\0';
}

void stage_writer_free(struct stage_writer *writer)
{
	if (!writer)
		return;
	leave(writer, 1);
	free(writer->ends);
	free(writer->fds);
	free(writer->made);
	free(writer);
}

/* Open or make directory NAME; false when there is something else of that name. */
static int enter_one(int dirfd, const char *name, int *fd, struct err *err)
{
	for (int tries = 0; tries < 3; tries++) {
		*fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (*fd >= 0 || errno == ENOTDIR || errno == ELOOP)
			return 0;
		if (errno != ENOENT)
			return err_sys(err, "open directory '%s'", esc(name));
		if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
			return err_sys(err, "create directory '%s'", esc(name));
	}
	return err_set(err, EIO, "directory '%s' comes and goes", esc(name));
}

/* The next component of DIR behind AT into NAME; returns where it ends. */
static size_t next_name(char *name, const char *dir, size_t at)
{
	const char *p = dir + at + (at > 0);
	size_t n = (size_t)(strchrnul(p, '/') - p);
	memcpy(name, p, n);
	name[n] = '\0';
	return at + (at > 0) + n;
}

static void push(struct stage_writer *w, const char *dir, size_t end, int fd)
{
	memcpy(w->path, dir, end);
	w->path[end] = '\0';
	w->ends[w->depth] = end;
	w->fds[w->depth++] = fd;
}

/*
 * Go from the deepest open directory on the way to DIR (LENGTH bytes) down to it.  In a full
 * stack only the last stays open.
 */
static int descend(struct stage_writer *w, const char *dir, size_t length, struct err *err)
{
	size_t at = w->ends[w->depth - 1];
	auto_close int passing = -1;
	if (w->depth == w->most) /* full: what is on top makes way */
		passing = w->fds[--w->depth];
	while (at < length) {
		char name[TAR_NAME_MAX_BYTES + 1];
		size_t end = next_name(name, dir, at);
		int fd = -1;
		int r = enter_one(passing >= 0 ? passing : w->fds[w->depth - 1], name, &fd, err);
		if (r < 0 || fd < 0)
			return r;
		mem_close_fd(&passing);
		passing = -1;
		at = end;
		if (w->depth < w->most - 1 || at == length)
			push(w, dir, at, fd);
		else
			passing = fd;
	}
	w->valid = true;
	return 0;
}

/* Make DIR (LENGTH bytes of a cleaned path) the current directory, if it can be one. */
static int enter(struct stage_writer *w, const char *dir, size_t length, struct err *err)
{
	if (w->valid && w->ends[w->depth - 1] == length && memcmp(w->path, dir, length) == 0)
		return 0;
	size_t depth = w->depth;
	while (depth > 1) {
		size_t end = w->ends[depth - 1];
		if (end <= length && memcmp(w->path, dir, end) == 0 &&
		    (end == length || dir[end] == '/'))
			break;
		depth--;
	}
	leave(w, depth);
	w->valid = false;
	char copy[TAR_PATH_MAX_BYTES + 1];
	memcpy(copy, dir, length);
	copy[length] = '\0';
	int r = descend(w, copy, length, err);
	if (r < 0 || !w->valid)
		return r;
	LOCKED(&w->stage->mutex);
	w->dir = stage_dir_number(w->stage, w->path);
	return 0;
}

static uint32_t add_content(struct stage_writer *w, uint32_t dir, const char *name)
{
	struct stage *stage = w->stage;
	LOCKED(&stage->mutex);
	struct stage_content c = { .dir = dir };
	if (dir != STAGE_SPARE) {
		size_t n = strlen(name) + 1;
		while (stage->strings_room < stage->strings_used + n)
			stage->strings = mem_grow(stage->strings, &stage->strings_room,
						  stage->strings_room, 1);
		memcpy(stage->strings + stage->strings_used, name, n);
		c.name = (uint32_t)stage->strings_used;
		stage->strings_used += n;
	}
	stage->contents = mem_grow(stage->contents, &stage->content_capacity, stage->content_count,
				   sizeof(*stage->contents));
	stage->contents[stage->content_count] = c;
	w->made = mem_grow(w->made, &w->made_capacity, w->made_count, sizeof(*w->made));
	return w->made[w->made_count++] = (uint32_t)stage->content_count++;
}

int stage_create(struct stage_writer *w, const char *path, unsigned mode, int *fd,
		 uint32_t *content, struct err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int r = enter(w, path, slash ? (size_t)(slash - path) : 0, err);
	if (r < 0)
		return r;
	if (w->valid) {
		*fd = openat(w->fds[w->depth - 1], name, flags, mode);
		if (*fd >= 0) {
			*content = add_content(w, w->dir, name);
			return 0;
		}
		if (errno != EEXIST)
			return err_sys(err, "create file");
	}
	*content = add_content(w, STAGE_SPARE, NULL);
	*fd = openat(w->stage->sparefd, stage_spare_name(*content).text, flags, mode);
	return *fd < 0 ? err_sys(err, "create file") : 0;
}

void stage_writer_discard(struct stage_writer *w)
{
	LOCKED(&w->stage->mutex);
	for (size_t i = 0; i < w->made_count; i++)
		w->stage->contents[w->made[i]].dead = true;
}

int stage_rootfd(const struct stage *stage)
{
	return stage->rootfd;
}

int stage_sparefd(const struct stage *stage)
{
	return stage->sparefd;
}

uint32_t stage_content_count(const struct stage *stage)
{
	return (uint32_t)stage->content_count;
}

struct stage_content stage_content(const struct stage *stage, uint32_t content)
{
	return stage->contents[content];
}

void stage_moved_to_spare(struct stage *stage, uint32_t content)
{
	stage->contents[content].dir = STAGE_SPARE;
}

uint32_t stage_dir_count(const struct stage *stage)
{
	return (uint32_t)stage->dir_count;
}

const char *stage_dir_path(const struct stage *stage, uint32_t dir)
{
	return stage->dirs[dir]->path;
}

const char *stage_string(const struct stage *stage, uint32_t offset)
{
	return stage->strings + offset;
}

struct stage_name stage_spare_name(uint32_t content)
{
	struct stage_name name;
	(void)snprintf(name.text, sizeof(name.text), "%u", content);
	return name;
}
