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

/* One step of the history: what made a layer, or only changed the config. */
struct config_step {
	char *created;	  /* owned or NULL: RFC 3339 as written */
	char *created_by; /* owned, "" when none: the command */
	char *comment;	  /* owned, "" when none */
	bool empty_layer; /* it made no layer */
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
	struct config_step *history; /* owned, oldest first; what is malformed in it is left out */
	size_t history_count;
};

/* -EBADMSG for what is no image config: no rootfs.diff_ids, a null in a list, NUL or newline in
 * env.  os and architecture may be missing: their fields are then "". */
MUST_USE int config_parse(struct config *out, const void *bytes, size_t size, struct err *err);
void config_release(struct config *config);
/* The step that made layer LAYER (from 0, bottom first); NULL when the history does not have
 * exactly one for each layer.  Borrowed. */
const struct config_step *config_layer_step(const struct config *config, size_t layer);
#define auto_config __attribute__((cleanup(config_release))) struct config
