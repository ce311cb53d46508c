/*
 * How large directories are: the bytes of the regular files and the lengths of the symbolic links
 * below them, each inode once, where a walk comes to it first; as du --apparent-size counts since
 * coreutils 9.2.
 */
#pragma once

#include "image/rootfs.h"

/*
 * Sums by inode number (rootfs_inode_count + 1 of them), of what is at or below START; yours to
 * free.  What is not a directory has its own size, or 0 where it was counted under another name.
 */
MUST_USE int sizes_below(const struct rootfs *rootfs, uint32_t start, uint64_t **out,
			 struct err *err);
