/*
 * The two encoders behind one interface: zlib's deflate with a gzip header that names nothing, and
 * zstd with a checksum.  Levels are the usual ones of image tools.  Used when an image is pushed
 * with another compression than it has.
 */
#define ZLIB_CONST /* next_in is not written to */
#include "codec/encoder.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_LEVEL 6
#define GZIP_WINDOW (15 + 16) /* a gzip header */
#define GZIP_MEMORY 8
#define GZIP_OS_UNKNOWN 255
#define ZSTD_LEVEL 3
#define ROOM_BYTES (64u * 1024)
#define SLICE_BYTES (1u << 20) /* zlib counts in unsigned int */

struct encoder {
	enum codec codec;
	z_stream gzip;
	gz_header header;
	ZSTD_CCtx *zstd; /* owned, or NULL */
	uint8_t room[ROOM_BYTES];
};

static int gzip_begin(struct encoder *encoder, struct err *err)
{
	encoder->header = (gz_header){ .os = GZIP_OS_UNKNOWN };
	if (deflateInit2(&encoder->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflateSetHeader(&encoder->gzip, &encoder->header) != Z_OK)
		return err_set(err, ENOMEM, "cannot compress by gzip");
	return 0;
}

static int zstd_begin(struct encoder *encoder, struct err *err)
{
	encoder->zstd = ZSTD_createCCtx();
	if (!encoder->zstd ||
	    ZSTD_isError(
		    ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_checksumFlag, 1)))
		return err_set(err, ENOMEM, "cannot compress by zstd");
	return 0;
}

int encoder_new(struct encoder **out, enum codec codec, struct err *err)
{
	if (codec != CODEC_GZIP && codec != CODEC_ZSTD)
		return err_set(err, EINVAL, "no compression is chosen");
	AUTO(encoder) encoder = mem_make(struct encoder, .codec = codec);
	int r = codec == CODEC_GZIP ? gzip_begin(encoder, err) : zstd_begin(encoder, err);
	if (r < 0)
		return r;
	*out = TAKE(encoder);
	return 0;
}

void encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	if (encoder->codec == CODEC_GZIP)
		(void)deflateEnd(&encoder->gzip);
	ZSTD_freeCCtx(encoder->zstd);
	free(encoder);
}

static int gzip_run(struct encoder *encoder, const uint8_t *data, size_t size, bool ended,
		    const struct encoder_put *put, struct err *err)
{
	z_stream *z = &encoder->gzip;
	int code = Z_OK;
	z->next_in = data;
	z->avail_in = (uInt)size;
	do {
		z->next_out = encoder->room;
		z->avail_out = ROOM_BYTES;
		code = deflate(z, ended ? Z_FINISH : Z_NO_FLUSH);
		if (code == Z_STREAM_ERROR)
			return err_set(err, EIO, "zlib cannot compress");
		size_t n = ROOM_BYTES - z->avail_out;
		int r = n > 0 ? put->put(put->arg, encoder->room, n, err) : 0;
		if (r < 0)
			return r;
	} while (z->avail_out == 0 || (ended && code != Z_STREAM_END));
	return 0;
}

static int zstd_run(struct encoder *encoder, const uint8_t *data, size_t size, bool ended,
		    const struct encoder_put *put, struct err *err)
{
	ZSTD_inBuffer in = { data, size, 0 };
	for (;;) {
		ZSTD_outBuffer out = { encoder->room, ROOM_BYTES, 0 };
		size_t left = ZSTD_compressStream2(encoder->zstd, &out, &in,
						   ended ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return err_set(err, EIO, "zstd cannot compress: %s",
				       ZSTD_getErrorName(left));
		int r = out.pos > 0 ? put->put(put->arg, encoder->room, out.pos, err) : 0;
		if (r < 0)
			return r;
		if (ended ? left == 0 : in.pos == in.size)
			return 0;
	}
}

int encoder_run(struct encoder *encoder, const void *data, size_t size, bool ended,
		const struct encoder_put *put, struct err *err)
{
	const uint8_t *at = data;
	int r = 0;
	do {
		size_t n = size < SLICE_BYTES ? size : SLICE_BYTES;
		bool last = ended && n == size;
		if (encoder->codec == CODEC_GZIP)
			r = gzip_run(encoder, at, n, last, put, err);
		else
			r = zstd_run(encoder, at, n, last, put, err);
		at = n > 0 ? at + n : at;
		size -= n;
	} while (r == 0 && size > 0);
	return r;
}
