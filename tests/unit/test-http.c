/* Requests that go well, however oddly the server writes, and those that are refused unsent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/str.h"
#include "net/http.h"
#include "script-server.h"

struct fixture {
	struct script_server *server; /* owned */
	struct http *http;	      /* owned */
};

static bool serve_hello(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a:2 \r\n"
			     "X-Empty:\r\nSet-Cookie: a=b\r\n\r\nhello");
}

/* Answers with the request itself. */
static bool serve_mirror(struct script_client *c)
{
	auto_str head = STR_MAX(200);
	str_addf(&head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", c->size);
	return script_say(c, str_text(&head)) && script_send(c, c->request, c->size);
}

static bool serve_head(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
}

static bool serve_redirect(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 307 go\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n");
}

static bool serve_denied(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 401 no\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
			     "WWW-Authenticate: Bearer realm=\"y\"\r\nContent-Length: 2\r\n\r\nno");
}

static bool serve_empty(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 204 none\r\n\r\n");
}

static bool serve_chunked(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			     "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-A: trailer\r\nX-B: 1\r\n\r\n");
}

static bool serve_no_length(struct script_client *c)
{
	(void)script_say(c, "HTTP/1.1 200 OK\r\n\r\nhello");
	return false;
}

static bool serve_http10(struct script_client *c)
{
	(void)script_say(c, "HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\nhello");
	return false;
}

static bool serve_extra(struct script_client *c)
{
	(void)script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more");
	return false;
}

static bool serve_folded(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\nContent-Length: 5\nX-Long: one\n two\n\nhello");
}

static bool serve_hints(struct script_client *c)
{
	for (size_t i = 0; i < 16; i++)
		(void)script_say(c, "HTTP/1.1 103 Early\r\nX-Hint: 1\r\n\r\n");
	return serve_hello(c);
}

static bool serve_identity(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
			     "Content-Encoding: Identity\r\n\r\nhello");
}

static bool serve_same_lengths(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"
			     "hello");
}

/* A keep-alive connection that dies as soon as it is used again. */
static bool serve_fickle(struct script_client *c)
{
	(void)serve_hello(c);
	(void)script_read(c);
	return false;
}

static bool serve_fickle_reset(struct script_client *c)
{
	(void)serve_hello(c);
	(void)script_read(c);
	return script_reset(c);
}

/* A proxy that opens no tunnel; it must not be shown what is for the target. */
static bool serve_no_tunnel(struct script_client *c)
{
	if (strstr(c->request, "\r\nAuthorization:"))
		abort();
	return script_say(c, "HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n");
}

static bool serve_slow_start(struct script_client *c)
{
	(void)usleep(300 * 1000);
	return serve_hello(c);
}

