/* Descriptors as JSON, for the parsers of manifests, indexes and archives. */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "oci/manifest.h"

/*
 * One descriptor (image-spec descriptor.md).  mediaType, digest and size must be there; "data" must
 * be the bytes the digest names and is otherwise left; "urls" is never looked at.  -EBADMSG.
 */
MUST_USE int descriptor_parse(struct descriptor *out, const struct json_value *value,
			      struct err *err);

/* *out is OBJECT as compact JSON, NULL when absent; -EBADMSG unless all values are strings. */
MUST_USE int descriptor_annotations_parse(char **out, const struct json_value *object,
					  struct err *err);

/*
 * Reads BYTES as a manifest or index (KIND) that was called MEDIA_TYPE (NULL: by nobody): JSON, of
 * schema version 2, whose own mediaType does not contradict.  Values are borrowed from *json.
 */
MUST_USE int document_open(struct json **json, const char *media_type, enum media_kind kind,
			   const void *bytes, size_t size, struct err *err);
