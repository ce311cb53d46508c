/*
 * Endpoints: everything about a host that does not change from request to request is worked out
 * here once, so that request.c can be about requests.
 */
#include "oci/endpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/str.h"
#include "oci/auth.h"
#include "oci/creds-source.h"
#include "oci/creds.h"
#include "oci/places.h"
#include "oci/secret.h"
#include "oci/tries.h"

#define URL_MAX_BYTES 8192

static int root_of(struct url *out, const char *scheme, const char *host, struct err *err)
{
	auto_str text = STR_MAX(URL_MAX_BYTES);
	str_addf(&text, "%s://%s/", scheme, host);
	struct err why = { 0 };
	int r = text.failed ? -E2BIG : url_parse(out, str_text(&text), &why);
	if (r < 0 || out->userinfo || out->fragment)
		return err_set(err, EINVAL, "'%s' is not the name of a registry", esc(host));
	return 0;
}

static int find_certs(struct endpoint *endpoint, struct err *err)
{
	int r = certs_find(&endpoint->certs, endpoint->shown, err);
	if (r == 0 && !str_equal(endpoint->shown, endpoint->host))
		r = certs_find(&endpoint->certs, endpoint->host, err);
	return r;
}

/* The caller's authorities count for every host, those of certs.d for this one. */
static void set_trust(struct endpoint *endpoint, const struct endpoint_options *options)
{
	endpoint->ca_pem = mem_strdup(options->ca_pem);
	endpoint->client_pem = mem_strdup(options->client_pem);
	endpoint->client_key_pem = mem_strdup(options->client_key_pem);
	if (options->ca_pem) {
		struct str all = STR_MAX(16u * 1024 * 1024);
		str_addf(&all, "%s\n%s", options->ca_pem,
			 endpoint->certs.ca_pem ? endpoint->certs.ca_pem : "");
		free(endpoint->certs.ca_pem);
		endpoint->certs.ca_pem = str_take(&all);
	}
	endpoint->tls = (struct http_tls){
		.skip_verify = options->skip_tls_verify,
		.ca_pem = endpoint->certs.ca_pem,
		.client_cert = endpoint->certs.client_cert,
		.client_key = endpoint->certs.client_key,
		.client_pem = endpoint->client_pem,
		.client_key_pem = endpoint->client_key_pem,
	};
	endpoint->tls_else = (struct http_tls){ .ca_pem = endpoint->ca_pem };
}

static enum endpoint_scheme first_scheme(const struct endpoint *endpoint,
					 const struct endpoint_options *options)
{
	if (options->scheme != ENDPOINT_UNKNOWN)
		return options->scheme;
	bool may_http = options->insecure || options->skip_tls_verify ||
			url_host_allows_http(endpoint->https.host);
	return may_http ? ENDPOINT_UNKNOWN : ENDPOINT_HTTPS;
}

int endpoint_open(struct endpoint **out, const struct endpoint_options *options, struct err *err)
{
	AUTO(endpoint)
	endpoint = mem_make(struct endpoint, .http = options->http, .group = options->group,
			    .creds = options->creds, .host = mem_strdup(options->host),
			    .shown = mem_strdup(options->shown), .name = mem_strdup(options->name),
			    .tries_max = options->tries_max, .wait_base_ms = tries_wait_base_ms());
	int r = root_of(&endpoint->https, "https", options->host, err);
	if (r == 0)
		r = root_of(&endpoint->plain, "http", options->host, err);
	if (r == 0)
		r = find_certs(endpoint, err);
	if (r < 0)
		return r;
	set_trust(endpoint, options);
	endpoint->writes = options->writes;
	endpoint->mount_from = mem_strdup(options->mount_from);
	atomic_init(&endpoint->scheme, (int)first_scheme(endpoint, options));
	endpoint->auth = auth_new(endpoint);
	endpoint->places = places_new();
	*out = TAKE(endpoint);
	return 0;
}

void endpoint_free(struct endpoint *endpoint)
{
	if (!endpoint)
		return;
	auth_free(endpoint->auth);
	places_free(endpoint->places);
	url_release(&endpoint->https);
	url_release(&endpoint->plain);
	certs_release(&endpoint->certs);
	free(endpoint->ca_pem);
	free(endpoint->client_pem);
	secret_free(endpoint->client_key_pem);
	free(endpoint->host);
	free(endpoint->shown);
	free(endpoint->name);
	free(endpoint->mount_from);
	free(endpoint);
}

const struct url *endpoint_root(const struct endpoint *endpoint)
{
	return atomic_load(&endpoint->scheme) == ENDPOINT_HTTP ? &endpoint->plain
							       : &endpoint->https;
}

int endpoint_credential(const struct endpoint *endpoint, struct credential *out, struct err *err)
{
	const struct creds_net net = {
		.http = endpoint->http,
		.group = endpoint->group,
		.own = &endpoint->tls,
		.others = &endpoint->tls_else,
		.wait_base_ms = endpoint->wait_base_ms,
	};
	return creds_find(out, endpoint->creds, &net, endpoint->shown, endpoint->name, err);
}
