/*
 * Several images of one platform each become an index.  Platforms are those of the configs, since a
 * layout or an archive of one image says none.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "image/bundle-internal.h"
#include "oci/config.h"

/* The one image of a part. */
static int find_image(const struct bundle *part, size_t *out, struct err *err)
{
	size_t images = 0;
	for (size_t i = 0; i < part->count; i++) {
		auto_manifest manifest = { 0 };
		const struct document *document = &part->nodes[i].document;
		if (media_kind(document->descriptor.media_type) != MEDIA_MANIFEST ||
		    manifest_parse(&manifest, document->descriptor.media_type, document->bytes,
				   document->size, NULL) < 0 ||
		    media_kind(manifest.config.media_type) != MEDIA_CONFIG)
			continue;
		*out = i;
		images++;
	}
	if (images == 1)
		return 0;
	return err_set(err, EINVAL, "it holds %zu images, not one", images);
}

static int find_platform(struct bundle *part, const struct document *document, struct platform *out,
			 struct err *err)
{
	auto_manifest manifest = { 0 };
	auto_config config = { 0 };
	auto_free char *bytes = NULL;
	size_t size = 0;
	int r = manifest_parse(&manifest, document->descriptor.media_type, document->bytes,
			       document->size, err);
	if (r < 0)
		return r;
	const struct bundle_blob *blob = bundle_find_blob(part, &manifest.config.digest);
	if (!blob)
		return err_set(err, EBADMSG, "the config is not pushed");
	r = repo_blob_bytes(blob->repo, &blob->d, CONFIG_MAX_BYTES, &bytes, &size, err);
	if (r == 0)
		r = config_parse(&config, bytes, size, err);
	if (r < 0)
		return err_wrap(err, r, "config");
	*out = config.platform;
	if (!out->os[0] || !out->architecture[0])
		return err_set(err, EINVAL, "its config does not say for what platform it is");
	return 0;
}

static void add_entry(struct str *out, const struct document *document,
		      const struct platform *platform)
{
	str_add(out, "{\"mediaType\":");
	json_add_string(out, document->descriptor.media_type);
	str_addf(out, ",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"architecture\":",
		 digest_show(&document->descriptor.digest), document->size);
	json_add_string(out, platform->architecture);
	str_add(out, ",\"os\":");
	json_add_string(out, platform->os);
	if (platform->variant[0]) {
		str_add(out, ",\"variant\":");
		json_add_string(out, platform->variant);
	}
	str_add(out, "}}");
}

struct adding {
	struct bundle *whole, *part;
};

static int move_blob(void *arg, const struct descriptor *d, struct err *err)
{
	const struct adding *adding = arg;
	struct bundle_blob *from = bundle_find_blob(adding->part, &d->digest), *to = NULL;
	if (!from)
		return err_set(err, EBADMSG, "blob %s is missing", digest_show(&d->digest));
	int r = bundle_add_blob(adding->whole, from->repo, d, &to, err);
	if (r == 0 && to->spool < 0)
		to->spool = TAKE_FD(from->spool);
	return r;
}

static bool seen_before(const struct platform *platforms, size_t count)
{
	const char *last = platform_format(&platforms[count]).text;
	auto_free char *text = mem_strdup(last);
	for (size_t i = 0; i < count; i++)
		if (str_equal(platform_format(&platforms[i]).text, text))
			return true;
	return false;
}

static int add_part(struct bundle *whole, struct bundle *part, struct platform *platforms,
		    size_t index, struct str *json, struct err *err)
{
	size_t at = 0;
	int r = find_image(part, &at, err);
	if (r < 0)
		return r;
	struct document *document = &part->nodes[at].document;
	struct adding adding = { whole, part };
	r = find_platform(part, document, &platforms[index], err);
	if (r == 0 && seen_before(platforms, index))
		r = err_set(err, EINVAL, "it is the second for '%s'",
			    esc(platform_format(&platforms[index]).text));
	if (r == 0)
		r = bundle_each_blob(document, move_blob, &adding, err);
	if (r < 0)
		return r;
	str_add(json, index > 0 ? "," : "");
	add_entry(json, document, &platforms[index]);
	bundle_add_node(whole, document);
	return 0;
}

int bundle_assemble(struct bundle **out, struct bundle *const *parts, size_t count, struct err *err)
{
	AUTO(bundle) whole = mem_make(struct bundle, .count = 0);
	auto_str json = STR_MAX(MANIFEST_MAX_BYTES);
	void *platforms = NULL;
	int r = mem_try(&platforms, count + 1, sizeof(struct platform), err);
	auto_free void *kept = platforms;
	str_add(&json,
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[");
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = add_part(whole, parts[i], platforms, i, &json, err);
		if (r < 0)
			return err_wrap(err, r, "image %zu of the index", i + 1);
	}
	str_add(&json, "]}");
	if (r == 0 && json.failed)
		r = err_set(err, E2BIG, "the index is too large");
	if (r < 0)
		return r;
	struct document top = { .size = json.length };
	top.bytes = str_take(&json);
	top.descriptor.media_type = mem_strdup(MEDIA_OCI_INDEX);
	top.descriptor.size = top.size;
	digest_of(&top.descriptor.digest, DIGEST_SHA256, top.bytes, top.size);
	bundle_add_node(whole, &top);
	*out = TAKE(whole);
	return 0;
}
