/*
 * From staged contents and a merged tree to the directory as it shall be: nearly every file already
 * lies under its name (stage.h); the rest is moved, linked or removed, links and special files are
 * made, and directories get their attributes last, from the bottom up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "image/attrs.h"
#include "image/stage.h"
#include "image/tree.h"

struct place_options {
	bool devices;		     /* make device nodes */
	struct attrs_policy *policy; /* borrowed */
};

struct place_result {
	uint64_t skipped_devices;
};

/* Everything but the attributes of the root and of the directories right below it. */
MUST_USE int place_tree(struct stage *stage, const struct tree *tree,
			const struct place_options *options, struct place_result *out,
			struct err *err);

/* After the commit: the attributes of the directories right below DESTFD. */
MUST_USE int place_top(int destfd, const struct tree *tree, const struct place_options *options,
		       struct err *err);
/* And at the very end, when nothing is made or removed in it any more, those of DESTFD itself. */
MUST_USE int place_root(int destfd, const struct tree *tree, const struct place_options *options,
			struct err *err);
