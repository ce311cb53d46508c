/* Ranges of a blob: exactly the bytes asked for, or an error, whatever a server does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "blob-scene.h"
#include "oci/blob-stream.h"

#define ASSERT_READ(repo, offset, length, flags)                                \
	do {                                                                    \
		struct err err_ = { 0 };                                        \
		if (read_range((repo), (offset), (length), (flags), &err_) < 0) \
			fail_msg("%s", err_text(&err_));                        \
	} while (0)

static void test_range_asks_for_what_it_returns(void **state)
{
	(void)state;
	static const struct {
		uint64_t offset, length;
	} cases[] = {
		{ 0, 1 },     { 0, 100 },      { 1, 1 },
		{ 1000, 64 }, { 17, 200000 },  { BLOB_BYTES - 1, 1 },
		{ 5, 5 },     { 200000, 1e5 }, { 1, BLOB_BYTES - 1 },
	};
	AUTO(repo) repo = scene_repo();
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		ASSERT_READ(repo, cases[i].offset, cases[i].length, 0);
		assert_int_equal(scene.registry.from[i], cases[i].offset);
		assert_int_equal(scene.registry.to[i], cases[i].offset + cases[i].length);
	}
	assert_int_equal(scene.registry.asked, N_ELEMENTS(cases));
	/* one for the attempt at TLS */
	assert_int_equal(scene.registry.server->connections, 2);
}

static void test_range_outside_the_blob_is_not_asked_for(void **state)
{
	(void)state;
	static const struct {
		uint64_t offset, length;
	} cases[] = {
		{ 0, 0 },	   { 0, BLOB_BYTES + 1 }, { BLOB_BYTES, 1 }, { BLOB_BYTES + 1, 1 },
		{ 1, UINT64_MAX }, { UINT64_MAX, 1 },	  { 1, BLOB_BYTES }, { UINT64_MAX, 2 },
	};
	AUTO(repo) repo = scene_repo();
	AUTO(stream) stream = NULL;
	struct descriptor unsized = scene.d, nameless = { .size = 10 };
	unsized.size = UINT64_MAX;
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(repo_range(repo, &scene.d, cases[i].offset, cases[i].length, 0,
					    &stream, NULL),
				 -EBADMSG);
	assert_int_equal(repo_range(repo, &unsized, 0, 1, 0, &stream, NULL), -EOPNOTSUPP);
	assert_int_equal(repo_range(repo, &nameless, 0, 1, 0, &stream, NULL), -EBADMSG);
	assert_int_equal(scene.registry.asked, 0);
}

/* --- servers that do not do ranges as they should --- */

static bool serve_whole(struct script_client *c)
{
	auto_str head = STR_MAX(512);
	str_addf(&head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", BLOB_BYTES);
	return script_say(c, str_text(&head)) && script_send(c, scene.bytes, BLOB_BYTES);
}

static bool serve_whole_endless(struct script_client *c)
{
	if (!script_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
		return false;
	while (script_say(c, "5\r\nhello\r\n"))
		;
	return false;
}

static bool serve_400(struct script_client *c)
{
	return say_status(c, "400 no ranges");
}

static bool serve_416(struct script_client *c)
{
	return say_status(c, "416 no");
}

static bool serve_501(struct script_client *c)
{
	return say_status(c, "501 what");
}

static bool serve_shifted(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	return say_range(c, from + 1, to + 1, BLOB_BYTES, (size_t)(to - from));
}

static bool serve_earlier(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	return say_range(c, from - 1, to, BLOB_BYTES, (size_t)(to - from + 1));
}

static bool serve_wide(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	return say_range(c, from, to + 1, BLOB_BYTES, (size_t)(to - from + 1));
}

static bool serve_other_total(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	return say_range(c, from, to, BLOB_BYTES + 1, (size_t)(to - from));
}

static bool serve_multipart(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 206 part\r\nContent-Length: 3\r\n"
			     "Content-Type: multipart/byteranges; boundary=x\r\n\r\n--x");
}

static bool serve_unnamed(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	auto_str head = STR_MAX(512);
	str_addf(&head, "HTTP/1.1 206 part\r\nContent-Length: %u\r\n\r\n", (unsigned)(to - from));
	return script_say(c, str_text(&head)) &&
	       script_send(c, scene.bytes + from, (size_t)(to - from));
}

static bool serve_contradiction(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 206 part\r\nContent-Length: 5\r\n"
			     "Content-Range: bytes 100-199/300000\r\n\r\nhello");
}

