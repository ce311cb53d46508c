/*
 * The supervisor's loop, the kernel and the daemons played: what is mounted, the daemon's life and
 * the other end of /dev/fuse are this file's (they stand before the library's when it is linked).
 *
 *	test		the kernel, and the command that waits
 *	  supervisor	supervisor_run(), in a process of its own
 *	    daemon	daemon_run() below: does what WORLD says for the n-th
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuse/attach.h"
#include "fuse/channel.h"
#include "fuse/daemon.h"
#include "fuse/deaths.h"
#include "fuse/mountinfo.h"
#include "fuse/overlay.h"
#include "fuse/supervisor.h"

#define TIMEOUT_MS 20000
#define DAEMONS_MAX 64
#define NO_MINOR 999999u /* of a connection that is not in /sys */

enum part { /* what a daemon does; the rest serve */
	    PART_SERVE,
	    PART_CRASH,	 /* when it was given the device */
	    PART_ANSWER, /* something, then crash */
	    PART_FAIL,	 /* to open the image */
	    PART_HANG,	 /* while it opens the image */
};

struct world { /* shared by all processes */
	enum part parts[DAEMONS_MAX];
	atomic_uint daemons; /* begun so far */
	atomic_int last;     /* pid of the last one that serves */
	atomic_bool mounted, busy, overlay_mounted;
	atomic_uint unmounts, lazy_unmounts;
	atomic_uint init_seen; /* by how many daemons, as the kernel sent it */
	int overlay;	       /* what mounting it gives */
	uint8_t init[128];
	size_t init_size;
};

static struct world *world;
static int device = -1; /* the supervisor's end of the kernel */

/* ---- in the supervisor and its daemons */

int attach_mount(int *fd, const struct attach_options *options, struct err *err)
{
	(void)options;
	(void)err;
	*fd = fcntl(device, F_DUPFD_CLOEXEC, 0);
	world->mounted = true;
	return 0;
}

int attach_unmount(const char *directory, bool lazily, struct err *err)
{
	if (world->busy && !lazily)
		return err_set(err, EBUSY, "'%s' is busy", directory);
	if (str_ends(directory, "top"))
		world->overlay_mounted = false;
	else
		world->mounted = false;
	world->unmounts++;
	world->lazy_unmounts += lazily;
	(void)send(device, "gone", 4, 0); /* so that the kernel knows */
	return 0;
}

int attach_usable(struct err *err)
{
	(void)err;
	return 0;
}

void attach_read_ahead(const char *directory, unsigned kib)
{
	(void)directory;
	(void)kib;
}

bool attach_is_dead(const char *directory, int timeout_ms)
{
	(void)directory;
	(void)timeout_ms;
	return false;
}

int mountinfo_find(struct mountinfo *out, const char *directory, bool *found, struct err *err)
{
	(void)directory;
	(void)err;
	*out = (struct mountinfo){ .minor = NO_MINOR, .type = MOUNT_TYPE };
	*found = world->mounted;
	return 0;
}

int overlay_mount(const struct plan *plan, struct err *err)
{
	(void)plan;
	world->overlay_mounted = !world->overlay;
	return world->overlay ? err_set(err, -world->overlay, "no overlay today") : 0;
}

bool overlay_is_mounted(const char *directory)
{
	return str_ends(directory, "top") && world->overlay_mounted;
}

static void play_to_the_end(const struct daemon *daemon, int fd)
{
	struct message serving = { .kind = MESSAGE_SERVING };
	daemon->counters->lookups++;
	world->last = (int)getpid();
	(void)send(fd, "answer", 6, 0);
	IGNORE(channel_send(daemon->socket, &serving, -1, NULL));
	struct pollfd end = { .fd = fd };
	while (poll(&end, 1, -1) < 0 || !(end.revents & (POLLERR | POLLHUP)))
		end.revents = 0;
}

