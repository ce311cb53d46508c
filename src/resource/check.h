/*
 * What the parts of the check step share: the request, the repository, the versions found so far.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "resource/session.h"

#define LOOK_THREADS_MAX 16u

struct check_version {
	char *tag; /* owned */
	struct digest digest;
};

struct check {
	const struct session *session;	/* borrowed */
	struct repo *repo;		/* borrowed */
	struct check_version *versions; /* owned, oldest first */
	size_t count, capacity;
	size_t listed; /* tags there are, for a word when none is wanted */
};
void check_release(struct check *check);
void check_add(struct check *check, const char *tag, const struct digest *digest);

/* The modes that choose among all tags; both append to CHECK's versions. */
MUST_USE int check_regex(struct check *check, struct err *err);
MUST_USE int check_semver(struct check *check, struct err *err);

/* What a tag names. */
struct look {
	const char *tag; /* borrowed */
	bool asked;
	bool there;
	struct digest digest; /* when there */
};

/* One; LOOK is asked then.  Any thread. */
MUST_USE int look_at(const struct check *check, struct look *look, struct err *err);
/* All, sixteen at a time; those that were asked are not asked again. */
MUST_USE int look_at_all(const struct check *check, struct look *const *looks, size_t count,
			 struct err *err);
