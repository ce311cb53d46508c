/*
 * The policy of trying again.  A result goes in, a verdict and a wait come out; the registry client
 * keeps one struct a request and does the sleeping.
 */
#include "net/retry.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#define RETRY_PROTOCOL_MAX 1u /* times that an answer which is no HTTP is asked for again */

void retry_init(struct retry *retry, uint64_t seed)
{
	*retry = (struct retry){ .random = seed };
}

void retry_progress(struct retry *retry)
{
	*retry = (struct retry){ .random = retry->random };
}

/* SplitMix64 (G. Steele, D. Lea, C. Flood 2014): any seed will do, also 0. */
static uint64_t next_random(struct retry *retry)
{
	uint64_t z = retry->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Decorrelated jitter (M. Brooker, "Exponential Backoff And Jitter"): base .. 3 x the last wait. */
static unsigned next_wait(struct retry *retry)
{
	unsigned last = retry->wait_ms ? retry->wait_ms : RETRY_BASE_MS;
	unsigned span = last < RETRY_CAP_MS / 3 ? 3 * last : RETRY_CAP_MS;
	return RETRY_BASE_MS + (unsigned)(next_random(retry) % (span - RETRY_BASE_MS + 1));
}

static bool is_passing_status(int status)
{
	static const int passing[] = { 408, 425, 429, 500, 502, 503, 504 };
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		if (status == passing[i])
			return true;
	}
	return false;
}

static bool is_passing(struct retry *retry, const struct retry_result *result)
{
	switch (result->code) {
	case 0:
		return is_passing_status(result->status);
	case -EAGAIN:
	case -ETIMEDOUT:
		return true;
	case -EPROTO:
		return ++retry->protocol <= RETRY_PROTOCOL_MAX;
	default:
		return false;
	}
}

enum retry_verdict retry_next(struct retry *retry, const struct retry_result *result,
			      unsigned *wait_ms)
{
	retry->tries++;
	if (!is_passing(retry, result))
		return RETRY_STOP;
	int64_t after = result->code == 0 && result->retry_after > 0 ? result->retry_after : 0;
	if (after > RETRY_AFTER_MAX_MS / 1000)
		return RETRY_TOO_LATE;
	if (retry->tries >= RETRY_TRIES_MAX)
		return RETRY_EXHAUSTED;
	retry->wait_ms = next_wait(retry);
	unsigned asked_ms = (unsigned)after * 1000;
	*wait_ms = asked_ms > retry->wait_ms ? asked_ms : retry->wait_ms;
	return RETRY_AGAIN;
}

static int64_t parse_seconds(const char *value, size_t digits)
{
	int64_t seconds = 0;
	for (size_t i = 0; i < digits; i++) {
		if (__builtin_mul_overflow(seconds, 10, &seconds) ||
		    __builtin_add_overflow(seconds, value[i] - '0', &seconds))
			return INT64_MAX; /* too long to wait for, whatever it says */
	}
	return seconds;
}

/* RFC 9110 section 10.2.3: delay-seconds or HTTP-date; a date that has passed means now. */
int64_t retry_after_parse(const char *value, int64_t now)
{
	value += strspn(value, " \t");
	size_t digits = strspn(value, "0123456789");
	if (digits > 0)
		return value[digits + strspn(value + digits, " \t")] == '\0'
			       ? parse_seconds(value, digits)
			       : -1;
	/* curl_getdate also takes bare numbers and times; an HTTP-date begins with its weekday */
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	bool weekday = false;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++)
		weekday = weekday || strncmp(value, days[i], 3) == 0;
	time_t when = weekday ? curl_getdate(value, NULL) : -1;
	if (when < 0)
		return -1;
	return when > now ? when - now : 0;
}
