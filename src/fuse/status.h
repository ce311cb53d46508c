/*
 * The status of one mount: a thread of the daemon that writes one JSON object to whoever connects
 * to ID.sock, and who asks it.  docs/mount.md lists the members; they are added, never changed.
 */
#pragma once

#include "base/mem.h"
#include "fuse/errlog.h"
#include "fuse/fs.h"
#include "fuse/plan.h"

#define STATUS_MAX_BYTES (16u * 1024 * 1024)

struct status_source {
	const struct plan *plan; /* borrowed, as all of these */
	struct lazy *lazy;
	struct fs_counters *counters;
	struct errlog *log;
	struct cache *cache;
	unsigned restarts;
	int64_t started_s;
	double open_seconds;
	pid_t supervisor;
};

struct status;
MUST_USE int status_start(struct status **out, const struct status_source *source, struct err *err);
/* Before the image is freed. */
void status_free(struct status *status);
DEFINE_AUTO(status)

/* Ask the daemon of ID; yours to free.  -EAGAIN it does not answer. */
MUST_USE int status_ask(const struct run_dir *run, const char *id, char **json, size_t *size,
			struct err *err);
