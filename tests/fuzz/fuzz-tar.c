/* Tar archives: entries keep what tar.h promises, and how the stream is cut changes nothing. */
#include <stdlib.h>

#include "codec/tar.h"
#include "tests/unit/pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int walk(const uint8_t *data, size_t size, size_t piece_bytes, uint64_t *sum)
{
	AUTO(stream) s = stream_of_pieces_only(data, size, piece_bytes);
	AUTO(tar) tar = tar_new(s);
	const struct tar_entry *e = NULL;
	int r;
	while ((r = tar_next(tar, &e, NULL)) > 0) {
		const void *at = NULL;
		uint64_t given = 0, offset = 0, end = 0;
		size_t n = 0;
		while ((r = tar_data(tar, &at, &n, &offset, NULL)) == 0 && n > 0) {
			if (offset < end || memcmp(at, data + e->data_offset + given, n) != 0)
				abort();
			given += n;
			end = offset + n;
		}
		if (r < 0)
			break;
		if (!e->path[0] || given != e->stored || end > e->size || e->uid == UINT32_MAX)
			abort();
		*sum = *sum * 31 + e->path[0] + e->size + e->xattr_count + (uint64_t)e->mtime_s;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole = 0, cut = 0;
	if (walk(data, size, SIZE_MAX, &whole) != walk(data, size, 100, &cut) || whole != cut)
		abort();
	return 0;
}
