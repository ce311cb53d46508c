/*
 * Reading a bundle: depth first through the indexes, each document and each blob once however many
 * platforms share it.  Manifests are read for what they list only, because an index also lists
 * attestations and other artifacts, whose layers are no tars.
 */
#include "image/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/json.h"
#include "image/bundle-internal.h"
#include "oci/descriptor.h"

#define BASE_NAME "org.opencontainers.image.base.name"
#define SOURCE_PREFIX "containerd.io/distribution.source."

struct bundle_blob *bundle_find_blob(struct bundle *bundle, const struct digest *digest)
{
	struct bundle_blob *blob = NULL;
	HASH_FIND(hh, bundle->blobs, digest, sizeof(*digest), blob);
	return blob;
}

int bundle_add_blob(struct bundle *bundle, struct repo *repo, const struct descriptor *d,
		    struct bundle_blob **out, struct err *err)
{
	struct bundle_blob *blob = bundle_find_blob(bundle, &d->digest);
	if (blob && blob->d.size != d->size)
		return err_set(err, EBADMSG, "%s is listed with two sizes",
			       digest_show(&d->digest));
	if (!blob) {
		if (HASH_COUNT(bundle->blobs) >= BUNDLE_BLOBS_MAX)
			return err_set(err, E2BIG, "more than %d blobs", BUNDLE_BLOBS_MAX);
		blob = mem_make(struct bundle_blob, .digest = d->digest, .repo = repo, .spool = -1);
		descriptor_copy(&blob->d, d);
		HASH_ADD(hh, bundle->blobs, digest, sizeof(blob->digest), blob);
	}
	if (out)
		*out = blob;
	return 0;
}

void bundle_add_node(struct bundle *bundle, struct document *document)
{
	bundle->nodes = mem_grow(bundle->nodes, &bundle->capacity, bundle->count,
				 sizeof(*bundle->nodes));
	bundle->nodes[bundle->count++] = (struct bundle_node){ .document = *document };
	*document = (struct document){ 0 };
}

void bundle_copy_document(struct document *out, const struct document *document)
{
	descriptor_copy(&out->descriptor, &document->descriptor);
	out->bytes = mem_new(document->size + 1);
	memcpy(out->bytes, document->bytes, document->size);
	out->size = document->size;
}

/* Layers that everybody fetches from their maker's own place are not pushed. */
static bool is_foreign(const char *type)
{
	return type && (strstr(type, "nondistributable") || strstr(type, ".foreign."));
}

static int each_listed(const struct json_value *value,
		       int (*each)(void *arg, const struct descriptor *d, struct err *err),
		       void *arg, struct err *err)
{
	auto_descriptor d = { 0 };
	int r = descriptor_parse(&d, value, err);
	return r < 0 || is_foreign(d.media_type) ? r : each(arg, &d, err);
}

int bundle_each_blob(const struct document *document,
		     int (*each)(void *arg, const struct descriptor *d, struct err *err), void *arg,
		     struct err *err)
{
	AUTO(json) json = NULL;
	int r = document_open(&json, document->descriptor.media_type, MEDIA_MANIFEST,
			      document->bytes, document->size, err);
	if (r < 0)
		return r;
	const struct json_value *layers = json_get(json_root(json), "layers");
	if (json_type(layers) != JSON_ARRAY)
		return err_set(err, EBADMSG, "'layers' is %s, not an array",
			       json_type_name(layers));
	r = each_listed(json_get(json_root(json), "config"), each, arg, err);
	for (size_t i = 0; r == 0 && i < json_count(layers); i++)
		r = each_listed(json_at(layers, i), each, arg, err);
	return r;
}

/* --- reading --- */

struct reading {
	struct bundle *bundle;
	struct repo *repo;
};

static int add_blob(void *arg, const struct descriptor *d, struct err *err)
{
	const struct reading *reading = arg;
	return bundle_add_blob(reading->bundle, reading->repo, d, NULL, err);
}

static bool has_node(const struct bundle *bundle, const struct digest *digest)
{
	for (size_t i = 0; i < bundle->count; i++)
		if (digest_equal(&bundle->nodes[i].document.descriptor.digest, digest))
			return true;
	return false;
}

static int add_document(struct reading *reading, struct document *document, int depth,
			struct err *err);

