/*
 * Who we are at one endpoint: the challenge it gave, the token it took, and one thread at a time
 * that asks for a new one while the others wait for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct auth;
struct endpoint;
struct http_transfer;

/* What goes with a request.  Zeroed: nothing is sent. */
struct grant {
	char *header;	 /* owned secret: "Authorization: Bearer ..", or NULL */
	uint64_t serial; /* 0: none yet */
	bool own;	 /* asked for by this request, not found */
};
void grant_release(struct grant *grant);

/* ENDPOINT is borrowed and owns the auth. */
struct auth *auth_new(struct endpoint *endpoint);
void auth_free(struct auth *auth);

/* What is known now, perhaps nothing; a token about to expire is renewed first. */
MUST_USE int auth_current(struct auth *auth, struct grant *out, struct err *err);

/* Keep the challenge of a 401 answer.  False when it has none that we can answer. */
bool auth_learn(struct auth *auth, const struct http_transfer *answer);
/* A challenge was learned before. */
bool auth_knows(struct auth *auth);

/*
 * GRANT was refused: replace it with a newer one, that of another thread if there is one.  ALONE: a
 * new one that nobody else gets, for registries whose tokens serve once.
 * -EACCES refused, or no credential where one is needed; -EPROTO a bad realm or token; net's codes.
 * All are final: token.c has tried again where that helps.
 */
MUST_USE int auth_renew(struct auth *auth, struct grant *grant, bool alone, struct err *err);

/* Has another request been given GRANT's token as well? */
bool auth_shared(struct auth *auth, const struct grant *grant);

/* For messages: "credential from '~/.docker/config.json'" or "anonymous"; to be freed. */
char *auth_describe(struct auth *auth);
