/*
 * The merged image as a mount needs it: immutable, in one piece of memory that is also the file the
 * cache keeps.  Made once from struct tree; the next mount maps it.
 *
 *	inode numbers are indexes: the root is 1, there is no 0; all names of a hard link share one
 *	directories: their children are neighbours in one array, sorted by name (memcmp), so that
 *	lookup is a binary search and an offset of readdir is an index
 *
 * Under 100 bytes a file besides names.  Whatever the file says is validated when it is opened;
 * afterwards nothing here fails.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image/tree.h"

#define ROOTFS_FORMAT 1
#define ROOTFS_ROOT 1u
#define ROOTFS_NONE 0u

struct rootfs_inode {
	uint64_t size; /* of files: bytes; of symlinks: length of the target; of directories: 0 */
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode; /* with the type: S_IFREG | 0644 */
	uint32_t uid, gid;
	uint32_t nlink;	 /* as stat(2) has it; directories: 2 + subdirectories */
	uint32_t parent; /* of directories: their parent's inode; the root's is itself */
	/* files: content number; symlinks: offset of the target; devices: major; directories: first
	   child */
	uint32_t a;
	uint32_t b;	 /* devices: minor; directories: number of children */
	uint32_t xattrs; /* index + 1 of a run of xattrs; 0: none */
	uint16_t layer;	 /* which table the content number belongs to; where the inode is from */
	uint16_t flags;	 /* enum rootfs_flags */
};

enum rootfs_flags {
	ROOTFS_IMPLIED = 1u << 0, /* a directory no entry made */
};

struct rootfs_child {
	uint32_t name; /* offset in the strings */
	uint32_t inode;
};

struct rootfs;

/* The file for TREE, yours to free.  *FILES of content numbers stay those of the layers' tables. */
MUST_USE int rootfs_build(const struct tree *tree, void **out, size_t *size, struct err *err);

/* Over DATA (borrowed, must outlive it).  Validates; -EBADMSG. */
MUST_USE int rootfs_open(struct rootfs **out, const void *data, size_t size, struct err *err);
void rootfs_free(struct rootfs *rootfs);
DEFINE_AUTO(rootfs)

uint32_t rootfs_inode_count(const struct rootfs *rootfs); /* numbers are 1 .. count */
uint64_t rootfs_bytes(const struct rootfs *rootfs); /* sizes of all regular files, once each */
bool rootfs_has_xattrs(const struct rootfs *rootfs);
/* NULL when there is no such number. */
const struct rootfs_inode *rootfs_inode(const struct rootfs *rootfs, uint64_t number);
const char *rootfs_string(const struct rootfs *rootfs, uint32_t offset);
/* Child I of directory DIR (which must be one), 0 <= I < dir->b. */
const struct rootfs_child *rootfs_child(const struct rootfs *rootfs, const struct rootfs_inode *dir,
					uint32_t i);
/* The inode of that name in DIR, or ROOTFS_NONE. */
uint32_t rootfs_lookup(const struct rootfs *rootfs, const struct rootfs_inode *dir,
		       const char *name, size_t length);
/* The inode's xattrs; as toc_xattrs. */
size_t rootfs_xattrs(const struct rootfs *rootfs, const struct rootfs_inode *inode,
		     struct toc_xattr *out, size_t capacity);
