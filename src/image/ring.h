/*
 * A ring of blocks between one producer thread and a fixed number of consumer threads that each
 * read everything: the decoder fills, the hasher and the tar reader read, nothing is copied.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/stream.h"

#define RING_CONSUMERS 2
#define RING_BLOCKS 8
#define RING_BLOCK_BYTES (256u * 1024)

struct ring;
struct ring *ring_new(void);
/* All threads must be done with it. */
void ring_free(struct ring *ring);
DEFINE_AUTO(ring)

/* A free block of RING_BLOCK_BYTES, waiting for one; NULL when no consumer is left. */
uint8_t *ring_acquire(struct ring *ring);
/* Hand the acquired block out with SIZE bytes in it (> 0). */
void ring_publish(struct ring *ring, size_t size);
/* No more blocks: the consumers end; with CODE < 0 they fail with it. */
void ring_close(struct ring *ring, int code);

/*
 * Consumer number I gets a block only when LAG (< RING_BLOCKS) more are there, or none will come.
 * Before its first read.
 */
void ring_consumer_lag(struct ring *ring, unsigned i, unsigned lag);

/*
 * What consumer number I reads, as a stream; freeing it ends the consumer, and the producer no
 * longer waits for it.  Every consumer must be taken and freed once.
 */
struct stream *ring_consumer(struct ring *ring, unsigned i);
