/* Large bodies: back-pressure, pieces, slow readers, leaving early, many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/str.h"
#include "net/body.h"
#include "net/http.h"
#include "net/stall.h"
#include "script-server.h"

#define LARGE_BYTES (64u << 20)
#define RUN_BYTES 1009u
#define THREADS 16
#define REQUESTS_A_THREAD 25

struct fixture {
	struct script_server *server; /* owned */
	struct http *http;	      /* owned */
};

/* Runs of equal bytes: quick to write and to compare, also under a sanitizer. */
static uint8_t pattern(uint64_t i)
{
	uint64_t run = i / RUN_BYTES;
	return (uint8_t)(run * 31 + (run >> 8));
}

static void fill_pattern(uint8_t *data, size_t size, uint64_t at)
{
	while (size > 0) {
		size_t rest = (size_t)(RUN_BYTES - at % RUN_BYTES), n = size < rest ? size : rest;
		memset(data, pattern(at), n);
		data += n;
		at += n;
		size -= n;
	}
}

static bool is_pattern(const uint8_t *data, size_t size, uint64_t at)
{
	uint8_t run[RUN_BYTES];
	while (size > 0) {
		size_t rest = (size_t)(RUN_BYTES - at % RUN_BYTES), n = size < rest ? size : rest;
		memset(run, pattern(at), n);
		if (memcmp(data, run, n) != 0)
			return false;
		data += n;
		at += n;
		size -= n;
	}
	return true;
}

/* The number behind the question mark is the size. */
static bool serve_bytes(struct script_client *c)
{
	uint64_t size = strtoull(strchr(c->request, '?') + 1, NULL, 10);
	auto_str head = STR_MAX(200);
	str_addf(&head, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
		 (unsigned long long)size);
	if (!script_say(c, str_text(&head)))
		return false;
	uint8_t piece[65536];
	for (uint64_t at = 0; at < size; at += sizeof(piece)) {
		size_t n = size - at < sizeof(piece) ? (size_t)(size - at) : sizeof(piece);
		fill_pattern(piece, n, at);
		if (!script_send(c, piece, n))
			return false;
	}
	return true;
}

/* Ten lines, 20 ms apart. */
static bool serve_lines(struct script_client *c)
{
	(void)script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n");
	for (size_t i = 0; i < 10; i++) {
		(void)usleep(20 * 1000);
		(void)script_say(c, "line\n");
	}
	return true;
}

/* Refuses before it has read the body of a POST, and never reads it. */
static bool serve_refusal(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 413 no\r\nContent-Length: 0\r\n\r\n");
}

static const struct script scripts[] = {
	{ "/bytes", serve_bytes },
	{ "/lines", serve_lines },
	{ "/refusal", serve_refusal },
	{ NULL, NULL },
};

