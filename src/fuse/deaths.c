/* Counting deaths: a ring of the last crashes, and a row of deaths that helped nobody. */
#include "fuse/deaths.h"

static bool crashes_too_often(struct deaths *deaths, uint64_t now_ms)
{
	uint64_t *slot = &deaths->crashes[deaths->crash_count % DEATHS_CRASHES_MAX];
	uint64_t oldest = *slot;
	*slot = now_ms;
	/* this one and the DEATHS_CRASHES_MAX before it */
	return deaths->crash_count++ >= DEATHS_CRASHES_MAX && now_ms - oldest <= DEATHS_WINDOW_MS;
}

static unsigned pause_after(unsigned stuck)
{
	if (stuck < 3)
		return 0;
	unsigned doublings = stuck - 3;
	unsigned pause = doublings < 6 ? 10u << doublings : DEATHS_PAUSE_MAX_MS;
	return pause < DEATHS_PAUSE_MAX_MS ? pause : DEATHS_PAUSE_MAX_MS;
}

enum deaths_verdict deaths_add(struct deaths *deaths, const struct death *death, unsigned *pause_ms)
{
	bool stuck = death->waiting && death->answers == deaths->answers;
	deaths->stuck = stuck ? deaths->stuck + 1 : 0;
	deaths->answers = death->answers;
	*pause_ms = pause_after(deaths->stuck);
	if (!death->killed && crashes_too_often(deaths, death->now_ms))
		return DEATHS_GIVE_UP;
	return deaths->stuck > DEATHS_STUCK_MAX ? DEATHS_GIVE_UP : DEATHS_GO_ON;
}
