/*
 * Limits of requests.  There is a draft of a standard, and what registries send instead: Docker Hub
 * "RateLimit-Limit: 100;w=21600", GitHub and others "X-RateLimit-Reset: 1700000000".
 */
#include "oci/ratelimit.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"
#include "net/retry.h"

#define NUMBER_MAX_BYTES 20u
#define TIME_LEAST 1000000000 /* what is larger is a time, not a span */
#define SPAN_MAX (400 * 86400)

/* The value of (X-)RateLimit-WHAT, or NULL. */
static const char *header(const struct http_transfer *answer, const char *what)
{
	static const char *const before[] = { "RateLimit-", "X-RateLimit-", "X-Rate-Limit-" };
	const char *value = NULL;
	for (size_t i = 0; !value && i < N_ELEMENTS(before); i++) {
		auto_str name = STR_MAX(64);
		str_addf(&name, "%s%s", before[i], what);
		value = http_header(answer, str_text(&name), 0);
	}
	return value;
}

/* The number that TEXT begins with, or -1. */
static int64_t number(const char *text)
{
	size_t length = text ? strspn(text, "0123456789") : 0;
	unsigned long long value = 0;
	if (length == 0 || length > NUMBER_MAX_BYTES)
		return -1;
	auto_free char *digits = mem_strndup(text, length);
	return str_parse_u64(digits, &value) && value <= INT64_MAX ? (int64_t)value : -1;
}

static void add_span(struct str *out, int64_t seconds)
{
	if (seconds >= 2 * 3600)
		str_addf(out, "%" PRId64 " h", (seconds + 1800) / 3600);
	else if (seconds >= 2 * 60)
		str_addf(out, "%" PRId64 " min", (seconds + 30) / 60);
	else
		str_addf(out, "%" PRId64 " s", seconds);
}

/* Seconds until the limit is reset, or -1. */
static int64_t reset_in(const struct http_transfer *answer, int64_t now)
{
	const char *after = http_header(answer, "Retry-After", 0);
	int64_t reset = number(header(answer, "Reset"));
	if (reset >= TIME_LEAST)
		reset = reset > now ? reset - now : 0;
	if (reset < 0 && after)
		reset = retry_after_parse(after, now);
	return reset <= SPAN_MAX ? reset : -1;
}

void ratelimit_describe(struct str *out, const struct http_transfer *answer, int64_t now)
{
	const char *limit = header(answer, "Limit");
	int64_t most = number(limit), left = number(header(answer, "Remaining"));
	const char *window = limit ? strstr(limit, "w=") : NULL;
	int64_t span = number(window ? window + strlen("w=") : NULL);
	int64_t reset = reset_in(answer, now);
	if (left >= 0) {
		str_addf(out, "%" PRId64, left);
		if (most >= 0)
			str_addf(out, " of %" PRId64, most);
		str_add(out, " requests");
		if (span > 0 && span <= SPAN_MAX) {
			str_add(out, " per ");
			add_span(out, span);
		}
		str_add(out, " remain");
	}
	if (reset >= 0) {
		str_add(out, left >= 0 ? ", reset in " : "it is reset in ");
		add_span(out, reset);
	}
}
