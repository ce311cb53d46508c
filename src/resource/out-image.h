/* The image that a put pushes: found by a glob below the step's directory, whatever form it has. */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "base/mem.h"
#include "image/bundle.h"
#include "resource/source.h"

struct out_image;

/*
 * Find params.image (or all of params.images) below SOURCES, read its manifests, and make of it
 * what params.compression and params.annotations say.  -EINVAL no match or several, or several
 * images in one archive; -EOPNOTSUPP something that is no image; -EBADMSG ..
 */
MUST_USE int out_image_open(struct out_image **out, const char *sources,
			    const struct source_put *put, const atomic_bool *cancel,
			    struct err *err);
struct bundle *out_image_bundle(struct out_image *image); /* borrowed */
void out_image_free(struct out_image *image);
DEFINE_AUTO(out_image)
