/* Many calls on one repo at once, and their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "base/input.h"
#include "blob-scene.h"

#define THREADS 8u
#define READS 25u
#define SOON_MS 1000u

static uint64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool serve_403(struct script_client *c)
{
	return say_status(c, "403 expired");
}

struct reader {
	pthread_t thread;
	struct input *input; /* borrowed */
	unsigned seed, bad;
};

static void *read_many(void *arg)
{
	struct reader *reader = arg;
	auto_free uint8_t *buf = mem_new(50000);
	for (unsigned i = 0; i < READS; i++) {
		uint32_t x = (reader->seed * READS + i) * 2654435761u;
		size_t size = 1 + x % 50000;
		uint64_t offset = (x >> 8) % (BLOB_BYTES - size);
		if (input_read(reader->input, buf, size, offset, NULL) < 0 ||
		    memcmp(buf, scene.bytes + offset, size) != 0)
			reader->bad++;
	}
	return NULL;
}

static void read_by_all(struct repo *repo)
{
	struct reader readers[THREADS];
	AUTO(input) input = repo_input(repo, &scene.d);
	assert_int_equal(input->size, BLOB_BYTES);
	for (unsigned i = 0; i < THREADS; i++) {
		readers[i] = (struct reader){ .input = input, .seed = i };
		pthread_create(&readers[i].thread, NULL, read_many, &readers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].bad, 0);
	}
}

static void test_threads_share_connections_and_the_redirect(void **state)
{
	(void)state;
	static answer_fn *const redirect[] = { serve_redirect, NULL };
	AUTO(repo) repo = scene_repo();
	struct repo_counts counts;
	scene.registry.plan = redirect;
	read_by_all(repo);
	assert_int_equal(scene.storage.asked, THREADS * READS);
	assert_in_range(scene.registry.asked, 1, THREADS);
	assert_in_range(scene.storage.server->connections, 1, THREADS);
	repo_counts(repo, &counts);
	assert_int_equal(counts.retries, 0);
	assert_in_range(counts.requests, THREADS * READS + 2, THREADS * READS + 2 * THREADS);
	read_by_all(repo);
	assert_in_range(scene.storage.server->connections, 1, THREADS);
}

/* Every tenth use of the URL finds it dead, in whatever thread. */
static bool serve_for_a_while(struct script_client *c)
{
	return scene.storage.asked % 10 == 0 ? serve_403(c) : serve_good(c);
}

static void test_threads_renew_the_redirect(void **state)
{
	(void)state;
	static answer_fn *const redirect[] = { serve_redirect, NULL };
	static answer_fn *const dying[] = { serve_for_a_while, NULL };
	AUTO(repo) repo = scene_repo();
	scene.registry.plan = redirect;
	scene.storage.plan = dying;
	read_by_all(repo);
	assert_in_range(scene.registry.asked, THREADS * READS / 10, THREADS * READS);
}

/* --- abort --- */

static bool serve_nothing(struct script_client *c)
{
	return script_wait(c);
}

static bool serve_some_and_stall(struct script_client *c)
{
	uint64_t from, to;
	range_of(c, &from, &to);
	(void)say_range(c, from, to, BLOB_BYTES, 10);
	return script_wait(c);
}

static bool serve_busy(struct script_client *c)
{
	return script_say(c, "HTTP/1.1 503 later\r\nContent-Length: 0\r\nRetry-After: 30\r\n\r\n");
}

static bool serve_challenge(struct script_client *c)
{
	auto_str head = STR_MAX(512);
	str_addf(&head,
		 "HTTP/1.1 401 no\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer "
		 "realm=\"http://127.0.0.1:%u/stall\"\r\n\r\n",
		 scene.registry.server->port);
	return script_say(c, str_text(&head));
}

struct call {
	pthread_t thread;
	struct repo *repo; /* borrowed */
	uint64_t length;
	int result;
};

static void *run_call(void *arg)
{
	struct call *call = arg;
	call->result = read_range(call->repo, 0, call->length, 0, NULL);
	return NULL;
}

static void wait_for_requests(unsigned count)
{
	uint64_t end = now_ms() + 10000;
	while (scene.registry.asked < count && now_ms() < end)
		usleep(1000);
	usleep(20000); /* for what is to be stuck to get stuck */
}

static void test_abort_ends_what_is_stuck(void **state)
{
	(void)state;
	static answer_fn *const plans[][2] = {
		{ serve_nothing }, { serve_some_and_stall }, { serve_busy }, { serve_challenge }
	};
	for (unsigned i = 0; i < N_ELEMENTS(plans); i++) {
		AUTO(repo) repo = scene_repo();
		struct call calls[4];
		scene.registry.plan = good_plan;
		assert_int_equal(read_range(repo, 0, 10, 0, NULL), 0);
		scene.registry.plan = plans[i];
		scene.registry.asked = 0;
		for (unsigned j = 0; j < N_ELEMENTS(calls); j++) {
			calls[j] = (struct call){ .repo = repo,
						  .length = j % 2 ? 1000 : BLOB_BYTES - 1 };
			pthread_create(&calls[j].thread, NULL, run_call, &calls[j]);
		}
		wait_for_requests(N_ELEMENTS(calls));
		uint64_t start = now_ms();
		repo_abort(repo);
		for (unsigned j = 0; j < N_ELEMENTS(calls); j++) {
			pthread_join(calls[j].thread, NULL);
			assert_int_equal(calls[j].result, -ECANCELED);
		}
		assert_in_range(now_ms() - start, 0, SOON_MS);
	}
}

static void test_abort_is_for_good_and_for_one_repo(void **state)
{
	(void)state;
	AUTO(repo) repo = scene_repo();
	AUTO(repo) other = scene_repo();
	AUTO(stream) stream = NULL;
	const void *data = NULL;
	size_t size = 0;
	auto_ref ref = { .tag = mem_strdup("latest") };
	auto_document document = { 0 };
	assert_int_equal(repo_range(repo, &scene.d, 0, 1000, 0, &stream, NULL), 0);
	repo_abort(repo);
	repo_abort(repo);
	assert_int_equal(stream_next(stream, &data, &size, NULL), -ECANCELED);
	unsigned asked = scene.registry.asked;
	assert_int_equal(read_range(repo, 0, 10, 0, NULL), -ECANCELED);
	assert_int_equal(repo_resolve(repo, &ref, &document, NULL), -ECANCELED);
	assert_int_equal(scene.registry.asked, asked);
	assert_int_equal(read_range(other, 0, 10, 0, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_threads_share_connections_and_the_redirect),
		TEST(test_threads_renew_the_redirect),
		TEST(test_abort_ends_what_is_stuck),
		TEST(test_abort_is_for_good_and_for_one_repo),
	};
	setenv("ROOTLET_RETRY_BASE_MS", "1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
