/*
 * Who we are for which host.  Sources in this order: given by the caller (Concourse's
 * username/password);
 * --authfile or $REGISTRY_AUTH_FILE; $DOCKER_CONFIG/config.json or ~/.docker/config.json;
 * ${XDG_RUNTIME_DIR}/containers/auth.json; ${XDG_CONFIG_HOME:-~/.config}/containers/auth.json;
 * ~/.dockercfg.  In a file credHelpers win over credsStore over auths.  containers-auth.json(5);
 * docker login's config.json; docker-credential-helpers' protocol. Files are read once, helpers are
 * asked each time (their secrets expire).  Secrets are wiped when freed and never reach errors or
 * logs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct creds;
struct creds_net;
struct creds_source;

struct credential {
	char *username;	      /* owned or NULL */
	char *password;	      /* owned or NULL */
	char *identity_token; /* owned or NULL: exchanged at the realm (refresh_token grant) */
	char *registry_token; /* owned or NULL: used as Bearer as it is */
	char *source; /* owned: "source.username", "~/.docker/config.json", "docker-credential-x" */
	/* Of a credential that expires (creds-source.h); else NULL and 0. */
	char *host;	   /* owned: the only one it is for */
	uint64_t lives_ms; /* from now; 0: no end is known */
	uint64_t serial;
	bool fresh; /* asked for just now: another would be no better */
};
void credential_release(struct credential *c); /* wipes */

/* One user for every host asked; both must be non-empty, else anonymous. */
struct creds *creds_fixed(const char *username, const char *password, const char *source);
/* The files above; AUTHFILE (may be NULL) first and then it must exist: -ENOENT, -EBADMSG. */
MUST_USE int creds_files(struct creds **out, const char *authfile, struct err *err);
/* Of a source that is asked over the network; takes it over. */
struct creds *creds_of_source(struct creds_source *source);
void creds_free(struct creds *creds);
DEFINE_AUTO(creds)

/*
 * The credential for HOST/NAME ("docker.io" is also found as https://index.docker.io/v1/); all
 * members NULL when there is none.  CREDS may be NULL.  -EACCES when a helper fails, naming it.  A
 * source is asked by NET; without, it has nothing but what it keeps.  HOST NULL: see creds-source.h
 */
MUST_USE int creds_find(struct credential *out, struct creds *creds, const struct creds_net *net,
			const char *host, const char *name, struct err *err);

/* CREDENTIAL was refused: true when asking again may give another. */
bool creds_refused(struct creds *creds, const struct credential *credential);
