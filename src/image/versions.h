/* What became of one path, layer by layer: where it was made, replaced, removed. */
#pragma once

#include "base/str.h"
#include "image/rootfs.h"

struct version {
	size_t layer;  /* from 0, bottom first */
	bool removed;  /* it is gone from this layer on: a whiteout, or something above it went */
	uint32_t mode; /* with the type, as struct rootfs_inode; of what was removed: before it */
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime_s;
	uint32_t mtime_ns;
};

struct versions {
	struct version *all; /* owned, bottom first */
	size_t count, capacity;
};

/*
 * PATH as rootfs_resolve takes it, from the root; its last component is not followed.  TOCS are the
 * COUNT layers, bottom first; they are only read.  -EBADMSG they cannot be merged.
 */
MUST_USE int versions_of(struct versions *out, const struct rootfs *rootfs, const char *path,
			 struct toc *const *tocs, size_t count, struct err *err);
void versions_release(struct versions *versions);

/* The path of directory NUMBER from the root, without a slash in front: "" is the root. */
void rootfs_directory_path(const struct rootfs *rootfs, uint32_t number, struct str *out);
