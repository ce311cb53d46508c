/*
 * What happens to a mount: one loop over signals, messages and the ends of processes.
 *
 * Requests are resent after every death, also of a daemon that never served, and only when the
 * dead one was waited for: until then its threads may still be answering.  The supervisor does no
 * work that a daemon could do, so that there is little that could end it.
 */
#include "fuse/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "fuse/attach.h"
#include "fuse/daemon.h"
#include "fuse/notify.h"
#include "fuse/overlay.h"
#include "fuse/supervisor-internal.h"

#define CANCEL_TIMEOUT_MS 5000 /* for a daemon that opens the image to undo what it began */
#define STOP_TIMEOUT_MS 5000   /* for whoever still uses a mount that is to end */
#define LOOK_EACH_MS 1000      /* whether the mount is gone and the daemon has not noticed */
#define READ_AHEAD_KIB 1024

static uint64_t now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* It is over, for this reason. */
static void fail(struct supervisor *s, int r, const struct err *err)
{
	if (s->life == LIFE_OVER)
		return;
	s->life = LIFE_OVER;
	s->err = *err;
	s->err.code = r;
	errlog_add(s->log, err_text(err));
}

static void over(struct supervisor *s)
{
	s->life = LIFE_OVER;
}

/* ---- daemons */

static void become_daemon(struct supervisor *s, int socket, pid_t supervisor)
{
	const struct daemon daemon = {
		.supervisor = supervisor,
		.plan = s->plan,
		.counters = &s->shared->counters,
		.socket = socket,
		.restarts = s->restarts,
		.started_s = s->started_s,
		.earlier = s->device >= 0 ? &s->first : NULL,
	};
	mem_close_fd(&s->command);
	mem_close_fd(&s->lock);
	mem_close_fd(&s->signals);
	mem_close_fd(&s->device);
	mem_close_fd(&s->mounts);
	errlog_free(s->log);
	(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
	_exit(daemon_run(&daemon));
}

static void start_daemon(struct supervisor *s)
{
	struct err err = { 0 };
	int ends[2];
	s->start_ms = 0;
	s->said_why = false;
	int r = channel_pair(ends, &err);
	if (r < 0) {
		fail(s, r, &err);
		return;
	}
	auto_close int theirs = ends[1];
	s->daemon_socket = ends[0];
	pid_t self = getpid();
	s->daemon = fork();
	if (s->daemon == 0) {
		mem_close_fd(&s->daemon_socket);
		become_daemon(s, theirs, self);
	}
	if (s->daemon < 0) {
		s->daemon = 0;
		r = err_sys(&err, "start a daemon");
		fail(s, r, &err);
	}
}

static void drop_daemon(struct supervisor *s)
{
	mem_close_fd(&s->daemon_socket);
	s->daemon_socket = -1;
	s->daemon = 0;
}

/* Readers get errors instead of waiting; nothing stays mounted. */
static void give_up(struct supervisor *s, const struct err *err)
{
	errlog_addf(s->log, "the mount is given up: %s", err_text(err));
	mem_close_fd(&s->device); /* nobody else has it: the kernel ends the connection */
	s->device = -1;
	IGNORE(supervisor_unmount(s, true, NULL));
	fail(s, -EIO, err);
}

static enum death_cause cause_of(const struct supervisor *s, int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGKILL ? DEATH_KILLED : DEATH_CRASHED;
	return s->said_why ? DEATH_FAILED : DEATH_CRASHED;
}

static void recover(struct supervisor *s, int status)
{
	struct err err = { 0 };
	s->restarts++;
	if (supervisor_resend(s, &err) < 0) {
		give_up(s, &err);
		return;
	}
	struct death death = {
		.now_ms = now_ms(),
		.cause = cause_of(s, status),
		.waiting = supervisor_is_asked(s),
		.answers = fs_counters_sum(&s->shared->counters),
	};
	unsigned pause_ms;
	if (deaths_add(&s->deaths, &death, &pause_ms) == DEATHS_GIVE_UP) {
		(void)err_set(&err, EIO, "its daemon died too often");
		give_up(s, &err);
		return;
	}
	s->start_ms = death.now_ms + pause_ms;
}

/* ---- the way to a mount that answers */

/* The mount answers: tell who waits, and let go of what is theirs. */
static void settle(struct supervisor *s)
{
	const struct mount_hooks *hooks = &s->plan->options->hooks;
	s->life = LIFE_SERVING;
	s->served = true;
	attach_read_ahead(s->plan->place, READ_AHEAD_KIB);
	supervisor_record(s);
	if (s->command < 0) {
		if (hooks->mounted)
			hooks->mounted(hooks->arg);
		notify_ready(s->plan->source);
		return;
	}
	struct message mounted = { .kind = MESSAGE_MOUNTED };
	errlog_take_stderr(s->log);
	IGNORE(channel_send(s->command, &mounted, -1, NULL));
	mem_close_fd(&s->command);
	s->command = -1;
}

/* In a process of its own: mounting an overlay asks the image, so it waits for the daemon. */
static void start_overlay(struct supervisor *s)
{
	struct err err = { 0 };
	s->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	s->overlay = fork();
	if (s->overlay == 0) {
		(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
		_exit(overlay_mount(s->plan, &s->shared->overlay) < 0 ? 1 : 0);
	}
	if (s->overlay < 0) {
		s->overlay = 0;
		int r = err_sys(&err, "start a process");
		fail(s, r, &err);
	}
}

static void on_overlay_end(struct supervisor *s, int status)
{
	s->overlay = 0;
	if (s->life != LIFE_MOUNTING)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		settle(s);
		return;
	}
	struct err err = s->shared->overlay;
	if (!err.code)
		(void)err_set(&err, EIO, "whoever mounted the overlay died");
	fail(s, err.code, &err);
}

static void on_ready(struct supervisor *s, const struct message *message)
{
	struct err err = { 0 };
	if (s->life == LIFE_OPENING) {
		s->first = *message;
		int r = supervisor_mount(s, &err);
		if (r < 0) {
			fail(s, r, &err);
			return;
		}
		s->life = LIFE_MOUNTING;
	}
	/* one that is dead already is noticed by its end */
	if (s->life == LIFE_MOUNTING || s->life == LIFE_SERVING)
		IGNORE(channel_send(s->daemon_socket, &s->serve, s->device, NULL));
}

static void on_serving(struct supervisor *s)
{
	if (s->life == LIFE_SERVING)
		supervisor_record(s);
	else if (s->life == LIFE_MOUNTING && !s->plan->upper)
		settle(s);
	else if (s->life == LIFE_MOUNTING && !s->overlay)
		start_overlay(s);
}

static void on_failed(struct supervisor *s, const struct message *message)
{
	s->said_why = true;
	if (s->life == LIFE_OPENING)
		fail(s, message->err.code, &message->err);
	else if (s->life == LIFE_MOUNTING || s->life == LIFE_SERVING)
		errlog_addf(s->log, "a daemon could not serve: %s", err_text(&message->err));
}

static void on_message(struct supervisor *s)
{
	struct message message;
	int n = channel_receive(s->daemon_socket, &message, sizeof(message), NULL, 0, NULL);
	if (n != (int)sizeof(message)) {
		/* its end comes as a signal */
		mem_close_fd(&s->daemon_socket);
		s->daemon_socket = -1;
	} else if (message.kind == MESSAGE_READY) {
		on_ready(s, &message);
	} else if (message.kind == MESSAGE_SERVING) {
		on_serving(s);
	} else if (message.kind == MESSAGE_FAILED) {
		on_failed(s, &message);
	}
}

/* ---- the end */

static void on_daemon_end(struct supervisor *s, int status)
{
	struct err err = { 0 };
	while (s->daemon_socket >= 0 && s->life != LIFE_OVER)
		on_message(s); /* its last words */
	drop_daemon(s);
	if (s->life == LIFE_OVER)
		return;
	if (s->life == LIFE_STOPPING || supervisor_has_ended(s)) {
		over(s);
		return;
	}
	if (WIFSIGNALED(status))
		(void)err_set(&err, EIO, "the daemon died of signal %d", WTERMSIG(status));
	else
		(void)err_set(&err, EIO, "the daemon ended with status %d", WEXITSTATUS(status));
	if (s->life == LIFE_OPENING) {
		fail(s, -EIO, &err);
		return;
	}
	errlog_add(s->log, err_text(&err));
	recover(s, status);
}

/* SIGNUMBER asked for it, or 0. */
static void stop(struct supervisor *s, int signumber)
{
	struct err err = { 0 };
	if (s->life == LIFE_STOPPING || s->life == LIFE_OVER)
		return;
	notify_stopping();
	s->stopped_by = signumber;
	s->deadline_ms = now_ms() + STOP_TIMEOUT_MS;
	if (s->life == LIFE_OPENING) {
		s->deadline_ms = now_ms() + CANCEL_TIMEOUT_MS;
		(void)err_set(&s->err, ECANCELED, "stopped");
		(void)kill(s->daemon, SIGTERM);
	} else if (supervisor_unmount(s, false, &err) < 0) {
		errlog_addf(s->log, "%s: unmounted all the same, whoever uses it has %d seconds",
			    err_text(&err), STOP_TIMEOUT_MS / 1000);
		if (supervisor_unmount(s, true, &err) < 0)
			errlog_add(s->log, err_text(&err));
	}
	s->life = LIFE_STOPPING;
	if (!s->daemon)
		over(s);
}

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		bool ignored = s->command < 0 && !s->plan->options->foreground &&
			       info.ssi_signo != SIGTERM;
		if (info.ssi_signo != SIGCHLD && !ignored)
			stop(s, (int)info.ssi_signo);
	}
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->daemon)
			on_daemon_end(s, status);
		else if (pid == s->overlay)
			on_overlay_end(s, status);
	}
}

