/*
 * The file of a rootfs, what rootfs.c reads and rootfs-build.c writes.  Numbers are the machine's
 * own: the file never leaves its cache.
 *
 *	header	  struct rootfs_header
 *	inodes	  struct rootfs_inode each, number 1 first
 *	children  struct rootfs_child each, 8 bytes: directories' runs in the order of their inodes
 *	xattrs	  struct rootfs_xattr each, 16 bytes
 *	strings	  NUL-terminated, offset 0 is ""
 *	values	  of the xattrs
 *
 * Inodes are numbered breadth first: the root, its children by name, then the children of the
 * directories among them, and so on.  So a directory's number is less than those of the directories
 * in it (no cycles), and the runs of children follow each other without a gap.
 */
#pragma once

#include "image/rootfs.h"

#define ROOTFS_MAGIC "rlrootfs"
#define ROOTFS_ORDER 0x01020304u /* reads differently with the other byte order */

struct rootfs_header {
	char magic[8];
	uint32_t format, order;
	uint32_t inodes, children, xattrs, strings; /* strings: bytes */
	uint64_t values;			    /* bytes */
};

struct rootfs_xattr {
	uint32_t name;	/* offset in the strings */
	uint32_t value; /* offset in the values */
	uint32_t size;
	uint32_t more; /* 1: the next record belongs to the same inode */
};

_Static_assert(sizeof(struct rootfs_header) == 40, "no padding");
_Static_assert(sizeof(struct rootfs_inode) == 56, "no padding");
_Static_assert(sizeof(struct rootfs_child) == 8, "no padding");
_Static_assert(sizeof(struct rootfs_xattr) == 16, "no padding");

struct rootfs {
	const struct rootfs_header *header; /* all borrowed from the file */
	const struct rootfs_inode *inodes;
	const struct rootfs_child *children;
	const struct rootfs_xattr *xattrs;
	const char *strings;
	const uint8_t *values;
	uint64_t bytes;
};

/* Everything the header promises about the sections it is followed by. */
MUST_USE int rootfs_check(struct rootfs *rootfs, struct err *err);
