/*
 * A source of credentials that expire: a cloud's service that is asked over the network.
 *
 *	creds_source_find -> kept? -> ops->ask: one thread at a time, the others wait for it
 *
 * What was given is kept until shortly before its end, for the one host it was asked for; then, or
 * when it was refused, the source is asked again.  So a mount that lives for days stays signed in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CREDS_LIFE_DEFAULT_MS (60u * 60 * 1000)
#define CREDS_MARGIN_MAX_MS (5u * 60 * 1000) /* renewed that long before the end, or at 3/4 */

struct credential;
struct http;
struct http_group;
struct http_tls;

/* How a source may ask; all borrowed for the call. */
struct creds_net {
	struct http *http;
	struct http_group *group;      /* or NULL */
	const struct http_tls *own;    /* for the registry itself */
	const struct http_tls *others; /* for the cloud's services: no client key */
	unsigned wait_base_ms;	       /* see tries.h */
};

struct creds_source;

struct creds_source_ops {
	/*
	 * Ask anew for a credential for HOST; NULL: for whatever host the source itself knows,
	 * which is then set.  Sets username, password, source, host, lives_ms (0: unknown).
	 * -EACCES refused, or nobody to ask; -EINVAL HOST is none of that cloud's; net's codes.
	 */
	int (*ask)(struct creds_source *source, const struct creds_net *net, const char *host,
		   struct credential *out, struct err *err);
	void (*free)(struct creds_source *source);
};

struct creds_keep;

/* The first member of each implementation. */
struct creds_source {
	const struct creds_source_ops *ops; /* borrowed, static */
	struct creds_keep *keep;	    /* owned; of creds-source.c */
};
void creds_source_init(struct creds_source *source, const struct creds_source_ops *ops);
void creds_source_free(struct creds_source *source); /* accepts NULL */

/*
 * The credential for HOST (NULL as in ask), a copy.  Nothing when what is kept is another host's.
 * NET NULL: only what is kept.
 */
MUST_USE int creds_source_find(struct creds_source *source, const struct creds_net *net,
			       const char *host, struct credential *out, struct err *err);

/* The kept credential with this serial was refused: it is not given again. */
void creds_source_drop(struct creds_source *source, uint64_t serial);
