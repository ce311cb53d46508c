/* Files: whole reads and writes, and the only way to open a path that an image chose. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Open PATH below DIRFD: never above it, never through a symbolic link or a magic one of /proc
 * (openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS, and a walk of O_NOFOLLOW
 * components where openat2 is missing or forbidden).  O_CLOEXEC is added.  Returns the descriptor.
 *
 * -EXDEV an absolute path or one with ".."; -ELOOP a symbolic link on the way, or at its end (a
 * link itself is opened with O_PATH | O_NOFOLLOW); else what openat says.
 */
MUST_USE int beneath_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err);

/* Write all of DATA. */
MUST_USE int io_write_all(int fd, const void *data, size_t size, struct err *err);

/* Read FD to its end: at most MAX_BYTES (-E2BIG), NUL-terminated behind *size, yours to free. */
MUST_USE int io_read_all(int fd, size_t max_bytes, char **out, size_t *size, struct err *err);

/* The same by path, relative to DIRFD (AT_FDCWD); follows links (for files of the user, not of
 * images). */
MUST_USE int io_read_file(int dirfd, const char *path, size_t max_bytes, char **out, size_t *size,
			  struct err *err);

/*
 * Create NAME (one component) in DIRFD with DATA, whole or not at all: written unnamed (O_TMPFILE,
 * or a temporary name where that is missing), then linked over what was there.
 */
MUST_USE int io_write_file(int dirfd, const char *name, const void *data, size_t size, mode_t mode,
			   struct err *err);

/*
 * Remove NAME (one component) in DIRFD and everything below it: any depth, any mode, with a few
 * descriptors; nothing there is fine.  Follows no link and never crosses a mount (-EXDEV or
 * -EBUSY); after a failure the rest is removed all the same, the first one is reported.
 */
MUST_USE int io_remove_tree(int dirfd, const char *name, struct err *err);

/*
 * How many descriptors one of SHARES users may hold open at once: its share of the soft limit, at
 * least 16, at most 4096 (more than any path has components).
 */
size_t io_descriptor_share(size_t shares);
