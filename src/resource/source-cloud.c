/* What the fields for clouds and certificates mean together. */
#include "resource/source-cloud.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void source_cloud_release(struct source_cloud *cloud)
{
	char *const plain[] = {
		cloud->aws_region,	    cloud->aws_account_id,
		cloud->aws_ecr_registry_id, cloud->aws_access_key_id,
		cloud->aws_role_arn,	    cloud->azure_client_id,
		cloud->azure_tenant_id,	    cloud->azure_environment,
		cloud->azure_auth_type,	    cloud->google_service_account,
		cloud->client_cert,
	};
	char *const secret[] = {
		cloud->aws_secret_access_key,  cloud->aws_session_token,
		cloud->aws_web_identity_token, cloud->google_credentials,
		cloud->google_identity_token,  cloud->client_key,
	};
	for (size_t i = 0; i < N_ELEMENTS(plain); i++)
		free(plain[i]);
	for (size_t i = 0; i < N_ELEMENTS(secret); i++)
		wipe(secret[i]);
	field_texts_release(&cloud->aws_role_arns);
	*cloud = (struct source_cloud){ 0 };
}

static int check_certificate(const struct source_cloud *cloud, struct err *err)
{
	if (!cloud->client_cert != !cloud->client_key)
		return err_set(err, EINVAL,
			       "source.client_cert and source.client_key go together: one of them "
			       "is missing");
	if (cloud->client_cert && !strstr(cloud->client_cert, "-----BEGIN CERTIFICATE-----"))
		return err_set(err, EINVAL, "source.client_cert is not a PEM certificate");
	if (cloud->client_key && !strstr(cloud->client_key, "PRIVATE KEY-----"))
		return err_set(err, EINVAL, "source.client_key is not a private key in PEM");
	if (cloud->client_key && strstr(cloud->client_key, "ENCRYPTED"))
		return err_set(err, EINVAL,
			       "source.client_key has a passphrase: give it without one");
	return 0;
}

int source_cloud_check(struct source_cloud *cloud, struct err *err)
{
	if (cloud->aws_role_arn && cloud->aws_role_arns.count > 0)
		return err_set(err, EINVAL,
			       "source.aws_role_arn and source.aws_role_arns exclude each other");
	if (cloud->aws_role_arn) {
		field_texts_release(&cloud->aws_role_arns);
		cloud->aws_role_arns.items = mem_new(sizeof(char *));
		cloud->aws_role_arns.items[0] = TAKE(cloud->aws_role_arn);
		cloud->aws_role_arns.count = 1;
	}
	return check_certificate(cloud, err);
}

struct creds_cloud source_cloud_settings(const struct source_cloud *cloud)
{
	return (struct creds_cloud){
		.aws = {
			.region = cloud->aws_region,
			.account_id = cloud->aws_account_id,
			.access_key_id = cloud->aws_access_key_id,
			.secret_access_key = cloud->aws_secret_access_key,
			.session_token = cloud->aws_session_token,
			.web_identity_token = cloud->aws_web_identity_token,
			.roles = (const char *const *)cloud->aws_role_arns.items,
			.role_count = cloud->aws_role_arns.count,
		},
		.azure = {
			.on = cloud->azure_acr,
			.client_id = cloud->azure_client_id,
			.tenant_id = cloud->azure_tenant_id,
			.environment = cloud->azure_environment,
			.auth_type = cloud->azure_auth_type,
		},
		.google = {
			.credentials = cloud->google_credentials,
			.identity_token = cloud->google_identity_token,
			.metadata = cloud->google_metadata,
			.service_account = cloud->google_service_account,
		},
	};
}

const char *source_cloud_idle(const struct source_cloud *cloud, unsigned i)
{
	bool aws = cloud->aws_account_id || cloud->aws_access_key_id ||
		   cloud->aws_secret_access_key || cloud->aws_session_token ||
		   cloud->aws_web_identity_token || cloud->aws_role_arns.count > 0;
	bool azure = cloud->azure_client_id || cloud->azure_tenant_id || cloud->azure_environment ||
		     cloud->azure_auth_type;
	const struct {
		bool said;
		const char *text;
	} idle[] = {
		{ cloud->aws_ecr_registry_id != NULL,
		  "source.aws_ecr_registry_id has no effect; source.aws_account_id has" },
		{ aws && !cloud->aws_region,
		  "the source's aws_* fields have no effect without aws_region" },
		{ azure && !cloud->azure_acr,
		  "the source's azure_* fields have no effect without azure_acr: true" },
		{ cloud->google_service_account && !cloud->google_metadata,
		  "source.google_service_account has no effect without google_metadata: true" },
		{ cloud->google_identity_token && !cloud->google_credentials,
		  "source.google_identity_token has no effect without google_credentials" },
	};
	for (size_t n = 0; n < N_ELEMENTS(idle); n++)
		if (idle[n].said && i-- == 0)
			return idle[n].text;
	return NULL;
}
