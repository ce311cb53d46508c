/*
 * An array with the directory of each inode, filled in one pass over all children.  Names are found
 * again by looking through the directory: who asks does so for a file now and then.
 */
#include "image/rootfs-names.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "codec/tar.h"
#include "image/rootfs-path.h"

#define PATH_BYTES 4096u
#define DEPTH_MAX 256u

struct rootfs_names {
	const struct rootfs *rootfs; /* borrowed */
	uint32_t *parents;	     /* owned; by inode */
};

static bool is_dir(const struct rootfs *rootfs, uint32_t inode)
{
	const struct rootfs_inode *i = rootfs_inode(rootfs, inode);
	return i && S_ISDIR(i->mode);
}

static void note_children(struct rootfs_names *names, uint32_t number)
{
	const struct rootfs_inode *dir = rootfs_inode(names->rootfs, number);
	for (uint32_t i = 0; i < dir->b; i++) {
		uint32_t child = rootfs_child(names->rootfs, dir, i)->inode;
		if (names->parents[child] == ROOTFS_NONE)
			names->parents[child] = number;
	}
}

struct rootfs_names *rootfs_names_new(const struct rootfs *rootfs)
{
	void *parents = NULL;
	uint32_t count = rootfs_inode_count(rootfs);
	if (mem_try(&parents, (size_t)count + 1, sizeof(uint32_t), NULL) < 0)
		return NULL;
	struct rootfs_names *names = mem_make(struct rootfs_names, .rootfs = rootfs,
					      .parents = parents);
	names->parents[ROOTFS_ROOT] = ROOTFS_ROOT;
	for (uint32_t i = ROOTFS_ROOT; i <= count; i++)
		if (is_dir(rootfs, i))
			note_children(names, i);
	return names;
}

void rootfs_names_free(struct rootfs_names *names)
{
	if (!names)
		return;
	free(names->parents);
	free(names);
}

uint32_t rootfs_names_parent(const struct rootfs_names *names, uint32_t inode)
{
	return names->parents[inode];
}

const char *rootfs_names_name(const struct rootfs_names *names, uint32_t inode)
{
	const struct rootfs_inode *dir = rootfs_inode(names->rootfs, names->parents[inode]);
	for (uint32_t i = 0; inode != ROOTFS_ROOT && dir && i < dir->b; i++) {
		const struct rootfs_child *child = rootfs_child(names->rootfs, dir, i);
		if (child->inode == inode)
			return rootfs_string(names->rootfs, child->name);
	}
	return "";
}

void rootfs_names_path(const struct rootfs_names *names, uint32_t inode, struct str *out)
{
	uint32_t chain[DEPTH_MAX];
	size_t depth = 0;
	for (; inode != ROOTFS_ROOT && depth < DEPTH_MAX; inode = names->parents[inode])
		chain[depth++] = inode;
	while (depth > 0)
		str_addf(out, "/%s", rootfs_names_name(names, chain[--depth]));
}

/* A link on the way: the rest is walked as a path from the root. */
static uint32_t walk_link(const struct rootfs_names *names, uint32_t dir, const char *rest)
{
	uint32_t found = ROOTFS_NONE;
	auto_str path = STR_MAX(PATH_BYTES);
	rootfs_names_path(names, dir, &path);
	str_addf(&path, "/%s", rest);
	if (path.failed || rootfs_resolve(names->rootfs, str_text(&path), true, &found, NULL) < 0)
		return ROOTFS_NONE;
	return found;
}

uint32_t rootfs_names_walk(const struct rootfs_names *names, uint32_t dir, const char *path)
{
	uint32_t here = *path == '/' ? ROOTFS_ROOT : dir;
	for (;;) {
		path += strspn(path, "/");
		size_t length = strcspn(path, "/");
		if (length == 0)
			return here;
		const struct rootfs_inode *at = rootfs_inode(names->rootfs, here);
		if (!at || length > TAR_NAME_MAX_BYTES || !S_ISDIR(at->mode))
			return ROOTFS_NONE;
		uint32_t next = here;
		if (length == 2 && memcmp(path, "..", 2) == 0)
			next = at->parent;
		else if (length != 1 || *path != '.')
			next = rootfs_lookup(names->rootfs, at, path, length);
		if (next == ROOTFS_NONE)
			return ROOTFS_NONE;
		if (S_ISLNK(rootfs_inode(names->rootfs, next)->mode))
			return walk_link(names, here, path);
		here = next;
		path += length;
	}
}

uint32_t rootfs_names_dir(const struct rootfs_names *names, uint32_t dir, const char *path)
{
	uint32_t found = rootfs_names_walk(names, dir, path);
	return is_dir(names->rootfs, found) ? found : ROOTFS_NONE;
}

uint32_t rootfs_names_file(const struct rootfs_names *names, uint32_t dir, const char *path)
{
	uint32_t found = rootfs_names_walk(names, dir, path);
	const struct rootfs_inode *inode = rootfs_inode(names->rootfs, found);
	return inode && S_ISREG(inode->mode) ? found : ROOTFS_NONE;
}

uint32_t rootfs_names_from(const struct rootfs_names *names, uint32_t dir, const char *name)
{
	const struct rootfs_inode *at = rootfs_inode(names->rootfs, dir);
	uint32_t low = 0, high = at ? at->b : 0;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct rootfs_child *child = rootfs_child(names->rootfs, at, middle);
		if (strcmp(rootfs_string(names->rootfs, child->name), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
