/* What a program will need, read from files that may say anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"
#include "elf-build.h"
#include "image/elf.h"

static int read_bytes(struct elf *out, const void *bytes, size_t size)
{
	AUTO(input) input = input_of_memory(bytes, size);
	return elf_read(out, input, NULL);
}

static void test_a_library_says_what_it_needs(void **state)
{
	(void)state;
	const struct elf_build b = elf_build();
	struct elf elf;
	assert_int_equal(read_bytes(&elf, b.bytes, sizeof(b.bytes)), 0);
	assert_int_equal(elf.needed_count, 2);
	assert_string_equal(elf.needed[0], "libfirst.so.1");
	assert_string_equal(elf.needed[1], "./second.so");
	assert_string_equal(elf.run_path, "/opt/lib:/srv");
	assert_string_equal(elf.interpreter, "/lib/ld-test.so.2");
	/* what is written to, and all before the code */
	assert_int_equal(elf.range_count, 2);
	assert_int_equal(elf.ranges[0].offset, ELF_BUILD_DYNAMIC);
	assert_int_equal(elf.ranges[0].size, 200);
	assert_int_equal(elf.ranges[1].offset, 0);
	assert_int_equal(elf.ranges[1].size, 448);
	elf_release(&elf);
}

static void test_what_this_program_needs(void **state)
{
	(void)state;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	AUTO(input) input = input_of_fd(fd, 0, (uint64_t)st.st_size);
	struct elf elf;
	bool found = false;
	assert_int_equal(elf_read(&elf, input, NULL), 0);
	for (size_t i = 0; i < elf.needed_count; i++)
		found = found || str_starts(elf.needed[i], "libcmocka.so");
	assert_true(found);
	assert_non_null(elf.interpreter);
	elf_release(&elf);
}

/* Cut off or changed anywhere: an error or an answer, whose ranges are inside. */
static void test_broken_files_are_borne(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELF_BUILD_BYTES; i++) {
		for (unsigned value = 0; value < 256; value += 51) {
			struct elf_build b = elf_build();
			struct elf elf = { 0 };
			b.bytes[i] = (unsigned char)value;
			if (read_bytes(&elf, b.bytes, sizeof(b.bytes)) < 0)
				continue;
			for (size_t j = 0; j < elf.range_count; j++)
				assert_true(elf.ranges[j].size > 0 &&
					    elf.ranges[j].offset + elf.ranges[j].size <=
						    sizeof(b.bytes));
			elf_release(&elf);
		}
		const struct elf_build b = elf_build();
		auto_free void *cut = mem_copy(b.bytes, i);
		struct elf elf = { 0 };
		if (read_bytes(&elf, cut, i) == 0)
			elf_release(&elf);
	}
	assert_int_equal(read_bytes(&(struct elf){ 0 }, "#!/bin/sh\n", 10), -EBADMSG);
}

static void add_le32(struct str *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		str_addc(out, (char)(value >> 8 * i));
}

static void test_ld_so_cache(void **state)
{
	(void)state;
	auto_str cache = STR_MAX(4096);
	static const char texts[] = "liba.so.1\0/lib32/liba.so.1\0/lib/liba.so.1";
	const uint32_t base = 48 + 2 * 24;
	str_add(&cache, "glibc-ld.so.cache1.1");
	add_le32(&cache, 2);
	for (int i = 0; i < 6; i++)
		add_le32(&cache, 0);
	const uint32_t values[] = { base + 10, base + 27 };
	for (int i = 0; i < 2; i++) {
		add_le32(&cache, 1);
		add_le32(&cache, base);
		add_le32(&cache, values[i]);
		for (int j = 0; j < 3; j++)
			add_le32(&cache, 0);
	}
	str_addn(&cache, texts, sizeof(texts));
	char out[64];
	size_t size = cache.length;
	assert_true(elf_cached_library(cache.data, size, "liba.so.1", 0, out, sizeof(out)));
	assert_string_equal(out, "/lib32/liba.so.1");
	assert_true(elf_cached_library(cache.data, size, "liba.so.1", 1, out, sizeof(out)));
	assert_string_equal(out, "/lib/liba.so.1");
	assert_false(elf_cached_library(cache.data, size, "liba.so.1", 2, out, sizeof(out)));
	assert_false(elf_cached_library(cache.data, size, "libb.so.1", 0, out, sizeof(out)));
	assert_false(elf_cached_library(cache.data, size, "liba.so.1", 0, out, 4));
	for (size_t i = 0; i < size; i++) {
		auto_free void *cut = mem_copy(cache.data, i);
		(void)elf_cached_library(cut, i, "liba.so.1", 1, out, sizeof(out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_library_says_what_it_needs),
		cmocka_unit_test(test_what_this_program_needs),
		cmocka_unit_test(test_broken_files_are_borne),
		cmocka_unit_test(test_ld_so_cache),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
