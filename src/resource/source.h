/*
 * What Concourse says on stdin: source, version and params (docs/concourse.md).  Strings that are
 * not given, or empty, are NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "oci/platform.h"
#include "resource/fields.h"
#include "resource/source-cloud.h"

#define REQUEST_MAX_BYTES (4u * 1024 * 1024)

enum source_step {
	STEP_CHECK, /* source, version */
	STEP_IN,    /* source, version, params */
	STEP_OUT,   /* source, params (a put's) */
};

/* Is the rootfs mounted, its bytes fetched when they are read? */
enum source_lazy {
	LAZY_UNSET,
	LAZY_NEVER,
	LAZY_TRY,     /* where FUSE can be used, else unpack */
	LAZY_REQUIRE, /* or fail */
};

struct source_platform {
	bool present;
	char *architecture, *os, *variant; /* owned */
};

struct source_mirror {
	bool present;
	char *host;		   /* owned; a host or a URL without a path */
	char *username, *password; /* owned, secret */
};

struct source {
	bool present;
	char *repository;	   /* owned, never NULL after request_parse */
	char *tag;		   /* owned */
	char *username, *password; /* owned, secret */
	bool insecure, debug;
	enum source_lazy lazy;
	char *variant;			     /* owned */
	char *tag_regex, *semver_constraint; /* owned */
	bool created_at_sort, pre_releases;
	struct field_texts pre_release_prefixes;
	char *label_regex, *annotation_regex; /* owned */
	bool content_trust; /* something of it is set: only out asks, and refuses */
	char *ca_pem;	    /* owned: certificates, joined */
	struct source_platform platform;
	struct source_mirror mirror;
	struct source_cloud cloud;
};

struct source_version {
	bool present;
	char *tag, *digest; /* owned */
};

enum source_format {
	FORMAT_ROOTFS,
	FORMAT_OCI,	   /* image.tar */
	FORMAT_OCI_LAYOUT, /* oci/ */
};

struct source_params {
	bool present;
	char *format_name; /* owned */
	enum source_format format;
	bool skip_download;
	enum source_lazy lazy;
	struct source_platform platform;
};

enum source_compression {
	COMPRESSION_KEEP,
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
};

/* The params of a put step. */
struct source_put {
	bool present;
	char *image;				      /* owned: a glob, or NULL */
	struct field_texts images;		      /* globs, to be one index */
	char *version, *additional_tags, *tag_prefix; /* owned */
	bool bump_aliases, index;
	char *compression_name; /* owned */
	enum source_compression compression;
	char *annotations; /* owned: a JSON object */
};

struct request {
	struct source source;
	struct source_version version;
	struct source_params params;
	struct source_put put;
};

/*
 * Read the first JSON value of DATA; what follows it is ignored.  -EINVAL not JSON, an unknown
 * field (with the nearest known one), a wrong type, no repository, an unknown format; -EOPNOTSUPP a
 * field of registry-image that is not served yet.
 */
MUST_USE int request_parse(struct request *out, enum source_step step, const void *data,
			   size_t size, struct err *err);
void request_release(struct request *request); /* wipes the secrets */

/* params.lazy over source.lazy; never LAZY_UNSET. */
enum source_lazy request_lazy(const struct request *request);

/* params.platform over source.platform over the host's. */
MUST_USE int request_platform(const struct request *request, struct platform *out, struct err *err);
