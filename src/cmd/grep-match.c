/*
 * glibc's regular expressions are the ones grep documents, with its \w, \< and \|.  A list of
 * patterns is a list of compiled ones.
 */
#include "cmd/grep-match.h"

#include <errno.h>
#include <locale.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/str.h"

#define PATTERNS_MAX 1000u
/* grep looks for NULs in what it reads first, this much */
#define BINARY_LOOK_BYTES 32768u

struct one {
	char *text; /* owned: to be found as it is; NULL: by the expression */
	size_t length;
	regex_t regex; /* owned */
};

struct pattern {
	struct one *all; /* owned */
	size_t count, capacity;
};

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	for (size_t i = 0; i < pattern->count; i++)
		if (pattern->all[i].text)
			free(pattern->all[i].text);
		else
			regfree(&pattern->all[i].regex);
	free(pattern->all);
	free(pattern);
}

/* A text that stands for itself, as a basic expression. */
static char *quote(const char *text, size_t length)
{
	auto_str out = STR_MAX(4 * length + 16);
	for (size_t i = 0; i < length; i++) {
		if (strchr("\\.*[]^$", text[i]))
			str_addc(&out, '\\');
		str_addc(&out, text[i]);
	}
	return str_take(&out);
}

/*
 * Means the same by bytes as by characters: letters and operators only.  Bytes are many times
 * faster, and what is no UTF-8 costs nothing.
 */
static bool is_bytewise(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e || strchr(".[\\", *text))
			return false;
	}
	return true;
}

/* regcomp decides by the locale of its moment what a character is. */
static int compile(regex_t *regex, const char *source, int flags)
{
	locale_t bytes = is_bytewise(source) ? newlocale(LC_ALL_MASK, "C", (locale_t)0)
					     : (locale_t)0;
	locale_t before = bytes ? uselocale(bytes) : (locale_t)0;
	int code = regcomp(regex, source, flags);
	if (bytes) {
		(void)uselocale(before);
		freelocale(bytes);
	}
	return code;
}

static int add(struct pattern *pattern, const char *text, size_t length, enum grep_kind kind,
	       bool ignore_case, struct err *err)
{
	auto_free char *source = kind == GREP_FIXED ? quote(text, length)
						    : mem_strndup(text, length);
	int flags = (kind == GREP_EXTENDED ? REG_EXTENDED : 0) | (ignore_case ? REG_ICASE : 0) |
		    REG_NOSUB;
	if (pattern->count == PATTERNS_MAX)
		return err_set(err, E2BIG, "more than %u patterns", PATTERNS_MAX);
	pattern->all = mem_grow(pattern->all, &pattern->capacity, pattern->count,
				sizeof(*pattern->all));
	struct one *one = &pattern->all[pattern->count];
	*one = (struct one){ .length = length };
	if (kind == GREP_FIXED && !ignore_case) {
		one->text = mem_strndup(text, length);
		pattern->count++;
		return 0;
	}
	int code = compile(&one->regex, source, flags);
	if (code != 0) {
		char why[128];
		(void)regerror(code, &one->regex, why, sizeof(why));
		return err_set(err, EINVAL, "pattern '%s': %s", esc_n(text, length), why);
	}
	pattern->count++;
	return 0;
}

int pattern_new(struct pattern **out, const char *text, enum grep_kind kind, bool ignore_case,
		struct err *err)
{
	AUTO(pattern) pattern = mem_new(sizeof(*pattern));
	for (;;) {
		size_t length = strcspn(text, "\n");
		int r = add(pattern, text, length, kind, ignore_case, err);
		if (r < 0)
			return r;
		if (!text[length])
			break;
		text += length + 1;
	}
	*out = TAKE(pattern);
	return 0;
}

bool pattern_matches(const struct pattern *pattern, const char *line, size_t length)
{
	for (size_t i = 0; i < pattern->count; i++) {
		struct one *one = &pattern->all[i];
		/* not regexec: a line ends where it ends, not at a NUL */
		if (one->text ? memmem(line, length, one->text, one->length) != NULL
			      : re_search(&one->regex, line, (regoff_t)length, 0, (regoff_t)length,
					  NULL) >= 0)
			return true;
	}
	return false;
}

void lines_release(struct lines *lines)
{
	free(lines->kept);
}

static void keep(struct lines *lines, const char *data, size_t size)
{
	if (size == 0)
		return;
	while (lines->capacity < lines->kept_length + size)
		lines->kept = mem_grow(lines->kept, &lines->capacity, lines->capacity, 1);
	memcpy(lines->kept + lines->kept_length, data, size);
	lines->kept_length += size;
}

static int give(struct lines *lines, const char *data, size_t size, struct err *err)
{
	if (lines->kept_length == 0)
		return lines->line(lines->arg, data, size, lines->binary, err);
	keep(lines, data, size);
	size_t length = lines->kept_length;
	lines->kept_length = 0;
	return lines->line(lines->arg, lines->kept, length, lines->binary, err);
}

/* Up to the end of the line; byte by byte where two of them end it, for there may be many. */
static size_t line_length(const struct lines *lines, const char *data, size_t size)
{
	size_t n = 0;
	if (!lines->binary) {
		const char *end = memchr(data, '\n', size);
		return end ? (size_t)(end - data) : size;
	}
	while (n < size && data[n] != '\n' && data[n] != '\0')
		n++;
	return n;
}

static int add_part(struct lines *lines, const char *data, size_t size, struct err *err)
{
	while (size > 0) {
		size_t length = line_length(lines, data, size);
		bool ends = length < size;
		if (!ends && lines->kept_length + length <= GREP_LINE_MAX_BYTES) {
			keep(lines, data, length);
			return 0;
		}
		int r = give(lines, data, length, err);
		if (r != 0)
			return r;
		data += length + ends;
		size -= length + ends;
	}
	return 0;
}

/* In parts of the size grep reads: whether a part is binary is known before its lines are. */
int lines_add(struct lines *lines, const char *data, size_t size, struct err *err)
{
	while (size > 0) {
		size_t part = size < BINARY_LOOK_BYTES ? size : BINARY_LOOK_BYTES;
		if (!lines->binary && memchr(data, '\0', part))
			lines->binary = true;
		int r = add_part(lines, data, part, err);
		if (r != 0)
			return r;
		data += part;
		size -= part;
	}
	return 0;
}

int lines_end(struct lines *lines, struct err *err)
{
	if (lines->kept_length == 0)
		return 0;
	size_t length = lines->kept_length;
	lines->kept_length = 0;
	return lines->line(lines->arg, lines->kept, length, lines->binary, err);
}
