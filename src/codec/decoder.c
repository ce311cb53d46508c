/*
 * Which codec a blob has, and a stream over the decoder for it.  The stream reads pieces from the
 * one below, fills one piece of its own as far as it can and lends that; plain blobs are lent on as
 * they come.  Called by everything that reads a layer or an archive.
 */
#include "codec/decoder.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "codec/decoder-ops.h"
#include "codec/gzip.h"

#define ZSTD_MAGIC 0xfd2fb528
#define ZSTD_SKIPPABLE_MAGIC 0x184d2a50 /* ..5f */

enum codec codec_detect(const void *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct cursor gz = c;
	uint16_t start = cursor_le16(&gz);
	if (!gz.bad && start == 0x8b1f)
		return CODEC_GZIP;
	uint32_t magic = cursor_le32(&c);
	if (!c.bad && (magic == ZSTD_MAGIC || (magic & ~0xfu) == ZSTD_SKIPPABLE_MAGIC))
		return CODEC_ZSTD;
	return CODEC_NONE;
}

const char *codec_name(enum codec codec)
{
	static const char *const names[] = { "plain", "gzip", "zstd" };
	return names[codec];
}

const char *codec_gzip_library(void)
{
	return gzip_inflate_best->library();
}

static int plain_run(struct decoder *decoder, struct decoder_io *io, bool input_ended,
		     struct err *err)
{
	(void)decoder;
	(void)input_ended;
	(void)err;
	size_t n = io->in_size < io->out_size ? io->in_size : io->out_size;
	if (n > 0)
		memcpy(io->out, io->in, n);
	io->in += n;
	io->in_size -= n;
	io->out += n;
	io->out_size -= n;
	return 0;
}

static void plain_free(struct decoder *decoder)
{
	free(decoder);
}

int decoder_new(struct decoder **out, enum codec codec, struct err *err)
{
	static const struct decoder_ops plain = { plain_run, plain_free };
	if (codec == CODEC_ZSTD)
		return zstd_decoder_new(out, NULL, err);
	if (codec == CODEC_GZIP)
		*out = gzip_decoder_new(gzip_inflate_best);
	else
		*out = mem_make(struct decoder, &plain);
	return 0;
}

void decoder_free(struct decoder *decoder)
{
	if (decoder)
		decoder->ops->free(decoder);
}

int decoder_run(struct decoder *decoder, struct decoder_io *io, bool input_ended, struct err *err)
{
	/* decoders add what they took, and NULL has no offset, not even 0 */
	if (!io->in)
		io->in = (const uint8_t *)"";
	return decoder->ops->run(decoder, io, input_ended, err);
}

struct decoder_stream {
	struct stream base;
	struct stream *input; /* owned */
	const uint8_t *in;    /* borrowed from input, or from magic */
	size_t in_size;
	bool input_ended;
	bool detected;
	enum codec codec;
	uint8_t magic[CODEC_MAGIC_BYTES]; /* the first bytes, when they came in smaller pieces */
	const uint8_t *piece_after_magic; /* borrowed from input */
	size_t size_after_magic;
	struct decoder *decoder; /* owned; NULL when plain */
	uint8_t *piece;		 /* owned, piece_bytes; NULL when plain */
	size_t piece_bytes;
	const uint8_t *kept; /* what skip left of a piece, borrowed */
	size_t kept_size;
};

/* Have something in in/in_size, or know that the input has ended. */
static int fill(struct decoder_stream *d, struct err *err)
{
	if (d->in_size > 0 || d->input_ended)
		return 0;
	if (d->size_after_magic > 0) {
		d->in = d->piece_after_magic;
		d->in_size = d->size_after_magic;
		d->size_after_magic = 0;
		return 0;
	}
	const void *data = NULL;
	int r = stream_next(d->input, &data, &d->in_size, err);
	d->in = data;
	d->input_ended = r == 0 && d->in_size == 0;
	return r;
}

