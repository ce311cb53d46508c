/* The tar reader: types, names, numbers, the end of the archive, and bad headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "codec/tar-header.h"
#include "tests/unit/corpus.h"
#include "tests/unit/tar-read.h"

static void test_tar_reads_each_type(void **state)
{
	static const struct raw entries[] = {
		{ .name = "d/",
		  .type = '5',
		  .mode = "0001777",
		  .uid = "0000010",
		  .gid = "0000011" },
		{ .name = "d/s", .type = '2', .link = "../x", .mode = "777 " },
		{ .name = "d/h", .type = '1', .link = "d/f", .mtime = "00000000012" },
		{ .name = "c", .type = '3', .dev_major = "0000001", .dev_minor = "0000005" },
		{ .name = "b", .type = '4', .dev_major = "0000010", .dev_minor = "       " },
		{ .name = "p", .type = '6', .mode = "0170644" },
		{ .name = "old", .nul_type = true },
		{ .name = "contiguous", .type = '7' },
		{ .name = "olddir/", .nul_type = true, .data_size = 700 },
		{ .name = "dir0/" },
	};
	(void)state;
	ARCHIVE(a);
	add_file(&a, "d/f", "hello");
	for (size_t i = 0; i < N_ELEMENTS(entries); i++)
		add_raw(&a, &entries[i]);
	add_end(&a);
	expect(&a, "f d/f 644 0:0 0 5 hello\n"
		   "d d/ 1777 8:9 0 0\n"
		   "l d/s -> ../x 777 0:0 0 0\n"
		   "h d/h -> d/f 644 0:0 10 0\n"
		   "c c 644 0:0 0 1,5 0\n"
		   "b b 644 0:0 0 8,0 0\n"
		   "p p 644 0:0 0 0\n"
		   "f old 644 0:0 0 0\n"
		   "f contiguous 644 0:0 0 0\n"
		   "d olddir/ 644 0:0 0 0\n"
		   "d dir0/ 644 0:0 0 0\n");
}

static void test_tar_header_only_types_have_no_data(void **state)
{
	(void)state;
	ARCHIVE(a);
	for (char type = '1'; type <= '6'; type++)
		add_raw(&a, &(const struct raw){ .link = "l", .type = type, .data_size = 5000 });
	add_raw(&a, &(const struct raw){ .name = "dir/", .data_size = 600 });
	add_data(&a, "of a directory", 14); /* type 0: these are passed over */
	add_zeros(&a, 512);
	add_pax(&a, "size", "100000");
	add_raw(&a, &(const struct raw){ .name = "d", .type = '5' });
	add_file(&a, "f", "x");
	expect(&a, "h f -> l 644 0:0 0 0\nl f -> l 644 0:0 0 0\nc f 644 0:0 0 0,0 0\n"
		   "b f 644 0:0 0 0,0 0\nd f 644 0:0 0 0\np f 644 0:0 0 0\nd dir/ 644 0:0 0 0\n"
		   "d d 644 0:0 0 0\nf f 644 0:0 0 1 x\n");
}

static void test_tar_numbers_are_octal_or_base_256(void **state)
{
	(void)state;
	ARCHIVE(a);
	add_raw(&a, &(const struct raw){ .name = "a", .uid = " 17 ", .gid = "        " });
	add_raw(&a, &(const struct raw){ .name = "b",
					 .mtime = "\xff\xff\xff\xff\xff\xff\xff\xff"
						  "\xff\xff\xff\xfe" });
	expect(&a, "f a 644 15:0 0 0\nf b 644 0:0 -2 0\n");
}

