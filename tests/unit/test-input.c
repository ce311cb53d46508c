/* Inputs of memory and of files: exact reads, and no byte beyond the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/input.h"

static void check(struct input *input)
{
	char buf[4];
	assert_int_equal(input->size, 6);
	assert_int_equal(input_read(input, buf, 4, 2, NULL), 0);
	assert_memory_equal(buf, "cdef", 4);
	assert_int_equal(input_read(input, buf, 0, 6, NULL), 0);
	static const struct {
		size_t size;
		uint64_t offset;
	} bad[] = { { 1, 6 }, { 4, 3 }, { 0, 7 }, { 4, UINT64_MAX - 1 } };
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(input_read(input, buf, bad[i].size, bad[i].offset, NULL),
				 -EBADMSG);
	input_free(input);
}

static void test_memory_and_file_read_alike(void **state)
{
	(void)state;
	check(input_of_memory("abcdef", 6));
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, "..abcdef..", 10, NULL), 0);
	check(input_of_fd(fd, 2, 6));
}

static void test_a_file_that_shrank_is_no_success(void **state)
{
	(void)state;
	char buf[6];
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(io_write_all(fd, "abc", 3, NULL), 0);
	AUTO(input) input = input_of_fd(fd, 0, 6);
	assert_int_equal(input_read(input, buf, 6, 0, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_and_file_read_alike),
		cmocka_unit_test(test_a_file_that_shrank_is_no_success),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
