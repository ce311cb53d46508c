/*
 * The tags of a repository, as it lists them.  oci/repo.h has the question (repo_tags), oci/sink.h
 * asks it of where something is to be written.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define TAGS_MAX 1000000u
#define TAGS_PAGES_MAX 1000u
#define TAGS_PAGE_MAX_BYTES (8u * 1024 * 1024)

struct endpoint;

struct tags {
	char **names; /* owned, in the order of who lists them */
	size_t count, capacity;
};
void tags_release(struct tags *tags);
#define auto_tags __attribute__((cleanup(tags_release))) struct tags

/* One more, copied.  -E2BIG beyond TAGS_MAX. */
MUST_USE int tags_add(struct tags *tags, const char *name, struct err *err);

/*
 * All tags of the endpoint's repository: pages of a thousand, as far as the Link of each leads.
 * -ENOENT there is no such repository; -E2BIG over one of the limits above; -EPROTO no list, or one
 * that goes on at another host or in a circle; the rest as net/http.h.  OUT is set on success only.
 */
MUST_USE int tags_fetch(struct tags *out, struct endpoint *endpoint, struct err *err);
