/*
 * The fields of a source that say who we are: for a cloud's registry, and by certificate.
 * docs/concourse.md, "Credentials".
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "oci/creds-cloud.h"
#include "resource/fields.h"

/* Owned; strings not given are NULL. */
struct source_cloud {
	char *aws_region, *aws_account_id, *aws_ecr_registry_id;
	char *aws_access_key_id, *aws_secret_access_key, *aws_session_token;
	char *aws_web_identity_token;
	char *aws_role_arn;
	struct field_texts aws_role_arns;
	bool azure_acr;
	char *azure_client_id, *azure_tenant_id, *azure_environment, *azure_auth_type;
	char *google_credentials, *google_identity_token, *google_service_account;
	bool google_metadata;
	char *client_cert, *client_key; /* PEM */
};
void source_cloud_release(struct source_cloud *cloud); /* wipes the secrets */

/* -EINVAL fields that exclude each other, or that need another; nothing is asked. */
MUST_USE int source_cloud_check(struct source_cloud *cloud, struct err *err);

/* Borrowed from CLOUD. */
struct creds_cloud source_cloud_settings(const struct source_cloud *cloud);

/* A field that is set and of no effect: a warning, static; NULL when there is none (more). */
const char *source_cloud_idle(const struct source_cloud *cloud, unsigned i);