static void test_range_by_a_server_without_is_an_error_that_stays(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		answer_fn *plan[2];
	} cases[] = {
		{ "whole", { serve_whole } },
		{ "endless", { serve_whole_endless } },
		{ "400", { serve_400 } },
		{ "416", { serve_416 } },
		{ "501", { serve_501 } },
		{ "shifted", { serve_shifted } },
		{ "earlier", { serve_earlier } },
		{ "wide", { serve_wide } },
		{ "another total", { serve_other_total } },
		{ "multipart", { serve_multipart } },
		{ "no Content-Range", { serve_unnamed } },
		{ "contradiction", { serve_contradiction } },
	};
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(repo) repo = scene_repo();
		struct err err = { 0 };
		scene.registry.plan = good_plan;
		ASSERT_READ(repo, 100, 100, 0); /* so that http is known to be spoken */
		scene.registry.asked = 0;
		scene.registry.plan = cases[i].plan;
		for (unsigned again = 0; again < 3; again++) {
			int r = read_range(repo, 100, 100, 0, &err);
			if (r != -EOPNOTSUPP || scene.registry.asked != 1)
				fail_msg("%s: %d, %u requests, %s", cases[i].what, r,
					 scene.registry.asked, err_text(&err));
		}
		assert_non_null(strstr(err_text(&err), "127.0.0.1"));
		/* what was not asked for is not waited for */
		struct repo_counts counts;
		repo_counts(repo, &counts);
		assert_in_range(counts.bytes, 100, 3u << 20);
		/* a blob as a whole can still be had */
		scene.registry.plan = good_plan;
		ASSERT_READ(repo, 0, BLOB_BYTES, 0);
	}
}

/* Not because the server does no ranges: it may do them the next time. */
static void test_range_that_fails_otherwise_is_asked_for_again(void **state)
{
	(void)state;
	AUTO(repo) repo = scene_repo();
	AUTO(stream) stream = NULL;
	struct descriptor unknown = scene.d;
	digest_of(&unknown.digest, DIGEST_SHA256, "x", 1);
	assert_int_equal(repo_range(repo, &unknown, 0, 1, 0, &stream, NULL), -ENOENT);
	ASSERT_READ(repo, 5, 5, 0);
}

/* --- ranges that come in pieces --- */

static bool serve_half(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	return say_range(c, from, from + (to - from + 1) / 2, BLOB_BYTES,
			 (size_t)(to - from + 1) / 2);
}

static bool serve_half_and_close(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	return say_range(c, from, to, BLOB_BYTES, (size_t)(to - from) / 2) && false;
}

static bool serve_half_and_reset(struct script_client *c)
{
	(void)serve_half_and_close(c);
	return script_reset(c);
}

/* Chunked, and more of it than its Content-Range says. */
static bool serve_too_much(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	auto_str head = STR_MAX(512);
	str_addf(&head,
		 "HTTP/1.1 206 part\r\nTransfer-Encoding: chunked\r\n"
		 "Content-Range: bytes %llu-%llu/*\r\n\r\n%x\r\n",
		 (unsigned long long)from, (unsigned long long)to - 1, (unsigned)(to - from));
	return script_say(c, str_text(&head)) &&
	       script_send(c, scene.bytes + from, (size_t)(to - from)) &&
	       script_say(c, "\r\n5\r\nhello\r\n0\r\n\r\n");
}

static bool serve_503(struct script_client *c)
{
	return say_status(c, "503 later");
}

static void test_short_206_goes_on(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_half, NULL };
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = plan;
	ASSERT_READ(repo, 1000, 1000, 0);
	assert_int_equal(scene.registry.from[1], 1500);
	assert_int_equal(scene.registry.from[2], 1750);
	for (unsigned i = 0; i < scene.registry.asked; i++)
		assert_int_equal(scene.registry.to[i], 2000);
	assert_int_equal(scene.registry.asked, 10);
}

