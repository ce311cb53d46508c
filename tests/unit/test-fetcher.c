/*
 * The fetcher over a repo in memory: right bytes or an error, one flight for a span, few requests,
 * and a way out of everything that can go wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "fetch-rig.h"

#define KIB 1024u

static uint32_t span_count(const struct rig *rig)
{
	return table_span_count(rig->layer.table.table);
}

static const struct table_span *span_at(const struct rig *rig, uint32_t span)
{
	return table_span(rig->layer.table.table, span);
}

/* ---- every kind of span */

static void read_all(struct rig *rig)
{
	rig_start(rig, 0);
	/* backwards, so that not all is read ahead */
	for (uint32_t i = span_count(rig); i > 0; i--)
		assert_in_range(rig_get(rig, i - 1, NULL), 0, 1);
	unsigned requests = atomic_load(&rig->fake.requests);
	for (uint32_t i = 0; i < span_count(rig); i++)
		assert_in_range(rig_get(rig, i, NULL), 0, 1);
	assert_int_equal(atomic_load(&rig->fake.requests), requests);
	assert_int_equal(rig->failed, 0);
}

static void test_spans_of_every_kind_come_right(void **state)
{
	(void)state;
	static const enum span_start starts[] = { SPAN_GZIP, SPAN_ZSTD, SPAN_STORED };
	for (size_t i = 0; i < 2 * N_ELEMENTS(starts); i++) {
		AUTO(rig) rig = mem_new(sizeof(*rig));
		rig_chunks(&rig->layer, starts[i / 2], 40, 60000, i % 2);
		read_all(rig);
	}
}

static void test_spans_inside_a_member_come_right(void **state)
{
	(void)state;
	AUTO(rig) rig = mem_new(sizeof(*rig));
	rig_inside(&rig->layer, 3 * KIB * KIB, 100 * KIB);
	assert_true(table_span_count(rig->layer.table.table) > 8);
	read_all(rig);
}

/* Whatever a table says: each span alone is right. */
static void test_spans_that_lie_over_each_other(void **state)
{
	(void)state;
	for (int ranges = 0; ranges < 2; ranges++) {
		AUTO(rig) rig = mem_new(sizeof(*rig));
		struct table_span spans[30];
		rig->layer.blob = bytes_text(30 * 50, 5);
		for (uint32_t i = 0; i < N_ELEMENTS(spans); i++) {
			uint32_t size = i < 29 ? 60 + i % 40 : 50;
			spans[i] = (struct table_span){ .blob_offset = i * 50,
							.blob_size = i < 28 ? size : 50,
							.stream_offset = rig->layer.plain.size,
							.stream_size = i < 28 ? size : 50 };
			bytes_add(&rig->layer.plain, rig->layer.blob.data + i * 50,
				  spans[i].stream_size);
		}
		rig->layer.table = span_table_of(TABLE_TAR, spans, N_ELEMENTS(spans));
		rig_start(rig, 0);
		atomic_store(&rig->fake.no_ranges, !ranges);
		for (uint32_t i = 0; i < N_ELEMENTS(spans); i++)
			assert_in_range(rig_get(rig, i * 7 % 30, NULL), 0, 1);
		fetcher_want(rig->fetcher, &(struct fetch_span){ 0, 30 }, 1, FETCH_PREFETCH);
		fetcher_want(rig->fetcher, &(struct fetch_span){ 1, 0 }, 1, FETCH_FILL);
		assert_true(fetcher_idle(rig->fetcher, FETCH_PREFETCH));
		assert_true(fetcher_idle(rig->fetcher, FETCH_FILL));
	}
}

static void test_pieces_of_a_span(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(10, 50000, 0);
	for (uint32_t i = 0; i < 10; i++) {
		AUTO(rig_wait) w = rig_wait_new(rig, 3);
		w->wait.at = i * 2000;
		w->wait.size = 1999;
		if (fetcher_get(rig->fetcher, &w->wait) == 0)
			assert_int_equal(rig_wait_for(w), 0);
		assert_true(rig_right(rig, w));
	}
	assert_int_equal(atomic_load(&rig->fake.requests), 1);
}

/* ---- few requests */

