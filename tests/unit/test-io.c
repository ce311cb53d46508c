/*
 * Files: opening below a directory (also with openat2 forbidden by seccomp, as old container
 * runtimes do), whole reads and writes, and removing trees that do not want to go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

/* How many of the next calls of readdir fail. */
static int readdir_failures;

/* In front of the C library's, also for the code under test. */
struct dirent *readdir(DIR *dir)
{
	void *symbol = dlsym(RTLD_NEXT, "readdir64");
	struct dirent *(*next)(DIR *);
	memcpy(&next, &symbol, sizeof(next));
	if (readdir_failures > 0) {
		readdir_failures--;
		errno = EIO;
		return NULL;
	}
	return next(dir);
}

struct place {
	char path[64];
	int fd; /* of a directory of our own */
};

static int setup(void **state)
{
	struct place *p = mem_make(struct place, .path = "/tmp/test-io-XXXXXX");
	*state = p;
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->fd < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(tmp, p->path + strlen("/tmp/"), NULL);
	mem_close_fd(&p->fd);
	free(p);
	return r;
}

static void make_file(int dirfd, const char *name, const char *text)
{
	assert_int_equal(io_write_file(dirfd, name, text, strlen(text), 0644, NULL), 0);
}

/*
 *	inside/file		inside/link -> file	inside/up -> ..
 *	inside/dir/deep		way -> inside		abs -> /etc
 */
static void make_paths(int fd)
{
	assert_int_equal(mkdirat(fd, "inside", 0755), 0);
	assert_int_equal(mkdirat(fd, "inside/dir", 0755), 0);
	auto_close int inside = openat(fd, "inside", O_RDONLY | O_CLOEXEC);
	auto_close int dir = openat(fd, "inside/dir", O_RDONLY | O_CLOEXEC);
	make_file(inside, "file", "text");
	make_file(dir, "deep", "deep text");
	assert_int_equal(symlinkat("file", fd, "inside/link"), 0);
	assert_int_equal(symlinkat("..", fd, "inside/up"), 0);
	assert_int_equal(symlinkat("inside", fd, "way"), 0);
	assert_int_equal(symlinkat("/etc", fd, "abs"), 0);
}

static void check_paths(int fd)
{
	static const struct {
		const char *path;
		int flags, result;
	} cases[] = {
		{ "inside/file", O_RDONLY, 0 },
		{ "inside//dir///deep", O_RDONLY, 0 },
		{ "./inside/./file", O_RDONLY, 0 },
		{ ".", O_RDONLY | O_DIRECTORY, 0 },
		{ "inside/dir/", O_RDONLY, 0 },
		{ "inside/new", O_WRONLY | O_CREAT | O_EXCL, 0 },
		{ "inside/new", O_WRONLY | O_CREAT | O_EXCL, EEXIST },
		{ "inside", O_WRONLY | O_TMPFILE, 0 },
		{ "inside/file", O_PATH, 0 },
		{ "inside/link", O_PATH | O_NOFOLLOW, 0 },
		{ "inside/link", O_PATH, ELOOP },
		{ "inside/link", O_RDONLY, ELOOP },
		{ "inside/up", O_RDONLY | O_DIRECTORY, ELOOP },
		{ "way/file", O_RDONLY, ELOOP },
		{ "way/", O_RDONLY, ELOOP },
		{ "abs/passwd", O_RDONLY, ELOOP },
		{ "inside/up/inside/file", O_RDONLY, ELOOP },
		{ "..", O_RDONLY, EXDEV },
		{ "inside/../inside/file", O_RDONLY, EXDEV },
		{ "inside/..", O_RDONLY, EXDEV },
		{ "/etc/passwd", O_RDONLY, EXDEV },
		{ "/", O_RDONLY, EXDEV },
		{ "inside/file/x", O_RDONLY, ENOTDIR },
		{ "inside/file/", O_RDONLY, ENOTDIR },
		{ "inside/none", O_RDONLY, ENOENT },
		{ "none/file", O_RDONLY, ENOENT },
		{ "", O_RDONLY, ENOENT },
		{ "..inside", O_RDONLY, ENOENT },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct err err = { 0 };
		auto_close int got = beneath_open(fd, cases[i].path, cases[i].flags, 0640, &err);
		if ((got < 0 ? -got : 0) != cases[i].result)
			fail_msg("'%s': %d (%s)", cases[i].path, got, err_text(&err));
		if (got >= 0)
			assert_int_equal(fcntl(got, F_GETFD), FD_CLOEXEC);
	}
	char name[600];
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(beneath_open(fd, name, O_RDONLY, 0, NULL), -ENAMETOOLONG);
	assert_int_equal(unlinkat(fd, "inside/new", 0), 0);
}

