/*
 * Mounting and unmounting FUSE: by the system call where we may, by fusermount3 else.  Nothing here
 * waits for whoever serves the mount.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct attach_options {
	const char *directory; /* as realpath(3) writes it */
	const char *source;    /* shown by mount(8) */
	bool suid, dev, allow_other;
};

/* *fd is the open /dev/fuse, with the kernel's FUSE_INIT to be read. */
MUST_USE int attach_mount(int *fd, const struct attach_options *options, struct err *err);

/* -EBUSY somebody is in it (not when LAZILY); -EINVAL nothing is mounted there. */
MUST_USE int attach_unmount(const char *directory, bool lazily, struct err *err);

/* See mount_usable(). */
MUST_USE int attach_usable(struct err *err);

/* Let the kernel read KIB ahead; only root may, it is silent about others. */
void attach_read_ahead(const char *directory, unsigned kib);

/* The file system at DIRECTORY says it has lost its connection.  At most TIMEOUT_MS. */
bool attach_is_dead(const char *directory, int timeout_ms);
