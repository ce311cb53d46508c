/* Which certificates are believed: the system's, and those a request brings along. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#define TRUST_FILE_MAX_BYTES (4u << 20)
#define TRUST_MAX_BYTES (16u << 20)

struct http_tls;

struct trust {
	char *bundle;	   /* owned: the system's bundle file, or NULL when there is none */
	bool hashed;	   /* constant: the system's directory can be searched by a name's hash */
	atomic_bool whole; /* the directory did not have what a server needed: use the bundle */
	pthread_mutex_t mutex; /* guards system */
	char *system;	       /* owned: all system certificates as PEM, NULL until needed */
};

void trust_init(struct trust *trust);
void trust_release(struct trust *trust);

/* What to verify with: a directory, else a file, else the blob; both borrowed. */
struct trusted {
	const char *dir, *file;
};

/*
 * The system's directory or bundle when they alone will do, else all PEM text in BLOB.  A server
 * that the directory cannot verify must be tried with the bundle: trust_widen.  -ENOENT and others
 * when a file of TLS cannot be read.
 */
MUST_USE int trust_for(struct trust *trust, const struct http_tls *tls, struct trusted *out,
		       struct str *blob, struct err *err);

/* The directory was not enough: from now on the bundle, which is returned (borrowed), or NULL. */
const char *trust_widen(struct trust *trust);
