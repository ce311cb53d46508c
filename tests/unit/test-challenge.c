/* WWW-Authenticate: which challenges a line holds, and which one is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/challenge.h"

/* Every challenge as "scheme realm service scope error;", "-" for what is absent. */
static char *show(const struct challenges *list)
{
	static const char *const names[] = { "other", "basic", "bearer" };
	struct str out = STR_MAX(65536);
	for (size_t i = 0; i < list->count; i++) {
		const struct challenge *c = &list->items[i];
		str_addf(&out, "%s %s %s %s %s;", names[c->scheme], c->realm ? c->realm : "-",
			 c->service ? c->service : "-", c->scope ? c->scope : "-",
			 c->error ? c->error : "-");
	}
	return str_take(&out);
}

static void test_challenges_add_reads_every_form(void **state)
{
	(void)state;
	static const struct {
		const char *value, *expected;
	} cases[] = {
		{ "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a/b:pull\"",
		  "bearer https://a/t s repository:a/b:pull -;" },
		{ "Bearer realm=\"https://a/t\", error=\"insufficient_scope\"",
		  "bearer https://a/t - - insufficient_scope;" },
		{ "bearer REALM = \"x\" , Service=y", "bearer x y - -;" },
		{ "Basic realm=\"a\"", "basic a - - -;" },
		{ "Basic", "basic - - - -;" },
		{ "Basic, Bearer realm=r", "basic - - - -;bearer r - - -;" },
		{ "Basic realm=\"a, b=\\\"c\\\"\", Bearer realm=\"d\",service=e",
		  "basic a, b=\"c\" - - -;bearer d e - -;" },
		{ "Negotiate abc==, Basic realm=x", "other - - - -;basic x - - -;" },
		{ "Negotiate abc/+==", "other - - - -;" },
		{ "Digest qop=\"auth, auth-int\", realm=z, Bearer realm=q",
		  "other z - - -;bearer q - - -;" },
		{ ", ,Basic realm=a,,", "basic a - - -;" },
		{ "Bearer realm=\"\"", "bearer  - - -;" },
		{ "Bearer realm=a,service=b,service=c", "bearer a b - -;" },
		{ "", "" },
		{ " , ", "" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct challenges list = { 0 };
		assert_int_equal(challenges_add(&list, cases[i].value, NULL), 0);
		auto_free char *shown = show(&list);
		assert_string_equal(shown, cases[i].expected);
		challenges_release(&list);
	}
}

static void test_challenges_add_refuses_what_breaks_the_grammar(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"Bearer realm=\"a",
		"Bearer realm=\"a\\",
		"Bearer realm=\"a\" b=\"c\"",
		"\"Bearer\"",
		"Bearer realm=\"a\"x",
		"Bearer realm=a,realm=b",
		"Bearer realm=\"a\rb\"",
		"Bearer realm=\"a\nSet-Cookie: x\"",
		"Bearer\x01",
		"=",
		"Bearer realm=a;service=b",
		"Bearer abc def",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct challenges list = { 0 };
		struct err err = { 0 };
		assert_int_equal(challenges_add(&list, "Basic realm=kept", NULL), 0);
		assert_int_equal(challenges_add(&list, bad[i], &err), -EPROTO);
		auto_free char *shown = show(&list);
		assert_string_equal(shown, "basic kept - - -;");
		challenges_release(&list);
	}
}

static void test_challenges_add_has_caps(void **state)
{
	(void)state;
	struct challenges list = { 0 };
	auto_str many = STR_MAX(65536);
	for (int i = 0; i < 3 * CHALLENGES_MAX; i++)
		str_addf(&many, "Basic realm=r%d, ", i);
	assert_int_equal(challenges_add(&list, str_text(&many), NULL), 0);
	assert_int_equal(list.count, CHALLENGES_MAX);
	challenges_release(&list);

	auto_str big = STR_MAX(65536);
	str_add(&big, "Bearer realm=\"");
	for (unsigned i = 0; i < CHALLENGE_VALUE_MAX_BYTES; i++)
		str_addc(&big, 'a');
	str_add(&big, "\"");
	assert_int_equal(challenges_add(&list, str_text(&big), NULL), -EPROTO);
	assert_int_equal(list.count, 0);
}

static void test_challenges_choose_prefers_bearer_with_a_realm(void **state)
{
	(void)state;
	static const struct {
		const char *value, *realm;
		enum challenge_scheme scheme;
	} cases[] = {
		{ "Basic realm=a, Bearer realm=b", "b", CHALLENGE_BEARER },
		{ "Bearer realm=a, Basic realm=b", "a", CHALLENGE_BEARER },
		{ "Bearer service=a, Basic realm=b", "b", CHALLENGE_BASIC },
		{ "Bearer realm=a, Bearer realm=b", "a", CHALLENGE_BEARER },
		{ "Negotiate, Digest realm=a", NULL, CHALLENGE_OTHER },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct challenges list = { 0 };
		assert_int_equal(challenges_add(&list, cases[i].value, NULL), 0);
		const struct challenge *chosen = challenges_choose(&list);
		if (!cases[i].realm) {
			assert_null(chosen);
		} else {
			assert_non_null(chosen);
			assert_int_equal(chosen->scheme, cases[i].scheme);
			assert_string_equal(chosen->realm, cases[i].realm);
		}
		challenges_release(&list);
	}
}

static void test_challenge_copy_stands_alone(void **state)
{
	(void)state;
	struct challenges list = { 0 };
	struct challenge copy;
	assert_int_equal(challenges_add(&list, "Bearer realm=a,service=b,scope=c", NULL), 0);
	challenge_copy(&copy, &list.items[0]);
	challenges_release(&list);
	assert_string_equal(copy.realm, "a");
	assert_string_equal(copy.service, "b");
	assert_string_equal(copy.scope, "c");
	assert_null(copy.error);
	challenge_release(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenges_add_reads_every_form),
		cmocka_unit_test(test_challenges_add_refuses_what_breaks_the_grammar),
		cmocka_unit_test(test_challenges_add_has_caps),
		cmocka_unit_test(test_challenges_choose_prefers_bearer_with_a_realm),
		cmocka_unit_test(test_challenge_copy_stands_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
