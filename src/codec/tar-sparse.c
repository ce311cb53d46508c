/*
 * Sparse maps.  What a map claims costs nothing: the array grows with the pairs that are really
 * there, and their number has a limit.  Called by tar.c.
 */
#include "codec/tar-sparse.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

#define EXTENTS_MAX ((uint64_t)1 << 20)

/* Fields of the old GNU header and of the blocks that extend it. */
enum {
	NUMBER_BYTES = 12,
	PAIR_BYTES = 2 * NUMBER_BYTES,
	HEADER_PAIRS_AT = 386,
	HEADER_PAIRS = 4,
	HEADER_MORE_AT = 482,
	HEADER_SIZE_AT = 483,
	BLOCK_PAIRS = 21,
	BLOCK_MORE_AT = 504,
};

void tar_sparse_release(struct tar_sparse *sparse)
{
	free(sparse->extents);
}

static int add(struct tar_sparse *sparse, uint64_t offset, uint64_t size, struct err *err)
{
	if (sparse->count >= EXTENTS_MAX)
		return err_set(err, E2BIG, "sparse map of more than %llu extents",
			       (unsigned long long)EXTENTS_MAX);
	sparse->extents = mem_grow(sparse->extents, &sparse->capacity, sparse->count,
				   sizeof(*sparse->extents));
	sparse->extents[sparse->count++] = (struct tar_extent){ offset, size };
	return 0;
}

/* Also drops the empty extents: one at the file's end is how a trailing hole is written. */
static int check(struct tar_sparse *sparse, uint64_t stored, struct err *err)
{
	uint64_t before = 0, sum = 0;
	size_t kept = 0;
	if (sparse->size > TAR_SIZE_MAX)
		return err_set(err, EBADMSG, "sparse file of impossible size");
	for (size_t i = 0; i < sparse->count; i++) {
		struct tar_extent extent = sparse->extents[i];
		uint64_t end;
		if (!add_ok(extent.offset, extent.size, &end) || end > sparse->size)
			return err_set(err, EBADMSG, "sparse map reaches beyond the file");
		if (extent.offset < before)
			return err_set(err, EBADMSG, "sparse map is out of order or overlaps");
		before = end;
		sum += extent.size; /* <= size, as they do not overlap */
		if (extent.size > 0)
			sparse->extents[kept++] = extent;
	}
	if (sum != stored)
		return err_set(err, EBADMSG, "sparse map of %llu bytes, but %llu are stored",
			       (unsigned long long)sum, (unsigned long long)stored);
	sparse->count = kept;
	return 0;
}

