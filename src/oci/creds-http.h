/*
 * One question to a cloud's service: sent, tried again where that helps, its small answer read.
 * Redirects are not followed.  Nothing that was sent appears in an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CLOUD_ANSWER_MAX_BYTES (256u * 1024)
#define CLOUD_SECRET_MAX_BYTES (32u * 1024) /* of a token, a key, a password that is answered */
#define CLOUD_TIMEOUT_MS 30000u
/* Of a link-local address that nobody may be behind: answers come from the same machine. */
#define METADATA_TIMEOUT_MS 5000u
#define METADATA_TRIES_MAX 2u
#define CLOUD_HEADERS_MAX 10u

struct creds_net;
struct http_tls;
struct http_transfer;
struct json_value;

struct cloud_request {
	const char *method, *url;
	const char *headers[CLOUD_HEADERS_MAX + 1]; /* NULL-terminated */
	const char *body;			    /* or NULL */
	const struct http_tls *tls;		    /* NULL: NET's others */
	bool metadata;	 /* of this machine: never by a proxy, a short wait, few tries */
	bool any_status; /* an answer is one, whatever its status */
	/* What must not be shown, though the answer says it. */
	const char *secrets[4];
};

struct cloud_answer {
	struct http_transfer *transfer; /* owned: for status and headers */
	char *body;			/* owned secret, NUL-terminated */
	size_t size;
};
void cloud_answer_release(struct cloud_answer *answer);

/*
 * Ask WHO (for messages: "AWS STS").  0: the answer has a status of 2xx.  -EACCES for 400, 401 and
 * 403 (the request was understood, and refused), -ENOENT for 404; net's codes.
 */
MUST_USE int cloud_ask(struct cloud_answer *out, const struct creds_net *net,
		       const struct cloud_request *request, const char *who, struct err *err);

/*
 * URL may be asked with secrets: https; or http where that is this machine's business alone
 * (loopback, link-local).  -EINVAL else, naming WHAT the URL is from.
 */
MUST_USE int cloud_check_url(const char *url, const char *what, struct err *err);

/*
 * TEXT as something that may go into a header or a form: visible ASCII, not empty, not too long.
 * -EPROTO else; the text is not shown.
 */
MUST_USE int cloud_check_secret(const char *text, const char *what, const char *who,
				struct err *err);

/* Milliseconds a number of seconds stands for, also when it is written as a string; 0: none. */
uint64_t cloud_seconds_ms(const struct json_value *value);
/* Milliseconds from now to a Unix time in seconds, or to "2026-11-25T16:00:00Z"; 0: none given. */
uint64_t cloud_until_ms(const char *when);

/* A small file with a token (NUL-terminated, white space around it removed), to be wiped. */
MUST_USE int cloud_read_token(char **out, const char *path, const char *what, struct err *err);
