/*
 * The decoded bytes of one layer, as far as they were fetched: one sparse file, and a map that says
 * which spans of it are there.
 *
 *	layers/ALG-HEX.LAYOUT/stream	the decoded stream, sparse
 *	layers/ALG-HEX.LAYOUT/map	header, then a record a span (cache/span-map.h):
 *		u64 sum		XXH3 of the span's bytes: against accidents, not against anybody
 *		u32 boot	which boot wrote it (hash of the kernel's boot_id); 0: not present
 *		u32 generation	rises whenever the span comes or goes
 *		u64 offset	where in the stream, so that who does not know the table can
 *		u32 size	verify and evict it
 *		u32 check	of the record itself
 *	layers/ALG-HEX.LAYOUT/use	locked shared by each user; its mtime is the last use
 *
 * A span is written, then marked.  A mark of this boot is trusted (the page cache is coherent even
 * when processes are killed); a mark of an earlier boot only after the sum was checked once more.
 * The map decides presence, never holes in the file.
 *
 * Readers in any process: load the record, read, load it again; a span evicted meanwhile shows in
 * the generation.  The evictor clears the mark, then punches the hole.
 */
#pragma once

#include "cache/cache.h"

struct cache_spans;

struct cache_span {
	uint32_t number;
	uint64_t offset; /* in the stream */
	uint32_t size;
};

/*
 * Open (or make) the bytes of layer DIGEST for a table whose spans are laid out as LAYOUT says (a
 * number made from the table's bytes: other layouts of one layer do not meet).  Holds the use lock
 * until freed.  A cache that cannot be written gives an object that has nothing and keeps nothing.
 */
MUST_USE int cache_spans_open(struct cache_spans **out, struct cache *cache,
			      const struct digest *digest, uint64_t layout, uint32_t span_count,
			      uint64_t stream_size, struct err *err);
void cache_spans_free(struct cache_spans *spans);
DEFINE_AUTO(cache_spans)

/*
 * While a layer is scanned its spans are not known yet: they grow, and get their name at the end.
 * One thread at a time until then.  They keep no more than half of the quota.
 */
MUST_USE int cache_spans_new(struct cache_spans **out, struct cache *cache, struct err *err);
/*
 * Meanwhile the stream comes in pieces, from its start on: SIZE more bytes.  Then: all that came
 * since the last cut is the next span, from number 0 on.  After a failure nothing more is kept.
 */
MUST_USE int cache_spans_append(struct cache_spans *spans, const void *data, size_t size,
				struct err *err);
MUST_USE int cache_spans_cut(struct cache_spans *spans, struct err *err);
/*
 * The scan was right: from now on others find it.  When another process was faster, its bytes are
 * used and ours dropped (unless it is gone and left less).  Where it cannot be given its name, say
 * on a full disk, it serves what it has until it is freed.  -EINVAL, -E2BIG wrong numbers; -ENOMEM.
 */
MUST_USE int cache_spans_publish(struct cache_spans *spans, const struct digest *digest,
				 uint64_t layout, uint32_t span_count, uint64_t stream_size,
				 struct err *err);

bool cache_spans_has(const struct cache_spans *spans, uint32_t span);
uint32_t cache_spans_present(const struct cache_spans *spans); /* how many */

/*
 * SIZE bytes at AT inside SPAN.  1: done; 0: the span is not there (any more, or its sum was wrong
 * and it was dropped).  Never anything but the bytes that were written.
 */
int cache_spans_read(struct cache_spans *spans, const struct cache_span *span, void *buf,
		     size_t size, uint32_t at);

/*
 * Keep a span's verified bytes.  A failure (-ENOSPC ...) turns writing off; the caller goes on
 * without.  Needs no lock of its caller; 0 says not that they were kept: not where writing is off,
 * nor while another writes or evicts the same.
 */
MUST_USE int cache_spans_write(struct cache_spans *spans, const struct cache_span *span,
			       const void *data, struct err *err);

/*
 * One process fills a span: true when we hold it (others wait or go elsewhere) until
 * cache_spans_unlock.  Never blocks; a process that dies gives its locks up.
 */
bool cache_spans_trylock(struct cache_spans *spans, uint32_t span);
void cache_spans_unlock(struct cache_spans *spans, uint32_t span);
