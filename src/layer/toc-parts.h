/*
 * The arrays a table of contents is made of: what the file of a table keeps (layer/table-file.h),
 * and what a table of contents over such a file is made from.
 */
#pragma once

#include "layer/toc.h"

#define TOC_XATTR_MAX_BYTES (64u * 1024) /* of a value: XATTR_SIZE_MAX of the kernel */

struct toc_xattr_record {
	uint32_t name;	/* offset in strings */
	uint32_t value; /* offset in values */
	uint32_t size;
	uint32_t more; /* 1: further records of the same entry follow */
};

/* Everything in it is borrowed. */
struct toc_parts {
	const struct toc_entry *entries;
	size_t entry_count;
	const char *strings; /* each ends with a NUL; offset 0 is "" */
	size_t strings_size;
	const struct toc_xattr_record *xattrs;
	size_t xattr_count;
	const uint8_t *values;
	size_t values_size;
	uint64_t dropped_xattrs;
};

struct toc_parts toc_parts_of(const struct toc *toc);

/*
 * That every offset stays inside and every entry is one that toc_add could have made; CONTENTS is
 * how many content numbers there are.  One pass.  -EBADMSG.
 */
MUST_USE int toc_parts_check(const struct toc_parts *parts, uint32_t contents, struct err *err);

/* A table of contents over checked parts, which must outlive it; nothing can be added. */
struct toc *toc_of_parts(const struct toc_parts *parts);
