/*
 * The request of a Concourse step, by tables: one row a field, the names those of the
 * registry-image resource.  Rows of type FIELD_LATER are that resource's fields which this one does
 * not serve yet.  Used by session.c; knows nothing of registries.
 */
#include "resource/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "resource/fields.h"

#define TEXT_AT(type, member) FIELD_TEXT, offsetof(struct type, member), NULL

static const struct field platform_fields[] = {
	{ "architecture", TEXT_AT(source_platform, architecture) },
	{ "os", TEXT_AT(source_platform, os) },
	{ "variant", TEXT_AT(source_platform, variant) },
};

static const struct field_set source_platform_set = {
	.path = "source.platform",
	.fields = platform_fields,
	.count = N_ELEMENTS(platform_fields),
	.from_text = "architecture",
};
static const struct field_set params_platform_set = {
	.path = "params.platform",
	.fields = platform_fields,
	.count = N_ELEMENTS(platform_fields),
	.from_text = "architecture",
};

static const struct field mirror_fields[] = {
	{ "host", TEXT_AT(source_mirror, host) },
	{ "username", TEXT_AT(source_mirror, username) },
	{ "password", TEXT_AT(source_mirror, password) },
};
static const struct field_set mirror_set = {
	.path = "source.registry_mirror",
	.fields = mirror_fields,
	.count = N_ELEMENTS(mirror_fields),
	.from_text = "host", /* docker-image-resource's way */
};

static const struct field source_fields[] = {
	{ "repository", TEXT_AT(source, repository) },
	{ "tag", FIELD_SCALAR, offsetof(struct source, tag), NULL },
	{ "username", TEXT_AT(source, username) },
	{ "password", TEXT_AT(source, password) },
	{ "insecure", FIELD_BOOL, offsetof(struct source, insecure), NULL },
	{ "ca_certs", FIELD_PEM, offsetof(struct source, ca_pem), NULL },
	{ "platform", FIELD_OBJECT, offsetof(struct source, platform), &source_platform_set },
	{ "registry_mirror", FIELD_OBJECT, offsetof(struct source, mirror), &mirror_set },
	{ "debug", FIELD_BOOL, offsetof(struct source, debug), NULL },
	{ "lazy", FIELD_LAZY, offsetof(struct source, lazy), NULL },
	{ "tag_regex", TEXT_AT(source, tag_regex) },
	{ "created_at_sort", FIELD_BOOL, offsetof(struct source, created_at_sort), NULL },
	{ "variant", TEXT_AT(source, variant) },
	{ "semver_constraint", TEXT_AT(source, semver_constraint) },
	{ "pre_releases", FIELD_BOOL, offsetof(struct source, pre_releases), NULL },
	{ "pre_release_prefixes", FIELD_TEXTS, offsetof(struct source, pre_release_prefixes),
	  NULL },
	{ "label_regex", TEXT_AT(source, label_regex) },
	{ "annotation_regex", TEXT_AT(source, annotation_regex) },
	{ "content_trust", FIELD_ANY, offsetof(struct source, content_trust), NULL },
	{ "aws_access_key_id", TEXT_AT(source, cloud.aws_access_key_id) },
	{ "aws_secret_access_key", TEXT_AT(source, cloud.aws_secret_access_key) },
	{ "aws_session_token", TEXT_AT(source, cloud.aws_session_token) },
	{ "aws_region", TEXT_AT(source, cloud.aws_region) },
	{ "aws_role_arn", TEXT_AT(source, cloud.aws_role_arn) },
	{ "aws_role_arns", FIELD_TEXTS, offsetof(struct source, cloud.aws_role_arns), NULL },
	{ "aws_account_id", FIELD_SCALAR, offsetof(struct source, cloud.aws_account_id), NULL },
	{ "aws_ecr_registry_id", FIELD_SCALAR, offsetof(struct source, cloud.aws_ecr_registry_id),
	  NULL },
	{ "aws_web_identity_token", TEXT_AT(source, cloud.aws_web_identity_token) },
	{ "azure_acr", FIELD_BOOL, offsetof(struct source, cloud.azure_acr), NULL },
	{ "azure_client_id", TEXT_AT(source, cloud.azure_client_id) },
	{ "azure_tenant_id", TEXT_AT(source, cloud.azure_tenant_id) },
	{ "azure_environment", TEXT_AT(source, cloud.azure_environment) },
	{ "azure_auth_type", TEXT_AT(source, cloud.azure_auth_type) },
	{ "google_credentials", FIELD_JSON, offsetof(struct source, cloud.google_credentials),
	  NULL },
	{ "google_identity_token", TEXT_AT(source, cloud.google_identity_token) },
	{ "google_metadata", FIELD_BOOL, offsetof(struct source, cloud.google_metadata), NULL },
	{ "google_service_account", TEXT_AT(source, cloud.google_service_account) },
	{ "client_cert", TEXT_AT(source, cloud.client_cert) },
	{ "client_key", TEXT_AT(source, cloud.client_key) },
};
static const struct field_set source_set = {
	.path = "source",
	.place = "source",
	.fields = source_fields,
	.count = N_ELEMENTS(source_fields),
};