/* The overlay was unmounted by somebody: what is below goes too. */
static void on_mounts_changed(struct supervisor *s)
{
	if (s->life == LIFE_SERVING && !overlay_is_mounted(s->plan->directory))
		stop(s, 0);
}

/* The daemon notices by itself, and ends. */
static void on_unmounted(struct supervisor *s)
{
	s->gone = true;
	if (s->life == LIFE_MOUNTING || s->life == LIFE_SERVING) {
		s->life = LIFE_STOPPING;
		s->deadline_ms = now_ms() + STOP_TIMEOUT_MS;
	}
	if (!s->daemon)
		over(s);
}

static void on_time(struct supervisor *s)
{
	uint64_t now = now_ms();
	if (s->life == LIFE_STOPPING && s->deadline_ms <= now)
		over(s);
	else if (s->life != LIFE_STOPPING && s->life != LIFE_OVER && s->start_ms &&
		 s->start_ms <= now)
		start_daemon(s);
}

/* ---- the loop */

/*
 * Who polls the device is woken by every request, and whoever asks pays for that.  So it is only
 * done while no daemon reads it, who sees the end by itself; one that does not is found now and
 * then.
 */
static bool is_watched(const struct supervisor *s)
{
	return !s->gone && (!s->daemon || s->life != LIFE_SERVING);
}

