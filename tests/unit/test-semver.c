/* Versions, their order, and constraints on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resource/semver.h"

static void test_versions_are_read_leniently(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned long long major, minor, patch;
		const char *prerelease;
		bool build;
	} good[] = {
		{ "1", 1, 0, 0, NULL, false },
		{ "v1.2", 1, 2, 0, NULL, false },
		{ "1.2.3", 1, 2, 3, NULL, false },
		{ "20240101", 20240101, 0, 0, NULL, false },
		{ "2024.01.05", 2024, 1, 5, NULL, false },
		{ "01.02", 1, 2, 0, NULL, false },
		{ "1-rc", 1, 0, 0, "rc", false },
		{ "1.2-rc.1", 1, 2, 0, "rc.1", false },
		{ "1.2.3-0", 1, 2, 3, "0", false },
		{ "1.2.3-0a", 1, 2, 3, "0a", false },
		{ "1.2.3--", 1, 2, 3, "-", false },
		{ "1.2.3-a-b.c", 1, 2, 3, "a-b.c", false },
		{ "1.2.3+b.01", 1, 2, 3, NULL, true },
		{ "1.2.3-a+b", 1, 2, 3, "a", true },
		{ "18446744073709551615", UINT64_MAX, 0, 0, NULL, false },
	};
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		auto_semver v = { 0 };
		if (!semver_parse(&v, good[i].text))
			fail_msg("'%s'", good[i].text);
		assert_true(v.major == good[i].major && v.minor == good[i].minor);
		assert_true(v.patch == good[i].patch && v.build == good[i].build);
		assert_int_equal(v.prerelease != NULL, good[i].prerelease != NULL);
		if (v.prerelease)
			assert_string_equal(v.prerelease, good[i].prerelease);
	}
	static const char *const bad[] = {
		"",
		"v",
		"V1",
		"1.",
		"1.2.3.4",
		"1.2.3_4",
		"1..2",
		" 1",
		"1 ",
		"-1",
		"1.2.3-",
		"1.2.3-a.",
		"1.2.3-01",
		"1.2-a..b",
		"1.2.3+",
		"1+a..b",
		"latest",
		"1.2.x",
		"1.2.3-\xc3\xa4",
		"18446744073709551616",
		"vv1",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct semver v = { .major = 7 };
		if (semver_parse(&v, bad[i]))
			fail_msg("'%s'", bad[i]);
		assert_true(v.major == 7 && !v.prerelease);
	}
}

static void test_order_is_total_and_as_semver_has_it(void **state)
{
	(void)state;
	/* ascending; those in one row are equal */
	static const char *const order[][3] = {
		{ "0.0.0-0" },
		{ "0", "v0.0", "0.0.0+a" },
		{ "1.0.0-1" },
		{ "1.0.0-2" },
		{ "1.0.0-10" },
		{ "1.0.0-99999999999999999999" },
		{ "1.0.0-999999999999999999999" },
		{ "1.0.0-alpha", "1-alpha" },
		{ "1.0.0-alpha.1" },
		{ "1.0.0-alpha.1.1" },
		{ "1.0.0-alpha.beta" },
		{ "1.0.0-beta" },
		{ "1.0.0-beta.2" },
		{ "1.0.0-beta.11" },
		{ "1.0.0-beta11" },
		{ "1.0.0-beta2" },
		{ "1.0.0-rc" },
		{ "1.0.0-rc-1" },
		{ "1.0.0", "1", "v1.0" },
		{ "1.0.1" },
		{ "1.9" },
		{ "1.10" },
		{ "2-rc" },
		{ "2" },
	};
	for (size_t i = 0; i < N_ELEMENTS(order) * 3; i++) {
		for (size_t k = 0; k < N_ELEMENTS(order) * 3; k++) {
			auto_semver a = { 0 }, b = { 0 };
			if (!order[i / 3][i % 3] || !order[k / 3][k % 3])
				continue;
			assert_true(semver_parse(&a, order[i / 3][i % 3]));
			assert_true(semver_parse(&b, order[k / 3][k % 3]));
			int wanted = (i / 3 > k / 3) - (i / 3 < k / 3);
			int found = semver_compare(&a, &b);
			if ((found > 0) - (found < 0) != wanted)
				fail_msg("%s, %s: %d", order[i / 3][i % 3], order[k / 3][k % 3],
					 found);
		}
	}
}

