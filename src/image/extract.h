/*
 * Part of a lazily opened image becomes files on disk: one file, or a directory with all in it,
 * with owners, modes, times, attributes and hard links as an unpack makes them.
 *
 * Everything is made in a private directory beside the destination and renamed at the end, so that
 * a failure leaves nothing behind, and no name of the image is ever walked by the kernel.
 */
#pragma once

#include "image/lazy.h"

struct extract_options {
	bool devices; /* make device nodes (needs CAP_MKNOD); they are counted otherwise */
	const atomic_bool *cancel; /* borrowed or NULL */
};

struct extract_result {
	uint64_t names, bytes; /* made */
	/* What could not be kept, as struct unpack_result. */
	uint64_t skipped_devices, failed_owners, failed_xattrs;
};

/*
 * Inode NUMBER of LAZY as NAME (one component) in directory DIRFD (borrowed).  -EEXIST or
 * -EINVAL there is something of that name, unless it is a regular file to be replaced by one.
 */
MUST_USE int extract_inode(struct lazy *lazy, uint32_t number, int dirfd, const char *name,
			   const struct extract_options *options, struct extract_result *out,
			   struct err *err);
