/* Reading and ordering versions; constraint.c judges them.  Used by check and out. */
#include "resource/semver.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define DIGITS "0123456789"
#define IDENTIFIER DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"

void semver_release(struct semver *version)
{
	free(version->prerelease);
	*version = (struct semver){ 0 };
}

/* --- reading --- */

/* A number at *AT, which moves behind it; false when there is none or it is too large. */
static bool read_number(const char **at, unsigned long long *out)
{
	size_t length = strspn(*at, DIGITS);
	auto_free char *digits = mem_strndup(*at, length);
	*at += length;
	return str_parse_u64(digits, out);
}

static bool is_number(const char *text, size_t length)
{
	return strspn(text, DIGITS) >= length;
}

/*
 * Identifiers with dots between them at *AT, which moves behind them; false when one is empty, or,
 * with NUMBERS, a number with a leading zero.
 */
static bool read_identifiers(const char **at, bool numbers)
{
	for (;; ++*at) {
		size_t length = strspn(*at, IDENTIFIER);
		if (length == 0 || (numbers && length > 1 && **at == '0' && is_number(*at, length)))
			return false;
		*at += length;
		if (**at != '.')
			return true;
	}
}

static bool read(struct semver *out, const char *text)
{
	unsigned long long *const parts[] = { &out->major, &out->minor, &out->patch };
	const char *at = text + (*text == 'v');
	if (strlen(text) > SEMVER_MAX_BYTES || !read_number(&at, parts[0]))
		return false;
	for (size_t i = 1; i < N_ELEMENTS(parts) && *at == '.'; i++) {
		at++;
		if (!read_number(&at, parts[i]))
			return false;
	}
	if (*at == '-') {
		const char *from = ++at;
		if (!read_identifiers(&at, true))
			return false;
		out->prerelease = mem_strndup(from, (size_t)(at - from));
	}
	out->build = *at == '+';
	if (out->build) {
		at++;
		if (!read_identifiers(&at, false))
			return false;
	}
	return *at == '\0';
}

bool semver_parse(struct semver *out, const char *text)
{
	auto_semver version = { 0 };
	if (!read(&version, text))
		return false;
	*out = version;
	version = (struct semver){ 0 };
	return true;
}

/* --- order --- */

static int compare_numbers(unsigned long long a, unsigned long long b)
{
	return (a > b) - (a < b);
}

/* One identifier each: numbers by value (any size, they have no leading zeros), before words. */
static int compare_identifiers(const char *a, size_t a_length, const char *b, size_t b_length)
{
	bool a_number = is_number(a, a_length), b_number = is_number(b, b_length);
	if (a_number != b_number)
		return a_number ? -1 : 1;
	if (a_number && a_length != b_length)
		return a_length < b_length ? -1 : 1;
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
	return order ? order : compare_numbers(a_length, b_length);
}

static int compare_prereleases(const char *a, const char *b)
{
	for (;;) {
		size_t a_length = strcspn(a, "."), b_length = strcspn(b, ".");
		int order = compare_identifiers(a, a_length, b, b_length);
		if (order)
			return order;
		a += a_length;
		b += b_length;
		/* of two that begin alike the longer one is greater */
		if (!*a || !*b)
			return (*a != '\0') - (*b != '\0');
		a++;
		b++;
	}
}

int semver_compare(const struct semver *a, const struct semver *b)
{
	int order = compare_numbers(a->major, b->major);
	if (!order)
		order = compare_numbers(a->minor, b->minor);
	if (!order)
		order = compare_numbers(a->patch, b->patch);
	if (order || (!a->prerelease && !b->prerelease))
		return order;
	if (!a->prerelease || !b->prerelease)
		return a->prerelease ? -1 : 1;
	return compare_prereleases(a->prerelease, b->prerelease);
}
