/*
 * The bytes of layers: there only when they were written whole, in this start of the machine or
 * proven since; never others, whatever happened to the files.
 */
#include "spans-place.h"

#include <sys/syscall.h>

/* What happens between a reader's look at the mark and its read; once. */
struct between {
	void (*happens)(struct between *between);
	struct cache *cache;
	struct cache_spans *spans;
};
static struct between between;

/* In front of the C library's, also for the code under test. */
ssize_t pread(int fd, void *buf, size_t size, off_t offset)
{
	if (between.happens) {
		struct between now = between;
		between.happens = NULL;
		now.happens(&now);
	}
	return syscall(SYS_pread64, fd, buf, size, offset);
}

/* ---- ordinary use */

static void test_what_was_written_is_read(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	AUTO(cache_spans) other = open_spans(cache, p);
	assert_int_equal(readable(spans), 0);
	for (uint32_t i = 0; i < SPANS; i += 2)
		write_span(spans, i);
	write_span(other, 0); /* once more is fine */
	assert_int_equal(readable(other), SPANS / 2);
	assert_int_equal(cache_spans_present(other), SPANS / 2);
	assert_true(cache_spans_has(other, 4));
	assert_false(cache_spans_has(other, 5));
	assert_false(cache_spans_has(other, SPANS));
	assert_false(cache_spans_has(other, UINT32_MAX));

	cache_spans_free(TAKE(spans));
	cache_spans_free(TAKE(other));
	AUTO(cache) next = open_cache(p);
	AUTO(cache_spans) again = open_spans(next, p);
	assert_int_equal(readable(again), SPANS / 2);
}

static void test_only_what_is_asked_rightly(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	uint8_t data[SPAN_BYTES] = { 0 };
	write_span(spans, 3);
	struct cache_span moved = { 3, 3 * SPAN_BYTES + 1, SPAN_BYTES - 1 };
	assert_int_equal(cache_spans_read(spans, &moved, data, 1, 0), 0);
	struct cache_span span = span_of(3);
	assert_int_equal(cache_spans_read(spans, &span, data, 1, SPAN_BYTES), 0);
	assert_int_equal(cache_spans_read(spans, &span, data, 0, SPAN_BYTES), 1);
	assert_int_equal(cache_spans_read(spans, &span, data, SPAN_BYTES, 1), 0);
	assert_int_equal(cache_spans_read(spans, &span, data, SIZE_MAX, 1), 0);
	struct cache_span beyond = { SPANS, 0, 10 }, outside = { 1, STREAM_BYTES - 5, 6 },
			  wraps = { 1, UINT64_MAX, 10 };
	assert_int_equal(cache_spans_write(spans, &beyond, data, NULL), -EINVAL);
	assert_int_equal(cache_spans_write(spans, &outside, data, NULL), -EINVAL);
	assert_int_equal(cache_spans_write(spans, &wraps, data, NULL), -EINVAL);
	assert_true(cache_writable(cache));
}

static void test_locks_are_one_process_each(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) a = open_spans(cache, p);
	AUTO(cache_spans) b = open_spans(cache, p);
	assert_true(cache_spans_trylock(a, 1));
	assert_false(cache_spans_trylock(a, 1));
	assert_false(cache_spans_trylock(b, 1));
	assert_true(cache_spans_trylock(b, 2));
	assert_false(cache_spans_trylock(a, 2));
	write_span(b, 1); /* holding is no condition of writing */
	assert_true(read_span(a, 1));
	cache_spans_unlock(a, 1);
	assert_true(cache_spans_trylock(b, 1));
	cache_spans_free(TAKE(b));
	assert_true(cache_spans_trylock(a, 1));
	assert_true(cache_spans_trylock(a, 2));
}

/* ---- evicted while read */

static void evict_all(struct between *b)
{
	uint64_t freed = 0;
	assert_int_equal(cache_evict(b->cache, 0, &freed, NULL), 0);
	assert_true(freed > 0);
}

static void evict_and_write(struct between *b)
{
	evict_all(b);
	write_span(b->spans, 3);
}

static void test_evicted_while_read_is_not_there(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	uint8_t got[100], want[SPAN_BYTES];
	struct cache_span span = span_of(3);
	fill(want, 3);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	between = (struct between){ evict_and_write, cache, spans };
	assert_int_equal(cache_spans_read(spans, &span, got, sizeof(got), 50), 1);
	assert_memory_equal(got, want + 50, sizeof(got));
	assert_null(between.happens);
	between = (struct between){ evict_all, cache, spans };
	assert_int_equal(cache_spans_read(spans, &span, got, sizeof(got), 50), 0);
	assert_null(between.happens);
}

/* ---- another start of the machine */

