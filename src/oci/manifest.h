/*
 * Manifests, indexes and descriptors: OCI image-spec 1.1 manifest.md, image-index.md,
 * descriptor.md, and Docker schema 2 (distribution "manifest-v2-2").  Schema 1 is -EOPNOTSUPP by
 * name.
 *
 * The type comes from whoever named the document (descriptor or Content-Type); a mediaType in the
 * body must be equal or absent, a body with both "layers" and "manifests" or with neither is
 * -EBADMSG.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "oci/platform.h"

#define MANIFEST_MAX_BYTES (4u * 1024 * 1024)
#define CONFIG_MAX_BYTES (8u * 1024 * 1024)
#define LAYERS_MAX 4096
#define INDEX_ENTRIES_MAX 10000
#define INDEX_DEPTH_MAX 3
#define MANIFEST_FETCHES_MAX 16

#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

enum media_kind {
	MEDIA_UNKNOWN,
	MEDIA_INDEX,
	MEDIA_MANIFEST,
	MEDIA_SCHEMA1,
	MEDIA_LAYER, /* a layer type this program reads (tar, +gzip, +zstd, docker's,
			non-distributable) */
	MEDIA_CONFIG,
};
enum media_kind media_kind(const char *media_type); /* parameters after ';' are ignored */

struct descriptor {
	char *media_type;     /* owned, or NULL when unknown */
	struct digest digest; /* DIGEST_NONE only for layers of a docker archive */
	uint64_t size;	      /* UINT64_MAX when not known (docker archives) */
	char *artifact_type;  /* owned or NULL */
	bool has_platform;
	struct platform platform;
	char *annotations_json; /* owned, "{}" or the object as compact JSON, or NULL */
};
void descriptor_release(struct descriptor *d);
void descriptor_copy(struct descriptor *out, const struct descriptor *d);
/* The value of one annotation, owned; NULL when there is none. */
char *descriptor_annotation(const struct descriptor *d, const char *key);
#define auto_descriptor __attribute__((cleanup(descriptor_release))) struct descriptor

/* A manifest or index as it came: exact bytes and what named it.  release frees the members. */
struct document {
	struct descriptor descriptor; /* digest and size of the bytes, verified; media type */
	char *bytes;		      /* owned, NUL-terminated behind size */
	size_t size;
};
void document_release(struct document *document);
#define auto_document __attribute__((cleanup(document_release))) struct document

struct index {
	struct descriptor *entries; /* owned */
	size_t count;
};
MUST_USE int index_parse(struct index *out, const char *media_type, const void *bytes, size_t size,
			 struct err *err);
void index_release(struct index *index);
#define auto_index __attribute__((cleanup(index_release))) struct index
/* An image or an index of images: no artifact, no attestation. */
bool index_entry_is_image(const struct descriptor *entry);
/*
 * The entry that serves WANTED best (see platform.h), the first of equals; artifacts and
 * unknown/unknown never.  Only when none serves, an entry without a platform: an image as
 * linux/amd64, an index for anything.  -ENOENT lists those there are.
 */
MUST_USE int index_choose(const struct descriptor **out, const struct index *index,
			  const struct platform *wanted, struct err *err);

struct manifest {
	struct descriptor config;
	struct descriptor *layers; /* owned, bottom first */
	size_t layer_count;
	char *annotations_json; /* owned or NULL */
};
MUST_USE int manifest_parse(struct manifest *out, const char *media_type, const void *bytes,
			    size_t size, struct err *err);
void manifest_release(struct manifest *manifest);
#define auto_manifest __attribute__((cleanup(manifest_release))) struct manifest
