/* JSON: what is refused and where, what values say of themselves, and the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static struct json *parse(const char *text)
{
	struct json *json = NULL;
	struct err err = { 0 };
	if (json_parse(&json, text, strlen(text), 0, &err) < 0)
		fail_msg("%s: %s", text, err_text(&err));
	return json;
}

static void test_json_parse_refuses_what_is_not_json(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "line 1, column 1: it ends too early" },
		{ " \n ", "line 2, column 2: it ends too early" },
		{ "{\"a\":\n  nul}", "line 2, column 3: expected a value" },
		{ "[1,]", "line 1, column 4: expected a value" },
		{ "[1 2]", "line 1, column 4: expected ',' or ']'" },
		{ "{\"a\" 1}", "line 1, column 6: expected ':'" },
		{ "{\"a\":1 \"b\"}", "line 1, column 8: expected ',' or '}'" },
		{ "{\"a\":1,}", "line 1, column 8: expected a key in quotes" },
		{ "{a:1}", "line 1, column 2: expected a key in quotes" },
		{ "'a'", "line 1, column 1: expected a value" },
		{ "NaN", "line 1, column 1: expected a value" },
		{ "-Infinity", "line 1, column 2: expected a value" },
		{ "// no", "line 1, column 1: expected a value" },
		{ "+1", "line 1, column 1: expected a value" },
		{ ".5", "line 1, column 1: expected a value" },
		{ "1.x", "line 1, column 3: expected a digit" },
		{ "1e", "line 1, column 3: it ends too early" },
		{ "01", "offset 1: something follows the value" },
		{ "True", "line 1, column 1: expected a value" },
		{ "{} {}", "offset 3: something follows the value" },
		{ "\"a\nb\"", "line 1, column 3: a control character in a string" },
		{ "\"\\x\"", "line 1, column 3: unknown escape" },
		{ "\"\\u12g4\"", "line 1, column 6: expected four hexadecimal digits" },
		{ "\"\xff\"", "line 1, column 2: invalid UTF-8" },
		{ "\"\xc0\x80\"", "line 1, column 2: invalid UTF-8" },
		{ "\"\xed\xa0\x80\"", "line 1, column 2: invalid UTF-8" },
		{ "\xef\xbb\xbf{}", "line 1, column 1: expected a value" },
		{ "18446744073709551616", "line 1, column 1: a whole number of more than 64 bits" },
		{ "[-9223372036854775809]",
		  "line 1, column 2: a whole number of more than 64 bits" },
		{ "{\"a\\u0000\":1}", "line 1, column 2: a NUL in a key" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct json *json = NULL;
		struct err err = { 0 };
		const char *text = cases[i].text;
		assert_int_equal(json_parse(&json, text, strlen(text), 0, &err), -EBADMSG);
		assert_string_equal(err_text(&err), cases[i].message);
		assert_null(json);
	}
}

static void test_json_parse_refuses_a_nul_behind_the_value(void **state)
{
	(void)state;
	struct json *json = NULL;
	assert_int_equal(json_parse(&json, "{}\0", 3, 0, NULL), -EBADMSG);
	assert_int_equal(json_parse(&json, "1\0", 2, 0, NULL), -EBADMSG);
	assert_null(json);
}

static void test_json_parse_refuses_keys_twice_at_two_levels(void **state)
{
	(void)state;
	static const struct {
		const char *text, *key;
	} cases[] = {
		{ "{\"a\":1,\"b\":2,\"a\":3}", "key 'a': line 1, column 14:" },
		{ "{\"a\":1,\"\\u0061\":2}", "key 'a': line 1, column 8:" },
		{ "{\"source\":{\"x\":1,\n\"x\":1}}", "key 'x': line 2, column 1:" },
		{ "{\"layers\":[{},{\"digest\":1,\"digest\":2}]}", "key 'digest'" },
		{ "[{\"x\":{},\"y\":[{\"z\":1}],\"x\":0}]", "key 'x'" },
		{ "{\"\\ud800\":1,\"\\udfff\":2}", "key '\xef\xbf\xbd'" },
		{ "{\"\":1,\"\":2}", "key ''" },
		{ "{\"x\":{\"y\":1},\"z\":{\"k\":1,\"k\":2}}", "key 'k'" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct json *json = NULL;
		struct err err = { 0 };
		const char *text = cases[i].text;
		assert_int_equal(json_parse(&json, text, strlen(text), 0, &err), -EBADMSG);
		assert_true(str_starts(err_text(&err), cases[i].key));
		assert_true(str_ends(err_text(&err), "a key is there twice"));
	}
	AUTO(json)
	deep = parse("{\"a\":{\"b\":{\"c\":1,\"c\":2}},\"b\":{\"a\":1},\"c\":{\"a\":1}}");
	assert_int_equal(json_count(json_root(deep)), 3);
}

static void test_json_parse_limits_the_depth(void **state)
{
	(void)state;
	char text[2 * (JSON_DEPTH_MAX + 1) + 1] = "";
	for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		struct json *json = NULL;
		int r = json_parse(&json, text, 2 * depth, 0, NULL);
		assert_int_equal(r, depth == JSON_DEPTH_MAX ? 0 : -E2BIG);
		json_free(json);
	}
}

static void test_json_parse_limits_the_values(void **state)
{
	(void)state;
	static const struct {
		const char *item;
		size_t most;
	} cases[] = { { "{}", JSON_NESTS_MAX - 1 }, { "0", JSON_VALUES_MAX - 1 } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		for (size_t more = 0; more < 2; more++) {
			auto_str text = STR_MAX(4u << 20);
			str_addc(&text, '[');
			for (size_t n = 0; n < cases[i].most + more; n++)
				str_addf(&text, "%s%s", n ? "," : "", cases[i].item);
			str_addc(&text, ']');
			AUTO(json) json = NULL;
			assert_int_equal(json_parse(&json, text.data, text.length, 0, NULL),
					 more ? -E2BIG : 0);
		}
	}
}

static void test_json_trailing_text_is_allowed_when_asked(void **state)
{
	(void)state;
	static const char *const cases[] = { "{\"a\":1} {\"b\":2}", "{\"a\":1}\n\xff",
					     "{\"a\":1}]" };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct json *json = NULL;
		size_t size = strlen(cases[i]);
		assert_int_equal(json_parse(&json, cases[i], size, 0, NULL), -EBADMSG);
		assert_int_equal(json_parse(&json, cases[i], size, JSON_ALLOW_TRAILING, NULL), 0);
		assert_non_null(json_get(json_root(json), "a"));
		json_free(json);
	}
}

static void test_json_values_know_their_type(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum json_type type;
		const char *name, *scalar;
	} cases[] = {
		{ "null", JSON_NULL, "null", NULL },
		{ "true", JSON_BOOL, "true or false", "true" },
		{ "42", JSON_NUMBER, "a number", "42" },
		{ "42.10", JSON_NUMBER, "a number", "42.10" },
		{ "-1E3", JSON_NUMBER, "a number", "-1E3" },
		{ "\"x\"", JSON_STRING, "a string", "x" },
		{ "[]", JSON_ARRAY, "an array", NULL },
		{ "{}", JSON_OBJECT, "an object", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(json) json = parse(cases[i].text);
		const struct json_value *root = json_root(json);
		assert_non_null(root);
		assert_int_equal(json_type(root), cases[i].type);
		assert_string_equal(json_type_name(root), cases[i].name);
		auto_free char *text = json_scalar_text(root);
		assert_true(str_equal(text, cases[i].scalar));
		assert_int_equal(json_string(root) != NULL, cases[i].type == JSON_STRING);
	}
	assert_int_equal(json_type(NULL), JSON_NULL);
	assert_string_equal(json_type_name(NULL), "null");
}

static void test_json_string_resolves_escapes_and_refuses_nul(void **state)
{
	(void)state;
	static const struct {
		const char *text, *string;
	} cases[] = {
		{ "\"\"", "" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"caf\\u00e9 \\uD83D\\uDC27\"", "caf\xc3\xa9 \xf0\x9f\x90\xa7" },
		{ "\"caf\xc3\xa9 \xf0\x9f\x90\xa7\"", "caf\xc3\xa9 \xf0\x9f\x90\xa7" },
		{ "\"\\ud800x\"", "\xef\xbf\xbdx" },
		{ "\"a\\u0000b\"", NULL },
		{ "\"\\u0000\"", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(json) json = parse(cases[i].text);
		assert_true(str_equal(json_string(json_root(json)), cases[i].string));
		auto_free char *text = json_scalar_text(json_root(json));
		assert_true(str_equal(text, cases[i].string));
	}
}

static void test_json_u64_takes_whole_numbers_only(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool ok;
		uint64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-1", false, 0 },
		{ "9223372036854775808", true, 9223372036854775808u },
		{ "1.0", false, 0 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "1e3", false, 0 },
		{ "\"1\"", false, 0 },
		{ "true", false, 0 },
		{ "null", false, 0 },
		{ "-9223372036854775808", false, 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(json) json = parse(cases[i].text);
		uint64_t value = 77;
		assert_int_equal(json_u64(json_root(json), &value), cases[i].ok);
		assert_true(value == (cases[i].ok ? cases[i].value : 77));
	}
	bool yes = false;
	AUTO(json) t = parse("true");
	assert_true(json_bool(json_root(t), &yes));
	assert_true(yes);
	AUTO(json) one = parse("1");
	assert_false(json_bool(json_root(one), &yes));
}

static void test_json_members_come_in_their_order(void **state)
{
	(void)state;
	AUTO(json) json = parse("{\"z\":1,\"a\":null,\"m\":[true,\"x\"]}");
	const struct json_value *root = json_root(json);
	auto_str keys = STR_MAX(100);
	for (json_member(m, root))
		str_addf(&keys, "%s=%s ", m.key, json_type_name(m.value));
	assert_string_equal(str_text(&keys), "z=a number a=null m=an array ");
	assert_int_equal(json_count(root), 3);
	assert_null(json_get(root, "a"));
	assert_null(json_get(root, "A"));
	const struct json_value *list = json_get(root, "m");
	assert_int_equal(json_count(list), 2);
	assert_string_equal(json_string(json_at(list, 1)), "x");
	assert_null(json_at(list, 2));
	assert_null(json_at(root, 0));
	assert_null(json_get(list, "z"));
	assert_null(json_get(NULL, "z"));
	assert_int_equal(json_count(NULL), 0);
	for (json_member(m, list))
		fail_msg("an array has no member '%s'", m.key);
	AUTO(json) empty = parse("{}");
	for (json_member(m, json_root(empty)))
		fail_msg("an empty object has no member '%s'", m.key);
}

static void test_json_writer_escapes_as_go_does(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "\"\"" },
		{ "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
		{ "<script>&amp;", "\"\\u003cscript\\u003e\\u0026amp;\"" },
		{ "\n\r\t\b\x1f\x7f", "\"\\n\\r\\t\\u0008\\u001f\x7f\"" },
		{ "\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\"" },
		{ "a\xff\xc3(", "\"a\\ufffd\\ufffd(\"" },
		{ "caf\xc3\xa9", "\"caf\xc3\xa9\"" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str out = STR_MAX(200);
		json_add_string(&out, cases[i].in);
		assert_string_equal(str_text(&out), cases[i].out);
	}
}

static void test_json_writer_keeps_order_and_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ " { \"b\" : [ 1.50 , -2 , 1e9 ] , \"a\" : { } , \"c\" : [ ] } ",
		  "{\"b\":[1.50,-2,1e9],\"a\":{},\"c\":[]}" },
		{ "[null,true,false,\"a\\u0000b\\/\"]", "[null,true,false,\"a\\u0000b/\"]" },
		{ "null", "null" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(json) json = parse(cases[i].in);
		auto_str out = STR_MAX(200);
		json_add_value(&out, json_root(json));
		assert_string_equal(str_text(&out), cases[i].out);
		AUTO(json) again = parse(str_text(&out));
		auto_str twice = STR_MAX(200);
		json_add_value(&twice, json_root(again));
		assert_string_equal(str_text(&twice), str_text(&out));
	}
	auto_str none = STR_MAX(10);
	json_add_value(&none, NULL);
	assert_string_equal(str_text(&none), "null");
}

/* 200 000 keys: anything quadratic would run into the test's timeout. */
static void test_json_many_keys_take_no_square_time(void **state)
{
	(void)state;
	auto_str text = STR_MAX(8u << 20);
	str_addc(&text, '{');
	for (int i = 0; i < 200000; i++)
		str_addf(&text, "\"key-%d\":1,", i);
	str_add(&text, "\"last\":1}");
	assert_false(text.failed);
	AUTO(json) json = parse(str_text(&text));
	assert_int_equal(json_count(json_root(json)), 200001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_parse_refuses_what_is_not_json),
		cmocka_unit_test(test_json_parse_refuses_a_nul_behind_the_value),
		cmocka_unit_test(test_json_parse_refuses_keys_twice_at_two_levels),
		cmocka_unit_test(test_json_parse_limits_the_depth),
		cmocka_unit_test(test_json_parse_limits_the_values),
		cmocka_unit_test(test_json_trailing_text_is_allowed_when_asked),
		cmocka_unit_test(test_json_values_know_their_type),
		cmocka_unit_test(test_json_string_resolves_escapes_and_refuses_nul),
		cmocka_unit_test(test_json_u64_takes_whole_numbers_only),
		cmocka_unit_test(test_json_members_come_in_their_order),
		cmocka_unit_test(test_json_writer_escapes_as_go_does),
		cmocka_unit_test(test_json_writer_keeps_order_and_numbers),
		cmocka_unit_test(test_json_many_keys_take_no_square_time),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
