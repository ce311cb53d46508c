/*
 * One pass over the text, a function for every kind of value, recursion bounded by JSON_DEPTH_MAX.
 *
 * The keys of the objects at the first two levels are kept, with their escapes resolved, in one
 * pool that works like a stack; at an object's end its keys are sorted and neighbours compared, so
 * that a million keys cost n log n.
 */
#include "base/json-scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#define UNIQUE_LEVELS 2

struct key {
	size_t text;  /* offset into the pool */
	size_t place; /* offset into the data */
};

struct scan {
	const char *data; /* borrowed */
	size_t size;
	size_t at;
	unsigned depth;	  /* objects and arrays around here */
	unsigned objects; /* objects around here */
	unsigned values;  /* so far, of all kinds */
	unsigned nests;	  /* of them, objects and arrays */
	struct str pool;  /* the keys' texts, each ended by a NUL */
	struct key *keys; /* owned */
	size_t key_count, key_capacity;
	struct err *err; /* borrowed */
};

static int scan_value(struct scan *s);

static int fail_at(struct scan *s, size_t place, const char *what)
{
	size_t line = 1, column = 1;
	for (size_t i = 0; i < place; i++) {
		column++;
		if (s->data[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return err_set(s->err, EBADMSG, "line %zu, column %zu: %s", line, column, what);
}

static int fail(struct scan *s, const char *what)
{
	return fail_at(s, s->at, s->at < s->size ? what : "it ends too early");
}

static int peek(const struct scan *s)
{
	return s->at < s->size ? (unsigned char)s->data[s->at] : -1;
}

static void skip_space(struct scan *s)
{
	while (s->at < s->size && memchr(" \t\r\n", s->data[s->at], 4))
		s->at++;
}

static bool take(struct scan *s, char c)
{
	if (peek(s) != c)
		return false;
	s->at++;
	return true;
}

static int scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);
	if (s->size - s->at < n || memcmp(s->data + s->at, word, n) != 0)
		return fail(s, "expected a value");
	s->at += n;
	return 0;
}

static bool scan_digits(struct scan *s)
{
	size_t from = s->at;
	while (peek(s) >= '0' && peek(s) <= '9')
		s->at++;
	return s->at > from;
}

/* json-c cuts whole numbers to the nearest it can hold, or refuses them, depending on its version.
 */
static bool fits_64_bits(const char *text, size_t length)
{
	char copy[24];
	bool negative = text[0] == '-';
	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	errno = 0;
	if (negative)
		(void)strtoll(copy, NULL, 10);
	else
		(void)strtoull(copy, NULL, 10);
	return errno == 0;
}

static int scan_exponent(struct scan *s)
{
	if (!take(s, 'e') && !take(s, 'E'))
		return 0;
	if (!take(s, '+'))
		(void)take(s, '-');
	return scan_digits(s) ? 0 : fail(s, "expected a digit");
}

static int scan_number(struct scan *s)
{
	size_t from = s->at;
	(void)take(s, '-');
	if (!take(s, '0') && !scan_digits(s))
		return fail(s, "expected a value");
	size_t whole = s->at - from;
	if (take(s, '.') && !scan_digits(s))
		return fail(s, "expected a digit");
	int r = scan_exponent(s);
	if (r == 0 && s->at == from + whole && !fits_64_bits(s->data + from, whole))
		return fail_at(s, from, "a whole number of more than 64 bits");
	return r;
}

static bool scan_hex4(struct scan *s, uint32_t *out)
{
	uint32_t value = 0;
	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef";
		int c = peek(s);
		const char *digit = c > 0 ? strchr(digits, c | 0x20) : NULL;
		if (!digit || c < '0' || (c > '9' && c < 'A'))
			return false;
		value = value << 4 | (uint32_t)(digit - digits);
		s->at++;
	}
	*out = value;
	return true;
}

/* Behind "\u".  Half a surrogate pair becomes U+FFFD, as json-c and Go read it. */
static int scan_unicode(struct scan *s, uint32_t *out)
{
	uint32_t c, low;
	if (!scan_hex4(s, &c))
		return fail(s, "expected four hexadecimal digits");
	size_t behind = s->at;
	if (c >= 0xd800 && c < 0xdc00 && take(s, '\\') && take(s, 'u') && scan_hex4(s, &low) &&
	    low >= 0xdc00 && low < 0xe000) {
		*out = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		return 0;
	}
	s->at = behind;
	*out = c >= 0xd800 && c < 0xe000 ? UTF8_REPLACEMENT : c;
	return 0;
}

/* Behind the backslash. */
static int scan_escape(struct scan *s, uint32_t *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (take(s, 'u'))
		return scan_unicode(s, out);
	int c = peek(s);
	const char *known = c > 0 ? strchr(from, c) : NULL;
	if (!known)
		return fail(s, "unknown escape");
	*out = (uint32_t)to[known - from];
	s->at++;
	return 0;
}