static const struct field version_fields[] = {
	{ "tag", TEXT_AT(source_version, tag) },
	{ "digest", TEXT_AT(source_version, digest) },
};
static const struct field_set version_set = {
	.path = "version",
	.fields = version_fields,
	.count = N_ELEMENTS(version_fields),
};

static const struct field params_fields[] = {
	{ "format", TEXT_AT(source_params, format_name) },
	{ "platform", FIELD_OBJECT, offsetof(struct source_params, platform),
	  &params_platform_set },
	{ "skip_download", FIELD_BOOL, offsetof(struct source_params, skip_download), NULL },
	{ "lazy", FIELD_LAZY, offsetof(struct source_params, lazy), NULL },
};
static const struct field_set params_set = {
	.path = "params",
	.place = "the params of a get step",
	.fields = params_fields,
	.count = N_ELEMENTS(params_fields),
};

static const struct field put_fields[] = {
	{ "image", TEXT_AT(source_put, image) },
	{ "images", FIELD_TEXTS, offsetof(struct source_put, images), NULL },
	{ "version", FIELD_SCALAR, offsetof(struct source_put, version), NULL },
	{ "bump_aliases", FIELD_BOOL, offsetof(struct source_put, bump_aliases), NULL },
	{ "additional_tags", TEXT_AT(source_put, additional_tags) },
	{ "tag_prefix", TEXT_AT(source_put, tag_prefix) },
	{ "compression", TEXT_AT(source_put, compression_name) },
	{ "annotations", FIELD_MAP, offsetof(struct source_put, annotations), NULL },
	{ "index", FIELD_BOOL, offsetof(struct source_put, index), NULL },
};
static const struct field_set put_set = {
	.path = "params",
	.place = "the params of a put step",
	.fields = put_fields,
	.count = N_ELEMENTS(put_fields),
};

static const struct field request_fields[] = {
	{ "source", FIELD_OBJECT, offsetof(struct request, source), &source_set },
	{ "version", FIELD_OBJECT, offsetof(struct request, version), &version_set },
	{ "params", FIELD_OBJECT, offsetof(struct request, params), &params_set },
};
static const struct field_set in_set = {
	.path = "",
	.fields = request_fields,
	.count = N_ELEMENTS(request_fields),
};
/* A check has no params. */
static const struct field_set check_set = {
	.path = "",
	.fields = request_fields,
	.count = N_ELEMENTS(request_fields) - 1,
};

static const struct field out_request_fields[] = {
	{ "source", FIELD_OBJECT, offsetof(struct request, source), &source_set },
	{ "params", FIELD_OBJECT, offsetof(struct request, put), &put_set },
};
static const struct field_set out_set = {
	.path = "",
	.fields = out_request_fields,
	.count = N_ELEMENTS(out_request_fields),
};

static const struct field_set *const all_sets[] = { &source_set, &params_set, &put_set, NULL };

static int read_format(struct source_params *params, struct err *err)
{
	static const struct {
		const char *name;
		enum source_format format;
	} formats[] = {
		{ "rootfs", FORMAT_ROOTFS },
		{ "oci", FORMAT_OCI },
		{ "oci-layout", FORMAT_OCI_LAYOUT },
	};
	/* As registry-image: without a download nobody asks for the format. */
	if (!params->format_name || params->skip_download)
		return 0;
	for (size_t i = 0; i < N_ELEMENTS(formats); i++) {
		if (strcmp(params->format_name, formats[i].name) == 0) {
			params->format = formats[i].format;
			return 0;
		}
	}
	return err_set(err, EINVAL,
		       "unknown format '%s' in params, it must be 'rootfs', 'oci' or 'oci-layout'",
		       esc(params->format_name));
}

static int read_compression(struct source_put *put, struct err *err)
{
	static const struct {
		const char *name;
		enum source_compression compression;
	} names[] = {
		{ "gzip", COMPRESSION_GZIP },
		{ "zstd", COMPRESSION_ZSTD },
	};
	if (!put->compression_name)
		return 0;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		if (strcmp(put->compression_name, names[i].name) == 0) {
			put->compression = names[i].compression;
			return 0;
		}
	}
	return err_set(err, EINVAL,
		       "unknown compression '%s' in params, it must be 'gzip' or 'zstd'",
		       esc(put->compression_name));
}

