/* Digests: strict parsing, and the published SHA-2 examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/digest.h"

#define ABC_256 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_512                                                                   \
	"sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void test_digest_parse_and_format_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
		enum digest_algorithm algorithm;
	} cases[] = { { ABC_256, "sha256", DIGEST_SHA256 }, { ABC_512, "sha512", DIGEST_SHA512 } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct digest d = { 0 };
		assert_false(digest_known(&d));
		assert_int_equal(digest_parse(&d, cases[i].text, NULL), 0);
		assert_true(digest_known(&d));
		assert_int_equal(d.algorithm, cases[i].algorithm);
		assert_string_equal(digest_show(&d), cases[i].text);
		assert_string_equal(digest_hex(&d).text, cases[i].text + 7);
		assert_string_equal(digest_algorithm_name(&d), cases[i].name);
	}
}

static void test_digest_parse_refuses_what_is_not_one(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"",
		"sha256",
		"sha256:",
		"sha256:ba7816bf",
		ABC_256 "0",
		ABC_256 "\n",
		"SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
		"sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha256:../../../../etc/passwd",
		(" " ABC_256),
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct digest d = { .algorithm = DIGEST_SHA512 }, before = d;
		struct err err = { 0 };
		assert_int_equal(digest_parse(&d, cases[i], &err), -EINVAL);
		assert_memory_equal(&d, &before, sizeof(d));
		assert_non_null(strstr(err_text(&err), "is not a sha256 or sha512 digest"));
	}
	struct digest d;
	assert_int_equal(digest_parse(&d, NULL, NULL), -EINVAL);
}

static void test_digest_error_escapes_the_text(void **state)
{
	(void)state;
	struct digest d;
	struct err err = { 0 };
	assert_int_equal(digest_parse(&d, "sha256:\x1b]0;x", &err), -EINVAL);
	assert_null(strchr(err_text(&err), 0x1b));
}

static void test_digest_of_gives_the_published_values(void **state)
{
	(void)state;
	struct digest d;
	digest_of(&d, DIGEST_SHA256, "abc", 3);
	assert_string_equal(digest_show(&d), ABC_256);
	digest_of(&d, DIGEST_SHA512, "abc", 3);
	assert_string_equal(digest_show(&d), ABC_512);
	digest_of(&d, DIGEST_SHA256, NULL, 0);
	assert_string_equal(
		digest_show(&d),
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, test cases 2 and 6. */
static void test_digest_hmac_gives_the_published_values(void **state)
{
	(void)state;
	struct digest d;
	const char *const data = "what do ya want for nothing?";
	digest_hmac(&d, "Jefe", 4, data, strlen(data));
	assert_string_equal(digest_hex(&d).text, "5bdcc146bf60754e6a042426089575c7"
						 "5a003f089d2739839dec58b964ec3843");
	const char *const more = "Test Using Larger Than Block-Size Key - Hash Key First";
	uint8_t key[131];
	memset(key, 0xaa, sizeof(key));
	digest_hmac(&d, key, sizeof(key), more, strlen(more));
	assert_string_equal(digest_hex(&d).text, "60e431591ee0b67f0d8a26aacbf5b77f"
						 "8e0bc6213728c5140546040f0ee37f54");
}

static void test_digest_hasher_pieces_equal_the_whole(void **state)
{
	(void)state;
	uint8_t data[1000];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	struct digest whole, pieces;
	digest_of(&whole, DIGEST_SHA512, data, sizeof(data));
	AUTO(hasher) h = hasher_new(DIGEST_SHA512);
	for (size_t at = 0, n = 0; at < sizeof(data); at += n) {
		n = at % 7 < sizeof(data) - at ? at % 7 + 1 : sizeof(data) - at;
		hasher_add(h, data + at, n);
	}
	hasher_finish(h, &pieces);
	assert_true(digest_equal(&whole, &pieces));
	hasher_free(NULL);
}

static void test_digest_equal_compares_algorithm_and_bytes(void **state)
{
	(void)state;
	struct digest a, b;
	digest_of(&a, DIGEST_SHA256, "a", 1);
	b = a;
	assert_true(digest_equal(&a, &b));
	b.bytes[31] ^= 1;
	assert_false(digest_equal(&a, &b));
	b = a;
	b.algorithm = DIGEST_SHA512;
	assert_false(digest_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest_parse_and_format_round_trip),
		cmocka_unit_test(test_digest_parse_refuses_what_is_not_one),
		cmocka_unit_test(test_digest_error_escapes_the_text),
		cmocka_unit_test(test_digest_of_gives_the_published_values),
		cmocka_unit_test(test_digest_hmac_gives_the_published_values),
		cmocka_unit_test(test_digest_hasher_pieces_equal_the_whole),
		cmocka_unit_test(test_digest_equal_compares_algorithm_and_bytes),
	};
	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
