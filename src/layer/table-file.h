/*
 * The file of a table, as it lies in memory: a header and nine arrays, in the machine's own order
 * of bytes, because it never leaves the machine's cache.
 *
 *	header
 *	entries[]    struct toc_entry
 *	spans[]      struct table_span, by stream offset and by blob offset
 *	extents[]    struct table_extent, of content 0, of content 1, ...
 *	contents[]   u32, one more than there are contents: the first extent of each, and the end
 *	xattrs[]     struct toc_xattr_record
 *	strings[]    NUL-terminated names
 *	values[]     bytes of xattrs
 *	windows[]    packed windows of spans
 *	rests[]      64 bytes a span, when they have TABLE_DIGEST_CHAIN, else none
 *
 * Each array begins at a multiple of 8, zeros in between; where it begins follows from the counts.
 */
#pragma once

#include "layer/table.h"
#include "layer/toc-parts.h"

#define TABLE_MAGIC "rltable"
#define TABLE_ALIGN_BYTES 8u
#define TABLE_WINDOW_MAX_BYTES (2 * SPAN_WINDOW_BYTES) /* packed; more than the worst packing */

enum table_section {
	TABLE_ENTRIES,
	TABLE_SPANS,
	TABLE_EXTENTS,
	TABLE_CONTENTS,
	TABLE_XATTRS,
	TABLE_STRINGS,
	TABLE_VALUES,
	TABLE_WINDOWS,
	TABLE_RESTS,
	TABLE_SECTIONS, /* how many */
};

struct table_rest {
	uint8_t bytes[HASH_REST_BYTES];
};

struct table_header {
	char magic[8];
	uint32_t format; /* TABLE_FORMAT; another order of bytes shows here */
	uint32_t kind;
	uint32_t prefetch_spans;
	uint32_t spare;
	uint64_t dropped_xattrs;
	uint64_t counts[TABLE_SECTIONS]; /* members, not bytes */
};

struct table {
	const struct table_header *header; /* this and all below: borrowed, the file */
	const struct table_span *spans;
	const struct table_extent *extents;
	const uint32_t *contents;
	const uint8_t *windows;
	const struct table_rest *rests; /* of each span, or nothing */
	uint32_t span_count, content_count;
	uint64_t extent_count, windows_size;
	struct toc_parts parts;
	struct toc *toc; /* owned */
};

/* Offsets of the arrays, and behind them the size of the file; false when that is no size. */
bool table_file_offsets(const struct table_header *header, uint64_t offsets[TABLE_SECTIONS + 1]);

/* Spans, contents and extents, once the entries are known to be right. */
MUST_USE int table_check(const struct table *table, struct err *err);
