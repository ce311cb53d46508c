/*
 * Decoding from the middle, by ISA-L and by zlib, at points that the test makes itself; and windows
 * packed and unpacked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/index-build.h"

static const struct feed feeds[] = { { SIZE_MAX, 1 << 20 }, { 1, 50000 }, { 1000, 7 }, { 7, 1 } };

static const struct gzip_inflate *library(size_t i)
{
	return i % 2 ? gzip_inflate_best : &gzip_inflate_zlib;
}

/* All of PLAIN from POINT on, or an error, by both libraries and however it is cut. */
static void expect(const struct indexer_point *point, const struct bytes *in,
		   const struct bytes *plain, int wanted)
{
	for (size_t i = 0; i < 2 * N_ELEMENTS(feeds); i++) {
		auto_bytes out = { 0 };
		bytes_add(&out, "", 0);
		int r = span_read(&out, library(i), point, in, plain->size + 1, feeds[i / 2]);
		assert_int_equal(r, wanted);
		if (r < 0)
			continue;
		assert_int_equal(out.size, plain->size);
		assert_memory_equal(out.data, plain->data, plain->size);
	}
}

static void test_span_stored_bytes_are_given_as_they_are(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(5000, 1);
	const struct bytes tail = { .data = plain.data + 1234, .size = plain.size - 1234 };
	const struct indexer_point point = { .point = { .start = SPAN_STORED }, .in = 1234 };
	expect(&point, &plain, &tail, 0);
}

static void test_span_members_and_frames_follow_each_other(void **state)
{
	(void)state;
	for (int zstd = 0; zstd < 2; zstd++) {
		auto_bytes in = { 0 };
		auto_bytes plain = { 0 };
		struct indexer_point point = { .point = { .start = zstd ? SPAN_ZSTD : SPAN_GZIP } };
		for (uint32_t i = 0; i < 12; i++) {
			auto_bytes part = bytes_text(i * 700, i);
			if (i == 5)
				point.in = in.size;
			if (zstd && i % 5 == 0)
				add_skippable(&in, i * 10);
			if (zstd)
				add_frame(&in, &part, 3, 1);
			else
				add_member(&in, &part, &(const struct member){ .level = 6 });
			if (i >= 5)
				bytes_add(&plain, part.data, part.size);
		}
		expect(&point, &in, &plain, 0);
		bytes_add(&in, "garbage", 7);
		expect(&point, &in, &plain, -EBADMSG);
	}
}

static void test_span_zeros_behind_the_last_member_are_fine(void **state)
{
	(void)state;
	auto_bytes in = { 0 };
	auto_bytes plain = bytes_text(3000, 2);
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	bytes_add_zeros(&in, 1000);
	const struct indexer_point point = { .point = { .start = SPAN_GZIP } };
	expect(&point, &in, &plain, 0);
}

/* A member read from its start is checked; one entered inside is not, but what follows it is. */
static void test_span_trailers_are_checked_where_they_can_be(void **state)
{
	(void)state;
	auto_bytes part = bytes_text(3000, 2);
	for (int damaged = 0; damaged < 3; damaged++) {
		auto_bytes in = { 0 };
		auto_bytes plain = { 0 };
		struct indexer_point inside = { .point = { .start = SPAN_DEFLATE }, .in = 10 };
		const struct indexer_point start = { .point = { .start = SPAN_GZIP } };
		for (int i = 1; i <= 2; i++) {
			add_member(&in, &part, &(const struct member){ .level = 6 });
			bytes_add(&plain, part.data, part.size);
			if (damaged == i)
				in.data[in.size - 6] ^= 1;
		}
		expect(&start, &in, &plain, damaged ? -EBADMSG : 0);
		expect(&inside, &in, &plain, damaged == 2 ? -EBADMSG : 0);
	}
}

