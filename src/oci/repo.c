/*
 * Dispatch over the kinds of repo, and what must hold for all of them: bytes that a digest names
 * are held against it here, whatever the implementation has checked before.
 */
#include "oci/repo.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

/* BYTES are what DIGEST and SIZE (UINT64_MAX: not known) say. */
static int check_bytes(const void *bytes, size_t size, const struct digest *digest,
		       uint64_t expected, struct err *err)
{
	if (expected != UINT64_MAX && size != expected)
		return err_set(err, EBADMSG, "%s has %zu bytes, its descriptor says %llu",
			       digest_show(digest), size, (unsigned long long)expected);
	struct digest found;
	digest_of(&found, digest->algorithm, bytes, size);
	if (!digest_equal(&found, digest))
		return err_set(err, EBADMSG, "digest is %s, expected %s", digest_show(&found),
			       digest_show(digest));
	return 0;
}

int repo_resolve(struct repo *repo, const struct ref *ref, struct document *out, struct err *err)
{
	auto_document document = { 0 };
	int r = repo->ops->resolve(repo, ref, &document, err);
	if (r < 0)
		return r;
	/* A digest that the user gave names the document, in the algorithm it was given in. */
	if (digest_known(&ref->digest))
		document.descriptor.digest = ref->digest;
	r = check_bytes(document.bytes, document.size, &document.descriptor.digest,
			document.descriptor.size, err);
	if (r < 0)
		return err_wrap(err, r, "manifest");
	*out = document;
	document = (struct document){ 0 };
	return 0;
}

int repo_head(struct repo *repo, const struct ref *ref, struct descriptor *out, struct err *err)
{
	return repo->ops->head(repo, ref, out, err);
}

int repo_tags(struct repo *repo, struct tags *out, struct err *err)
{
	*out = (struct tags){ 0 };
	return repo->ops->tags(repo, out, err);
}

int repo_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
		  struct err *err)
{
	auto_document document = { 0 };
	if (!digest_known(&d->digest))
		return err_set(err, EBADMSG, "manifest without a digest");
	if (d->size != UINT64_MAX && d->size > MANIFEST_MAX_BYTES)
		return err_set(err, E2BIG, "manifest %s has %llu bytes, %u are allowed",
			       digest_show(&d->digest), (unsigned long long)d->size,
			       MANIFEST_MAX_BYTES);
	int r = repo->ops->manifest(repo, d, &document, err);
	if (r < 0)
		return r;
	r = check_bytes(document.bytes, document.size, &d->digest, d->size, err);
	if (r < 0)
		return err_wrap(err, r, "manifest");
	*out = document;
	document = (struct document){ 0 };
	return 0;
}

int repo_blob(struct repo *repo, const struct descriptor *d, unsigned flags, struct stream **out,
	      struct err *err)
{
	if (!digest_known(&d->digest))
		return err_set(err, EBADMSG, "blob without a digest");
	return repo->ops->blob(repo, d, flags, out, err);
}

int repo_range(struct repo *repo, const struct descriptor *d, uint64_t offset, uint64_t length,
	       unsigned flags, struct stream **out, struct err *err)
{
	if (!digest_known(&d->digest))
		return err_set(err, EBADMSG, "blob without a digest");
	if (!repo->ops->range || d->size == UINT64_MAX)
		return err_set(err, EOPNOTSUPP, "blob %s cannot be read in parts",
			       digest_show(&d->digest));
	if (length == 0 || offset > d->size || length > d->size - offset)
		return err_set(err, EBADMSG, "%llu bytes at %llu are not inside blob %s of %llu",
			       (unsigned long long)length, (unsigned long long)offset,
			       digest_show(&d->digest), (unsigned long long)d->size);
	return repo->ops->range(repo, d, offset, length, flags, out, err);
}

struct blob_input {
	struct input base;
	struct repo *repo;	    /* borrowed */
	const struct descriptor *d; /* borrowed */
};

