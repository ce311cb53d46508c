/*
 * One try.  From the inside out:
 *
 *	send		one HTTP request
 *	send_first	to the endpoint, finding out whether it speaks https or http
 *	walk		that, and the redirects behind it
 *	authorized	that, with the token it turns out to need
 *	request_try	that, or a kept redirect first
 *
 * The Authorization header is sent where scheme, host and port are the endpoint's, nowhere else.
 */
#include "oci/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/log.h"
#include "base/str.h"
#include "base/stream.h"
#include "oci/auth.h"
#include "oci/creds.h"
#include "oci/endpoint.h"
#include "oci/redirect.h"
#include "oci/reply.h"
#include "oci/tries.h"

#define URL_MAX_BYTES 8192
#define PING_TIMEOUT_MS 60000u

void answer_release(struct answer *answer)
{
	http_transfer_free(answer->transfer);
	free(answer->host);
	*answer = (struct answer){ 0 };
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* A query may hold a signature. */
static void log_request(const struct request *request, const struct url *url,
			const struct http_transfer *answer)
{
	size_t shown = strcspn(url->text, "?");
	log_debug("%s %s%s: %d", request->method, esc_n(url->text, shown),
		  url->text[shown] ? "?..." : "", http_status(answer));
}

static void add_range(struct str *out, const struct request *request)
{
	str_addf(out, "Range: bytes=%llu-", (unsigned long long)request->from);
	if (request->to > 0)
		str_addf(out, "%llu", (unsigned long long)(request->to - 1));
}

/* BODY into what is sent; *STREAM, when it is one, is to be freed. */
static int set_body(struct http_request *sent, const struct request_body *body,
		    struct stream **stream, struct err *err)
{
	if (body->bytes || body->size == 0) {
		sent->body = body->bytes;
		sent->body_size = (size_t)body->size;
		return 0;
	}
	int r = body->open(body->arg, stream, err);
	sent->stream = *stream;
	sent->stream_size = body->size;
	return r;
}

/* The lines that describe a body; without a type none is made up for it. */
static size_t add_body_headers(const char **headers, const struct request_body *body,
			       struct str *type, struct str *range)
{
	size_t count = 0;
	str_addf(type, "Content-Type:%s%s", body->type ? " " : "", body->type ? body->type : "");
	headers[count++] = str_text(type);
	if (body->range) {
		str_addf(range, "Content-Range: %s", body->range);
		headers[count++] = str_text(range);
	}
	return count;
}

static int send(struct http_transfer **out, struct endpoint *endpoint,
		const struct request *request, const struct url *url, const char *authorization,
		struct err *err)
{
	bool ours = url_same_origin(url, &endpoint->https) ||
		    url_same_origin(url, &endpoint->plain);
	auto_str accept = STR_MAX(1024), range = STR_MAX(64), type = STR_MAX(512);
	AUTO(stream) stream = NULL;
	const char *headers[8] = { NULL };
	size_t count = 0;
	if (request->accept) {
		str_addf(&accept, "Accept: %s", request->accept);
		headers[count++] = str_text(&accept);
	}
	if (request->from > 0 || request->to > 0) {
		add_range(&range, request);
		headers[count++] = str_text(&range);
	}
	if (request->fresh)
		headers[count++] = "Cache-Control: no-cache";
	if (authorization)
		headers[count++] = authorization;
	if (request->body)
		(void)add_body_headers(headers + count, request->body, &type, &range);
	struct http_tls elsewhere = endpoint->tls_else;
	elsewhere.skip_verify = endpoint->tls.skip_verify; /* no secrets, and digests decide */
	struct http_request sent = {
		.method = request->method,
		.url = url->text,
		.headers = headers,
		.tls = ours ? &endpoint->tls : &elsewhere,
		.fresh_connection = request->fresh || request->new_connection,
		.total_timeout_ms = request->timeout_ms,
		.low_speed_seconds = request->low_speed_seconds,
		.group = endpoint->group,
		.spares = ours ? atomic_exchange(&endpoint->expected, 0) : 0,
	};
	int r = request->body ? set_body(&sent, request->body, &stream, err) : 0;
	if (r == 0)
		r = http_open(out, endpoint->http, &sent, err);
	if (r == 0)
		log_request(request, url, *out);
	return r;
}

static int first_url(struct url *out, const struct url *root, const struct request *request,
		     struct err *err)
{
	if (request->url)
		return url_parse(out, request->url, err);
	const char *path = request->path;
	auto_str text = STR_MAX(URL_MAX_BYTES);
	str_addf(&text, "%s%s", root->text, path);
	return text.failed ? err_set(err, EINVAL, "the URL is too long")
			   : url_parse(out, str_text(&text), err);
}

/* A TLS server that is spoken to in plain text says so in a page, not in a registry's JSON. */
static bool wants_tls(const struct http_transfer *answer)
{
	const char *type = http_header(answer, "Content-Type", 0);
	return http_status(answer) == 400 && !(type && str_starts(type, "application/json"));
}

/*
 * Nothing is known yet: https, and at once http when that is no use.  A TLS server that is spoken
 * to in plain text answers 400 or hangs up; then its certificate was the trouble, and both are
 * said.
 */
static int send_unknown(struct http_transfer **out, struct endpoint *endpoint,
			const struct request *request, const char *authorization, struct err *err)
{
	struct url url = { 0 };
	struct err by_https = { 0 }, by_http = { 0 };
	int r = first_url(&url, &endpoint->https, request, &by_https);
	if (r == 0)
		r = send(out, endpoint, request, &url, authorization, &by_https);
	url_release(&url);
	if (r == 0)
		atomic_store(&endpoint->scheme, ENDPOINT_HTTPS);
	if (r == 0 || (r != -EAGAIN && r != -EPROTO && r != -ETIMEDOUT))
		return r < 0 ? err_set(err, -r, "%s", err_text(&by_https)) : 0;

	AUTO(http_transfer) plain = NULL;
	r = first_url(&url, &endpoint->plain, request, &by_http);
	if (r == 0)
		r = send(&plain, endpoint, request, &url, authorization, &by_http);
	url_release(&url);
	if (r == 0 && wants_tls(plain))
		return err_set(err, -by_https.code, "%s", err_text(&by_https));
	if (r < 0)
		return err_set(err, -r, "%s (and by https: %s)", err_text(&by_http),
			       err_text(&by_https));
	atomic_store(&endpoint->scheme, ENDPOINT_HTTP);
	*out = TAKE(plain);
	return 0;
}

static int send_first(struct http_transfer **out, struct endpoint *endpoint,
		      const struct request *request, const char *authorization, struct err *err)
{
	if (!request->url && atomic_load(&endpoint->scheme) == ENDPOINT_UNKNOWN)
		return send_unknown(out, endpoint, request, authorization, err);
	struct url url = { 0 };
	int r = first_url(&url, endpoint_root(endpoint), request, err);
	if (r == 0 && request->url && !url_same_origin(&url, endpoint_root(endpoint)))
		authorization = NULL;
	if (r == 0)
		r = send(out, endpoint, request, &url, authorization, err);
	url_release(&url);
	return r;
}

static char *host_of(const struct url *url)
{
	struct str text = STR_MAX(URL_MAX_BYTES);
	bool usual = url->port == (url->https ? 443 : 80);
	str_add(&text, url->host);
	if (!usual)
		str_addf(&text, ":%u", url->port);
	return str_take(&text);
}

/* OUT holds the endpoint's answer, a redirect; afterwards what it led to. */
static int follow(struct answer *out, struct endpoint *endpoint, const struct request *request,
		  const char *authorization, struct trail *trail, struct err *err)
{
	while (is_redirect(http_status(out->transfer))) {
		int r = trail_follow(trail, http_header(out->transfer, "Location", 0), err);
		if (r < 0) {
			out->final = true;
			return r;
		}
		http_transfer_free(TAKE(out->transfer));
		const struct url *url = trail_last(trail);
		out->elsewhere = !url_same_origin(url, endpoint_root(endpoint));
		r = send(&out->transfer, endpoint, request, url,
			 out->elsewhere ? NULL : authorization, err);
		if (r < 0)
			return r;
		free(out->host);
		out->host = host_of(url);
	}
	if (out->elsewhere && request->kept) {
		free(*request->kept);
		*request->kept = mem_strdup(trail_last(trail)->text);
	}
	return 0;
}

static int walk(struct answer *out, struct endpoint *endpoint, const struct request *request,
		const char *authorization, struct err *err)
{
	int r = send_first(&out->transfer, endpoint, request, authorization, err);
	if (r < 0)
		return r;
	struct trail trail = { 0 };
	struct url url = { 0 };
	r = first_url(&url, endpoint_root(endpoint), request, err);
	if (r < 0)
		return r;
	out->elsewhere = request->url && !url_same_origin(&url, endpoint_root(endpoint));
	out->host = out->elsewhere ? host_of(&url) : mem_strdup(endpoint->host);
	if (!is_redirect(http_status(out->transfer))) {
		url_release(&url);
	} else {
		trail_begin(&trail, &url);
		r = follow(out, endpoint, request, authorization, &trail, err);
	}
	trail_release(&trail);
	return r;
}

/* The refusal had no challenge: gcr.io and others tell it only at /v2/. */
static bool ask_for_challenge(struct endpoint *endpoint)
{
	const struct request ping = { .method = "GET",
				      .path = "v2/",
				      .timeout_ms = PING_TIMEOUT_MS };
	AUTO(http_transfer) transfer = NULL;
	if (send_first(&transfer, endpoint, &ping, NULL, NULL) < 0)
		return false;
	if (http_status(transfer) == 200)
		atomic_store(&endpoint->is_open, true);
	return http_status(transfer) == 401 && auth_learn(endpoint->auth, transfer);
}

static bool has_credential(struct endpoint *endpoint)
{
	struct credential credential = { 0 };
	if (endpoint_credential(endpoint, &credential, NULL) < 0)
		return true; /* a helper that fails: let it say so */
	bool found = credential.source != NULL;
	credential_release(&credential);
	return found;
}

/*
 * Would a token, or another one, change this answer?  401 always says so.  403 may mean a dead
 * token (some registries), and without one 403 and 404 may only mean that strangers see nothing
 * here.
 */
static bool token_might_help(const struct answer *answer, struct endpoint *endpoint,
			     const struct grant *grant)
{
	int status = http_status(answer->transfer);
	if (answer->elsewhere)
		return false;
	if (status == 401)
		return true;
	if (grant->header)
		return status == 403 && !grant->own;
	return (status == 403 || status == 404) && !atomic_load(&endpoint->is_open) &&
	       has_credential(endpoint);
}

static int refused(struct answer *answer, struct endpoint *endpoint, struct err *err)
{
	struct err why = { 0 };
	int r = reply_error(answer->transfer, answer->host, &why);
	auto_free char *who = auth_describe(endpoint->auth);
	answer->final = true;
	answer->refused = true;
	return err_set(err, -r, "%s (%s)", err_text(&why), who);
}

enum step {
	STEP_DONE,
	STEP_AGAIN,
};

/* OUT's answer was seen with GRANT: is another go worth it?  Renews the grant for it. */
static int judge(struct answer *out, struct endpoint *endpoint, struct grant *grant, unsigned round,
		 struct err *err)
{
	struct auth *auth = endpoint->auth;
	int status = http_status(out->transfer);
	bool again = round < 2 && token_might_help(out, endpoint, grant);
	/* our own new token was refused: once more only if somebody else may have used it up */
	if (again && grant->own)
		again = status == 401 && auth_shared(auth, grant);
	if (again && !auth_learn(auth, out->transfer) && !auth_knows(auth))
		again = ask_for_challenge(endpoint);
	if (!again && !out->elsewhere && (status == 401 || status == 403))
		return refused(out, endpoint, err);
	if (!again)
		return STEP_DONE;
	int r = auth_renew(auth, grant, round > 0, err);
	out->final = r < 0;
	return r < 0 ? r : STEP_AGAIN;
}

static int authorized(struct answer *out, struct endpoint *endpoint, const struct request *request,
		      struct err *err)
{
	__attribute__((cleanup(grant_release))) struct grant grant = { 0 };
	int r = auth_current(endpoint->auth, &grant, err);
	if (r < 0) {
		out->final = true;
		return r;
	}
	for (unsigned round = 0;; round++) {
		r = walk(out, endpoint, request, grant.header, err);
		if (r < 0)
			return r;
		r = judge(out, endpoint, &grant, round, err);
		if (r != STEP_AGAIN)
			return r;
		answer_release(out);
	}
}

/* A signed URL that has expired or was used up (S3, Azure and Google say 400, 401, 403, 404, 410).
 */
static bool signature_died(const struct answer *answer)
{
	int status = http_status(answer->transfer);
	return answer->elsewhere &&
	       (status == 400 || status == 401 || status == 403 || status == 404 || status == 410);
}

static int send_kept(struct answer *out, struct endpoint *endpoint, const struct request *request,
		     struct err *err)
{
	struct url url = { 0 };
	int r = url_parse(&url, *request->kept, err);
	if (r < 0)
		return r;
	r = send(&out->transfer, endpoint, request, &url, NULL, err);
	out->host = host_of(&url);
	out->elsewhere = true;
	url_release(&url);
	return r;
}

static void drop_kept(const struct request *request)
{
	if (request->kept)
		free(TAKE(*request->kept));
}

/* The kept redirect, if it still serves: true when OUT is its answer. */
static bool serve_kept(struct answer *out, struct endpoint *endpoint, const struct request *request)
{
	if (!request->kept || !*request->kept)
		return false;
	int r = send_kept(out, endpoint, request, NULL);
	if (r == 0 && !signature_died(out) && !is_redirect(http_status(out->transfer)))
		return true;
	answer_release(out);
	drop_kept(request);
	return false;
}

int request_try(struct answer *out, struct endpoint *endpoint, const struct request *request,
		struct err *err)
{
	struct answer answer = { 0 };
	if (serve_kept(&answer, endpoint, request)) {
		*out = answer;
		return 0;
	}
	int r = authorized(&answer, endpoint, request, err);
	if (r == 0 && !request->url && signature_died(&answer)) {
		/* a redirect that was dead on arrival: the registry is asked once more */
		answer_release(&answer);
		drop_kept(request);
		r = authorized(&answer, endpoint, request, err);
	}
	if (r < 0 || signature_died(&answer))
		drop_kept(request);
	if (r < 0) {
		*out = (struct answer){ .final = answer.final, .refused = answer.refused };
		answer_release(&answer);
		return r;
	}
	*out = answer;
	return 0;
}

int request_location(char **out, const struct answer *answer, const struct endpoint *endpoint,
		     const struct request *request, struct err *err)
{
	struct url url = { 0 };
	struct trail trail = { 0 };
	int r = first_url(&url, endpoint_root(endpoint), request, err);
	if (r < 0)
		return r;
	trail_begin(&trail, &url);
	r = trail_onward(&trail, http_header(answer->transfer, "Location", 0), err);
	if (r == 0)
		*out = mem_strdup(trail_last(&trail)->text);
	trail_release(&trail);
	return r;
}
