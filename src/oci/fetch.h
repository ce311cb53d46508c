/* A manifest or index from an endpoint, or what HEAD says about it. */
#pragma once

#include "base/err.h"
#include "oci/manifest.h"

struct endpoint;

/*
 * GET manifests/REFERENCE (a tag or a digest).  The digest in OUT is that of the bytes; WANTED,
 * when known, and the answer's Docker-Content-Digest must be equal to it.  MEDIA_TYPE names the
 * document when a descriptor did; NULL: the Content-Type does, or the body where that says nothing.
 *
 * -ENOENT unknown; -EBADMSG another digest; -E2BIG; -EPROTO no manifest (a login page ...).
 */
MUST_USE int fetch_manifest(struct document *out, struct endpoint *endpoint, const char *reference,
			    const struct digest *wanted, const char *media_type, struct err *err);

/*
 * Digest, size and type of what REFERENCE names: HEAD, and GET where that is of no use.
 * descriptor.media_type is NULL when nobody told.  The 404 of a HEAD is -ENOENT.
 */
MUST_USE int fetch_head(struct descriptor *out, struct endpoint *endpoint, const char *reference,
			struct err *err);

/*
 * The media type of a manifest by what the server called it and, when that is a general name or
 * none, by its body.  Owned by the caller.  -EPROTO for a type that no manifest has.
 */
MUST_USE int fetch_media_type(char **out, const char *content_type, const void *bytes, size_t size,
			      struct err *err);
