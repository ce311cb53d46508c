/*
 * HTTP over one libcurl multi thread; requests are opened and read blocking, from any thread.
 *
 * One call is one HTTP/1.1 request to one URL: no redirects are followed, no credentials are
 * remembered, no cookies, no netrc, no retries (net/retry.h decides, the registry client loops).
 * Only https and http; a URL with userinfo is refused.  "Accept-Encoding: identity" is always sent,
 * a Content-Encoding in an answer makes http_next fail.  Proxies come from the environment as curl
 * reads it (http_proxy, https_proxy, no_proxy, also in capitals except HTTP_PROXY), never for
 * loopback addresses.
 *
 * A body to be sent is memory, or a stream of known size that is read in the thread that called
 * http_open: it may come from another transfer of the same http.
 *
 * Limits: connect 10 s; fewer than 1 KiB/s over 20 s ends a transfer with -ETIMEDOUT; headers of
 * all answers to a request at most 300 KiB and 1000 lines; 16 informational answers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct http;	      /* the thread and its connections; share one per program */
struct http_transfer; /* one request in flight */
struct http_group;    /* net/http-group.h */
struct stream;	      /* base/stream.h */

struct http_options {
	const char *user_agent;	     /* borrowed for the call; NULL: "rootlet/VERSION" */
	unsigned connect_timeout_ms; /* 0: 10 000 */
	unsigned low_speed_seconds;  /* 0: 20; seconds below 1 KiB/s, also before the first byte */
};

/* How a host is trusted.  All strings borrowed until the transfer is freed. */
struct http_tls {
	bool skip_verify;	    /* --tls-verify=false, for the hosts the user named */
	const char *ca_pem;	    /* PEM certificates trusted besides the system's, or NULL */
	const char *ca_file;	    /* one more bundle, or NULL (certs.d/HOST/ca.crt) */
	const char *client_cert;    /* path or NULL */
	const char *client_key;	    /* path or NULL */
	const char *client_pem;	    /* instead of both: certificate (chain) and key as text, */
	const char *client_key_pem; /* or NULL */
};

struct http_request {
	const char *method;	    /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
	const char *url;	    /* http:// or https:// */
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
	const void *body;	    /* for POST and PUT; borrowed until http_open returns */
	size_t body_size;
	struct stream *stream; /* for PUT and PATCH instead: borrowed until http_open returns */
	uint64_t stream_size;  /* exactly so many bytes are taken from it */
	const struct http_tls *tls; /* NULL: system trust */
	bool refuse_private;	    /* connect to no loopback, link-local, private, CGNAT or
				       unspecified address, whatever the name says (the connected
				       address is judged; behind a proxy only a literal can be) */
	bool direct;		    /* by no proxy: an address that means something here only */
	bool fresh_connection;	    /* do not use one that is open: what came on it was bad */
	unsigned total_timeout_ms;  /* 0: none (blobs); small answers have one */
	unsigned low_speed_seconds; /* 0: that of the options; longer for what a server works on */
	unsigned spares; /* when it needs a new connection: so many more are opened meanwhile to
			    the same address, for requests that follow within seconds */
	struct http_group *group; /* borrowed until the transfer is freed; NULL: none */
};

MUST_USE int http_new(struct http **out, const struct http_options *options, struct err *err);
/* All transfers must be freed before. */
void http_free(struct http *http);
DEFINE_AUTO(http)

/*
 * Send a request; returns when the final answer's headers are here.  -EAGAIN no connection, or it
 * broke; -ETIMEDOUT; -EPROTO no HTTP, too many headers, a refused address or a certificate that is
 * not trusted (text says which, and names the host); -EINVAL a URL that is not http(s); -ECANCELED
 * the group was aborted.  Of a stream: its own errors, -EBADMSG when it has another size; a server
 * may answer before it has seen all of it, then the rest is not read.
 */
MUST_USE int http_open(struct http_transfer **out, struct http *http,
		       const struct http_request *request, struct err *err);

int http_status(const struct http_transfer *transfer);
/* Value of the I-th header of that name (any case), or NULL.  Borrowed from the transfer. */
const char *http_header(const struct http_transfer *transfer, const char *name, size_t i);
/* Content-Length, or UINT64_MAX when there is none. */
uint64_t http_content_length(const struct http_transfer *transfer);

/*
 * The next piece of the body; *data borrowed until the next call; *size 0 at its end.  At most 1
 * MiB waits in memory, then the connection is paused.  -EAGAIN the body broke off before its end
 * (RST, FIN before Content-Length, a cut chunk); -ETIMEDOUT it stalled; -EPROTO bad framing or a
 * Content-Encoding; -ECANCELED the group was aborted.
 */
MUST_USE int http_next(struct http_transfer *transfer, const void **data, size_t *size,
		       struct err *err);

/* Also in the middle of a body (the connection is then closed). */
void http_transfer_free(struct http_transfer *transfer);
DEFINE_AUTO(http_transfer)

/* Requests made so far by this http, and bytes of bodies received. */
uint64_t http_requests(const struct http *http);
uint64_t http_bytes(const struct http *http);

/* The library in use and its TLS: "libcurl/7.88.1 OpenSSL/3.0.11". */
struct http_library_text {
	char text[128];
};
struct http_library_text http_library(void);