int daemon_run(const struct daemon *daemon)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	enum part part = world->parts[world->daemons++ % DAEMONS_MAX];
	struct message message = { .kind = part == PART_FAIL ? MESSAGE_FAILED : MESSAGE_READY };
	if (part == PART_HANG)
		(void)pause();
	if (part == PART_FAIL)
		message.err.code = err_set(&message.err, EBADMSG, "it is broken");
	IGNORE(channel_send(daemon->socket, &message, -1, NULL));
	int fd = -1;
	if (part == PART_FAIL ||
	    channel_receive(daemon->socket, &message, sizeof(message), &fd, -1, NULL) <= 0)
		return 1;
	world->init_seen += message.init_size == world->init_size &&
			    memcmp(message.init, world->init, world->init_size) == 0;
	daemon->counters->lookups += part == PART_ANSWER;
	if (part != PART_SERVE)
		abort();
	play_to_the_end(daemon, fd);
	return 0;
}

/* ---- in the test */

struct scene {
	char *base;
	struct mount_options options;
	struct plan plan;
	int kernel, command; /* owned: our ends */
	pid_t supervisor;
};

static int set_up(void **state)
{
	char *base = mem_strdup("/tmp/rootlet-test-XXXXXX");
	if (!mkdtemp(base) || setenv("ROOTLET_RUN", base, 1) < 0)
		return 1;
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	struct scene *s = mem_make(struct scene, .base = base, .kernel = -1, .command = -1);
	s->plan = (struct plan){ .options = &s->options, .source = mem_strdup("an image") };
	s->plan.directory = mem_strdup("/no/where");
	s->plan.place = mem_strdup("/no/where");
	s->plan.id = run_dir_id(s->plan.directory);
	*state = s;
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	return run_dir_open(&s->plan.run, NULL);
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	mem_close_fd(&s->kernel);
	mem_close_fd(&s->command);
	auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(tmp, s->base + strlen("/tmp/"), NULL);
	plan_release(&s->plan);
	(void)munmap(world, sizeof(*world));
	free(s->base);
	free(s);
	return r;
}

/* FUSE_INIT as Linux sends it; FLAGS2 has FUSE_HAS_RESEND as bit 7. */
static void make_init(uint32_t opcode, uint32_t flags, uint32_t flags2)
{
	const uint32_t words[] = {
		104, opcode, 2, 0, 0, 0, 0, 0, 0, 0, 7, 41, 65536, flags, flags2
	};
	memcpy(world->init, words, sizeof(words));
	world->init_size = 104;
}

#define EXT (1u << 30)
#define RESEND (1u << 7)

static void begin(struct scene *s)
{
	int ends[2], command[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(channel_pair(command, NULL), 0);
	if (!world->init_size)
		make_init(26, EXT, RESEND);
	assert_int_equal(send(ends[0], world->init, world->init_size, 0), world->init_size);
	s->supervisor = fork();
	if (s->supervisor == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a test that failed */
		device = ends[1];
		(void)close(ends[0]);
		(void)close(command[0]);
		_exit(supervisor_run(&s->plan, command[1], NULL) < 0 ? 1 : 0);
	}
	(void)close(ends[1]);
	(void)close(command[1]);
	s->kernel = ends[0];
	s->command = command[0];
}

/* What the command hears. */
static struct message hear(struct scene *s)
{
	struct message message;
	assert_int_equal(
		channel_receive(s->command, &message, sizeof(message), NULL, TIMEOUT_MS, NULL),
		sizeof(message));
	return message;
}

/* The next message to the kernel is TEXT; it stays unread with MSG_PEEK. */
static void expect_written(struct scene *s, const void *text, size_t size, int flags)
{
	uint8_t got[256];
	struct pollfd ready = { .fd = s->kernel, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, TIMEOUT_MS), 1);
	assert_int_equal(recv(s->kernel, got, sizeof(got), flags), size);
	assert_memory_equal(got, text, size);
}

static void expect_answer(struct scene *s)
{
	expect_written(s, "answer", 6, 0);
}

static void expect_resend(struct scene *s)
{
	static const uint32_t notice[] = { 16, 7, 0, 0 }; /* length, FUSE_NOTIFY_RESEND, unique */
	expect_written(s, notice, sizeof(notice), 0);
}

/* A daemon serves, the DAEMONS-th. */
static void begin_serving(struct scene *s)
{
	begin(s);
	assert_int_equal(hear(s).kind, MESSAGE_MOUNTED);
	expect_answer(s);
}

