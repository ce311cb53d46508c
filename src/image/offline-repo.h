/*
 * A registry that is always away, for who must not ask the network: behind a cached_repo it leaves
 * what the cache knows.
 */
#pragma once

#include "oci/repo.h"

/* Everything asked of it is -EAGAIN.  REF is borrowed for the call. */
struct repo *offline_repo_new(const struct ref *ref);
