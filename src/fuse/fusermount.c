/*
 * One run of fusermount3: its socket for mounting, its stderr kept to say why it refused, and a
 * deadline for all of it.
 */
#include "fuse/fusermount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuse/channel.h"

#define PROGRAM "fusermount3"
#define COMM_FD 3
#define COMM_VARIABLE "_FUSE_COMMFD=3"
#define TIMEOUT_MS 30000
#define SAID_MAX_BYTES 4096
#define ENVIRONMENT_MAX 65536

extern char **environ;

struct run {
	pid_t pid;
	int said;   /* owned: its stderr, a file in memory */
	int socket; /* owned: our end, or -1 */
};

static void run_release(struct run *run)
{
	mem_close_fd(&run->said);
	mem_close_fd(&run->socket);
}

/* Our environment and the socket's number; the array is the caller's, its texts borrowed. */
static const char **make_environment(void)
{
	size_t count = 0, used = 0;
	while (environ[count] && count < ENVIRONMENT_MAX)
		count++;
	const char **all = mem_new((count + 2) * sizeof(*all));
	for (size_t i = 0; i < count; i++) {
		if (!str_starts(environ[i], "_FUSE_COMMFD="))
			all[used++] = environ[i];
	}
	all[used] = COMM_VARIABLE;
	return all;
}

static int spawn(struct run *run, const char *const *argv, int socket, struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0)
		abort();
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, run->said, STDERR_FILENO);
	if (socket >= 0)
		posix_spawn_file_actions_adddup2(&actions, socket, COMM_FD);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

	auto_free const char **environment = make_environment();
	/* POSIX promises to write to neither */
	int code = posix_spawnp(&run->pid, PROGRAM, &actions, &attributes,
				(char *const *)(uintptr_t)argv,
				(char *const *)(uintptr_t)environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (code == ENOENT)
		return err_set(err, EOPNOTSUPP,
			       "mounting without root needs '" PROGRAM "' (Debian: fuse3)");
	return code ? err_errno(err, code, "run '" PROGRAM "'") : 0;
}

static int start(struct run *run, const char *const *argv, bool with_socket, struct err *err)
{
	*run = (struct run){ .pid = -1, .said = -1, .socket = -1 };
	run->said = memfd_create("said", MFD_CLOEXEC);
	if (run->said < 0)
		return err_sys(err, "make a file in memory");
	if (!with_socket)
		return spawn(run, argv, -1, err);
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "make a socket");
	run->socket = ends[0];
	int r = spawn(run, argv, ends[1], err);
	(void)close(ends[1]);
	return r;
}

/* True when it ended well; one that hangs is left behind, it may be beyond killing. */
static bool finish(struct run *run)
{
	int status = 0;
	auto_close int pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	if (pidfd >= 0 && poll(&ended, 1, TIMEOUT_MS) == 0)
		(void)kill(run->pid, SIGKILL);
	while (waitpid(run->pid, &status, ended.revents || pidfd < 0 ? 0 : WNOHANG) < 0) {
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int code_of(const char *said)
{
	if (strstr(said, strerror(EBUSY)))
		return EBUSY;
	if (strstr(said, "mount failed") || strstr(said, "fuse device"))
		return EOPNOTSUPP;
	if (strstr(said, strerror(EPERM)) || strstr(said, strerror(EACCES)) ||
	    strstr(said, "not allowed") || strstr(said, "no write access") ||
	    strstr(said, "user_allow_other"))
		return EACCES;
	if (strstr(said, strerror(ENOENT)))
		return ENOENT;
	return EIO;
}

/* What it said, as an error. */
static int refused(const struct run *run, struct err *err)
{
	char said[SAID_MAX_BYTES];
	ssize_t n = pread(run->said, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	const char *text = str_starts(said, PROGRAM ": ") ? said + strlen(PROGRAM ": ") : said;
	return err_set(err, code_of(said), PROGRAM ": %s", *text ? esc(text) : "it failed");
}

int fusermount_mount(int *fd, const char *directory, const char *options, struct err *err)
{
	const char *const argv[] = { PROGRAM, "-o", options, "--", directory, NULL };
	__attribute__((cleanup(run_release))) struct run run;
	int r = start(&run, argv, true, err);
	if (r < 0)
		return r;
	char byte;
	auto_close int received = -1;
	int got = channel_receive(run.socket, &byte, 1, &received, TIMEOUT_MS, NULL);
	if (got == -ETIMEDOUT)
		(void)kill(run.pid, SIGKILL);
	if (!finish(&run) || received < 0)
		return refused(&run, err);
	*fd = TAKE_FD(received);
	return 0;
}

int fusermount_unmount(const char *directory, bool lazily, struct err *err)
{
	const char *const now[] = { PROGRAM, "-u", "--", directory, NULL };
	const char *const later[] = { PROGRAM, "-u", "-z", "--", directory, NULL };
	__attribute__((cleanup(run_release))) struct run run;
	int r = start(&run, lazily ? later : now, false, err);
	if (r < 0)
		return r;
	if (finish(&run))
		return 0;
	struct err why = { 0 };
	r = refused(&run, &why);
	if (r == -EBUSY)
		return err_set(err, EBUSY, "'%s' is busy: something of it is in use",
			       esc(directory));
	return err_set(err, -r, "unmount '%s': %s", esc(directory), why.text);
}

bool fusermount_exists(void)
{
	const char *path = getenv("PATH");
	for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
		size_t length = strcspn(at, ":");
		auto_free char *dir = mem_strndup(at, length);
		auto_str name = STR_MAX(8192);
		str_addf(&name, "%s/" PROGRAM, dir);
		if (!name.failed && access(str_text(&name), X_OK) == 0)
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}
