/*
 * The versions among the tags of a repository, by the rules of registry-image's semver mode.  No
 * network: what a tag names is filled in by the caller.
 */
#pragma once

#include "base/err.h"
#include "oci/tags.h"
#include "resource/check.h"
#include "resource/semver.h"
#include "resource/source.h"

struct candidate {
	struct look look;
	struct semver version;
	size_t dots;  /* in the tag, without the variant: "1.2.3" is more exact than "1.2" */
	size_t place; /* in the registry's list; the cursor is before all */
	bool passed;  /* by the cursor: not newer than it */
};

struct selection {
	struct candidate *items; /* owned; ascending after selection_best */
	size_t count;
};
void selection_release(struct selection *selection);
#define auto_selection __attribute__((cleanup(selection_release))) struct selection

/*
 * The tags that are versions, of SOURCE's variant, allowed by CONSTRAINT (NULL: all are) and
 * SOURCE's rules for prereleases; in the registry's order.  Tags are borrowed from TAGS.
 */
MUST_USE int selection_make(struct selection *out, const struct tags *tags,
			    const struct source *source, const struct constraint *constraint,
			    struct err *err);

/* The tag without a version: "latest", or the variant. */
const char *selection_bare(const struct source *source);

/* The one called TAG, or NULL. */
struct candidate *selection_find(const struct selection *selection, const char *tag);
/* CURSOR is where Concourse is: those that are not greater are passed over. */
void selection_pass(struct selection *selection, struct candidate *cursor);
/*
 * Keep of those that are there one for each digest, the best name it has: a final version before a
 * prerelease, the more exact one, the first.  Sorted by precedence; of equal versions the more
 * exact one is later, then the alphabet decides.
 */
void selection_best(struct selection *selection);