static const struct script scripts[] = {
	{ "/hello", serve_hello },
	{ "/mirror", serve_mirror },
	{ "/head", serve_head },
	{ "/redirect", serve_redirect },
	{ "/denied", serve_denied },
	{ "/empty", serve_empty },
	{ "/chunked", serve_chunked },
	{ "/no-length", serve_no_length },
	{ "/http10", serve_http10 },
	{ "/extra", serve_extra },
	{ "/folded", serve_folded },
	{ "/hints", serve_hints },
	{ "/identity", serve_identity },
	{ "/same-lengths", serve_same_lengths },
	{ "/fickle", serve_fickle },
	{ "/fickle-reset", serve_fickle_reset },
	{ "/slow-start", serve_slow_start },
	{ "http://proxied.invalid/mirror", serve_mirror },
	{ "proxied.invalid:443", serve_no_tunnel },
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

static char *url_of(const struct fixture *f, const char *path)
{
	auto_str url = STR_MAX(4096);
	str_addf(&url, "http://127.0.0.1:%u%s", f->server->port, path);
	return str_take(&url);
}

static struct http_transfer *open_path(const struct fixture *f, const char *method,
				       const char *path)
{
	auto_free char *url = url_of(f, path);
	const struct http_request request = { .method = method, .url = url };
	struct http_transfer *t = NULL;
	struct err err = { 0 };
	if (http_open(&t, f->http, &request, &err) != 0)
		fail_msg("%s: %s", path, err_text(&err));
	return t;
}

/* All of a body as text. */
static char *read_all(struct http_transfer *t)
{
	auto_str text = STR_MAX(1 << 20);
	const void *data = NULL;
	size_t size = 1;
	while (size > 0) {
		struct err err = { 0 };
		if (http_next(t, &data, &size, &err) != 0)
			fail_msg("%s", err_text(&err));
		if (size > 0)
			str_addn(&text, data, size);
	}
	return str_take(&text);
}

static void test_http_open_gives_status_and_headers(void **state)
{
	struct fixture *f = *state;
	AUTO(http_transfer) t = open_path(f, "GET", "/hello");
	assert_int_equal(http_status(t), 200);
	assert_int_equal(http_content_length(t), 5);
	assert_string_equal(http_header(t, "X-a", 0), "1");
	assert_string_equal(http_header(t, "x-A", 1), "2");
	assert_null(http_header(t, "x-a", 2));
	assert_null(http_header(t, "x", 0));
	assert_string_equal(http_header(t, "x-empty", 0), "");
	auto_free char *body = read_all(t);
	assert_string_equal(body, "hello");
	auto_free char *nothing = read_all(t);
	assert_string_equal(nothing, "");
	assert_int_equal(http_requests(f->http), 1);
	assert_int_equal(http_bytes(f->http), 5);
	http_transfer_free(NULL);
}

static void test_http_reads_oddly_written_answers(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *path;
		uint64_t length;
	} cases[] = {
		{ "/chunked", UINT64_MAX }, { "/no-length", UINT64_MAX },
		{ "/http10", UINT64_MAX },  { "/extra", 5 },
		{ "/folded", 5 },	    { "/hints", 5 },
		{ "/identity", 5 },	    { "/same-lengths", 5 },
		{ "/slow-start", 5 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(http_transfer) t = open_path(f, "GET", cases[i].path);
		assert_int_equal(http_status(t), 200);
		assert_int_equal(http_content_length(t), cases[i].length);
		auto_free char *body = read_all(t);
		assert_string_equal(body, "hello");
		assert_null(http_header(t, "X-Hint", 0));
		assert_null(http_header(t, "X-B", 0)); /* a trailer */
	}
	AUTO(http_transfer) folded = open_path(f, "GET", "/folded");
	assert_string_equal(http_header(folded, "X-Long", 0), "one two");
}

static void test_http_head_has_no_body(void **state)
{
	struct fixture *f = *state;
	AUTO(http_transfer) t = open_path(f, "HEAD", "/head");
	assert_int_equal(http_content_length(t), 12345);
	auto_free char *body = read_all(t);
	assert_string_equal(body, "");
	AUTO(http_transfer) none = open_path(f, "GET", "/empty");
	assert_int_equal(http_status(none), 204);
	auto_free char *nothing = read_all(none);
	assert_string_equal(nothing, "");
	assert_int_equal(f->server->connections, 1); /* nothing was left in the connection */
}

static void test_http_follows_nothing_and_answers_no_challenge(void **state)
{
	struct fixture *f = *state;
	AUTO(http_transfer) moved = open_path(f, "GET", "/redirect");
	assert_int_equal(http_status(moved), 307);
	assert_string_equal(http_header(moved, "location", 0), "/hello");
	AUTO(http_transfer) denied = open_path(f, "GET", "/denied");
	assert_int_equal(http_status(denied), 401);
	assert_string_equal(http_header(denied, "www-authenticate", 1), "Bearer realm=\"y\"");
	auto_free char *body = read_all(denied);
	assert_string_equal(body, "no");
	assert_int_equal(f->server->requests, 2);
}

static void test_http_sends_what_was_asked_and_no_more(void **state)
{
	struct fixture *f = *state;
	AUTO(http_transfer) cookie = open_path(f, "GET", "/hello");
	auto_free char *url = url_of(f, "/mirror?a=%2f#secret");
	static const char *const headers[] = { "Accept: x/y", "Authorization: Bearer t", NULL };
	const struct http_request request = {
		.method = "POST", .url = url, .headers = headers, .body = "a=b&c\0d", .body_size = 7
	};
	AUTO(http_transfer) t = NULL;
	assert_int_equal(http_open(&t, f->http, &request, NULL), 0);
	auto_free char *sent = read_all(t);
	assert_true(str_starts(sent, "POST /mirror?a=%2f HTTP/1.1\r\n"));
	assert_non_null(strstr(sent, "\r\nAccept-Encoding: identity\r\n"));
	assert_non_null(strstr(sent, "\r\nUser-Agent: rootlet/"));
	assert_non_null(strstr(sent, "\r\nAccept: x/y\r\n"));
	assert_non_null(strstr(sent, "\r\nAuthorization: Bearer t\r\n"));
	assert_non_null(strstr(sent, "\r\nContent-Length: 7\r\n"));
	assert_non_null(strstr(sent, "\r\n\r\na=b&c"));
	static const char *const never[] = { "Cookie", "Referer", "Expect", "secret", "gzip" };
	for (size_t i = 0; i < N_ELEMENTS(never); i++)
		assert_null(strstr(sent, never[i]));
}

static void test_http_reuses_connections(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 20; i++) {
		AUTO(http_transfer) t = open_path(f, "GET", i % 2 ? "/hello" : "/chunked");
		auto_free char *body = read_all(t);
		assert_string_equal(body, "hello");
	}
	assert_int_equal(f->server->connections, 1);
	assert_int_equal(http_requests(f->http), 20);
}

