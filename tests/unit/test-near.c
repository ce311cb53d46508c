/* A thread is bound to the core of who asks, and to none when that is not known or not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/near.h"

#define REQUESTS_MANY 100000

static cpu_set_t cores_now(void)
{
	cpu_set_t now;
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	return now;
}

/* We ask ourselves, and may be moved now and then. */
static bool becomes_bound(struct near *near, pid_t asker)
{
	for (int i = 0; i < REQUESTS_MANY && near->bound < 0; i++)
		near_request(near, asker, false);
	return near->bound >= 0;
}

static void assert_free(const struct near *near)
{
	cpu_set_t now = cores_now();
	assert_int_equal(near->bound, -1);
	assert_true(CPU_EQUAL(&now, &near->all));
}

static void test_near_binds_to_the_core_of_who_asks(void **state)
{
	cpu_set_t all = *(cpu_set_t *)*state, now;
	struct near near;
	near_init(&near, &all);
	assert_true(becomes_bound(&near, gettid()));
	now = cores_now();
	assert_int_equal(CPU_COUNT(&now), 1);
	assert_true(CPU_ISSET((size_t)near.bound, &now));
	assert_int_equal(sched_getcpu(), near.bound);
	near_request(&near, gettid(), true);
	assert_free(&near);
}

static void test_near_lets_go_of_who_has_ended(void **state)
{
	cpu_set_t all = *(cpu_set_t *)*state;
	struct near near;
	near_init(&near, &all);
	assert_true(becomes_bound(&near, gettid()));
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	for (int i = 0; i < REQUESTS_MANY && near.bound >= 0; i++)
		near_request(&near, child, false);
	assert_free(&near);
}

static void test_near_does_not_bind_to_who_is_not_seen(void **state)
{
	cpu_set_t all = *(cpu_set_t *)*state;
	struct near near;
	near_init(&near, &all);
	assert_false(becomes_bound(&near, 0));
	assert_false(becomes_bound(&near, INT_MAX));
	assert_free(&near);
}

static void test_near_stays_where_the_process_may_run(void **state)
{
	cpu_set_t all = *(cpu_set_t *)*state, none;
	struct near near;
	CPU_ZERO(&none);
	near_init(&near, &none);
	assert_false(becomes_bound(&near, gettid()));
	cpu_set_t now = cores_now();
	assert_true(CPU_EQUAL(&now, &all));
}

int main(void)
{
	static cpu_set_t all;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_near_binds_to_the_core_of_who_asks, &all),
		cmocka_unit_test_prestate(test_near_lets_go_of_who_has_ended, &all),
		cmocka_unit_test_prestate(test_near_does_not_bind_to_who_is_not_seen, &all),
		cmocka_unit_test_prestate(test_near_stays_where_the_process_may_run, &all),
	};
	all = cores_now();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
