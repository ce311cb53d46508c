/*
 * Paths inside a merged image, resolved in the tree the way a chroot would.
 */
#pragma once

#include "base/str.h"
#include "image/rootfs.h"

/*
 * The inode PATH names ("", "/", "/etc//passwd", "etc/../etc/./passwd" all work, ".." stops at the
 * root).  Symbolic links on the way are followed inside the image; at the end when FOLLOW is set or
 * PATH ends with a slash.
 *
 * -ENOENT no such name (the text has the nearest one in that directory, if any is near), a path
 * through something that is no directory, more than TREE_HOPS_MAX links; -EINVAL a path or
 * component that is too long.
 */
MUST_USE int rootfs_resolve(const struct rootfs *rootfs, const char *path, bool follow,
			    uint32_t *inode, struct err *err);