static void test_http_survives_a_silent_close(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 10; i++) {
		AUTO(http_transfer) t = open_path(f, "GET", i < 5 ? "/fickle" : "/fickle-reset");
		auto_free char *body = read_all(t);
		assert_string_equal(body, "hello");
	}
	assert_int_equal(f->server->connections, 10);
}

/* fresh_connection leaves those that are open alone. */
static void test_http_opens_a_fresh_connection(void **state)
{
	struct fixture *f = *state;
	auto_free char *url = url_of(f, "/hello");
	for (size_t i = 0; i < 4; i++) {
		const struct http_request request = { .method = "GET",
						      .url = url,
						      .fresh_connection = i % 2 };
		AUTO(http_transfer) t = NULL;
		assert_int_equal(http_open(&t, f->http, &request, NULL), 0);
		auto_free char *body = read_all(t);
		assert_string_equal(body, "hello");
	}
	assert_int_equal(f->server->connections, 3);
}

/* Each of these wants a connection of its own, and finds one that was opened with the first. */
static void test_http_takes_spare_connections(void **state)
{
	struct fixture *f = *state;
	auto_free char *url = url_of(f, "/hello");
	for (unsigned i = 0; i < 6; i++) {
		const struct http_request request = { .method = "GET",
						      .url = url,
						      .spares = i == 0 ? 3 : 0,
						      .fresh_connection = true };
		AUTO(http_transfer) t = NULL;
		assert_int_equal(http_open(&t, f->http, &request, NULL), 0);
		auto_free char *body = read_all(t);
		assert_string_equal(body, "hello");
		for (int waits = 0; f->server->connections < 4 && waits < 1000; waits++)
			(void)usleep(10000);
		assert_int_equal(f->server->connections, i < 4 ? 4 : i + 1);
	}
}

static void test_http_open_refuses_bad_requests(void **state)
{
	struct fixture *f = *state;
	static const char *const injected[] = { "A: b\r\nX: secret", NULL };
	static const struct http_request bad[] = {
		{ .method = "GET", .url = "file:///etc/passwd" },
		{ .method = "GET", .url = "ftp://127.0.0.1/" },
		{ .method = "GET", .url = "127.0.0.1" },
		{ .method = "GET", .url = "" },
		{ .method = "GET", .url = "http://user:secret@127.0.0.1/" },
		{ .method = "GET", .url = "http://secret@127.0.0.1/" },
		{ .method = "GET", .url = "http://127.0.0.1/ HTTP/1.1" },
		{ .method = "TRACE", .url = "http://127.0.0.1/" },
		{ .method = "", .url = "http://127.0.0.1/" },
		{ .method = "GET", .url = "http://127.0.0.1/", .headers = injected },
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct http_transfer *t = NULL;
		struct err err = { 0 };
		assert_int_equal(http_open(&t, f->http, &bad[i], &err), -EINVAL);
		assert_null(t);
		assert_null(strstr(err.text, "secret"));
		assert_true(err.text[0] != '\0');
	}
	assert_int_equal(http_requests(f->http), 0);
}

