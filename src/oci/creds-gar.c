/*
 * Google's registries (Artifact Registry, and gcr.io): an access token of Google Cloud is the
 * password.  It comes from a service account's key, from the machine's metadata server, or from a
 * token of another identity provider (workload identity federation, creds-gar-external.c).
 *
 *	$GCE_METADATA_HOST takes the place of metadata.google.internal, as in Google's programs
 */
#include "oci/creds-gar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rs256.h"
#include "base/str.h"
#include "net/http.h"
#include "net/url.h"
#include "oci/base64.h"
#include "oci/creds-cloud.h"
#include "oci/creds-http.h"
#include "oci/creds-source.h"
#include "oci/creds.h"
#include "oci/secret.h"

#define USER "oauth2accesstoken"
#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define METADATA_HOST "metadata.google.internal"
#define METADATA "the Google metadata server"
#define OAUTH "Google"
#define ASSERTION_LIFE_S 3600
#define URL_MAX_BYTES 2048u
#define JWT_MAX_BYTES (16u * 1024)
#define CREDENTIALS_MAX_BYTES (256u * 1024)

struct gar {
	struct creds_source base;
	struct json *credentials; /* owned or NULL: the metadata server is asked */
	char *identity_token;	  /* owned secret or NULL */
	char *service_account;	  /* owned or NULL */
};

static void gar_free(struct creds_source *source)
{
	struct gar *gar = (struct gar *)source;
	json_free(gar->credentials);
	secret_free(gar->identity_token);
	free(gar->service_account);
	free(gar);
}

/* Names of Google's registries, and this machine (for tests). */
static bool is_ours(const char *host)
{
	auto_free char *name = mem_strndup(host, strcspn(host, ":"));
	return str_equal_nocase(name, "gcr.io") || str_ends(name, ".gcr.io") ||
	       str_ends(name, ".pkg.dev") || url_host_is_loopback(name);
}

int gar_check_url(const char *url, const char *what, struct err *err)
{
	struct url parsed = { 0 };
	int r = cloud_check_url(url, what, err);
	if (r < 0 || url_parse(&parsed, url, err) < 0)
		return r < 0 ? r : -EINVAL;
	bool good = str_equal(parsed.host, "googleapis.com") ||
		    str_ends(parsed.host, ".googleapis.com") || url_host_is_loopback(parsed.host);
	if (!good)
		r = err_set(err, EINVAL, "%s is at '%s', which is none of Google's hosts", what,
			    esc(parsed.host));
	url_release(&parsed);
	return r;
}

int gar_read_token(struct gar_token *out, const struct cloud_answer *answer, const char *who,
		   struct err *err)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, answer->body, answer->size, 0, NULL) < 0)
		return err_set(err, EPROTO, "%s answered with no JSON", who);
	const struct json_value *root = json_root(json);
	const char *token = json_string(json_get(root, "access_token"));
	int r = cloud_check_secret(token, "an access token", who, err);
	if (r < 0)
		return r;
	out->token = mem_strdup(token);
	out->lives_ms = cloud_seconds_ms(json_get(root, "expires_in"));
	return 0;
}

/* --- a service account's key: an assertion we sign ourselves (RFC 7523) --- */

static void add_base64url(struct str *out, const void *data, size_t size)
{
	auto_secret *text = base64_encode(data, size);
	for (const char *p = text; *p && *p != '='; p++)
		str_addc(out, *p == '+' ? '-' : *p == '/' ? '_' : *p);
}

static void add_claims(struct str *out, const char *email, const char *audience)
{
	long long now = (long long)time(NULL);
	str_add(out, "{\"iss\":");
	json_add_string(out, email);
	str_add(out, ",\"scope\":\"" GAR_SCOPE "\",\"aud\":");
	json_add_string(out, audience);
	str_addf(out, ",\"iat\":%lld,\"exp\":%lld}", now, now + ASSERTION_LIFE_S);
}

