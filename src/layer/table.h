/*
 * The table of one layer: its entries and the spans its bytes come from, immutable, in one piece
 * of memory that is also the file the cache keeps.  Everything that reads a layer lazily knows only
 * this; which format it was made from (scan, eStargz, zstd:chunked, plain tar) is a label.
 *
 *	entry of a regular file -> content number -> extents -> (stream offset, size)
 *	stream offset -> span -> range of the blob, how to start, what to pass over, digest
 *
 * The stream is the decoded tar where the table speaks of one (scan, plain tar); for formats with
 * chunks it is laid out here: payloads of files in the order of the blob, each at a multiple of
 * 4096.  Spans are sorted by stream offset and do not overlap; gaps between them belong to nobody.
 * What no extent covers is a hole of zeros.
 *
 * Spans are in the order of the blob too: blob_offset never falls.  A regular file with bytes has a
 * content, of no extents when it is only holes.
 *
 * Spans that begin decoding at the same place of the blob (blob_offset equal) are neighbours in the
 * array: a "group"; who decodes one passes by the others.  Within a group SKIP rises.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/hash-chain.h"
#include "base/mem.h"
#include "codec/span.h"
#include "layer/toc.h"

#define TABLE_SPAN_MAX_BYTES (64u * 1024 * 1024) /* decoded; larger ones are refused */
#define TABLE_SPANS_MAX (32u * 1024 * 1024)
#define TABLE_NO_SPAN UINT32_MAX
#define TABLE_FORMAT 2 /* of the file; part of the cache's key */

/* design.md section 7. */
enum trust {
	TRUST_NONE,	/* nothing binds it: a plain tar walked by ranges */
	TRUST_ATTESTED, /* found beside the image */
	TRUST_BOUND,	/* named by the manifest */
	TRUST_VERIFIED, /* the whole blob matched its digest and diffID on this machine */
};
const char *trust_name(enum trust trust);

enum table_kind {
	TABLE_SCAN,
	TABLE_ESTARGZ,
	TABLE_ZSTD_CHUNKED,
	TABLE_TAR,
};
const char *table_kind_name(enum table_kind kind); /* "scan", "estargz", "zstd:chunked", "tar" */

struct table_span {
	uint64_t blob_offset, blob_size; /* one range; never empty */
	uint64_t stream_offset;
	uint64_t skip;	      /* decoded bytes between the start point and stream_offset */
	uint64_t window;      /* offset in the windows */
	uint32_t window_size; /* packed; 0: none */
	uint32_t stream_size; /* 1..TABLE_SPAN_MAX_BYTES */
	uint8_t start, bits;  /* enum span_start */
	uint8_t has_digest;   /* enum table_digest */
	uint8_t padding[5];
	uint8_t digest[32];
};

/* What a span's decoded bytes are held against, see table_verify. */
enum table_digest {
	TABLE_DIGEST_NONE,
	TABLE_DIGEST_SPAN, /* their sha256 */
	/*
	 * Where the sha256 of the whole stream stands behind them (base/hash-chain.h): "digest" is
	 * the chain, the rest is told to table_builder_rest.  All spans of a table have it, without
	 * gaps, and cost no second hashing of what the diffID is made from.
	 */
	TABLE_DIGEST_CHAIN,
};

struct table_extent {
	uint64_t file_offset, stream_offset, size; /* size > 0 */
};

struct table;

/* ---- reading */

/*
 * A table over DATA (borrowed, must outlive it, e.g. a mapping; aligned to 8 bytes).  Validates
 * everything once: sizes, order, that every offset and index stays inside; the digest of the whole
 * is checked by who stores it.  -EBADMSG.
 */
MUST_USE int table_open(struct table **out, const void *data, size_t size, struct err *err);
void table_free(struct table *table);
DEFINE_AUTO(table)

enum table_kind table_kind(const struct table *table);
/* The entries; borrowed from the table.  For tree_apply. */
struct toc *table_toc(struct table *table);
uint64_t table_stream_size(const struct table *table); /* end of the last span */
uint32_t table_span_count(const struct table *table);
const struct table_span *table_span(const struct table *table, uint32_t span);
/* The span that holds this byte of the stream, or TABLE_NO_SPAN. */
uint32_t table_find_span(const struct table *table, uint64_t stream_offset);
/* How to start decoding a span; window borrowed from the table. */
struct span_point table_point(const struct table *table, uint32_t span);
/*
 * Are these the decoded bytes of SPAN?  Any thread.  -EBADMSG they are not, or nothing
 * tells: only a plain tar that was walked has spans without a digest.
 */
MUST_USE int table_verify(const struct table *table, uint32_t span, const void *bytes,
			  struct err *err);
/* The extents of a content number, sorted by file_offset; *count may be 0 (only holes). */
const struct table_extent *table_extents(const struct table *table, uint32_t content,
					 uint32_t *count);
/*
 * Spans a maker wants fetched first (eStargz's prefetch landmark): [0, n) by number, 0 when none;
 * TABLE_NO_SPAN: the image says that nothing is to be prefetched.
 */
uint32_t table_prefetch_spans(const struct table *table);

/* ---- making */

struct table_builder;
/* TOC is taken over; entries' content numbers are those of table_builder_content. */
struct table_builder *table_builder_new(enum table_kind kind);
void table_builder_free(struct table_builder *builder);
DEFINE_AUTO(table_builder)
struct toc *table_builder_toc(struct table_builder *builder); /* borrowed: add entries here */
/* A new regular file's content of these extents; its number. */
MUST_USE int table_builder_content(struct table_builder *builder,
				   const struct table_extent *extents, size_t count,
				   uint32_t *content, struct err *err);
/* Append a span (by rising stream_offset).  window/window_size of SPAN are set from PACKED. */
MUST_USE int table_builder_span(struct table_builder *builder, const struct table_span *span,
				const uint8_t *packed, size_t packed_size, struct err *err);
/* Of the span just appended, with TABLE_DIGEST_CHAIN. */
void table_builder_rest(struct table_builder *builder, const uint8_t rest[HASH_REST_BYTES]);
void table_builder_prefetch(struct table_builder *builder, uint32_t spans);
/* The finished file, validated by table_open; yours to free. */
MUST_USE int table_builder_finish(struct table_builder *builder, void **out, size_t *size,
				  struct err *err);