/* A constraint, versions it allows, versions it does not; each list ends with NULL. */
struct judged {
	const char *constraint;
	const char *yes[6], *no[6];
};

static void judge(const struct judged *j, const char *const *versions, bool wanted)
{
	AUTO(constraint) c = NULL;
	assert_int_equal(constraint_parse(&c, j->constraint, NULL), 0);
	for (; *versions; versions++) {
		auto_semver v = { 0 };
		assert_true(semver_parse(&v, *versions));
		if (constraint_allows(c, &v) != wanted)
			fail_msg("'%s' on '%s'", j->constraint, *versions);
	}
}

static const struct judged table[] = {
	/* equal */
	{ "=2.0.0", { "2", "2.0.0" }, { "2.0.1", "1.2.3", "2.0.0-a" } },
	{ "2.0.0", { "2.0.0", "2.0.0+x" }, { "2.0.1" } },
	{ "=2.0", { "2.0.0", "2.0.9" }, { "2.1", "1" } },
	{ " v4.1 ", { "4.1.0", "4.1.7" }, { "4.2" } },
	{ "2", { "2.1.1" }, { "1", "3.4.5", "2.1.1-rc" } },
	{ "2.1.*", { "2.1.1" }, { "2.2.1" } },
	{ "2.X.7", { "2.1.1" }, { "3" } },
	{ "*", { "0", "4.5.6" }, { "1.2.3-alpha.1" } },
	{ "*-0", { "1.2.3-alpha.1", "1" }, { NULL } },
	{ "0.x.x", { "0.9" }, { "1.2.3" } },
	/* not equal */
	{ "!=4.1.0", { "4.1.1" }, { "4.1.0", "5.1.0-alpha.1" } },
	{ "!=4.1", { "5.1.0", "4.2" }, { "4.1.0", "4.1.1" } },
	{ "!=4.x", { "5.1.0" }, { "4.1.0" } },
	{ "!=4.1-alpha", { "4.1.0", "4.1.0-beta" }, { "4.1.0-alpha", "4.1.1-alpha" } },
	/* greater, less */
	{ ">1.1", { "1.2", "4.1.0" }, { "1.1.0", "1.1.9" } },
	{ ">11", { "12" }, { "11.1.0", "11" } },
	{ ">1.2.3", { "1.2.4" }, { "1.2.3" } },
	{ ">0-0", { "1-a", "1" }, { "0.0.1-alpha", "0.0.1" } },
	{ ">0.0.0-0", { "0.0.0-alpha", "0" }, { NULL } },
	{ ">=11.1", { "11.1.0", "12" }, { "11.0.2", "12-rc" } },
	{ "=>1.1", { "1.1" }, { "1.0.9" } },
	{ ">=0.0.0-0", { "3.4.5-beta.1", "1" }, { NULL } },
	{ "<11", { "0.1.0", "10.9.9" }, { "11.1.0", "11" } },
	{ "<1.1.x", { "1.0.500" }, { "1.1.0", "1.2.1" } },
	{ "<0-z", { "0.0.0-alpha" }, { "0" } },
	{ "<=11", { "11.2.3", "1" }, { "12" } },
	{ "=<1.1", { "1.1.500", "0.1.0" }, { "1.2.0", "0.1.0-alpha" } },
	{ "<=1.1.1", { "1.1.1" }, { "1.1.2" } },
	{ "<=1.1-a", { "0.1.0-alpha" }, { "1.2" } },
	/* tilde */
	{ "~1.2.3", { "1.2.3", "1.2.9" }, { "1.2.2", "1.3.0", "2.2.3" } },
	{ "~>1.2", { "1.2.0", "1.2.9" }, { "1.3.4", "1.1" } },
	{ "~1", { "1.0", "1.9" }, { "2", "0.9" } },
	{ "~*", { "0", "9.9" }, { "1-rc" } },
	{ "~0.0.0", { "1.2.3" }, { NULL } },
	{ "~1.2.3-beta.2",
	  { "1.2.3-beta.4", "1.2.4-beta.2", "1.2.3" },
	  { "1.3.4-beta.2", "1.2.3-beta.1" } },
	/* caret */
	{ "^1.2.3", { "1.2.3", "1.8.9" }, { "1.2.1", "2.8.9", "1.3-rc" } },
	{ "^ 1.2", { "1.8.9" }, { "2.8.9", "1.1" } },
	{ "^1.x", { "1.8.9" }, { "2", "0.9" } },
	{ "^0.2.3", { "0.2.5" }, { "0.2.2", "0.5.6", "1.2.3" } },
	{ "^0.2", { "0.2.5", "0.2.0" }, { "0.3" } },
	{ "^0.0.3", { "0.0.3" }, { "0.0.4", "0.1.3", "1.0.3" } },
	{ "^0.0", { "0.0.3" }, { "0.1.4", "1.0.4" } },
	{ "^0", { "0.2.3" }, { "1.1.4" } },
	{ "^*", { "0.2.3", "7" }, { NULL } },
	{ "^0.0.0", { "0.0.0" }, { "1.2.3", "0.0.1" } },
	{ "^1.2.0-alpha.0", { "1.2.1-alpha.1", "1.2.0-alpha.0", "1.9" }, { "2-rc", "1.1-rc" } },
	/* rows and alternatives */
	{ ">=1.1, <2, !=1.2.3 || > 3", { "1.2.2", "4.1.2" }, { "1.2.3", "3.0.0", "3.1.2", "2" } },
	{ ">= 1.1 < 2   !=1.2.3", { "1.1" }, { "1.2.3", "2" } },
	{ "12.3.34 ~12.3.4", { "12.3.34" }, { "12.3.5" } },
	{ "1||3", { "1.5", "3.1" }, { "2" } },
	{ ">=1.0.0 <=2.0.0-beta || >3", { "1.0.1-beta", "4" }, { "3.0.1-beta", "4.0.1-beta" } },
	{ ">=1.0.0-0 <=2.0.0", { "1.0.1-beta" }, { "2.0.1-beta" } },
	/* ranges */
	{ "1.1 - 2", { "1.1.1", "2.9" }, { "1.0", "3" } },
	{ "1.5.0 - 4.5, !=2.x", { "3.7.0", "4.5.9" }, { "2.1", "4.6" } },
	{ "1.0.0 - 2.0.0 <=1.7", { "1.5.0" }, { "1.8" } },
	{ "1-3", { "1.0.0-3", "1.9" }, { "2" } },
};

static void test_constraints_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		judge(&table[i], table[i].yes, true);
		judge(&table[i], table[i].no, false);
	}
}

static void test_what_is_no_constraint_is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"",
		" ",
		"foo",
		">= bar",
		"BAR >= 1",
		"12.3.4.1234",
		"1.2.3-beta.01",
		"1.2,",
		",1",
		"1,,2",
		"1 || ",
		"|| 1",
		"12.3.34~ 1.2.3",
		"1|2",
		">",
		"><1",
		"1.2 -",
		"1 - ",
		">1 - 2",
		"1x",
		"1.2.",
		"99999999999999999999",
		"1.2.3-",
		"1.2.3+a..b",
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(constraint) c = NULL;
		struct err err = { 0 };
		if (constraint_parse(&c, cases[i], &err) != -EINVAL)
			fail_msg("'%s'", cases[i]);
		assert_non_null(strstr(err_text(&err), "improper constraint"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_read_leniently),
		cmocka_unit_test(test_order_is_total_and_as_semver_has_it),
		cmocka_unit_test(test_constraints_judge),
		cmocka_unit_test(test_what_is_no_constraint_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