static void test_tar_numbers_have_bounds(void **state)
{
	static const struct {
		const char *field;
		size_t size;
		bool good;
		int64_t value;
	} cases[] = {
		{ "00000000017\0", 12, true, 15 },
		{ "777777777777", 12, true, 0777777777777 },
		{ " \0 17\0 \0   ", 12, true, 15 },
		{ "17\0junk\0\0\0\0\0", 12, true, 15 },
		{ "\0\0\0\0\0\0\0\0\0\0\0\0", 12, true, 0 },
		{ "17 1\0\0\0\0\0\0\0\0", 12, false, 0 },
		{ "18", 2, false, 0 },
		{ "-1", 2, false, 0 },
		{ "0x1", 3, false, 0 },
		{ "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, true, INT64_MAX },
		{ "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, false, 0 },
		{ "\x80\0\0\1\0\0\0\0\0\0\0\0", 12, false, 0 },
		{ "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12, true, INT64_MIN },
		{ "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 12, false, 0 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff", 8, true, -1 },
		{ "\xbf\xff\xff\xff\xff\xff\xff\xff", 8, true, 0x3fffffffffffffff },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int64_t value = 0;
		const uint8_t *field = (const uint8_t *)cases[i].field;
		assert_int_equal(tar_header_number(&value, field, cases[i].size), cases[i].good);
		assert_true(value == cases[i].value);
	}
}

#define STAR_10 "ssssssssss"
#define STAR_131                                                                                \
	STAR_10 STAR_10 STAR_10 STAR_10 STAR_10 STAR_10 STAR_10 STAR_10 STAR_10 STAR_10 STAR_10 \
		STAR_10 STAR_10 "s"

static void test_tar_names_come_from_all_over(void **state)
{
	static const char hundred[] = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
				      "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
	(void)state;
	ARCHIVE(a);
	ARCHIVE(wanted);
	add_raw(&a, &(const struct raw){ .name = hundred, .prefix = "pre/fix" });
	add_extension(&a, 'L', "long\0junk", 10);
	add_extension(&a, 'K', "target", 6); /* no NUL at the end */
	add_raw(&a, &(const struct raw){ .type = '2', .link = "short" });
	add_extension(&a, 'L', "first", 6);
	add_extension(&a, 'L', "second", 7);
	add_raw(&a, &(const struct raw){ 0 });
	add_pax(&a, "path", "pax");
	add_raw(&a, &(const struct raw){ .prefix = "not" });
	add_pax(&a, "linkpath", "pax");
	add_raw(&a, &(const struct raw){ .type = '1', .link = "short" });
	add_pax(&a, "path", "pax");
	add_extension(&a, 'L', "gnu", 4);
	add_raw(&a, &(const struct raw){ 0 });
	add_pax(&a, "path", "");
	add_raw(&a, &(const struct raw){ .name = "kept" });
	add_raw(&a, &(const struct raw){ .name = "v7", .magic = "\0\0\0\0\0\0\0", .prefix = "no" });
	add_raw(&a, &(const struct raw){ .name = "gnu", .magic = "ustar  ", .prefix = "123" });
	add_raw(&a, &(const struct raw){ .name = "oldgo", .magic = "ustar  ", .prefix = "dir" });
	add_raw(&a,
		&(const struct raw){ .name = "v7", .magic = "\0\0\0\0\0\0\0", .dev_minor = "x" });
	char star[512 - 345];
	memset(star, 0, sizeof(star));
	memset(star, 's', 131); /* up to where atime begins, without a NUL */
	memcpy(star + 131, "00000000001 00000000002", 24);
	memcpy(star + 508 - 345, "tar", 4);
	add_raw(&a, &(const struct raw){ .name = "plain", .tail = star });
	str_addf(&wanted, "f pre/fix/%s 644 0:0 0 0\n", hundred);
	str_add(&wanted,
		"l long -> target 644 0:0 0 0\nf second 644 0:0 0 0\n"
		"f pax 644 0:0 0 0\nh f -> pax 644 0:0 0 0\nf gnu 644 0:0 0 0\n"
		"f kept 644 0:0 0 0\nf v7 644 0:0 0 0\nf gnu 644 0:0 0 0\n"
		"f dir/oldgo 644 0:0 0 0\nf v7 644 0:0 0 0\nf " STAR_131 "/plain 644 0:0 0 0\n");
	expect(&a, str_text(&wanted));
}

static void test_tar_bad_headers_are_refused(void **state)
{
	static const struct {
		struct raw raw;
		int code;
	} cases[] = {
		{ { .checksum_off = 1 }, EBADMSG },
		{ { .checksum_off = -1 }, EBADMSG },
		{ { .name = "" }, EBADMSG },
		{ { .type = '2' }, EBADMSG }, /* without a target */
		{ { .type = '1' }, EBADMSG },
		{ { .size = "9zzz" }, EBADMSG },
		{ { .size = "12 34" }, EBADMSG },
		{ { .size = "-1" }, EBADMSG },
		{ { .size = "\x80\1\1\1\1\1\1\1\1\1\1\1" }, EBADMSG },
		{ { .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" }, EBADMSG },
		{ { .size = "77777777777" }, EBADMSG }, /* more than there is */
		{ { .mode = "8" }, EBADMSG },
		{ { .uid = "\xff\xff\xff\xff\xff\xff\xff\xff" }, EBADMSG },
		{ { .mtime = "x" }, EBADMSG },
		{ { .dev_major = "x" }, EBADMSG },
		{ { .type = '3', .dev_major = "\xff\xff\xff\xff\xff\xff\xff\xff" }, EBADMSG },
		{ { .type = '5', .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
		  EBADMSG },
		{ { .type = 'D' }, EOPNOTSUPP },
		{ { .type = 'M' }, EOPNOTSUPP },
		{ { .type = 'X' }, EOPNOTSUPP },
		{ { .type = '\x1b' }, EOPNOTSUPP },
		{ { .type = 'x', .size = "10000000" }, E2BIG },
		{ { .type = 'L', .size = "10000000" }, E2BIG },
		{ { .type = 'L', .size = "77777777777" }, E2BIG },
		{ { .type = 'L' }, EBADMSG },
		{ { .type = 'x' }, EBADMSG }, /* nothing behind it */
		{ { .type = 'x', .size = "1000" }, EBADMSG },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		add_raw(&a, &cases[i].raw);
		add_end(&a);
		expect_error(&a, cases[i].code);
	}
}

static void test_tar_long_names_are_not_empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		ARCHIVE(a);
		add_extension(&a, i < 2 ? 'L' : 'K', "\0x", i % 2 * 2);
		add_file(&a, "f", "");
		expect_error(&a, EBADMSG);
	}
}

static void test_tar_volume_labels_are_passed_over(void **state)
{
	(void)state;
	ARCHIVE(a);
	add_raw(&a, &(const struct raw){ .name = "label", .type = 'V' });
	add_extension(&a, 'V', "with data", 9);
	add_file(&a, "f", "");
	expect(&a, "f f 644 0:0 0 0\n");
}

static void test_tar_checksums_may_be_of_signed_bytes(void **state)
{
	(void)state;
	ARCHIVE(a);
	add_raw(&a, &(const struct raw){ .name = "\xc3\xa9", .signed_checksum = true });
	add_raw(&a, &(const struct raw){ .name = "\xc3\xa9" });
	expect(&a, "f \xc3\xa9 644 0:0 0 0\nf \xc3\xa9 644 0:0 0 0\n");
}

static void test_tar_limits_of_names(void **state)
{
	static const struct {
		size_t component, total;
		int code;
	} cases[] = {
		{ 255, 255, 0 },      { 256, 256, E2BIG }, { 200, 4096, 0 },
		{ 200, 4097, E2BIG }, { 1, 4096, 0 },	   { 1, 200000, E2BIG },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (int link = 0; link < 2; link++) {
			ARCHIVE(a);
			ARCHIVE(name);
			while (name.length < cases[i].total)
				str_addc(&name,
					 (name.length + 1) % (cases[i].component + 1) ? 'n' : '/');
			add_extension(&a, link ? 'K' : 'L', name.data, name.length);
			add_raw(&a, &(const struct raw){ .type = '2', .link = "l" });
			/* a target is only text: its components have no limit of their own */
			int code = link && cases[i].total <= 4096 ? 0 : cases[i].code;
			auto_str got = STR_MAX(TAR_BUILD_MAX_BYTES);
			assert_int_equal(read_pieces(&got, &a, 4096, true).r, -code);
		}
}

static void test_tar_ends_where_two_zero_blocks_are(void **state)
{
	static const struct {
		size_t zeros;
		const char *behind; /* a file of this name */
		int code;
		bool trailing;
	} cases[] = {
		{ 0, NULL, 0, false },	       { 512, NULL, 0, false },
		{ 1024, NULL, 0, false },      { 1 << 20, NULL, 0, false },
		{ 1, NULL, EBADMSG, false },   { 511, NULL, EBADMSG, false },
		{ 513, NULL, EBADMSG, false }, { 512, "after", EBADMSG, false },
		{ 1024, "after", 0, true },    { 100000, "after", 0, true },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (size_t piece = 1; piece < 100000; piece = piece * 7 + 1) {
			ARCHIVE(a);
			add_file(&a, "f", "data");
			add_zeros(&a, cases[i].zeros);
			if (cases[i].behind)
				add_file(&a, cases[i].behind, "data");
			auto_str got = STR_MAX(TAR_BUILD_MAX_BYTES);
			struct reading reading = read_pieces(&got, &a, piece, false);
			assert_int_equal(reading.r, -cases[i].code);
			assert_int_equal(reading.count, 1);
			assert_int_equal(reading.trailing, cases[i].trailing);
		}
}

static void test_tar_of_nothing_is_empty(void **state)
{
	(void)state;
	ARCHIVE(a);
	str_add(&a, "");
	expect(&a, "");
}

static void test_tar_each_truncation_is_refused(void **state)
{
	(void)state;
	ARCHIVE(a);
	add_pax(&a, "path", "long name");
	size_t extension = a.length;
	add_file(&a, "f", "some data");
	size_t first = a.length;
	add_file(&a, "g", "more data");
	size_t whole = a.length;
	for (a.length = 1; a.length < whole; a.length++) {
		auto_str got = STR_MAX(TAR_BUILD_MAX_BYTES);
		int r = read_pieces(&got, &a, 1000, a.length % 2).r;
		assert_int_equal(r, a.length == first ? 0 : -EBADMSG);
	}
	a.length = extension;
	expect_error(&a, EBADMSG);
}

static int corpus_verdict(const char *name, const void *data, size_t size, void *arg)
{
	(void)arg;
	ARCHIVE(a);
	auto_str got = STR_MAX(TAR_BUILD_MAX_BYTES);
	str_addn(&a, data, size);
	int r = read_pieces(&got, &a, 1000, false).r;
	if ((r < 0) != str_starts(name, "bad-"))
		fail_msg("%s: %d", name, r);
	return 0;
}

static void test_tar_corpus_is_as_its_names_say(void **state)
{
	(void)state;
	assert_true(corpus_each("tar", corpus_verdict, NULL) >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tar_reads_each_type),
		cmocka_unit_test(test_tar_header_only_types_have_no_data),
		cmocka_unit_test(test_tar_numbers_are_octal_or_base_256),
		cmocka_unit_test(test_tar_numbers_have_bounds),
		cmocka_unit_test(test_tar_names_come_from_all_over),
		cmocka_unit_test(test_tar_bad_headers_are_refused),
		cmocka_unit_test(test_tar_long_names_are_not_empty),
		cmocka_unit_test(test_tar_volume_labels_are_passed_over),
		cmocka_unit_test(test_tar_checksums_may_be_of_signed_bytes),
		cmocka_unit_test(test_tar_limits_of_names),
		cmocka_unit_test(test_tar_ends_where_two_zero_blocks_are),
		cmocka_unit_test(test_tar_of_nothing_is_empty),
		cmocka_unit_test(test_tar_each_truncation_is_refused),
		cmocka_unit_test(test_tar_corpus_is_as_its_names_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
