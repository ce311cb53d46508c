/*
 * One repository on one registry host as it is reached: addresses, trust, and who we are there. The
 * origin and its mirror are two endpoints.  Immutable but for what is found out on the way: scheme,
 * token, where blobs lie, whether ranges work.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/url.h"
#include "oci/certs.h"

struct auth;
struct credential;
struct creds;
struct http_group;
struct places;

enum endpoint_scheme {
	ENDPOINT_UNKNOWN, /* https is tried, then http */
	ENDPOINT_HTTPS,
	ENDPOINT_HTTP,
};

struct endpoint {
	struct http *http;	  /* borrowed */
	struct http_group *group; /* borrowed or NULL: of all requests of the repo */
	struct creds *creds;	  /* borrowed or NULL */
	char *host;		  /* owned: host[:port] of the API, "registry-1.docker.io" */
	char *shown;		  /* owned: as people write it, "docker.io" */
	char *name;		  /* owned: repository, "library/busybox" */
	bool writes;		  /* tokens are asked for with the right to push */
	char *mount_from;	  /* owned or NULL: another repository they may read */
	struct url https, plain;  /* the roots "https://HOST/" and "http://HOST/" */
	atomic_int scheme;	  /* enum endpoint_scheme; changes once, from UNKNOWN */
	struct certs certs;	  /* of certs.d and the caller */
	struct http_tls tls;	  /* for the host itself; strings borrowed from certs */
	struct http_tls tls_else; /* for redirect targets and foreign realms: no client key */
	char *ca_pem;		  /* owned or NULL: the caller's authorities, for tls_else */
	char *client_pem, *client_key_pem; /* owned or NULL; the key a secret */
	unsigned tries_max;    /* of one request; a mirror gets fewer, the origin is there */
	unsigned wait_base_ms; /* for tests; see tries.h */
	struct auth *auth;     /* owned */
	struct places *places; /* owned: where the blobs lie */
	atomic_bool is_open;   /* /v2/ wants no credential; changes once */
	atomic_bool no_ranges; /* ranges are of no use here; changes once */
	atomic_bool hurried;   /* repo_hurry */
	atomic_uint expected;  /* repo_expect: connections to open with the next request's */
};

struct endpoint_options {
	struct http *http;
	struct http_group *group;
	struct creds *creds;
	const char *host, *shown, *name;
	bool writes;
	const char *mount_from;	     /* or NULL */
	enum endpoint_scheme scheme; /* ENDPOINT_HTTP when the user wrote http:// */
	bool insecure;		     /* plain http may be tried */
	bool skip_tls_verify;
	const char *ca_pem;
	const char *client_pem, *client_key_pem; /* or NULL: what we show instead of certs.d's */
	unsigned tries_max;
};

/* -EINVAL when HOST is none; certs_find's codes. */
MUST_USE int endpoint_open(struct endpoint **out, const struct endpoint_options *options,
			   struct err *err);
void endpoint_free(struct endpoint *endpoint);
DEFINE_AUTO(endpoint)

/* Who we are there, perhaps nobody (all NULL); may ask the network.  As creds_find. */
MUST_USE int endpoint_credential(const struct endpoint *endpoint, struct credential *out,
				 struct err *err);

/* The root it is spoken to with, https while nothing is known.  Borrowed. */
const struct url *endpoint_root(const struct endpoint *endpoint);
