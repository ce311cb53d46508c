/*
 * The switch and the counters of a group.  The http thread looks at the switch of every transfer
 * that runs whenever it is woken, so throwing it is a store and a wake-up; who pauses between tries
 * waits on the group's condition.
 */
#include "net/http-group.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "net/http-internal.h"

struct http_group *http_group_new(struct http *http)
{
	struct http_group *group = mem_make(struct http_group, .http = http);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&group->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&group->mutex, NULL);
	return group;
}

void http_group_free(struct http_group *group)
{
	if (!group)
		return;
	pthread_cond_destroy(&group->changed);
	pthread_mutex_destroy(&group->mutex);
	free(group);
}

void http_group_abort(struct http_group *group)
{
	if (!group)
		return;
	{
		LOCKED(&group->mutex);
		atomic_store(&group->aborted, true);
		pthread_cond_broadcast(&group->changed);
	}
	if (group->http)
		(void)curl_multi_wakeup(group->http->multi);
}

bool http_group_aborted(const struct http_group *group)
{
	return group && atomic_load(&group->aborted);
}

static struct timespec deadline_in(unsigned ms)
{
	struct timespec at;
	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_nsec -= 1000000000L;
		at.tv_sec++;
	}
	return at;
}

bool http_group_pause(struct http_group *group, unsigned ms)
{
	const struct timespec deadline = deadline_in(ms);
	if (!group) {
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
			;
		return true;
	}
	atomic_fetch_add_explicit(&group->retries, 1, memory_order_relaxed);
	LOCKED(&group->mutex);
	int code = 0;
	while (!http_group_aborted(group) && code != ETIMEDOUT)
		code = pthread_cond_timedwait(&group->changed, &group->mutex, &deadline);
	return !http_group_aborted(group);
}

struct http_counts http_group_counts(const struct http_group *group)
{
	struct http_counts counts = { 0 };
	if (!group)
		return counts;
	counts.requests = atomic_load_explicit(&group->requests, memory_order_relaxed);
	counts.retries = atomic_load_explicit(&group->retries, memory_order_relaxed);
	counts.bytes = atomic_load_explicit(&group->bytes, memory_order_relaxed);
	return counts;
}
