/* Values of find: numbers, sizes, permission bits, times; and expressions that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/find-expr.h"
#include "cmd/find-values.h"

static void test_find_size_rounds_up_to_its_unit(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
		bool holds;
	} cases[] = {
		{ "1", 512, true },	 { "1", 513, false },  { "2", 513, true },
		{ "-1k", 0, true },	 { "-1k", 1, false },  { "+1k", 1024, false },
		{ "+1k", 1025, true },	 { "1M", 1, true },    { "0", 0, true },
		{ "10c", 10, true },	 { "+9c", 10, true },  { "3w", 5, true },
		{ "1G", 1 << 30, true }, { "-2b", 512, true },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct find_number n;
		assert_true(find_parse_size(&n, cases[i].text));
		if (find_number_holds(&n, cases[i].bytes) != cases[i].holds)
			fail_msg("%s of %u bytes", cases[i].text, (unsigned)cases[i].bytes);
	}
	static const char *const bad[] = {
		"", "k", "+", "1kk", "--1", "1x", "99999999999999999999"
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct find_number n;
		if (find_parse_size(&n, bad[i]))
			fail_msg("'%s' is taken for a size", bad[i]);
	}
}

static void test_find_perm_knows_octal_and_letters(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum find_perm_kind kind;
		uint32_t bits;
	} cases[] = {
		{ "644", FIND_PERM_EXACT, 0644 },	{ "-4000", FIND_PERM_ALL, 04000 },
		{ "/022", FIND_PERM_ANY, 022 },		{ "u=rw,go=r", FIND_PERM_EXACT, 0644 },
		{ "-u+s", FIND_PERM_ALL, 04000 },	{ "-ug+s", FIND_PERM_ALL, 06000 },
		{ "/a+x", FIND_PERM_ANY, 0111 },	{ "+t", FIND_PERM_EXACT, 01000 },
		{ "a=rwx,o-w", FIND_PERM_EXACT, 0775 }, { "7777", FIND_PERM_EXACT, 07777 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct find_perm perm;
		assert_true(find_parse_perm(&perm, cases[i].text));
		if (perm.kind != cases[i].kind || perm.bits != cases[i].bits)
			fail_msg("%s: %d %o", cases[i].text, perm.kind, perm.bits);
	}
	static const char *const bad[] = { "", "-", "8", "77777", "u", "u+q", "u+r,", "rw" };
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct find_perm perm;
		if (find_parse_perm(&perm, bad[i]))
			fail_msg("'%s' is taken for a mode", bad[i]);
	}
	assert_true(find_perm_holds(&(struct find_perm){ FIND_PERM_ANY, 0 }, 0644));
	assert_false(find_perm_holds(&(struct find_perm){ FIND_PERM_ALL, 022 }, 0100620));
}

static void test_find_time(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {
		{ "@1700000000", 1700000000 },
		{ "2023-11-14T22:13:20Z", 1700000000 },
		{ "2023-11-14 22:13Z", 1699999980 },
		{ "2023-11-14Z", 1699920000 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int64_t seconds = 0;
		assert_true(find_parse_time(&seconds, cases[i].text));
		assert_int_equal(seconds, cases[i].seconds);
	}
	int64_t seconds = 0;
	assert_false(find_parse_time(&seconds, "yesterday"));
	assert_false(find_parse_time(&seconds, "@-1"));
	assert_false(find_parse_time(&seconds, "2023-11-14x"));
}

/* Does the expression of WORDS hold for a file "dir/name" of 100 bytes? -1: it is none. */
static int matches(const char *const *words, size_t count)
{
	char *argv[16] = { NULL };
	int argc = 1;
	for (size_t i = 0; i < count; i++)
		argv[argc++] = mem_strdup(words[i]);
	__attribute__((cleanup(find_words_release))) struct find_words taken = { 0 };
	struct find_limits limits;
	AUTO(find_expr) expr = NULL;
	int all = argc;
	char *owned[16];
	memcpy(owned, argv, sizeof(owned));
	int r = find_words_take(&taken, &argc, argv, NULL);
	if (r == 0)
		r = find_expr_parse(&expr, &limits, &taken, NULL);
	const struct rootfs_inode inode = { .mode = 0100644, .size = 100 };
	const struct find_subject subject = { "dir/name", "name", &inode };
	int result = r < 0 ? -1 : find_expr_match(expr, &subject);
	for (int i = 1; i < all; i++)
		free(owned[i]);
	return result;
}

static void test_find_operators_bind_as_in_find(void **state)
{
	(void)state;
	static const struct {
		const char *words[10];
		int result;
	} cases[] = {
		{ { NULL }, 1 },
		{ { "-name", "n*" }, 1 },
		{ { "--name=n*" }, 1 },
		{ { "--name", "x" }, 0 },
		{ { "-path", "d*e" }, 1 },
		{ { "!", "-name", "x", "-type", "d" }, 0 },
		{ { "!", "!", "-name", "name" }, 1 },
		{ { "-name", "x", "-o", "-name", "name", "-a", "-type", "f" }, 1 },
		{ { "-name", "name", "-o", "-name", "x", "-type", "d" }, 1 },
		{ { "(", "-name", "name", "-o", "-name", "x", ")", "-type", "d" }, 0 },
		{ { "-o" }, -1 },
		{ { "-name", "a", "-a" }, -1 },
		{ { ")" }, -1 },
		{ { "(", ")" }, -1 },
		{ { "-name" }, -1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		size_t count = 0;
		while (cases[i].words[count])
			count++;
		int result = matches(cases[i].words, count);
		if (result != cases[i].result)
			fail_msg("case %zu: %d", i, result);
	}
}

static void test_find_expressions_have_a_depth(void **state)
{
	(void)state;
	char *argv[203] = { NULL };
	int argc = 1;
	for (int i = 0; i < 200; i++)
		argv[argc++] = mem_strdup(i < 100 ? "(" : ")");
	__attribute__((cleanup(find_words_release))) struct find_words words = { 0 };
	struct find_limits limits;
	struct find_expr *expr = NULL;
	assert_int_equal(find_words_take(&words, &argc, argv, NULL), 0);
	assert_int_equal(find_expr_parse(&expr, &limits, &words, NULL), -E2BIG);
	for (size_t i = 0; i < words.count; i++)
		mem_free_pointer(&words.all[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_size_rounds_up_to_its_unit),
		cmocka_unit_test(test_find_perm_knows_octal_and_letters),
		cmocka_unit_test(test_find_time),
		cmocka_unit_test(test_find_operators_bind_as_in_find),
		cmocka_unit_test(test_find_expressions_have_a_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
