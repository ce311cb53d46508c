/* A moment as an image's config writes it (RFC 3339). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct when {
	int64_t seconds; /* since 1970 */
	uint32_t nanoseconds;
};

/* "2024-01-31T23:59:59.123456789+01:00"; false, and OUT before everything, for all else and NULL.
 */
bool when_parse(struct when *out, const char *text);
int when_compare(const struct when *a, const struct when *b);
