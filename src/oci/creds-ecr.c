/*
 * Amazon ECR: GetAuthorizationToken turns AWS's keys into a user and password for the account's
 * registry, for twelve hours.  They are good for every registry the keys may use, so they are given
 * for names of ECR only, and for the one that ECR itself named.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/url.h"
#include "oci/base64.h"
#include "oci/creds-aws.h"
#include "oci/creds-cloud.h"
#include "oci/creds-http.h"
#include "oci/creds-source.h"
#include "oci/creds.h"
#include "oci/secret.h"

#define ECR "Amazon ECR"
#define HOST_MAX_BYTES 256u
#define REGION_MAX_BYTES 32u
#define ROLES_MAX 16u

struct ecr {
	struct creds_source base;
	/* owned; the secret ones wiped */
	char *region, *access_key_id, *secret_access_key, *session_token, *web_identity_token;
	char *roles[ROLES_MAX];
	size_t role_count;
};

static void ecr_free(struct creds_source *source)
{
	struct ecr *ecr = (struct ecr *)source;
	for (size_t i = 0; i < ecr->role_count; i++)
		free(ecr->roles[i]);
	free(ecr->region);
	free(ecr->access_key_id);
	secret_free(ecr->secret_access_key);
	secret_free(ecr->session_token);
	secret_free(ecr->web_identity_token);
	free(ecr);
}

/* --- hosts --- */

/* ".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.": behind the account's number. */
static bool is_ecr_label(const char *text)
{
	return str_starts(text, ".dkr.ecr.") || str_starts(text, ".dkr.ecr-fips.") ||
	       str_starts(text, ".dkr-ecr.");
}

bool creds_ecr_names_host(const char *repository)
{
	size_t digits = strspn(repository, "0123456789");
	return digits > 0 && is_ecr_label(repository + digits) &&
	       strchr(repository + digits, '/') != NULL;
}

/* A name of ECR in REGION, which nobody else can have. */
static bool is_ecr_host(const char *host, const char *region)
{
	static const char *const dual_stack[] = { "on.aws", "on.amazonwebservices.com.cn" };
	size_t digits = strspn(host, "0123456789");
	if (digits == 0 || !is_ecr_label(host + digits))
		return false;
	auto_str ends = STR_MAX(HOST_MAX_BYTES);
	str_addf(&ends, ".%s.%s", region, aws_domain(region));
	bool good = str_ends(host, str_text(&ends));
	for (size_t i = 0; i < N_ELEMENTS(dual_stack); i++) {
		str_reset(&ends);
		str_addf(&ends, ".%s.%s", region, dual_stack[i]);
		good = good || str_ends(host, str_text(&ends));
	}
	return good;
}

int creds_ecr_host(char **out, const struct creds_aws *aws, struct creds *creds,
		   const struct creds_net *net, struct err *err)
{
	if (aws->account_id) {
		struct str host = STR_MAX(HOST_MAX_BYTES);
		str_addf(&host, "%s.dkr.ecr.%s.%s", aws->account_id, aws->region,
			 aws_domain(aws->region));
		*out = str_take(&host);
		return 0;
	}
	struct credential credential = { 0 };
	int r = creds_find(&credential, creds, net, NULL, NULL, err);
	if (r == 0)
		*out = TAKE(credential.host);
	credential_release(&credential);
	return r;
}

/* "https://1234.dkr.ecr.eu-west-1.amazonaws.com" as a host, with its port if it has one. */
static int host_of(char **out, const char *endpoint, struct err *err)
{
	struct url url = { 0 };
	if (!endpoint || url_parse(&url, endpoint, NULL) < 0 || url.userinfo ||
	    (!url.https && !url_host_is_loopback(url.host))) {
		url_release(&url);
		return err_set(err, EPROTO, "%s answered without the registry's address", ECR);
	}
	const char *authority = strstr(url.text, "://") + 3;
	*out = mem_strndup(authority, strcspn(authority, "/?"));
	url_release(&url);
	return 0;
}

/* --- asking --- */

/* base64 of "AWS:password" */
static int read_password(struct credential *out, const char *token, struct err *err)
{
	auto_secret *pair = NULL;
	size_t size = 0;
	int r = cloud_check_secret(token, "a token", ECR, err);
	if (r < 0)
		return r;
	char *colon = base64_decode(&pair, &size, token, NULL) == 0 ? strchr(pair, ':') : NULL;
	if (!colon || colon == pair || strlen(pair) != size)
		return err_set(err, EPROTO, "%s answered with a token that is no user and password",
			       ECR);
	*colon = '\0';
	r = cloud_check_secret(colon + 1, "a password", ECR, err);
	if (r < 0)
		return r;
	out->username = mem_strdup(pair);
	out->password = mem_strdup(colon + 1);
	return 0;
}

