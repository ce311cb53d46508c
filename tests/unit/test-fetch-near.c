/* What is taken along with a file: its directory, a little beyond, no library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/str.h"
#include "image/fetch-near.h"
#include "span-table.h"

#define KIB 1024u

struct file {
	const char *path;
	uint32_t size; /* in the blob */
};

/* Each file is one span, one behind the other. */
static struct span_table table_of(const struct file *files, size_t count)
{
	AUTO(table_builder) builder = table_builder_new(TABLE_ESTARGZ);
	struct span_table t = { 0 };
	uint64_t blob = 0, stream = 0;
	for (size_t i = 0; i < count; i++) {
		const struct tar_entry entry = { .type = TAR_FILE,
						 .path = files[i].path,
						 .size = 4096 };
		const struct table_extent extent = { 0, stream, 4096 };
		const struct table_span span = { .blob_offset = blob,
						 .blob_size = files[i].size,
						 .stream_offset = stream,
						 .stream_size = 4096,
						 .start = SPAN_GZIP,
						 .has_digest = 1 };
		uint32_t index, content;
		struct toc *toc = table_builder_toc(builder);
		assert_int_equal(toc_add(toc, &entry, &index, NULL), 0);
		assert_int_equal(table_builder_content(builder, &extent, 1, &content, NULL), 0);
		toc_at(toc, index)->content = content;
		assert_int_equal(table_builder_span(builder, &span, NULL, 0, NULL), 0);
		blob += files[i].size;
		stream += 4096;
	}
	size_t size = 0;
	assert_int_equal(table_builder_finish(builder, &t.file, &size, NULL), 0);
	assert_int_equal(table_open(&t.table, t.file, size, NULL), 0);
	return t;
}

static void note(void *arg, uint32_t span)
{
	str_addf(arg, "%u ", span);
}

static void expect(struct fetch_near *near, uint32_t span, const char *wanted, uint32_t last)
{
	auto_str got = STR_MAX(4096);
	assert_int_equal(fetch_near_look(near, span, note, &got), last);
	assert_string_equal(str_text(&got), wanted);
}

static void test_a_directory_comes_along(void **state)
{
	(void)state;
	static const struct file files[] = {
		{ "other/a", 20 * KIB }, { "other/b", 20 * KIB }, { "d/a", 9 * KIB },
		{ "d/b", 10 * KIB },	 { "d/c", 30 * KIB },	  { "d/large", 500 * KIB },
		{ "d/e", 40 * KIB },	 { "e/a", 8 * KIB },	  { "e/b", 30 * KIB },
	};
	auto_span_table t = table_of(files, N_ELEMENTS(files));
	AUTO(fetch_near) near = fetch_near_new(t.table);
	/* 64 KiB of the directory; the large one is passed by, and 6 is too much; then to the
	   front, and 32 KiB less those 9 do for one file of the other directory */
	expect(near, 3, "4 2 1 ", 4);
	/* the next time four times as much */
	expect(near, 3, "4 6 2 1 ", 6);
	/* a large one brings nothing along */
	expect(near, 5, "", 5);
	/* beyond a directory of one file */
	expect(near, 8, "7 ", 8);
}

static void test_libraries_are_apart(void **state)
{
	(void)state;
	static const struct file files[] = {
		{ "lib/a.conf", 1 * KIB },  { "lib/libb.so.1", 1 * KIB }, { "lib/c.conf", 1 * KIB },
		{ "lib/libd.so", 1 * KIB }, { "lib/module.so", 1 * KIB },
	};
	auto_span_table t = table_of(files, N_ELEMENTS(files));
	AUTO(fetch_near) near = fetch_near_new(t.table);
	expect(near, 1, "", 1);
	expect(near, 0, "2 4 ", 4);
	expect(near, 4, "2 0 ", 4);
}

static void test_spans_of_many_files_tell_nothing(void **state)
{
	(void)state;
	const struct table_span span = { .blob_size = 100, .stream_size = 1000, .has_digest = 1 };
	auto_span_table t = span_table_of(TABLE_SCAN, &span, 1);
	assert_null(fetch_near_new(t.table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_directory_comes_along),
		cmocka_unit_test(test_libraries_are_apart),
		cmocka_unit_test(test_spans_of_many_files_tell_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
