/*
 * Deflate streams by zlib.  Used by gzip.c where ISA-L is missing; the tests always build it too,
 * under another name, and compare the two.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/gzip.h"

struct zlib {
	z_stream z;
	uint32_t crc;
};

static const char *zlib_library(void)
{
	return "zlib " ZLIB_VERSION;
}

static void *zlib_new(void)
{
	struct zlib *state = mem_make(struct zlib, .crc = 0);
	if (inflateInit2(&state->z, -MAX_WBITS) != Z_OK)
		abort();
	return state;
}

static void zlib_free(void *state)
{
	struct zlib *s = state;
	(void)inflateEnd(&s->z);
	free(s);
}

static void zlib_reset(void *state)
{
	struct zlib *s = state;
	(void)inflateReset(&s->z);
	s->crc = 0;
}

static uInt capped(size_t size)
{
	return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

static int zlib_run(void *state, struct decoder_io *io, struct gzip_inflated *end, struct err *err)
{
	struct zlib *s = state;
	int r = Z_OK;
	while (r == Z_OK && io->out_size > 0) {
		uInt in = capped(io->in_size), out = capped(io->out_size);
		s->z.next_in =
			(Bytef *)(uintptr_t)io->in; /* read only, but declared without const */
		s->z.avail_in = in;
		s->z.next_out = io->out;
		s->z.avail_out = out;
		r = inflate(&s->z, Z_NO_FLUSH);
		in -= s->z.avail_in;
		out -= s->z.avail_out;
		s->crc = (uint32_t)crc32(s->crc, io->out, out);
		io->in += in;
		io->in_size -= in;
		io->out += out;
		io->out_size -= out;
	}
	if (r == Z_STREAM_END) {
		*end = (struct gzip_inflated){ .crc = s->crc };
		return 1;
	}
	if (r == Z_MEM_ERROR)
		return err_set(err, ENOMEM, "out of memory to inflate");
	if (r != Z_OK && r != Z_BUF_ERROR) /* Z_BUF_ERROR: nothing to do just now */
		return err_set(err, EBADMSG, "bad deflate data (%s)",
			       s->z.msg ? s->z.msg : "zlib gives no reason");
	return 0;
}

const struct gzip_inflate gzip_inflate = { zlib_library, zlib_new, zlib_free, zlib_reset,
					   zlib_run };