static int blob_read(struct input *input, void *buf, size_t size, uint64_t offset, struct err *err)
{
	const struct blob_input *b = (const struct blob_input *)input;
	AUTO(stream) stream = NULL;
	size_t got = 0, n = 1;
	int r = repo_range(b->repo, b->d, offset, size, 0, &stream, err);
	/* to its end and not only to the last byte, so that a connection can be used again */
	while (r == 0 && n > 0) {
		const void *data = NULL;
		r = stream_next(stream, &data, &n, err);
		if (r < 0 || n == 0)
			break;
		if (n > size - got)
			return err_set(err, EBADMSG, "blob %s has more bytes than were asked for",
				       digest_show(&b->d->digest));
		memcpy((char *)buf + got, data, n);
		got += n;
	}
	if (r == 0 && got < size)
		return err_set(err, EBADMSG, "%zu of %zu bytes of blob %s came", got, size,
			       digest_show(&b->d->digest));
	return r;
}

static int blob_stream(struct input *input, uint64_t offset, uint64_t size, struct stream **out,
		       struct err *err)
{
	const struct blob_input *b = (const struct blob_input *)input;
	return repo_range(b->repo, b->d, offset, size, 0, out, err);
}

static void blob_input_free(struct input *input)
{
	free(input);
}

struct input *repo_input(struct repo *repo, const struct descriptor *d)
{
	static const struct input_ops ops = { .read = blob_read,
					      .stream = blob_stream,
					      .free = blob_input_free };
	struct input *direct = repo->ops->input ? repo->ops->input(repo, d) : NULL;
	if (direct)
		return direct;
	struct blob_input *b = mem_make(struct blob_input, .base = { &ops, d->size }, .repo = repo,
					.d = d);
	return &b->base;
}

void repo_hurry(struct repo *repo, bool on)
{
	if (repo->ops->hurry)
		repo->ops->hurry(repo, on);
}

void repo_expect(struct repo *repo, unsigned requests)
{
	if (repo->ops->expect)
		repo->ops->expect(repo, requests);
}

void repo_abort(struct repo *repo)
{
	if (repo->ops->abort)
		repo->ops->abort(repo);
}

bool repo_pause(struct repo *repo, unsigned ms)
{
	return repo->ops->pause && repo->ops->pause(repo, ms);
}

void repo_counts(struct repo *repo, struct repo_counts *out)
{
	static const struct repo_counts none = { 0 };
	*out = repo->ops->counts ? repo->ops->counts(repo) : none;
}

static int read_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
		     size_t max_bytes, char **out, size_t *size, struct err *err)
{
	AUTO(stream) stream = NULL;
	auto_free char *bytes = NULL;
	size_t got = 0;
	int r = repo_blob(repo, d, flags, &stream, err);
	if (r == 0)
		r = stream_read_all(stream, max_bytes, &bytes, &got, err);
	if (r == 0)
		r = check_bytes(bytes, got, &d->digest, d->size, err);
	if (r < 0)
		return err_wrap(err, r, "blob %s", digest_show(&d->digest));
	*out = TAKE(bytes);
	*size = got;
	return 0;
}

int repo_blob_bytes(struct repo *repo, const struct descriptor *d, size_t max_bytes, char **out,
		    size_t *size, struct err *err)
{
	if (d->size != UINT64_MAX && d->size > max_bytes)
		return err_set(err, E2BIG, "blob %s has %llu bytes, %zu are allowed",
			       digest_show(&d->digest), (unsigned long long)d->size, max_bytes);
	int r = read_blob(repo, d, 0, max_bytes, out, size, err);
	/* bytes may have been bent on their way: once more, from the source */
	if (r == -EBADMSG)
		r = read_blob(repo, d, REPO_BLOB_FRESH, max_bytes, out, size, err);
	return r;
}

void repo_free(struct repo *repo)
{
	if (repo)
		repo->ops->free(repo);
}

int repo_open(struct repo **out, const struct ref *ref, const struct repo_options *options,
	      struct err *err)
{
	switch (ref->kind) {
	case REF_REGISTRY:
		return registry_open(out, ref, options, err);
	case REF_OCI:
		return layout_open(out, ref, err);
	case REF_OCI_ARCHIVE:
		return oci_archive_open(out, ref, err);
	case REF_DOCKER_ARCHIVE:
		return docker_archive_open(out, ref, err);
	default:
		return err_set(err, EINVAL, "unknown kind of image reference");
	}
}
