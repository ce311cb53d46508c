/* PAX headers: what their records mean, and which are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/tar-read.h"

#define NAME_50 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define LONG_NAME "user." NAME_50 NAME_50 NAME_50 NAME_50 NAME_50 /* 255 bytes */

static void test_tar_pax_ids_fit_32_bits_and_are_not_minus_one(void **state)
{
	static const struct {
		const char *uid;
		const char *line; /* NULL: refused */
	} cases[] = {
		{ "0", "f f 644 0:0 0 0\n" },
		{ "4294967294", "f f 644 4294967294:0 0 0\n" },
		{ "4294967295", NULL },
		{ "4294967296", NULL },
		{ "18446744073709551616", NULL },
		{ "-1", NULL },
		{ "+1", NULL },
		{ "1x", NULL },
		{ " 1", NULL },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		add_pax(&a, "uid", cases[i].uid);
		add_raw(&a, &(const struct raw){ 0 });
		if (cases[i].line)
			expect(&a, cases[i].line);
		else
			expect_error(&a, EBADMSG);
	}
}

static void test_tar_pax_times_count_nanoseconds_forward(void **state)
{
	static const struct {
		const char *value, *shown; /* NULL: refused */
	} cases[] = {
		{ "0", "0" },
		{ "1", "1" },
		{ "1.", "1" },
		{ "1.5", "1.500000000" },
		{ "-1.5", "-2.500000000" },
		{ "-0.000000001", "-1.999999999" },
		{ "-1", "-1" },
		{ "-1.0", "-1" },
		{ "1.1234567899", "1.123456789" },
		{ "32503680000.000000001", "32503680000.000000001" },
		{ "9223372036854775806", "9223372036854775806" },
		{ "9223372036854775808", NULL },
		{ "", "7" }, /* an empty value leaves the header's */
		{ "-", NULL },
		{ ".5", NULL },
		{ "1e9", NULL },
		{ "NaN", NULL },
		{ "1.5.5", NULL },
		{ "--1", NULL },
		{ "1.-5", NULL },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		ARCHIVE(wanted);
		add_pax(&a, "mtime", cases[i].value);
		add_raw(&a, &(const struct raw){ .mtime = "7" });
		if (!cases[i].shown) {
			expect_error(&a, EBADMSG);
			continue;
		}
		str_addf(&wanted, "f f 644 0:0 %s 0\n", cases[i].shown);
		expect(&a, str_text(&wanted));
	}
}

static void test_tar_pax_size_is_of_the_file_alone(void **state)
{
	(void)state;
	ARCHIVE(a);
	add_pax(&a, "size", "600");
	add_extension(&a, 'L', "name", 5); /* its own 5 bytes */
	add_raw(&a, &(const struct raw){ .size = "00000000001" });
	for (int i = 0; i < 600; i++)
		str_addc(&a, 'd');
	add_zeros(&a, 1024 - 600);
	add_file(&a, "g", "of one byte: no");
	ARCHIVE(wanted);
	str_add(&wanted, "f name 644 0:0 0 600 ");
	for (int i = 0; i < 600; i++)
		str_addc(&wanted, 'd');
	str_add(&wanted, "\nf g 644 0:0 0 15 of one byte: no\n");
	expect(&a, str_text(&wanted));
}

static void test_tar_pax_impossible_sizes_are_refused(void **state)
{
	static const char *const sizes[] = { "9007199254740993", "9223372036854775807",
					     "18446744073709551615" };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		ARCHIVE(a);
		auto_str got = STR_MAX(1000);
		add_pax(&a, "size", sizes[i]);
		add_raw(&a, &(const struct raw){ 0 });
		struct reading reading = read_pieces(&got, &a, 1000, false);
		assert_int_equal(reading.r, -EBADMSG);
		assert_int_equal(reading.count, 0); /* not only when its data are missing */
	}
}

static void test_tar_pax_global_headers_are_checked_and_ignored(void **state)
{
	(void)state;
	ARCHIVE(a);
	ARCHIVE(records);
	add_record(&records, "path", "evil", 4);
	add_record(&records, "size", "99999", 5);
	add_record(&records, "comment", "of git", 6);
	add_extension(&a, 'g', records.data, records.length);
	add_pax(&a, "mtime", "5");
	add_extension(&a, 'g', records.data, records.length); /* x still holds behind it */
	add_file(&a, "f", "x");
	expect(&a, "f f 644 0:0 5 1 x\n");
	str_reset(&a);
	add_extension(&a, 'g', "9 path\n", 7);
	add_file(&a, "f", "x");
	expect_error(&a, EBADMSG);
}

