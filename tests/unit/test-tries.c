/* Trying again in a hurry: no answer at all is asked for once more, an answer as ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "oci/tries.h"

/* How often it is tried when every try fails with R or STATUS. */
static unsigned count_tries(int r, int status, const atomic_bool *hurried)
{
	struct tries tries;
	unsigned count = 1;
	tries_init(&tries, RETRY_TRIES_MAX, RETRY_TRIES_MAX, 1);
	tries.hurried = hurried;
	for (int again = 0; again == 0; count += again == 0) {
		struct err err = { .code = r, .text = "nobody is there" };
		again = tries_again(&tries, r, status, -1, &err);
		assert_true(again == 0 || again == r);
	}
	return count;
}

static void test_tries_in_a_hurry(void **state)
{
	(void)state;
	atomic_bool hurried = true;
	assert_int_equal(count_tries(-EAGAIN, 0, NULL), RETRY_TRIES_MAX);
	assert_int_equal(count_tries(-EAGAIN, 0, &hurried), 2);
	assert_int_equal(count_tries(-ETIMEDOUT, 0, &hurried), 2);
	assert_int_equal(count_tries(-EAGAIN, 503, &hurried), RETRY_TRIES_MAX);
	assert_int_equal(count_tries(-EACCES, 0, &hurried), 1);
	atomic_store(&hurried, false);
	assert_int_equal(count_tries(-EAGAIN, 0, &hurried), RETRY_TRIES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tries_in_a_hurry) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