static void test_one_flight_for_many_waiters(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(4, 50000, 0);
	struct rig_wait *waits[50];
	atomic_store(&rig->fake.stall, true);
	for (size_t i = 0; i < N_ELEMENTS(waits); i++) {
		waits[i] = rig_wait_new(rig, 2);
		assert_int_equal(fetcher_get(rig->fetcher, &waits[i]->wait), 0);
	}
	atomic_store(&rig->fake.stall, false);
	for (size_t i = 0; i < N_ELEMENTS(waits); i++) {
		assert_int_equal(rig_wait_for(waits[i]), 0);
		assert_true(rig_right(rig, waits[i]));
		assert_int_equal(waits[i]->calls, 1);
		rig_wait_free(waits[i]);
	}
	assert_int_equal(atomic_load(&rig->fake.requests), 1);
	struct fetcher_stats stats;
	fetcher_stats(rig->fetcher, 0, &stats);
	assert_int_equal(stats.requests, 1);
	assert_int_equal(stats.misses, 50);
	uint64_t timed = 0;
	for (size_t i = 0; i < N_ELEMENTS(stats.latency_us); i++)
		timed += stats.latency_us[i];
	assert_int_equal(timed, 50);
}

static void test_waiting_neighbours_make_one_request(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(200, 40000, 1);
	struct rig_wait *waits[30];
	/* the one thread is busy elsewhere while they come, in no order */
	atomic_store(&rig->fake.stall, true);
	AUTO(rig_wait) first = rig_wait_new(rig, 199);
	assert_int_equal(fetcher_get(rig->fetcher, &first->wait), 0);
	while (!atomic_load(&rig->fake.requests))
		rig_sleep(1);
	for (uint32_t i = 0; i < N_ELEMENTS(waits); i++) {
		waits[i] = rig_wait_new(rig, 20 + i * 7 % 30);
		assert_int_equal(fetcher_get(rig->fetcher, &waits[i]->wait), 0);
	}
	atomic_store(&rig->fake.stall, false);
	assert_int_equal(rig_wait_for(first), 0);
	for (size_t i = 0; i < N_ELEMENTS(waits); i++) {
		assert_int_equal(rig_wait_for(waits[i]), 0);
		assert_true(rig_right(rig, waits[i]));
		rig_wait_free(waits[i]);
	}
	assert_int_equal(atomic_load(&rig->fake.requests), 2);
}

static void test_a_hint_makes_one_request(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(100, 100000, 0);
	struct fetch_span spans[40];
	for (uint32_t i = 0; i < N_ELEMENTS(spans); i++)
		spans[i] = (struct fetch_span){ 0, 10 + i };
	fetcher_want(rig->fetcher, spans, N_ELEMENTS(spans), FETCH_DEMAND);
	for (uint32_t i = 0; i < N_ELEMENTS(spans); i++)
		assert_in_range(rig_get(rig, 10 + i, NULL), 0, 1);
	assert_int_equal(atomic_load(&rig->fake.requests), 1);
}

static void test_reading_on_takes_few_requests(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(600, 40000, 0);
	atomic_store(&rig->fake.delay_ms, 2);
	for (uint32_t i = 0; i < 600; i++)
		assert_in_range(rig_get(rig, i, NULL), 0, 1);
	assert_in_range(atomic_load(&rig->fake.requests), 1, 600 / 15);
}

static void test_reading_at_random_fetches_little(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(2000, 20000, 0);
	uint64_t needed = 0;
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t span = i * 7919 % 2000;
		needed += span_at(rig, span)->blob_size;
		assert_in_range(rig_get(rig, span, NULL), 0, 1);
	}
	struct fetcher_stats stats;
	fetcher_stats(rig->fetcher, 0, &stats);
	assert_in_range(stats.requests, 1, 40);
	assert_in_range(stats.fetched_bytes, needed, needed + 40 * 100 * KIB);
}

static void test_what_is_cached_costs_nothing(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(10, 50000, 0);
	struct fetch_span spans[10];
	for (uint32_t i = 0; i < 10; i++)
		spans[i] = (struct fetch_span){ 0, i };
	fetcher_want(rig->fetcher, spans, 10, FETCH_PREFETCH);
	assert_true(rig_idle(rig, FETCH_PREFETCH));
	assert_int_equal(fetcher_quiet_ms(rig->fetcher), UINT64_MAX);
	unsigned requests = atomic_load(&rig->fake.requests);
	assert_in_range(requests, 1, 2);
	fetcher_want(rig->fetcher, spans, 10, FETCH_PREFETCH);
	fetcher_want(rig->fetcher, spans, 10, FETCH_FILL);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(rig_get(rig, i, NULL), 1);
	assert_true(rig_idle(rig, FETCH_FILL));
	assert_int_equal(atomic_load(&rig->fake.requests), requests);
}