static void test_marks_of_another_boot_are_proven(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	cache_set_boot(cache, 1);
	AUTO(cache_spans) spans = open_spans(cache, p);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	cache_spans_free(TAKE(spans));
	change_byte(p, "stream", 3 * SPAN_BYTES + 4000);
	change_byte(p, "stream", 5 * SPAN_BYTES);

	AUTO(cache) next = open_cache(p);
	cache_set_boot(next, 2);
	AUTO(cache_spans) again = open_spans(next, p);
	assert_int_equal(cache_spans_present(again), SPANS);
	assert_int_equal(readable(again), SPANS - 2);
	assert_false(cache_spans_has(again, 3));
	assert_false(cache_spans_has(again, 5));
	assert_int_equal(cache_spans_present(again), SPANS - 2);
	write_span(again, 3);
	assert_true(read_span(again, 3));

	/* once proven, it is believed for the rest of this boot */
	change_byte(p, "stream", 7 * SPAN_BYTES);
	uint8_t byte;
	struct cache_span span = span_of(7);
	assert_int_equal(cache_spans_read(again, &span, &byte, 1, 0), 1);
}

static void test_torn_records_are_none(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	for (off_t at = 0; at < 32; at++) {
		if (at >= 8 && at < 16)
			continue; /* the mark */
		AUTO(cache_spans) spans = open_spans(cache, p);
		write_span(spans, 0);
		write_span(spans, 1);
		change_byte(p, "map", 64 + 32 + at);
		assert_true(read_span(spans, 0));
		assert_false(cache_spans_has(spans, 1));
		assert_false(read_span(spans, 1));
		write_span(spans, 1);
		assert_true(read_span(spans, 1));
	}
	/* a mark of nobody knows which boot: the bytes prove it */
	for (off_t at = 8; at < 16; at++) {
		AUTO(cache_spans) spans = open_spans(cache, p);
		change_byte(p, "map", 64 + 32 + at);
		assert_true(read_span(spans, 1));
	}
}

static void test_odd_maps_are_begun_anew(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	for (off_t at = 0; at < 40; at++) {
		AUTO(cache_spans) spans = open_spans(cache, p);
		write_span(spans, 1);
		cache_spans_free(TAKE(spans));
		change_byte(p, "map", at);
		AUTO(cache_spans) again = open_spans(cache, p);
		assert_int_equal(readable(again), 0);
		write_span(again, 2);
		assert_true(read_span(again, 2));
	}
	static const struct {
		const char *name;
		off_t size;
	} cuts[] = {
		{ "map", 0 },	   { "map", 63 },   { "map", 64 },   { "map", 700 },
		{ "map", 100000 }, { "stream", 0 }, { "stream", 1 }, { "stream", STREAM_BYTES + 1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cuts); i++) {
		AUTO(cache_spans) spans = open_spans(cache, p);
		write_span(spans, 1);
		cache_spans_free(TAKE(spans));
		auto_close int fd = open_file(p, cuts[i].name);
		assert_int_equal(ftruncate(fd, cuts[i].size), 0);
		AUTO(cache_spans) again = open_spans(cache, p);
		assert_int_equal(readable(again), 0);
	}
}

static void test_other_shapes_do_not_meet(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	write_span(spans, 1);
	AUTO(cache_spans) layout = NULL;
	assert_int_equal(
		cache_spans_open(&layout, cache, &p->layer, LAYOUT + 1, SPANS, STREAM_BYTES, NULL),
		0);
	assert_int_equal(readable(layout), 0);
	/* a table that lies about its layout begins anew; who has the old one keeps it */
	AUTO(cache_spans) fewer = NULL;
	assert_int_equal(
		cache_spans_open(&fewer, cache, &p->layer, LAYOUT, SPANS - 1, STREAM_BYTES, NULL),
		0);
	assert_int_equal(readable(fewer), 0);
	assert_true(read_span(spans, 1));
	write_span(spans, 2);
	assert_true(read_span(spans, 2));
	assert_false(read_span(fewer, 2));
}

static void test_a_cut_stream_gives_nothing(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	auto_close int fd = open_file(p, "stream");
	assert_int_equal(ftruncate(fd, 4 * SPAN_BYTES + 8), 0);
	assert_int_equal(readable(spans), 4);
	assert_false(cache_spans_has(spans, 10));
	assert_int_equal(ftruncate(fd, STREAM_BYTES), 0);
	assert_int_equal(readable(spans), 4); /* not zeros */
}

static void test_a_cache_that_cannot_be_written_keeps_nothing(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	assert_int_equal(cache_fail(cache, -EIO), -EIO);
	AUTO(cache_spans) spans = open_spans(cache, p);
	write_span(spans, 1);
	assert_int_equal(readable(spans), 0);
	assert_true(cache_spans_trylock(spans, 1));
	assert_false(cache_spans_trylock(spans, 1));
	cache_spans_unlock(spans, 1);
}

/* ---- verify */

