/* When a mount is given up: never for being killed while it serves, soon when it cannot live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fuse/deaths.h"

/* How many deaths EVERY_MS apart are survived, at most 10 000. */
static unsigned survived(unsigned every_ms, enum death_cause cause, bool waiting, bool answering)
{
	struct deaths deaths = { 0 };
	struct death death = { .cause = cause, .waiting = waiting };
	unsigned pause_ms, n = 0;
	for (; n < 10000; n++) {
		death.answers += answering;
		death.now_ms += every_ms;
		if (deaths_add(&deaths, &death, &pause_ms) == DEATHS_GIVE_UP)
			break;
		assert_true(pause_ms <= DEATHS_PAUSE_FAILED_MAX_MS);
	}
	return n;
}

static void test_deaths_by_kill_are_borne_while_answers_come(void **state)
{
	(void)state;
	assert_int_equal(survived(20, DEATH_KILLED, true, true), 10000);
	assert_int_equal(survived(20, DEATH_KILLED, false, true), 10000);
}

static void test_deaths_by_kill_are_borne_while_nobody_waits(void **state)
{
	(void)state;
	assert_int_equal(survived(1, DEATH_KILLED, false, false), 10000);
}

static void test_deaths_without_an_answer_end(void **state)
{
	(void)state;
	assert_int_equal(survived(60000, DEATH_KILLED, true, false), DEATHS_STUCK_MAX);
	assert_int_equal(survived(60000, DEATH_CRASHED, true, false), DEATHS_STUCK_MAX);
	assert_int_equal(survived(1, DEATH_FAILED, false, false), DEATHS_STUCK_MAX);
}

static void test_deaths_by_crash_end_when_they_are_many(void **state)
{
	(void)state;
	assert_int_equal(survived(1, DEATH_CRASHED, true, true), DEATHS_CRASHES_MAX);
	assert_int_equal(survived(1000, DEATH_CRASHED, false, true), DEATHS_CRASHES_MAX);
	/* eleven in more than ten seconds */
	assert_int_equal(survived(1001, DEATH_CRASHED, true, true), 10000);
}

static void test_deaths_pause_grows_and_is_forgotten(void **state)
{
	(void)state;
	struct deaths deaths = { 0 };
	struct death death = { .cause = DEATH_KILLED, .waiting = true };
	unsigned pause_ms, last = 0;
	for (int i = 0; i < 20; i++) {
		(void)deaths_add(&deaths, &death, &pause_ms);
		assert_true(pause_ms >= last);
		last = pause_ms;
	}
	assert_int_equal(last, DEATHS_PAUSE_MAX_MS);
	death.cause = DEATH_FAILED;
	(void)deaths_add(&deaths, &death, &pause_ms);
	assert_int_equal(pause_ms, DEATHS_PAUSE_FAILED_MAX_MS);
	death.answers++;
	(void)deaths_add(&deaths, &death, &pause_ms);
	assert_int_equal(pause_ms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deaths_by_kill_are_borne_while_answers_come),
		cmocka_unit_test(test_deaths_by_kill_are_borne_while_nobody_waits),
		cmocka_unit_test(test_deaths_without_an_answer_end),
		cmocka_unit_test(test_deaths_by_crash_end_when_they_are_many),
		cmocka_unit_test(test_deaths_pause_grows_and_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
