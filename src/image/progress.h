/*
 * What is going on, as counters a display polls: written by the working threads, read by anyone.
 * No callbacks: the display decides when to look.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

enum layer_state {
	LAYER_WAITING,
	LAYER_RUNNING,
	LAYER_DONE,
	LAYER_FAILED,
};

struct layer_progress {
	struct digest digest;		 /* set before threads start */
	uint64_t total_bytes;		 /* compressed size; UINT64_MAX unknown */
	_Atomic uint64_t fetched_bytes;	 /* compressed bytes received */
	_Atomic uint64_t unpacked_bytes; /* decoded bytes */
	_Atomic uint64_t entries;
	_Atomic int state;   /* enum layer_state */
	_Atomic bool cached; /* nothing is fetched: it is in the cache */
};

struct progress {
	struct layer_progress *layers; /* owned */
	size_t layer_count;
};

void progress_init(struct progress *progress, size_t layer_count);
void progress_release(struct progress *progress);
