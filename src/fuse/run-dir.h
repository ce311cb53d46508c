/*
 * The directory of what runs: one ID a mounted directory, see fuse/mount.h.
 *
 *	$RUN/rootlet/		0700, ours
 *	    ID.json		what the supervisor says of the mount
 *	    ID.sock		status, by the daemon
 *	    ID.log		what went wrong
 *	    ID.lock		a byte a role, locked as long as that process lives (fcntl(2)): so
 *				neither a kill nor a reused pid makes a dead mount look alive
 *	    ID.lower/		where the image is mounted when an overlay is on top
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define RUN_JSON_MAX_BYTES (64u * 1024)

struct run_dir {
	int fd;	    /* owned */
	char *path; /* owned */
};

struct run_id {
	char text[24];
};

enum run_role { /* a byte of ID.lock */
		RUN_SUPERVISOR,
		RUN_DAEMON,
};

/* The pids as this process sees them; 0: nobody. */
struct run_alive {
	pid_t supervisor, daemon;
};

/* Open or make it.  -EACCES not ours, or open to others. */
MUST_USE int run_dir_open(struct run_dir *out, struct err *err);
void run_dir_release(struct run_dir *run);
#define auto_run_dir __attribute__((cleanup(run_dir_release))) struct run_dir

/* DIRECTORY as realpath(3) writes it. */
struct run_id run_dir_id(const char *directory);
/* "PATH/ID.SUFFIX", to be freed. */
char *run_dir_path(const struct run_dir *run, const char *id, const char *suffix);
/* The same through the descriptor, short enough for a socket's address. */
struct run_socket {
	char path[80];
};
struct run_socket run_dir_socket(const struct run_dir *run, const char *id);

/*
 * Take the place of ROLE until *fd is closed or this process ends; a child does not inherit it.
 * -EBUSY somebody has it.  At most one descriptor of one ID in a process: closing any gives all up.
 */
MUST_USE int run_dir_lock(const struct run_dir *run, const char *id, enum run_role role, int *fd,
			  struct err *err);
/* Who has ROLE, asked through the descriptor of a lock one holds. */
pid_t run_dir_holder(int lock, enum run_role role);
/* The same for both, for who holds no lock of this ID. */
struct run_alive run_dir_alive(const struct run_dir *run, const char *id);

MUST_USE int run_dir_write(const struct run_dir *run, const char *id, const char *json,
			   struct err *err);
/* -ENOENT. */
MUST_USE int run_dir_read(const struct run_dir *run, const char *id, char **json, size_t *size,
			  struct err *err);

/* Every ID that has an ID.json; EACH may return non-zero to end. */
MUST_USE int run_dir_list(const struct run_dir *run, int (*each)(void *arg, const char *id),
			  void *arg, struct err *err);

/* The mount is gone; its log stays when it tells why. */
void run_dir_forget(const struct run_dir *run, const char *id, bool keep_log);
