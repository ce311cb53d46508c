/*
 * Changing documents without reading them into structs and losing what those do not know: the JSON
 * is written again member by member, and only what has to differ does.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/str.h"
#include "image/bundle-internal.h"

/* Docker's word, and what it is called by OCI. */
static const struct {
	const char *docker, *oci;
} types[] = {
	{ MEDIA_DOCKER_LIST, MEDIA_OCI_INDEX },
	{ MEDIA_DOCKER_MANIFEST, MEDIA_OCI_MANIFEST },
	{ "application/vnd.docker.container.image.v1+json",
	  "application/vnd.oci.image.config.v1+json" },
	{ "application/vnd.docker.image.rootfs.diff.tar",
	  "application/vnd.oci.image.layer.v1.tar" },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip",
	  "application/vnd.oci.image.layer.v1.tar+gzip" },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd",
	  "application/vnd.oci.image.layer.v1.tar+zstd" },
};

/* Annotations that describe the compressed bytes of a layer, and lie when those change. */
static const char *const about_bytes[] = {
	"containerd.io/snapshot/stargz/",
	"io.github.containers.zstd-chunked.",
	"io.containers.zstd-chunked.",
	"io.containers.estargz.",
};

const char *bundle_oci_type(const char *type)
{
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (str_equal(types[i].docker, type))
			return types[i].oci;
	return type;
}

static const struct bundle_change *find_change(const struct bundle_edit *edit, const char *digest)
{
	for (size_t i = 0; digest && i < edit->count; i++)
		if (str_equal(digest_show(&edit->changes[i].from), digest))
			return &edit->changes[i];
	return NULL;
}

static void add_key(struct str *out, const char *key)
{
	char last = out->length > 0 ? out->data[out->length - 1] : '\0';
	if (last != '{')
		str_addc(out, ',');
	json_add_string(out, key);
	str_addc(out, ':');
}

static bool is_about_bytes(const char *key)
{
	for (size_t i = 0; i < N_ELEMENTS(about_bytes); i++)
		if (str_starts(key, about_bytes[i]))
			return true;
	return false;
}

/* Digests in annotations follow (BuildKit's attestations name their image so). */
static void add_annotations(struct str *out, const struct json_value *object, bool changed,
			    const struct bundle_edit *edit)
{
	str_addc(out, '{');
	for (json_member(m, object)) {
		if (changed && is_about_bytes(m.key))
			continue;
		const struct bundle_change *change = find_change(edit, json_string(m.value));
		add_key(out, m.key);
		if (change)
			json_add_string(out, digest_show(&change->to.digest));
		else
			json_add_value(out, m.value);
	}
	str_addc(out, '}');
}

/* Documents are called what they call themselves; blobs what the edit wants. */
static void add_type(struct str *out, const char *type, bool to_oci)
{
	type = type ? type : "";
	json_add_string(out, to_oci ? bundle_oci_type(type) : type);
}

static void add_descriptor(struct str *out, const struct json_value *value, bool to_oci,
			   const struct bundle_edit *edit)
{
	const struct bundle_change *change = find_change(edit,
							 json_string(json_get(value, "digest")));
	str_addc(out, '{');
	for (json_member(m, value)) {
		if (change && (str_equal(m.key, "data") || str_equal(m.key, "urls")))
			continue;
		add_key(out, m.key);
		if (str_equal(m.key, "mediaType"))
			add_type(out, change ? change->to.media_type : json_string(m.value),
				 to_oci);
		else if (str_equal(m.key, "annotations") && json_type(m.value) == JSON_OBJECT)
			add_annotations(out, m.value, change != NULL, edit);
		else if (change && str_equal(m.key, "digest"))
			json_add_string(out, digest_show(&change->to.digest));
		else if (change && str_equal(m.key, "size"))
			str_addf(out, "%llu", (unsigned long long)change->to.size);
		else
			json_add_value(out, m.value);
	}
	str_addc(out, '}');
}

