/*
 * Text that grows up to a maximum, with a sticky failure: append freely, ask once.
 *
 *	struct str s = STR_MAX(4096);
 *	str_add(&s, "GET "); str_addf(&s, "%d", n);
 *	if (s.failed) ...
 *	return str_take(&s);
 *
 * The buffer is always NUL-terminated once something was added; str_release frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct str {
	char *data;	 /* owned, NUL-terminated or NULL */
	size_t length;	 /* without the NUL */
	size_t capacity; /* bytes allocated */
	size_t max;	 /* length may not pass this */
	bool failed;	 /* something did not fit; stays set */
};

#define STR_MAX(max_bytes)         \
	{                          \
		.max = (max_bytes) \
	}
#define auto_str __attribute__((cleanup(str_release))) struct str

void str_release(struct str *s);
void str_reset(struct str *s); /* empty, memory kept, failure forgotten */
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const void *data, size_t length);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *format, ...) PRINTF_LIKE(2, 3);

/* The text; "" when nothing was added.  Borrowed. */
const char *str_text(const struct str *s);
/* The text, owned by the caller; the str is empty afterwards.  Never NULL. */
char *str_take(struct str *s);

bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
bool str_equal(const char *a, const char *b);	     /* either may be NULL */
bool str_equal_nocase(const char *a, const char *b); /* ASCII */

/* Whole TEXT as a decimal number; false when empty, signed, too large or followed by anything. */
bool str_parse_u64(const char *text, unsigned long long *out);

/* Letters to change, add or drop to make B of A; SIZE_MAX when either is long. */
size_t str_distance(const char *a, const char *b);
/* The candidate nearest to WORD by edit distance, or NULL when none is near. */
const char *str_nearest(const char *word, const char *const *candidates, size_t count);
