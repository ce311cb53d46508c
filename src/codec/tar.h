/*
 * Reading a tar stream entry by entry: ustar, PAX (x, g), GNU (L, K, S, base-256), V7.
 * POSIX.1-2017 pax; GNU tar manual "Basic Tar Format".  Used for layers and for image archives.
 *
 * Rules where readers differ (docs/formats.md): PAX size, path and linkpath belong to the next file
 * header only; two zero blocks end the archive, one zero block followed by a header is -EBADMSG, an
 * end of the stream at a block boundary after one or no zero block is accepted; a wrong header
 * checksum, a malformed PAX record, a negative or impossible number is -EBADMSG.  Limits: 1 MiB an
 * extension header, 4096 bytes a path or link, 255 a component, 1 MiB of xattrs an entry, 1 Mi
 * extents of a sparse file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/stream.h"

#define TAR_PATH_MAX_BYTES 4096
#define TAR_NAME_MAX_BYTES 255
#define TAR_SIZE_MAX ((uint64_t)1 << 53)

enum tar_type {
	TAR_FILE,
	TAR_HARDLINK,
	TAR_SYMLINK,
	TAR_CHAR,
	TAR_BLOCK,
	TAR_DIRECTORY,
	TAR_FIFO,
};

struct tar_xattr {
	const char *name; /* without the PAX prefix: "user.x", "security.capability" */
	const uint8_t *value;
	size_t size;
};

struct tar_extent {
	uint64_t offset; /* in the file */
	uint64_t size;
};

/* Everything in it is borrowed from the reader until the next tar_next. */
struct tar_entry {
	enum tar_type type;
	const char *path;  /* as written, NUL-terminated, no NUL inside; not yet cleaned */
	const char *link;  /* target of TAR_SYMLINK and TAR_HARDLINK, else "" */
	uint32_t mode;	   /* 07777 */
	uint32_t uid, gid; /* -EBADMSG when it does not fit 32 bits, or is 2^32-1 */
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t dev_major, dev_minor;
	uint64_t size;	      /* of the file, holes included; 0 for all but TAR_FILE */
	uint64_t stored;      /* bytes of data in the stream (== size when not sparse) */
	uint64_t data_offset; /* of the stored bytes in the stream */
	bool sparse;
	const struct tar_extent *extents; /* of a sparse file, rising, within size */
	size_t extent_count;
	const struct tar_xattr *xattrs;
	size_t xattr_count;
};

struct tar;
/* Reads STREAM (borrowed, must outlive the reader). */
struct tar *tar_new(struct stream *stream);
void tar_free(struct tar *tar);
DEFINE_AUTO(tar)

/*
 * The next entry: *entry set and 1 returned; 0 at the end of the archive (the rest of the stream
 * was read and passed over); negative on error.  What is left of the previous entry's data is
 * passed over.
 */
MUST_USE int tar_next(struct tar *tar, const struct tar_entry **entry, struct err *err);

/*
 * The next piece of the current file's data and its offset in the file; *size 0 when all was given.
 * Holes are not given.  *data borrowed until the next call.
 */
MUST_USE int tar_data(struct tar *tar, const void **data, size_t *size, uint64_t *offset,
		      struct err *err);

/* Non-zero bytes were found behind the end of the archive (allowed, worth a word). */
bool tar_has_trailing_data(const struct tar *tar);
