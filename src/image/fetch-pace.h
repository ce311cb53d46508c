/*
 * How much to ask for at once: what the way to the server takes (measured), and how the readers of
 * a layer move through it.  Pure arithmetic, no clock, no lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FETCH_PACE_READERS 4
#define FETCH_PACE_BDP_MIN_BYTES (256u * 1024)
#define FETCH_PACE_BDP_MAX_BYTES (4u * 1024 * 1024)
#define FETCH_PACE_REQUEST_MAX_BYTES (8u * 1024 * 1024)

/* The way to the server; zeroed: nothing is known yet. */
struct fetch_pace {
	uint64_t wait_us;     /* from asking to the first byte: the least of late */
	uint64_t bytes_per_s; /* of a body: the most of late */
};
/* A request waited WAIT_US for its first byte, then BYTES took BODY_US. */
void fetch_pace_sample(struct fetch_pace *pace, uint64_t wait_us, uint64_t bytes, uint64_t body_us);
/* Bytes that are under way while one waits: bandwidth times round trip, within limits. */
uint64_t fetch_pace_bdp(const struct fetch_pace *pace);

/* Somebody who reads a layer front to back. */
struct fetch_pace_reader {
	uint64_t end;	 /* of the blob's bytes fetched for it */
	uint64_t window; /* the length of the last request; 0: not in use */
	uint64_t used;	 /* when, for reuse of the slot */
	uint32_t first;	 /* the span its last request was for */
	uint32_t next;	 /* the span behind what was fetched */
	unsigned steps;	 /* how often it went on */
	bool sequential; /* often enough to be followed */
};

/* How one layer is read; zeroed: not at all yet. */
struct fetch_pace_layer {
	struct fetch_pace_reader readers[FETCH_PACE_READERS];
	uint64_t clock;
};

/* The reader who goes on with a miss at OFFSET, or a slot for a new one (its window is 0). */
struct fetch_pace_reader *fetch_pace_reader(struct fetch_pace_layer *layer, uint64_t offset);
/*
 * The length its next request should have: missing neighbours are taken along up to it.  0 for one
 * that stands alone; WASTEFUL: what was taken along for it was not read, so it does.
 */
uint64_t fetch_pace_target(struct fetch_pace_layer *layer, const struct fetch_pace *pace,
			   struct fetch_pace_reader *reader, bool wasteful);
/* A reader that goes on, of whose bytes OFFSET is part; NULL when there is none. */
struct fetch_pace_reader *fetch_pace_find(struct fetch_pace_layer *layer, uint64_t offset);
