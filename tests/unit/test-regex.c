/* Regular expressions: what RE2 reads means the same here, and nothing runs away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex.h"

static void test_search_finds_what_re2_finds(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *subject;
		bool found;
	} cases[] = {
		{ "1\\.2", "v1.2-x", true },
		{ "^1\\.2$", "v1.2", false },
		{ "^1\\.2$", "1.2", true },
		{ "^a$", "a\n", false },
		{ "(?m)^a$", "a\nb", true },
		{ "^\\d+\\.\\d+\\.\\d+$", "10.20.30", true },
		{ "^(?P<major>\\d+)\\.x$", "7.x", true },
		{ "(?i)^RC", "rc1", true },
		{ "(?s)a.b", "a\nb", true },
		{ "a.b", "a\nb", false },
		{ "[[:alpha:]]+-[^[:digit:]]$", "abc-x", true },
		{ "\\Qa.b\\E", "axb", false },
		{ "\\pL\\p{Greek}", "x\xce\xb1", true },
		{ "^.$", "\xc3\xa4", true },
		{ "^\\w$", "\xc3\xa4", false },
		{ "\\Aa\\z", "a", true },
		{ "a{2,3}?b", "aab", true },
		{ "\\x{e4}", "\xc3\xa4", true },
		{ "", "anything", true },
		{ "a|b", "c", false },
		{ "a", "b\xff\xfe", false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(regex) regex = NULL;
		bool found = !cases[i].found;
		assert_int_equal(regex_new(&regex, cases[i].pattern, NULL), 0);
		assert_int_equal(regex_search(regex, cases[i].subject, &found, NULL), 0);
		if (found != cases[i].found)
			fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].subject);
	}
}

static void test_what_is_no_expression_is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"(", "[a", "a{2,1}", "*", "\\", "(?P<a", "\\C", "a**b("
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(regex) regex = NULL;
		struct err err = { 0 };
		if (regex_new(&regex, cases[i], &err) != -EINVAL)
			fail_msg("'%s'", cases[i]);
		assert_non_null(strstr(err_text(&err), "character"));
	}
	auto_free char *large = mem_new(REGEX_MAX_BYTES + 2);
	memset(large, 'a', REGEX_MAX_BYTES + 1);
	AUTO(regex) regex = NULL;
	assert_int_equal(regex_new(&regex, large, NULL), -EINVAL);
}

static void test_an_expression_that_runs_away_ends(void **state)
{
	(void)state;
	char subject[130];
	memset(subject, 'a', sizeof(subject) - 1);
	subject[sizeof(subject) - 1] = '\0';
	AUTO(regex) regex = NULL;
	struct err err = { 0 };
	bool found = false;
	assert_int_equal(regex_new(&regex, "^(a+)+(b|c)$", NULL), 0);
	assert_int_equal(regex_search(regex, subject, &found, &err), -E2BIG);
	assert_non_null(strstr(err_text(&err), "too many steps"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search_finds_what_re2_finds),
		cmocka_unit_test(test_what_is_no_expression_is_refused),
		cmocka_unit_test(test_an_expression_that_runs_away_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
