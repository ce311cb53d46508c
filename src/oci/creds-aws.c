/*
 * Where AWS's keys come from, and sending a signed question.  The first place that is set up is
 * used, and when it fails that is the error: looking further would only hide it.
 */
#include "oci/creds-aws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/url.h"
#include "oci/creds-cloud.h"
#include "oci/creds-http.h"
#include "oci/secret.h"
#include "oci/sigv4.h"

#define URL_MAX_BYTES 2048u

void aws_keys_release(struct aws_keys *keys)
{
	free(keys->id);
	secret_free(keys->secret);
	secret_free(keys->token);
	free(keys->label);
	*keys = (struct aws_keys){ 0 };
}

const char *aws_domain(const char *region)
{
	static const struct {
		const char *prefix, *domain;
	} partitions[] = {
		{ "cn-", "amazonaws.com.cn" },	  { "us-iso-", "c2s.ic.gov" },
		{ "us-isob-", "sc2s.sgov.gov" },  { "us-isof-", "csp.hci.ic.gov" },
		{ "eu-isoe-", "cloud.adc-e.uk" }, { "eusc-", "amazonaws.eu" },
	};
	for (size_t i = 0; i < N_ELEMENTS(partitions); i++)
		if (str_starts(region, partitions[i].prefix))
			return partitions[i].domain;
	return "amazonaws.com"; /* GovCloud too */
}

