/* Reading what a server answered: bodies with a maximum, and errors as a sentence. */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define REPLY_ERROR_MAX_BYTES (64u * 1024)

struct http_transfer;
struct str;

/* The rest of a body, NUL-terminated behind *size, yours to free.  -E2BIG beyond MAX_BYTES. */
MUST_USE int reply_body(char **out, size_t *size, struct http_transfer *transfer, size_t max_bytes,
			struct err *err);

/*
 * Append what an error's body says, each part as ": TEXT", escaped and cut: the first of
 * {"errors":[{"code","message"}]}, {"details"} (Docker Hub's token server), or an object store's
 * <Error><Code>..</Code><Message>..</Message></Error>.  Nothing for anything else.
 */
void reply_reason(struct str *out, const char *body, size_t size);

/*
 * An answer that is no success, as error: -ENOENT for 404, -EACCES for 401 and 403, -EAGAIN for
 * what may pass (408, 425, 429, 5xx), else -EPROTO.  The text is "'HOST' answered STATUS" and what
 * the body says (errors[].code and message of the distribution spec), escaped and cut; for a 429
 * also what it says about the limit.
 */
int reply_error(struct http_transfer *transfer, const char *host, struct err *err);
