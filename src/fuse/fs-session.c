/*
 * The session.  No clone_fd: requests read from a clone are lost with it when the daemon dies; no
 * unmounting at the end: the mount outlives daemons.
 */
#include "fuse/fs-session.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
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
	cpu_set_t cores;	   /* where threads may run; set before they start */
	sem_t ended;		   /* posted by each thread that ends by itself */
	_Atomic int code;	   /* why: 0 the mount is gone */
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
	(void)sem_init(&session->ended, 0, 0);
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
	(void)sem_destroy(&session->ended);
	free(session);
}

/* ---- serving */

/* What we read of a request is the kernel's header, where libfuse does too. */
static void follow(struct near *near, const struct fuse_buf *buf)
{
	const struct fuse_in_header *in = buf->mem;
	if ((buf->flags & FUSE_BUF_IS_FD) != 0 || buf->size < sizeof(*in))
		return;
	const struct fuse_read_in *read = (const void *)(in + 1);
	bool bulky = in->opcode == FUSE_READ && buf->size >= sizeof(*in) + sizeof(*read) &&
		     read->size > SMALL_READ_MAX_BYTES;
	near_request(near, (pid_t)in->pid, bulky);
}

/* A request, or what ends serving: 0 the mount is gone. */
static int receive(struct fs_session *session, struct fuse_buf *buf)
{
	int n;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	do
		n = fuse_session_receive_buf(session->fuse, buf);
	while (n == -EINTR || n == -EAGAIN);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	return n;
}

static void free_buf(void *arg)
{
	struct fuse_buf *buf = arg;
	free(buf->mem);
}

/* One thread; the first that has to end tells why. */
static void *work(void *arg)
{
	struct fs_session *session = arg;
	struct fuse_buf buf = { .mem = NULL };
	struct near near;
	near_init(&near, &session->cores);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cleanup_push(free_buf, &buf);
	while (!fuse_session_exited(session->fuse)) {
		int n = receive(session, &buf);
		if (n <= 0) {
			atomic_store(&session->code, n);
			break;
		}
		follow(&near, &buf);
		fuse_session_process_buf(session->fuse, &buf);
	}
	pthread_cleanup_pop(1);
	(void)sem_post(&session->ended);
	return NULL;
}

static unsigned thread_count(void)
{
	int cores = get_nprocs();
	if (cores < THREADS_MIN)
		return THREADS_MIN;
	return cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

/* Signals are for who asked for them: no thread of ours takes one. */
static int start(struct fs_session *session, pthread_t *thread)
{
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(thread, NULL, work, session);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

int fs_session_loop(struct fs_session *session, struct err *err)
{
	pthread_t threads[THREADS_MAX];
	unsigned wanted = thread_count(), count = 0;
	int code = 0;
	if (sched_getaffinity(0, sizeof(session->cores), &session->cores) < 0)
		CPU_ZERO(&session->cores);
	while (count < wanted && code == 0) {
		code = start(session, &threads[count]);
		count += code == 0;
	}
	if (count == 0)
		return err_errno(err, code, "start a thread");
	while (sem_wait(&session->ended) < 0 && errno == EINTR)
		;
	/* the others end too, or have nothing more to wait for */
	for (unsigned i = 0; i < count; i++)
		(void)pthread_cancel(threads[i]);
	for (unsigned i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
	code = atomic_load(&session->code);
	return code < 0 ? err_errno(err, -code, "serve requests") : 0;
}
