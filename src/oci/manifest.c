/*
 * Image manifests, and what manifests and indexes have in common: a document whose type somebody
 * else named.  That name decides how the bytes are read; the bytes may only agree (CVE-2021-41190).
 */
#include "oci/manifest.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/descriptor.h"

static const char *kind_name(enum media_kind kind)
{
	return kind == MEDIA_INDEX ? "image index" : "image manifest";
}

static int refuse_schema1(struct err *err)
{
	return err_set(err, EOPNOTSUPP,
		       "this is a Docker schema 1 manifest, which is not supported: push the image "
		       "again with a current client");
}

static int check_named(const char *media_type, enum media_kind kind, struct err *err)
{
	enum media_kind named = media_kind(media_type);
	if (!media_type || named == kind)
		return 0;
	if (named == MEDIA_SCHEMA1)
		return refuse_schema1(err);
	return err_set(err, named == MEDIA_UNKNOWN ? EOPNOTSUPP : EBADMSG,
		       "media type '%s' where an %s is expected", esc(media_type), kind_name(kind));
}

/* The body's own mediaType: equal to what it was called, or absent. */
static int check_own_type(const struct json_value *root, const char *media_type,
			  enum media_kind kind, struct err *err)
{
	const struct json_value *value = json_get(root, "mediaType");
	const char *own = json_string(value);
	if (!value)
		return 0;
	if (!own)
		return err_set(err, EBADMSG, "'mediaType' is %s, not a string",
			       json_type_name(value));
	if (!media_type)
		return check_named(own, kind, err);
	size_t n = strcspn(media_type, "; \t");
	if (strlen(own) != n || memcmp(own, media_type, n) != 0)
		return err_set(err, EBADMSG, "it calls itself '%s' but was named '%s'", esc(own),
			       esc(media_type));
	return 0;
}

static int check_shape(const struct json_value *root, enum media_kind kind, struct err *err)
{
	bool has_layers = json_get(root, "layers"), has_manifests = json_get(root, "manifests");
	bool has_config = json_get(root, "config");
	if (has_manifests && (has_layers || has_config))
		return err_set(err, EBADMSG, "it has 'manifests' and 'layers' or 'config'");
	if (kind == MEDIA_INDEX && !has_manifests)
		return err_set(err, EBADMSG, "image index without 'manifests'");
	if (kind == MEDIA_MANIFEST && !has_layers)
		return err_set(err, EBADMSG, "image manifest without 'layers'");
	return 0;
}

int document_open(struct json **json, const char *media_type, enum media_kind kind,
		  const void *bytes, size_t size, struct err *err)
{
	AUTO(json) parsed = NULL;
	int r = check_named(media_type, kind, err);
	if (r < 0)
		return r;
	if (size > MANIFEST_MAX_BYTES)
		return err_set(err, E2BIG, "%s of %zu bytes, %u are allowed", kind_name(kind), size,
			       MANIFEST_MAX_BYTES);
	r = json_parse(&parsed, bytes, size, 0, err);
	if (r < 0)
		return err_wrap(err, r, "%s", kind_name(kind));

	const struct json_value *root = json_root(parsed);
	uint64_t version = 0;
	if (json_type(root) != JSON_OBJECT)
		return err_set(err, EBADMSG, "%s is %s, not an object", kind_name(kind),
			       json_type_name(root));
	if (json_u64(json_get(root, "schemaVersion"), &version) && version == 1)
		return refuse_schema1(err);
	if (version != 2)
		return err_set(err, EBADMSG, "%s whose 'schemaVersion' is not 2", kind_name(kind));
	r = check_own_type(root, media_type, kind, err);
	if (r == 0)
		r = check_shape(root, kind, err);
	if (r < 0)
		return r;
	*json = TAKE(parsed);
	return 0;
}

/* Types that Docker clients gave configs of schema 2 before they agreed (docker/distribution 1621).
 */
static bool is_config_type(const char *type, bool docker)
{
	return media_kind(type) == MEDIA_CONFIG ||
	       (docker && (str_equal(type, "application/octet-stream") ||
			   str_equal(type, "application/json")));
}

static int take_config(struct manifest *out, const struct json_value *root, bool docker,
		       struct err *err)
{
	const struct json_value *value = json_get(root, "config");
	if (!value)
		return err_set(err, EBADMSG, "image manifest without 'config'");
	int r = descriptor_parse(&out->config, value, err);
	if (r < 0)
		return err_wrap(err, r, "config of the manifest");
	if (!is_config_type(out->config.media_type, docker))
		return err_set(err, EOPNOTSUPP, "config of type '%s': an artifact, not an image",
			       esc(out->config.media_type));
	return 0;
}

static int check_layer_type(const char *type, struct err *err)
{
	if (media_kind(type) == MEDIA_LAYER)
		return 0;
	if (str_ends(type, "+encrypted"))
		return err_set(err, EOPNOTSUPP, "it is encrypted ('%s')", esc(type));
	return err_set(err, EOPNOTSUPP, "its type '%s' is not supported", esc(type));
}

static int take_layers(struct manifest *out, const struct json_value *array, struct err *err)
{
	if (json_type(array) != JSON_ARRAY)
		return err_set(err, EBADMSG, "'layers' is %s, not an array", json_type_name(array));
	size_t count = json_count(array);
	if (count > LAYERS_MAX)
		return err_set(err, E2BIG, "%zu layers, %d are allowed", count, LAYERS_MAX);
	void *layers = NULL;
	int r = mem_try(&layers, count, sizeof(*out->layers), err);
	if (r < 0)
		return r;
	out->layers = layers;
	for (size_t i = 0; i < count; i++) {
		r = descriptor_parse(&out->layers[i], json_at(array, i), err);
		if (r == 0) {
			out->layer_count++;
			r = check_layer_type(out->layers[i].media_type, err);
		}
		if (r < 0)
			return err_wrap(err, r, "layer %zu of the manifest", i + 1);
	}
	return 0;
}

int manifest_parse(struct manifest *out, const char *media_type, const void *bytes, size_t size,
		   struct err *err)
{
	AUTO(json) json = NULL;
	auto_manifest m = { 0 };
	int r = document_open(&json, media_type, MEDIA_MANIFEST, bytes, size, err);
	if (r < 0)
		return r;
	const struct json_value *root = json_root(json);
	bool docker = str_starts(media_type ? media_type : "", MEDIA_DOCKER_MANIFEST);
	r = take_config(&m, root, docker, err);
	if (r == 0)
		r = take_layers(&m, json_get(root, "layers"), err);
	if (r == 0)
		r = descriptor_annotations_parse(&m.annotations_json, json_get(root, "annotations"),
						 err);
	if (r < 0)
		return r;
	*out = m;
	m = (struct manifest){ 0 };
	return 0;
}

void manifest_release(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->layer_count; i++)
		descriptor_release(&manifest->layers[i]);
	free(manifest->layers);
	descriptor_release(&manifest->config);
	free(manifest->annotations_json);
	*manifest = (struct manifest){ 0 };
}

void document_release(struct document *document)
{
	descriptor_release(&document->descriptor);
	free(document->bytes);
	*document = (struct document){ 0 };
}
