/*
 * Versions as tags spell them, and constraints on them: semver.org read as loosely as people (and
 * the registry-image resource) write it.  A version is [v]MAJOR[.MINOR[.PATCH]][-PRE][+BUILD],
 * numbers may have leading zeros ("2024.01"), what is missing is 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define SEMVER_MAX_BYTES 256u

struct semver {
	unsigned long long major, minor, patch;
	char *prerelease; /* owned: "rc.1", or NULL */
	bool build;	  /* there was a "+BUILD"; it orders nothing */
};

/* False when TEXT is no version; OUT is then untouched. */
bool semver_parse(struct semver *out, const char *text);
void semver_release(struct semver *version);
#define auto_semver __attribute__((cleanup(semver_release))) struct semver

/* < 0, 0, > 0 by precedence (semver.org 11): 1.0.0-rc.2 < 1.0.0-rc.10 < 1.0.0 < 1.0.1. */
int semver_compare(const struct semver *a, const struct semver *b);

/*
 * What a version must be:
 *
 *	any      := all ("||" all)*          one of them holds
 *	all      := item ((" " | ",") item)* every one holds
 *	item     := [op] partial | partial " - " partial
 *	op       := "=" "!=" ">" "<" ">=" "=>" "<=" "=<" "~" "~>" "^"
 *	partial  := a version whose numbers may be x, X or *, or missing
 *
 * ~1.2.3 is >=1.2.3 <1.3, ~1 is 1.x, ^1.2 is >=1.2 <2, ^0.2.3 is >=0.2.3 <0.3, "1.2" is 1.2.x.
 * A prerelease satisfies an "all" only if one of its items names a prerelease (">=1.0.0-0").
 */
struct constraint;

/* -EINVAL with the part that makes no sense. */
MUST_USE int constraint_parse(struct constraint **out, const char *text, struct err *err);
void constraint_free(struct constraint *constraint);
DEFINE_AUTO(constraint)
bool constraint_allows(const struct constraint *constraint, const struct semver *version);
