/*
 * What is mounted where: /proc/self/mountinfo, proc_pid_mountinfo(5).
 *
 *	36 35 98:0 /root /mnt/point rw,noatime master:1 - fuse.rootlet source rw,user_id=0
 *	      major:minor          options    any number    type         source
 *
 * Asking it never waits for the file system that is mounted, as stat(2) would.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define MOUNTINFO_MAX_BYTES (64u * 1024 * 1024)
#define MOUNT_TYPE "fuse.rootlet"

struct mountinfo {
	unsigned major, minor;
	char type[64];
	char source[512]; /* cut when longer */
};

/* The mount on top at DIRECTORY (as realpath(3) writes it) in TEXT; false when there is none. */
bool mountinfo_search(struct mountinfo *out, const char *text, const char *directory);

/* The same of this process; *found. */
MUST_USE int mountinfo_find(struct mountinfo *out, const char *directory, bool *found,
			    struct err *err);
