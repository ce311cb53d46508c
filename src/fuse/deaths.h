/*
 * When to stop starting daemons: readers of a mount whose daemon cannot live must get errors, not
 * wait for ever.  Being killed from outside is no fault of ours as long as requests are answered
 * in between; crashing is, and so is dying again and again without an answer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DEATHS_CRASHES_MAX 10 /* within DEATHS_WINDOW_MS */
#define DEATHS_WINDOW_MS 10000
#define DEATHS_STUCK_MAX 100 /* in a row, without one answer while somebody waited */
#define DEATHS_PAUSE_MAX_MS 500

struct deaths {
	uint64_t crashes[DEATHS_CRASHES_MAX]; /* when the last ones were, a ring */
	unsigned crash_count;		      /* ever */
	unsigned stuck;			      /* see DEATHS_STUCK_MAX */
	uint64_t answers;		      /* at the last death */
};

struct death {
	uint64_t now_ms;  /* of a monotonic clock */
	bool killed;	  /* by SIGKILL */
	bool waiting;	  /* somebody waits for an answer */
	uint64_t answers; /* given since the mount began */
};

enum deaths_verdict {
	DEATHS_GO_ON,
	DEATHS_GIVE_UP,
};

/* *pause_ms: wait before the next one is started. */
enum deaths_verdict deaths_add(struct deaths *deaths, const struct death *death,
			       unsigned *pause_ms);
