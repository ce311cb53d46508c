/* The printer: names that hide nothing, sizes as ls shows them, names in JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/print.h"

static void test_print_human_rounds_up_as_ls_does(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1023, "1023" },
		{ 1024, "1.0K" },
		{ 1025, "1.1K" },
		{ 10138, "10K" }, /* 9.9004 */
		{ 10137, "9.9K" },
		{ 10240, "10K" },
		{ 10241, "11K" },
		{ 1024 * 1023, "1023K" },
		{ 1024 * 1024 - 1, "1.0M" },
		{ 1024 * 1024, "1.0M" },
		{ 5ull << 30, "5.0G" },
		{ UINT64_MAX, "16E" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_string_equal(print_human(cases[i].bytes).text, cases[i].text);
}

static void test_print_json_name_keeps_the_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *name, *json;
	} cases[] = {
		{ "etc/passwd", "\"n\":\"etc/passwd\"" },
		{ "a\"b\\c", "\"n\":\"a\\\"b\\\\c\"" },
		{ "a\nb\x1b", "\"n\":\"a\\u000ab\\u001b\"" },
		{ "\xc3\xa4", "\"n\":\"\xc3\xa4\"" },
		{ "\xe2\x80\xae", "\"n\":\"\\u202e\"" },
		{ "\xf3\xa0\x80\x81", "\"n\":\"\\udb40\\udc01\"" },
		{ "a\xff", "\"n\":\"a\\ufffd\",\"n_base64\":\"Yf8=\"" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str out = STR_MAX(256);
		print_json_name(&out, "n", cases[i].name);
		assert_string_equal(str_text(&out), cases[i].json);
	}
}

static void test_print_width_is_that_of_what_is_shown(void **state)
{
	(void)state;
	assert_int_equal(print_width("abc"), 3);
	assert_int_equal(print_width("a\nb"), 6);
	assert_int_equal(print_width("\xc3\xa4"), 1);
	assert_int_equal(print_width("a\xcc\x88"), 1);
	assert_int_equal(print_width("\xe6\xbc\xa2"), 2);
	assert_int_equal(print_width("\xff"), 4);
}

/* What lands on descriptor 1 while WRITE runs. */
static char *captured(void (*write_it)(struct print *print), bool raw, size_t *size)
{
	char name[] = "/tmp/test-print-XXXXXX";
	auto_close int fd = mkostemp(name, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	auto_close int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	struct print *print = print_new(raw);
	write_it(print);
	int r = print_finish(print, NULL);
	print_free(print);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	assert_int_equal(r, 0);
	char *text = NULL;
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(io_read_all(fd, 1 << 20, &text, size, NULL), 0);
	return text;
}

static void write_names(struct print *print)
{
	print_name(print, "plain");
	print_end(print);
	print_name(print, "a\nb\x1b[2J\xff\\");
	print_end(print);
}

static void test_print_name_escapes_unless_raw(void **state)
{
	(void)state;
	fflush(stdout);
	size_t size;
	auto_free char *shown = captured(write_names, false, &size);
	assert_string_equal(shown, "plain\na\\x0ab\\x1b[2J\\xff\\\\\n");
	auto_free char *raw = captured(write_names, true, &size);
	static const char wanted[] = "plain\0a\nb\x1b[2J\xff\\";
	assert_int_equal(size, sizeof(wanted));
	assert_memory_equal(raw, wanted, size);
}

static void test_print_says_why_a_write_failed(void **state)
{
	(void)state;
	fflush(stdout);
	auto_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	auto_close int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(dup2(full, STDOUT_FILENO) >= 0);
	AUTO(print) print = print_new(false);
	struct err err = { 0 };
	print_name(print, "x");
	int before = print_check(print, &err);
	int r = print_finish(print, &err);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	assert_int_equal(before, 0);
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(err_text(&err), "standard output"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print_human_rounds_up_as_ls_does),
		cmocka_unit_test(test_print_json_name_keeps_the_bytes),
		cmocka_unit_test(test_print_width_is_that_of_what_is_shown),
		cmocka_unit_test(test_print_name_escapes_unless_raw),
		cmocka_unit_test(test_print_says_why_a_write_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
