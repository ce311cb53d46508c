/*
 * Indexing by ISA-L and by zlib: the verdict and the bytes of the decoder, and points from which
 * both libraries decode the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/corpus.h"
#include "tests/unit/index-build.h"

#define DISTANCE_BYTES ((size_t)40000)
#define CHECKED_BYTES ((size_t)110000) /* from a point on: more than a window */
#define OUT_MAX_BYTES ((size_t)16 << 20)

static const struct feed whole = { SIZE_MAX, (size_t)1 << 20 };

static const struct gzip_inflate *library(int i)
{
	return i ? gzip_inflate_best : &gzip_inflate_zlib;
}

static int make_index(struct bytes *out, struct points *points, const struct gzip_inflate *inflate,
		      const struct bytes *in, uint64_t distance, struct feed feed)
{
	return index_all(out, points, inflate, codec_detect(in->data, in->size), in, distance, feed,
			 OUT_MAX_BYTES);
}

/* From POINT both libraries give what is behind it, however fed, and its end if that is near. */
static void check_point(const struct indexer_point *point, const struct bytes *in,
			const struct bytes *plain, struct feed feed)
{
	assert_true(point->in <= in->size);
	assert_true(point->out <= plain->size);
	assert_true(point->point.bits <= 7);
	for (int i = 0; i < 2; i++) {
		auto_bytes got = { 0 };
		size_t left = plain->size - (size_t)point->out;
		size_t wanted = left < CHECKED_BYTES ? left : CHECKED_BYTES;
		bytes_add(&got, "", 0);
		assert_int_equal(
			span_read(&got, library(i), point, in, wanted + (wanted == left), feed), 0);
		assert_int_equal(got.size, wanted);
		assert_memory_equal(got.data, plain->data + point->out, wanted);
	}
}

static void check_points(const struct points *points, const struct bytes *in,
			 const struct bytes *plain, uint64_t distance)
{
	static const struct feed feeds[] = { { SIZE_MAX, 1 << 20 },
					     { 777, 50000 },
					     { 65536, 999 } };
	assert_true(points->count > 0);
	assert_int_equal(points->at[0].in, 0);
	assert_int_equal(points->at[0].out, 0);
	for (size_t i = 0; i < points->count; i++) {
		if (i > 0) {
			assert_true(points->at[i].out > points->at[i - 1].out);
			assert_true(points->at[i].out - points->at[i - 1].out >= distance);
			assert_true(points->at[i].out < plain->size);
		}
		check_point(&points->at[i], in, plain, feeds[i % N_ELEMENTS(feeds)]);
	}
}

/* Index with each library and some feeds; the fewest points inside of members are returned. */
static size_t expect(const struct bytes *in, const struct bytes *plain, bool slowly)
{
	static const struct feed feeds[] = {
		{ SIZE_MAX, 1 << 20 }, { 65536, 1 << 16 }, { 4096, 40000 },
		{ 1, 1 << 16 },	       { 7, 3 },
	};
	size_t fewest = SIZE_MAX;
	for (size_t i = 0; i < 2 * (slowly ? N_ELEMENTS(feeds) : 3); i++) {
		auto_bytes out = { 0 };
		auto_points points = { 0 };
		assert_int_equal(make_index(&out, &points, library((int)i % 2), in, DISTANCE_BYTES,
					    feeds[i / 2]),
				 0);
		assert_int_equal(out.size, plain->size);
		assert_memory_equal(out.data, plain->data, plain->size);
		check_points(&points, in, plain, DISTANCE_BYTES);
		fewest = points.count < fewest ? points.count : fewest;
	}
	return fewest;
}

