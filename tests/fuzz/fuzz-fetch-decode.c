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

static void check(void *arg, uint32_t span, uint8_t **bytes, uint64_t sum, int r,
		  const struct err *err)
{
	if (span != (*(uint32_t *)arg)++ || (r < 0) != (err && !*bytes) || (sum && !*bytes))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t n = size ? data[0] % 8u + 1 : 0, next = 0;
	if (!n || size < 1 + 5 * n)
		return 0;
	auto_span_table t = span_table_of_bytes(data + 1, n);
	AUTO(fetch_decode)
	decode = fetch_decode_new(&(struct fetch_decode_options){
		t.table, 0, n - 1, data[0] / 8u % n, any_row, most, check, &next });
	bool over = false;
	for (size_t at = 1 + 5 * n, from = at; at < size && !over; at += 61)
		over = fetch_decode_feed(decode, data + at, size - at < 61 ? size - at : 61,
					 at - from);
	fetch_decode_end(decode);
	if (fetch_decode_next(decode) != next || (over && next != n))
		abort();
	return 0;
}
