/*
 * Regular expressions as people write them in Go's, Perl's and Python's tradition, through PCRE2,
 * the only place that includes it.  What RE2 reads is read the same.  Matching is bounded, so that
 * no expression and no subject can keep us busy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define REGEX_MAX_BYTES 4096u

struct regex;

/* -EINVAL PATTERN is no expression (the text says where and why). */
MUST_USE int regex_new(struct regex **out, const char *pattern, struct err *err);
void regex_free(struct regex *regex);
DEFINE_AUTO(regex)

/*
 * Does it match anywhere in SUBJECT, UTF-8?  One thread at a time.  -E2BIG it would take too many
 * steps or too much memory to find out.
 */
MUST_USE int regex_search(struct regex *regex, const char *subject, bool *found, struct err *err);