/* ---- demand first */

static void want_all(struct rig *rig, enum fetch_class class)
{
	auto_free struct fetch_span *spans = mem_new(span_count(rig) * sizeof(*spans));
	for (uint32_t i = 0; i < span_count(rig); i++)
		spans[i].span = i;
	fetcher_want(rig->fetcher, spans, span_count(rig), class);
}

static void test_fill_gets_everything(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(300, 20000, 0);
	want_all(rig, FETCH_FILL);
	assert_true(rig_idle(rig, FETCH_FILL));
	assert_true(rig_present(rig, 300));
}

static void test_demand_passes_a_stalled_prefetch(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(400, 100000, 0);
	struct fetch_span spans[20];
	for (uint32_t i = 0; i < 20; i++)
		spans[i] = (struct fetch_span){ 0, i * 20 };
	atomic_store(&rig->fake.stall, true);
	fetcher_want(rig->fetcher, spans, 20, FETCH_PREFETCH);
	while (atomic_load(&rig->fake.requests) < 6)
		rig_sleep(1);
	/* six of eight threads are stuck; what is read now is asked for all the same */
	AUTO(rig_wait) w = rig_wait_new(rig, 390);
	assert_int_equal(fetcher_get(rig->fetcher, &w->wait), 0);
	bool asked = false;
	for (unsigned ms = 0; ms < 5000 && !asked; ms++, rig_sleep(1))
		asked = fake_logged(&rig->fake, span_at(rig, 390)->blob_offset);
	atomic_store(&rig->fake.stall, false);
	assert_int_equal(rig_wait_for(w), 0);
	assert_true(asked);
	assert_true(rig_idle(rig, FETCH_PREFETCH));
}

static void test_demand_far_ahead_in_a_fill_is_fetched_apart(void **state)
{
	(void)state;
	AUTO(rig) rig = mem_new(sizeof(*rig));
	rig_chunks(&rig->layer, SPAN_STORED, 70, 100000, false);
	rig_start(rig, 0);
	atomic_store(&rig->fake.stall, true);
	want_all(rig, FETCH_FILL);
	while (!atomic_load(&rig->fake.requests))
		rig_sleep(1);
	AUTO(rig_wait) w = rig_wait_new(rig, 60);
	assert_int_equal(fetcher_get(rig->fetcher, &w->wait), 0);
	bool apart = false;
	for (unsigned ms = 0; ms < 5000 && !apart; ms++, rig_sleep(1))
		apart = fake_logged(&rig->fake, span_at(rig, 60)->blob_offset);
	atomic_store(&rig->fake.stall, false);
	assert_int_equal(rig_wait_for(w), 0);
	assert_true(apart);
	assert_true(rig_right(rig, w));
	assert_true(rig_idle(rig, FETCH_FILL));
	assert_true(rig_present(rig, 70));
}

/* ---- what goes wrong */

/* Stored bytes have no checksum of their own: only the digest tells. */
static void test_wrong_bytes_are_fetched_once_more(void **state)
{
	(void)state;
	static const enum span_start starts[] = { SPAN_STORED, SPAN_GZIP };
	for (size_t k = 0; k < N_ELEMENTS(starts); k++) {
		AUTO(rig) rig = mem_new(sizeof(*rig));
		rig_chunks(&rig->layer, starts[k], 10, 50000, false);
		rig_start(rig, 0);
		atomic_store(&rig->fake.corrupt_at, span_at(rig, 4)->blob_offset + 3000);
		atomic_store(&rig->fake.corrupt, 1);
		assert_int_equal(rig_get(rig, 4, NULL), 0);
		assert_int_equal(atomic_load(&rig->fake.fresh), 1);
		assert_int_equal(rig->failed, 0);
		for (uint32_t i = 0; i < 10; i++)
			assert_in_range(rig_get(rig, i, NULL), 0, 1);
		assert_int_equal(atomic_load(&rig->fake.fresh), 1);
		struct fetcher_stats stats;
		fetcher_stats(rig->fetcher, 0, &stats);
		assert_int_equal(stats.retries, 1);
		assert_int_equal(stats.errors, 0);
	}
}

