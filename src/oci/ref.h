/*
 * Where an image is, as people write it:
 *
 *	[docker://]HOST/NAME[:TAG][@DIGEST]  a registry; short names as Docker reads them
 *	oci:DIR[:TAG]                        an OCI image layout
 *	oci-archive:FILE[:TAG]               the same in a tar file
 *	docker-archive:FILE[:NAME:TAG]       docker save, podman save
 *
 * Grammar: distribution-spec "Pulling manifests" (name, tag), distribution's reference (the host is
 * the first component when it holds "." or ":" or is "localhost").  A ":" in a path belongs to the
 * path unless what is before the last one exists ("oci:a:b" is tag b of a when a is a directory).
 */
#pragma once

#include <stdbool.h>

#include "base/digest.h"
#include "base/err.h"

enum ref_kind {
	REF_REGISTRY,
	REF_OCI,
	REF_OCI_ARCHIVE,
	REF_DOCKER_ARCHIVE,
};

struct ref {
	enum ref_kind kind;
	char *host; /* owned; registry: as users write it, "docker.io" for the Hub; else NULL */
	char *name; /* owned; registry: repository, "library/busybox"; else NULL */
	char *path; /* owned; layouts and archives; else NULL */
	char *tag;  /* owned or NULL (registry: "latest" unless there is a digest; docker archive:
		       the  NAME:TAG as written) */
	struct digest digest; /* DIGEST_NONE when none was given */
};

MUST_USE int ref_parse(struct ref *out, const char *text, struct err *err);
/* The same for what is to be written: where PATH does not exist, what follows a ':' is the tag. */
MUST_USE int ref_parse_new(struct ref *out, const char *text, struct err *err);
/* Only HOST/NAME without tag or digest, as registry-image's source.repository wants it; the tag
 * stays NULL. */
MUST_USE int ref_parse_repository(struct ref *out, const char *text, struct err *err);
/* -EINVAL when TEXT is no legal tag. */
MUST_USE int ref_set_tag(struct ref *ref, const char *text, struct err *err);
void ref_copy(struct ref *out, const struct ref *ref);
void ref_release(struct ref *ref);
#define auto_ref __attribute__((cleanup(ref_release))) struct ref

/* The host of the registry API: registry-1.docker.io for docker.io, else HOST. */
const char *ref_api_host(const struct ref *ref);
/* "docker.io/library/busybox:latest@sha256:..", for messages; to be freed. */
char *ref_text(const struct ref *ref);
