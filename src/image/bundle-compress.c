/*
 * Compressing the layers of a bundle anew: each is decoded and encoded into a file without a name,
 * its descriptor takes the old one's place in the manifest, the manifest's in the index, and so up.
 * What is read is verified, for the old digest is the last that says what the layer was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "codec/encoder.h"
#include "image/bundle-internal.h"
#include "oci/store.h"

#define PIECE_BYTES (256u * 1024)

struct compressing {
	struct bundle *bundle; /* borrowed */
	enum codec codec;
	const atomic_bool *cancel;     /* borrowed or NULL */
	struct bundle_change *changes; /* owned */
	size_t count, capacity;
};

static void compressing_release(struct compressing *c)
{
	for (size_t i = 0; i < c->count; i++)
		descriptor_release(&c->changes[i].to);
	free(c->changes);
}

static void add_change(struct compressing *c, const struct digest *from,
		       const struct descriptor *to)
{
	c->changes = mem_grow(c->changes, &c->capacity, c->count, sizeof(*c->changes));
	struct bundle_change *change = &c->changes[c->count++];
	*change = (struct bundle_change){ .from = *from };
	descriptor_copy(&change->to, to);
}

static bool is_changed(const struct compressing *c, const struct digest *digest)
{
	for (size_t i = 0; i < c->count; i++)
		if (digest_equal(&c->changes[i].from, digest))
			return true;
	return false;
}

/* --- one layer --- */

/* What passes through is hashed. */
struct tap {
	struct stream base;
	struct stream *inner;  /* owned */
	struct hasher *hasher; /* owned */
	uint64_t size;
};

static int tap_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct tap *tap = (struct tap *)stream;
	int r = stream_next(tap->inner, data, size, err);
	if (r == 0 && *size > 0) {
		hasher_add(tap->hasher, *data, *size);
		tap->size += *size;
	}
	return r;
}

/* Freed by its owner below, not by the decoder that reads it. */
static void tap_free(struct stream *stream)
{
	(void)stream;
}

static int tap_verify(struct tap *tap, const struct descriptor *d, struct err *err)
{
	const void *data = NULL;
	struct digest found;
	for (size_t n = 1; n > 0;) {
		int r = tap_next(&tap->base, &data, &n, err);
		if (r < 0)
			return r;
	}
	hasher_finish(tap->hasher, &found);
	if (tap->size != d->size || !digest_equal(&found, &d->digest))
		return err_set(err, EBADMSG, "the bytes have digest %s", digest_show(&found));
	return 0;
}

struct output {
	int fd;		       /* owned */
	struct hasher *hasher; /* owned */
	uint64_t size;
};

static void output_release(struct output *out)
{
	mem_close_fd(&out->fd);
	hasher_free(out->hasher);
}

static int output_put(void *arg, const void *data, size_t size, struct err *err)
{
	struct output *out = arg;
	hasher_add(out->hasher, data, size);
	out->size += size;
	return io_write_all(out->fd, data, size, err);
}

static int encode(const struct compressing *c, struct stream *decoded, struct output *out,
		  struct err *err)
{
	AUTO(encoder) encoder = NULL;
	const struct encoder_put put = { output_put, out };
	int r = encoder_new(&encoder, c->codec, err);
	for (size_t size = 1; r == 0 && size > 0;) {
		const void *data = NULL;
		if (c->cancel && atomic_load(c->cancel))
			return err_set(err, ECANCELED, "canceled");
		r = stream_next(decoded, &data, &size, err);
		if (r == 0)
			r = encoder_run(encoder, data, size, size == 0, &put, err);
	}
	return r;
}

static int recode(const struct compressing *c, const struct bundle_blob *blob, struct output *out,
		  struct err *err)
{
	static const struct stream_ops ops = { .next = tap_next, .free = tap_free };
	AUTO(stream) inner = NULL;
	AUTO(hasher) hasher = hasher_new(blob->digest.algorithm);
	int r = repo_blob(blob->repo, &blob->d, 0, &inner, err);
	if (r < 0)
		return r;
	struct tap tap = { { &ops }, inner, hasher, 0 };
	AUTO(stream) decoded = decoder_stream(&tap.base, PIECE_BYTES);
	r = encode(c, decoded, out, err);
	return r < 0 ? r : tap_verify(&tap, &blob->d, err);
}