static void test_broken_range_goes_on_at_its_byte(void **state)
{
	(void)state;
	static answer_fn *const closing[] = { serve_half_and_close, serve_half_and_close,
					      serve_good, NULL };
	static answer_fn *const resetting[] = { serve_503, serve_half_and_reset, serve_good, NULL };
	AUTO(repo) repo = scene_repo();
	struct repo_counts counts;
	scene.registry.plan = closing;
	ASSERT_READ(repo, 100, 200000, 0);
	assert_int_equal(scene.registry.from[1], 100100);
	assert_int_equal(scene.registry.from[2], 150100);
	assert_int_equal(scene.registry.to[2], 200100);
	assert_int_equal(scene.registry.asked, 3);
	repo_counts(repo, &counts);
	assert_int_equal(counts.requests, 4); /* and one for the attempt at TLS */
	assert_int_equal(counts.retries, 2);
	assert_int_equal(counts.bytes, 200000);

	scene.registry.asked = 0;
	scene.registry.plan = resetting;
	ASSERT_READ(repo, 100, 200000, 0);
	assert_int_equal(scene.registry.asked, 3);
	assert_in_range(scene.registry.from[2], 100, 100100);
}

static void test_range_that_never_comes_whole_ends(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_half_and_close, NULL };
	AUTO(repo) repo = scene_repo();
	struct err err = { 0 };
	scene.registry.plan = plan;
	assert_int_equal(read_range(repo, 100, 1000, 0, &err), -EAGAIN);
	/* 1000 bytes can be halved nine times, then five tries bring nothing */
	assert_int_equal(scene.registry.asked, 9 + 5);
	assert_non_null(strstr(err_text(&err), "14 tries"));
}

static void test_bytes_beyond_the_range_are_cut(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_too_much, NULL };
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = plan;
	ASSERT_READ(repo, 100, 1000, 0);
	ASSERT_READ(repo, 2000, 100000, 0);
	assert_int_equal(scene.registry.asked, 2);
}

static void test_whole_blob_as_range_needs_no_ranges(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_whole, NULL };
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = plan;
	ASSERT_READ(repo, 0, BLOB_BYTES, 0);
	assert_int_equal(scene.registry.to[0], 0);
}

/* --- redirects --- */

static bool serve_403(struct script_client *c)
{
	return say_status(c, "403 expired");
}

static bool serve_404(struct script_client *c)
{
	return say_status(c, "404 gone");
}

static bool serve_410(struct script_client *c)
{
	return say_status(c, "410 gone");
}

static bool serve_401(struct script_client *c)
{
	return say_status(c, "401 who");
}

static answer_fn *const redirect_plan[] = { serve_redirect, NULL };

static void test_redirect_is_kept(void **state)
{
	(void)state;
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = redirect_plan;
	for (unsigned i = 0; i < 10; i++)
		ASSERT_READ(repo, 1000 * i, 1000, 0);
	assert_int_equal(scene.registry.asked, 1);
	assert_int_equal(scene.storage.asked, 10);
	assert_int_equal(scene.storage.server->connections, 1);
}

static void test_fresh_asks_the_registry_over_a_new_connection(void **state)
{
	(void)state;
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = redirect_plan;
	ASSERT_READ(repo, 0, 10, 0);
	ASSERT_READ(repo, 0, 10, REPO_BLOB_FRESH);
	assert_int_equal(scene.registry.asked, 2);
	assert_int_equal(scene.storage.server->connections, 2);
	ASSERT_READ(repo, 0, 10, 0); /* the new URL is kept */
	assert_int_equal(scene.registry.asked, 2);
	assert_int_equal(scene.storage.asked, 3);
}

