/*
 * OCI image layouts: index.json says what there is, blobs/ALGORITHM/HEX holds it.  The same code
 * serves a directory and a tar of one (oci-archive, docker save since version 25).
 *
 * Names are the annotation org.opencontainers.image.ref.name.  Some writers put a whole reference
 * there (podman save), so a tag that no entry is called is also looked for behind the last ':'.
 */
#include "oci/layout.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define VERSION_MAX_BYTES 65536
#define LISTED_MAX 20

struct layout {
	struct repo base;
	struct store *store; /* owned or borrowed, see owned */
	bool owned;
	struct index index; /* index.json; not changed after layout_new */
};

static const struct layout *layout_of(const struct repo *repo)
{
	return (const struct layout *)repo;
}

static int check_version(struct store *store, struct err *err)
{
	auto_free char *text = NULL;
	AUTO(json) json = NULL;
	size_t size = 0;
	int r = store_read(store, "oci-layout", VERSION_MAX_BYTES, &text, &size, err);
	if (r == -ENOENT)
		return err_set(
			err, ENOENT, "it is no OCI image layout: it has no file 'oci-layout'%s",
			store_has(store, "manifest.json") ? " (try 'docker-archive:FILE')" : "");
	if (r == 0)
		r = json_parse(&json, text, size, 0, err);
	if (r < 0)
		return err_wrap(err, r, "oci-layout");
	const char *version = json_string(json_get(json_root(json), "imageLayoutVersion"));
	if (!version)
		return err_set(err, EBADMSG, "oci-layout has no 'imageLayoutVersion'");
	if (!str_starts(version, "1."))
		return err_set(err, EOPNOTSUPP, "layout version '%s' is not supported",
			       esc(version));
	return 0;
}

static int read_index(struct layout *layout, struct err *err)
{
	auto_free char *text = NULL;
	size_t size = 0;
	int r = store_read(layout->store, "index.json", MANIFEST_MAX_BYTES, &text, &size, err);
	if (r == 0)
		r = index_parse(&layout->index, MEDIA_OCI_INDEX, text, size, err);
	return r < 0 ? err_wrap(err, r, "index.json") : 0;
}

/* TEXT is called TAG, whole or behind its last ':'. */
static bool is_called(const char *text, const char *tag, bool whole)
{
	if (whole || !text)
		return str_equal(text, tag);
	const char *colon = strrchr(text, ':');
	return colon && str_equal(colon + 1, tag);
}

/* The first entry called TAG; *different when another image is called so too. */
static const struct descriptor *find_tag(const struct index *index, const char *tag,
					 bool *different)
{
	const struct descriptor *found = NULL;
	for (int whole = 1; whole >= 0 && !found; whole--) {
		for (size_t i = 0; i < index->count; i++) {
			const struct descriptor *entry = &index->entries[i];
			auto_free char *name = descriptor_annotation(entry, REF_NAME);
			if (!is_called(name, tag, whole))
				continue;
			*different = found && !digest_equal(&found->digest, &entry->digest);
			if (*different)
				return NULL;
			found = entry;
		}
	}
	return found;
}

static const struct descriptor *find_digest(const struct index *index, const struct digest *digest)
{
	for (size_t i = 0; i < index->count; i++) {
		if (digest_equal(&index->entries[i].digest, digest))
			return &index->entries[i];
	}
	return NULL;
}

/* The only image, or NULL; *count says how many there are. */
static const struct descriptor *find_only(const struct index *index, size_t *count)
{
	const struct descriptor *only = NULL;
	*count = 0;
	for (size_t i = 0; i < index->count; i++) {
		if (!index_entry_is_image(&index->entries[i]))
			continue;
		only = &index->entries[i];
		++*count;
	}
	return *count == 1 ? only : NULL;
}

/* The names in index.json, for people. */
static void list_tags(struct str *out, const struct index *index)
{
	size_t count = 0;
	for (size_t i = 0; i < index->count; i++) {
		auto_free char *name = descriptor_annotation(&index->entries[i], REF_NAME);
		if (!name)
			continue;
		if (count++ == LISTED_MAX) {
			str_add(out, ", ...");
			return;
		}
		str_addf(out, "%s'%s'", count > 1 ? ", " : "", esc(name));
	}
	if (count == 0)
		str_add(out, "none with a name");
}

static int find_entry(const struct descriptor **out, const struct index *index,
		      const struct ref *ref, struct err *err)
{
	size_t count = 0;
	bool different = false;
	*out = digest_known(&ref->digest) ? find_digest(index, &ref->digest)
	       : ref->tag		  ? find_tag(index, ref->tag, &different)
					  : find_only(index, &count);
	if (*out)
		return 0;
	if (digest_known(&ref->digest))
		return err_set(err, ENOENT, "index.json names no %s", digest_show(&ref->digest));
	if (!ref->tag && count == 0)
		return err_set(err, ENOENT, "index.json names no image");
	if (different)
		return err_set(err, EINVAL, "different images are tagged '%s'", esc(ref->tag));
	auto_str there = STR_MAX(ERR_TEXT_MAX_BYTES / 2);
	list_tags(&there, index);
	if (ref->tag)
		return err_set(err, ENOENT, "no image is tagged '%s'; there are: %s", esc(ref->tag),
			       str_text(&there));
	return err_set(err, ENOENT, "%zu images and no tag to choose by; there are: %s", count,
		       str_text(&there));
}

