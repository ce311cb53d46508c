/*
 * Owner, mode, xattrs and times of something just made, by descriptor or by (directory, name)
 * without following links.  What cannot be kept is counted, not fatal: owners and xattrs for want
 * of privilege or of support in the file system.  Everything else fails (a full disk, an I/O
 * error).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "layer/toc.h"

struct attrs {
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	const struct toc_xattr *xattrs; /* borrowed */
	size_t xattr_count;
};

struct attrs_policy {
	bool owners;	   /* we may change owners (euid 0) */
	uint32_t uid, gid; /* ours: what a new file has */
	_Atomic uint64_t failed_owners;
	_Atomic uint64_t failed_xattrs;
};

void attrs_policy_init(struct attrs_policy *policy);

/* A regular file or directory; MADE_MODE are the permission bits it was created with. */
MUST_USE int attrs_set_fd(struct attrs_policy *policy, int fd, const struct attrs *attrs,
			  uint32_t made_mode, struct err *err);
/* A symbolic link, fifo or device; the mode of a link is left alone. */
MUST_USE int attrs_set_at(struct attrs_policy *policy, int dirfd, const char *name, bool is_link,
			  const struct attrs *attrs, struct err *err);
