/* A scanned layer gets its name when it is whole, or leaves nothing. */
#include "spans-place.h"

static void test_new_ones_get_their_name_when_published(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = NULL;
	assert_int_equal(cache_spans_new(&spans, cache, NULL), 0);
	for (uint32_t i = 0; i < SPANS; i++) {
		write_span(spans, i);
		assert_true(read_span(spans, i));
	}
	AUTO(cache) other = open_cache(p); /* sweeps, but not what is held */
	struct cache_stat stat;
	assert_int_equal(cache_stat(other, &stat, NULL), 0);
	assert_int_equal(stat.layers, 0);
	assert_true(stat.disk_bytes >= STREAM_BYTES);
	assert_int_equal(cache_spans_publish(spans, &p->layer, LAYOUT, SPANS, STREAM_BYTES, NULL),
			 0);
	assert_int_equal(readable(spans), SPANS);
	AUTO(cache_spans) found = open_spans(other, p);
	assert_int_equal(readable(found), SPANS);
	write_span(spans, 1);
	struct cache_span beyond = { SPANS, 0, 10 };
	assert_int_equal(cache_spans_write(spans, &beyond, "0123456789", NULL), -EINVAL);
}

static void test_unpublished_ones_leave_nothing(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = NULL;
	assert_int_equal(cache_spans_new(&spans, cache, NULL), 0);
	write_span(spans, 3);
	assert_int_equal(count_tmp(cache), 1);
	cache_spans_free(TAKE(spans));
	assert_int_equal(count_tmp(cache), 0);
}

static void scan(struct cache_spans **out, struct cache *cache, const struct place *p,
		 uint32_t spans)
{
	assert_int_equal(cache_spans_new(out, cache, NULL), 0);
	for (uint32_t i = 0; i < spans; i++)
		write_span(*out, i);
	assert_int_equal(cache_spans_publish(*out, &p->layer, LAYOUT, SPANS, STREAM_BYTES, NULL),
			 0);
}

/* Spans whose bytes came in pieces of any size. */
static void append_spans(struct cache_spans *spans, uint32_t count, size_t piece)
{
	uint8_t data[SPAN_BYTES];
	for (uint32_t i = 0; i < count; i++) {
		fill(data, i);
		for (size_t at = 0; at < SPAN_BYTES; at += piece) {
			size_t n = SPAN_BYTES - at < piece ? SPAN_BYTES - at : piece;
			assert_int_equal(cache_spans_append(spans, data + at, n, NULL), 0);
		}
		assert_int_equal(cache_spans_cut(spans, NULL), 0);
	}
}

static void test_appended_ones_are_as_written_ones(void **state)
{
	const struct place *p = *state;
	for (size_t piece = 1; piece <= 2 * SPAN_BYTES; piece = piece * 3 + 1) {
		AUTO(cache) cache = open_cache(p);
		AUTO(cache_spans) spans = NULL;
		uint64_t checked = 0, dropped = 0;
		assert_int_equal(cache_spans_new(&spans, cache, NULL), 0);
		append_spans(spans, SPANS, piece);
		assert_int_equal(cache_spans_publish(spans, &p->layer, LAYOUT + piece, SPANS,
						     STREAM_BYTES, NULL),
				 0);
		assert_int_equal(readable(spans), SPANS);
		/* their sums hold in the next boot */
		AUTO(cache) other = open_cache(p);
		cache_set_boot(other, 77);
		AUTO(cache_spans) found = NULL;
		assert_int_equal(cache_spans_open(&found, other, &p->layer, LAYOUT + piece, SPANS,
						  STREAM_BYTES, NULL),
				 0);
		assert_int_equal(readable(found), SPANS);
		assert_int_equal(cache_verify(other, &checked, &dropped, NULL), 0);
		assert_int_equal(dropped, 0);
		assert_true(checked >= SPANS);
	}
}

static void test_appended_ones_take_half_of_the_quota(void **state)
{
	const struct place *p = *state;
	struct cache_options options = { .path = p->cache, .size_bytes = 8 * SPAN_BYTES };
	AUTO(cache) cache = NULL;
	AUTO(cache_spans) spans = NULL;
	assert_int_equal(cache_open(&cache, &options, NULL), 0);
	assert_int_equal(cache_spans_new(&spans, cache, NULL), 0);
	append_spans(spans, SPANS, 999);
	assert_int_equal(cache_spans_publish(spans, &p->layer, LAYOUT, SPANS, STREAM_BYTES, NULL),
			 0);
	assert_int_equal(readable(spans), 4);
	assert_int_equal(cache_spans_present(spans), 4);
}

