/* Which certificates are believed: the system's, and those a request brings along. */
#pragma once

#include <pthread.h>

#include "base/err.h"
#include "base/str.h"

#define TRUST_FILE_MAX_BYTES (4u << 20)
#define TRUST_MAX_BYTES (16u << 20)

struct http_tls;

struct trust {
	char *bundle;	       /* owned: the system's bundle file, or NULL when there is none */
	pthread_mutex_t mutex; /* guards system */
	char *system;	       /* owned: all system certificates as PEM, NULL until needed */
};

void trust_init(struct trust *trust);
void trust_release(struct trust *trust);

/*
 * What to verify with: *file set (borrowed) when the system's bundle alone will do, else all PEM
 * text in BLOB.  -ENOENT and others when a file of TLS cannot be read.
 */
MUST_USE int trust_for(struct trust *trust, const struct http_tls *tls, const char **file,
		       struct str *blob, struct err *err);
