/*
 * URLs that decisions are made on: whom to send credentials, whether plain http is fine.  libcurl's
 * URL API does the splitting, so that what is judged here is what will be connected to; what curl
 * tolerates but browsers and servers read differently (back slashes, missing slashes, white space,
 * names outside ASCII) is refused first.
 */
#include "net/url.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/esc.h"
#include "base/mem.h"
#include "net/addr.h"

#define URL_MAX_BYTES 8192

static void free_handle(CURLU **handle)
{
	curl_url_cleanup(*handle);
}

static void free_part(char **part)
{
	curl_free(*part);
}

#define AUTO_HANDLE __attribute__((cleanup(free_handle))) CURLU *
#define AUTO_PART __attribute__((cleanup(free_part))) char *

/* What follows "http:" in TEXT when that is its scheme (any case), or NULL. */
static const char *after_scheme(const char *text)
{
	if (strncasecmp(text, "https:", 6) == 0)
		return text + 6;
	return strncasecmp(text, "http:", 5) == 0 ? text + 5 : NULL;
}

static bool is_clean(const char *text)
{
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '\\')
			return false;
	}
	return true;
}

static const char *check_text(const char *text)
{
	if (strlen(text) > URL_MAX_BYTES)
		return "it is too long";
	if (!is_clean(text))
		return "it has a character that no URL has";
	const char *rest = after_scheme(text);
	if (!rest || !str_starts(rest, "//") || rest[2] == '/' || rest[2] == '\0')
		return "it is not an absolute http or https URL";
	/* libcurl decodes "0x%66" after it looked for addresses: read again, it is one */
	size_t end = 2 + strcspn(rest + 2, "/?#");
	const char *at = memrchr(rest, '@', end);
	size_t host = at ? (size_t)(at - rest) : 2;
	if (memchr(rest + host, '%', end - host))
		return "its host is not a plain name or address";
	return NULL;
}