static void test_beneath_open_stays_inside(void **state)
{
	struct place *p = *state;
	make_paths(p->fd);
	check_paths(p->fd);
	auto_close int fd = beneath_open(p->fd, "inside/dir/deep", O_RDONLY, 0, NULL);
	char text[16] = "";
	assert_int_equal(read(fd, text, sizeof(text)), 9);
	assert_string_equal(text, "deep text");
}

#define NOT_ALLOWED 100

/* Ends the process where nothing can be forbidden, as under an emulator of another machine. */
static void forbid(int call, int code)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { N_ELEMENTS(rules), rules };
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	int r = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	if (r < 0 && !getenv("ROOTLET_MUST_RUN"))
		_exit(NOT_ALLOWED);
	assert_int_equal(r, 0);
	assert_int_equal(syscall(call, -1, NULL, NULL, 0, 0), -1);
	assert_int_equal(errno, code);
}

/* In a child, because a filter cannot be taken back; a failed assertion ends it with a signal. */
static void check_in_child(void (*check)(int fd), int fd, int call, int code)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		if (code)
			forbid(call, code);
		check(fd);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED)
		return;
	assert_int_equal(status, 0);
}

static void test_beneath_open_walks_without_openat2(void **state)
{
	struct place *p = *state;
	make_paths(p->fd);
	check_in_child(check_paths, p->fd, SYS_openat2, ENOSYS);
	check_in_child(check_paths, p->fd, SYS_openat2, EPERM);
}

static void test_io_read_file_keeps_its_limit(void **state)
{
	struct place *p = *state;
	static const struct {
		size_t size, max;
		int result;
	} cases[] = {
		{ 0, 0, 0 },
		{ 1, 0, -E2BIG },
		{ 16383, 16383, 0 },
		{ 16384, 16384, 0 },
		{ 16385, 16385, 0 },
		{ 16385, 16384, -E2BIG },
		{ 300000, 1 << 20, 0 },
		{ 300000, 1000, -E2BIG },
	};
	auto_free char *data = malloc(300000);
	for (size_t i = 0; i < 300000; i++)
		data[i] = (char)(i * 13);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_free char *back = NULL;
		size_t size = 77;
		assert_int_equal(io_write_file(p->fd, "f", data, cases[i].size, 0600, NULL), 0);
		int r = io_read_file(p->fd, "f", cases[i].max, &back, &size, NULL);
		assert_int_equal(r, cases[i].result);
		assert_int_equal(size, r < 0 ? 77 : cases[i].size);
		if (r < 0)
			continue;
		assert_memory_equal(back, data, size);
		assert_int_equal(back[size], 0);
	}
	auto_free char *none = NULL;
	size_t size = 0;
	struct err err = { 0 };
	assert_int_equal(io_read_file(p->fd, "none\n", 10, &none, &size, &err), -ENOENT);
	assert_string_equal(err_text(&err), "open 'none\\x0a': No such file or directory");
	assert_int_equal(io_read_file(p->fd, ".", 10, &none, &size, &err), -EISDIR);
}

