/* Sizes, times and the lines of the progress display at many widths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "term/lines.h"
#include "term/report.h"

static void test_size_has_one_digit_and_a_unit(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 1, "1 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 1048524, "1023.9 KiB" },
		{ 1048570, "1.0 MiB" },
		{ 1363149, "1.3 MiB" },
		{ (uint64_t)10 << 30, "10.0 GiB" },
		{ (uint64_t)1 << 40, "1.0 TiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_string_equal(report_size(cases[i].bytes).text, cases[i].text);
}

static void test_seconds_grow_into_minutes_and_hours(void **state)
{
	(void)state;
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {
		{ -1, "0.0 s" },	   { 0, "0.0 s" },
		{ 0.04, "0.0 s" },	   { 12.06, "12.1 s" },
		{ 99.94, "99.9 s" },	   { 99.96, "1 min 40 s" },
		{ 3599.4, "59 min 59 s" }, { 3599.6, "1 h 0 min" },
		{ 7260, "2 h 1 min" },	   { 0.0 / 1.0 * 5, "0.0 s" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_string_equal(report_seconds(cases[i].seconds).text, cases[i].text);
}

static const struct line_layer running = {
	.name = "4b2bb8b3e8a1",
	.total_bytes = 4 << 20,
	.fetched_bytes = 1 << 20,
	.state = LAYER_RUNNING,
};

static void test_layer_line_is_as_wide_as_there_is_room(void **state)
{
	(void)state;
	static const struct {
		size_t width;
		const char *text;
	} cases[] = {
		{ 79, "4b2bb8b3e8a1 [=========>                            ] 1.0 MiB / 4.0 MiB" },
		{ 50, "4b2bb8b3e8a1 [====>            ] 1.0 MiB / 4.0 MiB" },
		{ 40, "4b2bb8b3e8a1 1.0 MiB / 4.0 MiB" },
		{ 20, "4b2bb8b3e8a1 1.0 MiB" },
		{ 1, "4b2bb8b3e8a1 1.0 MiB" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str out = STR_MAX(LINE_MAX_BYTES);
		line_layer_draw(&out, &running, cases[i].width);
		assert_string_equal(str_text(&out), cases[i].text);
	}
}

static void test_layer_line_tells_the_state(void **state)
{
	(void)state;
	static const struct {
		struct line_layer layer;
		const char *text;
	} cases[] = {
		{ { .name = "aa", .total_bytes = 5, .state = LAYER_WAITING }, "aa waiting" },
		{ { .name = "aa", .total_bytes = 5, .fetched_bytes = 5, .state = LAYER_DONE },
		  "aa done, 5 B" },
		{ { .name = "aa", .total_bytes = 5, .fetched_bytes = 2, .state = LAYER_FAILED },
		  "aa failed" },
		{ { .name = "aa",
		    .total_bytes = UINT64_MAX,
		    .fetched_bytes = 2,
		    .state = LAYER_RUNNING },
		  "aa 2 B" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str out = STR_MAX(LINE_MAX_BYTES);
		line_layer_draw(&out, &cases[i].layer, 79);
		assert_string_equal(str_text(&out), cases[i].text);
	}
}

static const struct line_total totals[] = {
	{ .layers = 3,
	  .done = 1,
	  .total_bytes = 300 << 20,
	  .fetched_bytes = 100 << 20,
	  .rate = 10 << 20 },
	{ .layers = 3, .total_bytes = UINT64_MAX, .fetched_bytes = 7, .rate = 1 },
	{ .layers = 3, .total_bytes = 100, .fetched_bytes = 7, .rate = 0 },
	{ .layers = 0 },
	{ .layers = 3, .done = 3, .total_bytes = 100, .fetched_bytes = 100, .rate = 50 },
	{ .layers = 1, .total_bytes = UINT64_MAX - 1, .fetched_bytes = 7, .rate = 1e-9 },
};

static void test_total_line_has_rate_and_time_left(void **state)
{
	(void)state;
	static const char *const said[] = {
		"1/3 layers, 100.0 MiB of 300.0 MiB, 10.0 MiB/s, 20 s left",
		"0/3 layers, 7 B, 1 B/s",
		"0/3 layers, 7 B of 100 B",
		"0/0 layers, 0 B of 0 B",
		"3/3 layers, 100 B of 100 B, 50 B/s",
		"0/1 layers, 7 B of 16.0 EiB, 0 B/s",
	};
	for (size_t i = 0; i < N_ELEMENTS(said); i++) {
		auto_str out = STR_MAX(LINE_MAX_BYTES);
		line_total_say(&out, &totals[i]);
		assert_string_equal(str_text(&out), said[i]);
	}
	auto_str out = STR_MAX(LINE_MAX_BYTES);
	line_total_draw(&out, &totals[0], 79);
	assert_string_equal(
		str_text(&out),
		"1/3 layers [=======>             ] 100.0 MiB / 300.0 MiB, 10.0 MiB/s, 20 s left");
}

static void test_no_line_is_wider_than_the_terminal(void **state)
{
	(void)state;
	struct line_layer huge = running;
	huge.total_bytes = UINT64_MAX - 1;
	huge.fetched_bytes = UINT64_MAX / 2;
	for (size_t width = 0; width < 2 * LINE_MAX_BYTES; width++) {
		size_t limit = width < LINE_WIDTH_MIN ? LINE_WIDTH_MIN : width;
		for (size_t i = 0; i < N_ELEMENTS(totals); i++) {
			auto_str out = STR_MAX(LINE_MAX_BYTES);
			line_total_draw(&out, &totals[i], width);
			assert_true(out.length <= limit && !out.failed);
		}
		auto_str out = STR_MAX(LINE_MAX_BYTES);
		line_layer_draw(&out, &huge, width);
		assert_true(out.length <= limit && !out.failed);
		assert_null(strpbrk(str_text(&out), "\r\n\x1b"));
	}
}

static void test_taking_a_layer_caps_what_was_fetched_twice(void **state)
{
	(void)state;
	struct layer_progress layer = { .total_bytes = 100 };
	struct line_layer taken;
	digest_of(&layer.digest, DIGEST_SHA256, "", 0);
	atomic_store(&layer.fetched_bytes, 150);
	atomic_store(&layer.state, LAYER_RUNNING);
	line_layer_take(&taken, &layer);
	assert_string_equal(taken.name, "e3b0c44298fc");
	assert_int_equal(taken.fetched_bytes, 100);
	assert_int_equal(taken.state, LAYER_RUNNING);

	struct line_total total = { 0 };
	line_total_add(&total, &taken);
	taken.total_bytes = UINT64_MAX;
	taken.state = LAYER_DONE;
	line_total_add(&total, &taken);
	assert_int_equal(total.layers, 2);
	assert_int_equal(total.done, 1);
	assert_int_equal(total.fetched_bytes, 200);
	assert_true(total.total_bytes == UINT64_MAX);
}

static void test_a_finished_layer_is_said_in_words(void **state)
{
	(void)state;
	struct line_layer layer = running;
	auto_str out = STR_MAX(LINE_MAX_BYTES);
	layer.state = LAYER_DONE;
	layer.unpacked_bytes = 10 << 20;
	layer.entries = 7;
	line_layer_say(&out, &layer, 2, 3);
	assert_string_equal(str_text(&out),
			    "layer 2/3 4b2bb8b3e8a1: 1.0 MiB, unpacked 10.0 MiB in 7 entries");
	str_reset(&out);
	layer.cached = true;
	line_layer_say(&out, &layer, 2, 3);
	assert_string_equal(
		str_text(&out),
		"layer 2/3 4b2bb8b3e8a1: from the cache, unpacked 10.0 MiB in 7 entries");
	str_reset(&out);
	layer.state = LAYER_FAILED;
	line_layer_say(&out, &layer, 2, 3);
	assert_string_equal(str_text(&out), "layer 2/3 4b2bb8b3e8a1: failed after 1.0 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_has_one_digit_and_a_unit),
		cmocka_unit_test(test_seconds_grow_into_minutes_and_hours),
		cmocka_unit_test(test_layer_line_is_as_wide_as_there_is_room),
		cmocka_unit_test(test_layer_line_tells_the_state),
		cmocka_unit_test(test_total_line_has_rate_and_time_left),
		cmocka_unit_test(test_no_line_is_wider_than_the_terminal),
		cmocka_unit_test(test_taking_a_layer_caps_what_was_fetched_twice),
		cmocka_unit_test(test_a_finished_layer_is_said_in_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