/* Blocks begin where a flush ended: 00 00 ff ff, the last bytes of an empty stored block. */
static void test_span_deflate_begins_behind_a_flush(void **state)
{
	(void)state;
	static const int flushes[] = { Z_SYNC_FLUSH, Z_FULL_FLUSH };
	for (size_t k = 0; k < N_ELEMENTS(flushes); k++) {
		auto_bytes plain = bytes_text(300000, (uint32_t)k);
		auto_bytes in = { 0 };
		size_t tried = 0;
		add_member(&in, &plain,
			   &(const struct member){
				   .level = 6, .flush = flushes[k], .chunk_bytes = 50000 });
		for (size_t at = 10; at + 4 < in.size; at++) {
			if (memcmp(in.data + at, "\0\0\xff\xff", 4) != 0)
				continue;
			size_t from = ++tried * 50000, back = from < 32768 ? from : 32768;
			auto_free uint8_t *packed = NULL;
			struct indexer_point point = { .point = { .start = SPAN_DEFLATE },
						       .in = at + 4 };
			if (flushes[k] == Z_SYNC_FLUSH)
				assert_int_equal(window_pack(&packed, &point.point.window_size,
							     plain.data + from - back, back, NULL),
						 0);
			point.point.window = packed;
			const struct bytes tail = { .data = plain.data + from,
						    .size = plain.size - from };
			expect(&point, &in, &tail, 0);
		}
		assert_true(tried >= 5);
	}
}

/* The second block of two fixed ones, of "a" and of "a" once more copied: every bit offset. */
static void test_span_deflate_begins_at_any_bit(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		/* last, fixed: 011; length 3 distance 1: 0000001 00000; end 0000000 */
		static const char *const block = "110000000100000"
						 "0000000";
		uint8_t data[8] = { 0 };
		size_t at = (8 - bits) % 8, bytes;
		memset(data, 0, sizeof(data));
		for (size_t i = 0; i < at; i++)
			data[0] |= (uint8_t)(1u << i); /* not ours */
		for (const char *p = block; *p; p++, at++)
			data[at / 8] |= (uint8_t)((*p - '0') << at % 8);
		bytes = (at + 7) / 8;
		auto_bytes in = { 0 };
		bytes_add(&in, data, bytes);
		bytes_add(&in, "unverifi", 8); /* the trailer */
		auto_free uint8_t *packed = NULL;
		struct indexer_point point = { .point = { .start = SPAN_DEFLATE,
							  .bits = (uint8_t)bits } };
		assert_int_equal(window_pack(&packed, &point.point.window_size,
					     (const uint8_t *)"a", 1, NULL),
				 0);
		point.point.window = packed;
		auto_bytes plain = { 0 };
		bytes_add(&plain, "aaa", 3);
		expect(&point, &in, &plain, 0);
	}
}

static void test_span_bad_points_are_refused(void **state)
{
	static const uint8_t junk[] = { 1, 2, 3, 4, 5 };
	static const struct span_point points[] = {
		{ .start = SPAN_DEFLATE, .bits = 8 },
		{ .start = SPAN_DEFLATE, .bits = 255 },
		{ .start = SPAN_DEFLATE, .window = junk, .window_size = sizeof(junk) },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(points); i++) {
		AUTO(span_decoder) span = NULL;
		assert_int_equal(span_decoder_new(&span, &points[i], NULL), -EBADMSG);
		assert_null(span);
	}
	span_decoder_free(NULL);
}

static void test_span_bad_data_are_refused(void **state)
{
	static const struct {
		enum span_start start;
		const char *data;
	} cases[] = {
		{ SPAN_GZIP, "no gzip data at all" },
		{ SPAN_ZSTD, "no zstd data at all" },
		{ SPAN_DEFLATE, "\x07 a block of no kind" },
		{ SPAN_DEFLATE, "\x03\x02\x00 looks back behind the window" },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct indexer_point point = { .point = { .start = cases[i].start } };
		auto_bytes in = { 0 };
		auto_bytes none = { 0 };
		bytes_add(&in, cases[i].data, strlen(cases[i].data));
		bytes_add(&none, "", 0);
		expect(&point, &in, &none, -EBADMSG);
	}
}

static void test_span_may_be_left_at_any_time(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(100000, 4);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	for (size_t wanted = 0; wanted < plain.size; wanted += 9999) {
		const struct indexer_point point = { .point = { .start = SPAN_GZIP } };
		auto_bytes out = { 0 };
		bytes_add(&out, "", 0);
		assert_int_equal(span_read(&out, gzip_inflate_best, &point, &in, wanted, feeds[0]),
				 0);
		assert_int_equal(out.size, wanted);
		assert_memory_equal(out.data, plain.data, wanted);
	}
}

