/*
 * The daemon: opens the image, says so, and when it is given the device serves it until the mount
 * is gone.  Everything of it begins anew with each one.
 */
#pragma once

#include "fuse/channel.h"
#include "fuse/fs.h"
#include "fuse/plan.h"

struct daemon {
	const struct plan *plan;      /* borrowed */
	struct fs_counters *counters; /* borrowed; shared memory */
	int socket;		      /* to the supervisor; borrowed */
	pid_t supervisor;
	unsigned restarts;
	int64_t started_s;	       /* of the mount, Unix time */
	const struct message *earlier; /* what the first daemon opened; NULL: this is the first */
};

/* The exit status of the process: 0 the mount is gone. */
int daemon_run(const struct daemon *daemon);
