/*
 * The mount and its connection, as the supervisor holds them.
 *
 * The kernel's first request, FUSE_INIT, is read here and kept: libfuse wants to see it at the
 * begin of each session, and the kernel sends it once.  Constants of the protocol that may be newer
 * than the headers are written out (linux/fuse.h).
 *
 * Nothing here may ask the mounted file system anything: the answer would have to come from a
 * daemon that nobody else can start.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/esc.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuse/attach.h"
#include "fuse/mountinfo.h"
#include "fuse/overlay.h"
#include "fuse/supervisor-internal.h"

#define INIT_TIMEOUT_MS 10000
#define DEAD_TIMEOUT_MS 2000
#define ORPHAN_TIMEOUT_MS 5000
#define READ_BUFFER_BYTES (64u * 1024) /* the kernel refuses less than 8 KiB */
#define RECORD_MAX_BYTES (32u * 1024)
#define IN_HEADER_BYTES 40
#define OPCODE_INIT 26u
#define INIT_FLAG_EXT (1u << 30)	/* FUSE_INIT_EXT: there are flags2 */
#define INIT_FLAG2_HAS_RESEND (1u << 7) /* FUSE_HAS_RESEND >> 32 */
#define NOTIFY_RESEND 7

static int clear_dead(const char *directory, struct err *err)
{
	struct mountinfo info;
	bool found = false;
	int r = mountinfo_find(&info, directory, &found, err);
	if (r < 0 || !found || !str_equal(info.type, MOUNT_TYPE))
		return r;
	if (!attach_is_dead(directory, DEAD_TIMEOUT_MS))
		return err_set(err, EBUSY, "an image is mounted at '%s' already", esc(directory));
	return attach_unmount(directory, true, err);
}

/* A daemon whose supervisor was killed serves on; it ends with its mount unless that is in use. */
static bool end_orphan(const struct supervisor *s)
{
	pid_t daemon = run_dir_holder(s->lock, RUN_DAEMON);
	if (daemon <= 0)
		return true;
	auto_close int ended = (int)syscall(SYS_pidfd_open, daemon, 0);
	if (ended < 0)
		return errno == ESRCH;
	if (supervisor_unmount(s, false, NULL) < 0)
		return false;
	struct pollfd event = { .fd = ended, .events = POLLIN };
	return poll(&event, 1, ORPHAN_TIMEOUT_MS) == 1;
}

int supervisor_clear(struct supervisor *s, struct err *err)
{
	const struct plan *plan = s->plan;
	if (!end_orphan(s))
		return err_set(err, EBUSY,
			       "an image is mounted at '%s' already, and in use, though its "
			       "supervisor was killed: 'rootlet umount --lazy' ends it",
			       esc(plan->directory));
	auto_free char *lower = run_dir_path(&plan->run, plan->id.text, "lower");
	int r = clear_dead(lower, err);
	if (r == 0 && overlay_is_mounted(plan->directory))
		r = attach_unmount(plan->directory, true, err);
	return r == 0 ? clear_dead(plan->directory, err) : r;
}

/* struct fuse_in_header, struct fuse_init_in. */
static bool parse_init(const void *data, size_t size, bool *can_resend)
{
	struct cursor c = cursor_of(data, size);
	uint32_t length = cursor_le32(&c), opcode = cursor_le32(&c);
	(void)cursor_take(&c, IN_HEADER_BYTES - 8);
	(void)cursor_take(&c, 12); /* major, minor, max_readahead */
	uint32_t flags = cursor_le32(&c);
	uint32_t flags2 = flags & INIT_FLAG_EXT ? cursor_le32(&c) : 0;
	*can_resend = flags2 & INIT_FLAG2_HAS_RESEND;
	return !c.bad && length == size && opcode == OPCODE_INIT;
}

static int read_init(struct supervisor *s, struct err *err)
{
	struct pollfd ready = { .fd = s->device, .events = POLLIN };
	if (poll(&ready, 1, INIT_TIMEOUT_MS) != 1)
		return err_set(err, EIO, "the kernel does not begin with the mount");
	auto_free uint8_t *buf = mem_new(READ_BUFFER_BYTES);
	ssize_t n = read(s->device, buf, READ_BUFFER_BYTES);
	if (n < 0)
		return err_sys(err, "read the kernel's first request");
	if ((size_t)n > INIT_MAX_BYTES || !parse_init(buf, (size_t)n, &s->can_resend))
		return err_set(err, EIO, "the kernel's first request is not FUSE_INIT");
	s->serve = (struct message){ .kind = MESSAGE_SERVE, .init_size = (uint32_t)n };
	memcpy(s->serve.init, buf, (size_t)n);
	return 0;
}

