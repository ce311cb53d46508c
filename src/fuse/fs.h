/*
 * A lazily opened image as a FUSE file system: libfuse3's low-level API over struct rootfs and
 * lazy_read_start.  Operations only translate; what a name or a byte is, image/ knows.
 *
 * Read-only, inode numbers are the tree's, file handles are 0, entries and attributes never expire,
 * open and opendir are answered ENOSYS, getxattr and listxattr too when no file has any, forget
 * does nothing.  So every request can be answered by any daemon, also by one that was started
 * later.
 */
#pragma once

#include "image/lazy.h"

struct fuse_lowlevel_ops;

struct fs {
	struct lazy *lazy;    /* borrowed */
	uint64_t block_bytes; /* for statfs */
};

/* The operations; userdata of the session is a struct fs. */
const struct fuse_lowlevel_ops *fs_ops(void);
