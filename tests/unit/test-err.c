/* Error values: what ends up in the text, what is cut, which exit status a code gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static void test_err_set_fills_code_and_text(void **state)
{
	(void)state;
	struct err err = { 0 };
	assert_int_equal(err_set(&err, EBADMSG, "layer %d", 3), -EBADMSG);
	assert_int_equal(err.code, -EBADMSG);
	assert_string_equal(err_text(&err), "layer 3");
}

static void test_err_sys_appends_the_reason(void **state)
{
	(void)state;
	struct err err = { 0 };
	errno = ENOENT;
	assert_int_equal(err_sys(&err, "open '%s'", "a"), -ENOENT);
	assert_string_equal(err_text(&err), "open 'a': No such file or directory");
	errno = 0;
	assert_int_equal(err_sys(&err, "x"), -EIO);
	assert_int_equal(err_errno(&err, ENOSPC, "write"), -ENOSPC);
	assert_string_equal(err_text(&err), "write: No space left on device");
}

static void test_err_wrap_puts_context_in_front(void **state)
{
	(void)state;
	struct err err = { 0 };
	int r = err_set(&err, E2BIG, "too much");
	assert_int_equal(err_wrap(&err, r, "read '%s'", "f"), -E2BIG);
	assert_int_equal(err_wrap(&err, r, "fetch"), -E2BIG);
	assert_string_equal(err_text(&err), "fetch: read 'f': too much");
}

static void test_err_null_keeps_only_the_code(void **state)
{
	(void)state;
	errno = EACCES;
	assert_int_equal(err_sys(NULL, "x"), -EACCES);
	assert_int_equal(err_set(NULL, EINVAL, "x"), -EINVAL);
	assert_int_equal(err_wrap(NULL, -EIO, "x"), -EIO);
	assert_string_equal(err_text(NULL), "unknown error");
	struct err none = { 0 };
	assert_string_equal(err_text(&none), "unknown error");
}

static void test_err_long_text_is_cut_with_dots(void **state)
{
	(void)state;
	char big[3 * ERR_TEXT_MAX_BYTES];
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	struct err err = { 0 };
	(void)err_set(&err, EIO, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX_BYTES - 1);
	assert_true(strcmp(err.text + ERR_TEXT_MAX_BYTES - 4, "...") == 0);
	(void)err_wrap(&err, -EIO, "read '%s'", "name");
	assert_true(strncmp(err.text, "read 'name': xxx", 16) == 0);
	assert_true(strcmp(err.text + ERR_TEXT_MAX_BYTES - 4, "...") == 0);
	errno = EIO;
	(void)err_sys(&err, "%s", big);
	assert_true(strcmp(err.text + ERR_TEXT_MAX_BYTES - 4, "...") == 0);
}

static void test_err_cut_keeps_characters_whole(void **state)
{
	(void)state;
	char big[2 * ERR_TEXT_MAX_BYTES + 1];
	for (size_t shift = 0; shift < 2; shift++) {
		memset(big, 'x', shift);
		for (size_t i = shift; i + 1 < sizeof(big); i += 2)
			memcpy(big + i, "\xc3\xa9", 2);
		big[sizeof(big) - 1] = '\0';
		struct err err = { 0 };
		(void)err_set(&err, EIO, "%s", big);
		size_t dots = (size_t)(strstr(err.text, "...") - err.text);
		assert_int_equal((dots - shift) % 2, 0);
		assert_true(dots >= ERR_TEXT_MAX_BYTES - 5);
	}
}

static void test_err_exit_status_follows_the_table(void **state)
{
	(void)state;
	static const struct {
		int code, status;
	} cases[] = {
		{ 0, 0 },	  { EINVAL, 2 }, { ENOENT, 3 },	    { EACCES, 4 },
		{ EPERM, 4 },	  { EAGAIN, 5 }, { ETIMEDOUT, 5 },  { EPROTO, 5 },
		{ EBADMSG, 6 },	  { E2BIG, 6 },	 { EOPNOTSUPP, 7 }, { ENOSPC, 1 },
		{ ECANCELED, 1 }, { EIO, 1 },	 { ENOMEM, 1 },	    { EXDEV, 1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(err_exit_status(-cases[i].code), cases[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_set_fills_code_and_text),
		cmocka_unit_test(test_err_sys_appends_the_reason),
		cmocka_unit_test(test_err_wrap_puts_context_in_front),
		cmocka_unit_test(test_err_null_keeps_only_the_code),
		cmocka_unit_test(test_err_long_text_is_cut_with_dots),
		cmocka_unit_test(test_err_cut_keeps_characters_whole),
		cmocka_unit_test(test_err_exit_status_follows_the_table),
	};
	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
