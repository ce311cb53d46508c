/* One producer, two consumers: both see every byte in order, and nobody waits for one that ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "image/ring.h"

#define BLOCKS 500

struct reader {
	struct stream *stream;
	uint64_t stop_after; /* blocks; 0: read to the end */
	uint64_t sum, blocks;
	int code;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;
	for (;;) {
		const void *data;
		size_t size;
		r->code = stream_next(r->stream, &data, &size, NULL);
		if (r->code < 0 || size == 0)
			break;
		for (size_t i = 0; i < size; i += 997)
			r->sum += ((const uint8_t *)data)[i] * (r->blocks + 1);
		if (++r->blocks == r->stop_after)
			break;
	}
	stream_free(r->stream);
	return NULL;
}

/* Feed BLOCKS blocks to two readers; CODE closes the ring. */
static void run(struct reader *readers, int code)
{
	AUTO(ring) ring = ring_new();
	pthread_t threads[RING_CONSUMERS];
	for (unsigned i = 0; i < RING_CONSUMERS; i++) {
		readers[i].stream = ring_consumer(ring, i);
		assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
	}
	for (unsigned n = 0; n < BLOCKS; n++) {
		uint8_t *block = ring_acquire(ring);
		if (!block)
			break;
		size_t size = 1 + (n * 7919u) % RING_BLOCK_BYTES;
		memset(block, (int)(n & 0xff), size);
		ring_publish(ring, size);
	}
	ring_close(ring, code);
	for (unsigned i = 0; i < RING_CONSUMERS; i++)
		pthread_join(threads[i], NULL);
}

static void test_consumers_see_the_same(void **state)
{
	(void)state;
	struct reader readers[RING_CONSUMERS] = { { 0 } };
	run(readers, 0);
	uint64_t sum = 0;
	for (unsigned n = 0; n < BLOCKS; n++) {
		size_t size = 1 + (n * 7919u) % RING_BLOCK_BYTES;
		sum += (n & 0xff) * (uint64_t)((size + 996) / 997) * (n + 1);
	}
	for (unsigned i = 0; i < RING_CONSUMERS; i++) {
		assert_int_equal(readers[i].code, 0);
		assert_int_equal(readers[i].blocks, BLOCKS);
		assert_int_equal(readers[i].sum, sum);
	}
}

static void test_an_ended_consumer_is_not_waited_for(void **state)
{
	(void)state;
	struct reader readers[RING_CONSUMERS] = { { .stop_after = 3 }, { 0 } };
	run(readers, 0);
	assert_int_equal(readers[0].blocks, 3);
	assert_int_equal(readers[1].blocks, BLOCKS);
}

static void test_producer_learns_that_nobody_reads(void **state)
{
	(void)state;
	struct reader readers[RING_CONSUMERS] = { { .stop_after = 3 }, { .stop_after = 5 } };
	run(readers, 0);
	assert_int_equal(readers[1].blocks, 5);
}

static void test_close_with_a_code_fails_consumers(void **state)
{
	(void)state;
	struct reader readers[RING_CONSUMERS] = { { 0 } };
	run(readers, -EBADMSG);
	assert_int_equal(readers[0].code, -EBADMSG);
	assert_int_equal(readers[0].blocks, BLOCKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consumers_see_the_same),
		cmocka_unit_test(test_an_ended_consumer_is_not_waited_for),
		cmocka_unit_test(test_producer_learns_that_nobody_reads),
		cmocka_unit_test(test_close_with_a_code_fails_consumers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
