/*
 * The names that a put gives an image: source.tag, the version and its aliases, additional tags.
 * Pure but for the file of additional tags; the tags there are come from the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "oci/sink.h"
#include "resource/semver.h"

/* A version to be pushed.  -EINVAL for anything else, also with "+BUILD", which no tag can hold. */
MUST_USE int out_version_parse(struct semver *out, const char *text, struct err *err);

struct out_names {
	char **items; /* owned, in the order they are reported; may hold one twice */
	size_t count, capacity;
};
void out_names_release(struct out_names *names);
/* Takes TEXT over.  -EINVAL when it is no legal tag. */
MUST_USE int out_names_add(struct out_names *names, char *text, struct err *err);

/* "1.2.3" or "1.2.3-VARIANT", always in full. */
char *out_version_tag(const struct semver *version, const char *variant);

/*
 * The aliases of VERSION that no newer version among THERE holds: "latest" (or VARIANT), "1",
 * "1.2", with -VARIANT.  None for a prerelease.
 */
MUST_USE int out_names_add_aliases(struct out_names *names, const struct semver *version,
				   const char *variant, const struct tags *there, struct err *err);

/* The words of the file at PATH, each behind PREFIX (NULL: nothing); *count says how many. */
MUST_USE int out_names_add_file(struct out_names *names, const char *path, const char *prefix,
				size_t *count, struct err *err);
