/* libfuse's side of a daemon: a session on a descriptor whose FUSE_INIT was read by somebody else.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "fuse/fs.h"

struct fs_session;

/*
 * Takes FD over.  INIT is the kernel's first request as it was read; it is answered, by the first
 * daemon for good, and the answers of later ones the kernel ignores.
 */
MUST_USE int fs_session_new(struct fs_session **out, struct fs *fs, int fd, const void *init,
			    size_t init_size, struct err *err);
/* Requests in flight must have been answered: lazy_free comes before. */
void fs_session_free(struct fs_session *session);
DEFINE_AUTO(fs_session)

/* Serve until the file system is unmounted: 0. */
MUST_USE int fs_session_loop(struct fs_session *session, struct err *err);
