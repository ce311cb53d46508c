/* Where blobs lie: what several threads put there, and the table's bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "oci/places.h"

static struct digest digest_number(unsigned i)
{
	struct digest digest;
	digest_of(&digest, DIGEST_SHA256, &i, sizeof(i));
	return digest;
}

static void assert_place(struct places *places, const struct digest *digest, const char *url)
{
	auto_free char *found = places_find(places, digest);
	assert_true(str_equal(found, url));
}

static void test_places_keep_the_newest_url(void **state)
{
	(void)state;
	AUTO(places) places = places_new();
	const struct digest one = digest_number(1), two = digest_number(2);
	assert_place(places, &one, NULL);
	places_put(places, &one, NULL, "a");
	places_put(places, &two, NULL, "x");
	assert_place(places, &one, "a");
	places_put(places, &one, "a", "b");
	places_put(places, &one, "a", NULL); /* too late: another thread has renewed it */
	assert_place(places, &one, "b");
	places_put(places, &one, "b", "b");
	assert_place(places, &one, "b");
	places_put(places, &one, "b", NULL);
	assert_place(places, &one, NULL);
	assert_place(places, &two, "x");
	places_drop(places, &two);
	assert_place(places, &two, NULL);

	assert_false(places_lacks(places, &one));
	assert_true(places_set_lacking(places, &one));
	assert_false(places_set_lacking(places, &one));
	assert_true(places_lacks(places, &one));
	assert_false(places_lacks(places, &two));
}

static void test_places_are_bounded(void **state)
{
	(void)state;
	AUTO(places) places = places_new();
	for (unsigned i = 0; i < 3 * PLACES_MAX + 7; i++) {
		struct digest digest = digest_number(i);
		places_put(places, &digest, NULL, "url");
		assert_place(places, &digest, "url");
	}
	for (unsigned i = 0; i < 3 * PLACES_MAX + 7; i++) {
		struct digest digest = digest_number(i);
		assert_place(places, &digest, i < 2 * PLACES_MAX + 7 ? NULL : "url");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places_keep_the_newest_url),
		cmocka_unit_test(test_places_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