static void test_indexer_members_of_every_kind_have_points(void **state)
{
	static const struct {
		struct member member;
		size_t points_min; /* of 1.5 million bytes of output */
	} cases[] = {
		{ { .level = 6 }, 8 },
		{ { .level = 0 }, 8 },
		{ { .level = 1 }, 8 },
		{ { .level = 9 }, 8 },
		{ { .level = 6, .strategy = Z_FIXED }, 1 }, /* where one begins, no library says */
		{ { .level = 6, .strategy = Z_HUFFMAN_ONLY }, 8 },
		{ { .level = 6, .strategy = Z_RLE }, 8 },
		{ { .level = 6, .flush = Z_SYNC_FLUSH, .chunk_bytes = 131072 }, 8 }, /* as pigz */
		{ { .level = 6, .flush = Z_FULL_FLUSH, .chunk_bytes = 1000 }, 8 },
		{ { .level = 6, .flags = 31, .field_bytes = 3000 }, 8 },
	};
	static const size_t sizes[] = { 0, 1, 31, 5000, 65536, 1500000 };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (size_t k = 0; k < N_ELEMENTS(sizes); k++) {
			auto_bytes plain = bytes_text(sizes[k], (uint32_t)(i + k));
			auto_bytes in = { 0 };
			add_member(&in, &plain, &cases[i].member);
			size_t points = expect(&in, &plain, sizes[k] <= 5000);
			if (sizes[k] == 1500000)
				assert_true(points >= cases[i].points_min);
			else if (sizes[k] < DISTANCE_BYTES)
				assert_int_equal(points, 1);
		}
}

static struct bytes bytes_noise(size_t size)
{
	struct bytes b = { mem_new(size + 1), size, size + 1 };
	uint64_t seed = 88172645463325252u;
	for (size_t i = 0; i < size; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		b.data[i] = (uint8_t)(seed >> 24);
	}
	return b;
}

/* Stored and compressed blocks in turn. */
static void test_indexer_noise_is_indexed_at_its_stored_blocks(void **state)
{
	(void)state;
	auto_bytes plain = { 0 };
	auto_bytes text = bytes_text(300000, 7);
	auto_bytes noise = bytes_noise(700000);
	for (int level = 1; level <= 9; level += 4) {
		auto_bytes in = { 0 };
		add_member(&in, &noise, &(const struct member){ .level = level });
		assert_true(expect(&in, &noise, false) >= 5);
	}
	bytes_add(&plain, text.data, text.size);
	bytes_add(&plain, noise.data, noise.size);
	bytes_add(&plain, text.data, text.size);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	assert_true(expect(&in, &plain, false) >= 10);
}

static void test_indexer_very_compressible_data_may_have_one_point(void **state)
{
	(void)state;
	auto_bytes plain = { 0 };
	bytes_add_zeros(&plain, 4000000);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	assert_true(expect(&in, &plain, false) >= 1);
}

static void test_indexer_members_begin_at_points(void **state)
{
	(void)state;
	auto_bytes in = { 0 };
	auto_bytes plain = { 0 };
	size_t starts[20], outs[20];
	for (uint32_t i = 0; i < 20; i++) {
		auto_bytes part = bytes_text(60000, i);
		starts[i] = in.size;
		outs[i] = plain.size;
		add_member(&in, &part,
			   &(const struct member){ .level = 6, .flags = (uint8_t)(i % 32) });
		bytes_add(&plain, part.data, part.size);
	}
	bytes_add_zeros(&in, 3000);
	assert_true(expect(&in, &plain, false) >= 20); /* zlib may find a block more */
	auto_bytes out = { 0 };
	auto_points points = { 0 };
	assert_int_equal(make_index(&out, &points, gzip_inflate_best, &in, 60000, whole), 0);
	assert_int_equal(points.count, 20);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(points.at[i].point.start, SPAN_GZIP);
		assert_int_equal(points.at[i].point.window_size, 0);
		assert_int_equal(points.at[i].in, starts[i]);
		assert_int_equal(points.at[i].out, outs[i]);
	}
}

static void test_indexer_zstd_frames_begin_at_points(void **state)
{
	(void)state;
	auto_bytes in = { 0 };
	auto_bytes plain = { 0 };
	for (uint32_t i = 0; i < 40; i++) {
		auto_bytes part = bytes_text(i % 4 * 10000, i);
		if (i % 3 == 0)
			add_skippable(&in, i * 50);
		add_frame(&in, &part, (int)(i % 19) + 1, i % 2);
		bytes_add(&plain, part.data, part.size);
	}
	add_skippable(&in, 0);
	assert_int_equal(expect(&in, &plain, false), 10);
}

static void test_indexer_plain_data_have_points_everywhere(void **state)
{
	static const size_t sizes[] = { 1, 39999, 40000, 40001, 400000 };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		auto_bytes plain = bytes_text(sizes[i], 3);
		assert_int_equal(expect(&plain, &plain, true),
				 (sizes[i] + DISTANCE_BYTES - 1) / DISTANCE_BYTES);
	}
}