/* What a put may not ask for, before anything is read or sent. */
static int check_put(struct request *request, struct err *err)
{
	struct source_put *put = &request->put;
	if (request->source.content_trust)
		return err_set(err, EOPNOTSUPP,
			       "source.content_trust (Notary v1) is not supported, registries are "
			       "dropping it: take it out, and sign the digest that was pushed in a "
			       "task with cosign");
	if (put->index)
		return err_set(err, EOPNOTSUPP,
			       "params.index: pushing an index for lazy reading is not supported "
			       "yet");
	if (put->image && put->images.count > 0)
		return err_set(err, EINVAL, "params.image and params.images exclude each other");
	return read_compression(put, err);
}

static int check_request(struct request *request, enum source_step step, struct err *err)
{
	if (!request->source.repository)
		return err_set(err, EINVAL, "source.repository is missing");
	if (request->source.mirror.present && !request->source.mirror.host)
		return err_set(err, EINVAL, "source.registry_mirror.host is missing");
	int r = read_format(&request->params, err);
	if (r == 0)
		r = source_cloud_check(&request->source.cloud, err);
	if (r == 0 && step == STEP_OUT)
		r = check_put(request, err);
	if (r == 0 && request->params.lazy == LAZY_REQUIRE && !request->params.skip_download &&
	    request->params.format != FORMAT_ROOTFS)
		return err_set(err, EINVAL, "params.lazy goes with the format 'rootfs' only");
	return r;
}

int request_parse(struct request *out, enum source_step step, const void *data, size_t size,
		  struct err *err)
{
	AUTO(json) json = NULL;
	struct err why = { 0 };
	if (json_parse(&json, data, size, JSON_ALLOW_TRAILING, &why) < 0)
		return err_set(err, EINVAL, "the request on stdin: %s", err_text(&why));

	struct request request = { 0 };
	static const struct field_set *const sets[] = {
		[STEP_CHECK] = &check_set,
		[STEP_IN] = &in_set,
		[STEP_OUT] = &out_set,
	};
	int r = field_set_read(sets[step], all_sets, json_root(json), &request, err);
	if (r == 0)
		r = check_request(&request, step, err);
	if (r < 0) {
		request_release(&request);
		return r;
	}
	*out = request;
	return 0;
}

enum source_lazy request_lazy(const struct request *request)
{
	enum source_lazy lazy = request->params.lazy != LAZY_UNSET ? request->params.lazy
								   : request->source.lazy;
	return lazy != LAZY_UNSET ? lazy : LAZY_NEVER;
}

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void put_release(struct source_put *put)
{
	free(put->image);
	field_texts_release(&put->images);
	free(put->version);
	free(put->additional_tags);
	free(put->tag_prefix);
	free(put->compression_name);
	free(put->annotations);
}

static void platform_release(struct source_platform *platform)
{
	free(platform->architecture);
	free(platform->os);
	free(platform->variant);
}

void request_release(struct request *request)
{
	struct source *source = &request->source;
	free(source->repository);
	free(source->tag);
	wipe(source->username);
	wipe(source->password);
	free(source->ca_pem);
	source_cloud_release(&source->cloud);
	free(source->variant);
	free(source->tag_regex);
	free(source->semver_constraint);
	field_texts_release(&source->pre_release_prefixes);
	free(source->label_regex);
	free(source->annotation_regex);
	platform_release(&source->platform);
	free(source->mirror.host);
	wipe(source->mirror.username);
	wipe(source->mirror.password);
	free(request->version.tag);
	free(request->version.digest);
	free(request->params.format_name);
	platform_release(&request->params.platform);
	put_release(&request->put);
	*request = (struct request){ 0 };
}

/* "linux/arm64/v8" where only the architecture is asked for: the part in front, or NULL. */
static char *take_os(const char **architecture)
{
	static const char *const names[] = { "linux/", "windows/", "darwin/", "freebsd/" };
	for (size_t i = 0; *architecture && i < N_ELEMENTS(names); i++) {
		size_t length = strlen(names[i]);
		if (str_starts(*architecture, names[i])) {
			*architecture += length;
			return mem_strndup(names[i], length - 1);
		}
	}
	return NULL;
}

int request_platform(const struct request *request, struct platform *out, struct err *err)
{
	const struct source_platform *step = &request->params.platform;
	const struct source_platform *source = &request->source.platform;
	struct platform host;
	platform_host(&host);
	/* A variant says something about its own architecture only. */
	const struct source_platform *cpu = step->architecture ? step : source;
	const char *variant = step->variant ? step->variant : cpu->variant;
	const char *architecture = cpu->architecture;
	auto_free char *front = take_os(&architecture);
	const char *os = step->os ? step->os : front ? front : source->os;
	return platform_from(out, os, architecture, variant, &host, err);
}
