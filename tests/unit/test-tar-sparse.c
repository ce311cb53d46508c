/* Sparse files in the four formats of GNU tar: their maps, their data, and maps that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/tar-read.h"

struct pair {
	uint64_t offset, size;
};

/* The map of old GNU headers: at 386 of the block, which is 41 of raw.tail. */
static void put_pairs(char *at, const struct pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++, at += 24) {
		snprintf(at, 12, "%011llo", (unsigned long long)pairs[i].offset);
		snprintf(at + 12, 12, "%011llo", (unsigned long long)pairs[i].size);
	}
}

static void add_old_gnu(struct str *out, const struct pair *pairs, size_t count, uint64_t real,
			size_t stored)
{
	char tail[512 - 345] = { 0 };
	size_t n = count < 4 ? count : 4;
	put_pairs(tail + 41, pairs, n);
	tail[482 - 345] = count > n;
	snprintf(tail + 483 - 345, 12, "%011llo", (unsigned long long)real);
	add_raw(out, &(const struct raw){ .name = "s",
					  .type = 'S',
					  .magic = "ustar  ",
					  .tail = tail,
					  .data_size = stored });
	while (count > n) {
		char block[512] = { 0 };
		pairs += n;
		count -= n;
		n = count < 21 ? count : 21;
		put_pairs(block, pairs, n);
		block[504] = count > n;
		str_addn(out, block, sizeof(block));
	}
}

static void add_numbers(struct str *records, const char *key, uint64_t value)
{
	auto_str text = STR_MAX(32);
	str_addf(&text, "%llu", (unsigned long long)value);
	add_record(records, key, text.data, text.length);
}

/* The x header and the file header; MINOR 0 or 1 of 0.x, 10 for 1.0 with the map in MAP. */
static void add_pax_sparse(struct str *out, int version, const struct pair *pairs, size_t count,
			   uint64_t real, size_t stored)
{
	ARCHIVE(x);
	auto_str map = STR_MAX(1u << 24);
	for (size_t i = 0; i < count; i++) {
		if (version == 0) {
			add_numbers(&x, "GNU.sparse.offset", pairs[i].offset);
			add_numbers(&x, "GNU.sparse.numbytes", pairs[i].size);
		}
		str_addf(&map,
			 version == 10 ? "%llu\n%llu\n"
			 : i	       ? ",%llu,%llu"
				       : "%llu,%llu",
			 (unsigned long long)pairs[i].offset, (unsigned long long)pairs[i].size);
	}
	add_numbers(&x, version == 10 ? "GNU.sparse.realsize" : "GNU.sparse.size", real);
	if (version != 10)
		add_numbers(&x, "GNU.sparse.numblocks", count);
	if (version == 1)
		add_record(&x, "GNU.sparse.map", str_text(&map), map.length);
	if (version == 10) {
		add_numbers(&x, "GNU.sparse.major", 1);
		add_numbers(&x, "GNU.sparse.minor", 0);
	}
	add_record(&x, "GNU.sparse.name", "s", 1);
	add_extension(out, 'x', x.data, x.length);
	auto_str head = STR_MAX(1u << 24);
	if (version == 10) {
		str_addf(&head, "%zu\n%s", count, str_text(&map));
		add_zeros(&head, -head.length % 512);
	}
	add_raw(out, &(const struct raw){ .name = "GNUSparseFile.0/s",
					  .data_size = stored + head.length });
	str_addn(out, str_text(&head), head.length);
}

static const int FORMATS[] = { -1, 0, 1, 10 };

static void add_sparse(struct str *out, int format, const struct pair *pairs, size_t count,
		       uint64_t real, const char *data)
{
	if (format < 0)
		add_old_gnu(out, pairs, count, real, strlen(data));
	else
		add_pax_sparse(out, format, pairs, count, real, strlen(data));
	add_data(out, data, strlen(data));
}

