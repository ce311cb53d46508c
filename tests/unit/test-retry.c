/* When to try again: verdicts per result, bounds of the waits, Retry-After. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "net/retry.h"

static void test_first_verdict_follows_the_result(void **state)
{
	(void)state;
	static const struct {
		struct retry_result result;
		enum retry_verdict verdict;
	} cases[] = {
		{ { 0, 200, -1 }, RETRY_STOP },
		{ { 0, 206, -1 }, RETRY_STOP },
		{ { 0, 307, -1 }, RETRY_STOP },
		{ { 0, 400, -1 }, RETRY_STOP },
		{ { 0, 401, 1 }, RETRY_STOP },
		{ { 0, 403, -1 }, RETRY_STOP },
		{ { 0, 404, 100000 }, RETRY_STOP },
		{ { 0, 501, -1 }, RETRY_STOP },
		{ { 0, 408, -1 }, RETRY_AGAIN },
		{ { 0, 425, -1 }, RETRY_AGAIN },
		{ { 0, 429, -1 }, RETRY_AGAIN },
		{ { 0, 500, -1 }, RETRY_AGAIN },
		{ { 0, 502, -1 }, RETRY_AGAIN },
		{ { 0, 503, -1 }, RETRY_AGAIN },
		{ { 0, 504, -1 }, RETRY_AGAIN },
		{ { 0, 429, 60 }, RETRY_AGAIN },
		{ { 0, 429, 61 }, RETRY_TOO_LATE },
		{ { 0, 503, 100000 }, RETRY_TOO_LATE },
		{ { 0, 503, INT64_MAX }, RETRY_TOO_LATE },
		{ { -EAGAIN, 0, -1 }, RETRY_AGAIN },
		{ { -ETIMEDOUT, 0, -1 }, RETRY_AGAIN },
		{ { -EPROTO, 0, -1 }, RETRY_AGAIN },
		{ { -EINVAL, 0, -1 }, RETRY_STOP },
		{ { -EBADMSG, 0, -1 }, RETRY_STOP },
		{ { -ECANCELED, 0, -1 }, RETRY_STOP },
		{ { -EAGAIN, 503, 100000 }, RETRY_AGAIN },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct retry retry;
		unsigned wait_ms = 0;
		retry_init(&retry, i);
		assert_int_equal(retry_next(&retry, &cases[i].result, &wait_ms), cases[i].verdict);
		assert_int_equal(wait_ms > 0, cases[i].verdict == RETRY_AGAIN);
	}
}

/* Requests that the caller makes when every one ends with RESULT. */
static unsigned requests_until_stop(const struct retry_result *result, enum retry_verdict *last)
{
	struct retry retry;
	unsigned wait_ms, requests = 0;
	retry_init(&retry, 7);
	do {
		requests++;
		*last = retry_next(&retry, result, &wait_ms);
	} while (*last == RETRY_AGAIN);
	return requests;
}

static void test_tries_are_bounded(void **state)
{
	(void)state;
	enum retry_verdict last;
	const struct retry_result busy = { 0, 429, 1 }, garbage = { -EPROTO, 0, -1 };
	assert_int_equal(requests_until_stop(&busy, &last), RETRY_TRIES_MAX);
	assert_int_equal(last, RETRY_EXHAUSTED);
	assert_int_equal(requests_until_stop(&garbage, &last), 2);
	assert_int_equal(last, RETRY_STOP);
}

static void test_waits_stay_in_bounds_and_differ(void **state)
{
	(void)state;
	const struct retry_result broke = { -EAGAIN, 0, -1 };
	bool capped = false;
	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct retry retry;
		unsigned wait_ms = 0, last_ms = RETRY_BASE_MS;
		retry_init(&retry, seed);
		for (size_t i = 0; i < 40; i++) {
			retry.tries = 0;
			assert_int_equal(retry_next(&retry, &broke, &wait_ms), RETRY_AGAIN);
			assert_in_range(wait_ms, RETRY_BASE_MS, RETRY_CAP_MS);
			assert_true(wait_ms <= 3 * last_ms);
			last_ms = wait_ms;
			capped = capped || wait_ms > RETRY_CAP_MS / 2;
		}
	}
	assert_true(capped);
	struct retry a, b;
	unsigned a_ms, b_ms;
	retry_init(&a, 1);
	retry_init(&b, 2);
	assert_int_equal(retry_next(&a, &broke, &a_ms), RETRY_AGAIN);
	assert_int_equal(retry_next(&b, &broke, &b_ms), RETRY_AGAIN);
	assert_int_not_equal(a_ms, b_ms);
}

static void test_retry_after_is_the_least_wait(void **state)
{
	(void)state;
	const struct retry_result busy = { 0, 503, 30 };
	struct retry retry;
	unsigned wait_ms = 0;
	retry_init(&retry, 3);
	assert_int_equal(retry_next(&retry, &busy, &wait_ms), RETRY_AGAIN);
	assert_int_equal(wait_ms, 30000);
}

static void test_progress_starts_anew(void **state)
{
	(void)state;
	const struct retry_result broke = { -EPROTO, 0, -1 };
	struct retry retry;
	unsigned wait_ms = 0;
	retry_init(&retry, 3);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(retry_next(&retry, &broke, &wait_ms), RETRY_AGAIN);
		assert_true(wait_ms <= 3 * RETRY_BASE_MS);
		retry_progress(&retry);
	}
}

static void test_retry_after_parse_knows_seconds_and_dates(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int64_t seconds;
	} cases[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ " 120 ", 120 },
		{ "100000", 100000 },
		{ "99999999999999999999999", INT64_MAX },
		{ "", -1 },
		{ "-1", -1 },
		{ "1.5", -1 },
		{ "1s", -1 },
		{ "soon", -1 },
		{ "20260101", 20260101 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 0 },
		{ "Thu, 01 Jan 2026 00:00:00 GMT", 0 },
		{ "Thu, 01 Jan 2026 00:00:30 GMT", 30 },
		{ "Friday, 02-Jan-26 00:00:00 GMT", 86400 },
		{ "Sun nonsense", -1 },
		{ "01 Jan 2026 00:00:30 GMT", -1 },
		{ "Jan 01 2026 00:00:30 GMT", -1 },
	};
	const int64_t new_year_2026 = 1767225600;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(retry_after_parse(cases[i].value, new_year_2026),
				 cases[i].seconds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_verdict_follows_the_result),
		cmocka_unit_test(test_tries_are_bounded),
		cmocka_unit_test(test_waits_stay_in_bounds_and_differ),
		cmocka_unit_test(test_retry_after_is_the_least_wait),
		cmocka_unit_test(test_progress_starts_anew),
		cmocka_unit_test(test_retry_after_parse_knows_seconds_and_dates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