static void test_indexer_distance_is_kept(void **state)
{
	static const uint64_t distances[] = { 0, 1, 33000, 300000, 2999999, UINT64_MAX };
	(void)state;
	auto_bytes plain = bytes_text(3000000, 1);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	size_t before[2] = { SIZE_MAX, SIZE_MAX };
	for (size_t i = 0; i < N_ELEMENTS(distances); i++)
		for (int k = 0; k < 2; k++) {
			auto_bytes out = { 0 };
			auto_points points = { 0 };
			assert_int_equal(
				make_index(&out, &points, library(k), &in, distances[i], whole), 0);
			check_points(&points, &in, &plain, distances[i]);
			assert_true(points.count <= before[k]);
			before[k] = points.count;
			if (distances[i] > plain.size / 2)
				assert_true(points.count <= 2);
		}
}

/* Zeros of a window that the span does not refer to may be anything. */
static void test_indexer_windows_hold_what_is_used_and_no_more(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(2000000, 5);
	auto_bytes noise = bytes_noise(SPAN_WINDOW_BYTES);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	auto_bytes out = { 0 };
	auto_points points = { 0 };
	assert_int_equal(make_index(&out, &points, gzip_inflate_best, &in, 100000, whole), 0);
	assert_true(points.count > 8);
	for (size_t i = 1; i < points.count; i++) {
		const struct span_point *point = &points.at[i].point;
		uint8_t window[SPAN_WINDOW_BYTES];
		size_t zeros = 0;
		assert_int_equal(window_unpack(window, point->window, point->window_size, NULL), 0);
		for (size_t j = 0; j < sizeof(window); j++) {
			uint8_t real = plain.data[points.at[i].out - sizeof(window) + j];
			assert_true(window[j] == 0 || window[j] == real);
			zeros += window[j] == 0;
			if (window[j] == 0 && real != 0)
				window[j] = noise.data[j];
		}
		assert_true(zeros > sizeof(window) / 20);
		auto_free uint8_t *packed = NULL;
		struct indexer_point other = points.at[i];
		assert_int_equal(window_pack(&packed, &other.point.window_size, window,
					     sizeof(window), NULL),
				 0);
		other.point.window = packed;
		check_point(&other, &in, &plain, whole);
	}
}

static int refuse(void *arg, const struct indexer_point *point, struct err *err)
{
	int *calls = arg;
	(void)point;
	return --*calls < 0 ? err_set(err, ECANCELED, "enough") : 0;
}

static void test_indexer_hands_errors_of_found_on(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(1000000, 5);
	for (int kind = 0; kind < 3; kind++)
		for (int calls = 0; calls < 3; calls++) {
			auto_bytes in = { 0 };
			auto_bytes out = { 0 };
			AUTO(indexer) x = NULL;
			int left = calls;
			const struct indexer_options options = { .distance = DISTANCE_BYTES,
								 .found = refuse,
								 .arg = &left };
			for (int i = 0; i < 5 && kind == 2; i++)
				add_frame(&in, &plain, 3, 1);
			if (kind == 1)
				add_member(&in, &plain, &(const struct member){ .level = 6 });
			if (kind == 0)
				bytes_add(&in, plain.data, plain.size);
			enum codec codec = codec_detect(in.data, in.size);
			assert_int_equal(indexer_new(&x, codec, &options, NULL), 0);
			assert_int_equal(index_run(&out, x, &in, whole, SIZE_MAX), -ECANCELED);
			assert_int_equal(left, -1);
		}
}

/* Both libraries, and the decoder: one verdict, and the same bytes when it is good. */
static void same_verdict(const struct bytes *in)
{
	static const struct feed feeds[] = { { SIZE_MAX, 1 << 16 }, { 1000, 777 }, { 1, 1 << 16 } };
	const size_t count = in->size < 3000 ? N_ELEMENTS(feeds) : 2;
	auto_bytes wanted = { 0 };
	enum codec codec = codec_detect(in->data, in->size);
	int verdict = decode_all(&wanted, codec, in, whole, OUT_MAX_BYTES);
	for (size_t i = 0; i < 2 * count; i++) {
		auto_bytes out = { 0 };
		auto_points points = { 0 };
		assert_int_equal(
			make_index(&out, &points, library((int)i % 2), in, 1, feeds[i / 2]),
			verdict);
		if (verdict < 0)
			continue;
		assert_int_equal(out.size, wanted.size);
		if (out.size > 0)
			assert_memory_equal(out.data, wanted.data, out.size);
		if (in->size > 0)
			check_points(&points, in, &out, 1);
	}
}