static void test_tar_sparse_files_in_all_formats(void **state)
{
	static const struct {
		struct pair pairs[3];
		size_t count;
		uint64_t real;
		const char *data, *line;
	} cases[] = {
		{ { { 0, 3 }, { 5, 2 } }, 2, 7, "abcde", "f s 644 0:0 0 7 abc[5]de\n" },
		{ { { 4, 3 }, { 7, 2 }, { 100, 0 } },
		  3,
		  100,
		  "abcde",
		  "f s 644 0:0 0 100 [4]abcde\n" },
		{ { { 1048576, 0 } }, 1, 1048576, "", "f s 644 0:0 0 1048576\n" },
		{ { { 0, 5 } }, 1, 5, "abcde", "f s 644 0:0 0 5 abcde\n" },
		{ { { 0, 0 }, { 1, 0 }, { 4, 3 } }, 3, 9, "abc", "f s 644 0:0 0 9 [4]abc\n" },
		{ { { 1, 1 }, { 3, 1 }, { 5, 1 } }, 3, 7, "abc", "f s 644 0:0 0 7 [1]a[3]b[5]c\n" },
		{ { { 1ull << 32, 2 } },
		  1,
		  (1ull << 32) + 5,
		  "ab",
		  "f s 644 0:0 0 4294967301 [4294967296]ab\n" },
	};
	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(FORMATS); k++) {
		ARCHIVE(a);
		ARCHIVE(wanted);
		for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
			add_sparse(&a, FORMATS[k], cases[i].pairs, cases[i].count, cases[i].real,
				   cases[i].data);
			add_file(&a, "next", "x");
			str_addf(&wanted, "%sf next 644 0:0 0 1 x\n", cases[i].line);
		}
		add_end(&a);
		expect(&a, str_text(&wanted));
	}
}

static void test_tar_sparse_maps_may_be_long(void **state)
{
	static const size_t counts[] = { 4, 5, 24, 25, 26, 46, 47, 3000 };
	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(FORMATS) * N_ELEMENTS(counts); k++) {
		size_t count = counts[k / N_ELEMENTS(FORMATS)];
		struct pair pairs[3000];
		auto_str data = STR_MAX(4000);
		ARCHIVE(wanted);
		ARCHIVE(a);
		str_addf(&wanted, "f s 644 0:0 0 %zu ", count * 10);
		for (size_t i = 0; i < count; i++) {
			pairs[i] = (struct pair){ i * 10 + 3, 1 };
			str_addc(&data, (char)('a' + i % 26));
			str_addf(&wanted, "[%zu]%c", i * 10 + 3, (char)('a' + i % 26));
		}
		str_addc(&wanted, '\n');
		add_sparse(&a, FORMATS[k % N_ELEMENTS(FORMATS)], pairs, count, count * 10,
			   data.data);
		expect(&a, str_text(&wanted));
	}
}

static void test_tar_sparse_maps_have_a_limit(void **state)
{
	const size_t count = ((size_t)1 << 20) + 1;
	(void)state;
	auto_free struct pair *pairs = mem_new(count * sizeof(*pairs));
	for (size_t i = 0; i < count; i++)
		pairs[i] = (struct pair){ i, 0 };
	for (size_t over = 0; over < 2; over++) {
		ARCHIVE(a);
		auto_str got = STR_MAX(1000);
		add_old_gnu(&a, pairs, count - 1 + over, count, 0);
		assert_int_equal(read_pieces(&got, &a, 100000, false).r, over ? -E2BIG : 0);
	}
}

/* The name in the header of a sparse file is cut at 100 bytes, maybe behind a slash. */
static void test_tar_sparse_files_may_look_like_directories(void **state)
{
	(void)state;
	ARCHIVE(a);
	add_pax(&a, "GNU.sparse.map", "0,1");
	add_raw(&a, &(const struct raw){ .name = "GNUSparseFile.0/", .data_size = 1 });
	add_data(&a, "x", 1);
	add_raw(&a, &(const struct raw){ .name = "old/", .type = 'S', .size = "0" });
	expect(&a, "f GNUSparseFile.0/ 644 0:0 0 1 x\nf old/ 644 0:0 0 0\n");
}

