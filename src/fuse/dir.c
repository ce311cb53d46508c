/*
 * Listing directories.  The children of one are neighbours in an array, so an offset is an index:
 * 0 is ".", 1 is "..", then the children.  It means the same to every daemon.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "fuse/fs-internal.h"

#define LISTING_MAX_BYTES (1024u * 1024)
#define DOTS 2u

struct listing {
	fuse_req_t req;
	char *buf; /* owned */
	size_t size, used;
	bool plus;
};

/* False when there is no room left. */
static bool add(struct listing *listing, const char *name, uint32_t number, uint64_t next)
{
	const struct rootfs_inode *inode = fs_inode(listing->req, number);
	char *at = listing->buf + listing->used;
	size_t left = listing->size - listing->used, need;
	struct fuse_entry_param entry = {
		.attr_timeout = FS_FOREVER_SECONDS,
		.entry_timeout = FS_FOREVER_SECONDS,
	};
	fs_fill_attributes(fs_of(listing->req), &entry.attr, inode, number);
	if (listing->plus) {
		/* 0: this is not a lookup, there is nothing to remember of "." and ".." */
		entry.ino = next > DOTS ? number : ROOTFS_NONE;
		need = fuse_add_direntry_plus(listing->req, at, left, name, &entry, (off_t)next);
	} else {
		need = fuse_add_direntry(listing->req, at, left, name, &entry.attr, (off_t)next);
	}
	if (need > left)
		return false;
	listing->used += need;
	return true;
}

static void add_all(struct listing *listing, const struct rootfs_inode *dir, uint32_t number,
		    uint64_t from)
{
	const struct rootfs *rootfs = lazy_rootfs(fs_of(listing->req)->lazy);
	for (uint64_t i = from; i < (uint64_t)dir->b + DOTS; i++) {
		const char *name = i == 0 ? "." : "..";
		uint32_t child = i == 0 ? number : dir->parent;
		if (i >= DOTS) {
			const struct rootfs_child *c = rootfs_child(rootfs, dir,
								    (uint32_t)(i - DOTS));
			name = rootfs_string(rootfs, c->name);
			child = c->inode;
		}
		if (!add(listing, name, child, i + 1))
			return;
	}
}

static void list(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset, bool plus)
{
	const struct rootfs_inode *dir = fs_inode(req, number);
	fs_count(&fs_of(req)->counters->directories);
	if (!dir || !S_ISDIR(dir->mode) || offset < 0) {
		(void)fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (size > LISTING_MAX_BYTES)
		size = LISTING_MAX_BYTES;
	auto_free char *buf = malloc(size);
	if (!buf) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	struct listing listing = { .req = req, .buf = buf, .size = size, .plus = plus };
	add_all(&listing, dir, (uint32_t)number, (uint64_t)offset);
	(void)fuse_reply_buf(req, buf, listing.used);
}

void fs_readdir(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
		struct fuse_file_info *file)
{
	(void)file;
	list(req, number, size, offset, false);
}

void fs_readdirplus(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
		    struct fuse_file_info *file)
{
	(void)file;
	list(req, number, size, offset, true);
}
