/*
 * Reading files.  What is at hand is answered by the thread that took the request; else the thread
 * goes on with the next one, and whoever brings the bytes sends the answer.
 *
 * A reader that was killed must not wait for the network.  The kernel tells of any signal to it
 * (FUSE_INTERRUPT), also of those a program lives on with and for which no local file would ever
 * fail a read: so the answer is EINTR only when SIGKILL is pending, which is so for every signal
 * that ends a process.  Reads of the page cache are killable without us; this is for the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "fuse/fs-internal.h"

#define READ_MAX_BYTES (4u * 1024 * 1024)
#define SIGKILL_BIT (UINT64_C(1) << (9 - 1))

struct call {
	struct lazy_request request; /* first: the request is the call */
	fuse_req_t req;
	struct fs *fs;
	unsigned layer; /* of the file */
	/* Who answers: the first to set it.  Afterwards REQ is the answerer's, the call that of
	 * who ends the read. */
	atomic_bool answered;
	atomic_bool armed; /* interrupts may be answered now */
	char buf[];
};

/* What a reader sees of a failure inside. */
static int reader_errno(int r)
{
	switch (-r) {
	case ENOMEM:
	case EINTR:
		return -r;
	default:
		return EIO;
	}
}

static bool claim(struct call *call)
{
	return !atomic_exchange(&call->answered, true);
}

static void answer(struct call *call, int r, size_t got)
{
	/* waits for an interrupt that is being looked at right now, and ends them */
	fuse_req_interrupt_func(call->req, NULL, NULL);
	if (r < 0) {
		fs_count(&call->fs->counters->errors);
		(void)fuse_reply_err(call->req, reader_errno(r));
		return;
	}
	atomic_fetch_add_explicit(&call->fs->counters->read_bytes, got, memory_order_relaxed);
	(void)fuse_reply_buf(call->req, call->buf, got);
}

static void end(struct call *call, int r, size_t got)
{
	if (claim(call))
		answer(call, r, got);
	free(call);
}

/* Other failures are told by who fetches. */
static void say_late(struct call *call, const struct err *err)
{
	struct fs *fs = call->fs;
	int64_t now = time(NULL);
	if (!fs->late || atomic_exchange(&fs->late_s, now) == now)
		return;
	char text[ERR_TEXT_MAX_BYTES];
	(void)snprintf(text, sizeof(text), "read a file of '%s', layer %u: %s",
		       lazy_image(fs->lazy)->repo->name, call->layer + 1u, err_text(err));
	fs->late(fs->arg, text);
}

static void done(struct lazy_request *request, int r, size_t got, const struct err *err)
{
	if (r == -ETIMEDOUT)
		say_late((struct call *)request, err);
	end((struct call *)request, r, got);
}

static bool is_being_killed(pid_t thread)
{
	char path[64], text[8192];
	if (thread <= 0)
		return false; /* of another PID namespace */
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	static const char *const keys[] = { "\nSigPnd:\t", "\nShdPnd:\t" };
	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		const char *at = strstr(text, keys[i]);
		if (at && strtoull(at + strlen(keys[i]), NULL, 16) & SIGKILL_BIT)
			return true;
	}
	return false;
}

/* libfuse calls it with the request's lock held: REQ stays until it returns. */
static void interrupted(fuse_req_t req, void *arg)
{
	struct call *call = arg;
	if (!atomic_load(&call->armed) || !is_being_killed(fuse_req_ctx(req)->pid))
		return;
	/* from the claim on the call may be gone at any moment */
	if (claim(call))
		(void)fuse_reply_err(req, EINTR);
}

/* False when the reader is gone already. */
static bool arm(struct call *call)
{
	/* it may call interrupted() right here, where libfuse does not bear an answer */
	fuse_req_interrupt_func(call->req, interrupted, call);
	atomic_store(&call->armed, true);
	return !fuse_req_interrupted(call->req) || !is_being_killed(fuse_req_ctx(call->req)->pid);
}

void fs_read(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
	     struct fuse_file_info *file)
{
	(void)file;
	struct fs *fs = fs_of(req);
	const struct rootfs_inode *inode = fs_inode(req, number);
	fs_count(&fs->counters->reads);
	if (!inode || !S_ISREG(inode->mode) || offset < 0) {
		(void)fuse_reply_err(req, EIO);
		return;
	}
	if (size > READ_MAX_BYTES)
		size = READ_MAX_BYTES;
	struct call *call = malloc(sizeof(*call) + size);
	if (!call) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	*call = (struct call){ .request = { done }, .req = req, .fs = fs, .layer = inode->layer };
	if (!arm(call)) {
		end(call, -EINTR, 0);
		return;
	}
	size_t got = 0;
	int r = lazy_read_start(fs->lazy, &call->request, (uint32_t)number, call->buf, size,
				(uint64_t)offset, &got);
	if (r != 0)
		end(call, r < 0 ? r : 0, got);
	else
		fs_count(&fs->counters->waits);
}
