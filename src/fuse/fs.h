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

#include <stdatomic.h>

#include "image/lazy.h"

struct fuse_lowlevel_ops;

/* What was asked of all daemons of one mount so far: in memory they share with the supervisor. */
struct fs_counters {
	_Atomic uint64_t lookups, attributes, directories, links, xattrs, others;
	_Atomic uint64_t reads, read_bytes;
	_Atomic uint64_t waits;	 /* reads whose bytes were not at hand */
	_Atomic uint64_t errors; /* reads that failed */
};
/* Requests answered; rises as long as somebody is served. */
uint64_t fs_counters_sum(const struct fs_counters *counters);

struct fs {
	struct lazy *lazy;	      /* borrowed */
	struct fs_counters *counters; /* borrowed */
	/* Reads that nobody answered in time, at most a line a second; any thread; may be NULL. */
	void (*late)(void *arg, const char *text);
	void *arg;
	_Atomic int64_t late_s; /* when it was last said */
	bool has_xattrs;	/* by fs_init */
	bool has_acls;
};

/* After lazy, counters, late and arg were set; LAZY must outlive what was asked of it. */
void fs_init(struct fs *fs);

/* The operations; userdata of the session is a struct fs. */
const struct fuse_lowlevel_ops *fs_ops(void);