/* Pairs up to the first that is empty. */
static int add_pairs(struct tar_sparse *sparse, const uint8_t *pairs, size_t count, struct err *err)
{
	for (size_t i = 0; i < count && pairs[i * PAIR_BYTES] != 0; i++) {
		const uint8_t *pair = pairs + i * PAIR_BYTES;
		int64_t offset, size;
		if (!tar_header_number(&offset, pair, NUMBER_BYTES) ||
		    !tar_header_number(&size, pair + NUMBER_BYTES, NUMBER_BYTES) || offset < 0 ||
		    size < 0)
			return err_set(err, EBADMSG, "bad number in the sparse map");
		int r = add(sparse, (uint64_t)offset, (uint64_t)size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tar_sparse_old_gnu(struct tar_sparse *sparse, const uint8_t *header, uint64_t stored,
		       struct tar_input *input, struct err *err)
{
	int64_t size;
	if (!tar_header_number(&size, header + HEADER_SIZE_AT, NUMBER_BYTES) || size < 0)
		return err_set(err, EBADMSG, "bad real size of a sparse file");
	sparse->count = 0;
	sparse->size = (uint64_t)size;
	int r = add_pairs(sparse, header + HEADER_PAIRS_AT, HEADER_PAIRS, err);
	bool more = header[HEADER_MORE_AT] != 0;
	while (r == 0 && more) {
		uint8_t block[TAR_BLOCK_BYTES];
		r = tar_input_exactly(input, block, sizeof(block), err);
		if (r < 0)
			return r;
		if (block[0] == 0)
			return err_set(err, EBADMSG, "empty extension of the sparse map");
		r = add_pairs(sparse, block, BLOCK_PAIRS, err);
		more = block[BLOCK_MORE_AT] != 0;
	}
	return r < 0 ? r : check(sparse, stored, err);
}

static int from_records(struct tar_sparse *sparse, const struct tar_pax *pax, struct err *err)
{
	for (size_t i = 0; i < pax->sparse_count; i++) {
		int r = add(sparse, pax->sparse_extents[i].offset, pax->sparse_extents[i].size,
			    err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int from_map(struct tar_sparse *sparse, const char *map, struct err *err)
{
	while (*map) {
		uint64_t offset, size;
		if (!tar_pax_digits(&offset, &map) || *map++ != ',' || !tar_pax_digits(&size, &map))
			return err_set(err, EBADMSG, "bad number in the sparse map");
		int r = add(sparse, offset, size, err);
		if (r < 0)
			return r;
		if (*map == ',')
			map++;
		else if (*map)
			return err_set(err, EBADMSG, "bad number in the sparse map");
	}
	return 0;
}

/* The blocks in front of the data, read one at a time. */
struct lines {
	struct tar_input *input; /* borrowed */
	uint8_t block[TAR_BLOCK_BYTES];
	size_t at, size;
	uint64_t left; /* stored bytes not read */
};

static int next_char(struct lines *lines, char *c, struct err *err)
{
	if (lines->at == lines->size) {
		if (lines->left < TAR_BLOCK_BYTES)
			return err_set(err, EBADMSG, "sparse map is longer than the data");
		int r = tar_input_exactly(lines->input, lines->block, TAR_BLOCK_BYTES, err);
		if (r < 0)
			return r;
		lines->left -= TAR_BLOCK_BYTES;
		lines->at = 0;
		lines->size = TAR_BLOCK_BYTES;
	}
	*c = (char)lines->block[lines->at++];
	return 0;
}

static int next_line(struct lines *lines, uint64_t *out, struct err *err)
{
	char text[24]; /* 20 digits are 2^64-1 */
	size_t length = 0;
	char c = 0;
	int r;
	while ((r = next_char(lines, &c, err)) == 0 && c != '\n' && length < sizeof(text) - 1)
		text[length++] = c;
	if (r < 0)
		return r;
	text[length] = '\0';
	const char *end = text;
	if (c != '\n' || !tar_pax_digits(out, &end) || *end)
		return err_set(err, EBADMSG, "bad number in the sparse map");
	return 0;
}

static int from_data(struct tar_sparse *sparse, uint64_t *stored, struct tar_input *input,
		     struct err *err)
{
	struct lines lines = { .input = input, .left = *stored };
	uint64_t count, offset, size;
	int r = next_line(&lines, &count, err);
	if (r == 0 && count > EXTENTS_MAX)
		return err_set(err, E2BIG, "sparse map of %llu extents", (unsigned long long)count);
	for (; r == 0 && count > 0; count--) {
		r = next_line(&lines, &offset, err);
		if (r == 0)
			r = next_line(&lines, &size, err);
		if (r == 0)
			r = add(sparse, offset, size, err);
	}
	*stored = lines.left;
	return r;
}

static bool number_is(struct tar_pax_number n, uint64_t value)
{
	return n.there && n.value == value;
}

int tar_sparse_pax(struct tar_sparse *sparse, const struct tar_pax *pax, uint64_t *stored,
		   struct tar_input *input, struct err *err)
{
	bool versioned = pax->sparse_major.there || pax->sparse_minor.there;
	bool is_1_0 = number_is(pax->sparse_major, 1) && number_is(pax->sparse_minor, 0);
	bool is_0_x = number_is(pax->sparse_major, 0) && pax->sparse_minor.there &&
		      pax->sparse_minor.value <= 1;
	if (versioned && !is_1_0 && !is_0_x)
		return err_set(err, EOPNOTSUPP, "unknown version of a sparse file");
	if (!tar_pax_is_sparse(pax))
		return 0;

	sparse->count = 0;
	sparse->size = *stored;
	if (pax->sparse_real_size.there)
		sparse->size = pax->sparse_real_size.value;
	if (pax->sparse_size.there)
		sparse->size = pax->sparse_size.value;
	int r;
	if (is_1_0)
		r = from_data(sparse, stored, input, err);
	else if (pax->sparse_map)
		r = from_map(sparse, pax->sparse_map, err);
	else
		r = from_records(sparse, pax, err);
	if (r < 0)
		return r;
	if (!is_1_0 && pax->sparse_blocks.there && pax->sparse_blocks.value != sparse->count)
		return err_set(err, EBADMSG, "sparse map of %zu extents, but %llu are announced",
			       sparse->count, (unsigned long long)pax->sparse_blocks.value);
	r = check(sparse, *stored, err);
	return r < 0 ? r : 1;
}
