/*
 * An image on its way to somewhere: its documents (manifests and indexes), and the blobs they need.
 * Read from a repo, perhaps changed, then sent to a sink (oci/sink.h).  Used by `out`, push and
 * copy.
 *
 * Nothing of a blob is read before it is sent, but for bundle_compress.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "codec/decoder.h"
#include "image/progress.h"
#include "oci/manifest.h"
#include "oci/repo.h"
#include "oci/sink.h"

struct bundle;

/*
 * TOP (copied) and all that is below it, with REPO to read from (borrowed until bundle_free).
 * -ENOENT a manifest that an index lists is not there; -E2BIG; -EBADMSG.
 */
MUST_USE int bundle_read(struct bundle **out, struct repo *repo, const struct document *top,
			 struct err *err);
void bundle_free(struct bundle *bundle);
DEFINE_AUTO(bundle)

/* What the tags will name. */
const struct document *bundle_top(const struct bundle *bundle);

/*
 * Images of one platform each become one index, in their order; an index counts when it holds one
 * image.  The parts are used up.  -EINVAL two for one platform, or none in one.
 */
MUST_USE int bundle_assemble(struct bundle **out, struct bundle *const *parts, size_t count,
			     struct err *err);

/*
 * Compress each layer of an image by CODEC unless it is already; the same input gives the same
 * digests.  Docker's manifests become OCI's where the codec needs that (zstd).  Layers are written
 * to unnamed files in $TMPDIR, else /var/tmp.
 */
MUST_USE int bundle_compress(struct bundle *bundle, enum codec codec, const atomic_bool *cancel,
			     struct err *err);

/* Set annotations (a JSON object of strings) on the top, over those of the same name. */
MUST_USE int bundle_annotate(struct bundle *bundle, const char *annotations_json, struct err *err);

/*
 * A repository of the registry HOST that is said to have some of the blobs: by annotations that
 * builders and containerd leave (base image, distribution source).  To be freed; NULL: none.
 */
char *bundle_origin(const struct bundle *bundle, const char *host);

struct bundle_options {
	const char *const *tags; /* borrowed; none: the image gets no name */
	size_t tag_count;
	const char *mount_from;	   /* or NULL: try to mount from this repository */
	const atomic_bool *cancel; /* borrowed or NULL */
	/* Blobs are about to be sent: PROGRESS lives until finished() (may both be NULL). */
	void (*started)(void *arg, struct progress *progress);
	void (*finished)(void *arg);
	void *arg; /* borrowed */
};

struct bundle_result {
	size_t there, mounted, sent; /* blobs; of manifests that were there none is counted */
	uint64_t sent_bytes;
	size_t tags_there; /* tags that named it before */
	bool whole_there;  /* the manifest was there, nothing was sent */
	bool moved;	   /* a tag names something else by now: another push */
};

/* Send everything that is not there yet, then the tags, and read back what they name. */
MUST_USE int bundle_send(struct bundle *bundle, struct sink *sink,
			 const struct bundle_options *options, struct bundle_result *result,
			 struct err *err);
