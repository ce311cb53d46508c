/*
 * A layer's table of contents: its entries in the order of the tar, compact, with names in one
 * string table.  Made by whoever reads a layer, used by the merge (image/tree.h).
 *
 * Paths are cleaned here and only here: leading "/" and "./" stripped, "." and doubled "/" gone, a
 * ".." component is -EBADMSG with the entry named.  Whiteouts become entry kinds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "codec/tar.h"

#define TOC_ENTRIES_MAX (20u * 1000 * 1000)
#define TOC_NO_CONTENT UINT32_MAX

enum toc_kind {
	TOC_FILE,
	TOC_HARDLINK,
	TOC_SYMLINK,
	TOC_CHAR,
	TOC_BLOCK,
	TOC_DIRECTORY,
	TOC_FIFO,
	TOC_WHITEOUT, /* path names what is hidden */
	TOC_OPAQUE,   /* path names the directory */
};

struct toc_entry {
	uint32_t path; /* offset in the string table */
	uint32_t link; /* offset; symlink: target as written; hard link: cleaned path; else 0 */
	uint64_t size;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode : 12, kind : 4, spare : 16; /* permission bits; enum toc_kind; 0 */
	uint32_t uid, gid;
	uint32_t xattrs;  /* index + 1 into the xattr list, 0 = none */
	uint32_t content; /* number of a regular file's data where they were put (image/stage.h), or
			     TOC_NO_CONTENT */
	uint32_t dev_major, dev_minor;
};

struct toc;
struct toc *toc_new(void);
void toc_free(struct toc *toc);
DEFINE_AUTO(toc)

/*
 * Append one tar entry.  *index is its number; UINT32_MAX when it is to be ignored (AUFS
 * leftovers). -EBADMSG a name that climbs out, a root that is no directory, a bad whiteout or link;
 * -E2BIG too many.
 */
MUST_USE int toc_add(struct toc *toc, const struct tar_entry *entry, uint32_t *index,
		     struct err *err);

uint32_t toc_count(const struct toc *toc);
/* Borrowed; of a table (layer/table.h) it may only be read. */
struct toc_entry *toc_at(struct toc *toc, uint32_t index);
const char *toc_string(const struct toc *toc, uint32_t offset);

/* Extended attributes that may be kept: user.* less overlay's own, security.capability, POSIX ACLs.
 */
struct toc_xattr {
	const char *name;
	const uint8_t *value;
	uint32_t size;
};
/* The entry's xattrs into OUT (at most CAPACITY); returns how many there are. */
size_t toc_xattrs(const struct toc *toc, const struct toc_entry *entry, struct toc_xattr *out,
		  size_t capacity);
bool toc_xattr_allowed(const char *name);
/* Attributes dropped so far: by the allow-list, or with a value larger than the kernel takes. */
uint64_t toc_dropped_xattrs(const struct toc *toc);
