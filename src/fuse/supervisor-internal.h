/* Between supervisor.c (what happens) and supervisor-mount.c (the mount itself). */
#pragma once

#include <signal.h>

#include "fuse/channel.h"
#include "fuse/deaths.h"
#include "fuse/errlog.h"
#include "fuse/fs.h"
#include "fuse/plan.h"

/* Memory that the supervisor has in common with its children. */
struct shared {
	struct fs_counters counters;
	struct err overlay; /* why it was refused */
};

enum life {
	LIFE_OPENING,  /* the first daemon opens the image */
	LIFE_MOUNTING, /* mounted, but the command still waits */
	LIFE_SERVING,
	LIFE_STOPPING, /* unmounted by us, or to be so; until DEADLINE */
	LIFE_OVER,
};

struct supervisor {
	const struct plan *plan; /* borrowed */
	enum life life;
	int command;	   /* owned: the socket to the command, or -1 */
	int lock;	   /* owned */
	int signals;	   /* owned: a signalfd */
	int device;	   /* owned: /dev/fuse, or -1 */
	int mounts;	   /* owned: the list of mounts, polled; -1 without an overlay */
	int daemon_socket; /* owned, or -1 */
	pid_t daemon;	   /* 0: none */
	pid_t overlay;	   /* who is mounting it; 0: nobody */
	bool gone;	   /* the connection to the kernel has ended */
	bool can_resend;
	bool said_why;	      /* the daemon did, before it ended */
	bool served;	      /* the mount has answered */
	int stopped_by;	      /* a signal's number, or 0 */
	uint64_t start_ms;    /* when the next daemon is to be started; 0: not */
	uint64_t deadline_ms; /* of LIFE_STOPPING */
	unsigned restarts;
	int64_t started_s;
	struct message first; /* what the first daemon opened */
	struct message serve; /* with the kernel's FUSE_INIT */
	struct deaths deaths;
	struct shared *shared; /* owned: mapped */
	struct errlog *log;    /* owned */
	sigset_t signals_before;
	struct err err; /* why it is over; code 0: as it should */
};

/* Make sure that nothing of ours is there, alive (-EBUSY) or dead (it is removed). */
MUST_USE int supervisor_clear(struct supervisor *s, struct err *err);
/* The image is where it belongs. */
bool supervisor_is_mounted(const struct supervisor *s);
/* Mount, and read what the kernel asks first. */
MUST_USE int supervisor_mount(struct supervisor *s, struct err *err);
/* Unmount all of it; what is in use only LAZILY. */
MUST_USE int supervisor_unmount(const struct supervisor *s, bool lazily, struct err *err);
/* The kernel is to send again what it had sent to a daemon that is gone.  -EOPNOTSUPP. */
MUST_USE int supervisor_resend(struct supervisor *s, struct err *err);
/* Write ID.json. */
void supervisor_record(struct supervisor *s);
/* Has the connection ended?  Does somebody wait for an answer? */
bool supervisor_has_ended(const struct supervisor *s);
bool supervisor_is_asked(const struct supervisor *s);
