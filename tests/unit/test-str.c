/* Bounded text, and the questions asked about strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static void test_str_appends_in_order(void **state)
{
	(void)state;
	auto_str s = STR_MAX(100);
	assert_string_equal(str_text(&s), "");
	str_add(&s, "GET ");
	str_addc(&s, '/');
	str_addf(&s, "%s/%d", "v2", 7);
	str_addn(&s, "abcdef", 3);
	str_addn(&s, NULL, 0);
	assert_string_equal(str_text(&s), "GET /v2/7abc");
	assert_int_equal(s.length, strlen("GET /v2/7abc"));
	assert_false(s.failed);
}

static void test_str_failure_is_sticky_and_keeps_the_text(void **state)
{
	(void)state;
	auto_str s = STR_MAX(8);
	str_add(&s, "12345678");
	assert_false(s.failed);
	str_addc(&s, '9');
	assert_true(s.failed);
	assert_string_equal(str_text(&s), "12345678");
	str_addn(&s, "", 0);
	assert_true(s.failed);
	str_reset(&s);
	assert_false(s.failed);
	assert_string_equal(str_text(&s), "");
	str_addf(&s, "%09d", 1);
	assert_true(s.failed);
	assert_string_equal(str_text(&s), "");
}

static void test_str_grows_to_its_maximum(void **state)
{
	(void)state;
	auto_str s = STR_MAX(100000);
	for (int i = 0; i < 100000; i++)
		str_addc(&s, 'a');
	assert_false(s.failed);
	assert_int_equal(strlen(str_text(&s)), 100000);
	str_addc(&s, 'a');
	assert_true(s.failed);
	auto_str huge = STR_MAX(SIZE_MAX / 2);
	str_addc(&huge, 'x');
	str_addn(&huge, "x", SIZE_MAX - 1);
	assert_true(huge.failed);
}

static void test_str_take_hands_over_and_empties(void **state)
{
	(void)state;
	struct str s = STR_MAX(10);
	auto_free char *nothing = str_take(&s);
	assert_string_equal(nothing, "");
	str_add(&s, "abc");
	auto_free char *text = str_take(&s);
	assert_string_equal(text, "abc");
	assert_int_equal(s.length, 0);
	assert_int_equal(s.max, 10);
	assert_null(s.data);
}

static void test_str_questions_have_plain_answers(void **state)
{
	(void)state;
	assert_true(str_starts("oci:dir", "oci:"));
	assert_true(str_starts("x", ""));
	assert_false(str_starts("oci", "oci:"));
	assert_true(str_ends("a.json", ".json"));
	assert_false(str_ends("json", ".json"));
	assert_true(str_equal(NULL, NULL));
	assert_false(str_equal(NULL, ""));
	assert_false(str_equal("A", "a"));
	assert_true(str_equal_nocase("Bearer", "bEARER"));
	assert_false(str_equal_nocase("Bearer", NULL));
}

static void test_str_parse_u64_takes_whole_numbers_only(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool ok;
		unsigned long long value;
	} cases[] = {
		{ "0", true, 0 },
		{ "0042", true, 42 },
		{ "18446744073709551615", true, 18446744073709551615ull },
		{ "18446744073709551616", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x10", false, 0 },
		{ "1.0", false, 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		unsigned long long value = 77;
		assert_int_equal(str_parse_u64(cases[i].text, &value), cases[i].ok);
		assert_true(value == (cases[i].ok ? cases[i].value : 77));
	}
}

static void test_str_nearest_finds_the_typing_mistake(void **state)
{
	(void)state;
	static const char *const names[] = { "repository", "tag", "username", "password" };
	static const struct {
		const char *word, *nearest;
	} cases[] = {
		{ "repositroy", "repository" },
		{ "repo", NULL },
		{ "tags", "tag" },
		{ "user_name", "username" },
		{ "passwort", "password" },
		{ "", NULL },
		{ "zzz", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const char *found = str_nearest(cases[i].word, names, N_ELEMENTS(names));
		assert_true(str_equal(found, cases[i].nearest));
	}
	char big[300];
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_null(str_nearest(big, names, N_ELEMENTS(names)));
	assert_null(str_nearest("tag", names, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_appends_in_order),
		cmocka_unit_test(test_str_failure_is_sticky_and_keeps_the_text),
		cmocka_unit_test(test_str_grows_to_its_maximum),
		cmocka_unit_test(test_str_take_hands_over_and_empties),
		cmocka_unit_test(test_str_questions_have_plain_answers),
		cmocka_unit_test(test_str_parse_u64_takes_whole_numbers_only),
		cmocka_unit_test(test_str_nearest_finds_the_typing_mistake),
	};
	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