static int timeout_of(const struct supervisor *s)
{
	uint64_t now = now_ms();
	uint64_t until = s->life == LIFE_STOPPING ? s->deadline_ms : s->start_ms;
	if (!until)
		return is_watched(s) || s->gone ? -1 : LOOK_EACH_MS;
	return until <= now ? 0 : (int)(until - now);
}

static void step(struct supervisor *s)
{
	/* one that is -1 is passed over */
	struct pollfd fds[] = {
		{ .fd = s->daemon_socket, .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->command, .events = 0 },
		{ .fd = is_watched(s) ? s->device : -1, .events = 0 },
		{ .fd = s->life == LIFE_SERVING ? s->mounts : -1, .events = POLLPRI },
	};
	int n = poll(fds, N_ELEMENTS(fds), timeout_of(s));
	if (n < 0 && errno != EINTR)
		abort();
	if (n < 0)
		return;
	if (fds[0].revents)
		on_message(s);
	if (fds[1].revents)
		on_signals(s);
	if (fds[2].revents && s->command >= 0)
		stop(s, 0); /* nobody waits any more */
	if (fds[3].revents & POLLERR || (n == 0 && !s->gone && supervisor_has_ended(s)))
		on_unmounted(s);
	if (fds[4].revents)
		on_mounts_changed(s);
	on_time(s);
}