static void append_to_full_disk(const struct place *p)
{
	uint8_t data[SPAN_BYTES];
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = NULL;
	uint32_t failed = SPANS;
	CHILD(cache_spans_new(&spans, cache, NULL) == 0);
	for (uint32_t i = 0; i < SPANS; i++) {
		fill(data, i);
		int r = cache_spans_append(spans, data, SPAN_BYTES, NULL);
		CHILD(r == 0 || (r == -ENOSPC && failed == SPANS));
		failed = r < 0 ? i : failed;
		CHILD(cache_spans_cut(spans, NULL) == 0);
	}
	CHILD(failed > 2 && failed < SPANS && !cache_writable(cache));
	IGNORE(cache_spans_publish(spans, &p->layer, LAYOUT, SPANS, STREAM_BYTES, NULL));
	for (uint32_t i = 0; i < SPANS; i++)
		CHILD(read_span(spans, i) == (i < failed));
}

static void test_appended_ones_to_a_full_disk(void **state)
{
	const struct place *p = *state;
	on_tmpfs(p->path, "size=64k", p, append_to_full_disk);
}

static void test_the_faster_one_is_used(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) first = open_spans(cache, p);
	write_span(first, SPANS - 1);
	AUTO(cache_spans) second = NULL;
	scan(&second, cache, p, 5);
	assert_int_equal(readable(second), 1);
	write_span(second, 0);
	assert_true(read_span(first, 0));
	assert_int_equal(count_tmp(cache), 0);
	cache_spans_free(TAKE(first));
	cache_spans_free(TAKE(second));

	/* unless nobody uses it and it has less */
	AUTO(cache_spans) third = NULL;
	scan(&third, cache, p, 5);
	assert_int_equal(readable(third), 5);
	cache_spans_free(TAKE(third));
	AUTO(cache_spans) fourth = NULL;
	scan(&fourth, cache, p, 4);
	assert_int_equal(readable(fourth), 5);
	assert_int_equal(count_tmp(cache), 0);
}

static void test_a_scan_takes_half_of_the_quota(void **state)
{
	const struct place *p = *state;
	struct cache_options options = { .path = p->cache, .size_bytes = 8 * SPAN_BYTES };
	AUTO(cache) cache = NULL;
	AUTO(cache_spans) spans = NULL;
	assert_int_equal(cache_open(&cache, &options, NULL), 0);
	scan(&spans, cache, p, SPANS);
	assert_int_equal(readable(spans), 4);
	/* with a name the quota can be kept */
	write_span(spans, 10);
	assert_true(read_span(spans, 10));
}

static void test_a_cache_that_cannot_be_written_keeps_nothing(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	assert_int_equal(cache_fail(cache, -EIO), -EIO);
	AUTO(cache_spans) scanned = NULL;
	scan(&scanned, cache, p, SPANS);
	assert_int_equal(readable(scanned), 0);
	assert_int_equal(cache_spans_present(scanned), 0);
}

static void full_scan_body(const struct place *p)
{
	struct cache *cache = NULL;
	struct cache_options options = { .path = p->cache, .size_bytes = 64u << 20 };
	struct cache_spans *spans = NULL;
	CHILD(cache_open(&cache, &options, NULL) == 0);
	CHILD(cache_spans_new(&spans, cache, NULL) == 0);
	fill_disk(cache, spans);
	uint32_t present = cache_spans_present(spans);
	CHILD(cache_spans_publish(spans, &p->layer, LAYOUT, SPANS, STREAM_BYTES, NULL) == 0);
	CHILD(readable(spans) == present);
	cache_spans_free(spans);
	cache_free(cache);
	struct cache_stat stat;
	CHILD(cache_open(&cache, &options, NULL) == 0);
	CHILD(cache_stat(cache, &stat, NULL) == 0 && stat.layers == 0 && stat.disk_bytes == 0);
	cache_free(cache);
}

static void test_a_full_disk_ends_a_scan_well(void **state)
{
	const struct place *p = *state;
	on_tmpfs(p->path, "size=64k", p, full_scan_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_new_ones_get_their_name_when_published),
		TEST(test_unpublished_ones_leave_nothing),
		TEST(test_appended_ones_are_as_written_ones),
		TEST(test_appended_ones_take_half_of_the_quota),
		TEST(test_appended_ones_to_a_full_disk),
		TEST(test_the_faster_one_is_used),
		TEST(test_a_scan_takes_half_of_the_quota),
		TEST(test_a_cache_that_cannot_be_written_keeps_nothing),
		TEST(test_a_full_disk_ends_a_scan_well),
	};
	return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
