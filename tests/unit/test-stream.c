/* The two plain sources, and reading a stream whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/stream.h"

#define FILE_BYTES (700 * 1000)

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static int make_file(size_t size)
{
	char name[] = "/tmp/test-stream-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	(void)unlink(name);
	auto_free uint8_t *data = malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		data[i] = pattern(i);
	assert_int_equal(write(fd, data, size), size);
	return fd;
}

static void test_stream_memory_gives_all_then_the_end(void **state)
{
	(void)state;
	AUTO(stream) s = stream_of_memory("hello", 5);
	const void *data = NULL;
	size_t size = 0;
	assert_int_equal(stream_skip(s, 1, NULL), 0);
	assert_int_equal(stream_next(s, &data, &size, NULL), 0);
	assert_int_equal(size, 4);
	assert_memory_equal(data, "ello", 4);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stream_next(s, &data, &size, NULL), 0);
		assert_int_equal(size, 0);
	}
	assert_int_equal(stream_skip(s, 0, NULL), 0);
	assert_int_equal(stream_skip(s, 1, NULL), -EBADMSG);
	stream_free(NULL);
}

static void test_stream_file_gives_exactly_its_range(void **state)
{
	(void)state;
	AUTO(stream) s = stream_of_fd(make_file(FILE_BYTES), 1000, FILE_BYTES - 3000);
	auto_free char *all = NULL;
	size_t size = 0;
	assert_int_equal(stream_skip(s, 500, NULL), 0);
	assert_int_equal(stream_read_all(s, FILE_BYTES, &all, &size, NULL), 0);
	assert_int_equal(size, FILE_BYTES - 3500);
	for (size_t i = 0; i < size; i++)
		assert_int_equal((uint8_t)all[i], pattern(i + 1500));
	assert_int_equal(all[size], 0);
}

static void test_stream_file_that_ends_early_is_corrupt(void **state)
{
	(void)state;
	AUTO(stream) s = stream_of_fd(make_file(10), 0, 11);
	auto_free char *all = NULL;
	size_t size = 77;
	struct err err = { 0 };
	assert_int_equal(stream_read_all(s, 100, &all, &size, &err), -EBADMSG);
	assert_string_equal(err_text(&err), "file ends 1 bytes early");
	assert_null(all);
	assert_int_equal(size, 77);
	assert_int_equal(stream_skip(s, 2, NULL), -EBADMSG);
}

static void test_stream_read_all_keeps_its_limit(void **state)
{
	(void)state;
	static const struct {
		size_t size, max;
		int result;
	} cases[] = { { 5, 5, 0 }, { 5, 4, -E2BIG }, { 0, 0, 0 }, { 1, 0, -E2BIG } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(stream) s = stream_of_memory("hello", cases[i].size);
		auto_free char *all = NULL;
		size_t size = 0;
		assert_int_equal(stream_read_all(s, cases[i].max, &all, &size, NULL),
				 cases[i].result);
		assert_int_equal(size, cases[i].result ? 0 : cases[i].size);
	}
	AUTO(stream) none = stream_of_memory(NULL, 0);
	auto_free char *all = NULL;
	size_t size = 1;
	assert_int_equal(stream_read_all(none, 10, &all, &size, NULL), 0);
	assert_string_equal(all, "");
}

static void no_free(struct stream *stream)
{
	(void)stream;
}

static void test_stream_without_skip_says_so(void **state)
{
	(void)state;
	static const struct stream_ops ops = { .free = no_free };
	struct stream s = { &ops };
	assert_int_equal(stream_skip(&s, 3, NULL), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream_memory_gives_all_then_the_end),
		cmocka_unit_test(test_stream_file_gives_exactly_its_range),
		cmocka_unit_test(test_stream_file_that_ends_early_is_corrupt),
		cmocka_unit_test(test_stream_read_all_keeps_its_limit),
		cmocka_unit_test(test_stream_without_skip_says_so),
	};
	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
