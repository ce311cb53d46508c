/* One credentials file, read and understood: config.json, auth.json, .dockercfg.  For creds.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define CREDS_FILE_MAX_BYTES (4u * 1024 * 1024)
#define CREDS_ENTRIES_MAX 4096

struct creds_auth {
	char *key;	/* owned: "ghcr.io", "quay.io/team": no scheme, no /v1/ behind */
	char *username; /* owned or NULL, as all that follow; secrets */
	char *password;
	char *identity_token;
	char *registry_token;
	bool bad; /* "auth" could not be read: an error only for who asks for this host */
};

struct creds_helper {
	char *key;    /* owned */
	char *suffix; /* owned: docker-credential-SUFFIX */
};

struct creds_file {
	char *label;		  /* owned: how the file is called in messages */
	struct creds_auth *auths; /* owned */
	size_t auth_count, auth_capacity;
	struct creds_helper *helpers; /* owned */
	size_t helper_count, helper_capacity;
	char *store; /* owned or NULL: credsStore's suffix */
};

/* LEGACY: .dockercfg, where the hosts stand at the top.  -EBADMSG names the label. */
MUST_USE int creds_file_parse(struct creds_file **out, const char *label, const char *bytes,
			      size_t size, bool legacy, struct err *err);
void creds_file_free(struct creds_file *file);
DEFINE_AUTO(creds_file)

/* The key a host is known by: without scheme, /v1/ and /v2/; Docker Hub's names are "docker.io". */
char *creds_key(const char *text);
