/*
 * Resolving a path: a stack of what is still to be walked, because a link's target goes in front of
 * the rest.  Called by the commands that look into images.
 */
#include "image/rootfs-path.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "codec/tar.h"

#define REST_MAX_BYTES (64u * 1024)
#define NEAR_MAX 4096u /* names looked at for a hint */

struct walk {
	const struct rootfs *rootfs; /* borrowed */
	const char *path;	     /* borrowed: as the user wrote it, for messages */
	struct str rest;	     /* still to be walked */
	size_t at;		     /* in it */
	uint32_t here;
	unsigned hops;
};

static bool is_dir(const struct rootfs_inode *inode)
{
	return S_ISDIR(inode->mode);
}

/* The nearest name in DIR, or NULL. */
static const char *near_name(const struct walk *w, const struct rootfs_inode *dir, const char *name)
{
	uint32_t count = dir->b < NEAR_MAX ? dir->b : NEAR_MAX;
	auto_free const char **names = mem_new((count + 1) * sizeof(*names));
	for (uint32_t i = 0; i < count; i++)
		names[i] = rootfs_string(w->rootfs, rootfs_child(w->rootfs, dir, i)->name);
	return str_nearest(name, names, count);
}

static int missing(const struct walk *w, const struct rootfs_inode *dir, const char *name,
		   struct err *err)
{
	const char *near = near_name(w, dir, name);
	if (near)
		return err_set(err, ENOENT, "no '%s' in the image: did you mean '%s'?",
			       esc(w->path), esc(near));
	return err_set(err, ENOENT, "no '%s' in the image", esc(w->path));
}

/* The next component of the rest into NAME; false when there is none. */
static bool next_name(struct walk *w, char name[TAR_NAME_MAX_BYTES + 1], bool *too_long)
{
	const char *text = str_text(&w->rest);
	while (text[w->at] == '/')
		w->at++;
	size_t n = strcspn(text + w->at, "/");
	*too_long = n > TAR_NAME_MAX_BYTES;
	if (n == 0 || *too_long)
		return false;
	memcpy(name, text + w->at, n);
	name[n] = '\0';
	w->at += n;
	return true;
}

/* A link's target goes in front of what is still to be walked. */
static int enter_link(struct walk *w, const struct rootfs_inode *link, struct err *err)
{
	if (++w->hops > TREE_HOPS_MAX)
		return err_set(err, ENOENT, "too many symbolic links in '%s'", esc(w->path));
	struct str rest = STR_MAX(REST_MAX_BYTES);
	const char *target = rootfs_string(w->rootfs, link->a);
	str_addf(&rest, "%s%s", target, str_text(&w->rest) + w->at);
	str_release(&w->rest);
	w->rest = rest;
	w->at = 0;
	if (*target == '/')
		w->here = ROOTFS_ROOT;
	return rest.failed ? err_set(err, EINVAL, "the path '%s' is too long", esc(w->path)) : 0;
}

static int step(struct walk *w, const char *name, bool follow, struct err *err)
{
	const struct rootfs_inode *dir = rootfs_inode(w->rootfs, w->here);
	if (!is_dir(dir))
		return err_set(err, ENOENT, "'%s' goes through something that is no directory",
			       esc(w->path));
	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		w->here = dir->parent;
		return 0;
	}
	uint32_t found = rootfs_lookup(w->rootfs, dir, name, strlen(name));
	if (found == ROOTFS_NONE)
		return missing(w, dir, name, err);
	const struct rootfs_inode *inode = rootfs_inode(w->rootfs, found);
	bool last = str_text(&w->rest)[w->at] == '\0';
	if (S_ISLNK(inode->mode) && (!last || follow))
		return enter_link(w, inode, err);
	w->here = found;
	return 0;
}

static int walk(struct walk *w, bool follow, struct err *err)
{
	char name[TAR_NAME_MAX_BYTES + 1];
	bool too_long = false;
	while (next_name(w, name, &too_long)) {
		int r = step(w, name, follow, err);
		if (r < 0)
			return r;
	}
	if (too_long)
		return err_set(err, EINVAL, "a name in '%s' is too long", esc(w->path));
	/* "file/" names no file */
	size_t length = w->rest.length;
	if (length > 0 && str_text(&w->rest)[length - 1] == '/' &&
	    !is_dir(rootfs_inode(w->rootfs, w->here)))
		return err_set(err, ENOENT, "'%s' is no directory", esc(w->path));
	return 0;
}

int rootfs_resolve(const struct rootfs *rootfs, const char *path, bool follow, uint32_t *inode,
		   struct err *err)
{
	struct walk w = {
		.rootfs = rootfs, .path = path, .rest = STR_MAX(REST_MAX_BYTES), .here = ROOTFS_ROOT
	};
	str_add(&w.rest, path);
	int r = w.rest.failed ? err_set(err, EINVAL, "the path is too long")
			      : walk(&w, follow, err);
	str_release(&w.rest);
	if (r == 0)
		*inode = w.here;
	return r;
}
