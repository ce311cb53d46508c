/* Where spans are cut, with points that come in time, late, close together, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "gzip-build.h"
#include "image/cutter.h"

#define SPAN_MAX 10000u

struct wanted {
	uint64_t offset;
	uint32_t size;
	uint64_t blob_offset, blob_size, skip;
};

struct scene {
	struct cutter *cutter; /* owned */
	struct bytes data;     /* owned */
	size_t given;
};

static void begin(struct scene *scene, size_t size)
{
	*scene = (struct scene){ .cutter = cutter_new(NULL, SPAN_MAX),
				 .data = bytes_text(size, 1) };
}

static void point(struct scene *scene, uint64_t in, uint64_t out, unsigned bits)
{
	const struct indexer_point p = {
		.point = { .start = bits ? SPAN_DEFLATE : SPAN_GZIP,
			   .bits = (uint8_t)bits,
			   .window = (const uint8_t *)"win",
			   .window_size = bits ? 3 : 0 },
		.in = in,
		.out = out,
	};
	assert_int_equal(cutter_point(scene->cutter, &p, NULL), 0);
}

/* Bytes up to END of the stream, in pieces. */
static void give(struct scene *scene, size_t end, size_t piece)
{
	while (scene->given < end) {
		size_t n = end - scene->given < piece ? end - scene->given : piece;
		auto_free uint8_t *copy = mem_copy(scene->data.data + scene->given, n);
		assert_int_equal(cutter_add(scene->cutter, copy, n, NULL), 0);
		scene->given += n;
	}
}

static void check(struct scene *scene, uint64_t blob_size, const struct wanted *wanted,
		  size_t count)
{
	give(scene, scene->data.size, 4096);
	assert_int_equal(cutter_add(scene->cutter, NULL, 0, NULL), 0);
	AUTO(table_builder) builder = table_builder_new(TABLE_SCAN);
	AUTO(table) table = NULL;
	auto_free void *file = NULL;
	size_t size;
	assert_int_equal(cutter_build(scene->cutter, builder, blob_size, NULL), 0);
	assert_int_equal(table_builder_finish(builder, &file, &size, NULL), 0);
	assert_int_equal(table_open(&table, file, size, NULL), 0);
	assert_int_equal(cutter_span_count(scene->cutter), table_span_count(table));
	assert_int_equal(cutter_stream_size(scene->cutter), scene->data.size);
	uint64_t at = 0;
	for (uint32_t i = 0; i < table_span_count(table); i++) {
		const struct table_span *s = table_span(table, i);
		struct digest digest;
		digest_of(&digest, DIGEST_SHA256, scene->data.data + at, s->stream_size);
		assert_true(s->has_digest);
		assert_memory_equal(s->digest, digest.bytes, 32);
		assert_int_equal(s->stream_offset, at);
		assert_in_range(s->stream_size, 1, SPAN_MAX);
		at += s->stream_size;
		if (i >= count)
			continue;
		assert_int_equal(s->stream_offset, wanted[i].offset);
		assert_int_equal(s->stream_size, wanted[i].size);
		assert_int_equal(s->blob_offset, wanted[i].blob_offset);
		assert_int_equal(s->blob_size, wanted[i].blob_size);
		assert_int_equal(s->skip, wanted[i].skip);
	}
	assert_int_equal(at, scene->data.size);
	if (count > 0)
		assert_int_equal(table_span_count(table), count);
	cutter_free(scene->cutter);
	free(scene->data.data);
}

static void test_cut_at_points(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, 25000);
	point(&scene, 0, 0, 0);
	point(&scene, 100, 9000, 3);
	give(&scene, 9500, 7);
	point(&scene, 200, 15000, 0);
	static const struct wanted wanted[] = {
		{ 0, 9000, 0, 101, 0 }, /* with the byte whose last bits are the next span's */
		{ 9000, 6000, 100, 100, 0 },
		{ 15000, 10000, 200, 300, 0 },
	};
	check(&scene, 500, wanted, N_ELEMENTS(wanted));
}

static void test_cut_without_points_makes_a_group(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, 25000);
	point(&scene, 0, 0, 0);
	static const struct wanted wanted[] = {
		{ 0, 10000, 0, 77, 0 },
		{ 10000, 10000, 0, 77, 10000 },
		{ 20000, 5000, 0, 77, 20000 },
	};
	check(&scene, 77, wanted, N_ELEMENTS(wanted));
}

static void test_cut_before_a_point_that_is_far(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, 24000);
	point(&scene, 0, 0, 0);
	point(&scene, 900, 20001, 1);
	static const struct wanted wanted[] = {
		{ 0, 10000, 0, 901, 0 },
		{ 10000, 5000, 0, 901, 10000 }, /* no rest of one byte */
		{ 15000, 5001, 0, 901, 15000 },
		{ 20001, 3999, 900, 100, 0 },
	};
	check(&scene, 1000, wanted, N_ELEMENTS(wanted));
}

/* More than is held back went by: the point serves the spans that come. */
static void test_cut_with_a_point_that_is_late(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, 1300000);
	point(&scene, 0, 0, 0);
	give(&scene, 1200000, 60000);
	point(&scene, 5000, 5000, 0);
	point(&scene, 9000, 1195000, 2);
	check(&scene, 10000, NULL, 0);
}

static void test_cut_of_nothing(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, 0);
	point(&scene, 0, 0, 0);
	check(&scene, 20, NULL, 0);
}

/* Points of members without bytes: the last one is the span's. */
static void test_cut_at_equal_points(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, 3000);
	point(&scene, 0, 0, 0);
	point(&scene, 20, 0, 0);
	point(&scene, 40, 1000, 0);
	point(&scene, 60, 1000, 0);
	point(&scene, 80, 3000, 0);
	static const struct wanted wanted[] = {
		{ 0, 1000, 20, 20, 0 },
		{ 1000, 2000, 60, 20, 0 },
	};
	check(&scene, 100, wanted, N_ELEMENTS(wanted));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_points),
		cmocka_unit_test(test_cut_without_points_makes_a_group),
		cmocka_unit_test(test_cut_before_a_point_that_is_far),
		cmocka_unit_test(test_cut_with_a_point_that_is_late),
		cmocka_unit_test(test_cut_of_nothing),
		cmocka_unit_test(test_cut_at_equal_points),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
