/* Content-Range: what is a range of bytes, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "net/range.h"

static void test_range_parse_reads_the_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		uint64_t first, last, total;
	} cases[] = {
		{ "bytes 0-0/1", 0, 0, 1 },
		{ "bytes 5-9/10", 5, 9, 10 },
		{ "Bytes 0-499/1234", 0, 499, 1234 },
		{ "bytes 1-2/*", 1, 2, RANGE_TOTAL_UNKNOWN },
		{ "bytes 0-18446744073709551613/18446744073709551614", 0, UINT64_MAX - 2,
		  UINT64_MAX - 1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint64_t first = 77, last = 77, total = 77;
		assert_int_equal(range_parse(cases[i].value, &first, &last, &total, NULL), 0);
		assert_int_equal(first, cases[i].first);
		assert_int_equal(last, cases[i].last);
		assert_int_equal(total, cases[i].total);
	}
}

static void test_range_parse_refuses_the_rest(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"bytes",
		"bytes ",
		"bytes */10",
		"bytes -1/10",
		"bytes 0-/10",
		"bytes 0/10",
		"bytes 2-1/10",
		"bytes 0-10/10",
		"bytes 0-9/10 ",
		"bytes 0-9/10, 20-30/40",
		"bytes  0-9/10",
		"bytes=0-9/10",
		"bytes +0-9/10",
		"bytes 0-9/",
		"bytes 0-9",
		"bytes 0-9/**",
		"bytes 0x0-9/10",
		"items 0-9/10",
		"bytes 0-18446744073709551616/18446744073709551617",
		"bytes 0-9/18446744073709551615",
		"bytes 0-9/18446744073709551616",
		"bytes 18446744073709551616-18446744073709551616/*",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		uint64_t first = 77, last = 77, total = 77;
		struct err err = { 0 };
		assert_int_equal(range_parse(bad[i], &first, &last, &total, &err), -EPROTO);
		assert_int_equal(first + last + total, 3 * 77);
		assert_true(err.text[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_parse_reads_the_numbers),
		cmocka_unit_test(test_range_parse_refuses_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