static int read_answer(struct credential *out, const struct cloud_answer *answer, struct err *err)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, answer->body, answer->size, 0, NULL) < 0)
		return err_set(err, EPROTO, "%s answered with no JSON", ECR);
	const struct json_value *list = json_get(json_root(json), "authorizationData");
	const struct json_value *data = json_count(list) > 0 && json_type(list) == JSON_ARRAY
						? json_at(list, 0)
						: NULL;
	int r = read_password(out, json_string(json_get(data, "authorizationToken")), err);
	if (r == 0)
		r = host_of(&out->host, json_string(json_get(data, "proxyEndpoint")), err);
	if (r < 0)
		return r;
	const struct json_value *expires = json_get(data, "expiresAt");
	auto_free char *when = expires ? json_scalar_text(expires) : NULL;
	out->lives_ms = cloud_until_ms(when);
	return 0;
}

static int get_token(struct credential *out, const struct aws_keys *keys, const char *region,
		     const struct creds_net *net, struct err *err)
{
	const struct aws_call call = {
		.service = "ecr",
		.host = "api.ecr",
		.region = region,
		.type = "application/x-amz-json-1.1",
		.target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
		.body = "{}",
		.who = ECR,
	};
	struct cloud_answer answer = { 0 };
	int r = aws_ask(&answer, &call, keys, net, err);
	if (r == 0)
		r = read_answer(out, &answer, err);
	cloud_answer_release(&answer);
	return r < 0 ? err_wrap(err, r, "with the keys from %s", esc(keys->label)) : 0;
}

/* What ECR answered is for HOST too, or for nobody. */
static int claim(struct credential *credential, const char *host, const char *region,
		 struct err *err)
{
	if (!host || str_equal_nocase(host, credential->host))
		return 0;
	if (!is_ecr_host(host, region))
		return err_set(err, EINVAL,
			       "'%s' is no registry of ECR in the region '%s': its password is not "
			       "sent there",
			       esc(host), esc(region));
	free(credential->host);
	credential->host = mem_strdup(host);
	return 0;
}

static int ecr_ask(struct creds_source *source, const struct creds_net *net, const char *host,
		   struct credential *out, struct err *err)
{
	struct ecr *ecr = (struct ecr *)source;
	const struct creds_aws aws = {
		.region = ecr->region,
		.access_key_id = ecr->access_key_id,
		.secret_access_key = ecr->secret_access_key,
		.session_token = ecr->session_token,
		.web_identity_token = ecr->web_identity_token,
		.roles = (const char *const *)ecr->roles,
		.role_count = ecr->role_count,
	};
	struct aws_keys keys = { 0 };
	struct credential found = { 0 };
	int r = aws_keys_find(&keys, &aws, net, err);
	if (r == 0)
		r = get_token(&found, &keys, ecr->region, net, err);
	if (r == 0)
		r = claim(&found, host, ecr->region, err);
	if (r == 0) {
		struct str label = STR_MAX(1200);
		str_addf(&label, "%s by %s", ECR, keys.label);
		found.source = str_take(&label);
		*out = found;
	} else {
		credential_release(&found);
	}
	aws_keys_release(&keys);
	return r;
}

/* --- making one --- */

/* It becomes part of host names. */
static bool is_region(const char *text)
{
	size_t length = strlen(text);
	return length <= REGION_MAX_BYTES && isalnum((unsigned char)*text) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static int check(const struct creds_aws *aws, struct err *err)
{
	const char *id = aws->account_id;
	if (!is_region(aws->region))
		return err_set(err, EINVAL, "source.aws_region '%s' is not the name of a region",
			       esc(aws->region));
	if (id && (strlen(id) != 12 || strspn(id, "0123456789") != 12))
		return err_set(err, EINVAL, "source.aws_account_id '%s' does not have 12 digits",
			       esc(id));
	if (!aws->access_key_id != !aws->secret_access_key)
		return err_set(err, EINVAL,
			       "source.aws_access_key_id and source.aws_secret_access_key go "
			       "together: one of them is missing");
	if (aws->role_count > ROLES_MAX)
		return err_set(err, EINVAL, "source.aws_role_arns has more than %u roles",
			       ROLES_MAX);
	if (aws->web_identity_token && aws->role_count == 0)
		return err_set(err, EINVAL,
			       "source.aws_web_identity_token needs a role: source.aws_role_arn");
	return 0;
}

int creds_ecr_open(struct creds **out, const struct creds_aws *aws, struct err *err)
{
	static const struct creds_source_ops ops = { ecr_ask, ecr_free };
	int r = check(aws, err);
	if (r < 0)
		return r;
	struct ecr *ecr = mem_make(struct ecr, .region = mem_strdup(aws->region),
				   .access_key_id = mem_strdup(aws->access_key_id),
				   .secret_access_key = mem_strdup(aws->secret_access_key),
				   .session_token = mem_strdup(aws->session_token),
				   .web_identity_token = mem_strdup(aws->web_identity_token));
	for (size_t i = 0; i < aws->role_count; i++)
		ecr->roles[ecr->role_count++] = mem_strdup(aws->roles[i]);
	creds_source_init(&ecr->base, &ops);
	*out = creds_of_source(&ecr->base);
	return 0;
}