/* A socket closed before all was read gives POLLERR, as FUSE does. */
static void end_connection(struct scene *s)
{
	mem_close_fd(&s->kernel);
	s->kernel = -1;
}

/* The supervisor's status; UNMOUNTED by it, so that the kernel ends the connection. */
static int end_of(struct scene *s, bool unmounted)
{
	if (unmounted) {
		expect_written(s, "gone", 4, MSG_PEEK);
		end_connection(s);
	}
	int status = -1;
	for (unsigned ms = 0; waitpid(s->supervisor, &status, WNOHANG) == 0; ms++) {
		assert_true(ms < TIMEOUT_MS);
		(void)poll(NULL, 0, 1);
	}
	assert_false(world->mounted);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What the log says, "" when there is none; other files are gone. */
static char *what_is_left(const struct scene *s)
{
	static const char *const suffixes[] = { "json", "sock", "lock", "lower" };
	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++) {
		auto_free char *path = run_dir_path(&s->plan.run, s->plan.id.text, suffixes[i]);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	auto_free char *path = run_dir_path(&s->plan.run, s->plan.id.text, "log");
	char *text = NULL;
	size_t size;
	if (io_read_file(AT_FDCWD, path, 1 << 20, &text, &size, NULL) < 0)
		return mem_strdup("");
	return text;
}

static void assert_log(const struct scene *s, const char *says)
{
	auto_free char *text = what_is_left(s);
	if (says ? !strstr(text, says) : *text != '\0')
		fail_msg("the log: %s", text);
}

static void test_a_mount_from_begin_to_end(void **state)
{
	struct scene *s = *state;
	begin(s);
	assert_int_equal(hear(s).kind, MESSAGE_MOUNTED);
	world->mounted = false; /* by somebody else */
	end_connection(s);
	assert_int_equal(end_of(s, false), 0);
	assert_int_equal(world->daemons, 1);
	assert_int_equal(world->init_seen, 1);
	assert_log(s, NULL);
}

static void test_a_killed_daemon_is_replaced(void **state)
{
	struct scene *s = *state;
	begin_serving(s);
	for (int i = 0; i < 40; i++) {
		pid_t pid = world->last;
		assert_int_equal(kill(pid, SIGKILL), 0);
		expect_resend(s);
		expect_answer(s);
		assert_int_not_equal(world->last, pid);
	}
	assert_int_equal(world->init_seen, 41);
	assert_int_equal(kill(s->supervisor, SIGTERM), 0);
	assert_int_equal(end_of(s, true), 0);
}

static void test_a_kernel_that_cannot_resend_gives_up(void **state)
{
	struct scene *s = *state;
	static const uint32_t flags[][2] = { { 0, 0 }, { 0, RESEND }, { EXT, ~RESEND } };
	for (size_t i = 0; i < N_ELEMENTS(flags); i++) {
		make_init(26, flags[i][0], flags[i][1]);
		begin_serving(s);
		assert_int_equal(kill(world->last, SIGKILL), 0);
		assert_int_equal(end_of(s, true), 1);
		assert_log(s, "cannot send requests again");
		assert_int_equal(world->daemons, i + 1);
		mem_close_fd(&s->command);
	}
	s->command = -1;
}

static void test_a_first_request_that_is_not_init_is_refused(void **state)
{
	struct scene *s = *state;
	make_init(3, EXT, RESEND);
	begin(s);
	struct message said = hear(s);
	assert_int_equal(said.kind, MESSAGE_FAILED);
	assert_int_equal(said.err.code, -EIO);
	assert_non_null(strstr(said.err.text, "not FUSE_INIT"));
	assert_int_equal(end_of(s, true), 1);
	assert_log(s, NULL);
}

static void test_what_cannot_be_opened_is_the_commands_error(void **state)
{
	struct scene *s = *state;
	world->parts[0] = PART_FAIL;
	begin(s);
	struct message said = hear(s);
	assert_int_equal(said.err.code, -EBADMSG);
	assert_string_equal(said.err.text, "it is broken");
	assert_int_equal(end_of(s, false), 1);
	assert_int_equal(world->unmounts, 0);
	assert_log(s, NULL);
}

static void test_a_crash_before_the_first_answer_is_got_over(void **state)
{
	struct scene *s = *state;
	world->parts[0] = world->parts[2] = PART_CRASH;
	world->parts[1] = PART_FAIL;
	begin(s);
	for (int i = 0; i < 3; i++)
		expect_resend(s);
	assert_int_equal(hear(s).kind, MESSAGE_MOUNTED);
	expect_answer(s);
	assert_int_equal(world->daemons, 4);
	assert_int_equal(kill(s->supervisor, SIGTERM), 0);
	assert_int_equal(end_of(s, true), 0);
}

static void test_daemons_that_always_crash_are_given_up(void **state)
{
	struct scene *s = *state;
	for (int i = 1; i < DAEMONS_MAX; i++)
		world->parts[i] = PART_ANSWER;
	begin_serving(s);
	assert_int_equal(kill(world->last, SIGABRT), 0);
	for (int i = 0; i <= DEATHS_CRASHES_MAX; i++)
		expect_resend(s);
	assert_int_equal(end_of(s, true), 1);
	assert_int_equal(world->daemons, DEATHS_CRASHES_MAX + 1);
	assert_int_equal(world->lazy_unmounts, 1);
	assert_log(s, "given up: its daemon died too often");
}

static void test_a_stop_while_it_opens_leaves_nothing(void **state)
{
	struct scene *s = *state;
	for (int by_signal = 0; by_signal < 2; by_signal++) {
		world->parts[by_signal] = PART_HANG;
		begin(s);
		while (world->daemons <= (unsigned)by_signal)
			(void)poll(NULL, 0, 1);
		if (by_signal)
			assert_int_equal(kill(s->supervisor, SIGTERM), 0);
		else
			mem_close_fd(&s->command); /* nobody waits */
		assert_int_equal(end_of(s, false), 1);
		assert_int_equal(world->unmounts, 0);
		assert_log(s, NULL);
		end_connection(s);
	}
}

static void test_a_stop_of_what_is_in_use_is_lazy(void **state)
{
	struct scene *s = *state;
	begin_serving(s);
	world->busy = true;
	assert_int_equal(kill(s->supervisor, SIGTERM), 0);
	expect_written(s, "gone", 4, 0);
	assert_int_equal(world->lazy_unmounts, 1);
	assert_int_equal(kill(world->last, 0), 0); /* it still serves who uses it */
	(void)kill(world->last, SIGKILL);	   /* the end of the last user */
	assert_int_equal(end_of(s, false), 0);
	assert_int_equal(world->daemons, 1);
}

static void test_an_overlay_goes_with_what_is_below(void **state)
{
	struct scene *s = *state;
	s->plan.upper = mem_strdup("/no/upper");
	free(s->plan.directory);
	s->plan.directory = mem_strdup("/no/top");
	free(s->plan.place);
	s->plan.place = run_dir_path(&s->plan.run, s->plan.id.text, "lower");
	world->overlay = -EOPNOTSUPP;
	begin(s);
	struct message said = hear(s);
	assert_int_equal(said.err.code, -EOPNOTSUPP);
	assert_string_equal(said.err.text, "no overlay today");
	expect_answer(s);
	assert_int_equal(end_of(s, true), 1);
	assert_log(s, NULL);
	mem_close_fd(&s->command);

	world->overlay = 0;
	begin_serving(s);
	assert_true(world->mounted && world->overlay_mounted);
	assert_int_equal(kill(s->supervisor, SIGTERM), 0);
	expect_written(s, "gone", 4, 0);
	assert_int_equal(end_of(s, true), 0);
	assert_false(world->overlay_mounted);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		EACH(test_a_mount_from_begin_to_end),
		EACH(test_a_killed_daemon_is_replaced),
		EACH(test_a_kernel_that_cannot_resend_gives_up),
		EACH(test_a_first_request_that_is_not_init_is_refused),
		EACH(test_what_cannot_be_opened_is_the_commands_error),
		EACH(test_a_crash_before_the_first_answer_is_got_over),
		EACH(test_daemons_that_always_crash_are_given_up),
		EACH(test_a_stop_while_it_opens_leaves_nothing),
		EACH(test_a_stop_of_what_is_in_use_is_lazy),
		EACH(test_an_overlay_goes_with_what_is_below),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
