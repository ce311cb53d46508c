/*
 * Keys that the machine we run on is given: by ECS and EKS for a container, by EC2 for an instance.
 * Both answer {"AccessKeyId","SecretAccessKey","Token"}.  They are asked directly, never through a
 * proxy.  Version 1 of the instance's service, which anybody who can make us send a GET could ask,
 * is not spoken.
 */
#include "oci/creds-aws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/url.h"
#include "oci/creds-http.h"
#include "oci/secret.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_URL "http://169.254.169.254"
#define ROLES_PATH "/latest/meta-data/iam/security-credentials/"
#define CONTAINER "the AWS container metadata"
#define INSTANCE "the AWS instance metadata"
#define URL_MAX_BYTES 2048u
#define HEADER_MAX_BYTES (CLOUD_SECRET_MAX_BYTES + 128)
#define ROLE_MAX_BYTES 128u

static const char *given(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static int read_keys(struct aws_keys *out, const struct cloud_answer *answer, const char *who,
		     struct err *err)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, answer->body, answer->size, 0, NULL) < 0)
		return err_set(err, EPROTO, "%s answered with no JSON", who);
	const struct json_value *root = json_root(json);
	const char *code = json_string(json_get(root, "Code"));
	if (code && !str_equal(code, "Success"))
		return err_set(err, EACCES, "%s answered '%s'", who, esc(code));
	const char *id = json_string(json_get(root, "AccessKeyId"));
	const char *secret = json_string(json_get(root, "SecretAccessKey"));
	const char *token = json_string(json_get(root, "Token"));
	int r = cloud_check_secret(id, "an access key", who, err);
	if (r == 0)
		r = cloud_check_secret(secret, "a secret key", who, err);
	if (r == 0)
		r = cloud_check_secret(token, "a session token", who, err);
	if (r == 0)
		*out = (struct aws_keys){ mem_strdup(id), mem_strdup(secret), mem_strdup(token),
					  mem_strdup(who) };
	return r;
}

/* --- containers --- */

static int container_url(struct str *url, struct err *err)
{
	const char *relative = given("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	if (relative && *relative != '/')
		return err_set(err, EINVAL,
			       "$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with '/'");
	if (relative)
		str_addf(url, "%s%s", CONTAINER_HOST, relative);
	else
		str_add(url, given("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
	if (url->failed)
		return err_set(err, EINVAL, "the URL of %s is too long", CONTAINER);
	return cloud_check_url(str_text(url), "$AWS_CONTAINER_CREDENTIALS_FULL_URI", err);
}

/* "Authorization: ..." or NULL. */
static int container_authorization(char **out, struct err *err)
{
	const char *file = given("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *text = given("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	auto_secret *token = NULL;
	int r = file ? cloud_read_token(&token, file, "the container's authorization token", err)
		     : 0;
	if (r < 0 || (!file && !text))
		return r;
	struct str line = STR_MAX(HEADER_MAX_BYTES);
	str_addf(&line, "Authorization: %s", token ? token : text);
	*out = str_take(&line);
	return 0;
}

int aws_container_keys(struct aws_keys *out, bool *found, const struct creds_net *net,
		       struct err *err)
{
	if (!given("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") &&
	    !given("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
		return 0;
	auto_str url = STR_MAX(URL_MAX_BYTES);
	auto_secret *authorization = NULL;
	int r = container_url(&url, err);
	if (r == 0)
		r = container_authorization(&authorization, err);
	if (r < 0)
		return r;
	const struct cloud_request request = {
		.method = "GET",
		.url = str_text(&url),
		.headers = { "Accept: application/json", authorization },
		.metadata = true,
		.secrets = { authorization ? authorization + strlen("Authorization: ") : NULL },
	};
	struct cloud_answer answer = { 0 };
	r = cloud_ask(&answer, net, &request, CONTAINER, err);
	if (r == 0)
		r = read_keys(out, &answer, CONTAINER, err);
	cloud_answer_release(&answer);
	*found = r == 0;
	return r;
}

/* --- instances --- */

struct instance {
	const char *base;   /* borrowed */
	char *session_line; /* owned secret: the header that lets us ask */
	const struct creds_net *net;
};

static int instance_get(struct cloud_answer *out, const struct instance *instance,
			const char *method, const char *path, const char *header, struct err *err)
{
	auto_str url = STR_MAX(URL_MAX_BYTES);
	size_t length = strlen(instance->base);
	while (length > 0 && instance->base[length - 1] == '/')
		length--;
	str_addn(&url, instance->base, length);
	str_add(&url, path);
	const struct cloud_request request = {
		.method = method,
		.url = str_text(&url),
		.headers = { header },
		.metadata = true,
	};
	return url.failed ? err_set(err, EINVAL, "the URL of %s is too long", INSTANCE)
			  : cloud_ask(out, instance->net, &request, INSTANCE, err);
}

static int begin_session(struct instance *instance, struct err *err)
{
	struct cloud_answer answer = { 0 };
	int r = instance_get(&answer, instance, "PUT", "/latest/api/token",
			     "X-aws-ec2-metadata-token-ttl-seconds: 300", err);
	if (r == 0)
		r = cloud_check_secret(answer.body, "a session", INSTANCE, err);
	if (r == 0) {
		struct str line = STR_MAX(HEADER_MAX_BYTES);
		str_addf(&line, "X-aws-ec2-metadata-token: %s", answer.body);
		instance->session_line = str_take(&line);
	}
	cloud_answer_release(&answer);
	return r;
}

/* The instance has one role, whose name is a line. */
static int find_role(char **out, const struct instance *instance, struct err *err)
{
	struct cloud_answer answer = { 0 };
	int r = instance_get(&answer, instance, "GET", ROLES_PATH, instance->session_line, err);
	if (r == -ENOENT)
		return err_set(err, EACCES, "%s has no role for this instance", INSTANCE);
	if (r < 0)
		return r;
	size_t length = strcspn(answer.body, "\r\n");
	bool good = length > 0 && length <= ROLE_MAX_BYTES && !memchr(answer.body, '/', length);
	struct str path = STR_MAX(URL_MAX_BYTES);
	auto_free char *role = mem_strndup(answer.body, length);
	str_add(&path, ROLES_PATH);
	url_add_encoded(&path, role);
	*out = str_take(&path);
	cloud_answer_release(&answer);
	return good ? 0 : err_set(err, EPROTO, "%s answered with no role's name", INSTANCE);
}

static int ask_instance(struct aws_keys *out, struct instance *instance, struct err *err)
{
	auto_free char *path = NULL;
	struct cloud_answer answer = { 0 };
	int r = begin_session(instance, err);
	if (r == 0)
		r = find_role(&path, instance, err);
	if (r == 0)
		r = instance_get(&answer, instance, "GET", path, instance->session_line, err);
	if (r == 0)
		r = read_keys(out, &answer, INSTANCE, err);
	cloud_answer_release(&answer);
	return r;
}

int aws_instance_keys(struct aws_keys *out, bool *found, const struct creds_net *net,
		      struct err *err)
{
	const char *disabled = given("AWS_EC2_METADATA_DISABLED");
	if (disabled && str_equal_nocase(disabled, "true"))
		return 0;
	const char *own = given("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	struct instance instance = { .base = own ? own : INSTANCE_URL, .net = net };
	int r = ask_instance(out, &instance, err);
	secret_free(instance.session_line);
	*found = r == 0;
	if (r < 0)
		return err_wrap(err, r,
				"no keys for AWS in source.aws_access_key_id or the environment, "
				"and none from the machine");
	return 0;
}
