/*
 * WWW-Authenticate: what a registry wants to see before it answers (RFC 9110 section 11.6.1;
 * distribution's token specification).  Pure: text in, challenges out.
 *
 *	Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull"
 *	Basic realm="x", Negotiate abc==, Digest qop="auth, auth-int"
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define CHALLENGES_MAX 8
#define CHALLENGE_VALUE_MAX_BYTES (16u * 1024) /* one header line */

enum challenge_scheme {
	CHALLENGE_OTHER,
	CHALLENGE_BASIC,
	CHALLENGE_BEARER,
};

struct challenge {
	enum challenge_scheme scheme;
	char *realm; /* owned or NULL, as all */
	char *service;
	char *scope;
	char *error; /* "invalid_token", "insufficient_scope" (RFC 6750 section 3.1) */
};

struct challenges {
	struct challenge items[CHALLENGES_MAX];
	size_t count;
};

/*
 * Add the challenges of one header line to LIST (zeroed before the first).  Those beyond
 * CHALLENGES_MAX are dropped.  -EPROTO when the line is too long or breaks the grammar, or a realm
 * is given twice; LIST is then as before.
 */
MUST_USE int challenges_add(struct challenges *list, const char *value, struct err *err);

/* The one to answer: the first Bearer with a realm, else the first Basic, else NULL.  Borrowed. */
const struct challenge *challenges_choose(const struct challenges *list);

void challenges_release(struct challenges *list);
void challenge_copy(struct challenge *out, const struct challenge *from);
void challenge_release(struct challenge *challenge);
