/* Groups of requests: what ends when one is aborted, what does not, and what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <time.h>

#include "base/str.h"
#include "net/http-group.h"
#include "net/http.h"
#include "script-server.h"

#define SOON_MS 1000u
#define LARGE_BYTES (8u << 20) /* more than waits in memory: the transfer is paused */

struct fixture {
	struct script_server *server; /* owned */
	struct http *http;	      /* owned */
	struct http_group *group;     /* owned */
};

static uint64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool serve_hello(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

static bool serve_stall(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe") && script_wait(c);
}

static bool serve_large(struct script_client *c)
{
	static const char piece[1u << 16];
	if (!script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n"))
		return false;
	for (size_t i = 0; i < LARGE_BYTES / sizeof(piece); i++)
		if (!script_send(c, piece, sizeof(piece)))
			return false;
	return true;
}

static const struct script scripts[] = {
	{ "/hello", serve_hello },
	{ "/silent", script_wait },
	{ "/stall", serve_stall },
	{ "/large", serve_large },
	{ NULL, NULL },
};

static int set_up(void **state)
{
	struct fixture *f = mem_make(struct fixture, .server = script_start(scripts));
	*state = f;
	if (http_new(&f->http, NULL, NULL) < 0)
		return -1;
	f->group = http_group_new(f->http);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	http_group_free(f->group);
	http_free(f->http);
	script_stop(f->server);
	free(f);
	return 0;
}

static int open_path(const struct fixture *f, const char *path, struct http_group *group,
		     struct http_transfer **out, struct err *err)
{
	auto_str url = STR_MAX(100);
	str_addf(&url, "http://127.0.0.1:%u%s", f->server->port, path);
	const struct http_request request = { .method = "GET",
					      .url = str_text(&url),
					      .group = group };
	return http_open(out, f->http, &request, err);
}

/* To the end, or the error. */
static int fetch(const struct fixture *f, const char *path, struct http_group *group,
		 uint64_t *bytes, struct err *err)
{
	AUTO(http_transfer) t = NULL;
	size_t size = 1;
	*bytes = 0;
	int r = open_path(f, path, group, &t, err);
	while (r == 0 && size > 0) {
		const void *data = NULL;
		size = 0;
		r = http_next(t, &data, &size, err);
		*bytes += size;
	}
	return r;
}

struct call {
	const struct fixture *f;
	const char *path;
	pthread_t thread;
	int result;
	struct err err;
};

static void *run_call(void *arg)
{
	struct call *call = arg;
	uint64_t bytes = 0;
	call->result = fetch(call->f, call->path, call->f->group, &bytes, &call->err);
	return NULL;
}

static void test_abort_ends_requests_wherever_they_are(void **state)
{
	const struct fixture *f = *state;
	struct call calls[] = { { f, "/silent", 0, 0, { 0 } }, { f, "/stall", 0, 0, { 0 } } };
	AUTO(http_transfer) paused = NULL;
	const void *data = NULL;
	size_t size = 0;
	assert_int_equal(open_path(f, "/large", f->group, &paused, NULL), 0);
	for (size_t i = 0; i < N_ELEMENTS(calls); i++)
		pthread_create(&calls[i].thread, NULL, run_call, &calls[i]);
	usleep(200000);
	uint64_t start = now_ms();
	http_group_abort(f->group);
	for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
		pthread_join(calls[i].thread, NULL);
		assert_int_equal(calls[i].result, -ECANCELED);
		assert_non_null(strstr(err_text(&calls[i].err), "127.0.0.1"));
	}
	/* what has come already is not handed out either */
	assert_int_equal(http_next(paused, &data, &size, NULL), -ECANCELED);
	assert_in_range(now_ms() - start, 0, SOON_MS);
}

static void test_abort_is_for_later_requests_and_for_no_others(void **state)
{
	const struct fixture *f = *state;
	AUTO(http_group) other = http_group_new(f->http);
	uint64_t bytes = 0;
	assert_false(http_group_aborted(f->group));
	http_group_abort(f->group);
	http_group_abort(f->group);
	assert_true(http_group_aborted(f->group));
	assert_int_equal(fetch(f, "/hello", f->group, &bytes, NULL), -ECANCELED);
	assert_int_equal(f->server->requests, 0);
	assert_int_equal(fetch(f, "/hello", other, &bytes, NULL), 0);
	assert_int_equal(fetch(f, "/hello", NULL, &bytes, NULL), 0);
	http_group_abort(NULL);
	assert_false(http_group_aborted(NULL));
}

static void *run_pause(void *arg)
{
	struct call *call = arg;
	call->result = http_group_pause(call->f->group, 60000) ? 0 : -ECANCELED;
	return NULL;
}

static void test_abort_ends_a_pause(void **state)
{
	const struct fixture *f = *state;
	struct call call = { .f = f };
	uint64_t start = now_ms();
	assert_true(http_group_pause(f->group, 30));
	assert_true(http_group_pause(NULL, 30));
	assert_true(now_ms() - start >= 60);
	start = now_ms();
	pthread_create(&call.thread, NULL, run_pause, &call);
	usleep(20000);
	http_group_abort(f->group);
	pthread_join(call.thread, NULL);
	assert_int_equal(call.result, -ECANCELED);
	assert_false(http_group_pause(f->group, 60000));
	assert_in_range(now_ms() - start, 0, SOON_MS);
}

static void test_group_counts_its_own(void **state)
{
	const struct fixture *f = *state;
	uint64_t bytes = 0;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fetch(f, "/hello", f->group, &bytes, NULL), 0);
	assert_int_equal(fetch(f, "/hello", NULL, &bytes, NULL), 0);
	assert_true(http_group_pause(f->group, 0));
	const struct http_counts counts = http_group_counts(f->group);
	const struct http_counts none = http_group_counts(NULL);
	assert_int_equal(counts.requests, 3);
	assert_int_equal(counts.bytes, 15);
	assert_int_equal(counts.retries, 1);
	assert_int_equal(none.requests + none.bytes + none.retries, 0);
	assert_int_equal(http_requests(f->http), 4);
	assert_int_equal(http_bytes(f->http), 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_abort_ends_requests_wherever_they_are),
		TEST(test_abort_is_for_later_requests_and_for_no_others),
		TEST(test_abort_ends_a_pause),
		TEST(test_group_counts_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