int supervisor_mount(struct supervisor *s, struct err *err)
{
	const struct plan *plan = s->plan;
	const struct mount_options *options = plan->options;
	if (plan->upper && mkdir(plan->place, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make directory '%s'", esc(plan->place));
	struct attach_options attach = {
		.directory = plan->place,
		.source = plan->source,
		.suid = options->suid,
		.dev = options->dev,
		.allow_other = options->allow_other_set ? options->allow_other : geteuid() == 0,
	};
	int r = attach_mount(&s->device, &attach, err);
	return r < 0 ? r : read_init(s, err);
}

bool supervisor_is_mounted(const struct supervisor *s)
{
	struct mountinfo info;
	bool found = false;
	return mountinfo_find(&info, s->plan->place, &found, NULL) == 0 && found &&
	       str_equal(info.type, MOUNT_TYPE);
}

int supervisor_unmount(const struct supervisor *s, bool lazily, struct err *err)
{
	const struct plan *plan = s->plan;
	if (plan->upper && overlay_is_mounted(plan->directory)) {
		int r = attach_unmount(plan->directory, lazily, err);
		if (r < 0)
			return r;
	}
	/* else somebody was faster */
	return supervisor_is_mounted(s) ? attach_unmount(plan->place, lazily, err) : 0;
}

/* Requests the kernel waits for, or -1: fusectl is not mounted, or not for us. */
static long count_waiting(const struct plan *plan)
{
	struct mountinfo info;
	bool found = false;
	if (mountinfo_find(&info, plan->place, &found, NULL) < 0 || !found)
		return -1;
	char path[64];
	(void)snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/waiting", info.minor);
	auto_free char *text = NULL;
	size_t size;
	if (io_read_file(AT_FDCWD, path, 64, &text, &size, NULL) < 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	unsigned long long count;
	return str_parse_u64(text, &count) ? (long)count : -1;
}

int supervisor_resend(struct supervisor *s, struct err *err)
{
	/* struct fuse_out_header: a notification has unique 0 and its code as error */
	const struct {
		uint32_t length;
		int32_t error;
		uint64_t unique;
	} notice = { sizeof(notice), NOTIFY_RESEND, 0 };
	if (s->can_resend)
		return io_write_all(s->device, &notice, sizeof(notice), err);
	if (count_waiting(s->plan) == 0)
		return 0;
	return err_set(err, EOPNOTSUPP,
		       "this kernel cannot send requests again (Linux 6.9 can), and some wait");
}

void supervisor_record(struct supervisor *s)
{
	const struct plan *plan = s->plan;
	auto_str out = STR_MAX(RECORD_MAX_BYTES);
	str_add(&out, "{\"image\":");
	json_add_string(&out, plan->source);
	str_add(&out, ",\"directory\":");
	json_add_string(&out, plan->directory);
	str_add(&out, ",\"place\":");
	json_add_string(&out, plan->place);
	str_addf(&out, ",\"overlay\":%s", plan->upper ? "true" : "false");
	str_addf(&out,
		 ",\"supervisor_pid\":%d,\"daemon_pid\":%d,\"restarts\":%u,\"started\":%" PRId64
		 "}\n",
		 (int)getpid(), (int)s->daemon, s->restarts, s->started_s);
	struct err err = { 0 };
	int r = out.failed ? -E2BIG : run_dir_write(&plan->run, plan->id.text, out.data, &err);
	if (r < 0)
		errlog_addf(s->log, "the mount is not listed: %s", err_text(&err));
}

bool supervisor_has_ended(const struct supervisor *s)
{
	struct pollfd device = { .fd = s->device, .events = POLLIN };
	return s->gone || (s->device >= 0 && poll(&device, 1, 0) == 1 && device.revents & POLLERR);
}

bool supervisor_is_asked(const struct supervisor *s)
{
	struct pollfd device = { .fd = s->device, .events = POLLIN };
	return poll(&device, 1, 0) == 1 && device.revents & POLLIN;
}
