/*
 * Archives as docker save and podman save write them.
 *
 * Since version 25 such an archive is also an OCI layout: the manifest in it that has the chosen
 * image's config is then the answer, with all its digests.  An older archive knows no manifest, so
 * one is written here, in one way only, and its digest is that of these bytes.  Every layer gets a
 * digest as well: a plain tar has its diffID by definition, and a compressed one
 * (go-containerregistry writes those) is hashed.  So nothing above needs to know that there was no
 * manifest.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "codec/decoder.h"
#include "oci/config.h"
#include "oci/docker-save.h"
#include "oci/layout.h"

/* Manifests looked at in one archive to find the one that manifest.json means. */
#define LOOKS_MAX 64
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"

/* What a digest that we gave out stands for. */
struct part {
	struct digest digest;
	char *path;  /* owned: member of the archive; NULL: the bytes */
	char *bytes; /* owned: a manifest we wrote, or NULL */
};

struct docker_archive {
	struct repo base;
	struct store *store;	 /* owned */
	struct repo *layout;	 /* owned, over the same store; NULL when there is none inside */
	struct docker_save save; /* not changed after the opening */
	pthread_mutex_t mutex;	 /* guards parts, count and capacity */
	struct part *parts;	 /* owned */
	size_t count, capacity;
};

static void add_part(struct docker_archive *archive, const struct digest *digest, const char *path,
		     const char *bytes)
{
	LOCKED(&archive->mutex);
	for (size_t i = 0; i < archive->count; i++) {
		if (digest_equal(&archive->parts[i].digest, digest))
			return;
	}
	archive->parts = mem_grow(archive->parts, &archive->capacity, archive->count,
				  sizeof(*archive->parts));
	archive->parts[archive->count++] = (struct part){ *digest, mem_strdup(path),
							  mem_strdup(bytes) };
}

/* A copy, empty when the digest is not ours. */
static struct part find_part(struct docker_archive *archive, const struct digest *digest)
{
	LOCKED(&archive->mutex);
	for (size_t i = 0; i < archive->count; i++) {
		const struct part *part = &archive->parts[i];
		if (digest_equal(&part->digest, digest))
			return (struct part){ part->digest, mem_strdup(part->path),
					      mem_strdup(part->bytes) };
	}
	return (struct part){ 0 };
}

/* The digest a member's name claims: blobs/sha256/HEX, HEX.json, sha256:HEX. */
static bool named_digest(struct digest *out, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	auto_str text = STR_MAX(512);
	if (!str_starts(base, "sha256:"))
		str_add(&text, "sha256:");
	str_addn(&text, base, strlen(base) - (str_ends(base, ".json") ? strlen(".json") : 0));
	return !text.failed && digest_parse(out, str_text(&text), NULL) == 0;
}

static int read_config(struct docker_archive *archive, const struct docker_image *image, char **out,
		       size_t *size, struct digest *digest, struct err *err)
{
	struct digest named;
	auto_free char *bytes = NULL;
	int r = store_read(archive->store, image->config, CONFIG_MAX_BYTES, &bytes, size, err);
	if (r < 0)
		return r;
	digest_of(digest, DIGEST_SHA256, bytes, *size);
	if (named_digest(&named, image->config) && !digest_equal(&named, digest))
		return err_set(err, EBADMSG, "config '%s' has the digest %s", esc(image->config),
			       digest_show(digest));
	*out = TAKE(bytes);
	return 0;
}

/* --- the OCI layout inside --- */

static bool has_config(const struct document *document, const struct digest *config)
{
	auto_manifest manifest = { 0 };
	return manifest_parse(&manifest, document->descriptor.media_type, document->bytes,
			      document->size, NULL) == 0 &&
	       digest_equal(&manifest.config.digest, config);
}

/* Every image that INDEX names is in the archive. */
static bool is_whole(struct repo *layout, const struct index *index, int *looks)
{
	for (size_t i = 0; i < index->count; i++) {
		auto_document document = { 0 };
		if (index_entry_is_image(&index->entries[i]) &&
		    (--*looks < 0 ||
		     repo_manifest(layout, &index->entries[i], &document, NULL) < 0))
			return false;
	}
	return true;
}

static void replace(struct document *out, struct document *document)
{
	document_release(out);
	*out = *document;
	*document = (struct document){ 0 };
}

/*
 * The manifest with that config, or an index around it when the archive holds all of that, so that
 * a platform can be chosen.  What cannot be read is passed over: docker save leaves platforms out
 * that the machine does not have.
 */
static bool find_in_index(struct repo *layout, const struct index *index,
			  const struct digest *config, int depth, int *looks, struct document *out)
{
	for (size_t i = 0; i < index->count; i++) {
		auto_document document = { 0 };
		auto_index nested = { 0 };
		const struct descriptor *entry = &index->entries[i];
		if (!index_entry_is_image(entry) || --*looks < 0 ||
		    repo_manifest(layout, entry, &document, NULL) < 0)
			continue;
		if (has_config(&document, config)) {
			replace(out, &document);
			return true;
		}
		if (depth == INDEX_DEPTH_MAX ||
		    index_parse(&nested, entry->media_type, document.bytes, document.size, NULL) <
			    0)
			continue;
		if (!find_in_index(layout, &nested, config, depth + 1, looks, out))
			continue;
		if (is_whole(layout, &nested, looks))
			replace(out, &document);
		return true;
	}
	return false;
}

