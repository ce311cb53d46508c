/* Differences of texts: applied they make one of the other, and they are as short as can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/text-diff.h"

static void add_line(void *arg, char mark, const char *text, size_t size)
{
	struct str *out = arg;
	str_addc(out, mark);
	str_addn(out, text, size);
	str_addc(out, '\n');
}

static void diff(struct str *out, const char *a, const char *b)
{
	const struct text x = { a, strlen(a) }, y = { b, strlen(b) };
	const struct text_diff_options options = { add_line, out };
	assert_int_equal(text_diff(&x, &y, &options, NULL), 0);
}

static void test_text_diff_writes_as_diff_u_does(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b, *wanted;
	} cases[] = {
		{ "", "", "" },
		{ "a\n", "a\n", "" },
		{ "", "a\n", "@@ -0,0 +1 @@\n+a\n" },
		{ "a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n" },
		{ "a\n", "b\n", "@@ -1 +1 @@\n-a\n+b\n" },
		{ "a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n" },
		{ "1\n2\n3\n4\n5\nx\n7\n8\n9\n0\n", "1\n2\n3\n4\n5\ny\n7\n8\n9\n0\n",
		  "@@ -3,7 +3,7 @@\n 3\n 4\n 5\n-x\n+y\n 7\n 8\n 9\n" },
		{ "a\n1\n2\n3\n4\n5\n6\nb\n", "1\n2\n3\n4\n5\n6\n",
		  "@@ -1,8 +1,6 @@\n-a\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n" },
		{ "a\n1\n2\n3\n4\n5\n6\n7\nb\n", "1\n2\n3\n4\n5\n6\n7\n",
		  "@@ -1,4 +1,3 @@\n-a\n 1\n 2\n 3\n@@ -6,4 +5,3 @@\n 5\n 6\n 7\n-b\n" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str out = STR_MAX(4096);
		diff(&out, cases[i].a, cases[i].b);
		assert_string_equal(str_text(&out), cases[i].wanted);
	}
}

/* --- random texts of few different lines --- */

static void random_text(struct str *out, unsigned *seed)
{
	for (int n = rand_r(seed) % 14; n > 0; n--)
		str_addf(out, "%c\n", "abc"[rand_r(seed) % 3]);
}

/* Lines of the longest common subsequence, by the book; each line is two bytes. */
static size_t common(const char *a, const char *b)
{
	size_t table[16][16] = { 0 };
	size_t m = strlen(a) / 2, n = strlen(b) / 2;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			size_t best = table[i - 1][j] > table[i][j - 1] ? table[i - 1][j]
									: table[i][j - 1];
			if (a[2 * i - 2] == b[2 * j - 2])
				best = table[i - 1][j - 1] + 1;
			table[i][j] = best;
		}
	}
	return table[m][n];
}

/* The text that the difference makes of A. */
static void apply(struct str *out, const char *a, const char *difference)
{
	size_t at = 0;
	for (const char *line = difference; *line; line = strchr(line, '\n') + 1) {
		if (*line == '@') {
			size_t start = strtoul(line + strlen("@@ -"), NULL, 10);
			const char *comma = strchr(line, ',');
			bool empty = comma && comma < strchr(line, '+') && comma[1] == '0';
			start = empty ? start : start - 1;
			for (; at < start; at++)
				str_addn(out, a + 2 * at, 2);
			continue;
		}
		if (*line != '+')
			assert_memory_equal(line + 1, a + 2 * at++, 2);
		if (*line != '-')
			str_addn(out, line + 1, 2);
	}
	str_add(out, a + 2 * at);
}

static size_t count_changes(const char *difference)
{
	size_t changes = 0;
	for (const char *line = difference; *line; line = strchr(line, '\n') + 1)
		changes += *line == '+' || *line == '-';
	return changes;
}

static void test_text_diff_is_right_and_shortest(void **state)
{
	(void)state;
	unsigned seed = 1;
	for (int i = 0; i < 3000; i++) {
		auto_str a = STR_MAX(64), b = STR_MAX(64), out = STR_MAX(4096), made = STR_MAX(64);
		random_text(&a, &seed);
		random_text(&b, &seed);
		diff(&out, str_text(&a), str_text(&b));
		apply(&made, str_text(&a), str_text(&out));
		assert_string_equal(str_text(&made), str_text(&b));
		size_t shortest = (a.length + b.length) / 2 -
				  2 * common(str_text(&a), str_text(&b));
		assert_int_equal(count_changes(str_text(&out)), shortest);
	}
}

static void test_text_diff_gives_up_on_the_shortest_not_on_the_answer(void **state)
{
	(void)state;
	auto_str a = STR_MAX(1u << 20), b = STR_MAX(1u << 20), out = STR_MAX(1u << 22);
	for (int i = 0; i < 3000; i++) {
		str_addf(&a, "%da\n", i);
		str_addf(&b, "%db\n", i);
	}
	str_add(&a, "same\n");
	str_add(&b, "same\n");
	diff(&out, str_text(&a), str_text(&b));
	assert_int_equal(count_changes(str_text(&out)), 6000);
	assert_true(str_ends(str_text(&out), "+2999b\n same\n"));
}

static void test_text_is_text_looks_for_a_nul(void **state)
{
	(void)state;
	const struct text text = { "a\nb", 3 }, binary = { "a\0b", 3 }, empty = { "", 0 };
	assert_true(text_is_text(&text));
	assert_false(text_is_text(&binary));
	assert_true(text_is_text(&empty));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_diff_writes_as_diff_u_does),
		cmocka_unit_test(test_text_diff_is_right_and_shortest),
		cmocka_unit_test(test_text_diff_gives_up_on_the_shortest_not_on_the_answer),
		cmocka_unit_test(test_text_is_text_looks_for_a_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