static void test_indexer_each_truncation_and_flip_has_the_decoders_verdict(void **state)
{
	static const struct member members[] = {
		{ .level = 6, .flags = 8, .field_bytes = 5 },
		{ .level = 0 },
		{ .level = 6, .strategy = Z_FIXED },
		{ .level = 9, .flush = Z_SYNC_FLUSH, .chunk_bytes = 100 },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(members); i++) {
		auto_bytes plain = bytes_text(300, (uint32_t)i);
		auto_bytes in = { 0 };
		add_member(&in, &plain, &members[i]);
		add_member(&in, &plain, &members[i]);
		for (size_t bit = 0; bit < 8 * in.size; bit += 7) {
			in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (codec_detect(in.data, in.size) == CODEC_GZIP)
				same_verdict(&in);
			in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		for (size_t size = in.size; in.size > 1; in.size--)
			if (in.size == size || in.size % 3 == 0)
				same_verdict(&in);
	}
}

/* Damage far behind the first point, where blocks are looked for. */
static void test_indexer_damage_inside_is_seen(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(400000, 9);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	for (size_t at = 1000; at < in.size; at += in.size / 50) {
		in.data[at] ^= 0x10;
		same_verdict(&in);
		in.data[at] ^= 0x10;
	}
}

static int compare_file(const char *name, const void *data, size_t size, void *arg)
{
	(void)arg;
	(void)name;
	const struct bytes in = { .data = (uint8_t *)(uintptr_t)data, .size = size };
	same_verdict(&in);
	return 0;
}

static void test_indexer_corpus_has_the_decoders_verdict(void **state)
{
	(void)state;
	assert_true(corpus_each("decoder", compare_file, NULL) >= 20);
}

static void test_indexer_library_is_checked(void **state)
{
	(void)state;
	assert_true(indexer_check(gzip_inflate_best));
	assert_true(indexer_check(&gzip_inflate_zlib));
	assert_string_equal(indexer_library(), gzip_inflate_best->library());
}

/* A library that finds blocks where there are none. */
static int find_anywhere(void *state, struct decoder_io *io, struct gzip_block *block,
			 struct gzip_inflated *end, struct err *err)
{
	const uint8_t *in = io->in;
	int r = gzip_inflate_zlib.run(state, io, end, err);
	block->bits = 0;
	block->ahead_size = 0;
	return r == GZIP_MORE && io->in > in ? GZIP_BLOCK : r;
}

static void test_indexer_blocks_that_are_none_are_not_reported(void **state)
{
	(void)state;
	struct gzip_inflate lying = gzip_inflate_zlib;
	lying.find = find_anywhere;
	assert_false(indexer_check(&lying));
	auto_bytes plain = bytes_text(1000000, 2);
	auto_bytes in = { 0 };
	auto_bytes out = { 0 };
	auto_points points = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	assert_int_equal(make_index(&out, &points, &lying, &in, DISTANCE_BYTES,
				    (struct feed){ 1000, 1 << 20 }),
			 0);
	assert_int_equal(points.count, 1);
	assert_memory_equal(out.data, plain.data, plain.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_indexer_members_of_every_kind_have_points),
		cmocka_unit_test(test_indexer_noise_is_indexed_at_its_stored_blocks),
		cmocka_unit_test(test_indexer_very_compressible_data_may_have_one_point),
		cmocka_unit_test(test_indexer_members_begin_at_points),
		cmocka_unit_test(test_indexer_zstd_frames_begin_at_points),
		cmocka_unit_test(test_indexer_plain_data_have_points_everywhere),
		cmocka_unit_test(test_indexer_distance_is_kept),
		cmocka_unit_test(test_indexer_windows_hold_what_is_used_and_no_more),
		cmocka_unit_test(test_indexer_hands_errors_of_found_on),
		cmocka_unit_test(test_indexer_each_truncation_and_flip_has_the_decoders_verdict),
		cmocka_unit_test(test_indexer_damage_inside_is_seen),
		cmocka_unit_test(test_indexer_corpus_has_the_decoders_verdict),
		cmocka_unit_test(test_indexer_library_is_checked),
		cmocka_unit_test(test_indexer_blocks_that_are_none_are_not_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