static void test_expired_redirect_is_renewed(void **state)
{
	(void)state;
	static answer_fn *const plans[][4] = {
		{ serve_good, serve_400, serve_good },
		{ serve_good, serve_401, serve_good },
		{ serve_good, serve_403, serve_good },
		{ serve_good, serve_404, serve_good },
		{ serve_good, serve_410, serve_good },
		{ serve_good, serve_half_and_close, serve_403, serve_good },
	};
	for (unsigned i = 0; i < N_ELEMENTS(plans); i++) {
		AUTO(repo) repo = scene_repo();
		answer_fn *const plan[] = { plans[i][0], plans[i][1], plans[i][2], plans[i][3],
					    NULL };
		scene.registry.plan = redirect_plan;
		scene.storage.plan = plan;
		scene.registry.asked = scene.storage.asked = 0;
		ASSERT_READ(repo, 0, 1000, 0);
		ASSERT_READ(repo, 1000, 1000, 0);
		ASSERT_READ(repo, 2000, 1000, 0);
		assert_int_equal(scene.registry.asked, 2);
		assert_int_equal(scene.storage.asked, plans[i][3] ? 5 : 4);
	}
}

static void test_redirect_to_trouble_is_asked_for_anew(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_good, serve_503, serve_good, NULL };
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = redirect_plan;
	scene.storage.plan = plan;
	ASSERT_READ(repo, 0, 1000, 0);
	ASSERT_READ(repo, 1000, 1000, 0);
	assert_int_equal(scene.registry.asked, 2);
}

static void test_storage_that_lacks_it_is_an_error(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_404, NULL };
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = redirect_plan;
	scene.storage.plan = plan;
	assert_int_equal(read_range(repo, 0, 1000, 0, NULL), -ENOENT);
	assert_in_range(scene.registry.asked, 1, 2);
	assert_in_range(scene.storage.asked, 1, 2);
}

/* --- tokens --- */

/* Wants the newest token, and breaks off in the middle of the first answer: then it is old. */
static bool serve_for_token(struct script_client *c)
{
	auto_str wanted = STR_MAX(64), head = STR_MAX(512);
	str_addf(&wanted, "Authorization: Bearer t%u\r\n", scene.registry.asked < 3 ? 1 : 2);
	if (strstr(c->request, str_text(&wanted)))
		return scene.registry.asked < 3 ? serve_half_and_close(c) : serve_good(c);
	str_addf(&head,
		 "HTTP/1.1 401 no\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer "
		 "realm=\"http://127.0.0.1:%u/token\"\r\n\r\n",
		 scene.registry.server->port);
	return script_say(c, str_text(&head));
}

static void test_token_is_renewed_in_the_middle(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_for_token, NULL };
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = plan;
	ASSERT_READ(repo, 1000, 1000, 0);
	assert_int_equal(scene.tokens, 2);
	assert_int_equal(scene.registry.asked, 4); /* 401, half, 401, rest */
	assert_int_equal(scene.registry.from[3], 1500);
}

/* --- a mirror before the origin --- */

struct pair {
	struct endpoint *sources[2]; /* owned: "storage" as mirror, "registry" as origin */
	unsigned failures;
	struct err why;
};

static void note_failure(void *arg, struct endpoint *source, const struct err *why)
{
	struct pair *pair = arg;
	assert_ptr_equal(source, pair->sources[0]);
	pair->failures++;
	pair->why = *why;
}

static struct endpoint *open_endpoint(uint16_t port)
{
	struct endpoint *endpoint = NULL;
	auto_str host = STR_MAX(64);
	str_addf(&host, "127.0.0.1:%u", port);
	const struct endpoint_options options = {
		.http = scene.http,
		.host = str_text(&host),
		.shown = str_text(&host),
		.name = "app",
		.scheme = ENDPOINT_HTTP,
		.tries_max = 2,
	};
	assert_int_equal(endpoint_open(&endpoint, &options, NULL), 0);
	return endpoint;
}

static void open_pair(struct pair *pair)
{
	scene.storage_scripts[0].path = scene.target;
	*pair = (struct pair){ { open_endpoint(scene.storage.server->port),
				 open_endpoint(scene.registry.server->port) },
			       0,
			       { 0 } };
}

static void close_pair(struct pair *pair)
{
	endpoint_free(pair->sources[0]);
	endpoint_free(pair->sources[1]);
}

