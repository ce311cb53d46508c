/* Which cloud a source means.  One at most: a repository is in one of them. */
#include "oci/creds-cloud.h"

#include <errno.h>

bool creds_cloud_is_set(const struct creds_cloud *cloud)
{
	return cloud->aws.region || cloud->azure.on || cloud->google.credentials ||
	       cloud->google.metadata;
}

int creds_cloud_open(struct creds **out, const struct creds_cloud *cloud, struct err *err)
{
	bool aws = cloud->aws.region, azure = cloud->azure.on;
	bool google = cloud->google.credentials || cloud->google.metadata;
	if (aws + azure + google > 1)
		return err_set(err, EINVAL,
			       "source.aws_region, source.azure_acr and source.google_* exclude "
			       "each other");
	if (aws)
		return creds_ecr_open(out, &cloud->aws, err);
	return azure ? creds_acr_open(out, &cloud->azure, err)
		     : creds_gar_open(out, &cloud->google, err);
}
