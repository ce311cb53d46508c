/*
 * gzip by ISA-L and by zlib: the same verdict and the same bytes for the same input, however it is
 * fed.  (Built without ISA-L, zlib is compared with itself and the wanted verdicts remain.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "codec/gzip.h"
#include "tests/unit/corpus.h"
#include "tests/unit/gzip-build.h"

#define OUT_MAX_BYTES ((size_t)8 << 20)

struct feed {
	size_t in_bytes, out_bytes;
};

/* Decode as decoder.h prescribes; each piece of input and of output is a buffer of its own. */
static int decode(struct bytes *out, const struct gzip_inflate *inflate, const struct bytes *in,
		  struct feed feed)
{
	AUTO(decoder) decoder = gzip_decoder_new(inflate);
	size_t at = 0;
	auto_free uint8_t *room = mem_new(feed.out_bytes);
	for (;;) {
		size_t n = in->size - at < feed.in_bytes ? in->size - at : feed.in_bytes;
		bool last = n == 0;
		auto_free uint8_t *piece = mem_copy(in->data + at, n);
		struct decoder_io io = { .in = piece, .in_size = n };
		at += n;
		do {
			io.out = room;
			io.out_size = feed.out_bytes;
			struct err err = { 0 };
			int r = decoder_run(decoder, &io, last, &err);
			bytes_add(out, room, feed.out_bytes - io.out_size);
			if (r < 0)
				return assert_int_equal(err.code, r), r;
			assert_true(out->size <= OUT_MAX_BYTES);
		} while (io.in_size > 0 || io.out_size == 0);
		if (last)
			return 0;
	}
}

/* Both libraries, several ways of feeding: one verdict, and equal bytes when it is good. */
static int verdict(const struct bytes *in, struct bytes *out, bool slowly)
{
	static const struct feed feeds[] = {
		{ SIZE_MAX, 1 << 16 }, { 4096, 40000 }, { 1, 1 << 16 }, { 7, 3 }, { 1 << 17, 1 },
	};
	int wanted = decode(out, &gzip_inflate_zlib, in, feeds[0]);
	for (size_t i = 0; i < (slowly ? N_ELEMENTS(feeds) : 2); i++) {
		auto_bytes a = { 0 };
		auto_bytes b = { 0 };
		assert_int_equal(decode(&a, gzip_inflate_best, in, feeds[i]), wanted);
		assert_int_equal(decode(&b, &gzip_inflate_zlib, in, feeds[i]), wanted);
		if (wanted < 0)
			continue;
		assert_int_equal(a.size, out->size);
		assert_int_equal(b.size, out->size);
		assert_memory_equal(a.data, out->data, out->size);
		assert_memory_equal(b.data, out->data, out->size);
	}
	return wanted;
}

static void expect_good(const struct bytes *in, const struct bytes *plain)
{
	auto_bytes out = { 0 };
	bytes_add(&out, "", 0);
	assert_int_equal(verdict(in, &out, in->size < 20000), 0);
	assert_int_equal(out.size, plain->size);
	assert_memory_equal(out.data, plain->data, plain->size);
}

static void expect_bad(const struct bytes *in)
{
	auto_bytes out = { 0 };
	bytes_add(&out, "", 0);
	assert_int_equal(verdict(in, &out, in->size < 20000), -EBADMSG);
}

static void test_gzip_members_of_every_kind_are_read(void **state)
{
	static const struct member members[] = {
		{ .level = 6 },
		{ .level = 0 },
		{ .level = 1 },
		{ .level = 9 },
		{ .level = 6, .strategy = Z_FIXED },
		{ .level = 6, .strategy = Z_HUFFMAN_ONLY },
		{ .level = 6, .strategy = Z_RLE },
		{ .level = 6, .flush = Z_SYNC_FLUSH, .chunk_bytes = 131072 }, /* as pigz */
		{ .level = 6, .flush = Z_FULL_FLUSH, .chunk_bytes = 100 },
		{ .level = 6, .flags = 1 },
		{ .level = 6, .flags = 2 },
		{ .level = 6, .flags = 8, .field_bytes = 9 },
		{ .level = 6, .flags = 31, .field_bytes = 0 },
		{ .level = 6, .flags = 31, .field_bytes = 65535 },
		{ .level = 6, .flags = 26, .field_bytes = 1 << 20 },
	};
	static const size_t sizes[] = { 0, 1, 31, 5000, 65536, 400000 };
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(members); i++)
		for (size_t k = 0; k < N_ELEMENTS(sizes); k++) {
			auto_bytes plain = bytes_text(sizes[k], (uint32_t)(i + k));
			auto_bytes in = { 0 };
			add_member(&in, &plain, &members[i]);
			expect_good(&in, &plain);
		}
}

static void test_gzip_many_members_are_one_stream(void **state)
{
	(void)state;
	auto_bytes in = { 0 };
	auto_bytes whole = { 0 };
	for (uint32_t i = 0; i < 100; i++) {
		auto_bytes plain = bytes_text(i % 7 * i * 3, i);
		const struct member m = { .level = (int)(i % 10),
					  .flags = (uint8_t)(i % 32),
					  .field_bytes = i };
		add_member(&in, &plain, &m);
		bytes_add(&whole, plain.data, plain.size);
	}
	expect_good(&in, &whole);
	bytes_add_zeros(&in, 10000);
	expect_good(&in, &whole);
}

