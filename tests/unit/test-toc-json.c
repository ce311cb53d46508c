/* The JSON of tables of contents: cut into entries however it comes, and each entry's members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "layer/feed.h"
#include "layer/jtoc.h"
#include "layer/toc-json.h"
#include "tests/unit/pieces.h"

static int list(void *arg, const struct json_value *value, struct err *err)
{
	struct str *names = arg;
	const char *name = json_string(json_get(value, "name"));
	if (name && strcmp(name, "stop") == 0)
		return err_set(err, ECANCELED, "stopped");
	str_addf(names, "%s;", name ? name : "?");
	return 0;
}

static int read_json(const char *json, size_t piece, struct str *names, struct err *err)
{
	AUTO(stream) stream = stream_of_pieces_only(json, strlen(json), piece);
	return toc_json_read(stream, list, names, err);
}

static void test_entries_are_found_however_they_come(void **state)
{
	(void)state;
	static const struct {
		const char *json, *names;
		int result;
	} cases[] = {
		{ "{\"version\":1,\"entries\":[]}", "", 0 },
		{ "{\"entries\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"version\":1}", "a;b;", 0 },
		{ " {\n\"version\" : 1 ,\"entries\": [ { } , {\"x\":{\"y\":[{}]}} ] } \n", "?;?;",
		  0 },
		{ "{\"version\":1,\"entries\":[{\"name\":\"}]\\\"\\\\\"},{\"name\":\"\\u007d\"}]}",
		  "}]\"\\;};", 0 },
		{ "{\"v\":-1.5e3,\"w\":null,\"x\":true,\"version\":1,\"entries\":[{}]}", "?;", 0 },
		{ "{\"version\":1,\"entries\":[{\"name\":\"a\"},{\"name\":\"stop\"},{}]}", "a;",
		  -ECANCELED },
		{ "{\"version\":1,\"entries\":[{}{}]}", "?;", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{},]}", "?;", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{}]", "?;", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{}", "?;", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{\"name\":\"a", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{\"a\":1,\"a\":2}]}", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{\"a\":[}]]}", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":[{\"a\":\"\xff\"}]}", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":[[]]}", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":null}", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":[]}{}", "", -EBADMSG },
		{ "{\"version\":1 \"entries\":[]}", "", -EBADMSG },
		{ "{\"version\":1,,\"entries\":[]}", "", -EBADMSG },
		{ "{\"version\",\"entries\":[]}", "", -EBADMSG },
		{ "{version:1,\"entries\":[]}", "", -EBADMSG },
		{ "{1:1,\"version\":1,\"entries\":[]}", "", -EBADMSG },
		{ "{\"version\":01,\"entries\":[]}", "", -EBADMSG },
		{ "{\"version\":1,\"more\":tru,\"entries\":[]}", "", -EBADMSG },
		{ "{\"version\":1,\"entries\":[],}", "", -EBADMSG },
		{ "\xef\xbb\xbf{\"version\":1,\"entries\":[]}", "", -EBADMSG },
		{ "", "", -EBADMSG },
		{ "   ", "", -EBADMSG },
	};
	static const size_t pieces[] = { 1, 2, 7, 1000 };
	for (size_t i = 0; i < N_ELEMENTS(cases) * N_ELEMENTS(pieces); i++) {
		size_t k = i / N_ELEMENTS(pieces);
		auto_str names = STR_MAX(1000);
		struct err err = { 0 };
		int r = read_json(cases[k].json, pieces[i % N_ELEMENTS(pieces)], &names, &err);
		if (r != cases[k].result)
			fail_msg("%s: %d %s", cases[k].json, r, err.text);
		assert_string_equal(str_text(&names), cases[k].names);
	}
}

static void test_members_of_no_use_have_a_limit(void **state)
{
	(void)state;
	auto_str json = STR_MAX(100000), names = STR_MAX(1000);
	str_add(&json, "{\"version\":1,\"entries\":[]");
	for (int i = 0; i < 100; i++)
		str_addf(&json, ",\"m%d\":0", i);
	str_add(&json, "}");
	assert_int_equal(read_json(str_text(&json), 1000, &names, NULL), -E2BIG);
}

static void test_times_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
		uint32_t nanoseconds;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2023-11-14T22:13:20Z", 1700000000, 0 },
		{ "2023-11-14T23:43:20.5+01:30", 1700000000, 500000000 },
		{ "2023-11-14T14:13:20.000000001-08:00", 1700000000, 1 },
		{ "1969-12-31T23:59:59.25Z", -1, 250000000 },
		{ "2000-02-29T00:00:00Z", 951782400, 0 },
		{ "2000-03-01T00:00:00Z", 951868800, 0 },
		{ "2024-12-31T23:59:59Z", 1735689599, 0 },
		{ "0001-01-01T00:00:00Z", -62135596800, 0 },
		{ "0000-01-01T00:00:00Z", -62167219200, 0 },
		{ "9999-12-31T23:59:59Z", 253402300799, 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		int64_t seconds = 7;
		uint32_t nanoseconds = 7;
		assert_true(jtoc_time(&seconds, &nanoseconds, good[i].text));
		assert_int_equal(seconds, good[i].seconds);
		assert_int_equal(nanoseconds, good[i].nanoseconds);
	}
	static const char *const bad[] = {
		"",
		"2023",
		"2023-11-14",
		"2023-11-14T22:13:20",
		"2023-11-14 22:13:20Z",
		"2023-11-14T22:13Z",
		"2023-11-14T22:13:20Zx",
		"2023-11-14T22:13:20.Z",
		"2023-11-14T22:13:20.0000000001Z",
		"2023-11-14T24:13:20Z",
		"2023-11-14T22:60:20Z",
		"2023-11-14T22:13:60Z",
		"2023-11-14T22:13:20+24:00",
		"2023-11-14T22:13:20+0100",
		"2023-11-14T22:13:20+01:60",
		"2023-00-14T22:13:20Z",
		"2023-13-14T22:13:20Z",
		"2023-11-00T22:13:20Z",
		"2023-11-31T22:13:20Z",
		"2023-02-29T22:13:20Z",
		"1900-02-29T22:13:20Z",
		"-023-11-14T22:13:20Z",
		"20231-11-14T22:13:20Z",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		int64_t seconds = 7;
		uint32_t nanoseconds = 7;
		if (jtoc_time(&seconds, &nanoseconds, bad[i]))
			fail_msg("%s was read", bad[i]);
		assert_int_equal(seconds, 7);
	}
}

static void test_an_entry_is_read(void **state)
{
	(void)state;
	static const char text[] =
		"{\"name\":\"./d/"
		"f\",\"type\":\"char\",\"size\":9,\"mode\":33261,\"uid\":4294967294,"
		"\"gid\":7,\"devMajor\":1,\"devMinor\":3,\"modtime\":\"1970-01-01T00:00:09.5Z\","
		"\"userName\":\"root\",\"accesstime\":\"no time\","
		"\"linkName\":\"x\",\"xattrs\":{\"user.%41\":\"AAE=\",\"user.b\":\"\"},"
		"\"offset\":4503599627370496}";
	AUTO(json) json = NULL;
	struct jtoc_entry e;
	assert_int_equal(json_parse(&json, text, strlen(text), 0, NULL), 0);
	assert_int_equal(jtoc_parse(&e, json_root(json), NULL), 0);
	assert_string_equal(e.tar.path, "./d/f");
	assert_string_equal(e.tar.link, ""); /* no link */
	assert_int_equal(e.tar.type, TAR_CHAR);
	assert_int_equal(e.tar.size, 0); /* no file */
	assert_int_equal(e.tar.mode, 0755);
	assert_int_equal(e.tar.uid, UINT32_MAX - 1);
	assert_int_equal(e.tar.dev_minor, 3);
	assert_int_equal(e.tar.mtime_s, 9);
	assert_int_equal(e.tar.mtime_ns, 500000000);
	assert_int_equal(e.tar.xattr_count, 2);
	assert_string_equal(e.tar.xattrs[0].name, "user.%41"); /* as it is */
	assert_int_equal(e.tar.xattrs[0].size, 2);
	assert_memory_equal(e.tar.xattrs[0].value, "\0\1", 2);
	assert_int_equal(e.tar.xattrs[1].size, 0);
	assert_int_equal(e.offset, 1ULL << 52);
	jtoc_entry_release(&e);
}

