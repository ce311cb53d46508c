/* Bounded text building and the few string questions everybody asks. */
#include "base/str.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define NEAREST_MAX_BYTES 64

void str_release(struct str *s)
{
	free(s->data);
	*s = (struct str){ .max = s->max };
}

void str_reset(struct str *s)
{
	s->length = 0;
	s->failed = false;
	if (s->data)
		s->data[0] = '\0';
}

static bool reserve(struct str *s, size_t more)
{
	size_t wanted;
	if (s->failed || !add_ok(s->length, more, &wanted) || wanted > s->max) {
		s->failed = true;
		return false;
	}
	if (wanted + 1 <= s->capacity)
		return true;
	size_t capacity = s->capacity ? s->capacity : 64;
	while (capacity < wanted + 1)
		capacity *= 2;
	char *grown = realloc(s->data, capacity);
	if (!grown) {
		s->failed = true;
		return false;
	}
	s->data = grown;
	s->capacity = capacity;
	return true;
}

void str_addn(struct str *s, const void *data, size_t length)
{
	if (!reserve(s, length))
		return;
	if (length > 0)
		memcpy(s->data + s->length, data, length);
	s->length += length;
	s->data[s->length] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_addn(s, text, strlen(text));
}

void str_addc(struct str *s, char c)
{
	str_addn(s, &c, 1);
}

void str_addf(struct str *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !reserve(s, (size_t)n)) {
		s->failed = true;
		return;
	}
	va_start(args, format);
	(void)vsnprintf(s->data + s->length, (size_t)n + 1, format, args);
	va_end(args);
	s->length += (size_t)n;
}

const char *str_text(const struct str *s)
{
	return s->data ? s->data : "";
}

char *str_take(struct str *s)
{
	char *text = s->data ? TAKE(s->data) : mem_strdup("");
	*s = (struct str){ .max = s->max };
	return text;
}

bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);
	return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

bool str_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_equal_nocase(const char *a, const char *b)
{
	return a == b || (a && b && strcasecmp(a, b) == 0);
}

bool str_parse_u64(const char *text, unsigned long long *out)
{
	unsigned long long value = 0;
	if (!*text)
		return false;
	for (const char *p = text; *p; p++) {
		if (!isdigit((unsigned char)*p) || !mul_ok(value, 10ULL, &value) ||
		    !add_ok(value, (unsigned long long)(*p - '0'), &value))
			return false;
	}
	*out = value;
	return true;
}

/* After Levenshtein, a row of the table at a time. */
size_t str_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	if (n > NEAREST_MAX_BYTES || m > NEAREST_MAX_BYTES)
		return SIZE_MAX;
	size_t row[NEAREST_MAX_BYTES + 1];
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = above;
			row[j] = best;
		}
	}
	return row[m];
}

const char *str_nearest(const char *word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 2 + 1;
	for (size_t i = 0; i < count; i++) {
		size_t d = str_distance(word, candidates[i]);
		if (d < best_distance) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}
