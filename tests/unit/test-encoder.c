/* Compression: what comes out is what went in, and the same however it was cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/str.h"
#include "codec/encoder.h"

#define LARGE_BYTES (3u << 20)

static int keep(void *arg, const void *data, size_t size, struct err *err)
{
	(void)err;
	str_addn(arg, data, size);
	return 0;
}

static void encode(struct str *out, enum codec codec, const char *data, size_t size, size_t cut)
{
	AUTO(encoder) encoder = NULL;
	const struct encoder_put put = { keep, out };
	assert_int_equal(encoder_new(&encoder, codec, NULL), 0);
	for (size_t at = 0; at < size; at += cut) {
		size_t n = size - at < cut ? size - at : cut;
		assert_int_equal(encoder_run(encoder, data + at, n, false, &put, NULL), 0);
	}
	assert_int_equal(encoder_run(encoder, NULL, 0, true, &put, NULL), 0);
	assert_false(out->failed);
}

/* Something between noise and zeros. */
static char *make(size_t size)
{
	char *data = mem_new(size + 1);
	uint32_t x = 1;
	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = i % 5000 < 3000 ? (char)(x >> 24) : (char)(i >> 10);
	}
	return data;
}

static void test_what_comes_out_is_what_went_in(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 100, 65536, LARGE_BYTES };
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
			auto_free char *data = make(sizes[i]);
			auto_free char *back = NULL;
			size_t size = 0;
			auto_str out = STR_MAX(2 * LARGE_BYTES);
			encode(&out, (enum codec)codec, data, sizes[i], 100000);
			assert_int_equal(codec_detect(out.data, out.length), codec);
			AUTO(stream)
			stream = decoder_stream(stream_of_memory(out.data, out.length), 65536);
			assert_int_equal(
				stream_read_all(stream, 2 * LARGE_BYTES, &back, &size, NULL), 0);
			assert_int_equal(size, sizes[i]);
			assert_memory_equal(back, data, size);
		}
	}
}

static void test_cuts_make_no_difference(void **state)
{
	(void)state;
	static const size_t cuts[] = { LARGE_BYTES, 65536, 99991, 4096, 777 };
	auto_free char *data = make(LARGE_BYTES);
	for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		auto_str first = STR_MAX(2 * LARGE_BYTES);
		encode(&first, (enum codec)codec, data, LARGE_BYTES, 1u << 20);
		for (size_t i = 0; i < N_ELEMENTS(cuts); i++) {
			auto_str out = STR_MAX(2 * LARGE_BYTES);
			encode(&out, (enum codec)codec, data, LARGE_BYTES, cuts[i]);
			assert_int_equal(out.length, first.length);
			assert_memory_equal(out.data, first.data, out.length);
		}
	}
}

static int refuse(void *arg, const void *data, size_t size, struct err *err)
{
	(void)arg;
	(void)data;
	(void)size;
	return err_set(err, ENOSPC, "full");
}

static void test_errors_of_the_taker_pass(void **state)
{
	(void)state;
	auto_free char *data = make(LARGE_BYTES);
	const struct encoder_put put = { refuse, NULL };
	for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		AUTO(encoder) encoder = NULL;
		assert_int_equal(encoder_new(&encoder, (enum codec)codec, NULL), 0);
		assert_int_equal(encoder_run(encoder, data, LARGE_BYTES, true, &put, NULL),
				 -ENOSPC);
	}
	AUTO(encoder) none = NULL;
	assert_int_equal(encoder_new(&none, CODEC_NONE, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_comes_out_is_what_went_in),
		cmocka_unit_test(test_cuts_make_no_difference),
		cmocka_unit_test(test_errors_of_the_taker_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
