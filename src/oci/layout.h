/* An OCI image layout (image-spec image-layout.md) in a store, as a repo. */
#pragma once

#include "oci/repo.h"
#include "oci/store.h"

/*
 * Reads oci-layout and index.json.  NAME is for messages.  The store is taken over with OWNED set,
 * also on failure; else it must outlive the repo.
 */
MUST_USE int layout_new(struct repo **out, struct store *store, bool owned, const char *name,
			struct err *err);

/* index.json; borrowed from the repo, which layout_new made. */
const struct index *layout_index(const struct repo *repo);
