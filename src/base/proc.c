/*
 * One helper program, run to its end.
 *
 * Its stdin is a file in memory, so nothing has to be fed while its output is read and no SIGPIPE
 * can come; it gets a process group of its own, so that what it started dies with it.  Credential
 * helpers are run this way.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#define WAIT_STEP_MS 5

extern char **environ;

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait until FD (-1: only time passes) has something; false when the deadline came first. */
static bool wait_readable(int fd, int64_t deadline, int most_ms)
{
	for (;;) {
		int64_t left = deadline - now_ms();
		if (left <= 0)
			return false;
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int n = poll(&p, 1, (int)(left < most_ms ? left : most_ms));
		if (n > 0 || (n == 0 && fd < 0))
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static int make_input(const void *input, size_t size, struct err *err)
{
	auto_close int fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "make a file in memory");
	int r = io_write_all(fd, input, size, err);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "seek");
	return TAKE_FD(fd);
}

static int spawn(pid_t *out, const char *const *argv, int in, int to)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0)
		abort();
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	/* POSIX promises not to write to argv */
	int code = posix_spawnp(out, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv,
				environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return code;
}

static int collect(struct str *output, int fd, int64_t deadline, struct err *err)
{
	for (;;) {
		char piece[16 * 1024];
		if (!wait_readable(fd, deadline, INT32_MAX))
			return err_set(err, ETIMEDOUT, "no answer in time");
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno != EINTR)
			return err_sys(err, "read");
		if (n == 0)
			return 0;
		if (n > 0)
			str_addn(output, piece, (size_t)n);
		if (output->failed)
			return err_set(err, E2BIG, "printed more than %d bytes",
				       PROC_OUTPUT_MAX_BYTES);
	}
}

/* Where pidfd_open is missing or forbidden the child is asked every few milliseconds. */
static int reap(int *status, pid_t pid, int64_t deadline, struct err *err)
{
	auto_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	for (;;) {
		pid_t done = waitpid(pid, status, WNOHANG);
		if (done == pid)
			return 0;
		if (done < 0 && errno != EINTR)
			return err_sys(err, "wait");
		if (!wait_readable(pidfd, deadline, pidfd < 0 ? WAIT_STEP_MS : INT32_MAX))
			return err_set(err, ETIMEDOUT, "did not end in time");
	}
}

static void kill_group(pid_t pid)
{
	int status;
	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

int proc_run(struct proc_result *out, const char *const *argv, const void *input, size_t input_size,
	     unsigned timeout_ms, struct err *err)
{
	int64_t deadline = now_ms() + timeout_ms;
	auto_close int in = make_input(input, input_size, err);
	if (in < 0)
		return err_wrap(err, in, "run '%s'", esc(argv[0]));
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "run '%s'", esc(argv[0]));
	auto_close int from = ends[0];
	pid_t pid = -1;
	int code = spawn(&pid, argv, in, ends[1]);
	(void)close(ends[1]);
	if (code != 0)
		return err_errno(err, code, "run '%s'", esc(argv[0]));

	auto_str output = STR_MAX(PROC_OUTPUT_MAX_BYTES);
	int status = 0;
	int r = collect(&output, from, deadline, err);
	if (r == 0)
		r = reap(&status, pid, deadline, err);
	if (r < 0) {
		kill_group(pid);
		return err_wrap(err, r, "run '%s'", esc(argv[0]));
	}
	out->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	out->size = output.length;
	out->output = str_take(&output);
	return 0;
}

void proc_result_release(struct proc_result *result)
{
	free(result->output);
	*result = (struct proc_result){ 0 };
}
