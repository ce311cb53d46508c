/*
 * Tables of contents that come with a layer: which one serves, and reading it through a few ranges.
 */
#pragma once

#include "base/input.h"
#include "layer/table.h"

struct find_layer {
	struct input *blob; /* borrowed; the compressed blob by ranges */
	/* Values of the layer descriptor's annotations, borrowed, NULL when absent.
	 * KEY as in formats.md section 0. */
	const char *(*annotation)(void *arg, const char *key);
	void *arg;
	enum trust least; /* tables of less trust are not looked for */
	bool exact;	  /* read the footer and the table only: more requests, fewer bytes */
};

/*
 * The first table that serves: eStargz, zstd:chunked (both dialects), a plain tar walked by ranges
 * (TRUST_NONE).  *data is the file table_open reads, yours to free; NULL when there is none.
 * *trust is set.  A table that is there but bad (or below LEAST) leaves *data NULL and says why in
 * *refused (TEXT may be ""), which is no error: the layer is scanned.
 *
 * Errors are only those of reading the blob.
 */
MUST_USE int find_table(const struct find_layer *layer, void **data, size_t *size,
			enum trust *trust, struct err *refused, struct err *err);

/* The ways, each in its own file; same outputs.  -EBADMSG etc. for a bad table. */
MUST_USE int estargz_table(const struct find_layer *layer, void **data, size_t *size,
			   struct err *err);
MUST_USE int zchunked_table(const struct find_layer *layer, void **data, size_t *size,
			    struct err *err);
MUST_USE int tarwalk_table(const struct find_layer *layer, void **data, size_t *size,
			   struct err *err);
