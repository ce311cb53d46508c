/*
 * The session.  No clone_fd: requests read from a clone are lost with it when the daemon dies; no
 * unmounting at the end: the mount outlives daemons.
 */
#include "fuse/fs-session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/fs-internal.h"

#define THREADS_MIN 2
#define THREADS_MAX 4

struct fs_session {
	struct fuse_session *fuse; /* owned */
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

int fs_session_loop(struct fs_session *session, struct err *err)
{
	int cores = get_nprocs();
	unsigned threads = cores < THREADS_MIN	 ? THREADS_MIN
			   : cores > THREADS_MAX ? THREADS_MAX
						 : (unsigned)cores;
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	if (!config)
		return err_set(err, ENOMEM, "no memory");
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_idle_threads(config, threads);
	fuse_loop_cfg_set_max_threads(config, threads);
	int r = fuse_session_loop_mt(session->fuse, config);
	fuse_loop_cfg_destroy(config);
	return r < 0 ? err_errno(err, -r, "serve requests") : 0;
}
