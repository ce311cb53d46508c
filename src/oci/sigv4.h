/*
 * AWS Signature Version 4: a request's headers and body, signed with a key derived from a secret.
 *
 *	string to sign = "AWS4-HMAC-SHA256" \n DATE \n DAY/REGION/SERVICE/aws4_request \n
 *	                 hex(sha256(METHOD \n PATH \n QUERY \n headers \n names \n
 *hex(sha256(body)))) key            = HMAC(HMAC(HMAC(HMAC("AWS4" SECRET, DAY), REGION), SERVICE),
 *"aws4_request")
 *
 * AWS General Reference, "Signing AWS API requests".  No network, no clock.
 */
#pragma once

#include <stddef.h>
#include <time.h>

#include "base/err.h"

#define SIGV4_HEADERS_MAX 8u

struct sigv4_header {
	const char *name; /* lower case */
	const char *value;
};

/* All borrowed. */
struct sigv4_request {
	const char *method;
	const char *host;  /* as the Host header has it, with a port that is not the scheme's */
	const char *path;  /* absolute and already encoded */
	const char *query; /* encoded and in the order of its names, or "" */
	struct sigv4_header headers[SIGV4_HEADERS_MAX]; /* to be signed besides host and x-amz-* */
	size_t header_count;
	const void *body;
	size_t body_size;
	const char *region, *service;
	time_t when;
};

struct sigv4_keys {
	const char *id, *secret, *session_token; /* borrowed; session_token may be NULL */
};

/* Lines to be sent besides those of the request, "Name: value". */
struct sigv4_lines {
	char *authorization, *date; /* owned */
	char *session_token;	    /* owned secret, or NULL */
};
void sigv4_lines_release(struct sigv4_lines *lines);

/* -E2BIG when the request has too many or too long headers. */
MUST_USE int sigv4_sign(struct sigv4_lines *out, const struct sigv4_request *request,
			const struct sigv4_keys *keys, struct err *err);