/* Cut short: what there is comes out, and no error, for the rest may come yet. */
static void test_span_cut_data_are_no_error(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(2000, 4);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	for (; in.size > 0; in.size--) {
		const struct indexer_point point = { .point = { .start = SPAN_GZIP } };
		for (size_t i = 0; i < 2; i++) {
			auto_bytes out = { 0 };
			bytes_add(&out, "", 0);
			assert_int_equal(span_read(&out, library(i), &point, &in, 3000, feeds[0]),
					 0);
			assert_true(out.size <= plain.size);
			assert_memory_equal(out.data, plain.data, out.size);
		}
	}
}

static void check_window(const uint8_t *window, size_t size)
{
	uint8_t got[SPAN_WINDOW_BYTES], wanted[SPAN_WINDOW_BYTES] = { 0 };
	auto_free uint8_t *packed = NULL;
	size_t packed_size = 1;
	if (size > 0)
		memcpy(wanted + sizeof(wanted) - size, window, size);
	assert_int_equal(window_pack(&packed, &packed_size, window, size, NULL), 0);
	memset(got, 0xaa, sizeof(got));
	assert_int_equal(window_unpack(got, packed, packed_size, NULL), 0);
	assert_memory_equal(got, wanted, sizeof(got));
	for (size_t n = 1; n < packed_size; n += 1 + packed_size / 20) /* cut */
		assert_int_equal(window_unpack(got, packed, n, NULL), -EBADMSG);
	assert_memory_equal(got, wanted, sizeof(got)); /* untouched */
}

static void test_window_packs_and_unpacks(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 5, 6, 7, 100, 32767, 32768 };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		auto_bytes text = bytes_text(sizes[i], 3);
		check_window(text.data, text.size);
		/* sparse in several ways; every 6th byte is what takes the most room */
		for (size_t step = 1; step < 9; step++) {
			auto_bytes sparse = { 0 };
			bytes_add_zeros(&sparse, sizes[i]);
			for (size_t k = 0; k < sparse.size; k += step)
				sparse.data[k] = (uint8_t)(k * 7 + 1) | 1;
			check_window(sparse.data, sparse.size);
		}
		memset(text.data, 0, text.size);
		check_window(text.data, text.size);
	}
}

static void add_run(struct bytes *b, unsigned zeros, unsigned size, size_t there)
{
	const uint8_t head[] = { (uint8_t)zeros, (uint8_t)(zeros >> 8), (uint8_t)size,
				 (uint8_t)(size >> 8) };
	auto_bytes bytes = bytes_text(there, 1);
	bytes_add(b, head, sizeof(head));
	bytes_add(b, bytes.data, there);
}

static void test_window_runs_outside_are_refused(void **state)
{
	static const struct {
		unsigned zeros, size;
		size_t there;
		int wanted;
	} cases[] = {
		{ 32767, 1, 1, 0 },	   { 0, 32768, 32768, 0 },	  { 32768, 0, 0, 0 },
		{ 32768, 1, 1, -EBADMSG }, { 1, 32768, 32768, -EBADMSG }, { 0, 5, 4, -EBADMSG },
		{ 65535, 0, 0, -EBADMSG }, { 65535, 65535, 3, -EBADMSG },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint8_t window[SPAN_WINDOW_BYTES];
		auto_bytes runs = { 0 };
		auto_bytes packed = { 0 };
		add_run(&runs, cases[i].zeros, cases[i].size, cases[i].there);
		add_deflate(&packed, &runs, &(const struct member){ .level = 6 });
		assert_int_equal(window_unpack(window, packed.data, packed.size, NULL),
				 cases[i].wanted);
		bytes_add(&packed, "x", 1);
		assert_int_equal(window_unpack(window, packed.data, packed.size, NULL), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_span_stored_bytes_are_given_as_they_are),
		cmocka_unit_test(test_span_members_and_frames_follow_each_other),
		cmocka_unit_test(test_span_zeros_behind_the_last_member_are_fine),
		cmocka_unit_test(test_span_trailers_are_checked_where_they_can_be),
		cmocka_unit_test(test_span_deflate_begins_behind_a_flush),
		cmocka_unit_test(test_span_deflate_begins_at_any_bit),
		cmocka_unit_test(test_span_bad_points_are_refused),
		cmocka_unit_test(test_span_bad_data_are_refused),
		cmocka_unit_test(test_span_may_be_left_at_any_time),
		cmocka_unit_test(test_span_cut_data_are_no_error),
		cmocka_unit_test(test_window_packs_and_unpacks),
		cmocka_unit_test(test_window_runs_outside_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
