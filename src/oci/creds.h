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

#include "base/err.h"
#include "base/mem.h"

struct creds;

struct credential {
	char *username;	      /* owned or NULL */
	char *password;	      /* owned or NULL */
	char *identity_token; /* owned or NULL: exchanged at the realm (refresh_token grant) */
	char *registry_token; /* owned or NULL: used as Bearer as it is */
	char *source; /* owned: "source.username", "~/.docker/config.json", "docker-credential-x" */
};
void credential_release(struct credential *c); /* wipes */

/* One user for every host asked; both must be non-empty, else anonymous. */
struct creds *creds_fixed(const char *username, const char *password, const char *source);
/* The files above; AUTHFILE (may be NULL) first and then it must exist: -ENOENT, -EBADMSG. */
MUST_USE int creds_files(struct creds **out, const char *authfile, struct err *err);
void creds_free(struct creds *creds);
DEFINE_AUTO(creds)

/*
 * The credential for HOST/NAME ("docker.io" is also found as https://index.docker.io/v1/); all
 * members NULL when there is none.  CREDS may be NULL.  -EACCES when a helper fails, naming it.
 */
MUST_USE int creds_find(struct credential *out, struct creds *creds, const char *host,
			const char *name, struct err *err);
