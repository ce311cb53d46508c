/*
 * Which proxy the environment asks for: http_proxy, https_proxy, all_proxy, no_proxy, each also in
 * capitals except HTTP_PROXY, which a CGI's client could set (httpoxy, CVE-2016-5385).  Loopback is
 * never proxied.
 */
#pragma once

#include <stdbool.h>

struct url;

struct proxy {
	char *http;  /* owned or NULL, as are the others */
	char *https; /* owned or NULL */
	char *none;  /* owned or NULL: no_proxy */
};

/* Read the environment once. */
void proxy_init(struct proxy *proxy);
void proxy_release(struct proxy *proxy);

/* The proxy for a request to URL, as CURLOPT_PROXY takes it; NULL: connect directly.  Borrowed. */
const char *proxy_for(const struct proxy *proxy, const struct url *url);
