/* Counting deaths: a ring of the last crashes, and a row of deaths that helped nobody. */
#include "fuse/deaths.h"

#define PAUSE_FREE 3 /* so many are replaced at once */
#define PAUSE_FIRST_MS 10u
#define DOUBLINGS_MAX 16

static bool crashes_too_often(struct deaths *deaths, uint64_t now_ms)
{
	uint64_t *slot = &deaths->crashes[deaths->crash_count % DEATHS_CRASHES_MAX];
	uint64_t oldest = *slot;
	*slot = now_ms;
	/* this one and the DEATHS_CRASHES_MAX before it */
	return deaths->crash_count++ >= DEATHS_CRASHES_MAX && now_ms - oldest <= DEATHS_WINDOW_MS;
}

static unsigned pause_after(unsigned row, unsigned most_ms)
{
	if (row < PAUSE_FREE)
		return 0;
	unsigned doublings = row - PAUSE_FREE;
	unsigned pause = doublings < DOUBLINGS_MAX ? PAUSE_FIRST_MS << doublings : most_ms;
	return pause < most_ms ? pause : most_ms;
}

enum deaths_verdict deaths_add(struct deaths *deaths, const struct death *death, unsigned *pause_ms)
{
	bool failed = death->cause == DEATH_FAILED;
	if (death->answers != deaths->answers)
		deaths->row = deaths->stuck = 0;
	deaths->answers = death->answers;
	deaths->row++;
	deaths->stuck += death->waiting || failed;
	*pause_ms = pause_after(deaths->row,
				failed ? DEATHS_PAUSE_FAILED_MAX_MS : DEATHS_PAUSE_MAX_MS);
	if (death->cause == DEATH_CRASHED && crashes_too_often(deaths, death->now_ms))
		return DEATHS_GIVE_UP;
	return deaths->stuck > DEATHS_STUCK_MAX ? DEATHS_GIVE_UP : DEATHS_GO_ON;
}