static int scan_character(struct scan *s, uint32_t *out)
{
	if (take(s, '\\'))
		return scan_escape(s, out);
	if (peek(s) >= 0 && peek(s) < 0x20)
		return fail(s, "a control character in a string");
	size_t n = utf8_decode(s->data + s->at, s->size - s->at, out);
	if (n == 0)
		return fail(s, "invalid UTF-8");
	s->at += n;
	return 0;
}

/* KEY, which may be NULL, gets the text with its escapes resolved. */
static int scan_string(struct scan *s, struct str *key, bool *has_nul)
{
	s->at++;
	while (!take(s, '"')) {
		uint32_t c = 0;
		int r = scan_character(s, &c);
		if (r < 0)
			return r;
		char bytes[4];
		if (key)
			str_addn(key, bytes, utf8_encode(bytes, c));
		*has_nul |= c == 0;
	}
	return 0;
}

static int scan_key(struct scan *s)
{
	struct key key = { s->pool.length, s->at };
	bool unique = s->objects <= UNIQUE_LEVELS, has_nul = false;
	if (peek(s) != '"')
		return fail(s, "expected a key in quotes");
	int r = scan_string(s, unique ? &s->pool : NULL, &has_nul);
	if (r < 0)
		return r;
	if (has_nul)
		return fail_at(s, key.place, "a NUL in a key");
	if (!unique)
		return 0;
	str_addc(&s->pool, '\0');
	s->keys = mem_grow(s->keys, &s->key_capacity, s->key_count, sizeof(*s->keys));
	s->keys[s->key_count++] = key;
	return 0;
}

static int compare_keys(const void *a, const void *b, void *pool)
{
	const struct key *x = a, *y = b;
	int order = strcmp((char *)pool + x->text, (char *)pool + y->text);
	return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* The keys from FIRST on are those of the object that just ended. */
static int check_keys(struct scan *s, size_t first)
{
	struct key *keys = s->keys + first;
	size_t count = s->key_count - first;
	if (count == 0)
		return 0;
	size_t pool_length = keys[0].text;
	qsort_r(keys, count, sizeof(*keys), compare_keys, s->pool.data);
	for (size_t i = 1; i < count; i++) {
		const char *text = s->pool.data + keys[i].text;
		if (strcmp(s->pool.data + keys[i - 1].text, text) == 0) {
			int r = fail_at(s, keys[i].place, "a key is there twice");
			return err_wrap(s->err, r, "key '%s'", esc(text));
		}
	}
	s->key_count = first;
	s->pool.length = pool_length;
	return 0;
}

static int scan_member(struct scan *s)
{
	int r = scan_key(s);
	if (r < 0)
		return r;
	skip_space(s);
	if (!take(s, ':'))
		return fail(s, "expected ':'");
	return scan_value(s);
}

static int scan_object(struct scan *s)
{
	size_t first = s->key_count;
	s->at++;
	skip_space(s);
	if (take(s, '}'))
		return 0;
	s->objects++;
	for (;;) {
		skip_space(s);
		int r = scan_member(s);
		if (r < 0)
			return r;
		if (take(s, '}'))
			break;
		if (!take(s, ','))
			return fail(s, "expected ',' or '}'");
	}
	s->objects--;
	return check_keys(s, first);
}

static int scan_array(struct scan *s)
{
	s->at++;
	skip_space(s);
	if (take(s, ']'))
		return 0;
	for (;;) {
		int r = scan_value(s);
		if (r < 0)
			return r;
		if (take(s, ']'))
			return 0;
		if (!take(s, ','))
			return fail(s, "expected ',' or ']'");
	}
}

static int scan_nested(struct scan *s)
{
	if (++s->nests > JSON_NESTS_MAX)
		return err_set(s->err, E2BIG, "more than %u objects and arrays", JSON_NESTS_MAX);
	if (s->depth == JSON_DEPTH_MAX)
		return err_set(s->err, E2BIG, "nested deeper than %d levels", JSON_DEPTH_MAX);
	s->depth++;
	int r = peek(s) == '{' ? scan_object(s) : scan_array(s);
	s->depth--;
	return r;
}

static int scan_scalar(struct scan *s)
{
	bool has_nul = false;
	switch (peek(s)) {
	case '"':
		return scan_string(s, NULL, &has_nul);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

/* A value and the white space on both sides. */
static int scan_value(struct scan *s)
{
	if (++s->values > JSON_VALUES_MAX)
		return err_set(s->err, E2BIG, "more than %u values", JSON_VALUES_MAX);
	skip_space(s);
	bool nested = peek(s) == '{' || peek(s) == '[';
	int r = nested ? scan_nested(s) : scan_scalar(s);
	if (r == 0)
		skip_space(s);
	return r;
}

int json_scan(size_t *end, const void *data, size_t size, struct err *err)
{
	struct scan s = { .data = data, .size = size, .pool = STR_MAX(SIZE_MAX / 2), .err = err };
	int r = scan_value(&s);
	if (r == 0 && s.pool.failed)
		r = err_set(err, ENOMEM, "out of memory for the keys");
	if (r == 0)
		*end = s.at;
	str_release(&s.pool);
	free(s.keys);
	return r;
}
