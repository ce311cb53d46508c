/*
 * The stream that a PATCH sends.  The digest is found while the bytes pass; when a part has to be
 * sent again from its middle it cannot be any more, and the registry's own check must do.
 */
#include "oci/upload-part.h"

#include <errno.h>
#include <stdlib.h>

struct part_stream {
	struct stream base;
	struct part *part;     /* borrowed */
	struct stream *source; /* owned */
	uint64_t at, left;
	bool counts; /* it goes on where the hasher is */
};

static int checked_next(struct part_stream *p, const void **data, size_t *size, struct err *err)
{
	const struct sink_blob *blob = p->part->blob;
	if (sink_blob_canceled(blob))
		return err_set(err, ECANCELED, "canceled");
	int r = stream_next(p->source, data, size, err);
	if (r < 0)
		return r;
	if (*size > p->left || (*size == 0 && p->left > 0))
		return err_set(err, EBADMSG, "it has %s than its %llu bytes",
			       *size ? "more" : "fewer", (unsigned long long)blob->d->size);
	return 0;
}

static int part_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct part_stream *p = (struct part_stream *)stream;
	int r = checked_next(p, data, size, err);
	if (r < 0) {
		p->part->failed = true;
		return r;
	}
	if (p->counts) {
		hasher_add(p->part->hasher, *data, *size);
		p->part->hashed += *size;
	}
	p->at += *size;
	p->left -= *size;
	if (p->part->blob->sent)
		atomic_store(p->part->blob->sent, p->at);
	return 0;
}

static void part_free(struct stream *stream)
{
	struct part_stream *p = (struct part_stream *)stream;
	stream_free(p->source);
	free(p);
}

/* From the start the digest can be found anew; elsewhere only by going on. */
static bool hash_on(struct part *part)
{
	if (part->offset == 0) {
		hasher_free(part->hasher);
		part->hasher = hasher_new(part->blob->d->digest.algorithm);
		part->hashed = 0;
	} else if (part->hasher && part->hashed != part->offset) {
		hasher_free(TAKE(part->hasher));
	}
	return part->hasher != NULL;
}

int part_open(void *arg, struct stream **out, struct err *err)
{
	static const struct stream_ops ops = { .next = part_next, .free = part_free };
	struct part *part = arg;
	struct stream *source = NULL;
	int r = part->blob->open(part->blob->arg, part->offset, part->length, part->flags, &source,
				 err);
	if (r < 0) {
		part->failed = true;
		return r;
	}
	struct part_stream *p = mem_make(struct part_stream, .base = { &ops }, .part = part,
					 .source = source, .at = part->offset,
					 .left = part->length);
	p->counts = hash_on(part);
	*out = &p->base;
	return 0;
}

int part_verify(struct part *part, struct err *err)
{
	const struct descriptor *d = part->blob->d;
	AUTO(hasher) hasher = TAKE(part->hasher);
	struct digest found;
	if (!hasher || part->hashed != d->size)
		return 0;
	hasher_finish(hasher, &found);
	if (digest_equal(&found, &d->digest))
		return 0;
	part->failed = true;
	return err_set(err, EBADMSG, "the bytes have digest %s", digest_show(&found));
}

void part_release(struct part *part)
{
	hasher_free(TAKE(part->hasher));
}