static void test_wrong_bytes_fail_and_are_tried_again_later(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(10, 50000, 0);
	struct err err = { 0 };
	atomic_store(&rig->fake.corrupt_at, span_at(rig, 4)->blob_offset + 3000);
	atomic_store(&rig->fake.corrupt, RIG_ALWAYS);
	assert_int_equal(rig_get(rig, 4, &err), -EBADMSG);
	assert_non_null(strstr(err_text(&err), "layer 1 of 'fake/app': bytes "));
	assert_non_null(strstr(err_text(&err), digest_show(&rig->descriptor.digest)));
	unsigned requests = atomic_load(&rig->fake.requests);
	/* for a while it fails at once, and the others are fine */
	assert_int_equal(rig_get(rig, 4, &err), -EBADMSG);
	assert_int_equal(atomic_load(&rig->fake.requests), requests);
	assert_in_range(rig_get(rig, 3, NULL), 0, 1);
	assert_in_range(rig_get(rig, 5, NULL), 0, 1);
	atomic_store(&rig->fake.corrupt, 0);
	rig_sleep(FETCHER_PAUSE_MS + 100);
	assert_int_equal(rig_get(rig, 4, NULL), 0);
	assert_int_equal(rig->failed, 1);
	assert_string_equal(rig->failed_text, err_text(&err));
}

static void test_a_failed_request_is_everybodys_and_passes(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(10, 50000, 0);
	struct err err = { 0 };
	atomic_store(&rig->fake.fail, 1);
	assert_int_equal(rig_get(rig, 4, &err), -EAGAIN);
	assert_non_null(strstr(err_text(&err), "503"));
	assert_int_equal(rig_get(rig, 4, NULL), -EAGAIN);
	rig_sleep(FETCHER_PAUSE_MS + 100);
	assert_int_equal(rig_get(rig, 4, NULL), 0);
}

static void test_a_body_that_breaks_gives_what_came(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(20, 20000, 1);
	struct fetch_span spans[20];
	for (uint32_t i = 0; i < 20; i++)
		spans[i] = (struct fetch_span){ 0, i };
	atomic_store(&rig->fake.cut_at, span_at(rig, 9)->blob_offset);
	fetcher_want(rig->fetcher, spans, 20, FETCH_DEMAND);
	assert_int_equal(rig_get(rig, 0, NULL), 0);
	assert_int_equal(rig_get(rig, 15, NULL), -ETIMEDOUT);
	assert_in_range(rig_get(rig, 5, NULL), 0, 1);
	atomic_store(&rig->fake.cut_at, 0);
	assert_in_range(rig_get(rig, 12, NULL), 0, 1);
}

static void test_a_table_without_digests_is_not_believed(void **state)
{
	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		AUTO(rig) rig = mem_new(sizeof(*rig));
		rig_chunks(&rig->layer, SPAN_STORED, 1, 50000, false);
		struct table_span span = *table_span(rig->layer.table.table, 0);
		span.has_digest = 0;
		span_table_release(&rig->layer.table);
		rig->layer.table = span_table_of(plain ? TABLE_TAR : TABLE_ESTARGZ, &span, 1);
		rig_start(rig, 0);
		assert_int_equal(rig_get(rig, 0, NULL), plain ? 0 : -EBADMSG);
	}
}

