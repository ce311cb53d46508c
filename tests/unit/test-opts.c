/* The option table: what is read, what is refused, what --help shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/opts.h"

struct args {
	bool quiet, verify, help;
	const char *platform;
	unsigned jobs;
	uint64_t limit;
};

static const struct opt table[] = {
	{ "quiet", OPT_FLAG, offsetof(struct args, quiet), NULL, "say nothing" },
	{ "verify", OPT_BOOL, offsetof(struct args, verify), "true|false", "look at certificates" },
	{ "platform", OPT_TEXT, offsetof(struct args, platform), "OS/ARCH", "which one" },
	{ "jobs", OPT_COUNT, offsetof(struct args, jobs), "N", "how many" },
	{ "limit", OPT_SIZE, offsetof(struct args, limit), "SIZE",
	  "a long text that has to be folded because it would otherwise pass the last column" },
	{ "help", OPT_FLAG, offsetof(struct args, help), NULL, "show this" },
};

#define WORDS_MAX 8
static int parse(struct args *out, const char *const *words, char **argv, int *operands,
		 struct err *err)
{
	static char copies[WORDS_MAX + 1][64];
	int argc = 1;
	argv[0] = copies[0];
	for (; argc <= WORDS_MAX && words[argc - 1]; argc++) {
		(void)snprintf(copies[argc], sizeof(copies[argc]), "%s", words[argc - 1]);
		argv[argc] = copies[argc];
	}
	return opts_parse(out, table, N_ELEMENTS(table), argc, argv, operands, err);
}

struct lettered {
	bool list, human, help;
	unsigned depth;
};

static const struct opt letters[] = {
	{ "l,list", OPT_FLAG, offsetof(struct lettered, list), NULL, "one a line" },
	{ "h,", OPT_FLAG, offsetof(struct lettered, human), NULL, "sizes for people" },
	{ "L,depth", OPT_COUNT, offsetof(struct lettered, depth), "N", "how deep" },
	{ "help", OPT_FLAG, offsetof(struct lettered, help), NULL, "show this" },
};

static void test_letters_may_stand_together(void **state)
{
	(void)state;
	static const struct {
		const char *words[3];
		bool list, human;
		unsigned depth;
		int operands, r;
	} cases[] = {
		{ { "-lh", "x" }, true, true, 0, 1, 0 },
		{ { "-lL3" }, true, false, 3, 0, 0 },
		{ { "-L", "4", "-h" }, false, true, 4, 0, 0 },
		{ { "--depth=5", "--list" }, true, false, 5, 0, 0 },
		{ { "-", "--", "-l" }, false, false, 0, 2, 0 },
		{ { "-lx" }, false, false, 0, 0, -EINVAL },
		{ { "-L" }, false, false, 0, 0, -EINVAL },
		{ { "-L0" }, false, false, 0, 0, -EINVAL },
		{ { "--"
		    "h" },
		  false,
		  false,
		  0,
		  0,
		  -EINVAL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char *argv[5] = { mem_strdup("rootlet") };
		char *kept[5] = { argv[0] };
		int argc = 1, operands = -1;
		for (; argc <= 3 && cases[i].words[argc - 1]; argc++)
			kept[argc] = argv[argc] = mem_strdup(cases[i].words[argc - 1]);
		struct lettered got = { 0 };
		int r = opts_parse(&got, letters, N_ELEMENTS(letters), argc, argv, &operands, NULL);
		assert_int_equal(r, cases[i].r);
		if (r == 0) {
			assert_int_equal(operands, cases[i].operands);
			assert_int_equal(got.list, cases[i].list);
			assert_int_equal(got.human, cases[i].human);
			assert_int_equal(got.depth, cases[i].depth);
		}
		while (argc > 0)
			free(kept[--argc]);
	}
}

static void test_options_are_read_anywhere(void **state)
{
	(void)state;
	static const char *const words[] = { "a",	   "--jobs",  "7", "--verify=false",
					     "--limit=2G", "--quiet", "b", NULL };
	struct args args = { .verify = true };
	char *argv[WORDS_MAX + 1];
	int operands;
	assert_int_equal(parse(&args, words, argv, &operands, NULL), 0);
	assert_int_equal(operands, 2);
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "b");
	assert_true(args.quiet && !args.verify && !args.help);
	assert_int_equal(args.jobs, 7);
	assert_true(args.limit == (uint64_t)2 << 30);
}

static void test_two_dashes_end_the_options(void **state)
{
	(void)state;
	static const char *const words[] = { "-h", "--", "--quiet", "-", NULL };
	struct args args = { 0 };
	char *argv[WORDS_MAX + 1];
	int operands;
	assert_int_equal(parse(&args, words, argv, &operands, NULL), 0);
	assert_int_equal(operands, 2);
	assert_string_equal(argv[1], "--quiet");
	assert_string_equal(argv[2], "-");
	assert_true(args.help && !args.quiet);
}

static void test_bad_options_are_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *words[3];
		const char *text;
	} cases[] = {
		{ { "--plaform", "x" }, "unknown option '--plaform': did you mean '--platform'?" },
		{ { "--plat=x" }, "unknown option '--plat=x': did you mean '--platform'?" },
		{ { "--zzzzzzzzz" }, "unknown option '--zzzzzzzzz'" },
		{ { "-q" }, "unknown option '-q': did you mean '--quiet'?" },
		{ { "--jo\x1b[2J" }, "unknown option '--jo\\x1b[2J'" },
		{ { "--jobs" }, "'--jobs' wants N" },
		{ { "--jobs", "0" }, "'--jobs' wants a number from 1 to 1024, not '0'" },
		{ { "--jobs=-1" }, "'--jobs' wants a number from 1 to 1024, not '-1'" },
		{ { "--jobs=1025" }, "'--jobs' wants a number from 1 to 1024, not '1025'" },
		{ { "--quiet=yes" }, "'--quiet' takes no value" },
		{ { "--verify=yes" }, "'--verify' wants true or false, not 'yes'" },
		{ { "--platform=" }, "'--platform' wants OS/ARCH, not nothing" },
		{ { "--limit", "1.5G" }, "'--limit' wants a size like 500M or 10G, not '1.5G'" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct args args = { 0 };
		struct err err = { 0 };
		char *argv[WORDS_MAX + 1];
		int operands = -7;
		assert_int_equal(parse(&args, cases[i].words, argv, &operands, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].text);
		assert_int_equal(operands, -7);
	}
}

static void test_sizes_have_binary_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t size; /* 0: refused */
	} cases[] = {
		{ "1", 1 },
		{ "64K", 65536 },
		{ "3M", 3 << 20 },
		{ "10G", (uint64_t)10 << 30 },
		{ "2T", (uint64_t)2 << 40 },
		{ "16777215T", (uint64_t)16777215 << 40 },
		{ "16777216T", 0 },
		{ "", 0 },
		{ "K", 0 },
		{ "0", 0 },
		{ "5k", 0 },
		{ "5KB", 0 },
		{ " 5", 0 },
		{ "-5", 0 },
		{ "99999999999999999999", 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint64_t size = 0;
		assert_int_equal(opts_parse_size(cases[i].text, &size), cases[i].size != 0);
		assert_true(size == cases[i].size);
	}
}

static void assert_fits(const char *text)
{
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		assert_true(length <= 80);
		assert_int_equal(line[length], '\n');
		line += length + 1;
	}
}

static void test_help_shows_every_option_in_80_columns(void **state)
{
	(void)state;
	const struct command command = { .name = "x",
					 .operands = "A",
					 .about = "About.\n",
					 .options = table,
					 .option_count = N_ELEMENTS(table) };
	const struct command *all[] = { &command, &cmd_unpack };
	const struct commands commands = { all, N_ELEMENTS(all) };
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);
		help_command(out, all[i]);
		help_all(out, &commands);
		fclose(out);
		assert_fits(text);
		for (size_t j = 0; j < all[i]->option_count; j++) {
			auto_str name = STR_MAX(80);
			str_addf(&name, "\n  --%s", all[i]->options[j].name);
			assert_non_null(strstr(text, str_text(&name)));
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_may_stand_together),
		cmocka_unit_test(test_options_are_read_anywhere),
		cmocka_unit_test(test_two_dashes_end_the_options),
		cmocka_unit_test(test_bad_options_are_refused_with_the_reason),
		cmocka_unit_test(test_sizes_have_binary_units),
		cmocka_unit_test(test_help_shows_every_option_in_80_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
