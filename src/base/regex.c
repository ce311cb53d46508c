/* PCRE2 with its limits set.  "$" is the very end, as in RE2, not also before a last newline. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"

#define STEPS_MAX 200000u
#define HEAP_MAX_KIB 8192u
#define OPTIONS \
	(PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C)

struct regex {
	pcre2_code *code;	      /* owned */
	pcre2_match_data *data;	      /* owned */
	pcre2_match_context *context; /* owned: the limits */
	char *pattern;		      /* owned: for messages */
};

void regex_free(struct regex *regex)
{
	if (!regex)
		return;
	pcre2_match_data_free(regex->data);
	pcre2_match_context_free(regex->context);
	pcre2_code_free(regex->code);
	free(regex->pattern);
	free(regex);
}

int regex_new(struct regex **out, const char *pattern, struct err *err)
{
	AUTO(regex) regex = mem_make(struct regex, .pattern = mem_strdup(pattern));
	size_t length = strlen(pattern);
	if (length > REGEX_MAX_BYTES)
		return err_set(err, EINVAL, "a regular expression of more than %u bytes",
			       REGEX_MAX_BYTES);
	int code = 0;
	PCRE2_SIZE at = 0;
	regex->code = pcre2_compile((PCRE2_SPTR)pattern, length, OPTIONS, &code, &at, NULL);
	if (!regex->code) {
		char why[256] = "";
		(void)pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		return err_set(err, EINVAL, "'%s' is no regular expression: %s, at character %zu",
			       esc(pattern), esc(why), (size_t)at + 1);
	}
	regex->data = pcre2_match_data_create_from_pattern(regex->code, NULL);
	regex->context = pcre2_match_context_create(NULL);
	if (!regex->data || !regex->context)
		return err_set(err, ENOMEM, "no memory for a regular expression");
	(void)pcre2_set_match_limit(regex->context, STEPS_MAX);
	(void)pcre2_set_depth_limit(regex->context, STEPS_MAX);
	(void)pcre2_set_heap_limit(regex->context, HEAP_MAX_KIB);
	*out = TAKE(regex);
	return 0;
}

int regex_search(struct regex *regex, const char *subject, bool *found, struct err *err)
{
	int r = pcre2_match(regex->code, (PCRE2_SPTR)subject, strlen(subject), 0, 0, regex->data,
			    regex->context);
	if (r < 0 && r != PCRE2_ERROR_NOMATCH)
		return err_set(err, E2BIG,
			       "the regular expression '%s' takes too many steps on '%s': is there "
			       "a repetition inside a repetition?",
			       esc(regex->pattern), esc(subject));
	*found = r >= 0;
	return 0;
}
