/*
 * Two questions.  How long is the pipe: bytes that could have come in the time a request waits for
 * its first one; a shorter request wastes the wait.  And what will be read next: a miss that goes
 * on where a reader's last request ended doubles its window, if the reader had use for what came
 * with that one, from the second time on: two pieces of one file are no habit.  Any other stands
 * alone (fetch-near.c looks around it).
 */
#include "image/fetch-pace.h"

#include <stddef.h>

#define KIB 1024u
#define SAMPLE_MIN_BYTES (64u * KIB) /* less says nothing of the bandwidth */
/* A measure beyond these is a clock's or a buffer's, not a network's. */
#define WAIT_MAX_US (10u * 1000 * 1000)
#define RATE_MAX_BYTES (UINT64_C(10) * 1000 * 1000 * 1000)
#define STEPS_MIN 2u
#define NEAR_BYTES (128u * KIB) /* a miss this far behind a reader's end goes on there */

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

void fetch_pace_sample(struct fetch_pace *pace, uint64_t wait_us, uint64_t bytes, uint64_t body_us)
{
	wait_us = clamp(wait_us, 1, WAIT_MAX_US);
	if (!pace->wait_us || wait_us < pace->wait_us)
		pace->wait_us = wait_us;
	else
		pace->wait_us += (wait_us - pace->wait_us) / 16;
	if (bytes < SAMPLE_MIN_BYTES)
		return;
	uint64_t rate = clamp(bytes, 0, UINT64_MAX / 1000000) * 1000000 / (body_us ? body_us : 1);
	rate = clamp(rate, 1, RATE_MAX_BYTES);
	if (rate > pace->bytes_per_s)
		pace->bytes_per_s += (rate - pace->bytes_per_s + 1) / 2;
	else
		pace->bytes_per_s -= (pace->bytes_per_s - rate) / 16;
}

uint64_t fetch_pace_bdp(const struct fetch_pace *pace)
{
	uint64_t bytes = 0;
	if (__builtin_mul_overflow(pace->bytes_per_s, pace->wait_us, &bytes))
		bytes = UINT64_MAX;
	return clamp(bytes / 1000000, FETCH_PACE_BDP_MIN_BYTES, FETCH_PACE_BDP_MAX_BYTES);
}

struct fetch_pace_reader *fetch_pace_reader(struct fetch_pace_layer *layer, uint64_t offset)
{
	struct fetch_pace_reader *oldest = &layer->readers[0];
	for (size_t i = 0; i < FETCH_PACE_READERS; i++) {
		struct fetch_pace_reader *r = &layer->readers[i];
		/* the next span may begin with the byte in which the last one ended */
		if (r->window && offset + 1 >= r->end && offset - r->end + 1 <= NEAR_BYTES)
			return r;
		if (r->used < oldest->used)
			oldest = r;
	}
	*oldest = (struct fetch_pace_reader){ 0 };
	return oldest;
}

uint64_t fetch_pace_target(struct fetch_pace_layer *layer, const struct fetch_pace *pace,
			   struct fetch_pace_reader *reader, bool wasteful)
{
	uint64_t bdp = fetch_pace_bdp(pace);
	reader->used = ++layer->clock;
	reader->steps = reader->window > 0 && !wasteful ? reader->steps + 1 : 0;
	reader->sequential = reader->steps >= STEPS_MIN;
	if (reader->sequential)
		reader->window = clamp(2 * reader->window, bdp / 2,
				       clamp(2 * bdp, 0, FETCH_PACE_REQUEST_MAX_BYTES));
	else
		reader->window = 1;
	return reader->sequential ? reader->window : 0;
}

struct fetch_pace_reader *fetch_pace_find(struct fetch_pace_layer *layer, uint64_t offset)
{
	for (size_t i = 0; i < FETCH_PACE_READERS; i++) {
		struct fetch_pace_reader *r = &layer->readers[i];
		if (r->sequential && offset < r->end &&
		    r->end - offset <= FETCH_PACE_REQUEST_MAX_BYTES)
			return r;
	}
	return NULL;
}