static const char *given(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

/* --- a signed question --- */

static int endpoint_of(struct url *out, const struct aws_call *call, struct err *err)
{
	bool sts = str_equal(call->service, "sts");
	const char *own = given(sts ? "AWS_ENDPOINT_URL_STS" : "AWS_ENDPOINT_URL_ECR");
	const char *what = sts ? "$AWS_ENDPOINT_URL_STS" : "$AWS_ENDPOINT_URL_ECR";
	if (!own) {
		own = given("AWS_ENDPOINT_URL");
		what = "$AWS_ENDPOINT_URL";
	}
	auto_str text = STR_MAX(URL_MAX_BYTES);
	if (own) {
		size_t length = strlen(own);
		while (length > 0 && own[length - 1] == '/')
			length--;
		str_addn(&text, own, length);
		str_addc(&text, '/');
	} else {
		str_addf(&text, "https://%s.%s.%s/", call->host, call->region,
			 aws_domain(call->region));
	}
	int r = own ? cloud_check_url(str_text(&text), what, err) : 0;
	return r < 0 ? r : url_parse(out, str_text(&text), err);
}

/* The Host header that libcurl makes of it, and the path behind it. */
static const char *split(const struct url *url, struct str *host)
{
	const char *authority = strstr(url->text, "://") + 3;
	size_t length = strcspn(authority, "/?");
	bool usual = url->port == (url->https ? 443 : 80);
	const char *port = authority + length;
	while (usual && port > authority && port[-1] != ':' && port[-1] != ']')
		port--;
	if (usual && port > authority && port[-1] == ':')
		str_addn(host, authority, (size_t)(port - 1 - authority));
	else
		str_addn(host, authority, length);
	return authority[length] == '/' ? authority + length : "/";
}

static int sign(struct sigv4_lines *out, const struct aws_call *call, const struct url *url,
		const struct aws_keys *keys, struct err *err)
{
	auto_str host = STR_MAX(URL_MAX_BYTES);
	struct sigv4_request request = {
		.method = "POST",
		.path = split(url, &host),
		.query = "",
		.headers = { { "content-type", call->type } },
		.header_count = 1,
		.body = call->body,
		.body_size = strlen(call->body),
		.region = call->region,
		.service = call->service,
		.when = time(NULL),
	};
	request.host = str_text(&host);
	if (call->target)
		request.headers[request.header_count++] = (struct sigv4_header){ "x-amz-target",
										 call->target };
	const struct sigv4_keys with = { keys->id, keys->secret, keys->token };
	return sigv4_sign(out, &request, &with, err);
}

static int send(struct cloud_answer *out, const struct aws_call *call, const struct url *url,
		const struct aws_keys *keys, const struct creds_net *net, struct err *err)
{
	struct sigv4_lines lines = { 0 };
	int r = keys ? sign(&lines, call, url, keys, err) : 0;
	if (r < 0)
		return r;
	auto_str type = STR_MAX(256), target = STR_MAX(256);
	str_addf(&type, "Content-Type: %s", call->type);
	str_addf(&target, "X-Amz-Target: %s", call->target ? call->target : "");
	struct cloud_request request = {
		.method = "POST",
		.url = url->text,
		.headers = { str_text(&type) },
		.body = call->body,
		.secrets = { keys ? keys->secret : NULL, keys ? keys->token : NULL, call->secrets },
	};
	size_t count = 1;
	const char *const more[] = { call->target ? str_text(&target) : NULL, lines.date,
				     lines.authorization, lines.session_token };
	for (size_t i = 0; i < N_ELEMENTS(more); i++)
		if (more[i])
			request.headers[count++] = more[i];
	r = cloud_ask(out, net, &request, call->who, err);
	sigv4_lines_release(&lines);
	return r;
}

int aws_ask(struct cloud_answer *out, const struct aws_call *call, const struct aws_keys *keys,
	    const struct creds_net *net, struct err *err)
{
	struct url url = { 0 };
	int r = endpoint_of(&url, call, err);
	if (r < 0)
		return r;
	r = send(out, call, &url, keys, net, err);
	url_release(&url);
	return r;
}

/* --- the chain --- */

static void static_keys(struct aws_keys *out, const char *id, const char *secret, const char *token,
			const char *label)
{
	*out = (struct aws_keys){ mem_strdup(id), mem_strdup(secret), mem_strdup(token),
				  mem_strdup(label) };
}

static int web_identity_of_environment(struct aws_keys *out, const struct creds_aws *aws,
				       const struct creds_net *net, struct err *err)
{
	const char *role = given("AWS_ROLE_ARN");
	if (!role)
		return err_set(err, EACCES,
			       "$AWS_WEB_IDENTITY_TOKEN_FILE is set, but not $AWS_ROLE_ARN");
	auto_secret *token = NULL;
	int r = cloud_read_token(&token, given("AWS_WEB_IDENTITY_TOKEN_FILE"),
				 "the web identity token", err);
	if (r < 0)
		return r;
	return aws_assume_web_identity(out, role, token, "$AWS_WEB_IDENTITY_TOKEN_FILE",
				       aws->region, net, err);
}

static int first_keys(struct aws_keys *out, const struct creds_aws *aws,
		      const struct creds_net *net, struct err *err)
{
	const char *id = given("AWS_ACCESS_KEY_ID"), *secret = given("AWS_SECRET_ACCESS_KEY");
	if (aws->access_key_id && aws->secret_access_key) {
		static_keys(out, aws->access_key_id, aws->secret_access_key, aws->session_token,
			    "source.aws_access_key_id");
		return 0;
	}
	if (id && secret) {
		static_keys(out, id, secret, given("AWS_SESSION_TOKEN"), "$AWS_ACCESS_KEY_ID");
		return 0;
	}
	if (given("AWS_WEB_IDENTITY_TOKEN_FILE"))
		return web_identity_of_environment(out, aws, net, err);
	bool found = false;
	int r = aws_container_keys(out, &found, net, err);
	if (r == 0 && !found)
		r = aws_instance_keys(out, &found, net, err);
	if (r == 0 && !found)
		r = err_set(err, EACCES,
			    "no keys for AWS: source.aws_access_key_id is not set, and neither "
			    "the environment nor a metadata service gives any");
	return r;
}

int aws_keys_find(struct aws_keys *out, const struct creds_aws *aws, const struct creds_net *net,
		  struct err *err)
{
	struct aws_keys keys = { 0 };
	size_t role = 0;
	int r;
	if (aws->web_identity_token)
		r = aws_assume_web_identity(&keys, aws->roles[role++], aws->web_identity_token,
					    "source.aws_web_identity_token", aws->region, net, err);
	else
		r = first_keys(&keys, aws, net, err);
	for (; r == 0 && role < aws->role_count; role++)
		r = aws_assume_role(&keys, aws->roles[role], aws->region, net, err);
	if (r < 0) {
		aws_keys_release(&keys);
		return r;
	}
	*out = keys;
	return 0;
}
