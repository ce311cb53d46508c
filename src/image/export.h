/*
 * An image's blobs copied as they are, verified: registry-image's formats "oci" and "oci-layout"
 * (concourse.md sections 3.3 and 3.4).  DIRFD is the destination; on failure what was made is
 * removed.
 */
#pragma once

#include "base/err.h"
#include "image/image.h"
#include "image/progress.h"

/* image.tar: a docker-save style archive; REPO_TAG as "repository:tag" goes into its manifest.json.
 */
MUST_USE int export_docker_archive(struct image *image, int dirfd, const char *repo_tag,
				   struct progress *progress, struct err *err);

/* oci/: a layout; an index with all its platforms byte for byte, or one image and
 * single-image-digest. */
MUST_USE int export_layout(struct image *image, int dirfd, unsigned jobs, struct progress *progress,
			   struct err *err);
