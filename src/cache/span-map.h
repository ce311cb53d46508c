/*
 * The map of a layer's spans: which are there, with what sum; shared by processes.
 *
 *	header, 64 bytes	"rootlet" NUL | u32 format | u32 span count | u64 layout
 *				| u64 stream size | u64 check of the former | zeros
 *	record, 32 bytes each	u64 sum | u64 mark | u64 offset | u32 size | u32 check
 *
 * In the machine's byte order: a map from another one has no valid header.  A mark is the boot it
 * was made in (0: the span is not there) and, above it, a generation that rises whenever the span
 * comes or goes.  The check covers number, sum, offset and size, so that a torn record is none.
 *
 * A record changes under its lock (span_map_lock), but for a mark that anybody may clear or renew
 * by compare-and-swap.  Readers need no lock: they look at the mark again after they read.
 *
 * Before a layer has its name the map lies in memory, grows, and belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define SPAN_MAP_FORMAT 1u
#define SPAN_MAP_SPANS_MAX (UINT32_C(1) << 25)
#define SPAN_MAP_STREAM_MAX_BYTES (UINT64_C(1) << 62)

struct span_map;

struct span_map_shape {
	uint64_t layout;
	uint64_t stream_size;
	uint32_t span_count;
};

struct span_entry {
	uint64_t sum, offset;
	uint64_t mark;
	uint32_t size;
};

/* In memory, growing. */
struct span_map *span_map_new(uint32_t boot);
/* A new file "map" in DIRFD with all its blocks.  -E2BIG too many spans; what the kernel says. */
MUST_USE int span_map_create(struct span_map **out, int dirfd, const struct span_map_shape *shape,
			     uint32_t boot, struct err *err);
/*
 * An opened file, which is taken over.  -EBADMSG it is none.  One that is WRITABLE gets all its
 * blocks, as a store into a missing one of a full disk is deadly; failing that it is only read.
 */
MUST_USE int span_map_open(struct span_map **out, int fd, bool writable, uint32_t boot,
			   struct err *err);
void span_map_free(struct span_map *map);
DEFINE_AUTO(span_map)

struct span_map_shape span_map_shape(const struct span_map *map);
bool span_map_writable(const struct span_map *map);
uint32_t span_map_present(const struct span_map *map);

/* Records below COUNT exist from now on; -EINVAL when a file, or grown for good, is too small. */
MUST_USE int span_map_grow(struct span_map *map, uint32_t count, struct err *err);
/* A map in memory got all its spans: any thread may use it, it grows no more. */
MUST_USE int span_map_settle(struct span_map *map, const struct span_map_shape *shape,
			     struct err *err);
/* What FROM says of the spans that both have and that lie inside the stream of TO. */
void span_map_copy(struct span_map *to, const struct span_map *from);

/* False when the span is not there, or its record is broken. */
bool span_map_load(const struct span_map *map, uint32_t span, struct span_entry *out);
/* It is still what it was when ENTRY was loaded; all that was read before then counts. */
bool span_map_same(const struct span_map *map, uint32_t span, const struct span_entry *entry);
/* The mark is of this boot, or was proven here. */
bool span_map_trusted(const struct span_map *map, uint32_t span, const struct span_entry *entry);
/* Its sum was right: false when the span changed meanwhile. */
bool span_map_trust(struct span_map *map, uint32_t span, const struct span_entry *entry);
/* It is gone: false when it was already, or is another one now. */
bool span_map_clear(struct span_map *map, uint32_t span, const struct span_entry *entry);

/* Say what is going to be written; not there until span_map_mark.  The lock is held. */
void span_map_describe(struct span_map *map, uint32_t span, const struct span_entry *entry);
void span_map_mark(struct span_map *map, uint32_t span);

enum span_lock {
	SPAN_LOCK_FETCH, /* who gets it from the registry */
	SPAN_LOCK_WRITE, /* who changes its bytes and its record */
};
/* 1 it is ours; 0 somebody has it; negative where there are no locks.  Never blocks. */
int span_map_lock(struct span_map *map, enum span_lock lock, uint32_t span);
void span_map_unlock(struct span_map *map, enum span_lock lock, uint32_t span);
/*
 * The locks of COUNT spans in a row, for a map that one thread has for itself: threads that share
 * the object do not exclude each other here.  False when somebody else has one of them.
 */
bool span_map_lock_row(struct span_map *map, enum span_lock lock, uint32_t first, uint32_t count);
void span_map_unlock_row(struct span_map *map, enum span_lock lock, uint32_t first, uint32_t count);
