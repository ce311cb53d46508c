/* Between the files of the file system: fs.c (names, attributes), dir.c, file.c, xattr.c. */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fuse/fs.h"

/* The kernel takes seconds as 64 bits and adds them to its clock, capped: a century is for ever. */
#define FS_FOREVER_SECONDS (100.0 * 365 * 24 * 3600)

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* The inode the kernel speaks of, which it got from us; NULL only when it is mistaken. */
static inline const struct rootfs_inode *fs_inode(fuse_req_t req, fuse_ino_t number)
{
	return rootfs_inode(lazy_rootfs(fs_of(req)->lazy), number);
}

static inline void fs_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void fs_fill_attributes(const struct fs *fs, struct stat *out, const struct rootfs_inode *inode,
			uint64_t number);

void fs_readdir(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
		struct fuse_file_info *file);
void fs_readdirplus(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
		    struct fuse_file_info *file);
void fs_read(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
	     struct fuse_file_info *file);
void fs_getxattr(fuse_req_t req, fuse_ino_t number, const char *name, size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t number, size_t size);
