/*
 * The stall clock.  libcurl's own low-speed limit counts the time in which we paused a transfer for
 * a slow reader (curl_easy_pause, "slow" by CURLOPT_LOW_SPEED_TIME), so it cannot be used.
 */
#include "net/stall.h"

void stall_start(struct stall *stall, uint64_t window_ms, uint64_t now)
{
	*stall = (struct stall){ .window_ms = window_ms, .since = now, .last = now };
}

void stall_add(struct stall *stall, uint64_t bytes, uint64_t now)
{
	stall->bytes += bytes;
	stall->last = now;
}

void stall_pause(struct stall *stall, uint64_t now)
{
	if (stall->paused)
		return;
	stall->paused = true;
	stall->paused_at = now;
}

void stall_resume(struct stall *stall, uint64_t now)
{
	if (!stall->paused)
		return;
	stall->paused = false;
	stall->since += now - stall->paused_at;
	stall->last += now - stall->paused_at;
}

bool stall_check(struct stall *stall, uint64_t now, uint64_t *wait_ms)
{
	if (stall->paused)
		return false;
	uint64_t window = stall->window_ms;
	if (now - stall->last >= window)
		return true;
	if (now - stall->since >= window) {
		if (stall->bytes < STALL_BYTES_PER_SECOND * window / 1000)
			return true;
		stall->since = now;
		stall->bytes = 0;
	}
	uint64_t by_window = stall->since + window - now, by_last = stall->last + window - now;
	uint64_t wait = by_window < by_last ? by_window : by_last;
	if (wait < *wait_ms)
		*wait_ms = wait;
	return false;
}
