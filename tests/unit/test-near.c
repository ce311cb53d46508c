/* A thread is bound to the core of who asks, and to none when that is not known or not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

/* Another process that runs now and then, and says where. */
static pid_t start_other(_Atomic int *where)
{
	pid_t pid = fork();
	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		*where = sched_getcpu();
		(void)usleep(200);
	}
	assert_true(pid > 0);
	return pid;
}

static void move(pid_t pid, const _Atomic int *where, int core)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET((size_t)core, &one);
	assert_int_equal(sched_setaffinity(pid, sizeof(one), &one), 0);
	while (*where != core)
		(void)usleep(200);
}

/* Until it is bound to CORE, or to none (-1): how many requests. */
static int requests_until(struct near *near, pid_t asker, int core)
{
	int count = 0;
	for (; near->bound != core; count++) {
		assert_true(count < REQUESTS_MANY);
		near_request(near, asker, false);
	}
	return count;
}

static void test_near_does_not_run_after_who_goes_away(void **state)
{
	cpu_set_t all = *(cpu_set_t *)*state;
	int cores[2], count = 0;
	for (int i = 0; i < CPU_SETSIZE && count < 2; i++)
		if (CPU_ISSET((size_t)i, &all))
			cores[count++] = i;
	if (count < 2)
		skip();
	_Atomic int *where = mmap(NULL, sizeof(*where), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(where, MAP_FAILED);
	pid_t other = start_other(where);
	struct near near;
	near_init(&near, &all);
	int first = 0, last = 0;
	for (int i = 0; i < 6; i++) {
		move(other, where, cores[i % 2]);
		(void)requests_until(&near, other, -1);
		last = requests_until(&near, other, cores[i % 2]);
		first = first ? first : last;
	}
	assert_true(last >= 8 * first);
	/* it has come to rest */
	for (int i = 0; i < REQUESTS_MANY / 1000; i++)
		near_request(&near, other, false);
	move(other, where, cores[0]);
	(void)requests_until(&near, other, -1);
	assert_true(requests_until(&near, other, cores[0]) < last);
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitpid(other, NULL, 0), other);
	near_request(&near, 0, true);
	assert_free(&near);
}

int main(void)
{
	static cpu_set_t all;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_near_binds_to_the_core_of_who_asks, &all),
		cmocka_unit_test_prestate(test_near_lets_go_of_who_has_ended, &all),
		cmocka_unit_test_prestate(test_near_does_not_bind_to_who_is_not_seen, &all),
		cmocka_unit_test_prestate(test_near_stays_where_the_process_may_run, &all),
		cmocka_unit_test_prestate(test_near_does_not_run_after_who_goes_away, &all),
	};
	all = cores_now();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