/* What is left is undone, and who still waits is told. */
static void end(struct supervisor *s)
{
	if (s->daemon) {
		int status;
		(void)kill(s->daemon, SIGKILL);
		(void)waitpid(s->daemon, &status, 0);
	}
	if (s->overlay)
		(void)kill(s->overlay, SIGKILL);
	mem_close_fd(&s->device);
	s->device = -1;
	IGNORE(supervisor_unmount(s, true, NULL));
	run_dir_forget(&s->plan->run, s->plan->id.text, s->err.code && s->served);
}

static int prepare(struct supervisor *s, struct err *err)
{
	sigset_t mask;
	(void)sigemptyset(&mask);
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < N_ELEMENTS(numbers); i++) {
		struct sigaction action;
		/* what the caller ignores (nohup) stays ignored */
		if (sigaction(numbers[i], NULL, &action) != 0 || action.sa_handler != SIG_IGN)
			(void)sigaddset(&mask, numbers[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &mask, &s->signals_before);
	s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return err_sys(err, "wait for signals");
	s->shared = mmap(NULL, sizeof(*s->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->shared == MAP_FAILED) {
		s->shared = NULL;
		return err_sys(err, "share memory");
	}
	return 0;
}

static int take_place(struct supervisor *s, struct err *err)
{
	const struct plan *plan = s->plan;
	int r = run_dir_lock(&plan->run, plan->id.text, RUN_SUPERVISOR, &s->lock, err);
	if (r == -EBUSY && supervisor_is_mounted(s))
		return err_set(err, EBUSY,
			       "an image is mounted at '%s' already: 'rootlet umount' ends it",
			       esc(plan->directory));
	if (r == -EBUSY)
		return err_set(err, EBUSY,
			       "another mount at '%s' is beginning, or has not ended because "
			       "something of it is in use",
			       esc(plan->directory));
	return r < 0 ? r : supervisor_clear(s, err);
}

static void release(struct supervisor *s)
{
	int *const fds[] = { &s->command, &s->signals,	     &s->device,
			     &s->mounts,  &s->daemon_socket, &s->lock };
	for (size_t i = 0; i < N_ELEMENTS(fds); i++)
		mem_close_fd(fds[i]);
	if (s->shared)
		(void)munmap(s->shared, sizeof(*s->shared));
	errlog_free(s->log);
	(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
}

static int supervise(struct supervisor *s, struct err *err)
{
	int r = prepare(s, err);
	if (r == 0)
		r = take_place(s, err);
	if (r < 0)
		return r;
	s->log = errlog_new(&s->plan->run, s->plan->id.text, NULL, NULL);
	start_daemon(s);
	while (s->life != LIFE_OVER)
		step(s);
	end(s);
	if (!s->err.code)
		return 0;
	return err_set(err, -s->err.code, "%s", err_text(&s->err));
}

int supervisor_run(const struct plan *plan, int command, struct err *err)
{
	struct supervisor s = {
		.plan = plan,
		.command = command,
		.lock = -1,
		.signals = -1,
		.device = -1,
		.mounts = -1,
		.daemon_socket = -1,
		.started_s = time(NULL),
	};
	(void)sigprocmask(SIG_SETMASK, NULL, &s.signals_before);
	struct message failed = { .kind = MESSAGE_FAILED };
	int r = supervise(&s, &failed.err);
	if (r < 0 && s.command >= 0)
		IGNORE(channel_send(s.command, &failed, -1, NULL));
	release(&s);
	if (r == -ECANCELED && s.stopped_by && plan->options->foreground)
		(void)raise(s.stopped_by); /* as if it had not been caught here */
	return r < 0 ? err_set(err, -r, "%s", err_text(&failed.err)) : 0;
}
