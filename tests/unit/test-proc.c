/* Helper programs: their answer, their limits, and that nothing of them stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/proc.h"

#define SHELL(script) ((const char *const[]){ "sh", "-c", script, NULL })

static int run(struct proc_result *out, const char *const *argv, const char *input,
	       unsigned timeout_ms, struct err *err)
{
	return proc_run(out, argv, input, strlen(input), timeout_ms, err);
}

static void test_proc_run_passes_input_and_output(void **state)
{
	(void)state;
	struct proc_result p = { 0 };
	const char *const cat[] = { "cat", NULL };
	assert_int_equal(run(&p, cat, "https://ghcr.io\n", 5000, NULL), 0);
	assert_int_equal(p.status, 0);
	assert_int_equal(p.size, 16);
	assert_string_equal(p.output, "https://ghcr.io\n");
	proc_result_release(&p);
	assert_null(p.output);
}

static void test_proc_run_survives_input_nobody_reads(void **state)
{
	(void)state;
	static char big[1 << 20];
	memset(big, 'x', sizeof(big) - 1);
	struct proc_result p = { 0 };
	assert_int_equal(run(&p, SHELL("exit 3"), big, 5000, NULL), 0);
	assert_int_equal(p.status, 3);
	assert_string_equal(p.output, "");
	proc_result_release(&p);
}

static void test_proc_run_tells_how_it_ended(void **state)
{
	(void)state;
	struct proc_result p = { 0 };
	assert_int_equal(run(&p, SHELL("echo lost >&2; kill -9 $$"), "", 5000, NULL), 0);
	assert_int_equal(p.status, 128 + SIGKILL);
	assert_int_equal(p.size, 0);
	proc_result_release(&p);
}

/* Not under an emulator whose vfork(2) is a fork(2): nobody hears of a failed exec. */
static bool spawn_tells_what_failed(void)
{
	char name[] = "docker-credential-not-there", *argv[] = { name, NULL };
	pid_t pid;
	if (posix_spawnp(&pid, name, NULL, NULL, argv, NULL) != 0)
		return true;
	(void)waitpid(pid, NULL, 0);
	return false;
}

static void test_proc_run_without_the_program_is_enoent(void **state)
{
	(void)state;
	struct proc_result p = { 0 };
	struct err err = { 0 };
	const char *const argv[] = { "docker-credential-not-there", NULL };
	if (!spawn_tells_what_failed() && !getenv("ROOTLET_MUST_RUN"))
		return;
	assert_int_equal(run(&p, argv, "", 5000, &err), -ENOENT);
	assert_non_null(strstr(err_text(&err), "run 'docker-credential-not-there'"));
	assert_null(p.output);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void test_proc_run_stops_at_its_deadline(void **state)
{
	(void)state;
	static const char *const scripts[] = {
		"sleep 60",
		"exec >&-; sleep 60", /* closed its output, runs on */
		"sleep 60 & exit 0",  /* ended, but a child holds the output */
		"trap '' TERM; while :; do :; done",
	};
	for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
		struct proc_result p = { 0 };
		int64_t from = now_ms();
		assert_int_equal(run(&p, SHELL(scripts[i]), "", 200, NULL), -ETIMEDOUT);
		assert_in_range(now_ms() - from, 190, 5000);
		assert_null(p.output);
	}
}

/* Everything the program started holds the pipe open; its end of file says that all are gone. */
static void test_proc_run_kills_what_it_started(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct proc_result p = { 0 };
	assert_int_equal(run(&p, SHELL("sleep 60 & sleep 60"), "", 200, NULL), -ETIMEDOUT);
	(void)close(ends[1]);
	struct pollfd end = { .fd = ends[0], .events = POLLIN };
	assert_int_equal(poll(&end, 1, 5000), 1);
	assert_int_equal(end.revents, POLLHUP);
	(void)close(ends[0]);
}

static void test_proc_run_limits_the_output(void **state)
{
	(void)state;
	struct proc_result p = { 0 };
	struct err err = { 0 };
	assert_int_equal(run(&p, SHELL("yes"), "", 20000, &err), -E2BIG);
	assert_non_null(strstr(err_text(&err), "printed more than 1048576 bytes"));
	assert_int_equal(run(&p, SHELL("head -c 1048576 /dev/zero"), "", 20000, NULL), 0);
	assert_int_equal(p.size, PROC_OUTPUT_MAX_BYTES);
	proc_result_release(&p);
}

static void test_proc_run_resets_signals(void **state)
{
	(void)state;
	struct proc_result p = { 0 };
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run(&p, SHELL("kill -PIPE $$; echo ignored"), "", 5000, NULL), 0);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(p.status, 128 + SIGPIPE);
	proc_result_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proc_run_passes_input_and_output),
		cmocka_unit_test(test_proc_run_survives_input_nobody_reads),
		cmocka_unit_test(test_proc_run_tells_how_it_ended),
		cmocka_unit_test(test_proc_run_without_the_program_is_enoent),
		cmocka_unit_test(test_proc_run_stops_at_its_deadline),
		cmocka_unit_test(test_proc_run_kills_what_it_started),
		cmocka_unit_test(test_proc_run_limits_the_output),
		cmocka_unit_test(test_proc_run_resets_signals),
	};
	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
