/*
 * Everything below a place in a merged image, in the order of names, one after the other: what ls
 * -R, find, du, grep and cp loop over.
 */
#pragma once

#include "base/str.h"
#include "image/rootfs.h"

struct rootfs_visit {
	const char *path; /* from the start's path on; borrowed until the next call */
	const char *name; /* its last component; the start's: its path */
	uint32_t number;  /* of the inode */
	const struct rootfs_inode *inode; /* borrowed from the rootfs */
	unsigned depth;			  /* 0: where the walk began */
	bool leaving;			  /* a directory, after all that is below it */
};

enum rootfs_walk {
	ROOTFS_WALK_ON = 0,
	ROOTFS_WALK_SKIP = 1, /* do not go down into this directory (nor leave it) */
};

struct rootfs_walk_options {
	/*
	 * Called for each name before what is below it and, with LEAVING set, for each directory
	 * once more after it.  ROOTFS_WALK_ON, ROOTFS_WALK_SKIP, or a negative code, which ends the
	 * walk.
	 */
	int (*visit)(void *arg, const struct rootfs_visit *visit, struct err *err);
	void *arg; /* borrowed */
};

/* From inode START, which PATH shows, downwards; symbolic links are not followed. */
MUST_USE int rootfs_walk(const struct rootfs *rootfs, uint32_t start, const char *path,
			 const struct rootfs_walk_options *options, struct err *err);
