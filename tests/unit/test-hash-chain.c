/* A stream hashed in parts: the same digest, and each part held against its two places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hash-chain.h"

#define STREAM_BYTES 1000u

static void fill(uint8_t *data)
{
	for (size_t i = 0; i < STREAM_BYTES; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
}

static void place_behind(struct hash_place *out, const struct hash_place *from, const void *data,
			 size_t size)
{
	AUTO(hash_chain) chain = hash_chain_new(from);
	hash_chain_add(chain, data, size);
	hash_chain_place(chain, out);
}

static void test_chain_gives_the_digest_from_every_place(void **state)
{
	(void)state;
	uint8_t data[STREAM_BYTES];
	struct digest whole, digest;
	fill(data);
	digest_of(&whole, DIGEST_SHA256, data, sizeof(data));
	for (size_t at = 0; at <= STREAM_BYTES; at++) {
		struct hash_place place;
		place_behind(&place, NULL, data, at);
		assert_int_equal(place.size, at);
		assert_memory_equal(place.rest, data + at / 64 * 64, at % 64);
		AUTO(hash_chain) chain = hash_chain_new(&place);
		hash_chain_add(chain, data + at, sizeof(data) - at);
		hash_chain_finish(chain, &digest);
		assert_true(digest_equal(&digest, &whole));
	}
}

static void test_chain_sees_each_changed_byte(void **state)
{
	(void)state;
	enum { FROM = 130, TO = 330 };
	uint8_t data[STREAM_BYTES];
	struct hash_place from, to, found;
	fill(data);
	place_behind(&from, NULL, data, FROM);
	place_behind(&to, NULL, data, TO);
	place_behind(&found, &from, data + FROM, TO - FROM);
	assert_true(hash_place_equal(&found, &to));
	for (size_t at = FROM; at < TO; at++) {
		data[at] ^= 1;
		place_behind(&found, &from, data + FROM, TO - FROM);
		assert_false(hash_place_equal(&found, &to));
		data[at] ^= 1;
	}
	place_behind(&found, &from, data + FROM, TO - FROM - 1);
	assert_false(hash_place_equal(&found, &to));
}

/* Sizes are counted in bits of two words. */
static void test_chain_counts_beyond_32_bits(void **state)
{
	(void)state;
	struct hash_place place = { .size = (UINT64_C(5) << 32) + 3, .rest = "abc" };
	struct hash_place found;
	place_behind(&found, &place, "", 0);
	assert_true(hash_place_equal(&found, &place));
	place_behind(&found, &place, "defg", 4);
	assert_int_equal(found.size, (UINT64_C(5) << 32) + 7);
	assert_string_equal((const char *)found.rest, "abcdefg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_gives_the_digest_from_every_place),
		cmocka_unit_test(test_chain_sees_each_changed_byte),
		cmocka_unit_test(test_chain_counts_beyond_32_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