static void test_verify_drops_what_is_wrong(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	change_byte(p, "stream", 2 * SPAN_BYTES);
	uint64_t checked = 0, dropped = 0;
	assert_int_equal(cache_verify(cache, &checked, &dropped, NULL), 0);
	assert_int_equal(checked, SPANS);
	assert_int_equal(dropped, 1);
	assert_int_equal(readable(spans), SPANS - 1);
	cache_spans_free(TAKE(spans));
	change_byte(p, "map", 0);
	assert_int_equal(cache_verify(cache, &checked, &dropped, NULL), 0);
	assert_int_equal(checked, 1);
	assert_int_equal(dropped, 1);
}

/* ---- disks */

static void full_body(const struct place *p)
{
	struct cache *cache = NULL;
	struct cache_options options = { .path = p->cache, .size_bytes = 64u << 20 };
	CHILD(cache_open(&cache, &options, NULL) == 0);
	struct cache_spans *spans = open_spans(cache, p);
	fill_disk(cache, spans);
	uint32_t present = cache_spans_present(spans);
	cache_spans_free(spans);
	cache_free(cache);

	/* the next process finds what is there; marks can be renewed on the full disk */
	CHILD(cache_open(&cache, &options, NULL) == 0);
	cache_set_boot(cache, 77);
	spans = open_spans(cache, p);
	CHILD(readable(spans) == present);
	cache_spans_free(spans);
	cache_free(cache);
}

static void test_a_full_disk_marks_nothing_partial(void **state)
{
	const struct place *p = *state;
	on_tmpfs(p->path, "size=64k", p, full_body);
}

static void read_only_body(const struct place *p)
{
	struct cache *cache = NULL;
	struct cache_options options = { .path = p->cache };
	CHILD(cache_open(&cache, &options, NULL) == 0);
	cache_set_boot(cache, 1);
	struct cache_spans *spans = open_spans(cache, p);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	cache_spans_free(spans);
	cache_free(cache);
	change_byte(p, "stream", 3 * SPAN_BYTES);
	CHILD(mount(NULL, p->path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	CHILD(cache_open(&cache, &options, NULL) == 0);
	cache_set_boot(cache, 2);
	spans = open_spans(cache, p);
	CHILD(readable(spans) == SPANS - 1);
	CHILD(readable(spans) == SPANS - 1);
	write_span(spans, 3);
	CHILD(!read_span(spans, 3));
	CHILD(cache_spans_trylock(spans, 3));
	uint64_t checked = 0, dropped = 0;
	CHILD(cache_verify(cache, &checked, &dropped, NULL) == 0 && checked == SPANS);
	cache_spans_free(spans);
	cache_free(cache);
}

static void test_a_read_only_disk_is_read(void **state)
{
	const struct place *p = *state;
	on_tmpfs(p->path, "size=1m", p, read_only_body);
}

/* ---- threads */

struct racer {
	struct cache_spans *spans;
	const struct place *place;
	unsigned seed;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	uint32_t x = r->seed * 2654435761u + 1;
	for (int i = 0; i < 3000; i++) {
		x = x * 1664525u + 1013904223u;
		uint32_t n = (x >> 8) % SPANS;
		if (read_span(r->spans, n) || !cache_spans_trylock(r->spans, n))
			continue;
		write_span(r->spans, n);
		cache_spans_unlock(r->spans, n);
	}
	return NULL;
}

static void test_threads_share_one_object_with_an_evictor(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	pthread_t threads[4];
	struct racer racers[4];
	for (unsigned i = 0; i < N_ELEMENTS(threads); i++) {
		racers[i] = (struct racer){ spans, p, i };
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	uint64_t all = 0;
	for (int i = 0; i < 200 || all == 0; i++) { /* the threads begin when they like */
		uint64_t freed = 0;
		assert_int_equal(cache_evict(cache, STREAM_BYTES / 2, &freed, NULL), 0);
		all += freed;
	}
	for (unsigned i = 0; i < N_ELEMENTS(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(all > 0);
	(void)readable(spans);
	assert_true(cache_writable(cache));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_what_was_written_is_read),
		TEST(test_only_what_is_asked_rightly),
		TEST(test_locks_are_one_process_each),
		TEST(test_evicted_while_read_is_not_there),
		TEST(test_marks_of_another_boot_are_proven),
		TEST(test_torn_records_are_none),
		TEST(test_odd_maps_are_begun_anew),
		TEST(test_other_shapes_do_not_meet),
		TEST(test_a_cut_stream_gives_nothing),
		TEST(test_a_cache_that_cannot_be_written_keeps_nothing),
		TEST(test_verify_drops_what_is_wrong),
		TEST(test_a_full_disk_marks_nothing_partial),
		TEST(test_a_read_only_disk_is_read),
		TEST(test_threads_share_one_object_with_an_evictor),
	};
	return cmocka_run_group_tests_name("spans", tests, NULL, NULL);
}
