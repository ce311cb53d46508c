/*
 * When to try again: pure arithmetic, no clock, no sleeping.  At most 5 tries; decorrelated jitter
 * between 0.2 and 10 s; Retry-After honoured up to 60 s, beyond it the request fails at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RETRY_TRIES_MAX 5
#define RETRY_AFTER_MAX_MS 60000u
#define RETRY_BASE_MS 200u
#define RETRY_CAP_MS 10000u

struct retry {
	unsigned tries;	   /* made so far */
	unsigned protocol; /* of them, answers that were no HTTP */
	unsigned wait_ms;  /* the last wait */
	uint64_t random;   /* state of the jitter; seeded by retry_init */
};

struct retry_result {
	int code;	     /* of http_open/http_next: 0 or negative */
	int status;	     /* HTTP status when code is 0 */
	int64_t retry_after; /* seconds as the server said, or -1 */
};

enum retry_verdict {
	RETRY_STOP,	 /* final: success, or an error that trying again does not mend */
	RETRY_AGAIN,	 /* after *wait_ms */
	RETRY_TOO_LATE,	 /* Retry-After is beyond RETRY_AFTER_MAX_MS */
	RETRY_EXHAUSTED, /* would be retried, but the tries are spent */
};

void retry_init(struct retry *retry, uint64_t seed);
/* Progress was made (bytes came): the tries start anew, up to a total the caller bounds. */
void retry_progress(struct retry *retry);
enum retry_verdict retry_next(struct retry *retry, const struct retry_result *result,
			      unsigned *wait_ms);

/* Retry-After's value in seconds, counted from NOW (Unix time) when it is a date; -1 when it is
 * neither. */
int64_t retry_after_parse(const char *value, int64_t now);
