/*
 * A repo in front of a registry's: documents and configs come from the cache when a digest names
 * them, what is fetched is kept.  What a tag or a given digest names is always asked of the
 * registry, with the credentials of now: the cache answers that only when the registry is away.
 * Blobs of layers pass through.
 */
#pragma once

#include "cache/cache.h"
#include "oci/repo.h"

struct cached_repo;

/* Takes UNDER over; CACHE is borrowed.  REF: what will be resolved (borrowed for the call). */
struct repo *cached_repo_new(struct repo *under, struct cache *cache, const struct ref *ref);
/*
 * REPO must be of cached_repo_new: when the registry last said what is believed of it (Unix time),
 * because now it is away; 0: it was not.
 */
int64_t cached_repo_stale_since(const struct repo *repo);