/* --- a manifest where there is none --- */

static int hash_member(struct store *store, const char *path, struct digest *out, struct err *err)
{
	AUTO(stream) stream = NULL;
	AUTO(hasher) hasher = hasher_new(DIGEST_SHA256);
	int r = store_stream(store, path, UINT64_MAX, &stream, err);
	for (size_t n = 1; r == 0 && n > 0;) {
		const void *data = NULL;
		r = stream_next(stream, &data, &n, err);
		if (r == 0 && n > 0)
			hasher_add(hasher, data, n);
	}
	if (r == 0)
		hasher_finish(hasher, out);
	return r;
}

static void add_descriptor(struct str *json, const char *type, const struct digest *digest,
			   uint64_t size)
{
	str_addf(json, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu}", type,
		 digest_show(digest), (unsigned long long)size);
}

/* Describe the layer in PATH, whose tar is DIFF_ID. */
static int add_layer(struct docker_archive *archive, const char *path, const struct digest *diff_id,
		     struct str *json, struct err *err)
{
	static const char *const types[] = {
		[CODEC_NONE] = "application/vnd.oci.image.layer.v1.tar",
		[CODEC_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
		[CODEC_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd",
	};
	struct store_file file;
	int r = store_open(archive->store, path, &file, err);
	if (r < 0)
		return r;
	auto_close int fd = file.fd;
	uint8_t magic[CODEC_MAGIC_BYTES];
	size_t wanted = file.size < sizeof(magic) ? (size_t)file.size : sizeof(magic);
	ssize_t n = pread(fd, magic, wanted, (off_t)file.offset);
	if (n < 0)
		return err_sys(err, "read '%s'", esc(path));

	enum codec codec = codec_detect(magic, (size_t)n);
	struct digest digest = *diff_id;
	if (codec != CODEC_NONE)
		r = hash_member(archive->store, path, &digest, err);
	if (r < 0)
		return r;
	add_part(archive, &digest, path, NULL);
	add_descriptor(json, types[codec], &digest, file.size);
	return 0;
}

static int write_manifest(struct docker_archive *archive, const struct docker_image *image,
			  const struct config *config, struct str *json, struct err *err)
{
	if (config->diff_id_count != image->layers.count)
		return err_set(err, EBADMSG, "manifest.json has %zu layers, the config %zu diffIDs",
			       image->layers.count, config->diff_id_count);
	for (size_t i = 0; i < image->layers.count; i++) {
		str_add(json, i > 0 ? "," : "");
		int r = add_layer(archive, image->layers.items[i], &config->diff_ids[i], json, err);
		if (r < 0)
			return err_wrap(err, r, "layer %zu", i + 1);
	}
	str_add(json, "]}");
	return json->failed
		       ? err_set(err, E2BIG, "manifest of more than %u bytes", MANIFEST_MAX_BYTES)
		       : 0;
}

static int make_document(struct docker_archive *archive, const struct docker_image *image,
			 const char *config_bytes, size_t config_size,
			 const struct digest *config_digest, struct document *out, struct err *err)
{
	auto_config config = { 0 };
	auto_str json = STR_MAX(MANIFEST_MAX_BYTES);
	int r = config_parse(&config, config_bytes, config_size, err);
	if (r < 0)
		return r;
	str_add(&json, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":");
	add_descriptor(&json, CONFIG_TYPE, config_digest, config_size);
	str_add(&json, ",\"layers\":[");
	r = write_manifest(archive, image, &config, &json, err);
	if (r < 0)
		return r;

	struct document document = { .size = json.length };
	document.bytes = str_take(&json);
	document.descriptor.media_type = mem_strdup(MEDIA_OCI_MANIFEST);
	document.descriptor.size = document.size;
	digest_of(&document.descriptor.digest, DIGEST_SHA256, document.bytes, document.size);
	add_part(archive, config_digest, image->config, NULL);
	add_part(archive, &document.descriptor.digest, NULL, document.bytes);
	*out = document;
	return 0;
}

/* --- as a repo --- */

static int docker_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			  struct err *err)
{
	struct docker_archive *archive = (struct docker_archive *)repo;
	const struct docker_image *image = NULL;
	auto_free char *config = NULL;
	auto_document found = { 0 };
	struct digest digest;
	size_t size = 0;
	int looks = LOOKS_MAX;
	int r = docker_save_choose(&image, &archive->save, ref->tag, err);
	if (r == 0)
		r = read_config(archive, image, &config, &size, &digest, err);
	if (r < 0)
		return r;
	if (!archive->layout || !find_in_index(archive->layout, layout_index(archive->layout),
					       &digest, 1, &looks, &found))
		return make_document(archive, image, config, size, &digest, out, err);
	*out = found;
	found = (struct document){ 0 };
	return 0;
}

static int docker_head(struct repo *repo, const struct ref *ref, struct descriptor *out,
		       struct err *err)
{
	auto_document document = { 0 };
	int r = docker_resolve(repo, ref, &document, err);
	if (r == 0)
		descriptor_copy(out, &document.descriptor);
	return r;
}

static int docker_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			   struct err *err)
{
	struct docker_archive *archive = (struct docker_archive *)repo;
	struct part part = find_part(archive, &d->digest);
	free(part.path);
	if (part.bytes) {
		*out = (struct document){ .bytes = part.bytes, .size = strlen(part.bytes) };
		descriptor_copy(&out->descriptor, d);
		return 0;
	}
	if (archive->layout)
		return repo_manifest(archive->layout, d, out, err);
	return err_set(err, ENOENT, "the archive has no manifest %s", digest_show(&d->digest));
}

