/*
 * The map of a sparse file, in each of the four ways GNU tar has written it (GNU tar manual,
 * "Sparse Formats"):
 *
 *	old GNU  type S: 4 pairs and the real size in the header, 21 pairs a block behind it
 *	0.0      PAX records GNU.sparse.offset and .numbytes in turn
 *	0.1      PAX record GNU.sparse.map=offset,size,...
 *	1.0      lines "count", "offset", "size", ... in front of the data, padded to 512
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/tar-header.h"
#include "codec/tar-input.h"
#include "codec/tar-pax.h"
#include "codec/tar.h"

struct tar_sparse {
	struct tar_extent *extents; /* owned */
	size_t count, capacity;
	uint64_t size; /* of the file, holes included */
};

void tar_sparse_release(struct tar_sparse *sparse);

/*
 * Each reads the map of one file and checks it: rising, not overlapping, within the file's size,
 * and in sum the bytes that are stored. -EBADMSG, -E2BIG.
 */

/* HEADER is the block of type S; blocks that extend it are read from INPUT. */
MUST_USE int tar_sparse_old_gnu(struct tar_sparse *sparse, const uint8_t *header, uint64_t stored,
				struct tar_input *input, struct err *err);

/*
 * 1 when the PAX header describes a sparse file, 0 when not.  *stored is what the header says on
 * entry, and without a map in front of the data (1.0; it is read from INPUT) on return.
 */
MUST_USE int tar_sparse_pax(struct tar_sparse *sparse, const struct tar_pax *pax, uint64_t *stored,
			    struct tar_input *input, struct err *err);
