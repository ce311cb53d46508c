/*
 * The session.  No clone_fd: requests read from a clone are lost with it when the daemon dies; no
 * unmounting at the end: the mount outlives daemons.
 */
#include "fuse/fs-session.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/fs-internal.h"
#include "fuse/near.h"

#define THREADS_MIN 2
#define THREADS_MAX 4
#define SMALL_READ_MAX_BYTES (64u * 1024)

struct fs_session {
	struct fuse_session *fuse; /* owned */
	cpu_set_t cores;
	int code;
};

static int answer_init(struct fs_session *session, const void *init, size_t size, struct err *err)
{
	/* libfuse does not write into it */
	struct fuse_buf buf = { .size = size, .mem = (void *)(uintptr_t)init, .fd = -1 };
	fuse_session_process_buf(session->fuse, &buf);
	if (fuse_session_exited(session->fuse))
		return err_set(err, EIO, "libfuse and the kernel do not agree");
	return 0;
}

int fs_session_new(struct fs_session **out, struct fs *fs, int fd, const void *init,
		   size_t init_size, struct err *err)
{
	auto_close int device = fd;
	char name[] = "rootlet", place[32];
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	AUTO(fs_session) session = mem_make(struct fs_session, .fuse = NULL);
	session->fuse = fuse_session_new(&args, fs_ops(), sizeof(struct fuse_lowlevel_ops), fs);
	fuse_opt_free_args(&args);
	if (!session->fuse)
		return err_set(err, EIO, "libfuse refused to begin a session");
	(void)snprintf(place, sizeof(place), "/dev/fd/%d", device);
	if (fuse_session_mount(session->fuse, place) != 0)
		return err_set(err, EIO, "libfuse refused '%s'", place);
	device = -1; /* the session's now */
	int r = answer_init(session, init, init_size, err);
	if (r < 0)
		return r;
	*out = TAKE(session);
	return 0;
}

void fs_session_free(struct fs_session *session)
{
	if (!session)
		return;
	if (session->fuse)
		fuse_session_destroy(session->fuse);
	free(session);
}

/* The kernel's own header, as libfuse gets it: what of it is needed here. */
static void follow(struct near *near, const struct fuse_buf *buf)
{
	const struct fuse_in_header *in = buf->mem;
	if (buf->flags & FUSE_BUF_IS_FD || buf->size < sizeof(*in))
		return;
	const struct fuse_read_in *read = (const void *)(in + 1);
	bool bulky = in->opcode == FUSE_READ && buf->size >= sizeof(*in) + sizeof(*read) &&
		     read->size > SMALL_READ_MAX_BYTES;
	near_request(near, (pid_t)in->pid, bulky);
}

/* A thread that serves requests until the file system is unmounted. */
static void *work(void *arg)
{
	struct fs_session *session = arg;
	struct fuse_buf buf = { .mem = NULL };
	struct near near;
	near_init(&near, &session->cores);
	while (!fuse_session_exited(session->fuse)) {
		int n = fuse_session_receive_buf(session->fuse, &buf);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0) {
			session->code = n;
			break;
		}
		follow(&near, &buf);
		fuse_session_process_buf(session->fuse, &buf);
	}
	free(buf.mem);
	return NULL;
}

int fs_session_loop(struct fs_session *session, struct err *err)
{
	int cores = get_nprocs();
	unsigned threads = cores < THREADS_MIN	 ? THREADS_MIN
			   : cores > THREADS_MAX ? THREADS_MAX
						 : (unsigned)cores;
	if (getenv("XT")) threads = atoi(getenv("XT"));
	if (sched_getaffinity(0, sizeof(session->cores), &session->cores) < 0)
		CPU_ZERO(&session->cores);
	pthread_t t[8];
	for (unsigned i = 1; i < threads; i++)
		pthread_create(&t[i], NULL, work, session);
	work(session);
	for (unsigned i = 1; i < threads; i++)
		pthread_join(t[i], NULL);
	return session->code < 0 ? err_errno(err, -session->code, "serve requests") : 0;
}