static int docker_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
		       struct stream **out, struct err *err)
{
	struct docker_archive *archive = (struct docker_archive *)repo;
	struct part part = find_part(archive, &d->digest);
	auto_free char *path = part.path;
	free(part.bytes);
	if (path)
		return store_stream(archive->store, path, d->size, out, err);
	if (archive->layout)
		return repo_blob(archive->layout, d, flags, out, err);
	return err_set(err, ENOENT, "the archive has no blob %s", digest_show(&d->digest));
}

static int docker_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
			uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	struct docker_archive *archive = (struct docker_archive *)repo;
	struct part part = find_part(archive, &d->digest);
	auto_free char *path = part.path;
	free(part.bytes);
	if (path)
		return store_range(archive->store, path, d->size, offset, length, out, err);
	if (archive->layout)
		return repo_range(archive->layout, d, offset, length, flags, out, err);
	return err_set(err, ENOENT, "the archive has no blob %s", digest_show(&d->digest));
}

static struct input *docker_input(struct repo *repo, const struct descriptor *d)
{
	struct docker_archive *archive = (struct docker_archive *)repo;
	struct part part = find_part(archive, &d->digest);
	auto_free char *path = part.path;
	free(part.bytes);
	if (path)
		return store_input(archive->store, path, d->size);
	return archive->layout ? repo_input(archive->layout, d) : NULL;
}

static int docker_tags(struct repo *repo, struct tags *out, struct err *err)
{
	const struct docker_save *save = &((struct docker_archive *)repo)->save;
	auto_tags tags = { 0 };
	for (size_t i = 0; i < save->count; i++) {
		const struct docker_names *names = &save->images[i].tags;
		for (size_t k = 0; k < names->count; k++) {
			int r = tags_add(&tags, names->items[k], err);
			if (r < 0)
				return r;
		}
	}
	*out = tags;
	tags = (struct tags){ 0 };
	return 0;
}

static void docker_free(struct repo *repo)
{
	struct docker_archive *archive = (struct docker_archive *)repo;
	for (size_t i = 0; i < archive->count; i++) {
		free(archive->parts[i].path);
		free(archive->parts[i].bytes);
	}
	free(archive->parts);
	docker_save_release(&archive->save);
	repo_free(archive->layout);
	store_free(archive->store);
	pthread_mutex_destroy(&archive->mutex);
	free(archive->base.name);
	free(archive);
}

static int read_contents(struct docker_archive *archive, struct err *err)
{
	auto_free char *text = NULL;
	size_t size = 0;
	int r = store_read(archive->store, "manifest.json", MANIFEST_MAX_BYTES, &text, &size, err);
	if (r == -ENOENT)
		return err_set(err, EOPNOTSUPP,
			       "it has no 'manifest.json': no docker save archive, or one of a "
			       "Docker before 1.10");
	if (r == 0)
		r = docker_save_parse(&archive->save, text, size, err);
	if (r < 0)
		return err_wrap(err, r, "manifest.json");
	if (!store_has(archive->store, "oci-layout"))
		return 0;
	return layout_new(&archive->layout, archive->store, false, archive->base.name, err);
}

int docker_archive_open(struct repo **out, const struct ref *ref, struct err *err)
{
	static const struct repo_ops ops = {
		.resolve = docker_resolve,
		.head = docker_head,
		.manifest = docker_manifest,
		.blob = docker_blob,
		.range = docker_range,
		.tags = docker_tags,
		.input = docker_input,
		.free = docker_free,
	};
	AUTO(store) store = NULL;
	int r = store_open_archive(&store, ref->path, err);
	if (r < 0)
		return r; /* names the path */
	auto_free char *name = ref_text(ref);
	if (!store_has(store, "manifest.json") && store_has(store, "oci-layout")) {
		r = layout_new(out, TAKE(store), true, name, err);
		return r < 0 ? err_wrap(err, r, "archive '%s'", esc(ref->path)) : 0;
	}
	struct docker_archive *archive = mem_make(
		struct docker_archive, .base = { &ops, TAKE(name) }, .store = TAKE(store),
		.mutex = PTHREAD_MUTEX_INITIALIZER);
	AUTO(repo) repo = &archive->base;
	r = read_contents(archive, err);
	if (r < 0)
		return err_wrap(err, r, "archive '%s'", esc(ref->path));
	*out = TAKE(repo);
	return 0;
}
