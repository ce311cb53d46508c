/* Any table over any blob: each span is given out once, in order. */
#include "image/fetch-decode.h"
#include "tests/unit/span-table.h"

static bool any_row(void *arg, uint32_t first, uint32_t last)
{
	return arg && first <= last;
}

static bool most(void *arg, uint32_t span)
{
	return arg && span % 3 != 1;
}

static void check(void *arg, uint32_t span, uint8_t **bytes, int r, const struct err *err)
{
	if (span != (*(uint32_t *)arg)++ || (r < 0) != (err && !*bytes))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t n = size ? data[0] % 8u + 1 : 8, next = 0;
	if (size < 1 + 5 * n)
		return 0;
	auto_span_table t = span_table_of_bytes(data + 1, n);
	const struct fetch_decode_options options = { t.table, 0,    n - 1, data[0] / 8u % n,
						      any_row, most, check, &next };
	AUTO(fetch_decode) decode = fetch_decode_new(&options);
	size_t from = 1 + 5 * n, half = (size - from) / 2;
	auto_free uint8_t *rest = mem_copy(data + from + half, size - from - half);
	bool over = fetch_decode_feed(decode, data + from, half, 0) ||
		    fetch_decode_feed(decode, rest, size - from - half, half);
	fetch_decode_end(decode);
	if (fetch_decode_next(decode) != next || (over && next != n))
		abort();
	return 0;
}
