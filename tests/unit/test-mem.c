/* Memory helpers, the cursor over untrusted bytes, and UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/utf8.h"

static void test_mem_try_refuses_products_that_overflow(void **state)
{
	(void)state;
	void *out = NULL;
	assert_int_equal(mem_try(&out, SIZE_MAX / 2, 3, NULL), -E2BIG);
	assert_int_equal(mem_try(&out, SIZE_MAX / 4, 2, NULL), -ENOMEM);
	assert_null(out);
	assert_int_equal(mem_try(&out, 4, 4, NULL), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(((char *)out)[i], 0);
	free(out);
}

static void test_mem_grow_doubles_and_keeps_the_content(void **state)
{
	(void)state;
	int *array = NULL;
	size_t capacity = 0;
	for (size_t i = 0; i < 1000; i++) {
		array = mem_grow(array, &capacity, i, sizeof(*array));
		array[i] = (int)i;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(array[i], i);
	assert_int_equal(capacity, 1024);
	free(array);
}

static void test_mem_take_leaves_nothing_behind(void **state)
{
	(void)state;
	char *text = mem_strdup("abc");
	auto_free char *taken = TAKE(text);
	assert_null(text);
	assert_string_equal(taken, "abc");
	assert_null(mem_strdup(NULL));
	auto_free char *part = mem_strndup("abcdef", 2);
	assert_string_equal(part, "ab");
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int kept = TAKE_FD(fd);
	assert_int_equal(fd, -1);
	errno = 42;
	mem_close_fd(&kept);
	assert_int_equal(errno, 42);
	assert_int_equal(fcntl(kept, F_GETFD), -1);
	mem_close_fd(&fd);
}

static void test_cursor_never_passes_the_end(void **state)
{
	(void)state;
	static const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct cursor c = cursor_of(data, sizeof(data));
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_le16(&c), 0x0302);
	assert_int_equal(cursor_le32(&c), 0x07060504);
	assert_true(cursor_le64(&c) == 0x0f0e0d0c0b0a0908ull);
	assert_false(c.bad);
	assert_int_equal(c.left, 1);
	assert_int_equal(cursor_le16(&c), 0);
	assert_true(c.bad);
	assert_int_equal(c.left, 1);
	assert_int_equal(cursor_u8(&c), 0);
	assert_null(cursor_take(&c, 0));
	struct cursor none = cursor_of(NULL, 0);
	assert_null(cursor_take(&none, 0));
	assert_false(none.bad);
}

static void test_utf8_encode_and_decode_agree(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x110000; c++) {
		char bytes[4];
		uint32_t back = 0;
		bool valid = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		size_t n = utf8_encode(bytes, c);
		assert_int_equal(utf8_decode(bytes, n, &back), valid ? n : 0);
		assert_int_equal(back, valid ? c : 0);
		assert_int_equal(utf8_decode(bytes, n - 1, &back), 0);
	}
}

static void test_utf8_cut_stays_between_characters(void **state)
{
	(void)state;
	const char *text = "a\xc3\xa9\xf0\x9f\x90\xa7z";
	static const size_t expected[] = { 0, 1, 1, 3, 3, 3, 3, 7, 8 };
	for (size_t at = 0; at < N_ELEMENTS(expected); at++)
		assert_int_equal(utf8_cut(text, at), expected[at]);
	/* no UTF-8 at all: cut where asked */
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80", 5), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mem_try_refuses_products_that_overflow),
		cmocka_unit_test(test_mem_grow_doubles_and_keeps_the_content),
		cmocka_unit_test(test_mem_take_leaves_nothing_behind),
		cmocka_unit_test(test_cursor_never_passes_the_end),
		cmocka_unit_test(test_utf8_encode_and_decode_agree),
		cmocka_unit_test(test_utf8_cut_stays_between_characters),
	};
	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
