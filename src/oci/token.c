/*
 * Getting a token.  What is sent where:
 *
 *	Basic challenge			user:password to the registry itself
 *	Bearer, credential, realm ours	GET with Basic, or POST with the identity token
 *	Bearer, credential, stranger	nothing: an error that names the realm
 *	Bearer, no credential		an anonymous GET
 *
 * Redirects of a realm are not followed.  The scope is made from our own repository name; what the
 * challenge says about it is ignored, so that a registry cannot widen a token it will see.
 */
#include "oci/token.h"

#include <errno.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "net/http.h"
#include "oci/base64.h"
#include "oci/challenge.h"
#include "oci/creds.h"
#include "oci/endpoint.h"
#include "oci/realm.h"
#include "oci/reply.h"
#include "oci/secret.h"
#include "oci/tries.h"

#define TOKEN_TIMEOUT_MS 60000u
#define HEADER_MAX_BYTES (TOKEN_MAX_BYTES + 128)
#define CLIENT_ID "rootlet"

/* One request for a token; everything it may not send is absent. */
struct asking {
	struct endpoint *endpoint;
	struct url url; /* the realm with its query */
	enum realm_trust trust;
	const char *realm;	   /* as written, for messages */
	const char *authorization; /* borrowed or NULL */
	const char *form;	   /* borrowed or NULL: POST */
};

void token_release(struct token *token)
{
	secret_free(token->header);
	free(token->source);
	*token = (struct token){ 0 };
}

static bool has_secret(const struct credential *credential)
{
	return credential->password || credential->identity_token;
}

static char *basic_header(const char *username, const char *password)
{
	size_t size = strlen(username) + strlen(password) + 1;
	auto_secret *pair = mem_new(size + 1);
	memcpy(pair, username, strlen(username));
	pair[strlen(username)] = ':';
	memcpy(pair + strlen(username) + 1, password, strlen(password));
	auto_secret *text = base64_encode(pair, size);
	struct str header = STR_MAX(HEADER_MAX_BYTES);
	str_addf(&header, "Authorization: Basic %s", text);
	return str_take(&header);
}

