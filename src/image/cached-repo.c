/*
 * Two kinds of cached files: a document (media type, NUL, bytes) by its digest, and by a
 * reference's text which document it named last, and when.  Bytes are held against their digest by
 * oci/repo.c like those of any other repo.
 */
#include "image/cached-repo.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/esc.h"
#include "base/log.h"
#include "base/str.h"
#include "oci/manifest.h"

#define MEDIA_TYPE_MAX_BYTES 256
#define NAME_VALUE_MAX_BYTES 256
#define EXPECTED_REQUESTS 8 /* at once, behind a new manifest: its config, tables of its layers */

struct cached_repo {
	struct repo base;
	struct repo *under;  /* owned */
	struct cache *cache; /* borrowed */
	struct digest name;  /* the key of what the reference named */
	_Atomic int64_t stale_since;
};

static struct cached_repo *of(struct repo *repo)
{
	return (struct cached_repo *)repo;
}

/* --- the files --- */

/* Is it in the cache already?  Asking also says that it is of use. */
static bool has_file(struct cached_repo *c, const struct digest *digest, const struct str *file)
{
	struct cache_map map = { 0 };
	if (cache_get(c->cache, CACHE_DOCUMENT, digest, &map, NULL) < 0 || !map.data)
		return false;
	bool same = map.size == file->length && memcmp(map.data, file->data, map.size) == 0;
	cache_map_release(&map);
	return same;
}

static void put_document(struct cached_repo *c, const struct digest *digest, const char *media_type,
			 const void *bytes, size_t size)
{
	auto_str file = STR_MAX((size_t)CONFIG_MAX_BYTES + MEDIA_TYPE_MAX_BYTES);
	struct err err = { 0 };
	media_type = media_type ? media_type : "";
	if (strlen(media_type) >= MEDIA_TYPE_MAX_BYTES)
		return;
	str_add(&file, media_type);
	str_addc(&file, '\0');
	str_addn(&file, bytes, size);
	if (!file.failed && !has_file(c, digest, &file) &&
	    cache_put(c->cache, CACHE_DOCUMENT, digest, file.data, file.length, &err) < 0)
		log_debug("'%s' is not kept: %s", digest_show(digest), err_text(&err));
}

/* The document in a cached file; false when it is not what the digest says. */
static bool read_document(const struct cache_map *map, const struct digest *digest,
			  struct document *out)
{
	const char *type = map->data, *end = memchr(type, '\0', map->size);
	if (!end)
		return false;
	size_t size = map->size - (size_t)(end + 1 - type);
	struct digest found;
	digest_of(&found, digest->algorithm, end + 1, size);
	if (!digest_equal(&found, digest))
		return false;
	*out = (struct document){
		.descriptor = { .media_type = *type ? mem_strdup(type) : NULL,
				.digest = *digest,
				.size = size },
		.bytes = mem_new(size + 1),
		.size = size,
	};
	memcpy(out->bytes, end + 1, size);
	return true;
}

static bool get_document(struct cached_repo *c, const struct digest *digest, struct document *out)
{
	struct cache_map map = { 0 };
	if (cache_get(c->cache, CACHE_DOCUMENT, digest, &map, NULL) < 0 || !map.data)
		return false;
	bool good = read_document(&map, digest, out);
	cache_map_release(&map);
	return good;
}

/* "DIGEST TIME" */
static void put_name(struct cached_repo *c, const struct digest *digest)
{
	auto_str value = STR_MAX(NAME_VALUE_MAX_BYTES);
	str_addf(&value, "%s %lld", digest_show(digest), (long long)time(NULL));
	IGNORE(cache_put(c->cache, CACHE_NAME, &c->name, value.data, value.length, NULL));
}

static bool get_name(struct cached_repo *c, struct digest *digest, int64_t *when)
{
	struct cache_map map = { 0 };
	if (cache_get(c->cache, CACHE_NAME, &c->name, &map, NULL) < 0 || !map.data)
		return false;
	auto_free char *text = mem_strndup(map.data, map.size);
	cache_map_release(&map);
	char *space = strchr(text, ' ');
	unsigned long long seconds;
	if (!space || !str_parse_u64(space + 1, &seconds) || seconds > INT64_MAX)
		return false;
	*space = '\0';
	*when = (int64_t)seconds;
	return digest_parse(digest, text, NULL) == 0;
}

/* --- the operations --- */

static bool is_away(int r)
{
	return r == -EAGAIN || r == -ETIMEDOUT || r == -EPROTO;
}

/* What REF named the last time, when that is known, and when that was. */
static bool recall(struct cached_repo *c, const struct ref *ref, struct document *out,
		   int64_t *when_s)
{
	struct digest digest;
	int64_t when;
	if (!get_name(c, &digest, &when))
		return false;
	if (digest_known(&ref->digest) && !digest_equal(&ref->digest, &digest))
		return false;
	*when_s = when;
	return get_document(c, &digest, out);
}

