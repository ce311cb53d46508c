/* The run directory: only ours, names from paths, locks that end with their process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuse/run-dir.h"

static int set_up(void **state)
{
	char *base = mem_strdup("/tmp/rootlet-test-XXXXXX");
	*state = base;
	return !mkdtemp(base) || setenv("ROOTLET_RUN", base, 1);
}

static int tear_down(void **state)
{
	char *base = *state;
	auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(tmp, base + strlen("/tmp/"), NULL);
	free(base);
	return r;
}

static void test_run_dir_is_made_for_us_alone(void **state)
{
	auto_run_dir run = { .fd = -1 };
	struct stat st;
	assert_int_equal(run_dir_open(&run, NULL), 0);
	assert_true(str_starts(run.path, *state) && str_ends(run.path, "/rootlet"));
	assert_int_equal(stat(run.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_run_dir_of_others_is_refused(void **state)
{
	(void)state;
	struct err err = { 0 };
	auto_run_dir run = { .fd = -1 }, again = { .fd = -1 };
	assert_int_equal(run_dir_open(&run, NULL), 0);
	assert_int_equal(chmod(run.path, 0770), 0);
	assert_int_equal(run_dir_open(&again, &err), -EACCES);
	assert_int_equal(chmod(run.path, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(run.path, 4242, 0), 0);
		assert_int_equal(run_dir_open(&again, &err), -EACCES);
	}
}

static void test_run_dir_is_no_link(void **state)
{
	auto_str path = STR_MAX(256);
	str_addf(&path, "%s/rootlet", (const char *)*state);
	assert_int_equal(symlink("/tmp", str_text(&path)), 0);
	auto_run_dir run = { .fd = -1 };
	assert_true(run_dir_open(&run, NULL) < 0);
}

static void test_run_dir_wants_an_absolute_name(void **state)
{
	(void)state;
	auto_run_dir run = { .fd = -1 };
	assert_int_equal(setenv("ROOTLET_RUN", "run", 1), 0);
	assert_int_equal(run_dir_open(&run, NULL), -EINVAL);
}

static void test_run_dir_ids_differ(void **state)
{
	(void)state;
	struct run_id a = run_dir_id("/mnt/a"), b = run_dir_id("/mnt/b"),
		      again = run_dir_id("/mnt/a");
	assert_string_equal(a.text, again.text);
	assert_string_not_equal(a.text, b.text);
	assert_int_equal(strlen(a.text), 16);
}

/* A child that locks ROLE of ID and waits; *pid. */
static void lock_elsewhere(const struct run_dir *run, const char *id, enum run_role role,
			   pid_t *pid)
{
	int ends[2];
	char byte;
	assert_int_equal(pipe(ends), 0);
	*pid = fork();
	if (*pid == 0) {
		int fd = -1;
		byte = run_dir_lock(run, id, role, &fd, NULL) == 0 ? 'y' : 'n';
		if (write(ends[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void test_run_dir_locks_die_with_their_process(void **state)
{
	(void)state;
	auto_run_dir run = { .fd = -1 };
	struct err err = { 0 };
	pid_t pid;
	int status;
	assert_int_equal(run_dir_open(&run, NULL), 0);
	assert_int_equal(run_dir_alive(&run, "id").supervisor, 0);
	lock_elsewhere(&run, "id", RUN_SUPERVISOR, &pid);
	assert_int_equal(run_dir_alive(&run, "id").supervisor, pid);
	assert_int_equal(run_dir_alive(&run, "id").daemon, 0);
	auto_close int lock = -1;
	assert_int_equal(run_dir_lock(&run, "id", RUN_SUPERVISOR, &lock, &err), -EBUSY);
	assert_int_equal(run_dir_lock(&run, "id", RUN_DAEMON, &lock, NULL), 0);
	assert_int_equal(run_dir_holder(lock, RUN_SUPERVISOR), pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(run_dir_holder(lock, RUN_SUPERVISOR), 0);
}

static int count(void *arg, const char *id)
{
	assert_int_equal(strlen(id), 16);
	++*(int *)arg;
	return 0;
}

static void test_run_dir_lists_and_forgets(void **state)
{
	(void)state;
	auto_run_dir run = { .fd = -1 };
	struct run_id a = run_dir_id("/a"), b = run_dir_id("/b");
	int n = 0;
	assert_int_equal(run_dir_open(&run, NULL), 0);
	assert_int_equal(run_dir_write(&run, a.text, "{}", NULL), 0);
	assert_int_equal(run_dir_write(&run, b.text, "{\"x\":1}", NULL), 0);
	assert_int_equal(io_write_file(run.fd, "other.json", "", 0, 0600, NULL), 0);
	assert_int_equal(run_dir_list(&run, count, &n, NULL), 0);
	assert_int_equal(n, 2);
	auto_free char *text = NULL;
	size_t size;
	assert_int_equal(run_dir_read(&run, b.text, &text, &size, NULL), 0);
	assert_string_equal(text, "{\"x\":1}");
	run_dir_forget(&run, b.text, false);
	auto_free char *gone = NULL;
	assert_int_equal(run_dir_read(&run, b.text, &gone, &size, NULL), -ENOENT);
	n = 0;
	assert_int_equal(run_dir_list(&run, count, &n, NULL), 0);
	assert_int_equal(n, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_run_dir_is_made_for_us_alone),
		TEST(test_run_dir_of_others_is_refused),
		TEST(test_run_dir_is_no_link),
		TEST(test_run_dir_wants_an_absolute_name),
		TEST(test_run_dir_ids_differ),
		TEST(test_run_dir_locks_die_with_their_process),
		TEST(test_run_dir_lists_and_forgets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
