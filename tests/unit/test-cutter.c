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
		uint8_t *bytes = scene->data.data + at;
		assert_int_equal(s->has_digest, TABLE_DIGEST_CHAIN);
		assert_int_equal(table_verify(table, i, bytes, NULL), 0);
		bytes[s->stream_size / 2] ^= 1;
		assert_int_equal(table_verify(table, i, bytes, NULL), -EBADMSG);
		bytes[s->stream_size / 2] ^= 1;
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
	struct digest whole, digest;
	digest_of(&whole, DIGEST_SHA256, scene->data.data, scene->data.size);
	cutter_digest(scene->cutter, &digest);
	assert_true(digest_equal(&digest, &whole));
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
		{ 15000, 8750, 200, 300, 0 },
		{ 23750, 1250, 200, 300, 8750 },
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
		{ 0, 8750, 0, 77, 0 }, /* an eighth is left for a point that is near */
		{ 8750, 8750, 0, 77, 8750 },
		{ 17500, 7500, 0, 77, 17500 },
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
		{ 0, 8750, 0, 901, 0 },
		{ 8750, 8750, 0, 901, 8750 },
		{ 17500, 2501, 0, 901, 17500 },
		{ 20001, 3999, 900, 100, 0 },
	};
	check(&scene, 1000, wanted, N_ELEMENTS(wanted));
}

/* Its bytes went by: the point serves the spans that come. */
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

/* A point just behind the most ends the span before: there is no rest of one byte. */
static void test_cut_leaves_no_small_rest(void **state)
{
	(void)state;
	for (uint64_t at = SPAN_MAX - 1; at < SPAN_MAX + 3; at++) {
		struct scene scene;
		begin(&scene, 15000);
		point(&scene, 0, 0, 0);
		point(&scene, 100, at, 0);
		const struct wanted near[] = {
			{ 0, (uint32_t)at, 0, 100, 0 },
			{ at, 15000 - (uint32_t)at, 100, 100, 0 },
		};
		const struct wanted far[] = {
			{ 0, 8750, 0, 100, 0 },
			{ 8750, (uint32_t)at - 8750, 0, 100, 8750 },
			{ at, 15000 - (uint32_t)at, 100, 100, 0 },
		};
		bool fits = at <= SPAN_MAX;
		check(&scene, 200, fits ? near : far, fits ? 2 : 3);
	}
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
		cmocka_unit_test(test_cut_leaves_no_small_rest),
		cmocka_unit_test(test_cut_of_nothing),
		cmocka_unit_test(test_cut_at_equal_points),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