/* A header is a line: only visible ASCII may go in (RFC 6750's b64token is less). */
static int bearer_header(char **out, const char *token, struct err *err)
{
	size_t length = strlen(token);
	if (length == 0 || length > TOKEN_MAX_BYTES)
		return err_set(err, EPROTO, "the token has %zu bytes (at most %u)", length,
			       TOKEN_MAX_BYTES);
	for (const char *p = token; *p; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(err, EPROTO,
				       "the token has characters that no header may have");
	struct str header = STR_MAX(HEADER_MAX_BYTES);
	str_addf(&header, "Authorization: Bearer %s", token);
	*out = str_take(&header);
	return 0;
}

static int answer_basic(struct token *out, const struct endpoint *endpoint,
			const struct credential *credential, struct err *err)
{
	if (!credential->username || !credential->password)
		return err_set(err, EACCES,
			       "'%s' wants a user name and password, and there are none for it",
			       esc(endpoint->host));
	out->header = basic_header(credential->username, credential->password);
	out->lives_ms = credential->lives_ms ? credential->lives_ms : UINT64_MAX;
	return 0;
}

/* What we ask for; SEPARATOR comes before each scope but the first. */
static void add_scopes(struct str *out, const struct endpoint *endpoint, const char *separator)
{
	auto_str scope = STR_MAX(1024);
	str_addf(&scope, "repository:%s:%s", endpoint->name,
		 endpoint->writes ? "pull,push" : "pull");
	url_add_encoded(out, str_text(&scope));
	if (!endpoint->mount_from)
		return;
	str_reset(&scope);
	str_addf(&scope, "repository:%s:pull", endpoint->mount_from);
	str_add(out, separator);
	url_add_encoded(out, str_text(&scope));
}

/* The realm's URL with what we ask for. */
static int add_query(struct url *url, const struct endpoint *endpoint,
		     const struct challenge *challenge, const struct credential *credential,
		     struct err *err)
{
	auto_str text = STR_MAX(16 * 1024);
	str_addf(&text, "%s%cscope=", url->text, strchr(url->text, '?') ? '&' : '?');
	add_scopes(&text, endpoint, "&scope=");
	if (challenge->service) {
		str_add(&text, "&service=");
		url_add_encoded(&text, challenge->service);
	}
	if (credential->username && credential->password) {
		str_add(&text, "&account=");
		url_add_encoded(&text, credential->username);
	}
	struct url whole = { 0 };
	int r = text.failed ? err_set(err, EPROTO, "the realm's URL is too long")
			    : url_parse(&whole, str_text(&text), err);
	if (r < 0)
		return r;
	url_release(url);
	*url = whole;
	return 0;
}

static char *refresh_form(const struct endpoint *endpoint, const struct challenge *challenge,
			  const char *identity_token)
{
	struct str form = STR_MAX(4 * TOKEN_MAX_BYTES);
	str_add(&form, "grant_type=refresh_token&client_id=" CLIENT_ID "&service=");
	url_add_encoded(&form, challenge->service ? challenge->service : "");
	str_add(&form, "&scope=");
	add_scopes(&form, endpoint, "%20");
	str_add(&form, "&refresh_token=");
	url_add_encoded(&form, identity_token);
	return str_take(&form);
}

/* Trust in the connection: the registry's own, or that of a host it vouches for. */
static void set_trust(struct http_request *request, const struct asking *ask, struct http_tls *tls)
{
	const struct endpoint *endpoint = ask->endpoint;
	*tls = endpoint->tls_else;
	if (ask->trust == REALM_OWN || strcmp(ask->url.host, endpoint->https.host) == 0)
		*tls = endpoint->tls;
	else if (ask->trust == REALM_SIBLING)
		tls->skip_verify = endpoint->tls.skip_verify;
	request->tls = tls;
	/*
	 * A registry inside a company and its realm have names that lead to private addresses: that
	 * is their owner's business while a certificate proves that the realm is the owner's.
	 */
	request->refuse_private = ask->trust == REALM_FOREIGN ||
				  (ask->trust == REALM_SIBLING &&
				   (!ask->url.https || tls->skip_verify));
}

static uint64_t lifetime_ms(const struct json_value *root)
{
	uint64_t seconds = 0;
	bool given = json_u64(json_get(root, "expires_in"), &seconds);
	if (!given || seconds < TOKEN_LIFE_DEFAULT_S)
		seconds = TOKEN_LIFE_DEFAULT_S;
	return seconds < UINT32_MAX ? seconds * 1000 : UINT64_MAX;
}

static int read_token(struct token *out, struct http_transfer *answer, struct err *err)
{
	auto_secret *body = NULL;
	size_t size = 0;
	int r = reply_body(&body, &size, answer, TOKEN_RESPONSE_MAX_BYTES, err);
	if (r < 0)
		return r == -E2BIG ? err_set(err, EPROTO, "the answer has more than %u bytes",
					     TOKEN_RESPONSE_MAX_BYTES)
				   : r;
	AUTO(json) json = NULL;
	if (json_parse(&json, body, size, 0, NULL) < 0)
		return err_set(err, EPROTO, "the answer is not JSON");
	const struct json_value *root = json_root(json);
	const char *token = json_string(json_get(root, "token"));
	if (!token || !*token)
		token = json_string(json_get(root, "access_token"));
	if (!token || !*token)
		return err_set(err, EPROTO, "the answer has no token");
	out->lives_ms = lifetime_ms(root);
	return bearer_header(&out->header, token, err);
}

/* One try.  *status is that of the answer when it is not 200. */
static int ask_once(struct token *out, const struct asking *ask, bool again, int *status,
		    int64_t *after, struct err *err)
{
	const char *headers[4] = { "Accept: application/json" };
	size_t count = 1;
	if (ask->authorization)
		headers[count++] = ask->authorization;
	if (ask->form)
		headers[count++] = "Content-Type: application/x-www-form-urlencoded";
	struct http_tls tls;
	struct http_request request = {
		.method = ask->form ? "POST" : "GET",
		.url = ask->url.text,
		.headers = headers,
		.body = ask->form,
		.body_size = ask->form ? strlen(ask->form) : 0,
		.fresh_connection = again,
		.total_timeout_ms = TOKEN_TIMEOUT_MS,
		.group = ask->endpoint->group,
	};
	set_trust(&request, ask, &tls);
	AUTO(http_transfer) answer = NULL;
	int r = http_open(&answer, ask->endpoint->http, &request, err);
	if (r < 0)
		return r;
	if (http_status(answer) == 200) {
		r = read_token(out, answer, err);
		*status = r == -EPROTO ? 200 : 0; /* a bad token is not mended by a second */
		return r;
	}
	*status = http_status(answer);
	*after = tries_after(answer);
	return reply_error(answer, ask->url.host, err);
}

static int ask_realm(struct token *out, const struct asking *ask, int *status, struct err *err)
{
	struct tries tries;
	tries_init(&tries, RETRY_TRIES_MAX, RETRY_TRIES_MAX, ask->endpoint->wait_base_ms);
	tries.group = ask->endpoint->group;
	for (;;) {
		int64_t after = -1;
		*status = 0;
		int r = ask_once(out, ask, tries.made > 0, status, &after, err);
		if (r == 0)
			return 0;
		r = tries_again(&tries, r, *status, after, err);
		if (r < 0)
			return r;
	}
}

/* The identity token by POST; registries that answer 405 or 404 to it take it as a password. */
static int ask_with(struct token *out, struct asking *ask, const struct challenge *challenge,
		    const struct credential *credential, struct err *err)
{
	int status = 0;
	if (credential->identity_token) {
		auto_secret *form = refresh_form(ask->endpoint, challenge,
						 credential->identity_token);
		ask->form = form;
		int r = ask_realm(out, ask, &status, err);
		ask->form = NULL;
		if (r == 0 || (status != 404 && status != 405))
			return r;
	}
	auto_secret *header = NULL;
	if (has_secret(credential))
		header = basic_header(credential->username ? credential->username : "<token>",
				      credential->password ? credential->password
							   : credential->identity_token);
	ask->authorization = header;
	return ask_realm(out, ask, &status, err);
}

static int wrap_refusal(int r, const struct asking *ask, const struct credential *credential,
			struct err *err)
{
	struct err before = err ? *err : (struct err){ 0 };
	if (credential->source)
		return err_set(err, -r, "get a token from '%s' with the credential from '%s': %s",
			       esc(ask->realm), esc(credential->source), before.text);
	return err_set(err, -r, "get a token from '%s' without credentials: %s", esc(ask->realm),
		       before.text);
}

static int answer_bearer(struct token *out, struct endpoint *endpoint,
			 const struct challenge *challenge, const struct credential *credential,
			 struct err *err)
{
	if (credential->registry_token) {
		out->lives_ms = UINT64_MAX;
		return bearer_header(&out->header, credential->registry_token, err);
	}
	struct asking ask = { .endpoint = endpoint, .realm = challenge->realm };
	int r = realm_judge(&ask.url, &ask.trust, challenge->realm, endpoint_root(endpoint), err);
	if (r < 0)
		return err_wrap(err, r, "'%s' asks for a token", esc(endpoint->host));
	if (ask.trust == REALM_FOREIGN && has_secret(credential))
		r = err_set(err, EACCES,
			    "'%s' wants its token fetched from '%s', which is another's host: the "
			    "credential from '%s' was not sent there",
			    esc(endpoint->host), esc(challenge->realm), esc(credential->source));
	if (r == 0)
		r = add_query(&ask.url, endpoint, challenge, credential, err);
	if (r == 0) {
		r = ask_with(out, &ask, challenge, credential, err);
		r = r < 0 ? wrap_refusal(r, &ask, credential, err) : 0;
	}
	url_release(&ask.url);
	return r;
}

/* With Basic it is the credential that was refused, with Bearer the token that it bought. */
static int find_credential(struct credential *out, struct endpoint *endpoint,
			   const struct challenge *challenge, bool refused, struct err *err)
{
	int r = endpoint_credential(endpoint, out, err);
	if (r < 0 || !refused || challenge->scheme != CHALLENGE_BASIC ||
	    !creds_refused(endpoint->creds, out))
		return r;
	credential_release(out);
	return endpoint_credential(endpoint, out, err);
}

static int get_with(struct token *out, struct endpoint *endpoint, const struct challenge *challenge,
		    const struct credential *credential, struct err *err)
{
	struct token token = { 0 };
	int r = challenge->scheme == CHALLENGE_BASIC
			? answer_basic(&token, endpoint, credential, err)
			: answer_bearer(&token, endpoint, challenge, credential, err);
	if (r < 0)
		return r;
	token.source = mem_strdup(credential->source);
	*out = token;
	return 0;
}

int token_get(struct token *out, struct endpoint *endpoint, const struct challenge *challenge,
	      bool refused, struct err *err)
{
	struct credential credential = { 0 };
	int r = find_credential(&credential, endpoint, challenge, refused, err);
	if (r < 0)
		return r;
	r = get_with(out, endpoint, challenge, &credential, err);
	bool again = r == -EACCES && creds_refused(endpoint->creds, &credential);
	credential_release(&credential);
	if (!again)
		return r;
	r = endpoint_credential(endpoint, &credential, err);
	if (r == 0)
		r = get_with(out, endpoint, challenge, &credential, err);
	credential_release(&credential);
	return r;
}