static void test_tar_pax_xattrs_in_both_encodings(void **state)
{
	static const struct {
		const char *key, *value;
	} records[] = {
		{ "SCHILY.xattr.user.b", "one" },
		{ "SCHILY.xattr.user.a", "raw=\n value" },
		{ "SCHILY.xattr.user.b", "two" }, /* the last one counts */
		{ "SCHILY.xattr.user.empty", "" },
		{ "LIBARCHIVE.xattr.user.%61%3Db", "aGVsbG8" },
		{ "LIBARCHIVE.xattr.user.pad", "aGVsbG8=" },
		{ "LIBARCHIVE.xattr.user.b", "dGhyZWU" },
		{ "SCHILY.xattr.", "nameless" },
		{ "SCHILY.acl.access", "ignored" },
		{ "unknown", "ignored" },
	};
	(void)state;
	ARCHIVE(a);
	ARCHIVE(x);
	for (size_t i = 0; i < N_ELEMENTS(records); i++)
		add_record(&x, records[i].key, records[i].value, strlen(records[i].value));
	add_extension(&a, 'x', x.data, x.length);
	add_file(&a, "f", "");
	add_file(&a, "g", "");
	expect(&a, "f f 644 0:0 0 user.a=raw=\n value user.a=b=hello user.b=three user.empty= "
		   "user.pad=hello 0\nf g 644 0:0 0 0\n");
}

static void test_tar_pax_bad_xattrs_are_refused(void **state)
{
	static const struct {
		const char *key;
		size_t value_bytes; /* of A */
		int code;
	} cases[] = {
		{ "SCHILY.xattr.user.a", 100000, 0 },
		{ "LIBARCHIVE.xattr.user.a", 4, 0 },
		{ "LIBARCHIVE.xattr.user.a", 5, EBADMSG },
		{ "LIBARCHIVE.xattr.user.%6", 4, EBADMSG },
		{ "LIBARCHIVE.xattr.user.%00", 4, EBADMSG },
		{ "LIBARCHIVE.xattr.user.%zz", 4, EBADMSG },
		{ "SCHILY.xattr." LONG_NAME, 1, 0 },
		{ "SCHILY.xattr." LONG_NAME "n", 1, E2BIG },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		ARCHIVE(x);
		ARCHIVE(value);
		while (value.length < cases[i].value_bytes)
			str_addc(&value, 'A');
		add_record(&x, cases[i].key, value.data, value.length);
		add_extension(&a, 'x', x.data, x.length);
		add_file(&a, "f", "");
		auto_str got = STR_MAX(TAR_BUILD_MAX_BYTES);
		assert_int_equal(read_pieces(&got, &a, 1000, true).r, -cases[i].code);
	}
}

static void test_tar_pax_base64_has_an_alphabet(void **state)
{
	static const char *const values[] = { "QUJ!", "QU J", "QUI=QUI=", "====", "QUJD\n" };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		ARCHIVE(a);
		add_pax(&a, "LIBARCHIVE.xattr.user.a", values[i]);
		add_file(&a, "f", "");
		expect_error(&a, EBADMSG);
	}
}

static void test_tar_pax_bad_records_are_refused(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} cases[] = {
#define CASE(text) { text, sizeof(text) - 1 }
		CASE("path=x\n"),
		CASE(" 9 path=x\n"),
		CASE("8path=x\n"),
		CASE("-9 path=x\n"),
		CASE("+9 path=x\n"),
		CASE("0x9 path=x\n"),
		CASE("9"),
		CASE("9 "),
		CASE("2 "),
		CASE("3 \n"),
		CASE("4 =\n"),
		CASE("6 =xy\n"),
		CASE("9 pathxx\n"),
		CASE("9 path=xy"),
		CASE("9 path=x"),
		CASE("8 path=xy\n"),
		CASE("12 path=xy\n"),
		CASE("1000 path=x\n"),
		CASE("99999999999999999999999999999 path=x\n"),
		CASE("18446744073709551616 path=x\n"),
		CASE("9 path=x\n9"),
		CASE("9 path=x\n\0\0\0"),
		CASE("12 path=x\0y\n"),
		CASE("15 linkpath=\0y\n"),
		CASE("11 pa\0th=x\n"),
		CASE("11 size=-1\n"),
		CASE("12 size=1.5\n"),
		CASE("25 size=9007199254740993\n"),
#undef CASE
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		add_extension(&a, 'x', cases[i].text, cases[i].size);
		add_file(&a, "f", "");
		add_end(&a);
		expect_error(&a, EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tar_pax_ids_fit_32_bits_and_are_not_minus_one),
		cmocka_unit_test(test_tar_pax_times_count_nanoseconds_forward),
		cmocka_unit_test(test_tar_pax_size_is_of_the_file_alone),
		cmocka_unit_test(test_tar_pax_impossible_sizes_are_refused),
		cmocka_unit_test(test_tar_pax_global_headers_are_checked_and_ignored),
		cmocka_unit_test(test_tar_pax_xattrs_in_both_encodings),
		cmocka_unit_test(test_tar_pax_bad_xattrs_are_refused),
		cmocka_unit_test(test_tar_pax_base64_has_an_alphabet),
		cmocka_unit_test(test_tar_pax_bad_records_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
