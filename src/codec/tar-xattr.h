/* Extended attributes as PAX records carry them: SCHILY.xattr.* raw, LIBARCHIVE.xattr.* encoded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "codec/tar.h"

/*
 * -E2BIG when the name is longer than the kernel's.  A value may be larger than the kernel's 64
 * KiB: images have such, and whoever keeps attributes leaves them out.
 */
MUST_USE int tar_xattr_check(const struct tar_xattr *xattr, struct err *err);

/*
 * Decode NAME (percent encoding, NUL-terminated) and VALUE (base64, padded or not) in place; false
 * when either is malformed.
 */
bool tar_xattr_decode(struct tar_xattr *out, char *name, char *value, size_t size);

/*
 * Sort by name and keep the last of each name, "last" by where the names lie in memory; the new
 * count is returned.
 */
size_t tar_xattr_unique(struct tar_xattr *xattrs, size_t count);
