/*
 * The quota: what goes first, what stays, and that no reader ever gets another byte while many
 * processes read, write, evict and are killed.
 */
#include "spans-place.h"

#include <sys/random.h>
#include <time.h>

#define LAYERS 3u
#define BIG_SPANS 40u
#define BIG_SPAN_MAX (64u * 1024)
#define WORKERS 8

/* ---- order */

static struct digest digest_number(unsigned n)
{
	struct digest d;
	digest_of(&d, DIGEST_SHA256, &n, sizeof(n));
	return d;
}

/* A layer of 100 kB, last used S seconds after 1970. */
static void make_layer(struct cache *cache, const struct place *p, unsigned number, time_t s)
{
	struct digest digest = digest_number(number);
	struct cache_spans *spans = NULL;
	assert_int_equal(
		cache_spans_open(&spans, cache, &digest, LAYOUT, SPANS, STREAM_BYTES, NULL), 0);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	cache_spans_free(spans);
	struct str path = STR_MAX(1024);
	str_addf(&path, "%s/v1/layers/%s/use", p->cache, cache_layer_name(&digest, LAYOUT).text);
	struct timespec times[2] = { { .tv_sec = s }, { .tv_sec = s } };
	assert_int_equal(utimensat(AT_FDCWD, str_text(&path), times, 0), 0);
	str_release(&path);
}

static bool layer_there(struct cache *cache, unsigned number)
{
	struct digest digest = digest_number(number);
	return faccessat(cache->layers, cache_layer_name(&digest, LAYOUT).text, F_OK, 0) == 0;
}

static uint64_t usage(struct cache *cache)
{
	struct cache_stat stat;
	assert_int_equal(cache_stat(cache, &stat, NULL), 0);
	return stat.disk_bytes;
}