static int count_entries(int dirfd)
{
	int count = 0, fd = openat(dirfd, ".", O_RDONLY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

static void check_write_replaces(int dirfd)
{
	struct stat st;
	mode_t old = umask(077);
	assert_int_equal(symlinkat("/etc/passwd", dirfd, "f"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(io_write_file(dirfd, "f", "new", 3, 0644, NULL), 0);
		assert_int_equal(fstatat(dirfd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0644);
		assert_int_equal(st.st_size, 3);
		assert_int_equal(st.st_nlink, 1);
	}
	umask(old);
	assert_int_equal(count_entries(dirfd), 1);
	assert_int_equal(unlinkat(dirfd, "f", 0), 0);
}

static void check_write_leaves_nothing(int dirfd)
{
	struct err err = { 0 };
	assert_int_equal(mkdirat(dirfd, "f", 0755), 0);
	assert_int_equal(io_write_file(dirfd, "f", "new", 3, 0644, &err), -EISDIR);
	assert_string_equal(err_text(&err), "write 'f': Is a directory");
	assert_int_equal(count_entries(dirfd), 1);
	struct rlimit small = { 1000, RLIM_INFINITY }, before;
	getrlimit(RLIMIT_FSIZE, &before);
	(void)signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	char data[2000] = "";
	int r = io_write_file(dirfd, "g", data, sizeof(data), 0644, NULL);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(count_entries(dirfd), 1);
	assert_int_equal(unlinkat(dirfd, "f", AT_REMOVEDIR), 0);
}

static void test_io_write_file_replaces_what_was_there(void **state)
{
	struct place *p = *state;
	check_write_replaces(p->fd);
}

static void test_io_write_file_failing_leaves_nothing(void **state)
{
	struct place *p = *state;
	check_write_leaves_nothing(p->fd);
}

/* Without linkat an unnamed file cannot be kept: a temporary name is used from the start. */
static void test_io_write_file_works_without_unnamed_files(void **state)
{
	struct place *p = *state;
	check_in_child(check_write_replaces, p->fd, SYS_linkat, EPERM);
	check_in_child(check_write_leaves_nothing, p->fd, SYS_linkat, EPERM);
}

/* /proc/sys has neither unnamed files nor anything one may create: the named way is tried too. */
static void test_io_write_file_names_the_reason(void **state)
{
	(void)state;
	auto_close int fd = open("/proc/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = { 0 };
	int r = io_write_file(fd, "f", "new", 3, 0644, &err);
	assert_true(r < 0 && r != -EOPNOTSUPP);
	assert_true(strncmp(err_text(&err), "write 'f': create: ", 19) == 0);
}

static void check_remove_odd_modes(int fd)
{
	assert_int_equal(mkdirat(fd, "t", 0755), 0);
	assert_int_equal(mkdirat(fd, "t/a", 0755), 0);
	assert_int_equal(mkdirat(fd, "t/a/b", 0755), 0);
	assert_int_equal(mkdirat(fd, "t/empty", 0), 0);
	assert_int_equal(mkfifoat(fd, "t/a/b/fifo", 0), 0);
	assert_int_equal(symlinkat("..", fd, "t/a/up"), 0);
	assert_int_equal(symlinkat("/etc", fd, "t/a/b/etc"), 0);
	assert_int_equal(fchmodat(fd, "t/a/b", 0, 0), 0);
	assert_int_equal(fchmodat(fd, "t/a", 0400, 0), 0);
	assert_int_equal(fchmodat(fd, "t", 0300, 0), 0);
	struct err err = { 0 };
	if (io_remove_tree(fd, "t", &err) < 0)
		fail_msg("%s", err_text(&err));
	assert_int_equal(faccessat(fd, "t", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void as_somebody(int fd)
{
	if (geteuid() == 0) {
		assert_int_equal(fchown(fd, 12345, 12345), 0);
		assert_int_equal(setresgid(12345, 12345, 12345), 0);
		assert_int_equal(setresuid(12345, 12345, 12345), 0);
	}
	check_remove_odd_modes(fd);
}

static void test_io_remove_tree_removes_any_mode(void **state)
{
	struct place *p = *state;
	check_remove_odd_modes(p->fd);
	check_in_child(as_somebody, p->fd, 0, 0);
	check_in_child(as_somebody, p->fd, SYS_openat2, ENOSYS);
}

static void test_io_remove_tree_takes_files_and_nothing(void **state)
{
	struct place *p = *state;
	make_file(p->fd, "f", "x");
	assert_int_equal(symlinkat("f", p->fd, "link"), 0);
	assert_int_equal(io_remove_tree(p->fd, "link", NULL), 0);
	assert_int_equal(count_entries(p->fd), 1);
	assert_int_equal(io_remove_tree(p->fd, "f", NULL), 0);
	assert_int_equal(io_remove_tree(p->fd, "f", NULL), 0);
	assert_int_equal(count_entries(p->fd), 0);
	assert_int_equal(io_remove_tree(p->fd, "a/b", NULL), -EINVAL);
}

static void make_deep(int fd, int depth, const char *name)
{
	int at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	for (int i = 0; i < depth; i++) {
		assert_int_equal(mkdirat(at, name, 0755), 0);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		if (i % 100 == 0)
			make_file(next, "file", "x");
		(void)close(at);
		at = next;
	}
	(void)close(at);
}

/* 2 500 levels of 255-byte names with only a few descriptors to be had. */
static void check_remove_deep(int fd)
{
	char name[256];
	memset(name, 'd', 255);
	name[255] = '\0';
	make_deep(fd, 2500, name);
	struct rlimit few = { 16, 16 };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	struct err err = { 0 };
	if (io_remove_tree(fd, name, &err) < 0)
		fail_msg("%s", err_text(&err));
}

static void test_io_remove_tree_goes_as_deep_as_it_must(void **state)
{
	struct place *p = *state;
	check_in_child(check_remove_deep, p->fd, 0, 0);
	assert_int_equal(count_entries(p->fd), 0);
}

static void test_io_remove_tree_is_wide_too(void **state)
{
	struct place *p = *state;
	assert_int_equal(mkdirat(p->fd, "t", 0755), 0);
	for (int i = 0; i < 3000; i++) {
		char name[40];
		(void)snprintf(name, sizeof(name), "t/%d", i);
		assert_int_equal(mkdirat(p->fd, name, 0755), 0);
		(void)snprintf(name, sizeof(name), "t/%d/x", i);
		assert_int_equal(mknodat(p->fd, name, S_IFREG | 0644, 0), 0);
	}
	assert_int_equal(io_remove_tree(p->fd, "t", NULL), 0);
	assert_int_equal(count_entries(p->fd), 0);
}

static void make_small_tree(int fd)
{
	assert_int_equal(mkdirat(fd, "t", 0755), 0);
	assert_int_equal(mkdirat(fd, "t/a", 0755), 0);
	assert_int_equal(mknodat(fd, "t/a/f", S_IFREG | 0644, 0), 0);
}

static void test_io_remove_tree_reads_a_directory_again(void **state)
{
	struct place *p = *state;
	make_small_tree(p->fd);
	readdir_failures = 2;
	assert_int_equal(io_remove_tree(p->fd, "t", NULL), 0);
	assert_int_equal(readdir_failures, 0);
	assert_int_equal(count_entries(p->fd), 0);
	make_small_tree(p->fd);
	struct err err = { 0 };
	readdir_failures = 1000;
	assert_int_equal(io_remove_tree(p->fd, "t", &err), -EIO);
	assert_string_equal(err_text(&err), "remove 't': Input/output error");
	assert_int_equal(readdir_failures, 997);
	readdir_failures = 0;
	assert_int_equal(io_remove_tree(p->fd, "t", NULL), 0);
}

static void check_mount_is_kept(int fd)
{
	assert_int_equal(mkdirat(fd, "t", 0755), 0);
	assert_int_equal(mkdirat(fd, "t/other", 0755), 0);
	assert_int_equal(mkdirat(fd, "t/plain", 0755), 0);
	make_file(fd, "t-kept", "x");
	if (unshare(CLONE_NEWNS) < 0 || fchdir(fd) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "t/other", "tmpfs", 0, NULL) < 0)
		_exit(0); /* not allowed here: nothing to look at */
	auto_close int other = open("t/other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_file(other, "precious", "x");
	struct err err = { 0 };
	int r = io_remove_tree(fd, "t", &err);
	assert_true(r == -EXDEV || r == -EBUSY);
	assert_int_equal(faccessat(other, "precious", F_OK, 0), 0);
	assert_int_equal(faccessat(fd, "t/plain", F_OK, 0), -1);
}

static void test_io_remove_tree_never_enters_a_mount(void **state)
{
	struct place *p = *state;
	check_in_child(check_mount_is_kept, p->fd, 0, 0);
	assert_int_equal(io_remove_tree(p->fd, "t", NULL), 0);
	check_in_child(check_mount_is_kept, p->fd, SYS_openat2, ENOSYS);
}

#define IO_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_TEST(test_beneath_open_stays_inside),
		IO_TEST(test_beneath_open_walks_without_openat2),
		IO_TEST(test_io_read_file_keeps_its_limit),
		IO_TEST(test_io_write_file_replaces_what_was_there),
		IO_TEST(test_io_write_file_failing_leaves_nothing),
		IO_TEST(test_io_write_file_works_without_unnamed_files),
		IO_TEST(test_io_write_file_names_the_reason),
		IO_TEST(test_io_remove_tree_removes_any_mode),
		IO_TEST(test_io_remove_tree_takes_files_and_nothing),
		IO_TEST(test_io_remove_tree_goes_as_deep_as_it_must),
		IO_TEST(test_io_remove_tree_is_wide_too),
		IO_TEST(test_io_remove_tree_reads_a_directory_again),
		IO_TEST(test_io_remove_tree_never_enters_a_mount),
	};
	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