static int add_child(struct reading *reading, const struct descriptor *child, int depth,
		     struct err *err)
{
	enum media_kind kind = media_kind(child->media_type ? child->media_type : "");
	if (kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
		return add_blob(reading, child, err);
	if (has_node(reading->bundle, &child->digest))
		return 0;
	auto_document document = { 0 };
	int r = repo_manifest(reading->repo, child, &document, err);
	return r < 0 ? err_wrap(err, r, "manifest %s of the index", digest_show(&child->digest))
		     : add_document(reading, &document, depth, err);
}

static int add_index(struct reading *reading, const struct document *document, int depth,
		     struct err *err)
{
	auto_index index = { 0 };
	if (depth == INDEX_DEPTH_MAX)
		return err_set(err, E2BIG, "more than %d indexes inside each other",
			       INDEX_DEPTH_MAX);
	int r = index_parse(&index, document->descriptor.media_type, document->bytes,
			    document->size, err);
	for (size_t i = 0; r == 0 && i < index.count; i++)
		r = add_child(reading, &index.entries[i], depth + 1, err);
	return r;
}

/* DEPTH: the indexes around it.  Takes DOCUMENT over when it succeeds. */
static int add_document(struct reading *reading, struct document *document, int depth,
			struct err *err)
{
	int r;
	if (reading->bundle->count >= BUNDLE_NODES_MAX)
		return err_set(err, E2BIG, "more than %d manifests", BUNDLE_NODES_MAX);
	if (media_kind(document->descriptor.media_type) == MEDIA_INDEX)
		r = add_index(reading, document, depth, err);
	else
		r = bundle_each_blob(document, add_blob, reading, err);
	if (r < 0)
		return err_wrap(err, r, "%s", digest_show(&document->descriptor.digest));
	bundle_add_node(reading->bundle, document);
	return 0;
}

int bundle_read(struct bundle **out, struct repo *repo, const struct document *top, struct err *err)
{
	enum media_kind kind = media_kind(top->descriptor.media_type);
	if (kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
		return err_set(err, EOPNOTSUPP, "unsupported media type '%s'",
			       esc(top->descriptor.media_type));
	AUTO(bundle) bundle = mem_make(struct bundle, .count = 0);
	struct reading reading = { bundle, repo };
	auto_document document = { 0 };
	bundle_copy_document(&document, top);
	int r = add_document(&reading, &document, 0, err);
	if (r < 0)
		return r;
	*out = TAKE(bundle);
	return 0;
}

const struct document *bundle_top(const struct bundle *bundle)
{
	return &bundle->nodes[bundle->count - 1].document;
}

void bundle_free(struct bundle *bundle)
{
	if (!bundle)
		return;
	struct bundle_blob *blob, *next;
	HASH_ITER(hh, bundle->blobs, blob, next)
	{
		HASH_DELETE(hh, bundle->blobs, blob);
		mem_close_fd(&blob->spool);
		descriptor_release(&blob->d);
		free(blob);
	}
	for (size_t i = 0; i < bundle->count; i++)
		document_release(&bundle->nodes[i].document);
	free(bundle->nodes);
	free(bundle);
}

/* --- where blobs may already be --- */

/* "repo1,repo2", of which the first will do. */
static char *origin_of_blob(const struct bundle_blob *blob, const char *host)
{
	auto_str key = STR_MAX(512);
	str_addf(&key, SOURCE_PREFIX "%s", host);
	auto_free char *value = key.failed ? NULL : descriptor_annotation(&blob->d, str_text(&key));
	return value && *value && *value != ',' ? mem_strndup(value, strcspn(value, ",")) : NULL;
}

static char *origin_of_node(const struct document *document, const char *host)
{
	AUTO(json) json = NULL;
	auto_ref ref = { 0 };
	if (json_parse(&json, document->bytes, document->size, 0, NULL) < 0)
		return NULL;
	const char *name = json_string(
		json_get(json_get(json_root(json), "annotations"), BASE_NAME));
	if (!name || ref_parse(&ref, name, NULL) < 0 || ref.kind != REF_REGISTRY ||
	    !str_equal(ref.host, host))
		return NULL;
	return mem_strdup(ref.name);
}

char *bundle_origin(const struct bundle *bundle, const char *host)
{
	for (const struct bundle_blob *blob = bundle->blobs; blob; blob = blob->hh.next) {
		char *name = origin_of_blob(blob, host);
		if (name)
			return name;
	}
	for (size_t i = 0; i < bundle->count; i++) {
		char *name = origin_of_node(&bundle->nodes[i].document, host);
		if (name)
			return name;
	}
	return NULL;
}
