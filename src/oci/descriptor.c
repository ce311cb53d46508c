/*
 * Descriptors: what names a blob.  Everything else trusts what stands here, so it is read without
 * mercy; unknown members are passed over, as the image-spec asks.
 */
#include "oci/descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/base64.h"

/* off_t and Go's int64 end here; UINT64_MAX means "not known". */
#define SIZE_MAX_BYTES ((uint64_t)INT64_MAX)

static const struct {
	const char *media_type;
	enum media_kind kind;
} kinds[] = {
	{ MEDIA_OCI_INDEX, MEDIA_INDEX },
	{ MEDIA_DOCKER_LIST, MEDIA_INDEX },
	{ MEDIA_OCI_MANIFEST, MEDIA_MANIFEST },
	{ MEDIA_DOCKER_MANIFEST, MEDIA_MANIFEST },
	{ "application/vnd.docker.distribution.manifest.v1+json", MEDIA_SCHEMA1 },
	{ "application/vnd.docker.distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1 },
	{ "application/vnd.oci.image.config.v1+json", MEDIA_CONFIG },
	{ "application/vnd.docker.container.image.v1+json", MEDIA_CONFIG },
	{ "application/vnd.oci.image.layer.v1.tar", MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.v1.tar+gzip", MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.v1.tar+zstd", MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar", MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar", MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd", MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar", MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER },
};

enum media_kind media_kind(const char *media_type)
{
	if (!media_type)
		return MEDIA_UNKNOWN;
	size_t n = strcspn(media_type, "; \t");
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		if (strlen(kinds[i].media_type) == n &&
		    memcmp(kinds[i].media_type, media_type, n) == 0)
			return kinds[i].kind;
	}
	return MEDIA_UNKNOWN;
}

/* A string member that may be absent; *out owned or NULL. */
static int take_string(char **out, const struct json_value *object, const char *key,
		       struct err *err)
{
	const struct json_value *value = json_get(object, key);
	const char *text = json_string(value);
	if (value && !text)
		return err_set(err, EBADMSG, "'%s' is %s, not a string", key,
			       json_type_name(value));
	*out = mem_strdup(text);
	return 0;
}

/* One member of "platform" into its field; absent leaves it empty. */
static int take_platform_part(char out[32], const struct json_value *object, const char *key,
			      struct err *err)
{
	auto_free char *text = NULL;
	int r = take_string(&text, object, key, err);
	if (r < 0 || !text)
		return r;
	if (strlen(text) >= 32)
		return err_set(err, EBADMSG, "platform %s '%s' is longer than 31 bytes", key,
			       esc(text));
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int take_platform(struct descriptor *out, const struct json_value *value, struct err *err)
{
	if (!value)
		return 0;
	if (json_type(value) != JSON_OBJECT)
		return err_set(err, EBADMSG, "'platform' is %s, not an object",
			       json_type_name(value));
	out->has_platform = true;
	int r = take_platform_part(out->platform.os, value, "os", err);
	if (r == 0)
		r = take_platform_part(out->platform.architecture, value, "architecture", err);
	if (r == 0)
		r = take_platform_part(out->platform.variant, value, "variant", err);
	return r;
}

int descriptor_annotations_parse(char **out, const struct json_value *object, struct err *err)
{
	if (!object)
		return 0;
	if (json_type(object) != JSON_OBJECT)
		return err_set(err, EBADMSG, "'annotations' is %s, not an object",
			       json_type_name(object));
	for (json_member(m, object)) {
		if (json_type(m.value) != JSON_STRING)
			return err_set(err, EBADMSG, "annotation '%s' is %s, not a string",
				       esc(m.key), json_type_name(m.value));
	}
	auto_str text = STR_MAX(CONFIG_MAX_BYTES);
	json_add_value(&text, object);
	if (text.failed)
		return err_set(err, E2BIG, "annotations of more than %u bytes", CONFIG_MAX_BYTES);
	*out = str_take(&text);
	return 0;
}

/*
 * Embedded content (image-spec descriptor.md): held against the digest and not used, as blobs are
 * read from where they always are; a reader that did use it must not see another image than we do.
 */
static int check_data(const struct descriptor *d, const struct json_value *data, struct err *err)
{
	const char *text = json_string(data);
	auto_free char *bytes = NULL;
	size_t size = 0;
	if (!text || base64_decode(&bytes, &size, text, NULL) < 0)
		return err_set(err, EBADMSG, "'data' of %s is not base64", digest_show(&d->digest));
	struct digest found;
	digest_of(&found, d->digest.algorithm, bytes, size);
	if (size != d->size || !digest_equal(&found, &d->digest))
		return err_set(err, EBADMSG, "'data' of %s holds other bytes",
			       digest_show(&d->digest));
	return 0;
}

static int take_content(struct descriptor *out, const struct json_value *value, struct err *err)
{
	const char *text = json_string(json_get(value, "digest"));
	if (!text)
		return err_set(err, EBADMSG, "'digest' is missing or no string");
	struct err why = { 0 };
	if (digest_parse(&out->digest, text, &why) < 0)
		return err_set(err, EBADMSG, "%s", why.text);
	const struct json_value *size = json_get(value, "size");
	if (!json_u64(size, &out->size) || out->size > SIZE_MAX_BYTES) {
		auto_free char *shown = json_scalar_text(size);
		return err_set(err, EBADMSG, "size of %s is no number of bytes: '%s'",
			       digest_show(&out->digest), esc(shown));
	}
	const struct json_value *data = json_get(value, "data");
	return data ? check_data(out, data, err) : 0;
}

int descriptor_parse(struct descriptor *out, const struct json_value *value, struct err *err)
{
	auto_descriptor d = { 0 };
	if (json_type(value) != JSON_OBJECT)
		return err_set(err, EBADMSG, "descriptor is %s, not an object",
			       json_type_name(value));
	int r = take_string(&d.media_type, value, "mediaType", err);
	if (r == 0 && !d.media_type)
		r = err_set(err, EBADMSG, "descriptor without 'mediaType'");
	if (r == 0)
		r = take_content(&d, value, err);
	if (r == 0)
		r = take_string(&d.artifact_type, value, "artifactType", err);
	if (r == 0)
		r = take_platform(&d, json_get(value, "platform"), err);
	if (r == 0)
		r = descriptor_annotations_parse(&d.annotations_json,
						 json_get(value, "annotations"), err);
	if (r < 0)
		return r;
	*out = d;
	d = (struct descriptor){ 0 };
	return 0;
}

char *descriptor_annotation(const struct descriptor *d, const char *key)
{
	AUTO(json) json = NULL;
	if (!d->annotations_json ||
	    json_parse(&json, d->annotations_json, strlen(d->annotations_json), 0, NULL) < 0)
		return NULL;
	return mem_strdup(json_string(json_get(json_root(json), key)));
}

void descriptor_release(struct descriptor *d)
{
	free(d->media_type);
	free(d->artifact_type);
	free(d->annotations_json);
	*d = (struct descriptor){ 0 };
}

void descriptor_copy(struct descriptor *out, const struct descriptor *d)
{
	struct descriptor copy = *d;
	copy.media_type = mem_strdup(d->media_type);
	copy.artifact_type = mem_strdup(d->artifact_type);
	copy.annotations_json = mem_strdup(d->annotations_json);
	*out = copy;
}