/* The host, lower case and without brackets; NULL when it is nothing we connect to. */
static char *take_host(CURLU *handle)
{
	AUTO_PART host = NULL;
	if (curl_url_get(handle, CURLUPART_HOST, &host, 0) != CURLUE_OK || !host[0])
		return NULL;
	for (char *p = host; *p; p++) {
		/* a zone belongs to one machine; a name outside ASCII could become any other by IDN
		 * mapping */
		unsigned char c = (unsigned char)*p;
		if (c <= ' ' || c >= 0x7f || c == '%')
			return NULL;
		*p = (char)tolower(c);
	}
	AUTO_PART zone = NULL;
	if (curl_url_get(handle, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK)
		return NULL;
	if (curl_url_set(handle, CURLUPART_HOST, host, 0) != CURLUE_OK)
		return NULL;
	size_t length = strlen(host);
	if (host[0] == '[')
		return mem_strndup(host + 1, length - 2);
	return mem_strdup(host);
}

static bool has_part(CURLU *handle, CURLUPart which)
{
	AUTO_PART part = NULL;
	return curl_url_get(handle, which, &part, 0) == CURLUE_OK;
}

static bool take_port(CURLU *handle, uint16_t *out)
{
	AUTO_PART port = NULL;
	unsigned long long number = 0;
	if (curl_url_get(handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
	    !str_parse_u64(port, &number) || number == 0 || number > UINT16_MAX)
		return false;
	*out = (uint16_t)number;
	return true;
}

static const char *take_parts(struct url *url, CURLU *handle)
{
	AUTO_PART scheme = NULL;
	AUTO_PART text = NULL;
	if (curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return "it has no scheme";
	url->https = strcmp(scheme, "https") == 0;
	url->userinfo = has_part(handle, CURLUPART_USER) || has_part(handle, CURLUPART_PASSWORD);
	url->fragment = has_part(handle, CURLUPART_FRAGMENT);
	url->host = take_host(handle);
	if (!url->host)
		return "its host is not a plain name or address";
	if (!take_port(handle, &url->port))
		return "its port is not one";
	(void)curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(handle, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return "it cannot be written down";
	url->text = mem_strdup(text);
	return NULL;
}

/* The part of a URL that may be shown: a password or a signature may not. */
static struct esc_text show(const char *text)
{
	if (strchr(text, '@'))
		return esc_make("(not shown)");
	const char *rest = after_scheme(text);
	size_t shown = rest ? (size_t)(rest - text) : 0;
	shown += strspn(text + shown, "/");
	return esc_make_n(text, shown + strcspn(text + shown, "/?#"));
}

int url_parse(struct url *out, const char *text, struct err *err)
{
	struct url url = { 0 };
	AUTO_HANDLE handle = curl_url();
	const char *why = handle ? check_text(text) : "out of memory";
	CURLUcode code = why ? CURLUE_OK
			     : curl_url_set(handle, CURLUPART_URL, text, CURLU_URLENCODE);
	if (code != CURLUE_OK)
		why = curl_url_strerror(code);
	if (!why)
		why = take_parts(&url, handle);
	if (why) {
		url_release(&url);
		return err_set(err, EPROTO, "url '%s': %s", show(text).text, why);
	}
	*out = url;
	return 0;
}

/* RFC 3986 section 3.1: does TEXT begin with a scheme? */
static bool has_scheme(const char *text)
{
	size_t n = strspn(text,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	return n > 0 && isalpha((unsigned char)text[0]) && text[n] == ':';
}

int url_resolve(struct url *out, const struct url *base, const char *location, struct err *err)
{
	if (has_scheme(location))
		return url_parse(out, location, err);
	size_t length = strlen(location);
	/* a fragment alone leads nowhere; "/\host" and "///host" are read in two ways */
	if (length == 0 || length > URL_MAX_BYTES || location[0] == '#' || !is_clean(location) ||
	    str_starts(location, "///"))
		return err_set(err, EPROTO, "location of %zu bytes is no URL", length);
	AUTO_HANDLE handle = curl_url();
	AUTO_PART text = NULL;
	if (!handle || curl_url_set(handle, CURLUPART_URL, base->text, 0) != CURLUE_OK ||
	    curl_url_set(handle, CURLUPART_URL, location, CURLU_URLENCODE) != CURLUE_OK ||
	    curl_url_get(handle, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return err_set(err, EPROTO, "location '%s' is no URL", show(location).text);
	return url_parse(out, text, err);
}

void url_release(struct url *url)
{
	free(url->host);
	free(url->text);
	*url = (struct url){ 0 };
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->https == b->https && a->port == b->port && strcmp(a->host, b->host) == 0;
}

void url_add_encoded(struct str *out, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c)) {
			str_addc(out, (char)c);
			continue;
		}
		const char encoded[] = { '%', hex[c >> 4], hex[c & 15] };
		str_addn(out, encoded, sizeof(encoded));
	}
}

static bool parse_literal(struct sockaddr_storage *out, const char *host)
{
	size_t length = strlen(host);
	if (length < 2 || host[0] != '[' || host[length - 1] != ']')
		return addr_parse(out, host);
	auto_free char *inner = mem_strndup(host + 1, length - 2);
	return addr_parse(out, inner);
}

bool url_host_is_private(const char *host)
{
	struct sockaddr_storage addr;
	return parse_literal(&addr, host) &&
	       addr_is_private((const struct sockaddr *)&addr, sizeof(addr));
}

bool url_host_is_ip(const char *host)
{
	struct sockaddr_storage addr;
	return parse_literal(&addr, host);
}

static bool is_local_name(const char *host)
{
	size_t length = strlen(host), suffix = strlen(".localhost");
	return strcasecmp(host, "localhost") == 0 ||
	       (length > suffix && strcasecmp(host + length - suffix, ".localhost") == 0);
}

bool url_host_is_loopback(const char *host)
{
	struct sockaddr_storage addr;
	if (!parse_literal(&addr, host))
		return is_local_name(host);
	if (addr.ss_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, &addr, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
	}
	struct sockaddr_in in;
	memcpy(&in, &addr, sizeof(in));
	return ntohl(in.sin_addr.s_addr) >> 24 == 127;
}

bool url_host_allows_http(const char *host)
{
	if (url_host_is_loopback(host))
		return true;
	struct sockaddr_storage addr;
	if (!parse_literal(&addr, host) || addr.ss_family != AF_INET)
		return false;
	struct sockaddr_in in;
	memcpy(&in, &addr, sizeof(in));
	uint32_t a = ntohl(in.sin_addr.s_addr);
	return a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8;
}
