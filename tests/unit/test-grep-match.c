/* Lines out of pieces, and patterns in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cmd/grep-match.h"

static int take(void *arg, const char *text, size_t length, bool binary, struct err *err)
{
	struct str *seen = arg;
	(void)err;
	str_addf(seen, "[%.*s]%s", (int)length, text, binary ? "b" : "");
	return length == 4 && memcmp(text, "stop", 4) == 0;
}

/* TEXT in pieces of PIECE bytes. */
static void lines_of(struct str *seen, const char *text, size_t size, size_t piece)
{
	__attribute__((cleanup(lines_release))) struct lines lines = { .line = take, .arg = seen };
	int r = 0;
	str_reset(seen);
	for (size_t at = 0; at < size && r == 0; at += piece)
		r = lines_add(&lines, text + at, size - at < piece ? size - at : piece, NULL);
	if (r == 0)
		assert_int_equal(lines_end(&lines, NULL), 0);
}

static void test_lines_are_the_same_however_they_come(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t size;
		const char *lines;
	} cases[] = {
		{ "a\nbc\n", 5, "[a][bc]" }, { "\n\nx", 3, "[][][x]" },		 { "", 0, "" },
		{ "one", 3, "[one]" },	     { "a\nstop\nb\n", 9, "[a][stop]" },
	};
	auto_str seen = STR_MAX(4096);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		for (size_t piece = 1; piece < 6; piece++) {
			lines_of(&seen, cases[i].text, cases[i].size, piece);
			assert_string_equal(str_text(&seen), cases[i].lines);
		}
	}
}

static void test_lines_of_binary_bytes_end_at_nul_too(void **state)
{
	(void)state;
	auto_str seen = STR_MAX(4096);
	lines_of(&seen, "a\0b\nc", 5, 5);
	assert_string_equal(str_text(&seen), "[a]b[b]b[c]b");
	lines_of(&seen, "x\ny\0\0z", 6, 3);
	assert_string_equal(str_text(&seen), "[x][y]b[]b[z]b");
}

static void test_a_line_without_end_is_cut(void **state)
{
	(void)state;
	size_t size = GREP_LINE_MAX_BYTES + 100000;
	auto_free char *text = mem_new(size);
	memset(text, 'x', size);
	auto_str seen = STR_MAX(2 * size);
	lines_of(&seen, text, size, 1 << 20);
	size_t brackets = 0;
	for (const char *p = str_text(&seen); *p; p++)
		brackets += *p == '[';
	assert_int_equal(brackets, 2);
	assert_int_equal(seen.length, size + 4);
}

static void test_patterns_match_as_grep(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		enum grep_kind kind;
		bool ignore_case;
		const char *line;
		bool matches;
	} cases[] = {
		{ "a.c", GREP_BASIC, false, "xabcx", true },
		{ "a.c", GREP_FIXED, false, "xabcx", false },
		{ "a.c", GREP_FIXED, true, "xA.Cx", true },
		{ "A+", GREP_BASIC, false, "AA", false },
		{ "A+", GREP_EXTENDED, false, "AA", true },
		{ "a\nb", GREP_BASIC, false, "b", true },
		{ "", GREP_BASIC, false, "", true },
		{ "", GREP_FIXED, false, "x", true },
		{ "^b", GREP_BASIC, false, "ab", false },
		{ "b$", GREP_BASIC, true, "aB", true },
		{ "\\(o\\)\\1", GREP_BASIC, false, "foo", true },
		{ "[x]\\*^$.", GREP_FIXED, true, "a[X]\\*^$.b", true },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(pattern) pattern = NULL;
		assert_int_equal(pattern_new(&pattern, cases[i].pattern, cases[i].kind,
					     cases[i].ignore_case, NULL),
				 0);
		if (pattern_matches(pattern, cases[i].line, strlen(cases[i].line)) !=
		    cases[i].matches)
			fail_msg("'%s' in '%s'", cases[i].pattern, cases[i].line);
	}
	struct err err = { 0 };
	struct pattern *bad = NULL;
	assert_int_equal(pattern_new(&bad, "a(", GREP_EXTENDED, false, &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "'a('"));
}

/* A line is LENGTH bytes, whatever lies behind it, and may hold NULs. */
static void test_patterns_end_with_the_line(void **state)
{
	(void)state;
	AUTO(pattern) pattern = NULL;
	assert_int_equal(pattern_new(&pattern, "b$", GREP_BASIC, false, NULL), 0);
	assert_true(pattern_matches(pattern, "a\0bc", 3));
	assert_false(pattern_matches(pattern, "abc", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_the_same_however_they_come),
		cmocka_unit_test(test_lines_of_binary_bytes_end_at_nul_too),
		cmocka_unit_test(test_a_line_without_end_is_cut),
		cmocka_unit_test(test_patterns_match_as_grep),
		cmocka_unit_test(test_patterns_end_with_the_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
