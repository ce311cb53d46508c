/*
 * AWS's Security Token Service: keys for a role, asked with other keys or with a token that another
 * identity provider has signed.  STS speaks forms and XML; of the XML three elements are read.
 */
#include "oci/creds-aws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/url.h"
#include "oci/creds-http.h"
#include "oci/secret.h"

#define FORM_MAX_BYTES (4u * CLOUD_SECRET_MAX_BYTES)
#define STS "AWS STS"

/* AccessKeyId, SecretAccessKey and SessionToken are of base64's characters: no entity is one. */
char *aws_xml_credential(const char *xml, const char *name)
{
	const char *from = strstr(xml, "<Credentials>");
	const char *end = from ? strstr(from, "</Credentials>") : NULL;
	if (!end)
		return NULL;
	auto_str tag = STR_MAX(64);
	str_addf(&tag, "<%s>", name);
	const char *text = strstr(from, str_text(&tag));
	if (tag.failed || !text || text > end)
		return NULL;
	text += tag.length;
	size_t length = strcspn(text, "<&");
	return text[length] == '<' && text[length + 1] == '/' ? mem_strndup(text, length) : NULL;
}

static int read_keys(struct aws_keys *out, const char *xml, struct err *err)
{
	struct aws_keys keys = {
		.id = aws_xml_credential(xml, "AccessKeyId"),
		.secret = aws_xml_credential(xml, "SecretAccessKey"),
		.token = aws_xml_credential(xml, "SessionToken"),
	};
	int r = cloud_check_secret(keys.id, "an access key", STS, err);
	if (r == 0)
		r = cloud_check_secret(keys.secret, "a secret key", STS, err);
	if (r == 0)
		r = cloud_check_secret(keys.token, "a session token", STS, err);
	if (r < 0) {
		aws_keys_release(&keys);
		return r;
	}
	*out = keys;
	return 0;
}

static void add_role(struct str *form, const char *action, const char *role)
{
	const char *session = getenv("AWS_ROLE_SESSION_NAME");
	str_addf(form, "Action=%s&Version=2011-06-15&RoleArn=", action);
	url_add_encoded(form, role);
	str_add(form, "&RoleSessionName=");
	url_add_encoded(form, session && *session ? session : "rootlet");
}

/* FROM: where the keys came from that the role is taken with. */
static int ask(struct aws_keys *out, struct aws_call *call, const struct aws_keys *with,
	       const char *from, const char *role, const struct creds_net *net, struct err *err)
{
	struct cloud_answer answer = { 0 };
	call->service = "sts";
	call->host = "sts";
	call->type = "application/x-www-form-urlencoded; charset=utf-8";
	call->who = STS;
	int r = aws_ask(&answer, call, with, net, err);
	if (r == 0)
		r = read_keys(out, answer.body, err);
	cloud_answer_release(&answer);
	if (r < 0)
		return err_wrap(err, r, "take the role '%s' with the keys from %s", esc(role),
				from);
	struct str label = STR_MAX(1024);
	str_addf(&label, "%s, role %s", from, role);
	out->label = str_take(&label);
	return 0;
}

int aws_assume_role(struct aws_keys *keys, const char *role, const char *region,
		    const struct creds_net *net, struct err *err)
{
	auto_str form = STR_MAX(FORM_MAX_BYTES);
	add_role(&form, "AssumeRole", role);
	struct aws_call call = { .region = region, .body = str_text(&form) };
	if (form.failed)
		return err_set(err, EINVAL, "the name of a role is too long");
	struct aws_keys next = { 0 };
	int r = ask(&next, &call, keys, keys->label, role, net, err);
	if (r < 0)
		return r;
	aws_keys_release(keys);
	*keys = next;
	return 0;
}

int aws_assume_web_identity(struct aws_keys *out, const char *role, const char *token,
			    const char *label, const char *region, const struct creds_net *net,
			    struct err *err)
{
	struct str text = STR_MAX(FORM_MAX_BYTES);
	add_role(&text, "AssumeRoleWithWebIdentity", role);
	str_add(&text, "&WebIdentityToken=");
	url_add_encoded(&text, token);
	bool failed = text.failed;
	auto_secret *form = str_take(&text);
	if (failed)
		return err_set(err, EINVAL, "%s is too long", label);
	struct aws_call call = { .region = region, .body = form, .secrets = token };
	return ask(out, &call, NULL, label, role, net, err);
}
