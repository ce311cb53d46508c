/* What a broken or hostile server does, and the code, words and bytes that remain of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "base/str.h"
#include "net/http.h"
#include "script-server.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define RSS_GROWTH_MAX_KIB 16384 /* less than a huge header; sanitizers keep what is freed */

struct fixture {
	struct script_server *server; /* owned */
	struct http *http;	      /* owned */
	struct http *hasty;	      /* owned; a second without bytes is a stall */
};

static bool serve_reset(struct script_client *c)
{
	return script_reset(c);
}

static bool serve_nothing(struct script_client *c)
{
	(void)c;
	return false;
}

static bool serve_reset_in_headers(struct script_client *c)
{
	(void)script_say(c, OK "X-A: 1\r\n");
	return script_reset(c);
}

static bool serve_cut_headers(struct script_client *c)
{
	(void)script_say(c, OK "X-A: 1\r\n");
	return false;
}

static bool serve_truncated(struct script_client *c)
{
	(void)script_say(c, OK "Content-Length: 1000\r\n\r\nhello");
	return false;
}

static bool serve_reset_in_body(struct script_client *c)
{
	(void)script_say(c, OK "Content-Length: 1000\r\n\r\nhello");
	(void)usleep(50 * 1000);
	return script_reset(c);
}

static bool serve_chunk_cut(struct script_client *c)
{
	(void)script_say(c, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n100\r\n");
	return false;
}

static bool serve_chunk_no_end(struct script_client *c)
{
	(void)script_say(c, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	return false;
}

static bool serve_chunk_bad(struct script_client *c)
{
	(void)script_say(c, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n\r\n");
	return script_wait(c);
}

static bool serve_chunk_huge(struct script_client *c)
{
	(void)script_say(c, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
			       "fffffffffffffffffffff\r\n");
	return script_wait(c);
}

static bool serve_garbage(struct script_client *c)
{
	(void)script_say(c, "\x16\x03\x01 SSH-2.0 what is this\r\n\r\n");
	return script_wait(c);
}

static bool serve_bad_status(struct script_client *c)
{
	(void)script_say(c, "HTTP/1.1 abc what\r\n\r\n");
	return script_wait(c);
}

static bool serve_huge_header(struct script_client *c)
{
	char piece[65536];
	memset(piece, 'a', sizeof(piece));
	(void)script_say(c, OK "X-A: ");
	for (size_t i = 0; i < 20u << 4; i++) {
		if (!script_send(c, piece, sizeof(piece)))
			return false;
	}
	return script_wait(c);
}

static bool serve_huge_status(struct script_client *c)
{
	char piece[65536];
	memset(piece, 'a', sizeof(piece));
	(void)script_say(c, "HTTP/1.1 200 ");
	for (size_t i = 0; i < 20u << 4; i++) {
		if (!script_send(c, piece, sizeof(piece)))
			return false;
	}
	return script_wait(c);
}

static bool serve_many_headers(struct script_client *c)
{
	(void)script_say(c, OK);
	for (size_t i = 0; i < 20000; i++) {
		if (!script_say(c, "X-A: 1\r\n"))
			return false;
	}
	return script_say(c, "Content-Length: 0\r\n\r\n");
}

static bool serve_large_headers(struct script_client *c)
{
	char piece[32768];
	memset(piece, 'a', sizeof(piece));
	(void)script_say(c, OK);
	for (size_t i = 0; i < 20; i++) {
		if (!script_say(c, "X-A: ") || !script_send(c, piece, sizeof(piece)) ||
		    !script_say(c, "\r\n"))
			return false;
	}
	return script_say(c, "Content-Length: 0\r\n\r\n");
}

static bool serve_hints(struct script_client *c)
{
	for (size_t i = 0; i < 1000; i++) {
		if (!script_say(c, "HTTP/1.1 103 Early\r\n\r\n"))
			return false;
	}
	return script_say(c, OK "Content-Length: 0\r\n\r\n");
}

/* Few answers and few lines, but much in each. */
static bool serve_large_hints(struct script_client *c)
{
	char piece[32768];
	memset(piece, 'a', sizeof(piece));
	for (size_t i = 0; i < 15; i++) {
		if (!script_say(c, "HTTP/1.1 103 Early\r\nX-A: ") ||
		    !script_send(c, piece, sizeof(piece)) || !script_say(c, "\r\n\r\n"))
			return false;
	}
	return script_say(c, OK "Content-Length: 0\r\n\r\n");
}

static bool serve_trailers(struct script_client *c)
{
	(void)script_say(c, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n");
	for (size_t i = 0; i < 20000; i++) {
		if (!script_say(c, "X-A: 1\r\n"))
			return false;
	}
	return script_say(c, "\r\n");
}

static bool serve_encoded(struct script_client *c)
{
	return script_say(c, OK "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello");
}

static bool serve_encoded_twice(struct script_client *c)
{
	return script_say(c, OK "Content-Encoding: identity\r\nContent-Encoding: br\r\n"
				"Content-Length: 5\r\n\r\nhello");
}

static bool serve_two_lengths(struct script_client *c)
{
	return script_say(c, OK "Content-Length: 5\r\nContent-Length: 4\r\n\r\nhello");
}

static bool serve_bad_length(struct script_client *c)
{
	return script_say(c, OK "Content-Length: 5x\r\n\r\nhello");
}

static bool serve_negative_length(struct script_client *c)
{
	return script_say(c, OK "Content-Length: -5\r\n\r\nhello");
}

static bool serve_huge_length(struct script_client *c)
{
	return script_say(c, OK "Content-Length: 99999999999999999999\r\n\r\nhello");
}

static bool serve_switch(struct script_client *c)
{
	(void)script_say(c, "HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\nhello");
	return false;
}

static bool serve_nul(struct script_client *c)
{
	static const char head[] = OK "X-A: a\0b\r\nContent-Length: 0\r\n\r\n";
	return script_send(c, head, sizeof(head) - 1);
}

static bool serve_unknown_coding(struct script_client *c)
{
	(void)script_say(c, OK "Transfer-Encoding: rot13\r\n\r\nuryyb");
	return false;
}

static bool serve_stall(struct script_client *c)
{
	return script_wait(c);
}

static bool serve_stall_in_headers(struct script_client *c)
{
	(void)script_say(c, OK "X-A: 1\r\n");
	return script_wait(c);
}

static bool serve_stall_in_body(struct script_client *c)
{
	(void)script_say(c, OK "Content-Length: 1000\r\n\r\nhello");
	return script_wait(c);
}

/* 200 bytes a second: never silent for long, always too slow. */
static bool serve_drip(struct script_client *c)
{
	(void)script_say(c, OK "Content-Length: 100000\r\n\r\nhello");
	while (script_say(c, "drip drip drip drip "))
		(void)usleep(100 * 1000);
	return false;
}

static const struct script scripts[] = {
	{ "/reset", serve_reset },
	{ "/nothing", serve_nothing },
	{ "/reset-in-headers", serve_reset_in_headers },
	{ "/cut-headers", serve_cut_headers },
	{ "/truncated", serve_truncated },
	{ "/reset-in-body", serve_reset_in_body },
	{ "/chunk-cut", serve_chunk_cut },
	{ "/chunk-no-end", serve_chunk_no_end },
	{ "/chunk-bad", serve_chunk_bad },
	{ "/chunk-huge", serve_chunk_huge },
	{ "/garbage", serve_garbage },
	{ "/bad-status", serve_bad_status },
	{ "/huge-header", serve_huge_header },
	{ "/huge-status", serve_huge_status },
	{ "/many-headers", serve_many_headers },
	{ "/large-headers", serve_large_headers },
	{ "/hints", serve_hints },
	{ "/large-hints", serve_large_hints },
	{ "/trailers", serve_trailers },
	{ "/encoded", serve_encoded },
	{ "/encoded-twice", serve_encoded_twice },
	{ "/two-lengths", serve_two_lengths },
	{ "/bad-length", serve_bad_length },
	{ "/negative-length", serve_negative_length },
	{ "/huge-length", serve_huge_length },
	{ "/switch", serve_switch },
	{ "/nul", serve_nul },
	{ "/unknown-coding", serve_unknown_coding },
	{ "/stall", serve_stall },
	{ "/stall-in-headers", serve_stall_in_headers },
	{ "/stall-in-body", serve_stall_in_body },
	{ "/drip", serve_drip },
	{ NULL, NULL },
};

static int set_up(void **state)
{
	struct fixture *f = mem_make(struct fixture, .server = script_start(scripts));
	const struct http_options options = { .low_speed_seconds = 1 };
	*state = f;
	return http_new(&f->http, NULL, NULL) || http_new(&f->hasty, &options, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	http_free(f->http);
	http_free(f->hasty);
	script_stop(f->server);
	free(f);
	return 0;
}

/* Read to the end or the error; the bytes are counted. */
static int read_on(struct http_transfer *t, size_t *bytes, struct err *err)
{
	const void *data = NULL;
	size_t size = 1;
	int r = 0;
	while (r == 0 && size > 0) {
		r = http_next(t, &data, &size, err);
		if (r == 0)
			*bytes += size;
	}
	return r;
}

static int fetch(const struct fixture *f, struct http *http, const char *path, size_t *bytes,
		 struct err *err)
{
	auto_str url = STR_MAX(4096);
	str_addf(&url, "http://127.0.0.1:%u%s", f->server->port, path);
	const struct http_request request = { .method = "GET", .url = str_text(&url) };
	AUTO(http_transfer) t = NULL;
	int r = http_open(&t, http, &request, err);
	if (r < 0)
		return r;
	r = read_on(t, bytes, err);
	size_t more = 0;
	assert_int_equal(read_on(t, &more, NULL), r); /* an error stays */
	assert_int_equal(more, 0);
	return r;
}

static void test_http_fault_has_its_code_and_words(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *path;
		int code;
		size_t bytes; /* of the body that came before, or any */
		const char *words;
	} cases[] = {
		{ "/reset", -EAGAIN, 0, "broke the connection" },
		{ "/nothing", -EAGAIN, 0, "without an answer" },
		{ "/reset-in-headers", -EAGAIN, 0, "broke the connection" },
		{ "/cut-headers", -EAGAIN, 0, "" },
		{ "/truncated", -EAGAIN, 5, "broke off" },
		{ "/reset-in-body", -EAGAIN, 5, "broke the connection" },
		{ "/chunk-cut", -EAGAIN, 5, "broke off" },
		{ "/chunk-no-end", -EAGAIN, 5, "broke off" },
		{ "/chunk-bad", -EPROTO, 5, "broken chunk" },
		{ "/chunk-huge", -EPROTO, 5, "broken chunk" },
		{ "/garbage", -EPROTO, 0, "sent no HTTP" },
		{ "/bad-status", -EPROTO, 0, "sent no" },
		{ "/huge-header", -EPROTO, 0, "header that is too long" },
		{ "/huge-status", -EPROTO, 0, "header that is too long" },
		{ "/many-headers", -EPROTO, 0, "too many headers" },
		{ "/large-headers", -EPROTO, 0, "too many headers" },
		{ "/hints", -EPROTO, 0, "too many informational" },
		{ "/large-hints", -EPROTO, 0, "too many headers" },
		{ "/trailers", -EPROTO, 5, "too many headers" },
		{ "/encoded", -EPROTO, 0, "Content-Encoding" },
		{ "/encoded-twice", -EPROTO, 0, "Content-Encoding" },
		{ "/two-lengths", -EPROTO, 0, "Content-Length" },
		{ "/bad-length", -EPROTO, 0, "Content-Length" },
		{ "/negative-length", -EPROTO, 0, "" },
		{ "/huge-length", -EPROTO, 0, "" },
		{ "/switch", -EPROTO, 0, "no complete answer" },
		{ "/nul", -EPROTO, 0, "" },
		{ "/unknown-coding", -EPROTO, 0, "transfer encoding" },
		{ "/stall", -ETIMEDOUT, 0, "did not answer within 1 s" },
		{ "/stall-in-headers", -ETIMEDOUT, 0, "did not answer within 1 s" },
		{ "/stall-in-body", -ETIMEDOUT, 5, "stalled" },
		{ "/drip", -ETIMEDOUT, SIZE_MAX, "stalled" },
	};
	auto_str host = STR_MAX(100);
	str_addf(&host, "'127.0.0.1:%u'", f->server->port);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct err err = { 0 };
		size_t bytes = 0;
		bool stalls = cases[i].code == -ETIMEDOUT;
		int r = fetch(f, stalls ? f->hasty : f->http, cases[i].path, &bytes, &err);
		if (r != cases[i].code || (cases[i].bytes != SIZE_MAX && bytes != cases[i].bytes) ||
		    !strstr(err.text, cases[i].words) || !str_starts(err.text, str_text(&host)))
			fail_msg("%s: %d, %zu bytes, %s", cases[i].path, r, bytes, err.text);
	}
}

static void test_http_hostile_headers_take_no_memory(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = { "/huge-header",   "/huge-status", "/many-headers",
					     "/large-headers", "/hints",       "/trailers" };
	struct rusage before, after;
	(void)getrusage(RUSAGE_SELF, &before);
	for (size_t i = 0; i < 3 * N_ELEMENTS(paths); i++) {
		size_t bytes = 0;
		const char *path = paths[i % N_ELEMENTS(paths)];
		assert_int_equal(fetch(f, f->http, path, &bytes, NULL), -EPROTO);
	}
	(void)getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < RSS_GROWTH_MAX_KIB);
}

static void test_http_names_who_cannot_be_reached(void **state)
{
	struct fixture *f = *state;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, but nobody listens */
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
	auto_str url = STR_MAX(100), host = STR_MAX(100);
	str_addf(&host, "'127.0.0.1:%u'", ntohs(addr.sin_port));
	str_addf(&url, "http://127.0.0.1:%u/", ntohs(addr.sin_port));
	struct http_request request = { .method = "GET", .url = str_text(&url) };
	struct http_transfer *t = NULL;
	struct err err = { 0 };
	assert_int_equal(http_open(&t, f->http, &request, &err), -EAGAIN);
	assert_non_null(strstr(err.text, str_text(&host)));
	assert_non_null(strstr(err.text, "refused"));
	(void)close(fd);
}

/* A label of more than 63 bytes: every resolver says no, without asking anybody. */
static void test_http_names_a_host_that_does_not_resolve(void **state)
{
	struct fixture *f = *state;
	auto_str url = STR_MAX(200);
	str_addf(&url, "http://%070d.invalid/", 0);
	struct http_request request = { .method = "GET", .url = str_text(&url) };
	struct http_transfer *t = NULL;
	struct err err = { 0 };
	assert_int_equal(http_open(&t, f->http, &request, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "cannot resolve '"));
	assert_non_null(strstr(err.text, ".invalid'"));
}

/* The queue of a listening socket is full: what a dead host looks like. */
static void test_http_gives_up_connecting(void **state)
{
	(void)state;
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(addr);
	int fds[4];
	for (size_t i = 0; i < N_ELEMENTS(fds); i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fds[0], (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fds[0], 0), 0);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&addr, &size), 0);
	for (size_t i = 1; i < N_ELEMENTS(fds); i++)
		(void)connect(fds[i], (struct sockaddr *)&addr, sizeof(addr));
	AUTO(http) http = NULL;
	const struct http_options options = { .connect_timeout_ms = 300 };
	assert_int_equal(http_new(&http, &options, NULL), 0);
	auto_str url = STR_MAX(100);
	str_addf(&url, "http://127.0.0.1:%u/", ntohs(addr.sin_port));
	const struct http_request request = { .method = "GET", .url = str_text(&url) };
	struct http_transfer *t = NULL;
	struct err err = { 0 };
	assert_int_equal(http_open(&t, http, &request, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "connect"));
	for (size_t i = 0; i < N_ELEMENTS(fds); i++)
		(void)close(fds[i]);
}

static void test_http_total_timeout_ends_a_small_answer(void **state)
{
	struct fixture *f = *state;
	auto_str url = STR_MAX(100);
	str_addf(&url, "http://127.0.0.1:%u/drip", f->server->port);
	const struct http_request request = { .method = "GET",
					      .url = str_text(&url),
					      .total_timeout_ms = 300 };
	AUTO(http_transfer) t = NULL;
	struct err err = { 0 };
	size_t bytes = 0;
	assert_int_equal(http_open(&t, f->http, &request, &err), 0);
	assert_int_equal(read_on(t, &bytes, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "300 ms"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_http_fault_has_its_code_and_words),
		TEST(test_http_hostile_headers_take_no_memory),
		TEST(test_http_names_who_cannot_be_reached),
		TEST(test_http_names_a_host_that_does_not_resolve),
		TEST(test_http_gives_up_connecting),
		TEST(test_http_total_timeout_ends_a_small_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
