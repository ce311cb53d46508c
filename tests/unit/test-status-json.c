/* The status object: JSON that our own strict reader takes, with what was put in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "fuse/status-json.h"

static uint64_t number(const struct json_value *object, const char *key)
{
	uint64_t value = UINT64_MAX;
	assert_true(json_u64(json_get(object, key), &value));
	return value;
}

static struct json *write_and_read(const struct status_values *values)
{
	struct json *json = NULL;
	struct err err = { 0 };
	auto_str text = STR_MAX(1024 * 1024);
	status_write(&text, values);
	assert_false(text.failed);
	if (json_parse(&json, str_text(&text), text.length, 0, &err) < 0)
		fail_msg("%s in %s", err.text, str_text(&text));
	return json;
}

static void test_status_of_nothing_is_json(void **state)
{
	(void)state;
	struct fs_counters counters = { 0 };
	struct status_values values = { .image = "a",
					.directory = "/a",
					.trust_wanted = "bound",
					.fill = "idle",
					.cache_path = "/c",
					.cache_trouble = "",
					.counters = &counters };
	AUTO(json) json = write_and_read(&values);
	const struct json_value *root = json_root(json);
	assert_int_equal(json_type(root), JSON_OBJECT);
	assert_null(json_get(root, "digest"));
	assert_null(json_get(root, "supervisor_pid"));
	assert_null(json_get(root, "cache_trouble"));
	assert_int_equal(json_type(json_get(root, "layers")), JSON_ARRAY);
	assert_int_equal(json_count(json_get(root, "layers")), 0);
}

static void test_status_has_what_was_put_in(void **state)
{
	(void)state;
	struct fs_counters counters = { .reads = 5, .read_bytes = 4096, .errors = 1 };
	struct lazy_layer_status layers[2] = {
		{ .kind = TABLE_ESTARGZ,
		  .trust = TRUST_BOUND,
		  .blob_bytes = 10,
		  .spans = 4,
		  .spans_present = 1,
		  .hits = 7,
		  .latency_us = { 1 } },
		{ .kind = TABLE_SCAN,
		  .trust = TRUST_VERIFIED,
		  .blob_bytes = 5,
		  .cached_table = true,
		  .refused = "no \"such\" thing",
		  .latency_us = { 0, 0, 1 } },
	};
	digest_of(&layers[0].digest, DIGEST_SHA256, "x", 1);
	struct errlog_line errors[] = { { 1700000000, "layer 'x'\x1b[0m" }, { 1700000001, "b" } };
	struct status_values values = { .image = "a\nb",
					.directory = "/a\xff",
					.daemon = 12,
					.supervisor = 11,
					.restarts = 3,
					.started_s = 1700000000,
					.trust_wanted = "bound",
					.fill = "idle",
					.cache_path = "/c",
					.cache_trouble = "full",
					.counters = &counters,
					.layers = layers,
					.layer_count = 2,
					.errors = errors,
					.error_count = 2 };
	AUTO(json) json = write_and_read(&values);
	const struct json_value *root = json_root(json);
	assert_string_equal(json_string(json_get(root, "image")), "a\nb");
	assert_int_equal(number(root, "daemon_pid"), 12);
	assert_int_equal(number(root, "supervisor_pid"), 11);
	assert_int_equal(number(root, "restarts"), 3);
	assert_string_equal(json_string(json_get(root, "cache_trouble")), "full");
	assert_int_equal(number(json_get(root, "kernel"), "reads"), 5);
	assert_int_equal(number(json_get(root, "kernel"), "read_errors"), 1);
	assert_int_equal(number(json_get(root, "total"), "blob_bytes"), 15);
	assert_int_equal(number(json_get(root, "total"), "cache_hits"), 7);
	const struct json_value *layer = json_at(json_get(root, "layers"), 0);
	assert_string_equal(json_string(json_get(layer, "digest")), digest_show(&layers[0].digest));
	assert_string_equal(json_string(json_get(layer, "table")), "estargz");
	assert_string_equal(json_string(json_get(layer, "trust")), "bound");
	layer = json_at(json_get(root, "layers"), 1);
	assert_string_equal(json_string(json_get(layer, "table_refused")), "no \"such\" thing");
	assert_int_equal(json_count(json_get(layer, "latency_us")), STATUS_BUCKETS);
	assert_int_equal(json_count(json_get(root, "errors")), 2);
}

static void test_status_quantiles_are_upper_bounds(void **state)
{
	(void)state;
	const uint64_t none[STATUS_BUCKETS] = { 0 };
	const uint64_t one[STATUS_BUCKETS] = { [3] = 1 };
	const uint64_t many[STATUS_BUCKETS] = { [0] = 50, [2] = 49, [15] = 1 };
	assert_true(status_quantile(none, 0.5) < 0);
	assert_true(status_quantile(one, 0.5) == 2.0);
	assert_true(status_quantile(one, 0.99) == 2.0);
	assert_true(status_quantile(many, 0.5) == 0.25);
	assert_true(status_quantile(many, 0.9) == 1.0);
	assert_true(status_quantile(many, 0.999) == 8192.0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_of_nothing_is_json),
		cmocka_unit_test(test_status_has_what_was_put_in),
		cmocka_unit_test(test_status_quantiles_are_upper_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
