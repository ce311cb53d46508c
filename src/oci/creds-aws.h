/*
 * Keys of AWS, and what is asked of AWS with them.  In this order, as AWS's own programs look:
 *
 *	source.aws_access_key_id ..., or source.aws_web_identity_token with a role
 *	$AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY, $AWS_SESSION_TOKEN
 *	$AWS_WEB_IDENTITY_TOKEN_FILE and $AWS_ROLE_ARN		(EKS: IAM roles for service
 *accounts) $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI	(ECS, EKS Pod Identity)
 *	instance metadata, version 2				(EC2)
 *
 * $AWS_ENDPOINT_URL_STS, _ECR, and $AWS_ENDPOINT_URL for both take the place of AWS's own hosts,
 * by https or on this machine; $AWS_EC2_METADATA_SERVICE_ENDPOINT that of the metadata service,
 * which $AWS_EC2_METADATA_DISABLED=true turns off.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct creds_aws;
struct creds_net;
struct cloud_answer;

struct aws_keys {
	char *id;     /* owned, as are the others */
	char *secret; /* secret */
	char *token;  /* secret, or NULL */
	char *label;  /* for messages: where they are from */
};
void aws_keys_release(struct aws_keys *keys);

/* The whole chain with AWS's roles.  -EACCES nobody gives keys, or a role is refused. */
MUST_USE int aws_keys_find(struct aws_keys *out, const struct creds_aws *aws,
			   const struct creds_net *net, struct err *err);

/* "amazonaws.com", "amazonaws.com.cn" ...: the domain of REGION. */
const char *aws_domain(const char *region);

struct aws_call {
	const char *service; /* "sts", "ecr": signed for */
	const char *host;    /* "api.ecr": before the region */
	const char *region;
	const char *type;   /* Content-Type of the body */
	const char *target; /* X-Amz-Target, or NULL */
	const char *body;
	const char *who;     /* for messages */
	const char *secrets; /* more that must not be shown, or NULL */
};
/* Send CALL, signed with KEYS (NULL: not signed). */
MUST_USE int aws_ask(struct cloud_answer *out, const struct aws_call *call,
		     const struct aws_keys *keys, const struct creds_net *net, struct err *err);

/* The text of XML's NAME inside <Credentials>, to be wiped; NULL when it is not there. */
char *aws_xml_credential(const char *xml, const char *name);

/* creds-aws-sts.c: KEYS become those of ROLE. */
MUST_USE int aws_assume_role(struct aws_keys *keys, const char *role, const char *region,
			     const struct creds_net *net, struct err *err);
MUST_USE int aws_assume_web_identity(struct aws_keys *out, const char *role, const char *token,
				     const char *label, const char *region,
				     const struct creds_net *net, struct err *err);

/* creds-aws-metadata.c; *found false: nothing was asked, this is not turned on here. */
MUST_USE int aws_container_keys(struct aws_keys *out, bool *found, const struct creds_net *net,
				struct err *err);
MUST_USE int aws_instance_keys(struct aws_keys *out, bool *found, const struct creds_net *net,
			       struct err *err);
