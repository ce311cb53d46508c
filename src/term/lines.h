/*
 * The lines people see, as text: pure functions of numbers, so that every width can be tested.
 * Lines are ASCII, hold no newline and are never wider than WIDTH.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "image/progress.h"

#define LINE_MAX_BYTES 512
#define LINE_WIDTH_MIN 20 /* a terminal that says less is taken for one of this width */

/* A moment of one layer's counters. */
struct line_layer {
	char name[16];		 /* the first 12 digits of its digest, or "layer" */
	uint64_t total_bytes;	 /* UINT64_MAX unknown */
	uint64_t fetched_bytes;	 /* never above total_bytes */
	uint64_t unpacked_bytes; /* decoded */
	uint64_t entries;
	enum layer_state state;
	bool cached; /* nothing of it is to be fetched */
};

/* The sum of all layers. */
struct line_total {
	size_t layers, done;
	uint64_t total_bytes; /* UINT64_MAX when a layer's is not known */
	uint64_t fetched_bytes;
	double rate;	/* bytes a second, smoothed; <= 0 unknown */
	double seconds; /* since the start */
};

void line_layer_take(struct line_layer *out, const struct layer_progress *layer);
void line_total_add(struct line_total *total, const struct line_layer *layer);

/* "4b2bb8b3e8a1 [=======>      ] 12.3 MiB / 45.6 MiB": a layer's line on a terminal. */
void line_layer_draw(struct str *out, const struct line_layer *layer, size_t width);
/* "3/10 layers [===>   ] 120.3 MiB / 450.6 MiB, 12.3 MiB/s, 6 s left" */
void line_total_draw(struct str *out, const struct line_total *total, size_t width);

/* "layer 3/10 4b2bb8b3e8a1: 45.6 MiB, unpacked 120.3 MiB in 1234 entries" (or "failed") */
void line_layer_say(struct str *out, const struct line_layer *layer, size_t number, size_t count);
/* "3/10 layers, 120.3 MiB of 450.6 MiB, 12.3 MiB/s, 6 s left" */
void line_total_say(struct str *out, const struct line_total *total);
