/* Blobs of any codec: no crash, no piece larger than asked, and how they are cut changes nothing.
 */
#include <stdlib.h>

#include "codec/decoder.h"
#include "tests/unit/pieces.h"

#define OUT_MAX_BYTES ((size_t)1 << 22)
#define PIECE_BYTES ((size_t)4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(const uint8_t *data, size_t size, size_t in_bytes, uint64_t *sum)
{
	AUTO(stream) s = decoder_stream(stream_of_pieces(data, size, in_bytes), PIECE_BYTES);
	size_t total = 0, n = 1;
	int r = 0;
	while (r == 0 && n > 0 && total < OUT_MAX_BYTES) {
		const void *piece = NULL;
		r = stream_next(s, &piece, &n, NULL);
		for (size_t i = 0; r == 0 && i < n; i++)
			*sum = *sum * 31 + ((const uint8_t *)piece)[i];
		total += n;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole = 0, cut = 0;
	int a = decode(data, size, SIZE_MAX, &whole), b = decode(data, size, 3, &cut);
	if (a != b || (a == 0 && whole != cut))
		abort();
	return 0;
}