static void test_gzip_zeros_behind_are_fine_but_nothing_else(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
		{ "x", 1 },
		{ "\0\0x", 3 },
		{ "\0\x1f\x8b\x08", 4 },
		{ "\x1f", 1 },
		{ "\x1f\x8b\x08", 3 },
		{ "\x1f\x8c", 2 },
		{ "\x1f\x8b\x08\0\0\0\0\0\0\0", 10 },
		{ "garbage of more bytes", 21 },
	};
	(void)state;
	auto_bytes plain = bytes_text(3000, 1);
	auto_bytes good = { 0 };
	add_member(&good, &plain, &(const struct member){ .level = 6 });
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_bytes in = { 0 };
		bytes_add(&in, good.data, good.size);
		bytes_add(&in, cases[i].bytes, cases[i].size);
		expect_bad(&in);
	}
	for (size_t n = 1; n < 20; n++) {
		bytes_add_zeros(&good, n);
		expect_good(&good, &plain);
	}
	add_member(&good, &plain, &(const struct member){ .level = 6 });
	expect_bad(&good);
}

static void test_gzip_bad_headers_are_refused(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(3000, 1);
	const struct member bad_crc = {
		.level = 6, .flags = 31, .field_bytes = 5, .bad_header_crc = true
	};
	auto_bytes crc = { 0 };
	add_member(&crc, &plain, &bad_crc);
	expect_bad(&crc);
	for (size_t bit = 0; bit < 32; bit++) {
		auto_bytes in = { 0 };
		add_member(&in, &plain, &(const struct member){ .level = 6 });
		in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (bit == 24) /* FTEXT means nothing to a reader */
			expect_good(&in, &plain);
		else
			expect_bad(&in);
	}
}

static void test_gzip_each_truncation_is_refused(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(600, 3);
	auto_bytes in = { 0 };
	add_member(&in, &plain,
		   &(const struct member){ .level = 6, .flags = 31, .field_bytes = 4 });
	size_t first = in.size;
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	size_t whole = in.size;
	for (in.size = 0; in.size < whole; in.size++)
		if (in.size == first)
			expect_good(&in, &plain);
		else
			expect_bad(&in);
}

/* Not every flip is an error (mtime, name); what counts is that both libraries say the same. */
static void test_gzip_each_bit_flip_has_one_verdict(void **state)
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
		for (size_t bit = 0; bit < 8 * in.size; bit++) {
			auto_bytes out = { 0 };
			in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			int r = verdict(&in, &out, false);
			in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (r < 0)
				continue;
			assert_int_equal(out.size, plain.size);
			assert_memory_equal(out.data, plain.data, plain.size);
		}
	}
}

static void test_gzip_wrong_trailers_are_refused(void **state)
{
	(void)state;
	auto_bytes plain = bytes_text(100000, 4);
	auto_bytes in = { 0 };
	add_member(&in, &plain, &(const struct member){ .level = 6 });
	for (size_t bit = 0; bit < 64; bit++) {
		uint8_t *at = in.data + in.size - 8 + bit / 8;
		*at ^= (uint8_t)(1u << bit % 8);
		expect_bad(&in);
		*at ^= (uint8_t)(1u << bit % 8);
	}
	expect_good(&in, &plain);
}

static void test_gzip_deflate_that_looks_back_too_far_is_refused(void **state)
{
	/* a fixed block: literal 'a', then three bytes from 1 or from 4 back; end */
	static const uint8_t near[] = { 0x4b, 0x04, 0x02, 0x00 };
	static const uint8_t far[] = { 0x4b, 0x04, 0x62, 0x00 };
	(void)state;
	for (int i = 0; i < 2; i++) {
		auto_bytes plain = { 0 };
		auto_bytes in = { 0 };
		bytes_add(&plain, "aaaa", 4);
		bytes_add(&in, (uint8_t[]){ 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 }, 10);
		bytes_add(&in, i ? far : near, sizeof(near));
		bytes_add_le32(&in, (uint32_t)crc32(0, plain.data, 4));
		bytes_add_le32(&in, 4);
		if (i)
			expect_bad(&in);
		else
			expect_good(&in, &plain);
	}
}

static int compare_file(const char *name, const void *data, size_t size, void *arg)
{
	(void)arg;
	auto_bytes in = { 0 };
	auto_bytes out = { 0 };
	bytes_add(&in, data, size);
	bool good = strncmp(name, "bad-", 4) != 0;
	int r = verdict(&in, &out, size < 20000);
	if (strstr(name, ".gz"))
		assert_int_equal(r, good ? 0 : -EBADMSG);
	return 0;
}

static void test_gzip_corpus_has_one_verdict(void **state)
{
	(void)state;
	assert_true(corpus_each("decoder", compare_file, NULL) >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gzip_members_of_every_kind_are_read),
		cmocka_unit_test(test_gzip_many_members_are_one_stream),
		cmocka_unit_test(test_gzip_zeros_behind_are_fine_but_nothing_else),
		cmocka_unit_test(test_gzip_bad_headers_are_refused),
		cmocka_unit_test(test_gzip_each_truncation_is_refused),
		cmocka_unit_test(test_gzip_each_bit_flip_has_one_verdict),
		cmocka_unit_test(test_gzip_wrong_trailers_are_refused),
		cmocka_unit_test(test_gzip_deflate_that_looks_back_too_far_is_refused),
		cmocka_unit_test(test_gzip_corpus_has_one_verdict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