static void add_list(struct str *out, const struct json_value *array, bool to_oci,
		     const struct bundle_edit *edit)
{
	str_addc(out, '[');
	for (size_t i = 0; i < json_count(array); i++) {
		if (i > 0)
			str_addc(out, ',');
		add_descriptor(out, json_at(array, i), to_oci, edit);
	}
	str_addc(out, ']');
}

/* The document's own annotations and those to be set, which win. */
static void merge_annotations(struct str *out, const struct json_value *old,
			      const struct json_value *more)
{
	str_addc(out, '{');
	for (json_member(m, old)) {
		if (json_get(more, m.key))
			continue;
		add_key(out, m.key);
		json_add_value(out, m.value);
	}
	for (json_member(n, more)) {
		add_key(out, n.key);
		json_add_value(out, n.value);
	}
	str_addc(out, '}');
}

static void add_member(struct str *out, const struct json_member *m, const struct bundle_edit *edit,
		       const struct json_value *annotations)
{
	add_key(out, m->key);
	if (str_equal(m->key, "manifests"))
		add_list(out, m->value, false, edit);
	else if (str_equal(m->key, "layers"))
		add_list(out, m->value, edit->to_oci, edit);
	else if (str_equal(m->key, "config"))
		add_descriptor(out, m->value, edit->to_oci, edit);
	else if (str_equal(m->key, "subject"))
		add_descriptor(out, m->value, false, edit);
	else if (str_equal(m->key, "mediaType"))
		add_type(out, json_string(m->value), edit->to_oci);
	else if (annotations && str_equal(m->key, "annotations"))
		merge_annotations(out, m->value, annotations);
	else
		json_add_value(out, m->value);
}

static void add_document(struct str *out, const struct json_value *root,
			 const struct bundle_edit *edit, const struct json_value *annotations)
{
	bool had_some = false;
	str_addc(out, '{');
	for (json_member(m, root)) {
		add_member(out, &m, edit, annotations);
		had_some = had_some || str_equal(m.key, "annotations");
	}
	if (annotations && !had_some) {
		add_key(out, "annotations");
		json_add_value(out, annotations);
	}
	str_addc(out, '}');
}

static bool is_touched(const struct document *document, const struct bundle_edit *edit)
{
	if (edit->annotations)
		return true;
	for (size_t i = 0; i < edit->count; i++)
		if (strstr(document->bytes, digest_show(&edit->changes[i].from)))
			return true;
	return false;
}

int bundle_edit_document(struct document *document, const struct bundle_edit *edit, struct err *err)
{
	AUTO(json) json = NULL;
	AUTO(json) more = NULL;
	auto_str text = STR_MAX(MANIFEST_MAX_BYTES);
	if (!is_touched(document, edit))
		return 0;
	int r = json_parse(&json, document->bytes, document->size, 0, err);
	if (r == 0 && edit->annotations)
		r = json_parse(&more, edit->annotations, strlen(edit->annotations), 0, err);
	if (r < 0)
		return r;
	add_document(&text, json_root(json), edit, more ? json_root(more) : NULL);
	if (text.failed)
		return err_set(err, E2BIG, "the manifest would have more than %u bytes",
			       MANIFEST_MAX_BYTES);
	struct descriptor *d = &document->descriptor;
	if (edit->to_oci) {
		char *type = mem_strdup(bundle_oci_type(d->media_type));
		free(d->media_type);
		d->media_type = type;
	}
	free(document->bytes);
	document->size = text.length;
	document->bytes = str_take(&text);
	d->size = document->size;
	digest_of(&d->digest, DIGEST_SHA256, document->bytes, document->size);
	return 0;
}

int bundle_annotate(struct bundle *bundle, const char *annotations_json, struct err *err)
{
	const struct bundle_edit edit = { .annotations = annotations_json, .to_oci = true };
	return bundle_edit_document(&bundle->nodes[bundle->count - 1].document, &edit, err);
}