static void test_tar_sparse_maps_that_lie_are_refused(void **state)
{
	static const struct {
		struct pair pairs[3];
		size_t count;
		uint64_t real;
	} cases[] = {
		{ { { 0, 4 } }, 1, 5 },		    /* less than stored */
		{ { { 0, 6 } }, 1, 6 },		    /* more */
		{ { { 0, 5 } }, 1, 4 },		    /* beyond the file */
		{ { { 4, 2 }, { 0, 3 } }, 2, 10 },  /* out of order */
		{ { { 0, 3 }, { 2, 2 } }, 2, 10 },  /* overlapping */
		{ { { 0, 5 }, { 11, 0 } }, 2, 10 }, /* an empty one beyond */
		{ { { 0, 5 }, { 4, 0 } }, 2, 10 },
		{ { { 0, 0 } }, 0, 10 }, /* no map, but data */
	};
	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(FORMATS); k++)
		for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
			ARCHIVE(a);
			if (FORMATS[k] >= 0 && FORMATS[k] < 10 && cases[i].count == 0)
				continue; /* without a map it is no sparse file */
			add_sparse(&a, FORMATS[k], cases[i].pairs, cases[i].count, cases[i].real,
				   "abcde");
			add_end(&a);
			expect_error(&a, EBADMSG);
		}
}

static void test_tar_sparse_records_that_lie_are_refused(void **state)
{
	static const struct {
		const char *records[5][2];
		char type;
		const char *data;
		int code;
	} cases[] = {
#define MAJOR_1 { "GNU.sparse.major", "1" }, { "GNU.sparse.minor", "0" }
#define SIZE_5                         \
	{                              \
		"GNU.sparse.size", "5" \
	}
		{ { { "GNU.sparse.map", "0,5" }, SIZE_5 }, '0', "abcde", 0 },
		{ { { "GNU.sparse.map", "0,5" }, SIZE_5, { "size", "5" } }, '0', "abcde", 0 },
		{ { SIZE_5 }, '0', "abcde", 0 },
		{ { { "GNU.sparse.map", "0,5" }, SIZE_5 }, '5', "", EBADMSG },
		{ { { "GNU.sparse.map", "0,5" }, SIZE_5 }, '2', "", EBADMSG },
		{ { { "GNU.sparse.map", "0,5," }, SIZE_5 }, '0', "abcde", 0 },
		{ { { "GNU.sparse.map", "0" }, SIZE_5 }, '0', "abcde", EBADMSG },
		{ { { "GNU.sparse.map", "0,5,5" }, SIZE_5 }, '0', "abcde", EBADMSG },
		{ { { "GNU.sparse.map", ",5" }, SIZE_5 }, '0', "abcde", EBADMSG },
		{ { { "GNU.sparse.map", "0;5" }, SIZE_5 }, '0', "abcde", EBADMSG },
		{ { { "GNU.sparse.map", "0,5x" }, SIZE_5 }, '0', "abcde", EBADMSG },
		{ { { "GNU.sparse.map", "-1,5" }, SIZE_5 }, '0', "abcde", EBADMSG },
		{ { { "GNU.sparse.map", "0,18446744073709551616" }, SIZE_5 },
		  '0',
		  "abcde",
		  EBADMSG },
		{ { { "GNU.sparse.map", "18446744073709551615,5" }, SIZE_5 },
		  '0',
		  "abcde",
		  EBADMSG },
		{ { { "GNU.sparse.map", "0,5" }, { "GNU.sparse.size", "x" } },
		  '0',
		  "abcde",
		  EBADMSG },
		{ { { "GNU.sparse.map", "0,5" }, { "GNU.sparse.size", "9007199254740993" } },
		  '0',
		  "abcde",
		  EBADMSG },
		{ { { "GNU.sparse.map", "0,5" }, SIZE_5, { "GNU.sparse.numblocks", "2" } },
		  '0',
		  "abcde",
		  EBADMSG },
		{ { { "GNU.sparse.offset", "0" }, { "GNU.sparse.offset", "1" } },
		  '0',
		  "",
		  EBADMSG },
		{ { { "GNU.sparse.numbytes", "0" } }, '0', "", EBADMSG },
		{ { { "GNU.sparse.offset", "0" } }, '0', "", EBADMSG },
		{ { { "GNU.sparse.offset", "" } }, '0', "", EBADMSG },
		{ { { "GNU.sparse.major", "2" }, { "GNU.sparse.minor", "0" } },
		  '0',
		  "",
		  EOPNOTSUPP },
		{ { { "GNU.sparse.major", "1" } }, '0', "", EOPNOTSUPP },
		{ { MAJOR_1 }, '0', "", EBADMSG },
		{ { MAJOR_1 }, '0', "0\n", EBADMSG }, /* not a whole block */
		{ { MAJOR_1 }, '0', "1\n0\n0", EBADMSG },
		{ { MAJOR_1 }, '5', "", EBADMSG },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		ARCHIVE(x);
		for (size_t k = 0; k < 5 && cases[i].records[k][0]; k++)
			add_record(&x, cases[i].records[k][0], cases[i].records[k][1],
				   strlen(cases[i].records[k][1]));
		add_extension(&a, 'x', x.data, x.length);
		add_raw(&a, &(const struct raw){ .type = cases[i].type,
						 .link = "l",
						 .data_size = strlen(cases[i].data) });
		add_data(&a, cases[i].data, strlen(cases[i].data));
		add_end(&a);
		if (cases[i].code)
			expect_error(&a, cases[i].code);
		else
			expect(&a, "f f 644 0:0 0 5 abcde\n");
	}
}

