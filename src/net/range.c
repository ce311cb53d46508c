/*
 * Content-Range, read strictly: a server that answers another range than asked must not be believed
 * by half.  The registry client compares the numbers with what it asked for.
 */
#include "net/range.h"

#include <errno.h>
#include <stdbool.h>
#include <strings.h>

#include "base/esc.h"
#include "base/mem.h"

static bool take_number(const char **at, uint64_t *out)
{
	const char *p = *at;
	uint64_t value = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (!mul_ok(value, (uint64_t)10, &value) ||
		    !add_ok(value, (uint64_t)(*p - '0'), &value))
			return false;
	}
	bool any = p != *at;
	*at = p;
	*out = value;
	return any;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool take_total(const char **at, uint64_t last, uint64_t *total)
{
	if (take_char(at, '*')) {
		*total = RANGE_TOTAL_UNKNOWN;
		return true;
	}
	return take_number(at, total) && last < *total && *total != RANGE_TOTAL_UNKNOWN;
}

int range_parse(const char *value, uint64_t *first, uint64_t *last, uint64_t *total,
		struct err *err)
{
	const char *at = value;
	uint64_t a = 0, b = 0, all = 0;
	bool good = strncasecmp(at, "bytes ", 6) == 0;
	if (good)
		at += 6;
	good = good && take_number(&at, &a) && take_char(&at, '-') && take_number(&at, &b) &&
	       a <= b && take_char(&at, '/') && take_total(&at, b, &all) && *at == '\0';
	if (!good)
		return err_set(err, EPROTO, "content-range '%s' is not a range of bytes",
			       esc(value));
	*first = a;
	*last = b;
	*total = all;
	return 0;
}
