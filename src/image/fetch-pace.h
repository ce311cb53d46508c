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
	uint64_t window; /* the length of the next request; 0: not in use */
	uint64_t used;	 /* when, for reuse of the slot */
	uint32_t next;	 /* the span behind what was fetched */
	bool sequential; /* it went on at least once */
};

/* How one layer is read; zeroed: not at all yet. */
struct fetch_pace_layer {
	struct fetch_pace_reader readers[FETCH_PACE_READERS];
	uint64_t clock;
	uint64_t around;	  /* request length when a read stands alone; 0: not set yet */
	uint64_t fetched, useful; /* bytes taken along unasked lately, and asked for afterwards */
};

/*
 * The length a request for a miss at OFFSET should have (neighbours are taken along up to it), and
 * which reader it is for.
 */
uint64_t fetch_pace_target(struct fetch_pace_layer *layer, const struct fetch_pace *pace,
			   uint64_t offset, struct fetch_pace_reader **reader);
/* A reader that goes on, of whose bytes OFFSET is part; NULL when there is none. */
struct fetch_pace_reader *fetch_pace_find(struct fetch_pace_layer *layer, uint64_t offset);

/* BYTES were taken along unasked / turned out to be wanted. */
void fetch_pace_around(struct fetch_pace_layer *layer, const struct fetch_pace *pace,
		       uint64_t bytes);
void fetch_pace_useful(struct fetch_pace_layer *layer, uint64_t bytes);
