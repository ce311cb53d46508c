/* The image configuration: what is kept, what is passed over, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "oci/config.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]}"

static int parse(struct config *out, const char *text, struct err *err)
{
	return config_parse(out, text, strlen(text), err);
}

static void test_parse_keeps_what_runs(void **state)
{
	(void)state;
	auto_config c = { 0 };
	assert_int_equal(
		parse(&c,
		      "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\","
		      "\"created\":\"2020-01-02T03:04:05Z\",\"history\":[{\"empty_layer\":7}]"
		      "," ROOTFS
		      ",\"config\":{\"Env\":[\"PATH=/bin\",\"E=\"],\"Entrypoint\":[],\"Cmd\":null,"
		      "\"User\":\"33:33\",\"WorkingDir\":\"/w\",\"ExposedPorts\":{\"1/tcp\":{}},"
		      "\"Labels\":{\"b\":\"2\",\"a\":\"1\",\"B\":\"\",\"\xc3\xa4\":\"3\"}}}",
		      NULL),
		0);
	assert_string_equal(platform_format(&c.platform).text, "linux/arm64/v8");
	assert_string_equal(c.created, "2020-01-02T03:04:05Z");
	assert_int_equal(c.diff_id_count, 1);
	assert_string_equal(digest_show(&c.diff_ids[0]), "sha256:" HEX);
	assert_int_equal(c.env.count, 2);
	assert_string_equal(c.env.items[1], "E=");
	assert_true(c.entrypoint.present && c.entrypoint.count == 0);
	assert_false(c.cmd.present);
	assert_string_equal(c.user, "33:33");
	assert_string_equal(c.working_dir, "/w");
	static const char *const keys[] = { "B", "a", "b", "\xc3\xa4" };
	assert_int_equal(c.label_count, N_ELEMENTS(keys));
	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		assert_string_equal(c.labels[i].key, keys[i]);
	assert_string_equal(c.labels[1].value, "1");
}

static void test_parse_tolerates_what_is_absent(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{" ROOTFS "}",
		"{" ROOTFS ",\"config\":null,\"created\":null,\"os\":null}",
		"{" ROOTFS ",\"config\":{\"Env\":null,\"Labels\":null,\"User\":\"\"}}",
	};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		auto_config c = { 0 };
		assert_int_equal(parse(&c, texts[i], NULL), 0);
		assert_string_equal(c.platform.os, "");
		assert_string_equal(c.user, "");
		assert_string_equal(c.working_dir, "");
		assert_null(c.created);
		assert_false(c.env.present);
		assert_int_equal(c.label_count, 0);
	}
}

static void test_parse_takes_no_layers(void **state)
{
	(void)state;
	static const char *const texts[] = { "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}",
					     "{\"rootfs\":{\"diff_ids\":null}}" };
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		auto_config c = { 0 };
		assert_int_equal(parse(&c, texts[i], NULL), 0);
		assert_int_equal(c.diff_id_count, 0);
	}
}

static void test_parse_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int code;
		const char *says;
	} cases[] = {
		{ "", EBADMSG, "image config" },
		{ "[]", EBADMSG, "not an object" },
		{ "{}", EBADMSG, "no 'rootfs.diff_ids'" },
		{ "{\"rootfs\":null}", EBADMSG, "no 'rootfs.diff_ids'" },
		{ "{\"rootfs\":[]}", EBADMSG, "no 'rootfs.diff_ids'" },
		{ "{\"rootfs\":{\"type\":\"layers\"}}", EBADMSG, "no 'rootfs.diff_ids'" },
		{ "{\"rootfs\":{\"type\":\"tree\",\"diff_ids\":[]}}", EBADMSG, "'rootfs.type'" },
		{ "{\"rootfs\":{\"diff_ids\":{}}}", EBADMSG, "not an array" },
		{ "{\"rootfs\":{\"diff_ids\":[null]}}", EBADMSG, "diff_id 1" },
		{ "{\"rootfs\":{\"diff_ids\":[\"md5:x\"]}}", EBADMSG, "diff_id 1" },
		{ "{" ROOTFS "," ROOTFS "}", EBADMSG, "twice" },
		{ "{" ROOTFS ",\"config\":[]}", EBADMSG, "'config'" },
		{ "{" ROOTFS ",\"config\":{\"Env\":\"A=b\"}}", EBADMSG, "'Env'" },
		{ "{" ROOTFS ",\"config\":{\"Env\":[null]}}", EBADMSG, "'Env'" },
		{ "{" ROOTFS ",\"config\":{\"Env\":[\"a\\u0000b\"]}}", EBADMSG, "'Env'" },
		{ "{" ROOTFS ",\"config\":{\"Env\":[\"x\",\"a\\nb=c\"]}}", EBADMSG, "newline" },
		{ "{" ROOTFS ",\"config\":{\"Cmd\":[1]}}", EBADMSG, "'Cmd'" },
		{ "{" ROOTFS ",\"config\":{\"Entrypoint\":\"/x\"}}", EBADMSG, "'Entrypoint'" },
		{ "{" ROOTFS ",\"config\":{\"User\":0}}", EBADMSG, "'User'" },
		{ "{" ROOTFS ",\"config\":{\"WorkingDir\":[]}}", EBADMSG, "'WorkingDir'" },
		{ "{" ROOTFS ",\"config\":{\"Labels\":[]}}", EBADMSG, "'Labels'" },
		{ "{" ROOTFS ",\"config\":{\"Labels\":{\"\\u001b\":1}}}", EBADMSG, "'\\x1b'" },
		{ "{" ROOTFS ",\"os\":7}", EBADMSG, "'os'" },
		{ "{" ROOTFS ",\"architecture\":\"01234567890123456789012345678901\"}", EBADMSG,
		  "architecture" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct config c;
		struct err err = { 0 };
		int r = parse(&c, cases[i].text, &err);
		if (r != -cases[i].code || !strstr(err_text(&err), cases[i].says))
			fail_msg("%s: %d, %s", cases[i].text, r, err_text(&err));
	}
}

static void test_parse_keeps_newlines_out_of_env_only(void **state)
{
	(void)state;
	auto_config c = { 0 };
	assert_int_equal(parse(&c,
			       "{" ROOTFS ",\"config\":{\"Cmd\":[\"sh\",\"-c\",\"a\\nb\"],"
			       "\"Labels\":{\"l\":\"a\\nb\"}}}",
			       NULL),
			 0);
	assert_string_equal(c.cmd.items[2], "a\nb");
}

static void test_history_finds_the_step_of_a_layer(void **state)
{
	(void)state;
	auto_config c = { 0 };
	assert_int_equal(parse(&c,
			       "{" ROOTFS ",\"history\":[{\"created_by\":\"ENV a=b\","
			       "\"empty_layer\":true},7,{\"created_by\":\"COPY . /\","
			       "\"created\":\"2020-01-02T03:04:05Z\",\"comment\":3}]}",
			       NULL),
			 0);
	assert_int_equal(c.history_count, 2);
	assert_true(c.history[0].empty_layer);
	assert_null(c.history[0].created);
	const struct config_step *step = config_layer_step(&c, 0);
	assert_ptr_equal(step, &c.history[1]);
	assert_string_equal(step->created_by, "COPY . /");
	assert_string_equal(step->created, "2020-01-02T03:04:05Z");
	assert_string_equal(step->comment, "");
	assert_null(config_layer_step(&c, 1));
}

static void test_history_of_another_count_says_nothing_of_layers(void **state)
{
	(void)state;
	auto_config c = { 0 };
	assert_int_equal(parse(&c, "{" ROOTFS ",\"history\":[{},{}]}", NULL), 0);
	assert_int_equal(c.history_count, 2);
	assert_null(config_layer_step(&c, 0));
	auto_config none = { 0 };
	assert_int_equal(parse(&none, "{" ROOTFS ",\"history\":\"x\"}", NULL), 0);
	assert_int_equal(none.history_count, 0);
	assert_null(config_layer_step(&none, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_keeps_what_runs),
		cmocka_unit_test(test_parse_tolerates_what_is_absent),
		cmocka_unit_test(test_parse_takes_no_layers),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_keeps_newlines_out_of_env_only),
		cmocka_unit_test(test_history_finds_the_step_of_a_layer),
		cmocka_unit_test(test_history_of_another_count_says_nothing_of_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
