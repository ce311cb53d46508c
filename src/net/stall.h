/*
 * A clock that finds transfers which do not get on, and does not run while they are paused: no byte
 * for a window of time, or fewer than STALL_BYTES_PER_SECOND over one.  Pure arithmetic on
 * milliseconds of a monotonic clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STALL_BYTES_PER_SECOND 1024u

struct stall {
	uint64_t window_ms; /* 0 < */
	uint64_t since;	    /* start of the window */
	uint64_t last;	    /* when the last byte came */
	uint64_t bytes;	    /* in this window */
	uint64_t paused_at; /* valid while paused */
	bool paused;
};

void stall_start(struct stall *stall, uint64_t window_ms, uint64_t now);
void stall_add(struct stall *stall, uint64_t bytes, uint64_t now);
void stall_pause(struct stall *stall, uint64_t now);
void stall_resume(struct stall *stall, uint64_t now);

/* Too slow?  If not, *wait_ms is lowered to the time after which to ask again. */
bool stall_check(struct stall *stall, uint64_t now, uint64_t *wait_ms);
