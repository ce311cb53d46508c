/* The parts of an http(s) URL that decisions are made on (RFC 3986; by libcurl's URL API). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct url {
	bool https;
	char *host;    /* owned; lower case; IPv6 without brackets */
	uint16_t port; /* the scheme's when not written */
	bool userinfo; /* a user or password was written */
	bool fragment;
	char *text; /* owned; the whole URL as it should be sent, normalised */
};

/* -EPROTO when TEXT is not an absolute http or https URL of at most 8 KiB. */
MUST_USE int url_parse(struct url *out, const char *text, struct err *err);
/* The URL that a Location header names, seen from BASE. */
MUST_USE int url_resolve(struct url *out, const struct url *base, const char *location,
			 struct err *err);
void url_release(struct url *url);

/* Scheme, host and port are equal. */
bool url_same_origin(const struct url *a, const struct url *b);

/* Append TEXT percent-encoded for a query value (RFC 3986 unreserved stay). */
void url_add_encoded(struct str *out, const char *text);

/*
 * An address nobody outside means: loopback, link-local, private, CGNAT, unspecified, multicast,
 * and the same in v4-mapped, 6to4 and NAT64 forms.  HOST is a literal; a name is not private here.
 */
bool url_host_is_private(const char *host);
bool url_host_is_ip(const char *host);
/* 127/8, ::1, localhost and *.localhost (RFC 6761). */
bool url_host_is_loopback(const char *host);

/* Loopback or RFC 1918 or *.localhost: where registry-image allows plain http unasked. */
bool url_host_allows_http(const char *host);
