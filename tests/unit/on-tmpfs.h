/*
 * A disk that can be full or read-only: a tmpfs over the test's directory, seen by one child only.
 */
#pragma once

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

struct place;

/* Asserts of cmocka jump: in a child a wrong answer must end it. */
#define CHILD(condition)                          \
	do {                                      \
		if (!(condition))                 \
			_exit(__LINE__ % 90 + 1); \
	} while (0)

/*
 * BODY(P) in a child with a mount namespace of its own and a tmpfs at PATH.  Skipped where a
 * process may not mount anything, as in the build of a container image.
 */
static inline void on_tmpfs(const char *path, const char *options, const struct place *p,
			    void (*body)(const struct place *p))
{
	enum { NOT_ALLOWED = 100, NO_TMPFS };
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			_exit(errno == EPERM ? NOT_ALLOWED : NO_TMPFS);
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", path, "tmpfs", 0, options) < 0)
			_exit(NO_TMPFS);
		body(p);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED && !getenv("ROOTLET_MUST_RUN"))
		return;
	assert_int_equal(status, 0);
}
