/* Blobs of any codec: the decoder's bytes, and from each point on both libraries give them too. */
#include <stdlib.h>

#include "tests/unit/index-build.h"

#define OUT_MAX_BYTES ((size_t)1 << 21)
#define POINTS_MAX 8 /* to be decoded from */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bytes in = { .data = (uint8_t *)(uintptr_t)data, .size = size };
	const struct feed feed = { size % 2 ? 5 : SIZE_MAX, size % 3 ? 30000 : 1 << 17 };
	const struct gzip_inflate *library = size % 5 ? gzip_inflate_best : &gzip_inflate_zlib;
	enum codec codec = codec_detect(data, size);
	auto_bytes wanted = { 0 };
	auto_bytes out = { 0 };
	auto_points points = { 0 };
	int verdict = decode_all(&wanted, codec, &in, feed, OUT_MAX_BYTES);
	check(index_all(&out, &points, library, codec, &in, 1, feed, OUT_MAX_BYTES) == verdict);
	check(verdict < 0 ||
	      (out.size == wanted.size && memcmp(out.data, wanted.data, out.size) == 0));
	for (size_t i = 0; i < 2 * POINTS_MAX && i / 2 < points.count; i++) {
		auto_bytes got = { 0 };
		size_t from = (size_t)points.at[i / 2].out, left = out.size - from;
		int r = span_read(&got, i % 2 ? gzip_inflate_best : &gzip_inflate_zlib,
				  &points.at[i / 2], &in, left, feed);
		check(verdict < 0 || (r == 0 && got.size == left));
		check(verdict < 0 || memcmp(got.data, out.data + from, left) == 0);
	}
	return 0;
}
