/*
 * Spans that the cache does not keep (it cannot be written): the last few in memory, so that a
 * reader who takes a span piece by piece does not fetch it for each.  Not locked.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define FETCH_RECENT_MAX_BYTES (8u * 1024 * 1024) /* the last one is kept whatever its size */
#define FETCH_RECENT_MAX_SPANS 512u

/* Bytes shared by who holds them. */
struct fetch_bytes {
	atomic_uint holders;
	size_t size;
	uint8_t *data; /* owned */
};
struct fetch_bytes *fetch_bytes_new(uint8_t *data, size_t size); /* takes DATA over */
struct fetch_bytes *fetch_bytes_hold(struct fetch_bytes *bytes);
void fetch_bytes_free(struct fetch_bytes *bytes); /* the last one frees; accepts NULL */
DEFINE_AUTO(fetch_bytes)

struct fetch_recent;
struct fetch_recent *fetch_recent_new(void);
void fetch_recent_free(struct fetch_recent *recent);
DEFINE_AUTO(fetch_recent)

/* Keep BYTES (held once more) under KEY. */
void fetch_recent_put(struct fetch_recent *recent, uint64_t key, struct fetch_bytes *bytes);
/* Held for the caller; NULL when they are not there. */
struct fetch_bytes *fetch_recent_get(struct fetch_recent *recent, uint64_t key);
bool fetch_recent_has(const struct fetch_recent *recent, uint64_t key);
