/*
 * The JSON that `in` writes and answers, byte for byte as registry-image's (Go's encoder): key
 * order, escapes, null for lists that are absent.
 */
#pragma once

#include "base/str.h"
#include "oci/config.h"
#include "oci/ref.h"
#include "resource/pairs.h"
#include "resource/source.h"

#define DOCUMENT_MAX_BYTES (8 * CONFIG_MAX_SHOWN_BYTES)
#define CONFIG_MAX_SHOWN_BYTES (8u * 1024 * 1024)

/* metadata.json and labels.json, with their newline. */
void document_metadata(struct str *out, const struct config *config);
void document_labels(struct str *out, const struct config *config);

/*
 * What `in` prints, without a newline.  PROVIDED says how rootfs/ came to be; NULL: nobody asked.
 * PAIRS come last.
 */
void document_answer(struct str *out, const struct request *request, const char *provided,
		     const struct pairs *pairs);

/*
 * "index.docker.io/library/busybox:1.36", a tag as go-containerregistry writes it into an archive;
 * NULL when there is no tag or REF is no registry's.  To be freed.
 */
char *document_repo_tag(const struct ref *ref, const char *tag);