static void test_the_longest_unused_goes_first(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	make_layer(cache, p, 0, 3000);
	make_layer(cache, p, 1, 1000);
	make_layer(cache, p, 2, 4102444800); /* a clock that was ahead: as if now */
	make_layer(cache, p, 3, time(NULL) + 3);
	make_layer(cache, p, 4, 2000);
	uint64_t all = usage(cache), freed = 0;
	assert_int_equal(cache_evict(cache, all, &freed, NULL), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(cache_evict(cache, all - 1, &freed, NULL), 0);
	assert_int_equal(usage(cache), all - freed);
	assert_false(layer_there(cache, 1));
	assert_true(layer_there(cache, 4));
	assert_int_equal(cache_evict(cache, all / 5 * 2 + 4096, &freed, NULL), 0);
	assert_false(layer_there(cache, 4));
	assert_false(layer_there(cache, 0));
	assert_true(layer_there(cache, 2));
	assert_true(layer_there(cache, 3));
}

static void test_what_is_in_use_loses_spans_only(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	make_layer(cache, p, 1, time(NULL));
	uint64_t freed = 0, all = usage(cache);
	assert_int_equal(cache_evict(cache, all / 2, &freed, NULL), 0);
	assert_false(layer_there(cache, 1));
	assert_int_equal(readable(spans), SPANS);
	assert_int_equal(cache_evict(cache, all / 4, &freed, NULL), 0);
	uint32_t left = readable(spans);
	assert_true(left > 5 && left < 15);
	assert_true(usage(cache) <= all / 4 + 3 * 4096);
	assert_int_equal(cache_evict(cache, 0, &freed, NULL), 0);
	assert_int_equal(readable(spans), 0);
	assert_true(usage(cache) <= 5 * 4096);
	for (uint32_t i = 0; i < SPANS; i++)
		write_span(spans, i);
	assert_int_equal(readable(spans), SPANS);
	assert_int_equal(cache_clear(cache, &freed, NULL), 0);
	assert_int_equal(readable(spans), SPANS);
}

static void test_what_a_dead_writer_left_is_freed(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	auto_close int fd = open_file(p, "stream");
	auto_close int map_fd = open_file(p, "map");
	AUTO(span_map) map = NULL;
	assert_int_equal(span_map_open(&map, TAKE_FD(map_fd), true, cache->boot, NULL), 0);
	/* described, written, not marked */
	struct span_entry entry = { .sum = 1, .offset = 0, .size = 4 * SPAN_BYTES };
	span_map_describe(map, 0, &entry);
	auto_free char *data = mem_new(4u * SPAN_BYTES);
	assert_int_equal(pwrite(fd, data, 4u * SPAN_BYTES, 0), 4 * SPAN_BYTES);
	write_span(spans, 10);
	uint64_t before = usage(cache), freed = 0;
	assert_int_equal(cache_evict(cache, before - 1, &freed, NULL), 0);
	assert_true(freed >= 3 * 4096);
}

static int find_used(void *arg, const struct cache_item *item, struct err *err)
{
	struct cache_item *out = arg;
	(void)err;
	*out = *item;
	return 0;
}

static void test_list_says_what_is_in_use(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	write_span(spans, 2);
	struct cache_item item = { 0 };
	assert_int_equal(cache_list(cache, find_used, &item, NULL), 0);
	assert_true(item.in_use);
	assert_int_equal(item.kind, CACHE_KINDS);
	assert_int_equal(item.spans, SPANS);
	assert_int_equal(item.spans_present, 1);
	assert_true(digest_equal(&item.digest, &p->layer));
	cache_spans_free(TAKE(spans));
	assert_int_equal(cache_list(cache, find_used, &item, NULL), 0);
	assert_false(item.in_use);
	uint64_t freed = 0;
	assert_int_equal(cache_clear(cache, &freed, NULL), 0);
	assert_int_equal(freed, item.disk_bytes);
	assert_true(usage(cache) == 0);
}

static time_t last_use(const struct place *p)
{
	auto_close int fd = open_file(p, "use");
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	return st.st_mtime;
}

static void test_only_users_count_as_use(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	AUTO(cache_spans) spans = open_spans(cache, p);
	write_span(spans, 1);
	cache_spans_free(TAKE(spans));
	auto_close int fd = open_file(p, "use");
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	assert_int_equal(futimens(fd, old), 0);
	uint64_t checked = 0, dropped = 0, freed = 0;
	struct cache_item item = { 0 };
	assert_int_equal(cache_verify(cache, &checked, &dropped, NULL), 0);
	assert_int_equal(cache_list(cache, find_used, &item, NULL), 0);
	assert_int_equal(cache_evict(cache, UINT64_MAX, &freed, NULL), 0);
	assert_int_equal(item.used_s, 1000);
	assert_int_equal(last_use(p), 1000);
	spans = open_spans(cache, p);
	assert_true(last_use(p) > 1000);
	assert_int_equal(futimens(fd, old), 0);
	cache_spans_free(TAKE(spans));
	assert_true(last_use(p) > 1000);
}

static void test_one_evicts_at_a_time(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p);
	make_layer(cache, p, 1, 1000);
	auto_close int lock = openat(cache->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	uint64_t freed = 7;
	assert_int_equal(cache_evict(cache, 0, &freed, NULL), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(cache_clear(cache, &freed, NULL), -EAGAIN);
	assert_true(layer_there(cache, 1));
}

/* ---- many processes */

static struct cache_span big_span(unsigned layer, uint32_t number)
{
	uint64_t offset = 0;
	for (uint32_t i = 0; i < number; i++)
		offset += BIG_SPAN_MAX - 997u * ((i + layer) % 13);
	return (struct cache_span){ number, offset, BIG_SPAN_MAX - 997u * ((number + layer) % 13) };
}

static void big_bytes(uint8_t *out, unsigned layer, const struct cache_span *span)
{
	uint32_t x = layer * 7919u + span->number * 104729u + 1;
	for (uint32_t i = 0; i < span->size; i++) {
		x = x * 1664525u + 1013904223u;
		out[i] = (uint8_t)(x >> 24);
	}
}

struct worker {
	struct cache *cache;
	struct cache_spans *layers[LAYERS];
	uint32_t x;
	unsigned hits, misses;
	uint8_t want[BIG_SPAN_MAX], got[BIG_SPAN_MAX];
};

static uint32_t next(struct worker *w, uint32_t below)
{
	w->x = w->x * 1664525u + 1013904223u;
	return (w->x >> 8) % below;
}

static void open_big(struct worker *w, unsigned layer)
{
	struct digest digest = digest_number(layer);
	struct cache_span end = big_span(layer, BIG_SPANS);
	cache_spans_free(TAKE(w->layers[layer]));
	CHILD(cache_spans_open(&w->layers[layer], w->cache, &digest, LAYOUT, BIG_SPANS, end.offset,
			       NULL) == 0);
}

static void use_span(struct worker *w)
{
	unsigned layer = next(w, LAYERS);
	struct cache_span span = big_span(layer, next(w, BIG_SPANS));
	if (!w->layers[layer] || next(w, 100) == 0)
		open_big(w, layer);
	struct cache_spans *spans = w->layers[layer];
	uint32_t at = next(w, span.size), size = 1 + next(w, span.size - at);
	big_bytes(w->want, layer, &span);
	if (cache_spans_read(spans, &span, w->got, size, at) == 1) {
		CHILD(memcmp(w->got, w->want + at, size) == 0);
		w->hits++;
		return;
	}
	w->misses++;
	bool locked = cache_spans_trylock(spans, span.number);
	if (locked || next(w, 4) == 0)
		CHILD(cache_spans_write(spans, &span, w->want, NULL) == 0);
	if (locked)
		cache_spans_unlock(spans, span.number);
}

static void use_file(struct worker *w)
{
	unsigned n = next(w, 20);
	struct digest key = digest_number(n);
	struct cache_map map = { 0 };
	struct cache_span span = { n, 0, 1 + 700 * n };
	big_bytes(w->want, 99, &span);
	CHILD(cache_get(w->cache, CACHE_TABLE, &key, &map, NULL) == 0);
	if (map.data)
		CHILD(map.size == span.size && memcmp(map.data, w->want, map.size) == 0);
	else
		CHILD(cache_put(w->cache, CACHE_TABLE, &key, w->want, span.size, NULL) == 0);
	cache_map_release(&map);
}

static void scan_big(struct worker *w)
{
	unsigned layer = next(w, LAYERS);
	struct digest digest = digest_number(layer);
	struct cache_spans *spans = NULL;
	CHILD(cache_spans_new(&spans, w->cache, NULL) == 0);
	for (uint32_t i = 0; i < BIG_SPANS; i++) {
		struct cache_span span = big_span(layer, i);
		big_bytes(w->want, layer, &span);
		CHILD(cache_spans_write(spans, &span, w->want, NULL) == 0);
	}
	CHILD(cache_spans_publish(spans, &digest, LAYOUT, BIG_SPANS,
				  big_span(layer, BIG_SPANS).offset, NULL) == 0);
	cache_spans_free(TAKE(w->layers[layer]));
	w->layers[layer] = spans;
}

/* LAYERS layers of 2.4 MB through a cache of 700 kB. */
static struct worker *start_work(const struct place *p, uint32_t seed, uint32_t boot)
{
	struct worker *w = mem_new(sizeof(*w));
	struct cache_options options = { .path = p->cache, .size_bytes = 700u * 1024 };
	w->x = seed * 2654435761u + 1;
	CHILD(cache_open(&w->cache, &options, NULL) == 0);
	if (boot)
		cache_set_boot(w->cache, boot);
	return w;
}

static void end_work(struct worker *w)
{
	for (unsigned i = 0; i < LAYERS; i++)
		cache_spans_free(w->layers[i]);
	cache_free(w->cache);
	free(w);
}

static void work(const struct place *p, uint32_t seed, uint32_t boot, unsigned rounds)
{
	struct worker *w = start_work(p, seed, boot);
	for (unsigned i = 0; i < rounds; i++) {
		use_span(w);
		if (next(w, 8) == 0)
			use_file(w);
		if (next(w, 400) == 0)
			scan_big(w);
	}
	CHILD(cache_writable(w->cache));
	CHILD(w->hits > rounds / 100 && w->misses > rounds / 100);
	end_work(w);
}

static pid_t start(const struct place *p, uint32_t seed, uint32_t boot, unsigned rounds)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		work(p, seed, boot, rounds);
		_exit(0);
	}
	return pid;
}