/* The first CODEC_MAGIC_BYTES in one place: in the first piece, or gathered in magic. */
static int gather_magic(struct decoder_stream *d, struct err *err)
{
	size_t have = 0;
	int r = fill(d, err);
	if (r < 0 || d->in_size >= CODEC_MAGIC_BYTES)
		return r;
	while (have < CODEC_MAGIC_BYTES && !d->input_ended) {
		size_t n = CODEC_MAGIC_BYTES - have;
		n = n < d->in_size ? n : d->in_size;
		memcpy(d->magic + have, d->in, n);
		have += n;
		d->in += n;
		d->in_size -= n;
		r = have < CODEC_MAGIC_BYTES ? fill(d, err) : 0;
		if (r < 0)
			return r;
	}
	d->piece_after_magic = d->in;
	d->size_after_magic = d->in_size;
	d->in = d->magic;
	d->in_size = have;
	return 0;
}

static int detect(struct decoder_stream *d, struct err *err)
{
	int r = gather_magic(d, err);
	if (r < 0)
		return r;
	d->codec = codec_detect(d->in, d->in_size);
	if (d->codec != CODEC_NONE) {
		r = decoder_new(&d->decoder, d->codec, err);
		if (r < 0)
			return r;
		d->piece = mem_new(d->piece_bytes);
	}
	d->detected = true;
	return 0;
}

static int next_plain(struct decoder_stream *d, const void **data, size_t *size, struct err *err)
{
	int r = fill(d, err);
	if (r < 0)
		return r;
	*data = d->in;
	*size = d->in_size;
	d->in_size = 0;
	return 0;
}

static int next_decoded(struct decoder_stream *d, const void **data, size_t *size, struct err *err)
{
	struct decoder_io io = { .out = d->piece, .out_size = d->piece_bytes };
	bool ended = false;
	while (io.out_size > 0 && !ended) {
		int r = fill(d, err);
		if (r < 0)
			return r;
		ended = d->input_ended;
		io.in = d->in;
		io.in_size = d->in_size;
		r = decoder_run(d->decoder, &io, ended, err);
		d->in = io.in;
		d->in_size = io.in_size;
		if (r < 0)
			return r;
	}
	*data = d->piece;
	*size = d->piece_bytes - io.out_size;
	return 0;
}

static int decoder_stream_next(struct stream *stream, const void **data, size_t *size,
			       struct err *err)
{
	struct decoder_stream *d = (struct decoder_stream *)stream;
	if (d->kept_size > 0) {
		*data = d->kept;
		*size = d->kept_size;
		d->kept_size = 0;
		return 0;
	}
	int r = d->detected ? 0 : detect(d, err);
	if (r < 0)
		return r;
	return d->decoder ? next_decoded(d, data, size, err) : next_plain(d, data, size, err);
}

static int decoder_stream_skip(struct stream *stream, uint64_t n, struct err *err)
{
	struct decoder_stream *d = (struct decoder_stream *)stream;
	while (n > 0) {
		bool plain = d->detected && !d->decoder && d->kept_size + d->in_size == 0;
		if (plain && d->size_after_magic == 0 && d->input->ops->skip)
			return stream_skip(d->input, n, err);
		const void *data = NULL;
		size_t size = 0;
		int r = decoder_stream_next(stream, &data, &size, err);
		if (r < 0)
			return r;
		if (size == 0)
			return err_set(err, EBADMSG, "data end %llu bytes early",
				       (unsigned long long)n);
		size_t passed = n < size ? (size_t)n : size;
		d->kept = (const uint8_t *)data + passed;
		d->kept_size = size - passed;
		n -= passed;
	}
	return 0;
}

static void decoder_stream_free(struct stream *stream)
{
	struct decoder_stream *d = (struct decoder_stream *)stream;
	decoder_free(d->decoder);
	stream_free(d->input);
	free(d->piece);
	free(d);
}

struct stream *decoder_stream(struct stream *input, size_t piece_bytes)
{
	static const struct stream_ops ops = { decoder_stream_next, decoder_stream_skip,
					       decoder_stream_free };
	struct decoder_stream *d = mem_make(struct decoder_stream, .base = { &ops }, .input = input,
					    .piece_bytes = piece_bytes);
	return &d->base;
}
