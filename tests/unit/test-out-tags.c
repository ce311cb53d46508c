/* Versions, variants and aliases of a put. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "resource/out-tags.h"

static void test_versions_are_read_leniently_and_written_in_full(void **state)
{
	(void)state;
	static const struct {
		const char *text, *variant, *tag; /* tag NULL: refused */
	} cases[] = {
		{ "1.2.3", NULL, "1.2.3" },
		{ "v1.2.3", "slim", "1.2.3-slim" },
		{ "1", NULL, "1.0.0" },
		{ "1.2", "a", "1.2.0-a" },
		{ "20240101", NULL, "20240101.0.0" },
		{ "1.2.3-rc.1", NULL, "1.2.3-rc.1" },
		{ "1.2-rc", NULL, "1.2.0-rc" },
		{ "1.2.3-a-b.c", "v", "1.2.3-a-b.c-v" },
		{ "", NULL, NULL },
		{ "v", NULL, NULL },
		{ "V1", NULL, NULL },
		{ "1.", NULL, NULL },
		{ "1.2.3.4", NULL, NULL },
		{ "1.2.3_4", NULL, NULL },
		{ "1..2", NULL, NULL },
		{ " 1", NULL, NULL },
		{ "-1", NULL, NULL },
		{ "1.2.3-", NULL, NULL },
		{ "1.2.3-a..b", NULL, NULL },
		{ "1.2.3-a.", NULL, NULL },
		{ "1.2.3-.a", NULL, NULL },
		{ "1.2.3-\xc3\xa4", NULL, NULL },
		{ "1.2.3+b1", NULL, NULL },
		{ "99999999999999999999", NULL, NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_semver version = { 0 };
		int r = out_version_parse(&version, cases[i].text, NULL);
		if (r != (cases[i].tag ? 0 : -EINVAL))
			fail_msg("'%s': %d", cases[i].text, r);
		if (!cases[i].tag)
			continue;
		auto_free char *tag = out_version_tag(&version, cases[i].variant);
		assert_string_equal(tag, cases[i].tag);
	}
}

static void test_aliases_are_left_to_newer_versions(void **state)
{
	(void)state;
	static const struct {
		const char *version, *variant, *there, *aliases; /* words */
	} cases[] = {
		{ "1.2.3", NULL, "", "latest 1 1.2" },
		{ "1.2.3", "slim", "", "slim 1-slim 1.2-slim" },
		{ "1.2.3-rc", NULL, "", "" },
		{ "1.2.3", NULL, "1.2.3 1.2.2 1.1.9 0.9 x latest", "latest 1 1.2" },
		{ "1.2.3", NULL, "2.0.0", "1 1.2" },
		{ "1.2.3", NULL, "2", "1 1.2" },
		{ "1.2.3", NULL, "1.3.0", "1.2" },
		{ "1.2.3", NULL, "1.2.4", "" },
		{ "1.2.9", NULL, "1.2.10", "" },
		{ "1.2.3", NULL, "1.2.4-rc 2.0.0-beta", "latest 1 1.2" },
		{ "1.2.3", NULL, "9.0.0-slim", "latest 1 1.2" },
		{ "1.2.3", "slim", "9.0.0", "slim 1-slim 1.2-slim" },
		{ "1.2.3", "slim", "9.0.0-slim", "1-slim 1.2-slim" },
		{ "1.2.3", "slim", "9.0.0-rc-slim", "slim 1-slim 1.2-slim" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_semver version = { 0 };
		struct out_names names __attribute__((cleanup(out_names_release))) = { 0 };
		auto_tags there = { 0 };
		auto_str got = STR_MAX(1000);
		for (const char *at = cases[i].there; *at; at += strspn(at, " ")) {
			size_t n = strcspn(at, " ");
			there.names = mem_grow(there.names, &there.capacity, there.count,
					       sizeof(char *));
			there.names[there.count++] = mem_strndup(at, n);
			at += n;
		}
		assert_int_equal(out_version_parse(&version, cases[i].version, NULL), 0);
		assert_int_equal(
			out_names_add_aliases(&names, &version, cases[i].variant, &there, NULL), 0);
		for (size_t k = 0; k < names.count; k++)
			str_addf(&got, "%s%s", k ? " " : "", names.items[k]);
		assert_string_equal(str_text(&got), cases[i].aliases);
	}
}

static void test_tags_must_be_legal(void **state)
{
	(void)state;
	struct out_names names __attribute__((cleanup(out_names_release))) = { 0 };
	assert_int_equal(out_names_add(&names, mem_strdup("a.b-c_1"), NULL), 0);
	assert_int_equal(out_names_add(&names, mem_strdup("a/b"), NULL), -EINVAL);
	assert_int_equal(out_names_add(&names, mem_strdup(""), NULL), -EINVAL);
	assert_int_equal(names.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_read_leniently_and_written_in_full),
		cmocka_unit_test(test_aliases_are_left_to_newer_versions),
		cmocka_unit_test(test_tags_must_be_legal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
