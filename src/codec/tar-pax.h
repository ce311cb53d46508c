/*
 * The records of a PAX extended header (POSIX.1-2017 pax, "pax Extended Header"):
 *
 *	record := length ' ' key '=' value '\n'     length in decimal, of the whole record
 *
 * Strings point into the parsed text, which is changed in place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/tar.h"

struct tar_pax_number {
	bool there;
	uint64_t value;
};

/* All zero: no extended header. */
struct tar_pax {
	const char *path; /* NULL when not there */
	const char *link;
	struct tar_pax_number size, uid, gid;
	bool has_mtime;
	int64_t mtime_s;
	uint32_t mtime_ns;

	struct tar_xattr *xattrs; /* owned; by name, each once */
	size_t xattr_count, xattr_capacity;

	/* GNU.sparse.* */
	const char *sparse_name; /* NULL when not there */
	const char *sparse_map;	 /* of 0.1 */
	struct tar_pax_number sparse_major, sparse_minor, sparse_size, sparse_real_size,
		sparse_blocks;
	struct tar_extent *sparse_extents; /* owned; of 0.0, in pairs of records */
	size_t sparse_count, sparse_capacity;
	bool sparse_half; /* an offset waits for its size */
};

/*
 * TEXT must be NUL-terminated behind SIZE and live as long as *out is used.  *out is emptied first,
 * its memory reused.  -EBADMSG malformed; -E2BIG over a limit.
 */
MUST_USE int tar_pax_parse(struct tar_pax *out, char *text, size_t size, struct err *err);
/* No extended header; memory is kept. */
void tar_pax_reset(struct tar_pax *pax);
void tar_pax_release(struct tar_pax *pax);

/* Versions are given by 1.0 and later writers of 0.x; the first 0.x had only a map. */
bool tar_pax_is_sparse(const struct tar_pax *pax);

/* Digits from *at on, which moves behind them; false when there is none or the number is above
 * 2^64-1. */
bool tar_pax_digits(uint64_t *out, const char **at);
