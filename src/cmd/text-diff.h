/* The unified difference of two texts, as diff -u shows it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define TEXT_DIFF_CONTEXT 3u
#define TEXT_DIFF_LINES_MAX (4u * 1000 * 1000)

struct text {
	const char *data; /* borrowed */
	size_t size;
};

/* Is it something to show line by line?  (No NUL in its first 8000 bytes.) */
bool text_is_text(const struct text *text);

struct text_diff_options {
	/* A line of the difference, without its newline: MARK is '@' for the head of a hunk
	 * ("@@ -1,3 +1,4 @@"), ' ', '-' or '+'; '\\' is for "\ No newline at end of file". */
	void (*line)(void *arg, char mark, const char *text, size_t size);
	void *arg; /* borrowed */
};

/*
 * Nothing is said of equal texts.  Where more than a few thousand lines differ the result is right
 * but not the shortest.  -E2BIG more lines than TEXT_DIFF_LINES_MAX; -ENOMEM.
 */
MUST_USE int text_diff(const struct text *a, const struct text *b,
		       const struct text_diff_options *options, struct err *err);
