/*
 * What is before a deflate block that it refers to.  A probe decodes the first 32 KiB behind a
 * block's start twice, from two made-up windows in which the byte at j is
 *
 *	a = j & 255		b = a ^ (1 + (j >> 8))
 *
 * Where both give the same byte it was written out in the span; where they differ, the pair tells
 * the j it was copied from (a is never b, and 1 + (j >> 8) is at most 128).  Both are compared with
 * what the stream really gave, so a block that was none, or not there, is seen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "codec/gzip.h"
#include "codec/span.h"

struct probe;
struct probe *probe_new(const struct gzip_inflate *inflate); /* borrowed, static */
void probe_free(struct probe *probe);
DEFINE_AUTO(probe)

/*
 * Begin at BLOCK.  The window's last SIZE bytes are the output before it; the caller stores them in
 * probe_window() first.
 */
void probe_start(struct probe *probe, const struct gzip_block *block, size_t size);
uint8_t *probe_window(struct probe *probe); /* SPAN_WINDOW_BYTES, borrowed */

/* What the stream took and gave since. */
void probe_add(struct probe *probe, const uint8_t *in, size_t in_size, const uint8_t *out,
	       size_t out_size);

/* The bytes of output that are needed yet; with none the probe may still want input. */
size_t probe_wants(const struct probe *probe);
/* Nothing more is needed. */
bool probe_is_done(const struct probe *probe);

/*
 * To be asked when it is done or the deflate stream has ended: whether decoding can begin at the
 * block and gives something.  All of probe_window() that it does not refer to is zero then.
 */
bool probe_finish(struct probe *probe);