static int set_up(void **state)
{
	struct fixture *f = mem_make(struct fixture, .server = script_start(scripts));
	*state = f;
	return http_new(&f->http, NULL, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	http_free(f->http);
	script_stop(f->server);
	free(f);
	return 0;
}

static struct http_transfer *open_bytes(const struct fixture *f, uint64_t size)
{
	auto_str url = STR_MAX(4096);
	str_addf(&url, "http://127.0.0.1:%u/bytes?%llu", f->server->port, (unsigned long long)size);
	const struct http_request request = { .method = "GET", .url = str_text(&url) };
	struct http_transfer *t = NULL;
	return http_open(&t, f->http, &request, NULL) == 0 ? t : NULL;
}

/* Bytes of the pattern up to the end, or UINT64_MAX when something is wrong. */
static uint64_t read_pattern(struct http_transfer *t, size_t *pieces)
{
	uint64_t at = 0;
	const void *data = NULL;
	size_t size = 0;
	for (*pieces = 0; http_next(t, &data, &size, NULL) == 0; (*pieces)++) {
		if (size == 0)
			return at;
		if (!is_pattern(data, size, at))
			return UINT64_MAX;
		at += size;
	}
	return UINT64_MAX;
}

static void test_http_large_body_comes_in_large_pieces(void **state)
{
	struct fixture *f = *state;
	AUTO(http_transfer) t = open_bytes(f, LARGE_BYTES);
	size_t pieces = 0;
	assert_non_null(t);
	assert_int_equal(read_pattern(t, &pieces), LARGE_BYTES);
	assert_int_equal(http_bytes(f->http), LARGE_BYTES);
	assert_true(pieces < 8 * LARGE_BYTES / BODY_PIECE_BYTES);
}

static void test_http_sizes_around_a_piece_are_whole(void **state)
{
	struct fixture *f = *state;
	for (uint64_t size = 0; size < 12u * BODY_PIECE_BYTES; size += BODY_PIECE_BYTES / 2 - 1) {
		AUTO(http_transfer) t = open_bytes(f, size);
		size_t pieces = 0;
		assert_non_null(t);
		assert_int_equal(read_pattern(t, &pieces), size);
	}
	assert_int_equal(f->server->connections, 1);
}

/* A reader that rests for longer than a stall is allowed: neither memory nor an error. */
static void test_http_waits_for_a_slow_reader(void **state)
{
	const struct http_options options = { .low_speed_seconds = 1 };
	struct fixture f = *(struct fixture *)*state;
	AUTO(http) http = NULL;
	assert_int_equal(http_new(&http, &options, NULL), 0);
	f.http = http;
	AUTO(http_transfer) t = open_bytes(&f, LARGE_BYTES);
	assert_non_null(t);
	const void *data = NULL;
	size_t size = 0;
	uint64_t at = 0;
	for (size_t i = 0; i < 3; i++) {
		(void)usleep(1300 * 1000);
		assert_true(http_bytes(http) <= at + BODY_MAX_BYTES);
		assert_true(http_bytes(http) >= at + BODY_PIECE_BYTES); /* read ahead */
		assert_int_equal(http_next(t, &data, &size, NULL), 0);
		assert_true(is_pattern(data, size, at));
		at += size;
	}
	while (at < LARGE_BYTES) {
		assert_int_equal(http_next(t, &data, &size, NULL), 0);
		assert_true(is_pattern(data, size, at));
		at += size;
		assert_true(http_bytes(http) <= at + BODY_MAX_BYTES);
	}
}

static void test_http_slow_lines_come_as_they_are(void **state)
{
	struct fixture *f = *state;
	auto_str url = STR_MAX(100);
	str_addf(&url, "http://127.0.0.1:%u/lines", f->server->port);
	const struct http_request request = { .method = "GET", .url = str_text(&url) };
	AUTO(http_transfer) t = NULL;
	assert_int_equal(http_open(&t, f->http, &request, NULL), 0);
	const void *data = NULL;
	size_t size = 1, pieces = 0, all = 0;
	while (size > 0) {
		assert_int_equal(http_next(t, &data, &size, NULL), 0);
		pieces += size > 0;
		all += size;
	}
	assert_int_equal(all, 50);
	assert_true(pieces >= 2); /* nobody waits for the end */
}

static void test_http_may_be_left_in_the_middle(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 40; i++) {
		AUTO(http_transfer) t = open_bytes(f, LARGE_BYTES);
		assert_non_null(t);
		const void *data = NULL;
		size_t size = 0;
		for (size_t j = 0; j < i % 8; j++)
			assert_int_equal(http_next(t, &data, &size, NULL), 0);
		if (i % 3 == 0)
			(void)usleep(3000); /* paused by then */
	}
	AUTO(http_transfer) t = open_bytes(f, 1000);
	size_t pieces = 0;
	assert_non_null(t);
	assert_int_equal(read_pattern(t, &pieces), 1000);
}

static void test_http_early_answer_to_a_large_post(void **state)
{
	struct fixture *f = *state;
	auto_str url = STR_MAX(100);
	str_addf(&url, "http://127.0.0.1:%u/refusal", f->server->port);
	size_t size = SCRIPT_REQUEST_MAX / 2;
	auto_free char *body = mem_new(size);
	const struct http_request request = {
		.method = "POST", .url = str_text(&url), .body = body, .body_size = size
	};
	AUTO(http_transfer) t = NULL;
	assert_int_equal(http_open(&t, f->http, &request, NULL), 0);
	assert_int_equal(http_status(t), 413);
}

/* One of many readers: sizes from nothing to 2 MiB, some left early; counts what went wrong. */
static void *run_reader(void *arg)
{
	const struct fixture *f = arg;
	uintptr_t wrong = 0;
	for (uint64_t i = 0; i < REQUESTS_A_THREAD; i++) {
		uint64_t size = i * i * 3500;
		AUTO(http_transfer) t = open_bytes(f, size);
		const void *data = NULL;
		size_t pieces = 0, got = 0;
		if (!t)
			wrong++;
		else if (i % 5 == 4)
			wrong += http_next(t, &data, &got, NULL) != 0 || got == 0;
		else
			wrong += read_pattern(t, &pieces) != size;
	}
	return (void *)wrong;
}