static void test_processes_share_a_small_quota(void **state)
{
	const struct place *p = *state;
	pid_t pids[WORKERS];
	for (uint32_t i = 0; i < WORKERS; i++)
		pids[i] = start(p, i, 0, 1500);
	for (size_t i = 0; i < WORKERS; i++) {
		int status = 0;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	AUTO(cache) cache = open_cache(p);
	/* each may have written for 64 kB and one span before it looked */
	assert_true(usage(cache) <
		    700u * 1024 + WORKERS * 2 * 64u * 1024 + 4096 * LAYERS * BIG_SPANS);
	assert_int_equal(count_tmp(cache), 0);
	uint64_t checked = 0, dropped = 0;
	assert_int_equal(cache_verify(cache, &checked, &dropped, NULL), 0);
	assert_true(checked > 0);
	assert_int_equal(dropped, 0);
}

static void test_killed_ones_leave_nothing_wrong(void **state)
{
	const struct place *p = *state;
	for (uint32_t i = 0; i < 40; i++) {
		/* of two starts of the machine, so that marks are proven again and again */
		pid_t a = start(p, i, 1 + i / 4 % 2, UINT32_MAX);
		pid_t b = start(p, 1000 + i, 1 + i / 4 % 2, UINT32_MAX);
		unsigned random = 0;
		assert_int_equal(getrandom(&random, sizeof(random), 0), sizeof(random));
		struct timespec pause = { .tv_nsec = 1000 * (1000 + random % 60000) };
		(void)nanosleep(&pause, NULL);
		int status = 0;
		(void)kill(a, SIGKILL);
		(void)kill(b, SIGKILL);
		assert_int_equal(waitpid(a, &status, 0), a);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_int_equal(waitpid(b, &status, 0), b);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	AUTO(cache) cache = open_cache(p);
	assert_int_equal(count_tmp(cache), 0);
	/* and it can be used */
	int status = 0;
	pid_t last = start(p, 9999, 1, 300);
	assert_int_equal(waitpid(last, &status, 0), last);
	assert_int_equal(status, 0);
	uint64_t checked = 0, dropped = 0;
	assert_int_equal(cache_verify(cache, &checked, &dropped, NULL), 0);
	assert_true(checked > 0);
	assert_int_equal(dropped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_the_longest_unused_goes_first),
		TEST(test_what_is_in_use_loses_spans_only),
		TEST(test_what_a_dead_writer_left_is_freed),
		TEST(test_list_says_what_is_in_use),
		TEST(test_only_users_count_as_use),
		TEST(test_one_evicts_at_a_time),
		TEST(test_processes_share_a_small_quota),
		TEST(test_killed_ones_leave_nothing_wrong),
	};
	return cmocka_run_group_tests_name("evict", tests, NULL, NULL);
}