static int make_assertion(char **out, const struct json_value *key, const char *audience,
			  struct err *err)
{
	const char *email = json_string(json_get(key, "client_email"));
	const char *pem = json_string(json_get(key, "private_key"));
	const char *id = json_string(json_get(key, "private_key_id"));
	auto_str header = STR_MAX(1024), claims = STR_MAX(4096);
	str_add(&header, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
	if (id) {
		str_add(&header, ",\"kid\":");
		json_add_string(&header, id);
	}
	str_addc(&header, '}');
	add_claims(&claims, email, audience);
	struct str jwt = STR_MAX(JWT_MAX_BYTES);
	add_base64url(&jwt, str_text(&header), header.length);
	str_addc(&jwt, '.');
	add_base64url(&jwt, str_text(&claims), claims.length);
	auto_free uint8_t *signature = NULL;
	size_t size = 0;
	int r = rs256_sign(&signature, &size, pem, str_text(&jwt), jwt.length, err);
	if (r == 0) {
		str_addc(&jwt, '.');
		add_base64url(&jwt, signature, size);
	}
	auto_secret *text = str_take(&jwt);
	if (r < 0 || header.failed || claims.failed)
		return r < 0 ? err_wrap(err, r, "source.google_credentials: private_key")
			     : err_set(err, EINVAL, "source.google_credentials is too long");
	*out = TAKE(text);
	return 0;
}

static const char *token_url(const struct json_value *key)
{
	const char *url = json_string(json_get(key, "token_uri"));
	return url && *url ? url : TOKEN_URL;
}

static int key_token(struct gar_token *out, const struct json_value *key,
		     const struct creds_net *net, struct err *err)
{
	auto_secret *assertion = NULL;
	int r = make_assertion(&assertion, key, token_url(key), err);
	if (r < 0)
		return r;
	struct str text = STR_MAX(2 * JWT_MAX_BYTES);
	str_add(&text, "grant_type=");
	url_add_encoded(&text, "urn:ietf:params:oauth:grant-type:jwt-bearer");
	str_add(&text, "&assertion=");
	url_add_encoded(&text, assertion);
	auto_secret *form = str_take(&text);
	const struct cloud_request request = {
		.method = "POST",
		.url = token_url(key),
		.headers = { "Content-Type: application/x-www-form-urlencoded" },
		.body = form,
		.secrets = { assertion },
	};
	struct cloud_answer answer = { 0 };
	r = cloud_ask(&answer, net, &request, OAUTH, err);
	if (r == 0)
		r = gar_read_token(out, &answer, OAUTH, err);
	cloud_answer_release(&answer);
	return r;
}

/* --- the metadata server --- */

static int metadata_token(struct gar_token *out, const char *account, const struct creds_net *net,
			  struct err *err)
{
	const char *host = getenv("GCE_METADATA_HOST");
	auto_str url = STR_MAX(URL_MAX_BYTES);
	str_addf(&url, "http://%s/computeMetadata/v1/instance/service-accounts/",
		 host && *host ? host : METADATA_HOST);
	url_add_encoded(&url, account ? account : "default");
	str_add(&url, "/token");
	const struct cloud_request request = {
		.method = "GET",
		.url = str_text(&url),
		.headers = { "Metadata-Flavor: Google" },
		.metadata = true,
	};
	struct cloud_answer answer = { 0 };
	int r = cloud_ask(&answer, net, &request, METADATA, err);
	if (r == 0 && !str_equal(http_header(answer.transfer, "Metadata-Flavor", 0), "Google"))
		r = err_set(err, EPROTO, "%s is none: its answer has no Metadata-Flavor", METADATA);
	if (r == 0)
		r = gar_read_token(out, &answer, METADATA, err);
	cloud_answer_release(&answer);
	return r;
}

/* --- the source --- */

static bool is_external(const struct json_value *root)
{
	return str_equal(json_string(json_get(root, "type")), "external_account");
}

static const char *label_of(const struct gar *gar)
{
	if (!gar->credentials)
		return METADATA;
	return is_external(json_root(gar->credentials))
		       ? "source.google_credentials (workload identity)"
		       : "source.google_credentials (service account)";
}

static int gar_ask(struct creds_source *source, const struct creds_net *net, const char *host,
		   struct credential *out, struct err *err)
{
	const struct gar *gar = (const struct gar *)source;
	if (!host || !is_ours(host))
		return err_set(err, EINVAL,
			       "'%s' is no registry of Google's (*.pkg.dev, gcr.io): the token of "
			       "source.google_* is not sent there",
			       esc(host ? host : ""));
	const struct json_value *root = gar->credentials ? json_root(gar->credentials) : NULL;
	struct gar_token token = { 0 };
	int r;
	if (!root)
		r = metadata_token(&token, gar->service_account, net, err);
	else if (is_external(root))
		r = gar_external_token(&token, root, gar->identity_token, net, err);
	else
		r = key_token(&token, root, net, err);
	if (r < 0)
		return err_wrap(err, r, "a token by %s", label_of(gar));
	*out = (struct credential){
		.username = mem_strdup(USER),
		.password = TAKE(token.token),
		.source = mem_strdup(label_of(gar)),
		.host = mem_strdup(host),
		.lives_ms = token.lives_ms,
	};
	return 0;
}

/* --- making one --- */

static int check_key(const struct json_value *root, struct err *err)
{
	const char *const needed[] = { "client_email", "private_key" };
	for (size_t i = 0; i < N_ELEMENTS(needed); i++) {
		const char *text = json_string(json_get(root, needed[i]));
		if (!text || !*text)
			return err_set(err, EINVAL, "source.google_credentials: %s is missing",
				       needed[i]);
	}
	auto_secret *assertion = NULL;
	int r = gar_check_url(token_url(root), "source.google_credentials: token_uri", err);
	return r < 0 ? r : make_assertion(&assertion, root, token_url(root), err);
}

static int read_credentials(struct json **out, const struct creds_google *google, struct err *err)
{
	AUTO(json) json = NULL;
	size_t size = strlen(google->credentials);
	if (size > CREDENTIALS_MAX_BYTES ||
	    json_parse(&json, google->credentials, size, 0, NULL) < 0)
		return err_set(err, EINVAL, "source.google_credentials is not JSON");
	const struct json_value *root = json_root(json);
	const char *type = json_string(json_get(root, "type"));
	int r;
	if (str_equal(type, "service_account"))
		r = check_key(root, err);
	else if (str_equal(type, "external_account"))
		r = gar_check_external(root, google->identity_token != NULL, err);
	else
		r = err_set(err, EOPNOTSUPP,
			    "source.google_credentials: type '%s' is neither 'service_account' nor "
			    "'external_account'",
			    esc(type ? type : ""));
	if (r == 0)
		*out = TAKE(json);
	return r;
}

int creds_gar_open(struct creds **out, const struct creds_google *google, struct err *err)
{
	static const struct creds_source_ops ops = { gar_ask, gar_free };
	struct json *credentials = NULL;
	if (google->credentials && google->metadata)
		return err_set(err, EINVAL,
			       "source.google_credentials and source.google_metadata exclude each "
			       "other");
	int r = google->credentials ? read_credentials(&credentials, google, err) : 0;
	if (r < 0)
		return r;
	struct gar *gar = mem_make(struct gar, .credentials = credentials,
				   .identity_token = mem_strdup(google->identity_token),
				   .service_account = mem_strdup(google->service_account));
	creds_source_init(&gar->base, &ops);
	*out = creds_of_source(&gar->base);
	return 0;
}
