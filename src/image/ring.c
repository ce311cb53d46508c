/*
 * One mutex, two conditions.  A consumer's position counts blocks; block n lies at n % RING_BLOCKS
 * and is free again when every consumer is past it.
 */
#include "image/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct ring_stream {
	struct stream base;
	struct ring *ring; /* borrowed */
	uint64_t position; /* blocks read; the one before it is still lent */
	uint64_t freed;	   /* blocks given back */
	unsigned lag;	   /* blocks that must be there behind the next one */
	bool ended;
};

struct ring {
	pthread_mutex_t mutex;	/* guards all below but the blocks' bytes */
	pthread_cond_t filled;	/* a block was published, or the ring was closed */
	pthread_cond_t emptied; /* a block was given back, or a consumer ended */
	uint64_t published;
	bool closed;
	int code;
	size_t sizes[RING_BLOCKS];
	uint8_t *blocks; /* owned */
	struct ring_stream consumers[RING_CONSUMERS];
};

static int ring_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct ring_stream *s = (struct ring_stream *)stream;
	struct ring *ring = s->ring;
	LOCKED(&ring->mutex);
	if (s->freed != s->position) {
		s->freed = s->position;
		pthread_cond_signal(&ring->emptied);
	}
	while (s->position + s->lag >= ring->published && !ring->closed)
		pthread_cond_wait(&ring->filled, &ring->mutex);
	*size = 0;
	if (s->position == ring->published)
		return ring->code < 0 ? err_set(err, -ring->code, "the layer could not be read")
				      : 0;
	size_t i = s->position % RING_BLOCKS;
	*data = ring->blocks + i * RING_BLOCK_BYTES;
	*size = ring->sizes[i];
	s->position++;
	return 0;
}

static void ring_stream_end(struct stream *stream)
{
	struct ring_stream *s = (struct ring_stream *)stream;
	LOCKED(&s->ring->mutex);
	s->ended = true;
	pthread_cond_signal(&s->ring->emptied);
}

struct ring *ring_new(void)
{
	static const struct stream_ops ops = { ring_next, NULL, ring_stream_end };
	struct ring *ring = mem_new(sizeof(*ring));
	pthread_mutex_init(&ring->mutex, NULL);
	pthread_cond_init(&ring->filled, NULL);
	pthread_cond_init(&ring->emptied, NULL);
	ring->blocks = mem_new((size_t)RING_BLOCKS * RING_BLOCK_BYTES);
	for (unsigned i = 0; i < RING_CONSUMERS; i++)
		ring->consumers[i] = (struct ring_stream){ .base = { &ops }, .ring = ring };
	return ring;
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	pthread_mutex_destroy(&ring->mutex);
	pthread_cond_destroy(&ring->filled);
	pthread_cond_destroy(&ring->emptied);
	free(ring->blocks);
	free(ring);
}

/* Blocks not yet given back by the slowest living consumer; UINT64_MAX when none lives. */
static uint64_t in_use(const struct ring *ring)
{
	uint64_t most = UINT64_MAX;
	for (unsigned i = 0; i < RING_CONSUMERS; i++) {
		const struct ring_stream *s = &ring->consumers[i];
		uint64_t n = ring->published - s->freed;
		if (!s->ended && (most == UINT64_MAX || n > most))
			most = n;
	}
	return most;
}

uint8_t *ring_acquire(struct ring *ring)
{
	LOCKED(&ring->mutex);
	for (;;) {
		uint64_t used = in_use(ring);
		if (used == UINT64_MAX)
			return NULL;
		if (used < RING_BLOCKS)
			return ring->blocks + ring->published % RING_BLOCKS * RING_BLOCK_BYTES;
		pthread_cond_wait(&ring->emptied, &ring->mutex);
	}
}

void ring_publish(struct ring *ring, size_t size)
{
	LOCKED(&ring->mutex);
	ring->sizes[ring->published % RING_BLOCKS] = size;
	ring->published++;
	pthread_cond_broadcast(&ring->filled);
}

void ring_close(struct ring *ring, int code)
{
	LOCKED(&ring->mutex);
	ring->closed = true;
	ring->code = code;
	pthread_cond_broadcast(&ring->filled);
}

void ring_consumer_lag(struct ring *ring, unsigned i, unsigned lag)
{
	ring->consumers[i].lag = lag;
}

struct stream *ring_consumer(struct ring *ring, unsigned i)
{
	return &ring->consumers[i].base;
}
