/* Patterns and the lines of a file, as grep(1) has them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

enum grep_kind { GREP_BASIC, GREP_EXTENDED, GREP_FIXED };

struct pattern;
/* TEXT may be several patterns, one a line.  -EINVAL it does not compile. */
MUST_USE int pattern_new(struct pattern **out, const char *text, enum grep_kind kind,
			 bool ignore_case, struct err *err);
void pattern_free(struct pattern *pattern);
DEFINE_AUTO(pattern)
/* Does it match in these bytes (a line without its end; any bytes)? */
bool pattern_matches(const struct pattern *pattern, const char *line, size_t length);

/*
 * Lines out of pieces.  A line longer than GREP_LINE_MAX_BYTES is taken for several.  Bytes with a
 * NUL among them are binary: from there on lines end at NULs too, as grep has it.
 */
#define GREP_LINE_MAX_BYTES (16u * 1024 * 1024)
struct lines {
	/* > 0: that is enough; a negative code ends it */
	int (*line)(void *arg, const char *text, size_t length, bool binary, struct err *err);
	void *arg; /* borrowed */
	bool binary;
	char *kept; /* owned: the beginning of a line that goes on */
	size_t kept_length, capacity;
};
/* As contents_take; lines_end for what has no newline at the end of the file. */
MUST_USE int lines_add(struct lines *lines, const char *data, size_t size, struct err *err);
MUST_USE int lines_end(struct lines *lines, struct err *err);
void lines_release(struct lines *lines);
