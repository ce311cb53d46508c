/*
 * When to stop starting daemons: readers of a mount whose daemon cannot live must get errors, not
 * wait for ever.  Being killed from outside is no fault of ours as long as requests are answered in
 * between; crashing is; and so is ending again and again without an answer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DEATHS_CRASHES_MAX 10 /* within DEATHS_WINDOW_MS */
#define DEATHS_WINDOW_MS 10000
#define DEATHS_STUCK_MAX 30 /* in a row, without one answer, while somebody waited */
#define DEATHS_PAUSE_MAX_MS 200
#define DEATHS_PAUSE_FAILED_MAX_MS 2000 /* what it needs may come back: a registry, a disk */

enum death_cause {
	DEATH_KILLED,  /* by SIGKILL */
	DEATH_CRASHED, /* by another signal */
	DEATH_FAILED,  /* it ended by itself, and said why */
};

struct death {
	enum death_cause cause;
	uint64_t now_ms;  /* of a monotonic clock */
	bool waiting;	  /* somebody waits for an answer */
	uint64_t answers; /* given since the mount began */
};

struct deaths {
	uint64_t crashes[DEATHS_CRASHES_MAX]; /* when the last ones were, a ring */
	unsigned crash_count;		      /* ever */
	unsigned row;			      /* without an answer in between */
	unsigned stuck;			      /* see DEATHS_STUCK_MAX */
	uint64_t answers;		      /* at the last death */
};

enum deaths_verdict {
	DEATHS_GO_ON,
	DEATHS_GIVE_UP,
};

/* *pause_ms: wait before the next one is started. */
enum deaths_verdict deaths_add(struct deaths *deaths, const struct death *death,
			       unsigned *pause_ms);
