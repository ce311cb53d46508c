/*
 * fusermount3, the setuid helper of libfuse, mounts for those who may not: it opens /dev/fuse,
 * mounts, and sends the descriptor over the socket whose number is in $_FUSE_COMMFD, as one byte
 * with SCM_RIGHTS (libfuse, util/fusermount.c and lib/mount.c).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/*
 * *fd is the open /dev/fuse.  -EOPNOTSUPP there is no fusermount3; -EACCES, -EBUSY or -EIO with
 * what it said.
 */
MUST_USE int fusermount_mount(int *fd, const char *directory, const char *options, struct err *err);
MUST_USE int fusermount_unmount(const char *directory, bool lazily, struct err *err);
/* It is in PATH. */
bool fusermount_exists(void);
