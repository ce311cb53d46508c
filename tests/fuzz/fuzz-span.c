/*
 * Any bytes from any start, with any window: no crash, never more than the room, and how they are
 * cut changes nothing.  Input: start, bits, size of the window [2 LE], window, data.
 */
#include "base/cursor.h"
#include "tests/unit/index-build.h"

#define OUT_MAX_BYTES ((size_t)1 << 21)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct indexer_point point = { 0 };
	point.point.start = (enum span_start)(cursor_u8(&c) % 4);
	point.point.bits = cursor_u8(&c) % 10;
	point.point.window_size = cursor_le16(&c);
	point.point.window = cursor_take(&c, point.point.window_size);
	if (c.bad)
		return 0;
	const struct bytes in = { .data = (uint8_t *)(uintptr_t)c.at, .size = c.left };
	auto_bytes whole = { 0 };
	auto_bytes cut = { 0 };
	const struct feed feeds[] = { { SIZE_MAX, 1 << 17 }, { 3, 1000 } };
	int a = span_read(&whole, gzip_inflate_best, &point, &in, OUT_MAX_BYTES, feeds[0]);
	int b = span_read(&cut, gzip_inflate_best, &point, &in, OUT_MAX_BYTES, feeds[1]);
	if (a != b || (a == 0 && whole.size != cut.size) || whole.size > OUT_MAX_BYTES)
		abort();
	if (a == 0 && whole.size > 0 && memcmp(whole.data, cut.data, whole.size) != 0)
		abort();
	return 0;
}
