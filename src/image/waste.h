/*
 * What an image carries in vain: bytes of a layer that a later one hid or replaced, and how well
 * the layers use their bytes, as dive counts it.
 *
 * A path that is in several layers, and a whiteout counts as one, could have been in one: what all
 * of them hold is wasted_bytes.  Efficiency is the least that each path holds in any layer, over
 * what it holds in all.  A whiteout of a directory holds what was below it.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "layer/toc.h"

struct waste_layer {
	uint64_t entries; /* of the layer's archive, without whiteouts */
	uint64_t bytes;	  /* of its regular files */
};

/* A path that is in more than one layer. */
struct waste_path {
	const char *path; /* borrowed from the tocs */
	uint32_t length;
	uint32_t layers; /* how many hold it */
	uint64_t bytes;	 /* in all of them */
};

struct waste {
	struct waste_layer *layers; /* owned, bottom first */
	size_t layer_count;
	struct waste_path *paths; /* owned; the most bytes first; none of 0 bytes */
	size_t path_count;
	uint64_t bytes, wasted_bytes;
	double efficiency; /* 0 .. 1 */
};

/* TOCS are COUNT layers, bottom first; they are only read, and outlive the result. */
MUST_USE int waste_count(struct waste *out, struct toc *const *tocs, size_t count, struct err *err);
void waste_release(struct waste *waste);
