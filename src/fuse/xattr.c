/*
 * Extended attributes.  When no file of the image has any, getxattr is answered ENOSYS and the
 * kernel asks no more: overlayfs on top would else ask once for every file it looks up.  listxattr
 * then gives an empty list all the same: tar(1) takes the error that ENOSYS becomes for a reason to
 * warn of every file.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "fuse/fs-internal.h"

#define LIST_MAX_BYTES (64u * 1024) /* XATTR_LIST_MAX */

/* The inode's attributes, *out yours to free; a negative errno. */
static int get_all(fuse_req_t req, fuse_ino_t number, struct toc_xattr **out, size_t *count)
{
	const struct fs *fs = fs_of(req);
	const struct rootfs *rootfs = lazy_rootfs(fs->lazy);
	const struct rootfs_inode *inode = rootfs_inode(rootfs, number);
	fs_count(&fs->counters->xattrs);
	if (!fs->has_xattrs)
		return -ENOSYS;
	if (!inode)
		return -ENOENT;
	*count = rootfs_xattrs(rootfs, inode, NULL, 0);
	void *all;
	int r = mem_try(&all, *count + 1, sizeof(struct toc_xattr), NULL);
	if (r < 0)
		return r;
	*out = all;
	(void)rootfs_xattrs(rootfs, inode, *out, *count);
	return 0;
}

/* As getxattr(2) and listxattr(2) want it: how many bytes, or the bytes if they fit. */
static void reply(fuse_req_t req, const void *data, size_t size, size_t room)
{
	if (room == 0)
		(void)fuse_reply_xattr(req, size);
	else if (size > room)
		(void)fuse_reply_err(req, ERANGE);
	else
		(void)fuse_reply_buf(req, data, size);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t number, const char *name, size_t size)
{
	auto_free struct toc_xattr *all = NULL;
	size_t count = 0;
	int r = get_all(req, number, &all, &count);
	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (str_equal(all[i].name, name)) {
			reply(req, all[i].value, all[i].size, size);
			return;
		}
	}
	(void)fuse_reply_err(req, ENODATA);
}

void fs_listxattr(fuse_req_t req, fuse_ino_t number, size_t size)
{
	if (!fs_of(req)->has_xattrs) {
		reply(req, "", 0, size);
		return;
	}
	auto_free struct toc_xattr *all = NULL;
	size_t count = 0;
	int r = get_all(req, number, &all, &count);
	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	auto_str names = STR_MAX(LIST_MAX_BYTES);
	for (size_t i = 0; i < count; i++)
		str_addn(&names, all[i].name, strlen(all[i].name) + 1);
	if (names.failed)
		(void)fuse_reply_err(req, E2BIG);
	else
		reply(req, names.length > 0 ? names.data : "", names.length, size);
}
