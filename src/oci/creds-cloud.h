/*
 * Credentials that a cloud gives out: Amazon ECR, Azure Container Registry, Google's registries.
 *
 *	AWS	keys, from where they can be had -> roles, one after the other -> ECR's password
 *	Azure	the machine's identity -> a token for the resource manager -> the registry's own
 *	Google	key, machine or another's identity -> an access token, which is the password
 *
 * Nothing is asked before a credential is needed, and nothing at all where nothing is set here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct creds;
struct creds_net;

/* All strings are borrowed for the call and NULL when not given. */
struct creds_aws {
	const char *region; /* what turns it on */
	const char *account_id;
	const char *access_key_id, *secret_access_key, *session_token;
	const char *web_identity_token; /* instead of a file named by the environment */
	const char *const *roles;	/* to be taken in this order */
	size_t role_count;
};

struct creds_azure {
	bool on;
	const char *client_id, *tenant_id;
	const char *environment; /* "AzurePublic", "AzureGovernment", "AzureChina" */
	const char *auth_type;	 /* "managed_identity", "workload_identity" */
};

struct creds_google {
	const char *credentials;     /* JSON: a service account's key, or an external account */
	const char *identity_token;  /* of the external account, instead of its file */
	bool metadata;		     /* the machine's service account */
	const char *service_account; /* which of them, "default" */
};

struct creds_cloud {
	struct creds_aws aws;
	struct creds_azure azure;
	struct creds_google google;
};

bool creds_cloud_is_set(const struct creds_cloud *cloud);

/*
 * Make the one that is set; creds_cloud_is_set holds.  -EINVAL more than one is, or what is set is
 * no good; the text names the field of the source, never its value.
 */
MUST_USE int creds_cloud_open(struct creds **out, const struct creds_cloud *cloud, struct err *err);

/* The implementations. */
MUST_USE int creds_ecr_open(struct creds **out, const struct creds_aws *aws, struct err *err);
MUST_USE int creds_acr_open(struct creds **out, const struct creds_azure *azure, struct err *err);
MUST_USE int creds_gar_open(struct creds **out, const struct creds_google *google, struct err *err);

/* Does REPOSITORY name a host of ECR itself ("1234.dkr.ecr.eu-west-1.amazonaws.com/app")? */
bool creds_ecr_names_host(const char *repository);

/*
 * The registry's host, to be freed: of the account that is given, else of the one that ECR says is
 * ours, which is asked (what it answers is kept as credential).
 */
MUST_USE int creds_ecr_host(char **out, const struct creds_aws *aws, struct creds *creds,
			    const struct creds_net *net, struct err *err);
