/*
 * One 512-byte tar header: V7, ustar, star and old GNU.  Pure: bytes in, numbers and names out.
 *
 *	  0 name[100]   100 mode[8]  108 uid[8]  116 gid[8]  124 size[12]  136 mtime[12]
 *	148 chksum[8]   156 type     157 linkname[100]
 *	257 magic[6] version[2]      265 uname[32]  297 gname[32]  329 devmajor[8]  337 devminor[8]
 *	345 ustar: prefix[155]   star: prefix[131] atime[12] ctime[12]   508 star: "tar\0"
 *	    GNU: atime[12] ctime[12] ... 386 sparse map[4 x 24]  482 more  483 realsize[12]
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TAR_BLOCK_BYTES 512
#define TAR_HEADER_NAME_BYTES (155 + 1 + 100)
#define TAR_HEADER_LINK_BYTES 100

struct tar_header {
	char type;
	bool gnu;
	char name[TAR_HEADER_NAME_BYTES + 1]; /* with the prefix */
	char link[TAR_HEADER_LINK_BYTES + 1];
	uint64_t size;
	int64_t mode, uid, gid, mtime, dev_major, dev_minor;
};

/* All 512 bytes are zero. */
bool tar_header_is_zero(const uint8_t *block);

/* -EBADMSG for a wrong checksum or a field that is no number; size is never negative. */
MUST_USE int tar_header_parse(struct tar_header *out, const uint8_t *block, struct err *err);

/*
 * A numeric field: octal digits between blanks and NULs, or base-256 (first bit set) of either
 * sign; an empty field is 0.  False when it is neither, or does not fit.
 */
bool tar_header_number(int64_t *out, const uint8_t *field, size_t size);
