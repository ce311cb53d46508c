/*
 * A token from a realm (distribution's "Token Authentication", OAuth2 variant for identity tokens),
 * or the Basic header, for one challenge.  No state; auth.c keeps what comes out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define TOKEN_RESPONSE_MAX_BYTES (1024u * 1024)
#define TOKEN_MAX_BYTES (64u * 1024)
#define TOKEN_LIFE_DEFAULT_S 60u

struct challenge;
struct endpoint;

struct token {
	char *header;	   /* owned secret: "Authorization: Bearer .." or "Basic .." */
	char *source;	   /* owned or NULL: where the credential came from; NULL: anonymous */
	uint64_t lives_ms; /* from when it was asked for; UINT64_MAX: no end is known */
};
void token_release(struct token *token);

/*
 * Answer CHALLENGE, given by the root we speak to ENDPOINT with.  The credential is looked up anew;
 * REFUSED: what was sent before is no good any more, though it has not expired.
 * -EACCES the credential was refused, is missing, or would have to go to a stranger (the text names
 * the realm and the credential's source, never its value); -EPROTO a bad realm, answer or token.
 */
MUST_USE int token_get(struct token *out, struct endpoint *endpoint,
		       const struct challenge *challenge, bool refused, struct err *err);