/* By its bytes: what a media type says is not always so. */
static int find_codec(const struct bundle_blob *blob, enum codec *out, struct err *err)
{
	AUTO(stream) stream = NULL;
	const void *data = NULL;
	uint8_t magic[CODEC_MAGIC_BYTES];
	size_t have = 0, size = 1;
	int r = repo_blob(blob->repo, &blob->d, 0, &stream, err);
	while (r == 0 && have < sizeof(magic) && size > 0) {
		r = stream_next(stream, &data, &size, err);
		size_t n = size < sizeof(magic) - have ? size : sizeof(magic) - have;
		if (r == 0 && n > 0)
			memcpy(magic + have, data, n);
		have += r == 0 ? n : 0;
	}
	if (r == 0)
		*out = codec_detect(magic, have);
	return r;
}

static const char *layer_type(const char *before, enum codec codec)
{
	if (codec == CODEC_ZSTD)
		return "application/vnd.oci.image.layer.v1.tar+zstd";
	return strstr(before, "docker") ? "application/vnd.docker.image.rootfs.diff.tar.gzip"
					: "application/vnd.oci.image.layer.v1.tar+gzip";
}

static int store_layer(struct compressing *c, const struct bundle_blob *old, struct output *out,
		       struct err *err)
{
	auto_descriptor d = { .size = out->size };
	struct bundle_blob *blob = NULL;
	d.media_type = mem_strdup(layer_type(old->d.media_type, c->codec));
	hasher_finish(out->hasher, &d.digest);
	int r = bundle_add_blob(c->bundle, old->repo, &d, &blob, err);
	if (r < 0)
		return r;
	if (blob->spool < 0)
		blob->spool = TAKE_FD(out->fd);
	add_change(c, &old->digest, &d);
	return 0;
}

static int change_layer(void *arg, const struct descriptor *d, struct err *err)
{
	struct compressing *c = arg;
	enum codec codec = CODEC_NONE;
	if (media_kind(d->media_type) != MEDIA_LAYER || is_changed(c, &d->digest))
		return 0;
	const struct bundle_blob *blob = bundle_find_blob(c->bundle, &d->digest);
	if (!blob || blob->spool >= 0)
		return 0;
	int r = find_codec(blob, &codec, err);
	if (r < 0 || codec == c->codec)
		return r < 0 ? err_wrap(err, r, "layer %s", digest_show(&d->digest)) : 0;
	__attribute__((cleanup(output_release))) struct output out = {
		.fd = spool_open(err),
		.hasher = hasher_new(DIGEST_SHA256),
	};
	if (out.fd < 0)
		return out.fd;
	r = recode(c, blob, &out, err);
	if (r == 0)
		r = store_layer(c, blob, &out, err);
	return r < 0 ? err_wrap(err, r, "compress layer %s", digest_show(&d->digest)) : 0;
}

/* --- the documents --- */

static int is_image_config(void *arg, const struct descriptor *d, struct err *err)
{
	(void)err;
	if (media_kind(d->media_type) == MEDIA_CONFIG)
		*(bool *)arg = true;
	return 0;
}

static int change_node(struct compressing *c, struct document *document, struct err *err)
{
	bool is_image = false;
	int r = 0;
	if (media_kind(document->descriptor.media_type) == MEDIA_MANIFEST) {
		r = bundle_each_blob(document, is_image_config, &is_image, err);
		if (r == 0 && is_image)
			r = bundle_each_blob(document, change_layer, c, err);
	}
	if (r < 0)
		return r;
	const struct digest before = document->descriptor.digest;
	const struct bundle_edit edit = {
		.changes = c->changes,
		.count = c->count,
		.to_oci = c->codec == CODEC_ZSTD,
	};
	r = bundle_edit_document(document, &edit, err);
	if (r == 0 && !digest_equal(&before, &document->descriptor.digest))
		add_change(c, &before, &document->descriptor);
	return r;
}

int bundle_compress(struct bundle *bundle, enum codec codec, const atomic_bool *cancel,
		    struct err *err)
{
	__attribute__((cleanup(compressing_release))) struct compressing c = {
		.bundle = bundle,
		.codec = codec,
		.cancel = cancel,
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < bundle->count; i++)
		r = change_node(&c, &bundle->nodes[i].document, err);
	return r;
}