static int read_pair(struct pair *pair, uint64_t offset, uint64_t length, struct err *err)
{
	AUTO(stream) stream = NULL;
	auto_free char *bytes = NULL;
	size_t size = 0;
	const struct blob_options options = {
		.sources = pair->sources,
		.source_count = 2,
		.offset = offset,
		.length = length,
		.failed = note_failure,
		.arg = pair,
	};
	int r = blob_stream_open(&stream, &scene.d, &options, err);
	if (r == 0)
		r = stream_read_all(stream, BLOB_BYTES, &bytes, &size, err);
	if (r == 0 && (size != length || memcmp(bytes, scene.bytes + offset, size) != 0))
		r = err_set(err, EBADMSG, "%zu bytes, or wrong ones", size);
	return r;
}

static void test_mirror_that_is_of_no_use_is_left_for_the_origin(void **state)
{
	(void)state;
	static answer_fn *const plans[][3] = {
		{ serve_whole },		     /* no ranges */
		{ serve_404 },			     /* not this blob */
		{ serve_half_and_close, serve_501 }, /* none any more, in the middle of one */
	};
	for (unsigned i = 0; i < N_ELEMENTS(plans); i++) {
		struct pair pair;
		open_pair(&pair);
		scene.storage.plan = plans[i];
		scene.registry.asked = scene.storage.asked = 0;
		for (unsigned again = 0; again < 3; again++)
			assert_int_equal(read_pair(&pair, 1000, 1000, NULL), 0);
		assert_int_equal(scene.registry.asked, 3);
		assert_int_equal(scene.registry.from[0], i == 2 ? 1500 : 1000);
		assert_int_equal(scene.storage.asked, i == 2 ? 2 : 1);
		assert_int_equal(pair.failures, 1);
		close_pair(&pair);
	}
}

/* The blob can be had from the origin, but only whole: the caller must know that. */
static void test_mirror_breaks_and_the_origin_does_no_ranges(void **state)
{
	(void)state;
	static answer_fn *const whole[] = { serve_whole, NULL };
	static answer_fn *const broken[] = { serve_503, NULL };
	struct pair pair;
	open_pair(&pair);
	scene.storage.plan = broken;
	scene.registry.plan = whole;
	assert_int_equal(read_pair(&pair, 1000, 1000, NULL), -EOPNOTSUPP);
	close_pair(&pair);
	open_pair(&pair);
	atomic_store(&pair.sources[1]->no_ranges, true);
	assert_int_equal(read_pair(&pair, 1000, 1000, NULL), -EOPNOTSUPP);
	assert_int_equal(pair.failures, 0);
	close_pair(&pair);
}

static void test_neither_does_ranges(void **state)
{
	(void)state;
	static answer_fn *const plan[] = { serve_whole, NULL };
	struct pair pair;
	struct err err = { 0 };
	open_pair(&pair);
	scene.storage.plan = scene.registry.plan = plan;
	assert_int_equal(read_pair(&pair, 1000, 1000, &err), -EOPNOTSUPP);
	assert_int_equal(read_pair(&pair, 1000, 1000, &err), -EOPNOTSUPP);
	assert_int_equal(scene.storage.asked + scene.registry.asked, 2);
	close_pair(&pair);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_range_asks_for_what_it_returns),
		TEST(test_range_outside_the_blob_is_not_asked_for),
		TEST(test_range_by_a_server_without_is_an_error_that_stays),
		TEST(test_range_that_fails_otherwise_is_asked_for_again),
		TEST(test_short_206_goes_on),
		TEST(test_broken_range_goes_on_at_its_byte),
		TEST(test_range_that_never_comes_whole_ends),
		TEST(test_bytes_beyond_the_range_are_cut),
		TEST(test_whole_blob_as_range_needs_no_ranges),
		TEST(test_redirect_is_kept),
		TEST(test_fresh_asks_the_registry_over_a_new_connection),
		TEST(test_expired_redirect_is_renewed),
		TEST(test_redirect_to_trouble_is_asked_for_anew),
		TEST(test_storage_that_lacks_it_is_an_error),
		TEST(test_token_is_renewed_in_the_middle),
		TEST(test_mirror_that_is_of_no_use_is_left_for_the_origin),
		TEST(test_mirror_breaks_and_the_origin_does_no_ranges),
		TEST(test_neither_does_ranges),
	};
	setenv("ROOTLET_RETRY_BASE_MS", "1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