/* A tap keeps the head back, counts and stops the rest. */
static void test_taps_keep_heads(void **state)
{
	(void)state;
	static const char text[] = "headhead and the rest";
	static const size_t pieces[] = { 1, 3, 8, 9, 100 };
	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		struct feed_tap tap = { .max_bytes = 13, .strip_head = true };
		AUTO(stream)
		s = feed_through(stream_of_pieces_only(text, strlen(text), pieces[i]), &tap);
		auto_free char *rest = NULL;
		size_t size = 0;
		assert_int_equal(stream_read_all(s, 100, &rest, &size, NULL), 0);
		assert_string_equal(rest, " and the rest");
		assert_int_equal(tap.bytes, 13);
		assert_memory_equal(tap.head, "headhead", FEED_HEAD_BYTES);
		struct feed_tap small = { .max_bytes = strlen(text) - 1 };
		AUTO(stream)
		more = feed_through(stream_of_pieces_only(text, strlen(text), pieces[i]), &small);
		auto_free char *none = NULL;
		assert_int_equal(stream_read_all(more, 100, &none, &size, NULL), -E2BIG);
		assert_int_equal(small.head_size, FEED_HEAD_BYTES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_are_found_however_they_come),
		cmocka_unit_test(test_members_of_no_use_have_a_limit),
		cmocka_unit_test(test_times_are_read),
		cmocka_unit_test(test_an_entry_is_read),
		cmocka_unit_test(test_taps_keep_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
