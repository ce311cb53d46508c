/*
 * The walk, with a stack of its own: depth is bounded by the tree, not by ours.  A directory is on
 * the stack with the index of its next child and the length of its path.
 */
#include "image/rootfs-walk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define WALK_PATH_MAX_BYTES (1024u * 1024)

struct level {
	uint32_t number;
	uint32_t next;	    /* child to visit */
	size_t path_length; /* of the directory's path */
	size_t name;	    /* where its name begins in it */
};

struct walker {
	const struct rootfs *rootfs;		   /* borrowed */
	const struct rootfs_walk_options *options; /* borrowed */
	struct str path;
	struct level *levels; /* owned */
	size_t depth, capacity;
};

static void walker_release(struct walker *w)
{
	str_release(&w->path);
	free(w->levels);
}

static void cut(struct str *path, size_t length)
{
	if (path->data && length < path->length) {
		path->length = length;
		path->data[length] = '\0';
	}
}

static int visit(struct walker *w, uint32_t number, size_t name, bool leaving, struct err *err)
{
	const struct rootfs_visit v = {
		.path = str_text(&w->path),
		.name = str_text(&w->path) + name,
		.number = number,
		.inode = rootfs_inode(w->rootfs, number),
		.depth = (unsigned)w->depth,
		.leaving = leaving,
	};
	return w->options->visit(w->options->arg, &v, err);
}

static void push(struct walker *w, uint32_t number, size_t name)
{
	w->levels = mem_grow(w->levels, &w->capacity, w->depth, sizeof(*w->levels));
	w->levels[w->depth++] = (struct level){ number, 0, w->path.length, name };
}

/* Visit what the path names now, and be in it afterwards if it is a directory to be walked. */
static int arrive(struct walker *w, uint32_t number, size_t name, struct err *err)
{
	if (w->path.failed)
		return err_set(err, E2BIG, "a path of more than %u bytes", WALK_PATH_MAX_BYTES);
	int r = visit(w, number, name, false, err);
	if (r == ROOTFS_WALK_ON && S_ISDIR(rootfs_inode(w->rootfs, number)->mode))
		push(w, number, name);
	return r < 0 ? r : 0;
}

/* The next child of the directory on top, or leave it. */
static int advance(struct walker *w, struct err *err)
{
	struct level *top = &w->levels[w->depth - 1];
	const struct rootfs_inode *dir = rootfs_inode(w->rootfs, top->number);
	cut(&w->path, top->path_length);
	if (top->next == dir->b) {
		w->depth--;
		int r = visit(w, top->number, top->name, true, err);
		return r < 0 ? r : 0;
	}
	const struct rootfs_child *child = rootfs_child(w->rootfs, dir, top->next++);
	if (w->path.length > 0 && str_text(&w->path)[w->path.length - 1] != '/')
		str_addc(&w->path, '/');
	size_t name = w->path.length;
	str_add(&w->path, rootfs_string(w->rootfs, child->name));
	return arrive(w, child->inode, name, err);
}

int rootfs_walk(const struct rootfs *rootfs, uint32_t start, const char *path,
		const struct rootfs_walk_options *options, struct err *err)
{
	__attribute__((cleanup(walker_release))) struct walker w = {
		.rootfs = rootfs,
		.options = options,
		.path = STR_MAX(WALK_PATH_MAX_BYTES),
	};
	str_add(&w.path, path);
	int r = arrive(&w, start, 0, err);
	while (r == 0 && w.depth > 0)
		r = advance(&w, err);
	return r;
}
