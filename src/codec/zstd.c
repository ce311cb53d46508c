/*
 * zstd frames, RFC 8878, by libzstd: any number of frames, skippable ones anywhere.  Called by
 * decoder.c.  The first four bytes of each frame are looked at here, so that nothing but the two
 * kinds of frame of the RFC reaches the library (which may also know older formats).
 */
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/cursor.h"
#include "codec/decoder-ops.h"

#define WINDOW_LOG_MAX 27 /* 128 MiB; what a frame may make us allocate */
#define MAGIC_BYTES 4
#define HEADER_BYTES_MAX 14 /* behind the magic */

struct zstd {
	struct decoder base;
	ZSTD_DCtx *context;		   /* owned */
	const struct decoder_watch *watch; /* borrowed; NULL for none */
	bool inside;			   /* of a frame, behind its magic */
	size_t header_left;		   /* bytes of the frame that may still be its header's */
	uint8_t magic[MAGIC_BYTES];
	size_t magic_size; /* read of the next frame's */
	uint64_t frames;
};

static int fail(size_t code, struct err *err)
{
	return err_set(err, EBADMSG, "zstd: %s", ZSTD_getErrorName(code));
}

/*
 * Returns 1 when something was done, 0 when there is nothing to do it with.
 *
 * What may be the header goes in byte by byte: when a header ends, libzstd 1.5 looks whether the
 * whole frame lies in this call's input, and takes the start of the input for the start of the
 * frame.  The magic was given before; a header that looks like a skippable frame would then be
 * taken for one.
 */
static int inside_frame(struct zstd *z, struct decoder_io *io, struct err *err)
{
	if (io->out_size == 0)
		return 0;
	ZSTD_inBuffer in = { io->in, io->in_size, 0 };
	if (z->header_left > 0 && in.size > 1)
		in.size = 1;
	ZSTD_outBuffer out = { io->out, io->out_size, 0 };
	size_t r = ZSTD_decompressStream(z->context, &out, &in);
	if (ZSTD_isError(r))
		return fail(r, err);
	z->header_left -= z->header_left > 0 ? in.pos : 0;
	io->in += in.pos;
	io->in_size -= in.pos;
	io->out += out.pos;
	io->out_size -= out.pos;
	if (r == 0) {
		z->inside = false;
		z->magic_size = 0;
		z->frames++;
		return 1;
	}
	return in.pos + out.pos > 0;
}

static int before_frame(struct zstd *z, struct decoder_io *io, struct err *err)
{
	if (io->in_size == 0)
		return 0;
	z->magic[z->magic_size++] = *io->in++;
	io->in_size--;
	if (z->magic_size == 1 && z->watch) {
		int r = z->watch->start(z->watch->arg, err);
		if (r < 0)
			return r;
	}
	if (z->magic_size < MAGIC_BYTES)
		return 1;
	if (codec_detect(z->magic, MAGIC_BYTES) != CODEC_ZSTD)
		return err_set(err, EBADMSG, "zstd: garbage behind %llu frames",
			       (unsigned long long)z->frames);
	uint8_t none;
	ZSTD_inBuffer in = { z->magic, MAGIC_BYTES, 0 };
	ZSTD_outBuffer out = { &none, 0, 0 };
	size_t r = ZSTD_decompressStream(z->context, &out, &in);
	if (ZSTD_isError(r))
		return fail(r, err);
	z->inside = true;
	z->header_left = HEADER_BYTES_MAX;
	return 1;
}

static int zstd_run(struct decoder *decoder, struct decoder_io *io, bool input_ended,
		    struct err *err)
{
	struct zstd *z = (struct zstd *)decoder;
	int r;
	do
		r = z->inside ? inside_frame(z, io, err) : before_frame(z, io, err);
	while (r > 0);
	if (r < 0 || !input_ended || io->in_size > 0 || io->out_size == 0)
		return r;
	if (z->inside || z->magic_size > 0)
		return err_set(err, EBADMSG, "zstd: frame %llu is cut short",
			       (unsigned long long)z->frames + 1);
	if (z->frames == 0)
		return err_set(err, EBADMSG, "zstd data are empty");
	return 0;
}

static void zstd_free(struct decoder *decoder)
{
	struct zstd *z = (struct zstd *)decoder;
	ZSTD_freeDCtx(z->context);
	free(z);
}

int zstd_decoder_new(struct decoder **out, const struct decoder_watch *watch, struct err *err)
{
	static const struct decoder_ops ops = { zstd_run, zstd_free };
	struct zstd *z = mem_make(struct zstd, .base = { &ops }, .watch = watch);
	AUTO(decoder) decoder = &z->base;
	z->context = ZSTD_createDCtx();
	if (!z->context)
		return err_set(err, ENOMEM, "out of memory for a zstd decoder");
	size_t r = ZSTD_DCtx_setParameter(z->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	if (ZSTD_isError(r))
		return fail(r, err);
	*out = TAKE(decoder);
	return 0;
}
