/*
 * The image configuration (image-spec config.md): what a runtime needs, and the diffIDs.
 */
#pragma once

#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "oci/platform.h"

struct config_list {
	char **items; /* owned */
	size_t count;
	bool present; /* false: null or absent in the JSON */
};

struct config_label {
	char *key, *value; /* owned */
};

struct config {
	struct platform platform;
	struct digest *diff_ids; /* owned, bottom first */
	size_t diff_id_count;
	struct config_list env, entrypoint, cmd;
	char *user;		     /* owned, "" when none */
	char *working_dir;	     /* owned, "" when none */
	char *created;		     /* owned or NULL: RFC 3339 as written */
	struct config_label *labels; /* owned, sorted by key */
	size_t label_count;
};

/* -EBADMSG for what is no image config: no rootfs.diff_ids, a null in a list, NUL or newline in
 * env.  os and architecture may be missing: their fields are then "". */
MUST_USE int config_parse(struct config *out, const void *bytes, size_t size, struct err *err);
void config_release(struct config *config);
#define auto_config __attribute__((cleanup(config_release))) struct config