static void test_http_serves_many_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_reader, f), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong = NULL;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_int_equal(http_requests(f->http), THREADS * REQUESTS_A_THREAD);
}

/* Paused transfers hold nobody else up: readers one after the other, all opened before. */
static void test_http_paused_transfers_do_not_block_others(void **state)
{
	struct fixture *f = *state;
	struct http_transfer *t[8];
	const uint64_t size = 4u << 20;
	for (size_t i = 0; i < N_ELEMENTS(t); i++) {
		t[i] = open_bytes(f, size);
		assert_non_null(t[i]);
	}
	for (size_t i = N_ELEMENTS(t); i > 0; i--) {
		size_t pieces = 0;
		assert_int_equal(read_pattern(t[i - 1], &pieces), size);
		http_transfer_free(t[i - 1]);
	}
}

static void test_http_starts_and_stops(void **state)
{
	(void)state;
	for (size_t i = 0; i < 20; i++) {
		AUTO(http) http = NULL;
		assert_int_equal(http_new(&http, NULL, NULL), 0);
	}
	http_free(NULL);
}

static void test_body_keeps_order_and_bounds(void **state)
{
	(void)state;
	struct body body = { 0 };
	uint8_t chunk[16384];
	uint64_t written = 0, read = 0;
	const void *data = NULL;
	size_t size = 0;
	for (size_t round = 0; round < 4000; round++) {
		size_t n = (round * 7919) % sizeof(chunk) + 1;
		fill_pattern(chunk, n, written);
		bool fits = body_room(&body) >= n;
		assert_int_equal(body_add(&body, chunk, n), fits);
		written += fits ? n : 0;
		if (fits && round % 3)
			continue;
		body_return(&body);
		if (!body_lend(&body, &data, &size))
			continue;
		assert_false(body_lend(&body, &data, &size)); /* one at a time */
		assert_true(size > 0 && is_pattern(data, size, read));
		read += size;
		assert_int_equal(body.waiting, written - read);
		assert_true(written - read <= BODY_MAX_BYTES);
	}
	assert_int_equal(body.received, written);
	body_release(&body);
}

static void test_stall_clock_rests_while_paused(void **state)
{
	(void)state;
	struct stall stall;
	uint64_t wait_ms = 60000;
	stall_start(&stall, 20000, 1000);
	assert_false(stall_check(&stall, 1000, &wait_ms));
	assert_int_equal(wait_ms, 20000);
	stall_add(&stall, 1 << 20, 2000);
	stall_pause(&stall, 3000);
	assert_false(stall_check(&stall, 900000, &wait_ms));
	stall_resume(&stall, 900000); /* 1 s without a byte, 2 s of the window are over */
	wait_ms = 60000;
	assert_false(stall_check(&stall, 900000, &wait_ms));
	assert_int_equal(wait_ms, 18000);
	assert_false(stall_check(&stall, 918999, &wait_ms));
	assert_true(stall_check(&stall, 919000, &wait_ms));
}

static void test_stall_clock_counts_bytes_of_a_window(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes_a_second;
		bool stalls;
	} cases[] = { { 1, true }, { 1023, true }, { 1025, false }, { 1000000, false } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct stall stall;
		uint64_t wait_ms = 60000;
		bool stalled = false;
		stall_start(&stall, 20000, 0);
		for (uint64_t second = 1; second <= 100; second++) {
			stall_add(&stall, cases[i].bytes_a_second, second * 1000);
			stalled = stalled || stall_check(&stall, second * 1000, &wait_ms);
		}
		assert_int_equal(stalled, cases[i].stalls);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_http_large_body_comes_in_large_pieces),
		TEST(test_http_sizes_around_a_piece_are_whole),
		TEST(test_http_waits_for_a_slow_reader),
		TEST(test_http_slow_lines_come_as_they_are),
		TEST(test_http_may_be_left_in_the_middle),
		TEST(test_http_early_answer_to_a_large_post),
		TEST(test_http_serves_many_threads),
		TEST(test_http_paused_transfers_do_not_block_others),
		cmocka_unit_test(test_http_starts_and_stops),
		cmocka_unit_test(test_body_keeps_order_and_bounds),
		cmocka_unit_test(test_stall_clock_rests_while_paused),
		cmocka_unit_test(test_stall_clock_counts_bytes_of_a_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
