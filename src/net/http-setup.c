/*
 * A request becomes libcurl options.  Everything that libcurl would do by itself and we did not ask
 * for is turned off here: redirects, credentials from anywhere, cookies, other protocols, decoding.
 * Called by http_open before the thread sees the transfer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "net/http-internal.h"
#include "net/url.h"

#define RECEIVE_BYTES (256L * 1024)

#define SET(easy, option, value) (curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

/*
 * No HTTP/2: libcurl 7.88 goes on reading for a stream that is paused while others use its
 * connection, up to the window of 32 MiB each, and leaks what it read when the stream is dropped
 * (four paused layers: 115 MiB; over HTTP/1.1, where TCP holds the server back: 22 MiB).  Large
 * bodies gain nothing from sharing one connection.
 */
static bool set_fixed(CURL *easy)
{
	return SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       SET(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") &&
	       SET(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
	       SET(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) &&
	       SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
	       SET(easy, CURLOPT_HTTP09_ALLOWED, 0L) && SET(easy, CURLOPT_NOSIGNAL, 1L) &&
	       /* a name that is not resolved in time must not hold up the thread */
	       SET(easy, CURLOPT_QUICK_EXIT, 1L) && SET(easy, CURLOPT_TCP_KEEPALIVE, 1L) &&
	       SET(easy, CURLOPT_TCP_NODELAY, 1L) && SET(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES) &&
	       SET(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE) &&
	       SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
	       SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static bool set_body(struct http_transfer *t, const struct http_request *request)
{
	if (request->stream)
		return upload_setup(t, request);
	/* copied: a server may answer before it has read everything */
	return SET(t->easy, CURLOPT_POST, 1L) &&
	       SET(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size) &&
	       SET(t->easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "") &&
	       SET(t->easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static int set_method(struct http_transfer *t, const struct http_request *request, struct err *err)
{
	bool good = false;
	if (str_equal(request->method, "GET"))
		good = SET(t->easy, CURLOPT_HTTPGET, 1L);
	else if (str_equal(request->method, "HEAD"))
		good = t->is_head = SET(t->easy, CURLOPT_NOBODY, 1L);
	else if (str_equal(request->method, "POST") || str_equal(request->method, "PUT") ||
		 str_equal(request->method, "PATCH"))
		good = set_body(t, request);
	else if (str_equal(request->method, "DELETE"))
		good = SET(t->easy, CURLOPT_CUSTOMREQUEST, "DELETE");
	return good ? 0 : err_set(err, EINVAL, "method '%s'", esc(request->method));
}

static int add_line(struct http_transfer *t, const char *line, struct err *err)
{
	size_t name = strcspn(line, ":");
	for (const char *p = line; *p; p++) {
		/* the value may be a secret: only the name is shown */
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return err_set(err, EINVAL, "header '%s' has a control character",
				       esc_n(line, name));
	}
	struct curl_slist *lines = curl_slist_append(t->lines, line);
	if (!lines)
		return err_set(err, ENOMEM, "out of memory for headers");
	t->lines = lines;
	return 0;
}

static int set_headers(struct http_transfer *t, const struct http_request *request, struct err *err)
{
	/* "Expect:" takes out the pause before a large POST */
	int r = add_line(t, "Accept-Encoding: identity", err);
	if (r == 0)
		r = add_line(t, "Expect:", err);
	for (const char *const *line = request->headers; r == 0 && line && *line; line++)
		r = add_line(t, *line, err);
	if (r == 0 && !(SET(t->easy, CURLOPT_HTTPHEADER, t->lines) &&
			SET(t->easy, CURLOPT_USERAGENT, t->http->user_agent)))
		return err_set(err, ENOMEM, "out of memory for headers");
	return r;
}

/* A file of certificates is parsed once for many connections if nothing else is looked at. */
static bool set_trusted(struct http_transfer *t, const struct trusted *trusted)
{
	struct curl_blob blob = { t->blob.data, t->blob.length, CURL_BLOB_NOCOPY };
	t->by_directory = trusted->dir;
	if (!SET(t->easy, CURLOPT_CAPATH, trusted->dir))
		return false;
	if (trusted->dir || trusted->file || blob.len == 0)
		return SET(t->easy, CURLOPT_CAINFO, trusted->file);
	return SET(t->easy, CURLOPT_CAINFO_BLOB, &blob);
}

static bool set_blob(CURL *easy, CURLoption option, const char *text)
{
	char *data = mem_strdup(text); /* a blob's data is no const; libcurl copies it */
	struct curl_blob blob = { data, strlen(data), CURL_BLOB_COPY };
	bool good = SET(easy, option, &blob);
	explicit_bzero(data, blob.len);
	free(data);
	return good;
}

/* The empty passphrase keeps OpenSSL from asking for one on the terminal. */
static bool set_client(struct http_transfer *t, const struct http_tls *tls)
{
	if (tls->client_pem && tls->client_key_pem)
		return SET(t->easy, CURLOPT_KEYPASSWD, "") &&
		       set_blob(t->easy, CURLOPT_SSLCERT_BLOB, tls->client_pem) &&
		       set_blob(t->easy, CURLOPT_SSLKEY_BLOB, tls->client_key_pem);
	return SET(t->easy, CURLOPT_KEYPASSWD, tls->client_key ? "" : NULL) &&
	       (!tls->client_cert || SET(t->easy, CURLOPT_SSLCERT, tls->client_cert)) &&
	       (!tls->client_key || SET(t->easy, CURLOPT_SSLKEY, tls->client_key));
}

static int set_tls(struct http_transfer *t, const struct http_tls *tls, struct err *err)
{
	static const struct http_tls plain = { 0 };
	tls = tls ? tls : &plain;
	struct trusted trusted = { 0 };
	/* whoever is not verified needs no certificates: parsing them takes most of a short run */
	int r = tls->skip_verify ? 0 : trust_for(&t->http->trust, tls, &trusted, &t->blob, err);
	if (r < 0)
		return r;
	long verify = tls->skip_verify ? 0 : 1;
	bool good = SET(t->easy, CURLOPT_SSL_VERIFYPEER, verify) &&
		    SET(t->easy, CURLOPT_SSL_VERIFYHOST, 2 * verify) && set_trusted(t, &trusted) &&
		    set_client(t, tls);
	return good ? 0 : err_set(err, EINVAL, "this libcurl cannot be told whom to trust");
}

static int set_times(struct http_transfer *t, const struct http_request *request, struct err *err)
{
	t->spares = request->spares;
	t->total_timeout_ms = request->total_timeout_ms;
	t->low_speed_ms = request->low_speed_seconds ? request->low_speed_seconds * 1000
						     : t->http->low_speed_ms;
	bool good = SET(t->easy, CURLOPT_FRESH_CONNECT, request->fresh_connection ? 1L : 0L) &&
		    SET(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)t->http->connect_timeout_ms) &&
		    SET(t->easy, CURLOPT_TIMEOUT_MS, (long)request->total_timeout_ms);
	return good ? 0 : err_set(err, EINVAL, "timeout of %u ms", request->total_timeout_ms);
}

/* "" keeps libcurl from reading the environment by itself; see proxy.c. */
static bool set_proxy(struct http_transfer *t, const char *proxy)
{
	return SET(t->easy, CURLOPT_PROXY, proxy ? proxy : "") && SET(t->easy, CURLOPT_NOPROXY, "");
}

static int set_target(struct http_transfer *t, const struct url *url,
		      const struct http_request *request, struct err *err)
{
	if (url->userinfo)
		return err_set(err, EINVAL, "url of '%s' has a user name or password",
			       esc(url->host));
	auto_str host = STR_MAX(4096);
	bool bracket = strchr(url->host, ':');
	str_addf(&host, bracket ? "[%s]:%u" : "%s:%u", esc(url->host), (unsigned)url->port);
	t->host = str_take(&host);
	if (request->refuse_private && url_host_is_private(url->host))
		return err_set(err, EPROTO, "'%s' is a private address, refused", t->host);
	const char *proxy = request->direct ? NULL : proxy_for(&t->http->proxy, url);
	t->direct_public = request->refuse_private && !proxy;
	return SET(t->easy, CURLOPT_URL, url->text) && set_proxy(t, proxy)
		       ? 0
		       : err_set(err, ENOMEM, "out of memory for the url of '%s'", t->host);
}

static int set_url(struct http_transfer *t, const struct http_request *request, struct err *err)
{
	struct url url = { 0 };
	struct err why = { 0 };
	if (url_parse(&url, request->url, &why) < 0)
		return err_set(err, EINVAL, "%s", err_text(&why));
	int r = set_target(t, &url, request, err);
	if (r == 0 && url.https)
		r = set_tls(t, request->tls, err);
	url_release(&url);
	return r;
}

int http_setup(struct http_transfer *t, const struct http_request *request, struct err *err)
{
	int r = set_url(t, request, err);
	if (r == 0)
		r = set_method(t, request, err);
	if (r == 0)
		r = set_headers(t, request, err);
	if (r == 0)
		r = set_times(t, request, err);
	if (r == 0 && !(set_fixed(t->easy) && http_callbacks(t)))
		r = err_set(err, EIO, "this libcurl lacks an option");
	return r;
}
