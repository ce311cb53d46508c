/*
 * SipHash against vectors of its authors: SipHash-2-4 of 00 01 02 ... with the key 00 .. 0f
 * (appendix A of the paper gives the one of 15 bytes, their reference code the others).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/siphash.h"

#define K0 0x0706050403020100ull
#define K1 0x0f0e0d0c0b0a0908ull

static void test_siphash_24_gives_the_published_vectors(void **state)
{
	(void)state;
	static const struct {
		size_t size;
		uint64_t hash;
	} cases[] = {
		{ 0, 0x726fdb47dd0e0e31 },  { 1, 0x74f839c593dc67fd },	{ 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 },  { 9, 0x9e0082df0ba9e4b0 },	{ 15, 0xa129ca6149be45e5 },
		{ 16, 0x3f2acc7f57c29bdb }, { 63, 0x958a324ceb064572 },
	};
	uint8_t data[64];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_true(siphash_keyed(data, cases[i].size, K0, K1, 2, 4) == cases[i].hash);
}

static void test_siphash_13_gives_the_known_vectors(void **state)
{
	(void)state;
	uint8_t data[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	assert_true(siphash_keyed(data, 0, K0, K1, 1, 3) == 0xabac0158050fc4dc);
	assert_true(siphash_keyed(data, 1, K0, K1, 1, 3) == 0xc9f49bf37d57ca93);
	assert_true(siphash_keyed(data, 8, K0, K1, 1, 3) == 0x369095118d299a8e);
}

static void test_siphash_is_steady_within_a_process(void **state)
{
	(void)state;
	assert_true(siphash("etc/passwd", 10) == siphash("etc/passwd", 10));
	assert_true(siphash("etc/passwd", 10) != siphash("etc/passwe", 10));
	assert_true(siphash(NULL, 0) == siphash("", 0));
	/* the key is random: not the one of the vectors */
	assert_true(siphash("", 0) != siphash_keyed("", 0, K0, K1, 1, 3));
	assert_true(siphash("", 0) != siphash_keyed("", 0, 0, 0, 1, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_24_gives_the_published_vectors),
		cmocka_unit_test(test_siphash_13_gives_the_known_vectors),
		cmocka_unit_test(test_siphash_is_steady_within_a_process),
	};
	return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