static void test_http_refuses_private_addresses(void **state)
{
	struct fixture *f = *state;
	auto_str by_name = STR_MAX(100), by_number = STR_MAX(100);
	str_addf(&by_name, "http://localhost:%u/hello", f->server->port);
	str_addf(&by_number, "http://2130706433:%u/hello", f->server->port);
	const char *const urls[] = { str_text(&by_name), str_text(&by_number),
				     "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/" };
	for (size_t i = 0; i < N_ELEMENTS(urls); i++) {
		struct http_request request = { .method = "GET",
						.url = urls[i],
						.refuse_private = true };
		struct http_transfer *t = NULL;
		struct err err = { 0 };
		assert_int_equal(http_open(&t, f->http, &request, &err), -EPROTO);
		assert_non_null(strstr(err.text, "private address"));
	}
	assert_int_equal(f->server->connections, 0);
}

static void test_http_refuses_a_private_connection_it_has(void **state)
{
	struct fixture *f = *state;
	auto_str url = STR_MAX(100);
	str_addf(&url, "http://localhost:%u/hello", f->server->port);
	struct http_request request = { .method = "GET", .url = str_text(&url) };
	AUTO(http_transfer) allowed = NULL;
	assert_int_equal(http_open(&allowed, f->http, &request, NULL), 0);
	auto_free char *body = read_all(allowed);
	request.refuse_private = true;
	struct http_transfer *t = NULL;
	assert_int_equal(http_open(&t, f->http, &request, NULL), -EPROTO);
	assert_int_equal(f->server->requests, 1);
}

static void test_http_uses_the_proxy_of_the_environment(void **state)
{
	struct fixture *f = *state;
	auto_free char *proxy = url_of(f, "");
	(void)setenv("http_proxy", proxy, 1);
	AUTO(http) http = NULL;
	assert_int_equal(http_new(&http, NULL, NULL), 0);
	(void)unsetenv("http_proxy");
	const struct fixture proxied = { f->server, http };
	/* the proxy may be private even if the target may not */
	const struct http_request request = { .method = "GET",
					      .url = "http://proxied.invalid/mirror",
					      .refuse_private = true };
	AUTO(http_transfer) t = NULL;
	assert_int_equal(http_open(&t, http, &request, NULL), 0);
	auto_free char *sent = read_all(t);
	assert_true(str_starts(sent, "GET http://proxied.invalid/mirror HTTP/1.1\r\n"));
	AUTO(http_transfer) direct = open_path(&proxied, "GET", "/mirror");
	auto_free char *sent_directly = read_all(direct);
	assert_true(str_starts(sent_directly, "GET /mirror HTTP/1.1\r\n"));
}

static void test_http_proxy_gets_and_leaks_no_secret(void **state)
{
	struct fixture *f = *state;
	auto_str proxy = STR_MAX(100);
	str_addf(&proxy, "http://user:secret@127.0.0.1:%u", f->server->port);
	const char *const proxies[] = { str_text(&proxy), "weird://user:secret@127.0.0.1:1",
					"http://user:secret@127.0.0.1:x" };
	for (size_t i = 0; i < N_ELEMENTS(proxies); i++) {
		(void)setenv("https_proxy", proxies[i], 1);
		AUTO(http) http = NULL;
		assert_int_equal(http_new(&http, NULL, NULL), 0);
		(void)unsetenv("https_proxy");
		static const char *const headers[] = { "Authorization: Bearer t", NULL };
		const struct http_request request = { .method = "GET",
						      .url = "https://proxied.invalid/",
						      .headers = headers };
		struct http_transfer *t = NULL;
		struct err err = { 0 };
		assert_int_equal(http_open(&t, http, &request, &err), -EAGAIN);
		assert_null(strstr(err.text, "secret"));
		assert_non_null(strstr(err.text, "proxied.invalid:443"));
	}
	assert_int_equal(f->server->requests, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_http_open_gives_status_and_headers),
		TEST(test_http_reads_oddly_written_answers),
		TEST(test_http_head_has_no_body),
		TEST(test_http_follows_nothing_and_answers_no_challenge),
		TEST(test_http_sends_what_was_asked_and_no_more),
		TEST(test_http_reuses_connections),
		TEST(test_http_takes_spare_connections),
		TEST(test_http_survives_a_silent_close),
		TEST(test_http_opens_a_fresh_connection),
		TEST(test_http_open_refuses_bad_requests),
		TEST(test_http_refuses_private_addresses),
		TEST(test_http_refuses_a_private_connection_it_has),
		TEST(test_http_uses_the_proxy_of_the_environment),
		TEST(test_http_proxy_gets_and_leaks_no_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
