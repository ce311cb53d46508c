/* What a registry says about its limit of requests, as a sentence. */
#pragma once

#include <stdint.h>

struct http_transfer;
struct str;

/*
 * Append what remains and when it is reset, "0 of 100 requests per 6 h remain, reset in 42 min", as
 * far as the answer tells; nothing when it does not.  NOW is Unix time.
 *
 * Headers: RateLimit-Limit and -Remaining as Docker Hub writes them ("100;w=21600"), the same with
 * X- in front, (X-)RateLimit-Reset in seconds or as a time, Retry-After.
 */
void ratelimit_describe(struct str *out, const struct http_transfer *answer, int64_t now);
