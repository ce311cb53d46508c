/* Moments as configs write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "resource/when.h"

static void test_moments_are_ordered_wherever_their_clocks_stand(void **state)
{
	(void)state;
	/* ascending; what is no moment is before all */
	static const char *const order[] = {
		"yesterday",
		"0001-01-01T00:00:00Z",
		"1969-12-31T23:59:59.999999999Z",
		"1970-01-01T00:00:00Z",
		"2024-02-29T00:30:00+01:00", /* the 28th, 23:30 */
		"2024-02-28T23:30:00.000000001Z",
		"2024-02-28t23:30:00.1z",
		"2024-02-28T20:00:00-04:00",
		"9999-12-31T23:59:59Z",
	};
	for (size_t i = 0; i < N_ELEMENTS(order); i++) {
		for (size_t k = 0; k < N_ELEMENTS(order); k++) {
			struct when a, b;
			assert_int_equal(when_parse(&a, order[i]), i > 0);
			assert_int_equal(when_parse(&b, order[k]), k > 0);
			if (when_compare(&a, &b) != (i > k) - (i < k))
				fail_msg("%s, %s", order[i], order[k]);
		}
	}
}

static void test_what_is_no_moment_is_none(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"",
		"2024",
		"2024-01-01",
		"2024-01-01 00:00:00Z",
		"2024-01-01T00:00:00",
		"2024-13-01T00:00:00Z",
		"2024-00-01T00:00:00Z",
		"2024-01-32T00:00:00Z",
		"2024-01-01T24:00:00Z",
		"2024-01-01T00:60:00Z",
		"2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00Zx",
		"2024-01-01T00:00:00+1:00",
		"2024-01-01T00:00:00+01:0",
		"-024-01-01T00:00:00Z",
		"2024-1-01T00:00:00Z",
	};
	struct when when;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		if (when_parse(&when, cases[i]) || when.seconds != INT64_MIN)
			fail_msg("'%s'", cases[i]);
	}
	assert_false(when_parse(&when, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments_are_ordered_wherever_their_clocks_stand),
		cmocka_unit_test(test_what_is_no_moment_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
