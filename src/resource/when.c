/* RFC 3339 without the C library's parser, which depends on the locale. */
#include "resource/when.h"

#include <stddef.h>
#include <time.h>

#define NANO_DIGITS 9

/* COUNT digits at *AT, which moves behind them. */
static bool digits(const char **at, int count, int *out)
{
	int value = 0;
	for (int i = 0; i < count; i++, ++*at) {
		if (**at < '0' || **at > '9')
			return false;
		value = value * 10 + (**at - '0');
	}
	*out = value;
	return true;
}

static bool sign(const char **at, char c)
{
	return *(*at)++ == c;
}

/* As many digits as there are, at least one; those behind the ninth do not count. */
static bool fraction(const char **at, uint32_t *out)
{
	uint32_t value = 0;
	int count = 0;
	for (; **at >= '0' && **at <= '9'; ++*at, count++) {
		if (count < NANO_DIGITS)
			value = value * 10 + (uint32_t)(**at - '0');
	}
	for (int i = count; i < NANO_DIGITS; i++)
		value *= 10;
	*out = value;
	return count > 0;
}

/* "Z", "+01:00". */
static bool zone(const char **at, int *seconds)
{
	int hours = 0, minutes = 0;
	char c = **at;
	*seconds = 0;
	if (!c)
		return false;
	++*at;
	if (c == 'Z' || c == 'z')
		return true;
	if ((c != '+' && c != '-') || !digits(at, 2, &hours) || !sign(at, ':') ||
	    !digits(at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds = (hours * 60 + minutes) * 60 * (c == '+' ? 1 : -1);
	return true;
}

static bool read(struct when *out, const char *at)
{
	struct tm t = { 0 };
	int offset = 0;
	if (!digits(&at, 4, &t.tm_year) || !sign(&at, '-') || !digits(&at, 2, &t.tm_mon) ||
	    !sign(&at, '-') || !digits(&at, 2, &t.tm_mday) || (*at != 'T' && *at != 't'))
		return false;
	at++;
	if (!digits(&at, 2, &t.tm_hour) || !sign(&at, ':') || !digits(&at, 2, &t.tm_min) ||
	    !sign(&at, ':') || !digits(&at, 2, &t.tm_sec))
		return false;
	if (t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour > 23 ||
	    t.tm_min > 59 || t.tm_sec > 60)
		return false;
	out->nanoseconds = 0;
	if (*at == '.') {
		at++;
		if (!fraction(&at, &out->nanoseconds))
			return false;
	}
	if (!zone(&at, &offset) || *at)
		return false;
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	out->seconds = (int64_t)timegm(&t) - offset;
	return true;
}

bool when_parse(struct when *out, const char *text)
{
	struct when when = { 0 };
	bool good = text && read(&when, text);
	*out = good ? when : (struct when){ .seconds = INT64_MIN };
	return good;
}

int when_compare(const struct when *a, const struct when *b)
{
	if (a->seconds != b->seconds)
		return a->seconds < b->seconds ? -1 : 1;
	return (a->nanoseconds > b->nanoseconds) - (a->nanoseconds < b->nanoseconds);
}
