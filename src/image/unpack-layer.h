/*
 * One layer: downloaded, checked, decoded, and its files put on the stage.
 *
 *	caller's thread   blob bytes -> size, digest -> decoder -> ring, or the cache -> ring
 *	hash thread       ring -> diffID
 *	tar thread        ring -> tar entries -> table of contents, files (stage.h)
 *
 * The result counts only when size, digest and diffID were right; of a layer out of the cache the
 * diffID, and when that is wrong it is fetched.  A blob that came with the wrong bytes is fetched
 * once more; an image that is wrong itself is not.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "cache/cache.h"
#include "image/attrs.h"
#include "image/image.h"
#include "image/progress.h"
#include "image/stage.h"
#include "layer/toc.h"

/* What all layers of one unpack share. */
struct unpack_shared {
	struct image *image;	     /* borrowed */
	struct stage *stage;	     /* borrowed */
	struct attrs_policy *policy; /* borrowed */
	struct cache *cache;	     /* borrowed or NULL */
	struct progress *progress;   /* borrowed or NULL */
	const atomic_bool *cancel;   /* borrowed or NULL: the user wants to stop */
	bool allow_bomb;
	uint64_t max_bytes;	     /* of all files; 0: no limit */
	atomic_bool stop;	     /* another layer failed */
	_Atomic uint64_t file_bytes; /* sizes of all files so far */
	_Atomic uint64_t fetched_bytes;
	_Atomic uint64_t unpacked_bytes;
	_Atomic uint64_t trailing_layers;
	_Atomic uint64_t cached_layers;
};

/* *toc is yours on success.  LAYER is the number from 0. */
MUST_USE int unpack_layer(struct unpack_shared *shared, size_t layer, struct toc **toc,
			  struct err *err);
