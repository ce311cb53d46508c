/* The decoders behind one interface, and the stream over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "codec/decoder.h"
#include "tests/unit/corpus.h"
#include "tests/unit/gzip-build.h"
#include "tests/unit/pieces.h"

#define PIECE_BYTES ((size_t)64 * 1024)

static void test_decoder_detects_by_magic(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum codec codec;
	} cases[] = {
		{ "", 0, CODEC_NONE },
		{ "\x1f", 1, CODEC_NONE },
		{ "\x1f\x8b", 2, CODEC_GZIP },
		{ "\x1f\x8b\x08\x00", 4, CODEC_GZIP },
		{ "\x1f\x9d\x08\x00", 4, CODEC_NONE },
		{ "\x28\xb5\x2f\xfd", 4, CODEC_ZSTD },
		{ "\x28\xb5\x2f", 3, CODEC_NONE },
		{ "\x50\x2a\x4d\x18", 4, CODEC_ZSTD },
		{ "\x5f\x2a\x4d\x18", 4, CODEC_ZSTD },
		{ "\x60\x2a\x4d\x18", 4, CODEC_NONE },
		{ "\x27\xb5\x2f\xfd", 4, CODEC_NONE }, /* zstd 0.7 */
		{ "BZh9", 4, CODEC_NONE },
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(codec_detect(cases[i].bytes, cases[i].size), cases[i].codec);
	assert_string_equal(codec_name(CODEC_NONE), "plain");
	assert_string_equal(codec_name(CODEC_GZIP), "gzip");
	assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
	assert_non_null(strpbrk(codec_gzip_library(), "0123456789"));
}

/* Everything the stream over IN gives, or its error; pieces are PIECE_BYTES but for the last. */
static int read_all(struct bytes *out, const struct bytes *in, size_t in_bytes, size_t piece_bytes)
{
	AUTO(stream)
	s = decoder_stream(stream_of_pieces(in->data, in->size, in_bytes), piece_bytes);
	bool plain = codec_detect(in->data, in->size) == CODEC_NONE;
	bool short_piece = false;
	for (;;) {
		const void *data = NULL;
		size_t size = 0;
		struct err err = { 0 };
		int r = stream_next(s, &data, &size, &err);
		if (r < 0) {
			assert_int_equal(err.code, r);
			return r;
		}
		if (size == 0)
			break;
		assert_false(short_piece);
		short_piece = !plain && size < piece_bytes;
		assert_true(plain || size <= piece_bytes);
		bytes_add(out, data, size);
	}
	const void *data = NULL;
	size_t size = 1;
	assert_int_equal(stream_next(s, &data, &size, NULL), 0);
	assert_int_equal(size, 0); /* and stays at the end */
	return 0;
}

static void expect(const struct bytes *in, const struct bytes *plain, int wanted)
{
	static const size_t in_sizes[] = { 1, 2, 3, 5, 1000, SIZE_MAX };
	for (size_t i = 0; i < N_ELEMENTS(in_sizes); i++) {
		auto_bytes out = { 0 };
		bytes_add(&out, "", 0);
		int r = read_all(&out, in, in_sizes[i], i % 2 ? PIECE_BYTES : 777);
		assert_int_equal(r, wanted);
		if (r < 0)
			continue;
		assert_int_equal(out.size, plain->size);
		assert_memory_equal(out.data, plain->data, plain->size);
	}
}

static void test_decoder_stream_reads_each_codec(void **state)
{
	static const size_t sizes[] = { 0, 1, 3, 4, 5, 777, PIECE_BYTES, PIECE_BYTES * 3, 200001 };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		auto_bytes plain = bytes_text(sizes[i], (uint32_t)i + 1);
		auto_bytes gzip = { 0 };
		auto_bytes zstd = { 0 };
		expect(&plain, &plain, 0);
		add_member(&gzip, &plain, &(const struct member){ .level = 6 });
		expect(&gzip, &plain, 0);
		add_frame(&zstd, &plain, 3, 1);
		expect(&zstd, &plain, 0);
	}
}

static void test_decoder_zstd_frames_follow_each_other(void **state)
{
	(void)state;
	auto_bytes in = { 0 };
	auto_bytes whole = { 0 };
	for (uint32_t i = 0; i < 20; i++) {
		auto_bytes plain = bytes_text(i % 4 * 400 * i, i);
		if (i % 3 == 0)
			add_skippable(&in, i * 50);
		add_frame(&in, &plain, (int)(i % 19) + 1, i % 2);
		bytes_add(&whole, plain.data, plain.size);
	}
	add_skippable(&in, 0);
	expect(&in, &whole, 0);
}

static void test_decoder_zstd_truncations_are_refused(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(500, 9);
	auto_bytes in = { 0 };
	add_skippable(&in, 10);
	size_t skippable = in.size;
	add_frame(&in, &plain, 3, 1);
	size_t whole = in.size;
	for (in.size = 4; in.size < whole; in.size++) {
		auto_bytes out = { 0 };
		int r = read_all(&out, &in, in.size % 3 + 1, PIECE_BYTES);
		assert_int_equal(r, in.size == skippable ? 0 : -EBADMSG);
	}
	expect(&in, &plain, 0);
	bytes_add(&in, "\0\0\0\0", 4);
	expect(&in, &plain, -EBADMSG);
}

static void test_decoder_zstd_bit_flips_are_seen(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(500, 9);
	auto_bytes in = { 0 };
	add_frame(&in, &plain, 3, 1);
	for (size_t bit = 32; bit < 8 * in.size; bit++) {
		auto_bytes out = { 0 };
		in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int r = read_all(&out, &in, SIZE_MAX, PIECE_BYTES);
		in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* a wider window or an unused bit changes nothing, all else fails */
		assert_true(r == -EBADMSG || (out.size == plain.size &&
					      memcmp(out.data, plain.data, plain.size) == 0));
	}
}

