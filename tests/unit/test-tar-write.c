/* The tar writer: what it writes reads back, byte for byte the same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "codec/tar-write.h"
#include "codec/tar.h"

static int temporary(void)
{
	char name[] = "/tmp/test-tar-write-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	(void)unlink(name);
	return fd;
}

static uint64_t size_of(int fd)
{
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

/* A name of LENGTH bytes with a slash every EVERY. */
static void make_name(struct str *out, size_t length, size_t every)
{
	str_reset(out);
	while (out->length < length) {
		bool slash = (out->length + 1) % every == 0 && out->length + 1 < length;
		str_addc(out, slash ? '/' : (char)('a' + out->length % 26));
	}
}

static const size_t LENGTHS[] = { 1, 99, 100, 101, 155, 156, 200, 255, 256, 257, 300, 4096 };
static const size_t EVERY[] = { 2, 51, 101, 120, 156, 250 };

static void write_names(int fd)
{
	auto_str name = STR_MAX(5000);
	AUTO(tar_writer) writer = tar_writer_new(fd);
	for (size_t i = 0; i < N_ELEMENTS(LENGTHS); i++)
		for (size_t k = 0; k < N_ELEMENTS(EVERY); k++) {
			make_name(&name, LENGTHS[i], EVERY[k]);
			assert_int_equal(tar_writer_file(writer, name.data, 0755, i, NULL), 0);
			assert_int_equal(tar_writer_data(writer, "0123456789abcdef", i / 2, NULL),
					 0);
			assert_int_equal(
				tar_writer_data(writer, "fedcba9876543210", i - i / 2, NULL), 0);
		}
	assert_int_equal(tar_writer_finish(writer, NULL), 0);
}

static void test_tar_writer_names_of_any_length_read_back(void **state)
{
	(void)state;
	auto_str name = STR_MAX(5000);
	int fd = temporary();
	write_names(fd);
	assert_int_equal(size_of(fd) % 512, 0);
	AUTO(stream) s = stream_of_fd(fd, 0, size_of(fd));
	AUTO(tar) tar = tar_new(s);
	const struct tar_entry *e = NULL;
	for (size_t i = 0; i < N_ELEMENTS(LENGTHS); i++)
		for (size_t k = 0; k < N_ELEMENTS(EVERY); k++) {
			make_name(&name, LENGTHS[i], EVERY[k]);
			int r = tar_next(tar, &e, NULL);
			if (EVERY[k] > 255 || (LENGTHS[i] > 255 && EVERY[k] > 256))
				continue;
			assert_int_equal(r, 1);
			assert_string_equal(e->path, name.data);
			assert_int_equal(e->type, TAR_FILE);
			assert_int_equal(e->size, i);
			assert_int_equal(e->mode, 0755);
			assert_int_equal(e->uid + e->gid + e->mtime_ns, 0);
			assert_int_equal(e->mtime_s, 0);
		}
	assert_int_equal(tar_next(tar, &e, NULL), 0);
	assert_false(tar_has_trailing_data(tar));
}

static void test_tar_writer_gives_the_same_bytes_each_time(void **state)
{
	(void)state;
	char *bytes[2] = { NULL, NULL };
	size_t sizes[2] = { 0, 0 };
	for (int i = 0; i < 2; i++) {
		int fd = temporary();
		write_names(fd);
		AUTO(stream) s = stream_of_fd(fd, 0, size_of(fd));
		assert_int_equal(stream_read_all(s, 1u << 24, &bytes[i], &sizes[i], NULL), 0);
	}
	assert_int_equal(sizes[0], sizes[1]);
	assert_memory_equal(bytes[0], bytes[1], sizes[0]);
	free(bytes[0]);
	free(bytes[1]);
}

static void test_tar_writer_large_files_have_a_pax_size(void **state)
{
	static const struct {
		uint64_t size;
		uint64_t headers; /* bytes in front of the data */
	} cases[] = { { 077777777777, 512 }, { 0100000000000, 1536 }, { TAR_SIZE_MAX, 1536 } };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int fd = temporary();
		AUTO(tar_writer) writer = tar_writer_new(fd);
		assert_int_equal(tar_writer_file(writer, "big", 0644, cases[i].size, NULL), 0);
		assert_int_equal(tar_writer_finish(writer, NULL),
				 -EINVAL); /* its data are missing */
		AUTO(stream) s = stream_of_fd(fd, 0, size_of(fd));
		AUTO(tar) tar = tar_new(s);
		const struct tar_entry *e = NULL;
		assert_int_equal(tar_next(tar, &e, NULL), 1);
		assert_true(e->size == cases[i].size);
		assert_int_equal(e->data_offset, cases[i].headers);
	}
}

static void test_tar_writer_refuses_what_does_not_fit(void **state)
{
	(void)state;
	auto_str name = STR_MAX(5000);
	auto_close int fd = temporary();
	AUTO(tar_writer) writer = tar_writer_new(fd);
	make_name(&name, 4097, 50);
	assert_int_equal(tar_writer_file(writer, name.data, 0644, 1, NULL), -EINVAL);
	assert_int_equal(tar_writer_file(writer, "", 0644, 1, NULL), -EINVAL);
	assert_int_equal(tar_writer_file(writer, "f", 0644, TAR_SIZE_MAX + 1, NULL), -EINVAL);
	assert_int_equal(size_of(fd), 0);
	assert_int_equal(tar_writer_data(writer, "x", 1, NULL), -EINVAL);
	assert_int_equal(tar_writer_file(writer, "f", 0644, 2, NULL), 0);
	assert_int_equal(tar_writer_data(writer, "xyz", 3, NULL), -EINVAL);
	assert_int_equal(tar_writer_data(writer, "x", 1, NULL), 0);
	assert_int_equal(tar_writer_file(writer, "g", 0644, 2, NULL), -EINVAL);
	assert_int_equal(tar_writer_data(writer, "y", 1, NULL), 0);
	assert_int_equal(tar_writer_finish(writer, NULL), 0);
	assert_int_equal(size_of(fd), 512 + 512 + 1024);
}

static void test_tar_writer_says_when_it_cannot_write(void **state)
{
	(void)state;
	AUTO(tar_writer) writer = tar_writer_new(-1);
	struct err err = { 0 };
	assert_int_equal(tar_writer_file(writer, "f", 0644, 1, &err), -EBADF);
	assert_non_null(strstr(err_text(&err), "'f'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tar_writer_names_of_any_length_read_back),
		cmocka_unit_test(test_tar_writer_gives_the_same_bytes_each_time),
		cmocka_unit_test(test_tar_writer_large_files_have_a_pax_size),
		cmocka_unit_test(test_tar_writer_refuses_what_does_not_fit),
		cmocka_unit_test(test_tar_writer_says_when_it_cannot_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