static void test_a_server_without_ranges_is_streamed_once(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(100, 20000, 0);
	atomic_store(&rig->fake.no_ranges, true);
	assert_int_equal(rig_get(rig, 70, NULL), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_in_range(rig_get(rig, i, NULL), 0, 1);
	assert_true(rig_present(rig, 100));
	/* the first ones may have been asked for when the stream was past them */
	assert_in_range(atomic_load(&rig->fake.blobs), 1, 2);
}

static void test_what_is_wanted_comes_without_ranges_too(void **state)
{
	(void)state;
	for (int class = FETCH_PREFETCH; class <= FETCH_FILL; class ++) {
		AUTO(rig) rig = rig_gzip(50, 20000, 0);
		atomic_store(&rig->fake.no_ranges, true);
		fetcher_want(rig->fetcher, &(struct fetch_span){ 0, 20 }, 1,
			     (enum fetch_class) class);
		assert_true(rig_present(rig, 50));
		assert_true(rig_idle(rig, (enum fetch_class) class));
		assert_int_equal(atomic_load(&rig->fake.blobs), 1);
	}
}

static void test_a_server_without_ranges_that_lies_once(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(30, 20000, 0);
	atomic_store(&rig->fake.no_ranges, true);
	atomic_store(&rig->fake.corrupt_at, span_at(rig, 7)->blob_offset + 1000);
	atomic_store(&rig->fake.corrupt, 1);
	for (uint32_t i = 0; i < 30; i++)
		assert_in_range(rig_get(rig, i, NULL), 0, 1);
	assert_int_equal(atomic_load(&rig->fake.fresh), 1);
}

static void test_without_a_cache_the_last_spans_are_at_hand(void **state)
{
	(void)state;
	struct rlimit limit, none;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	AUTO(rig) rig = rig_gzip(40, 50000, 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	int worst = 0;
	for (uint32_t i = 0; i < 5 * 40; i++) {
		int r = rig_get(rig, i / 5, NULL);
		worst = r < worst ? r : worst;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(worst, 0);
	assert_int_equal(cache_spans_present(rig->spans), 0);
	assert_in_range(atomic_load(&rig->fake.requests), 1, 40);
}

/* ---- together */

struct reader {
	struct rig *rig;
	uint32_t seed;
	pthread_t thread;
};

static void *read_at_random(void *arg)
{
	struct reader *r = arg;
	for (unsigned i = 0; i < 150; i++) {
		r->seed = r->seed * 1664525 + 1013904223;
		uint32_t span = (r->seed >> 8) % span_count(r->rig);
		if ((r->seed >> 4) % 8 == 0)
			fetcher_want(r->rig->fetcher, &(struct fetch_span){ 0, span }, 1,
				     (r->seed >> 24) % FETCH_FILL + 1);
		int n = rig_get(r->rig, span, NULL);
		if (n < 0)
			return r;
	}
	return NULL;
}

static void test_many_readers_at_once(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(400, 20000, 0);
	struct reader readers[16];
	for (uint32_t i = 0; i < N_ELEMENTS(readers); i++) {
		readers[i] = (struct reader){ .rig = rig, .seed = i };
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_at_random, &readers[i]), 0);
	}
	want_all(rig, FETCH_FILL);
	for (size_t i = 0; i < N_ELEMENTS(readers); i++) {
		void *failed = NULL;
		assert_int_equal(pthread_join(readers[i].thread, &failed), 0);
		assert_null(failed);
	}
	assert_true(rig_idle(rig, FETCH_FILL));
	assert_true(rig_present(rig, 400));
	/* but for what lies between, nothing was fetched twice */
	struct fetcher_stats stats;
	fetcher_stats(rig->fetcher, 0, &stats);
	assert_in_range(stats.fetched_bytes, rig->layer.blob.size,
			rig->layer.blob.size + rig->layer.blob.size / 2);
}

static void test_two_fetchers_share_one_cache(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(100, 20000, 0);
	struct fetcher *second = NULL;
	struct cache_spans *spans = NULL;
	assert_int_equal(cache_spans_open(&spans, rig->cache, &rig->descriptor.digest, 1, 100,
					  table_stream_size(rig->layer.table.table), NULL),
			 0);
	struct fetcher_layer given = rig->given;
	given.spans = spans;
	const struct fetcher_options options = { .repo = &rig->fake.base,
						 .layers = &given,
						 .layer_count = 1 };
	atomic_store(&rig->fake.stall, true);
	AUTO(rig_wait) mine = rig_wait_new(rig, 50);
	AUTO(rig_wait) other = rig_wait_new(rig, 50);
	assert_int_equal(fetcher_get(rig->fetcher, &mine->wait), 0);
	while (!atomic_load(&rig->fake.requests))
		rig_sleep(1);
	assert_int_equal(fetcher_new(&second, &options, NULL), 0);
	assert_int_equal(fetcher_get(second, &other->wait), 0);
	rig_sleep(60);
	assert_int_equal(atomic_load(&rig->fake.requests), 1);
	atomic_store(&rig->fake.stall, false);
	assert_int_equal(rig_wait_for(mine), 0);
	assert_int_equal(rig_wait_for(other), 0);
	assert_true(rig_right(rig, other));
	assert_int_equal(atomic_load(&rig->fake.requests), 1);
	fetcher_free(second);
	cache_spans_free(spans);
}

/* ---- the end */

static void test_waits_can_be_forgotten(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(10, 20000, 0);
	atomic_store(&rig->fake.stall, true);
	AUTO(rig_wait) a = rig_wait_new(rig, 5);
	AUTO(rig_wait) b = rig_wait_new(rig, 5);
	AUTO(rig_wait) c = rig_wait_new(rig, 5);
	assert_int_equal(fetcher_get(rig->fetcher, &a->wait), 0);
	assert_int_equal(fetcher_get(rig->fetcher, &b->wait), 0);
	assert_int_equal(fetcher_get(rig->fetcher, &c->wait), 0);
	assert_true(fetcher_forget(rig->fetcher, &c->wait));
	assert_true(fetcher_forget(rig->fetcher, &a->wait));
	assert_false(fetcher_forget(rig->fetcher, &a->wait));
	assert_false(fetcher_idle(rig->fetcher, FETCH_DEMAND));
	atomic_store(&rig->fake.stall, false);
	assert_int_equal(rig_wait_for(b), 0);
	assert_false(fetcher_forget(rig->fetcher, &b->wait));
	assert_int_equal(a->calls + c->calls, 0);
	assert_true(fetcher_idle(rig->fetcher, FETCH_DEMAND));
}

static void test_freed_while_everything_stalls(void **state)
{
	(void)state;
	AUTO(rig) rig = rig_gzip(400, 50000, 3);
	struct rig_wait *waits[20];
	atomic_store(&rig->fake.stall, true);
	want_all(rig, FETCH_FILL);
	for (uint32_t i = 0; i < N_ELEMENTS(waits); i++) {
		waits[i] = rig_wait_new(rig, i * 19);
		assert_int_equal(fetcher_get(rig->fetcher, &waits[i]->wait), 0);
	}
	fetcher_free(TAKE(rig->fetcher));
	for (size_t i = 0; i < N_ELEMENTS(waits); i++) {
		assert_int_equal(waits[i]->calls, 1);
		assert_int_equal(waits[i]->r, -ECANCELED);
		rig_wait_free(waits[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans_of_every_kind_come_right),
		cmocka_unit_test(test_spans_inside_a_member_come_right),
		cmocka_unit_test(test_spans_that_lie_over_each_other),
		cmocka_unit_test(test_pieces_of_a_span),
		cmocka_unit_test(test_one_flight_for_many_waiters),
		cmocka_unit_test(test_waiting_neighbours_make_one_request),
		cmocka_unit_test(test_a_hint_makes_one_request),
		cmocka_unit_test(test_reading_on_takes_few_requests),
		cmocka_unit_test(test_reading_at_random_fetches_little),
		cmocka_unit_test(test_what_is_cached_costs_nothing),
		cmocka_unit_test(test_fill_gets_everything),
		cmocka_unit_test(test_demand_passes_a_stalled_prefetch),
		cmocka_unit_test(test_demand_far_ahead_in_a_fill_is_fetched_apart),
		cmocka_unit_test(test_wrong_bytes_are_fetched_once_more),
		cmocka_unit_test(test_wrong_bytes_fail_and_are_tried_again_later),
		cmocka_unit_test(test_a_failed_request_is_everybodys_and_passes),
		cmocka_unit_test(test_a_body_that_breaks_gives_what_came),
		cmocka_unit_test(test_a_table_without_digests_is_not_believed),
		cmocka_unit_test(test_a_server_without_ranges_is_streamed_once),
		cmocka_unit_test(test_what_is_wanted_comes_without_ranges_too),
		cmocka_unit_test(test_a_server_without_ranges_that_lies_once),
		cmocka_unit_test(test_without_a_cache_the_last_spans_are_at_hand),
		cmocka_unit_test(test_many_readers_at_once),
		cmocka_unit_test(test_two_fetchers_share_one_cache),
		cmocka_unit_test(test_waits_can_be_forgotten),
		cmocka_unit_test(test_freed_while_everything_stalls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
