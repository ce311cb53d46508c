/*
 * Validating the file of a rootfs, in one pass over each section: afterwards every index in it may
 * be followed without a thought.  The file comes from our own cache, but a mount's process shall
 * not depend on that.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "image/rootfs-internal.h"
#include "oci/manifest.h"

static int bad(struct err *err, const char *what, uint32_t number)
{
	return err_set(err, EBADMSG, "a damaged tree: %s %u", what, number);
}

static int check_strings(const struct rootfs *rootfs, struct err *err)
{
	const struct rootfs_header *h = rootfs->header;
	if (h->strings == 0 || rootfs->strings[0] != '\0' || rootfs->strings[h->strings - 1])
		return bad(err, "strings of", h->strings);
	return 0;
}

static int check_xattrs(const struct rootfs *rootfs, struct err *err)
{
	const struct rootfs_header *h = rootfs->header;
	for (uint32_t i = 0; i < h->xattrs; i++) {
		const struct rootfs_xattr *x = &rootfs->xattrs[i];
		if (x->name >= h->strings || x->value > h->values ||
		    x->size > h->values - x->value || x->more > 1 ||
		    !toc_xattr_allowed(rootfs->strings + x->name))
			return bad(err, "attribute", i);
	}
	if (h->xattrs > 0 && rootfs->xattrs[h->xattrs - 1].more)
		return bad(err, "attribute", h->xattrs - 1);
	return 0;
}

static bool is_name(const char *name)
{
	size_t length = strlen(name);
	return length > 0 && length <= TAR_NAME_MAX_BYTES && !memchr(name, '/', length) &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/*
 * The children of directory NUMBER; counts the names of each inode in NAMES and returns how many
 * are directories in *dirs.
 */
static int check_children(const struct rootfs *rootfs, uint32_t number, uint32_t *names,
			  uint32_t *dirs, struct err *err)
{
	const struct rootfs_inode *dir = &rootfs->inodes[number - 1];
	const struct rootfs_header *h = rootfs->header;
	const char *previous = "";
	*dirs = 0;
	for (uint32_t i = 0; i < dir->b; i++) {
		const struct rootfs_child *child = &rootfs->children[dir->a + i];
		if (child->name >= h->strings || child->inode < 1 || child->inode > h->inodes)
			return bad(err, "child", dir->a + i);
		const char *name = rootfs->strings + child->name;
		const struct rootfs_inode *inode = &rootfs->inodes[child->inode - 1];
		bool is_dir = S_ISDIR(inode->mode);
		if (!is_name(name) || strcmp(previous, name) >= 0 ||
		    (is_dir && (child->inode <= number || inode->parent != number)))
			return bad(err, "child", dir->a + i);
		*dirs += is_dir;
		names[child->inode - 1]++;
		previous = name;
	}
	return 0;
}

static int check_type(const struct rootfs *rootfs, uint32_t number, struct err *err)
{
	const struct rootfs_inode *inode = &rootfs->inodes[number - 1];
	const uint32_t strings = rootfs->header->strings;
	bool good = false;
	if (S_ISREG(inode->mode))
		good = inode->size <= INT64_MAX;
	else if (S_ISLNK(inode->mode))
		good = inode->a < strings && inode->size > 0 &&
		       inode->size == strlen(rootfs->strings + inode->a);
	else if (S_ISDIR(inode->mode) || S_ISCHR(inode->mode) || S_ISBLK(inode->mode) ||
		 S_ISFIFO(inode->mode))
		good = inode->size == 0;
	return good ? 0 : bad(err, "inode", number);
}

static int check_inode(const struct rootfs *rootfs, uint32_t number, struct err *err)
{
	const struct rootfs_inode *inode = &rootfs->inodes[number - 1];
	const uint32_t xattrs = rootfs->header->xattrs;
	if ((inode->mode & ~(uint32_t)(S_IFMT | 07777)) != 0 || inode->mtime_ns >= 1000000000 ||
	    inode->xattrs > xattrs || inode->layer >= LAYERS_MAX ||
	    (inode->flags & ~(unsigned)ROOTFS_IMPLIED) != 0)
		return bad(err, "inode", number);
	return check_type(rootfs, number, err);
}

/* Every inode, and the directories' runs one after the other. */
static int check_inodes(const struct rootfs *rootfs, uint32_t *names, struct err *err)
{
	const struct rootfs_header *h = rootfs->header;
	uint32_t next = 0;
	for (uint32_t number = 1; number <= h->inodes; number++) {
		const struct rootfs_inode *inode = &rootfs->inodes[number - 1];
		uint32_t dirs;
		int r = check_inode(rootfs, number, err);
		if (r < 0)
			return r;
		if (!S_ISDIR(inode->mode))
			continue;
		if (inode->a != next || inode->b > h->children - next)
			return bad(err, "directory", number);
		next += inode->b;
		r = check_children(rootfs, number, names, &dirs, err);
		if (r < 0)
			return r;
		if (inode->nlink != dirs + 2)
			return bad(err, "link count of", number);
	}
	return next == h->children ? 0 : bad(err, "children from", next);
}

static int check_names(const struct rootfs *rootfs, const uint32_t *names, struct err *err)
{
	for (uint32_t number = 2; number <= rootfs->header->inodes; number++) {
		const struct rootfs_inode *inode = &rootfs->inodes[number - 1];
		uint32_t wanted = S_ISDIR(inode->mode) ? 1 : inode->nlink;
		if (names[number - 1] != wanted || wanted == 0)
			return bad(err, "names of", number);
	}
	return 0;
}

int rootfs_check(struct rootfs *rootfs, struct err *err)
{
	const struct rootfs_header *h = rootfs->header;
	if (h->inodes < 1 || !S_ISDIR(rootfs->inodes[0].mode) || rootfs->inodes[0].parent != 1)
		return bad(err, "root of", h->inodes);
	void *array = NULL;
	int r = mem_try(&array, h->inodes, sizeof(uint32_t), err);
	if (r < 0)
		return r;
	auto_free uint32_t *names = array;
	r = check_strings(rootfs, err);
	if (r == 0)
		r = check_xattrs(rootfs, err);
	if (r == 0)
		r = check_inodes(rootfs, names, err);
	return r == 0 ? check_names(rootfs, names, err) : r;
}