static int cached_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			  struct err *err)
{
	struct cached_repo *c = of(repo);
	struct document known = { 0 };
	struct err why = { 0 };
	int64_t when = 0;
	/* what a digest names does not change */
	if (digest_known(&ref->digest) && get_document(c, &ref->digest, out))
		return 0;
	bool recalled = recall(c, ref, &known, &when);
	repo_hurry(c->under, recalled);
	repo_expect(c->under, recalled ? 0 : EXPECTED_REQUESTS);
	int r = repo_resolve(c->under, ref, out, &why);
	repo_hurry(c->under, false);
	if (r < 0 && is_away(r) && recalled) {
		log_debug("'%s' is what it was: %s", esc(repo->name), err_text(&why));
		atomic_store(&c->stale_since, when);
		*out = known;
		return 0;
	}
	document_release(&known);
	if (r == 0) {
		const struct descriptor *d = &out->descriptor;
		put_document(c, &d->digest, d->media_type, out->bytes, out->size);
		put_name(c, &d->digest);
		return 0;
	}
	if (err)
		*err = why;
	return r;
}

static int cached_head(struct repo *repo, const struct ref *ref, struct descriptor *out,
		       struct err *err)
{
	return repo_head(of(repo)->under, ref, out, err);
}

static int cached_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			   struct err *err)
{
	struct cached_repo *c = of(repo);
	if (get_document(c, &d->digest, out))
		return 0;
	int r = repo_manifest(c->under, d, out, err);
	if (r == 0)
		put_document(c, &d->digest, out->descriptor.media_type, out->bytes, out->size);
	return r;
}

/* A stream of bytes it owns. */
struct owned_stream {
	struct stream base;
	char *bytes; /* owned */
	size_t size;
};

static int owned_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct owned_stream *s = (struct owned_stream *)stream;
	(void)err;
	*data = s->bytes;
	*size = s->size;
	s->size = 0;
	return 0;
}

static void owned_free(struct stream *stream)
{
	free(((struct owned_stream *)stream)->bytes);
	free(stream);
}

static struct stream *owned_stream(char *bytes, size_t size)
{
	static const struct stream_ops ops = { .next = owned_next, .free = owned_free };
	return &mem_make(struct owned_stream, .base = { &ops }, .bytes = bytes, .size = size)->base;
}

/* Configs are small and belong to the manifest: kept.  Layers' blobs are not. */
static int cached_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
		       struct stream **out, struct err *err)
{
	struct cached_repo *c = of(repo);
	if (media_kind(d->media_type) != MEDIA_CONFIG || d->size > CONFIG_MAX_BYTES)
		return repo_blob(c->under, d, flags, out, err);
	struct document document = { 0 };
	if (get_document(c, &d->digest, &document)) {
		*out = owned_stream(TAKE(document.bytes), document.size);
		document_release(&document);
		return 0;
	}
	auto_free char *bytes = NULL;
	size_t size;
	int r = repo_blob_bytes(c->under, d, CONFIG_MAX_BYTES, &bytes, &size, err);
	if (r < 0)
		return r;
	put_document(c, &d->digest, d->media_type, bytes, size);
	*out = owned_stream(TAKE(bytes), size);
	return 0;
}

static int cached_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
			uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	return repo_range(of(repo)->under, d, offset, length, flags, out, err);
}

static int cached_tags(struct repo *repo, struct tags *out, struct err *err)
{
	return repo_tags(of(repo)->under, out, err);
}

static void cached_abort(struct repo *repo)
{
	repo_abort(of(repo)->under);
}

static struct repo_counts cached_counts(struct repo *repo)
{
	struct repo_counts counts;
	repo_counts(of(repo)->under, &counts);
	return counts;
}

static void cached_free(struct repo *repo)
{
	repo_free(of(repo)->under);
	free(repo->name);
	free(repo);
}

struct repo *cached_repo_new(struct repo *under, struct cache *cache, const struct ref *ref)
{
	static const struct repo_ops ops = {
		.resolve = cached_resolve,
		.head = cached_head,
		.manifest = cached_manifest,
		.blob = cached_blob,
		.range = cached_range,
		.tags = cached_tags,
		.free = cached_free,
		.abort = cached_abort,
		.counts = cached_counts,
	};
	auto_free char *text = ref_text(ref);
	struct cached_repo *c = mem_make(struct cached_repo,
					 .base = { &ops, mem_strdup(under->name) }, .under = under,
					 .cache = cache);
	digest_of(&c->name, DIGEST_SHA256, text, strlen(text));
	return &c->base;
}

int64_t cached_repo_stale_since(const struct repo *repo)
{
	return atomic_load(&((const struct cached_repo *)repo)->stale_since);
}
