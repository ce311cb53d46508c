/* Bodies that are streams: they arrive whole, and nobody waits for ever when either end gives up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/digest.h"
#include "base/str.h"
#include "base/stream.h"
#include "net/http.h"
#include "script-server.h"

#define BODY_BYTES (20000u) /* the script server keeps whole requests of 64 KiB */
#define LARGE_BYTES (40u << 20)

struct fixture {
	struct script_server *server; /* owned */
	struct http *http;	      /* owned */
};

/* The request as it came, as the answer. */
static bool serve_echo(struct script_client *c)
{
	auto_str head = STR_MAX(200);
	str_addf(&head, "HTTP/1.1 201 ok\r\nContent-Length: %zu\r\n\r\n", c->size);
	return script_say(c, str_text(&head)) && script_send(c, c->request, c->size);
}

static const struct script scripts[] = { { "/echo", serve_echo }, { NULL, NULL } };

/* Reads a head, then says no without reading on, and closes at last. */
static void *refuse_early(void *arg)
{
	char buf[4096];
	int fd = accept(*(int *)arg, NULL, NULL);
	const char *no = "HTTP/1.1 413 no\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
	if (fd < 0 || recv(fd, buf, sizeof(buf), 0) <= 0)
		return NULL;
	(void)send(fd, no, strlen(no), MSG_NOSIGNAL);
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	(void)close(fd);
	return NULL;
}

/* --- sources --- */

struct source {
	struct stream base;
	uint64_t left;
	size_t piece;
	bool fails;
	char bytes[100000];
};

static int source_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct source *s = (struct source *)stream;
	if (s->left == 0 && s->fails)
		return err_set(err, EBADMSG, "the source broke");
	*size = s->left < s->piece ? (size_t)s->left : s->piece;
	*data = s->bytes;
	s->left -= *size;
	return 0;
}

static void source_init(struct source *s, uint64_t size, size_t piece)
{
	static const struct stream_ops ops = { .next = source_next };
	*s = (struct source){ .base = { &ops }, .left = size, .piece = piece };
	memset(s->bytes, 'x', sizeof(s->bytes));
}

static int send_stream(struct http_transfer **out, struct http *http, uint16_t port,
		       const char *method, struct source *source, uint64_t size, struct err *err)
{
	auto_str url = STR_MAX(200);
	str_addf(&url, "http://127.0.0.1:%u/echo", port);
	const struct http_request request = {
		.method = method,
		.url = str_text(&url),
		.stream = &source->base,
		.stream_size = size,
		.low_speed_seconds = 5,
	};
	return http_open(out, http, &request, err);
}

static void test_a_stream_arrives_whole(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *method;
		uint64_t size;
		size_t piece;
	} cases[] = {
		{ "PATCH", BODY_BYTES, 1000 },
		{ "PUT", BODY_BYTES, BODY_BYTES },
		{ "PATCH", BODY_BYTES, 777 },
		{ "PUT", 1, 1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct source source;
		AUTO(http_transfer) t = NULL;
		source_init(&source, cases[i].size, cases[i].piece);
		assert_int_equal(send_stream(&t, f->http, f->server->port, cases[i].method, &source,
					     cases[i].size, NULL),
				 0);
		assert_int_equal(http_status(t), 201);
		auto_str back = STR_MAX(100000);
		for (size_t n = 1; n > 0;) {
			const void *data = NULL;
			assert_int_equal(http_next(t, &data, &n, NULL), 0);
			str_addn(&back, data, n);
		}
		assert_true(str_starts(str_text(&back), cases[i].method));
		auto_str length = STR_MAX(64);
		str_addf(&length, "\r\nContent-Length: %llu\r\n",
			 (unsigned long long)cases[i].size);
		assert_non_null(strstr(str_text(&back), str_text(&length)));
		assert_null(strstr(str_text(&back), "Transfer-Encoding"));
		const char *body = strstr(str_text(&back), "\r\n\r\n") + 4;
		assert_int_equal(strspn(body, "x"), cases[i].size);
	}
}

static void test_a_source_that_breaks_is_what_is_told(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t has, says;
		bool fails;
		const char *text;
	} cases[] = {
		{ 5000, 10000, true, "the source broke" },
		{ 5000, 10000, false, "fewer than 10000 bytes" },
		{ 10000, 5000, false, "more than 5000 bytes" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct source source;
		struct err err = { 0 };
		AUTO(http_transfer) t = NULL;
		source_init(&source, cases[i].has, 3000);
		source.fails = cases[i].fails;
		assert_int_equal(send_stream(&t, f->http, f->server->port, "PATCH", &source,
					     cases[i].says, &err),
				 -EBADMSG);
		assert_non_null(strstr(err_text(&err), cases[i].text));
	}
}

static void test_an_early_answer_ends_the_sending(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
	assert_int_equal(pthread_create(&thread, NULL, refuse_early, &fd), 0);
	struct source source;
	struct http_transfer *t = NULL;
	source_init(&source, LARGE_BYTES, 100000);
	assert_int_equal(
		send_stream(&t, f->http, ntohs(addr.sin_port), "PATCH", &source, LARGE_BYTES, NULL),
		0);
	assert_int_equal(http_status(t), 413);
	http_transfer_free(t);
	pthread_join(thread, NULL);
	(void)close(fd);
}

static void test_a_body_in_memory_may_be_put(void **state)
{
	struct fixture *f = *state;
	auto_str url = STR_MAX(200);
	str_addf(&url, "http://127.0.0.1:%u/echo", f->server->port);
	const char *const headers[] = { "Content-Type: a/b", NULL };
	const struct http_request request = {
		.method = "PUT",
		.url = str_text(&url),
		.headers = headers,
		.body = "hello",
		.body_size = 5,
	};
	AUTO(http_transfer) t = NULL;
	assert_int_equal(http_open(&t, f->http, &request, NULL), 0);
	const void *data = NULL;
	size_t n = 0;
	assert_int_equal(http_next(t, &data, &n, NULL), 0);
	auto_free char *text = mem_strndup(data, n);
	assert_true(str_starts(text, "PUT /echo"));
	assert_true(str_ends(text, "\r\n\r\nhello"));
	assert_non_null(strstr(text, "Content-Type: a/b"));
}

static int set_up(void **state)
{
	struct fixture *f = mem_make(struct fixture, .server = script_start(scripts));
	*state = f;
	return http_new(&f->http, &(struct http_options){ 0 }, NULL);
}

static int tear_down(void **state)
{
	auto_free struct fixture *f = *state;
	http_free(f->http);
	script_stop(f->server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stream_arrives_whole),
		cmocka_unit_test(test_a_source_that_breaks_is_what_is_told),
		cmocka_unit_test(test_an_early_answer_ends_the_sending),
		cmocka_unit_test(test_a_body_in_memory_may_be_put),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