static void test_decoder_zstd_window_has_a_limit(void **state)
{
	/* magic, no flags, window descriptor, then one last raw block of one byte */
	uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, 0, 9, 0, 0, 'x' };
	(void)state;
	for (unsigned log = 10; log <= 41; log++) {
		frame[5] = (uint8_t)((log - 10) << 3);
		const struct bytes in = { .data = frame, .size = sizeof(frame) };
		auto_bytes out = { 0 };
		int r = read_all(&out, &in, SIZE_MAX, PIECE_BYTES);
		assert_int_equal(r, log <= 27 ? 0 : -EBADMSG);
		assert_int_equal(out.size, log <= 27);
	}
}

static void test_decoder_empty_input_is_no_gzip_and_no_zstd(void **state)
{
	static const struct {
		enum codec codec;
		int wanted;
	} cases[] = { { CODEC_NONE, 0 }, { CODEC_GZIP, -EBADMSG }, { CODEC_ZSTD, -EBADMSG } };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(decoder) decoder = NULL;
		uint8_t room[8];
		struct decoder_io io = { .out = room, .out_size = sizeof(room) };
		assert_int_equal(decoder_new(&decoder, cases[i].codec, NULL), 0);
		assert_int_equal(decoder_run(decoder, &io, false, NULL), 0);
		assert_int_equal(decoder_run(decoder, &io, true, NULL), cases[i].wanted);
		assert_int_equal(io.out_size, sizeof(room));
	}
}

static void test_decoder_stream_skips(void **state)
{
	static const size_t steps[] = { 0, 1, 2, 100, 5000, 70000, 131072, 3 };
	(void)state;
	auto_bytes plain = bytes_text(600000, 5);
	auto_bytes gzip = { 0 };
	add_member(&gzip, &plain, &(const struct member){ .level = 6 });
	for (int variant = 0; variant < 6; variant++) {
		const struct bytes *in = variant < 3 ? &plain : &gzip;
		size_t in_bytes = (const size_t[]){ 3, 5000, SIZE_MAX }[variant % 3];
		AUTO(stream)
		s = decoder_stream(stream_of_pieces(in->data, in->size, in_bytes), PIECE_BYTES);
		size_t at = 0;
		for (size_t i = 0; i < 2 * N_ELEMENTS(steps); i++) {
			const void *data = NULL;
			size_t size = 0, step = steps[i % N_ELEMENTS(steps)];
			assert_int_equal(stream_skip(s, step, NULL), 0);
			at += step;
			if (i % 3 == 2)
				continue;
			assert_int_equal(stream_next(s, &data, &size, NULL), 0);
			if (size > 0)
				assert_memory_equal(data, plain.data + at, size);
			at += size;
			if (at == plain.size)
				break;
		}
		assert_int_equal(stream_skip(s, plain.size - at + 1, NULL), -EBADMSG);
	}
}

struct failing {
	struct stream base;
	const struct bytes *first; /* borrowed; lent once, then errors */
	bool done;
};

static int failing_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct failing *f = (struct failing *)stream;
	if (f->done)
		return err_set(err, EAGAIN, "the network is gone");
	f->done = true;
	*data = f->first->data;
	*size = f->first->size;
	return 0;
}

static void failing_free(struct stream *stream)
{
	(void)stream;
}

static void test_decoder_stream_hands_errors_below_on(void **state)
{
	static const struct stream_ops ops = { failing_next, NULL, failing_free };
	(void)state;
	auto_bytes plain = bytes_text(5000, 5);
	auto_bytes gzip = { 0 };
	add_member(&gzip, &plain, &(const struct member){ .level = 6 });
	for (gzip.size = 1; gzip.size < 1000; gzip.size += 13) {
		struct failing below = { { &ops }, &gzip, false };
		AUTO(stream) s = decoder_stream(&below.base, PIECE_BYTES);
		const void *data = NULL;
		size_t size = 0;
		struct err err = { 0 };
		assert_int_equal(stream_next(s, &data, &size, &err), -EAGAIN);
		assert_string_equal(err_text(&err), "the network is gone");
	}
}

static int corpus_verdict(const char *name, const void *data, size_t size, void *arg)
{
	(void)arg;
	auto_bytes in = { 0 };
	auto_bytes out = { 0 };
	bytes_add(&in, data, size);
	int r = read_all(&out, &in, 100, PIECE_BYTES);
	if (r != (str_starts(name, "bad-") ? -EBADMSG : 0))
		fail_msg("%s: %d", name, r);
	return 0;
}

static void test_decoder_corpus_is_as_its_names_say(void **state)
{
	(void)state;
	assert_true(corpus_each("decoder", corpus_verdict, NULL) >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoder_detects_by_magic),
		cmocka_unit_test(test_decoder_stream_reads_each_codec),
		cmocka_unit_test(test_decoder_zstd_frames_follow_each_other),
		cmocka_unit_test(test_decoder_zstd_truncations_are_refused),
		cmocka_unit_test(test_decoder_zstd_bit_flips_are_seen),
		cmocka_unit_test(test_decoder_zstd_window_has_a_limit),
		cmocka_unit_test(test_decoder_empty_input_is_no_gzip_and_no_zstd),
		cmocka_unit_test(test_decoder_stream_skips),
		cmocka_unit_test(test_decoder_stream_hands_errors_below_on),
		cmocka_unit_test(test_decoder_corpus_is_as_its_names_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
