/*
 * The bytes of one request, as they come, turned into verified spans, in the order of the table.
 * Holds one span decoder at a time, whatever the table says; knows no thread and no network.
 */
#pragma once

#include "image/fetch-plan.h"

struct fetch_decode;

struct fetch_decode_options {
	const struct table *table; /* borrowed */
	uint32_t first, last;	   /* first begins a unit */
	uint32_t lead;		   /* units that are in its way are passed by */
	/* Spans [first, last] are next: false ends the decoding before them. */
	bool (*begin)(void *arg, uint32_t first, uint32_t last);
	bool (*take)(void *arg, uint32_t span); /* is it to be decoded? */
	/*
	 * Called once for each span, rising: its bytes (*DATA may be taken over); DATA NULL and R
	 * 0: passed by; DATA NULL and R < 0: what it is not.
	 */
	void (*out)(void *arg, uint32_t span, uint8_t **data, int r, const struct err *err);
	void *arg;
};

struct fetch_decode *fetch_decode_new(const struct fetch_decode_options *options);
void fetch_decode_free(struct fetch_decode *decode);
DEFINE_AUTO(fetch_decode)

/*
 * SIZE bytes of the blob from OFFSET; calls go on where the last one ended.  True when nothing more
 * is needed: every span was given out, or begin said so.
 */
bool fetch_decode_feed(struct fetch_decode *decode, const void *data, size_t size, uint64_t offset);
/* No more bytes come: what is in the middle of decoding fails. */
void fetch_decode_end(struct fetch_decode *decode);

/* The first span that was not given out. */
uint32_t fetch_decode_next(const struct fetch_decode *decode);
