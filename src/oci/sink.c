/*
 * Dispatch over the kinds of sink, and what those on disk share: reading a blob to its end while it
 * is verified, and the entry of an index.json.
 */
#include "oci/sink.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"

#define REF_NAME "org.opencontainers.image.ref.name"

int sink_has_blob(struct sink *sink, const struct descriptor *d, bool *there, struct err *err)
{
	return sink->ops->has_blob(sink, d, there, err);
}

int sink_put_blob(struct sink *sink, const struct sink_blob *blob, enum sink_outcome *outcome,
		  struct err *err)
{
	if (!digest_known(&blob->d->digest) || blob->d->size == UINT64_MAX)
		return err_set(err, EBADMSG, "blob without digest or size");
	int r = sink->ops->put_blob(sink, blob, outcome, err);
	return r < 0 ? err_wrap(err, r, "blob %s", digest_show(&blob->d->digest)) : 0;
}

int sink_has_document(struct sink *sink, const struct digest *digest, bool *there, struct err *err)
{
	return sink->ops->has_document(sink, digest, there, err);
}

int sink_put_document(struct sink *sink, const struct document *document, const char *tag,
		      struct err *err)
{
	return sink->ops->put_document(sink, document, tag, err);
}

int sink_tagged(struct sink *sink, const char *tag, struct digest *out, struct err *err)
{
	*out = (struct digest){ 0 };
	return sink->ops->tagged ? sink->ops->tagged(sink, tag, out, err) : 0;
}

int sink_list_tags(struct sink *sink, struct tags *out, struct err *err)
{
	*out = (struct tags){ 0 };
	return sink->ops->tags ? sink->ops->tags(sink, out, err) : 0;
}

int sink_finish(struct sink *sink, struct err *err)
{
	return sink->ops->finish ? sink->ops->finish(sink, err) : 0;
}

void sink_counts(struct sink *sink, struct repo_counts *out)
{
	static const struct repo_counts none = { 0 };
	*out = sink->ops->counts ? sink->ops->counts(sink) : none;
}

void sink_free(struct sink *sink)
{
	if (sink)
		sink->ops->free(sink);
}

int sink_open(struct sink **out, const struct ref *ref, const struct sink_options *options,
	      struct err *err)
{
	switch (ref->kind) {
	case REF_REGISTRY:
		return registry_sink_open(out, ref, options, err);
	case REF_OCI:
		return layout_sink_open(out, ref, err);
	case REF_OCI_ARCHIVE:
	case REF_DOCKER_ARCHIVE:
		return archive_sink_open(out, ref, err);
	default:
		return err_set(err, EINVAL, "unknown kind of image reference");
	}
}

/* --- blobs --- */

bool sink_blob_canceled(const struct sink_blob *blob)
{
	return (blob->cancel && atomic_load_explicit(blob->cancel, memory_order_relaxed)) ||
	       (blob->stop && atomic_load_explicit(blob->stop, memory_order_relaxed));
}

struct pouring {
	const struct sink_blob *blob;
	int (*put)(void *arg, const void *data, size_t size, struct err *err);
	void *arg;
};

static int pour_pieces(const struct pouring *p, struct stream *stream, struct hasher *hasher,
		       struct err *err)
{
	const struct sink_blob *blob = p->blob;
	uint64_t seen = 0;
	for (size_t size = 1; size > 0;) {
		const void *data = NULL;
		if (sink_blob_canceled(blob))
			return err_set(err, ECANCELED, "canceled");
		int r = stream_next(stream, &data, &size, err);
		if (r == 0 && size > blob->d->size - seen)
			r = err_set(err, EBADMSG, "more than the %llu bytes announced",
				    (unsigned long long)blob->d->size);
		if (r == 0 && size > 0)
			r = p->put(p->arg, data, size, err);
		if (r < 0)
			return r;
		hasher_add(hasher, data, size);
		seen += size;
		if (blob->sent)
			atomic_store(blob->sent, seen);
	}
	if (seen == blob->d->size)
		return 0;
	return err_set(err, EBADMSG, "%llu bytes instead of %llu", (unsigned long long)seen,
		       (unsigned long long)blob->d->size);
}

static int pour_once(const struct pouring *p, unsigned flags, struct err *err)
{
	AUTO(stream) stream = NULL;
	const struct descriptor *d = p->blob->d;
	AUTO(hasher) hasher = hasher_new(d->digest.algorithm);
	struct digest found;
	int r = 0;
	if (d->size > 0)
		r = p->blob->open(p->blob->arg, 0, d->size, flags, &stream, err);
	if (r == 0 && stream)
		r = pour_pieces(p, stream, hasher, err);
	if (r < 0)
		return r;
	hasher_finish(hasher, &found);
	return digest_equal(&found, &d->digest)
		       ? 0
		       : err_set(err, EBADMSG, "the bytes have digest %s", digest_show(&found));
}

int sink_pour(const struct sink_blob *blob,
	      int (*put)(void *arg, const void *data, size_t size, struct err *err),
	      int (*restart)(void *arg, struct err *err), void *arg, struct err *err)
{
	const struct pouring pouring = { blob, put, arg };
	int r = pour_once(&pouring, 0, err);
	if (r != -EBADMSG)
		return r;
	r = restart(arg, err);
	return r < 0 ? r : pour_once(&pouring, REPO_BLOB_FRESH, err);
}

/* --- index.json --- */

static bool is_called(const struct json_value *entry, const char *tag)
{
	const char *name = json_string(json_get(json_get(entry, "annotations"), REF_NAME));
	return tag ? str_equal(name, tag) : !name;
}

static bool names_digest(const struct json_value *entry, const struct document *document)
{
	return str_equal(json_string(json_get(entry, "digest")),
			 digest_show(&document->descriptor.digest));
}

static void add_entry(struct str *out, const struct document *document, const char *tag)
{
	str_add(out, "{\"mediaType\":");
	json_add_string(out, document->descriptor.media_type);
	str_addf(out, ",\"digest\":\"%s\",\"size\":%zu", digest_show(&document->descriptor.digest),
		 document->size);
	if (tag) {
		str_add(out, ",\"annotations\":{\"" REF_NAME "\":");
		json_add_string(out, tag);
		str_addc(out, '}');
	}
	str_addc(out, '}');
}

int sink_index_with(struct str *out, const char *index, size_t size,
		    const struct document *document, const char *tag, struct err *err)
{
	AUTO(json) json = NULL;
	int r = index ? json_parse(&json, index, size, 0, err) : 0;
	if (r < 0)
		return r;
	const struct json_value *entries = json ? json_get(json_root(json), "manifests") : NULL;
	str_add(out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[");
	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json_value *entry = json_at(entries, i);
		/* the same image without a name is not listed twice */
		if (tag ? is_called(entry, tag)
			: is_called(entry, NULL) && names_digest(entry, document))
			continue;
		json_add_value(out, entry);
		str_addc(out, ',');
	}
	add_entry(out, document, tag);
	str_add(out, "]}");
	return out->failed ? err_set(err, E2BIG, "index.json of more than %zu bytes", out->max) : 0;
}
