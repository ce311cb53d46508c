/* Content-Range of a 206 answer, RFC 9110 section 14.4. */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define RANGE_TOTAL_UNKNOWN UINT64_MAX

/*
 * "bytes FIRST-LAST/TOTAL" or "bytes FIRST-LAST/" and a star (then *total is RANGE_TOTAL_UNKNOWN).
 * -EPROTO for anything else: another unit, numbers out of order or too large, text behind it.
 */
MUST_USE int range_parse(const char *value, uint64_t *first, uint64_t *last, uint64_t *total,
			 struct err *err);
