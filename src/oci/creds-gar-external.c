/*
 * Workload identity federation: a token that somebody else has signed (a cluster, Concourse itself)
 * is exchanged at Google's Security Token Service, and what comes out may stand in for a service
 * account.  Only sources that are a file or a given token: URLs and programs named by a
 * configuration would be asked and run by us in the name of whoever wrote it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/url.h"
#include "oci/creds-gar.h"
#include "oci/creds-http.h"
#include "oci/secret.h"

#define STS_URL "https://sts.googleapis.com/v1/token"
#define FIELD "source.google_credentials: "
#define FORM_MAX_BYTES (4u * CLOUD_SECRET_MAX_BYTES)
#define HEADER_MAX_BYTES (CLOUD_SECRET_MAX_BYTES + 128)
#define FILE_MAX_BYTES (2u * CLOUD_SECRET_MAX_BYTES)

static const char *member(const struct json_value *object, const char *name, const char *otherwise)
{
	const char *text = json_string(json_get(object, name));
	return text && *text ? text : otherwise;
}

static const struct json_value *source_of(const struct json_value *account)
{
	return json_get(account, "credential_source");
}

int gar_check_external(const struct json_value *account, bool has_token, struct err *err)
{
	const char *account_url = member(account, "service_account_impersonation_url", NULL);
	if (!member(account, "audience", NULL))
		return err_set(err, EINVAL, FIELD "audience is missing");
	if (!member(account, "subject_token_type", NULL))
		return err_set(err, EINVAL, FIELD "subject_token_type is missing");
	if (!has_token && !member(source_of(account), "file", NULL))
		return err_set(err, EOPNOTSUPP,
			       FIELD "credential_source has no file: only files, and "
				     "source.google_identity_token, are supported");
	int r = gar_check_url(member(account, "token_url", STS_URL), FIELD "token_url", err);
	if (r == 0 && account_url)
		r = gar_check_url(account_url, FIELD "service_account_impersonation_url", err);
	return r;
}

/* --- the subject token --- */

/* FORMAT of the file: text, or JSON with the token in one of its members. */
static int read_json_file(char **out, const char *path, const char *field, struct err *err)
{
	auto_secret *text = NULL;
	size_t size = 0;
	int r = io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &text, &size, err);
	if (r < 0)
		return err_wrap(err, r, "read the subject token '%s'", esc(path));
	AUTO(json) json = NULL;
	const char *token = json_parse(&json, text, size, 0, NULL) == 0
				    ? member(json_root(json), field, NULL)
				    : NULL;
	if (!token)
		return err_set(err, EINVAL, "'%s' has no '%s' in JSON", esc(path), esc(field));
	*out = mem_strdup(token);
	return 0;
}

static int subject_token(char **out, const struct json_value *account, const char *token,
			 struct err *err)
{
	if (token) {
		*out = mem_strdup(token);
		return 0;
	}
	const struct json_value *source = source_of(account);
	const struct json_value *format = json_get(source, "format");
	const char *path = member(source, "file", "");
	if (str_equal(member(format, "type", "text"), "json"))
		return read_json_file(
			out, path, member(format, "subject_token_field_name", "access_token"), err);
	return cloud_read_token(out, path, "the subject token", err);
}

/* --- exchange --- */

static void add_pair(struct str *form, const char *name, const char *value)
{
	str_addf(form, "%s%s=", form->length > 0 ? "&" : "", name);
	url_add_encoded(form, value);
}

static char *exchange_form(const struct json_value *account, const char *subject)
{
	struct str form = STR_MAX(FORM_MAX_BYTES);
	add_pair(&form, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
	add_pair(&form, "requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
	add_pair(&form, "scope", GAR_SCOPE);
	add_pair(&form, "audience", member(account, "audience", ""));
	add_pair(&form, "subject_token_type", member(account, "subject_token_type", ""));
	add_pair(&form, "subject_token", subject);
	return str_take(&form);
}

static int exchange(struct gar_token *out, const struct json_value *account, const char *subject,
		    const struct creds_net *net, struct err *err)
{
	static const char who[] = "Google STS";
	auto_secret *form = exchange_form(account, subject);
	const struct cloud_request request = {
		.method = "POST",
		.url = member(account, "token_url", STS_URL),
		.headers = { "Content-Type: application/x-www-form-urlencoded" },
		.body = form,
		.secrets = { subject },
	};
	struct cloud_answer answer = { 0 };
	int r = cloud_ask(&answer, net, &request, who, err);
	if (r == 0)
		r = gar_read_token(out, &answer, who, err);
	cloud_answer_release(&answer);
	return r;
}

static int read_impersonated(struct gar_token *out, const struct cloud_answer *answer,
			     const char *who, struct err *err)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, answer->body, answer->size, 0, NULL) < 0)
		return err_set(err, EPROTO, "%s answered with no JSON", who);
	const char *token = json_string(json_get(json_root(json), "accessToken"));
	int r = cloud_check_secret(token, "an access token", who, err);
	if (r < 0)
		return r;
	secret_free(out->token);
	out->token = mem_strdup(token);
	out->lives_ms = cloud_until_ms(json_string(json_get(json_root(json), "expireTime")));
	return 0;
}

/* TOKEN becomes that of the service account that URL names. */
static int impersonate(struct gar_token *token, const char *url, const struct creds_net *net,
		       struct err *err)
{
	static const char who[] = "Google IAM";
	struct str line = STR_MAX(HEADER_MAX_BYTES);
	str_addf(&line, "Authorization: Bearer %s", token->token);
	auto_secret *authorization = str_take(&line);
	const struct cloud_request request = {
		.method = "POST",
		.url = url,
		.headers = { "Content-Type: application/json", authorization },
		.body = "{\"scope\":[\"" GAR_SCOPE "\"],\"lifetime\":\"3600s\"}",
		.secrets = { token->token },
	};
	struct cloud_answer answer = { 0 };
	int r = cloud_ask(&answer, net, &request, who, err);
	if (r == 0)
		r = read_impersonated(token, &answer, who, err);
	cloud_answer_release(&answer);
	return r;
}

int gar_external_token(struct gar_token *out, const struct json_value *account, const char *token,
		       const struct creds_net *net, struct err *err)
{
	const char *account_url = member(account, "service_account_impersonation_url", NULL);
	auto_secret *subject = NULL;
	struct gar_token got = { 0 };
	int r = subject_token(&subject, account, token, err);
	if (r == 0)
		r = exchange(&got, account, subject, net, err);
	if (r == 0 && account_url)
		r = impersonate(&got, account_url, net, err);
	if (r < 0) {
		secret_free(got.token);
		return r;
	}
	*out = got;
	return 0;
}
