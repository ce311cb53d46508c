/*
 * What an image says about itself, for the metadata that Concourse shows: those labels and
 * annotations whose names an expression finds.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "image/image.h"
#include "resource/source.h"

struct pair {
	char *name, *value; /* owned */
};

struct pairs {
	struct pair *items; /* owned */
	size_t count, capacity;
};
void pairs_release(struct pairs *pairs);

struct picker;
/* What SOURCE's label_regex and annotation_regex pick.  -EINVAL one is no expression. */
MUST_USE int picker_new(struct picker **out, const struct source *source, struct err *err);
void picker_free(struct picker *picker);
DEFINE_AUTO(picker)

/* Must the image's config be read; is anything picked at all? */
bool picker_wants_config(const struct picker *picker);
bool picker_wants_any(const struct picker *picker);

/*
 * Add IMAGE's labels, then its manifest's annotations, each sorted by name.  -E2BIG an expression
 * that cannot be matched in reasonable time.
 */
MUST_USE int picker_add(struct picker *picker, const struct image *image, struct pairs *pairs,
			struct err *err);
