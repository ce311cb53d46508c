/* Starting a mount: the command's side of it. */
#include "fuse/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "fuse/attach.h"
#include "fuse/channel.h"
#include "fuse/plan.h"
#include "fuse/supervisor.h"

#define LOOK_MS 100 /* how often the user's wish to stop is looked at */

int mount_usable(struct err *err)
{
	return attach_usable(err);
}

static void to_null(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		(void)dup2(null, fd);
	mem_close_fd(&null);
}

/* A process that belongs to no terminal; stderr stays until the mount answers. */
static void become_supervisor(const struct plan *plan, int socket)
{
	(void)setsid();
	(void)prctl(PR_SET_NAME, "rootlet-super");
	to_null(STDIN_FILENO);
	to_null(STDOUT_FILENO);
	if (chdir("/") < 0)
		_exit(1);
	_exit(supervisor_run(plan, socket, NULL) < 0 ? 1 : 0);
}

static bool is_cancelled(const struct mount_options *options)
{
	return options->hooks.cancel && atomic_load(options->hooks.cancel);
}

/* What became of it; a wish to stop is passed on once, then its answer is awaited. */
static int await(const struct mount_options *options, pid_t supervisor, int socket, struct err *err)
{
	struct message message;
	int n;
	bool told = false;
	do {
		if (!told && is_cancelled(options)) {
			(void)kill(supervisor, SIGTERM);
			told = true;
		}
		n = channel_receive(socket, &message, sizeof(message), NULL, LOOK_MS, err);
	} while (n == -ETIMEDOUT || n == -EINTR);
	if (n == (int)sizeof(message) && message.kind == MESSAGE_MOUNTED)
		return 0;
	int status;
	(void)waitpid(supervisor, &status, 0);
	if (told)
		return err_set(err, ECANCELED, "stopped");
	if (n == (int)sizeof(message) && message.err.code < 0)
		return err_set(err, -message.err.code, "%s", err_text(&message.err));
	return err_set(err, EIO, "the mount ended before it answered");
}

static int start(const struct plan *plan, struct err *err)
{
	const struct mount_options *options = plan->options;
	int ends[2];
	int r = channel_pair(ends, err);
	if (r < 0)
		return r;
	auto_close int mine = ends[0];
	auto_close int theirs = ends[1];
	pid_t supervisor = fork();
	if (supervisor < 0)
		return err_sys(err, "start a supervisor");
	if (supervisor == 0) {
		mem_close_fd(&mine);
		become_supervisor(plan, theirs);
	}
	mem_close_fd(&theirs);
	theirs = -1;
	r = await(options, supervisor, mine, err);
	if (r == 0 && options->hooks.mounted)
		options->hooks.mounted(options->hooks.arg);
	return r;
}

int mount_start(const struct mount_options *options, struct err *err)
{
	auto_plan plan = { .run = { .fd = -1 } };
	int r = attach_usable(err);
	if (r == 0)
		r = plan_make(&plan, options, err);
	if (r == 0)
		r = options->foreground ? supervisor_run(&plan, -1, err) : start(&plan, err);
	return r;
}
