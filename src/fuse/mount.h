/*
 * A mount from its beginning to its end: three processes.
 *
 *	rootlet mount	waits until the mount answers (or never will), then exits 0
 *	  supervisor	holds /dev/fuse and the kernel's FUSE_INIT; starts a daemon, and when that
 *			dies another, on the same descriptor, with INIT replayed and requests in
 *			flight resent (FUSE_NOTIFY_RESEND, Linux 6.9).  Single-threaded, parses
 *			nothing.  With FOREGROUND it is the calling process
 *	    daemon	opens the image, serves requests and the status socket
 *
 * The daemon opens the image first; only then is the directory mounted (mount(2) where we may, else
 * fusermount3), so that what goes wrong is an error of the command and not of a reader.
 *
 *	$RUN/rootlet/ID.json	mountpoint, image, pids: made by the supervisor, removed at the end
 *	$RUN/rootlet/ID.sock	status: one JSON object for each connection, by the daemon
 *	$RUN/rootlet/ID.log	what went wrong, about 1 MiB at most; stays when the mount failed
 *	$RUN/rootlet/ID.lock	who is alive
 *
 * $RUN is $ROOTLET_RUN, else /run for root, else $XDG_RUNTIME_DIR, else /tmp/rootlet-UID (0700).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "image/lazy.h"
#include "oci/creds-cloud.h"

struct progress;

/* What the floors above show; all may be NULL. */
struct mount_hooks {
	/* In the daemon, as lazy_options.scanning. */
	void (*scanning)(void *arg, struct progress *progress);
	/* In any of the processes, a line: while the image is opened, later with FOREGROUND. */
	void (*warn)(void *arg, const char *text);
	/* In the calling process: the mount answers. */
	void (*mounted)(void *arg);
	void *arg;
	const atomic_bool *cancel; /* the user wants to stop */
};

struct mount_options {
	const char *image; /* as the user wrote it */
	const char *directory;
	/* Of lazy_options; the daemon makes http, creds and cache itself, each time it starts. */
	const char *platform, *authfile, *cache_dir;
	/* Instead of the user's files, what a Concourse source says (strings borrowed; NULL: not
	 * given).  With FIXED no docker configuration is read: anonymous without user and password.
	 */
	struct mount_access {
		bool fixed;
		const char *username, *password;
		bool insecure; /* plain http may be tried */
		const char *ca_pem, *mirror, *mirror_username, *mirror_password;
		const char *client_pem, *client_key_pem;
		struct creds_cloud cloud; /* when set, instead of username */
	} access;
	uint64_t cache_size_bytes;
	bool tls_verify;
	enum trust least;
	enum lazy_fill fill;
	bool no_prefetch, allow_bomb, wait; /* wait: for what was pushed just now */
	unsigned read_timeout_ms;
	/* of the mount */
	bool suid, dev, allow_other, allow_other_set;
	const char *upper, *work; /* overlayfs on top */
	bool foreground;	  /* stay; sd_notify READY=1 */
	struct mount_hooks hooks;
};

/*
 * Returns in the calling process when the mount answers: 0, or why it does not.  With FOREGROUND
 * only when it has ended.  -EBUSY something of ours is mounted there already;
 * -EOPNOTSUPP FUSE cannot be used here (no device, the kernel or fusermount3 refuse the mount).
 */
MUST_USE int mount_start(const struct mount_options *options, struct err *err);

/* Unmount (the overlay too), end daemon and supervisor, wait for them.  LAZILY: also when busy. */
MUST_USE int mount_stop(const char *directory, bool lazily, struct err *err);

/* The mounts of this user: each one's status object as JSON text, or one made from ID.json when its
 * daemon does not answer.  DIRECTORY NULL: all. */
MUST_USE int mount_status(const char *directory,
			  int (*each)(void *arg, const char *json, size_t size, struct err *err),
			  void *arg, struct err *err);

/* Can FUSE be used here?  0, or why not in one line (-EOPNOTSUPP, -EACCES, -ENOENT). */
MUST_USE int mount_usable(struct err *err);