/* 1.0: the map is text in front of the data. */
static void test_tar_sparse_text_that_lies_is_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "0\n", 0 },
		{ "1\n0\n0\n", 0 },
		{ "\n", EBADMSG },
		{ "x\n", EBADMSG },
		{ "1\n0\n", EBADMSG },
		{ "1\n-1\n0\n", EBADMSG },
		{ " 0\n", EBADMSG },
		{ "0 \n", EBADMSG },
		{ "00000000000000000000000000000000000\n", EBADMSG },
		{ "1048576\n", EBADMSG },
		{ "1048577\n", E2BIG },
		{ "1099511627776\n0\n512\n", E2BIG },
		{ "99999999999999999999\n", EBADMSG },
		{ "1\n0\n512\n", EBADMSG },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		ARCHIVE(x);
		add_record(&x, "GNU.sparse.major", "1", 1);
		add_record(&x, "GNU.sparse.minor", "0", 1);
		add_record(&x, "GNU.sparse.realsize", "9", 1);
		add_extension(&a, 'x', x.data, x.length);
		add_raw(&a, &(const struct raw){ .data_size = 512 });
		add_data(&a, cases[i].text, strlen(cases[i].text));
		if (cases[i].code)
			expect_error(&a, cases[i].code);
		else
			expect(&a, "f f 644 0:0 0 9\n");
	}
}

static void test_tar_sparse_old_gnu_that_lies_is_refused(void **state)
{
	static const struct {
		size_t at; /* in the block */
		const char *text;
		int extensions; /* empty blocks behind the header */
	} cases[] = {
		{ 386, "x", 0 },
		{ 386 + 12, "x", 0 },
		{ 386, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0 },
		{ 483, "x", 0 },
		{ 483, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0 },
		{ 482, "\1", 1 },
		{ 482, "\1", 0 },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ARCHIVE(a);
		char tail[512 - 345] = { 0 };
		put_pairs(tail + 41, (const struct pair[]){ { 0, 0 } }, 1);
		memcpy(tail + cases[i].at - 345, cases[i].text, strlen(cases[i].text));
		add_raw(&a, &(const struct raw){ .type = 'S', .magic = "ustar  ", .tail = tail });
		add_zeros(&a, (size_t)cases[i].extensions * 512);
		expect_error(&a, EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tar_sparse_files_in_all_formats),
		cmocka_unit_test(test_tar_sparse_maps_may_be_long),
		cmocka_unit_test(test_tar_sparse_maps_have_a_limit),
		cmocka_unit_test(test_tar_sparse_files_may_look_like_directories),
		cmocka_unit_test(test_tar_sparse_maps_that_lie_are_refused),
		cmocka_unit_test(test_tar_sparse_records_that_lie_are_refused),
		cmocka_unit_test(test_tar_sparse_text_that_lies_is_refused),
		cmocka_unit_test(test_tar_sparse_old_gnu_that_lies_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
