/*
 * An image's blobs copied as they are, verified: registry-image's formats "oci" and "oci-layout"
 * (docs/concourse.md).  DIRFD is the destination; a file or directory appears there whole or not at
 * all, and what a killed run left is removed by the next.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "base/mem.h"
#include "image/image.h"
#include "image/progress.h"

struct export_options {
	unsigned jobs;		   /* blobs at once; 0: the cores */
	struct progress *progress; /* borrowed or NULL */
	const atomic_bool *cancel; /* borrowed or NULL; true ends the work with -ECANCELED */
};

/*
 * image.tar: a docker-save style archive; REPO_TAG as "repository:tag" goes into its manifest.json,
 * NULL for none.  Progress is image_progress's.
 *
 *	sha256:HEX		the config
 *	HEX.tar.gz ...		each layer once, compressed or not, as it came
 *	manifest.json		[{"Config":..,"RepoTags":[..],"Layers":[..]}]
 */
MUST_USE int export_docker_archive(struct image *image, int dirfd, const char *repo_tag,
				   const struct export_options *options, struct err *err);

/*
 * oci/: an OCI image layout.  An index becomes index.json byte for byte, with all its platforms and
 * whatever else it lists; one image gets an index of one entry and a file "single-image-digest".
 * The image needs no more than its top (IMAGE_NO_PLATFORM).
 *
 * Opening reads all manifests and so learns the layers; running copies them.  Freed before it ran
 * to its end, it leaves nothing.
 */
struct layout_export;
MUST_USE int layout_export_open(struct layout_export **out, struct image *image, int dirfd,
				struct err *err);
/* For the layers that layout_export_run will copy. */
void layout_export_progress(const struct layout_export *layout, struct progress *out);
MUST_USE int layout_export_run(struct layout_export *layout, const struct export_options *options,
			       struct err *err);
void layout_export_free(struct layout_export *layout);
DEFINE_AUTO(layout_export)