static char *path_of(const struct descriptor *d)
{
	struct str path = STR_MAX(256);
	str_addf(&path, "blobs/%s/%s", digest_algorithm_name(&d->digest),
		 digest_hex(&d->digest).text);
	return str_take(&path);
}

static int open_blob(struct layout *layout, const struct descriptor *d, struct stream **out,
		     struct err *err)
{
	auto_free char *path = path_of(d);
	return store_stream(layout->store, path, d->size, out, err);
}

static int layout_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			   struct err *err)
{
	AUTO(stream) stream = NULL;
	struct document document = { 0 };
	int r = open_blob((struct layout *)repo, d, &stream, err);
	if (r == 0)
		r = stream_read_all(stream, MANIFEST_MAX_BYTES, &document.bytes, &document.size,
				    err);
	if (r < 0)
		return r;
	descriptor_copy(&document.descriptor, d);
	*out = document;
	return 0;
}

static int layout_head(struct repo *repo, const struct ref *ref, struct descriptor *out,
		       struct err *err)
{
	const struct descriptor *entry = NULL;
	int r = find_entry(&entry, &layout_of(repo)->index, ref, err);
	if (r == 0)
		descriptor_copy(out, entry);
	return r;
}

static int layout_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			  struct err *err)
{
	const struct descriptor *entry = NULL;
	int r = find_entry(&entry, &layout_of(repo)->index, ref, err);
	return r < 0 ? r : repo_manifest(repo, entry, out, err);
}

static int layout_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
		       struct stream **out, struct err *err)
{
	(void)flags;
	return open_blob((struct layout *)repo, d, out, err);
}

static int layout_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
			uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	(void)flags;
	auto_free char *path = path_of(d);
	return store_range(layout_of(repo)->store, path, d->size, offset, length, out, err);
}

static struct input *layout_input(struct repo *repo, const struct descriptor *d)
{
	auto_free char *path = path_of(d);
	return store_input(layout_of(repo)->store, path, d->size);
}

static int layout_tags(struct repo *repo, struct tags *out, struct err *err)
{
	const struct index *index = &layout_of(repo)->index;
	auto_tags tags = { 0 };
	int r = 0;
	for (size_t i = 0; r == 0 && i < index->count; i++) {
		auto_free char *name = descriptor_annotation(&index->entries[i], REF_NAME);
		if (name)
			r = tags_add(&tags, name, err);
	}
	if (r < 0)
		return r;
	*out = tags;
	tags = (struct tags){ 0 };
	return 0;
}

static void layout_free(struct repo *repo)
{
	struct layout *layout = (struct layout *)repo;
	if (layout->owned)
		store_free(layout->store);
	index_release(&layout->index);
	free(layout->base.name);
	free(layout);
}

const struct index *layout_index(const struct repo *repo)
{
	return &layout_of(repo)->index;
}

int layout_new(struct repo **out, struct store *store, bool owned, const char *name,
	       struct err *err)
{
	static const struct repo_ops ops = {
		.resolve = layout_resolve,
		.head = layout_head,
		.manifest = layout_manifest,
		.blob = layout_blob,
		.range = layout_range,
		.tags = layout_tags,
		.input = layout_input,
		.free = layout_free,
	};
	struct layout *layout = mem_make(struct layout, .base = { &ops, mem_strdup(name) },
					 .store = store, .owned = owned);
	AUTO(repo) repo = &layout->base;
	int r = check_version(store, err);
	if (r == 0)
		r = read_index(layout, err);
	if (r < 0)
		return r;
	*out = TAKE(repo);
	return 0;
}

int layout_open(struct repo **out, const struct ref *ref, struct err *err)
{
	struct store *store = NULL;
	auto_free char *name = ref_text(ref);
	int r = store_open_directory(&store, ref->path, err);
	if (r < 0)
		return r; /* names the path */
	r = layout_new(out, store, true, name, err);
	return r < 0 ? err_wrap(err, r, "layout '%s'", esc(ref->path)) : 0;
}

int oci_archive_open(struct repo **out, const struct ref *ref, struct err *err)
{
	struct store *store = NULL;
	auto_free char *name = ref_text(ref);
	int r = store_open_archive(&store, ref->path, err);
	if (r < 0)
		return r; /* names the path */
	r = layout_new(out, store, true, name, err);
	return r < 0 ? err_wrap(err, r, "archive '%s'", esc(ref->path)) : 0;
}
