/*
 * Deflate streams by zlib.  Used by gzip.c where ISA-L is missing, by the indexer where ISA-L fails
 * its test, and by the tests, which compare the two.
 *
 * zlib stops in front of a block when it is asked to (Z_BLOCK; zlib's examples/zran.c).
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/gzip.h"

/* What inflate leaves in data_type besides the number of unused bits (zlib.h). */
enum {
	UNUSED_BITS = 7,
	LAST_BLOCK = 64,
	BLOCK_END = 128,
};

struct zlib {
	z_stream z;
	uint32_t crc;
	bool unchecked; /* started inside: no CRC32 */
	uint8_t last;	/* byte that was taken */
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
	s->unchecked = false;
}

static void zlib_start(void *state, const struct gzip_block *block, const uint8_t *window,
		       size_t size)
{
	struct zlib *s = state;
	zlib_reset(s);
	s->unchecked = true;
	if (block->bits > 0) {
		s->last = block->ahead[0];
		(void)inflatePrime(&s->z, block->bits, s->last >> (8 - block->bits));
	}
	if (size > 0)
		(void)inflateSetDictionary(&s->z, window, (uInt)size);
}

static uInt capped(size_t size)
{
	return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

/* One call of the library. */
static int feed(struct zlib *s, struct decoder_io *io, int flush)
{
	uInt in = capped(io->in_size), out = capped(io->out_size);
	s->z.next_in = (Bytef *)(uintptr_t)io->in; /* read only, but declared without const */
	s->z.avail_in = in;
	s->z.next_out = io->out;
	s->z.avail_out = out;
	int r = inflate(&s->z, flush);
	in -= s->z.avail_in;
	out -= s->z.avail_out;
	if (!s->unchecked)
		s->crc = (uint32_t)crc32(s->crc, io->out, out);
	if (in > 0)
		s->last = io->in[in - 1];
	io->in += in;
	io->in_size -= in;
	io->out += out;
	io->out_size -= out;
	return r;
}

/* What R of the library, which is not Z_OK or means no block, means here. */
static int verdict(const struct zlib *s, int r, struct gzip_inflated *end, struct err *err)
{
	if (r == Z_STREAM_END) {
		*end = (struct gzip_inflated){ .crc = s->crc };
		return GZIP_ENDED;
	}
	if (r == Z_MEM_ERROR)
		return err_set(err, ENOMEM, "out of memory to inflate");
	if (r != Z_OK && r != Z_BUF_ERROR) /* Z_BUF_ERROR: nothing to do just now */
		return err_set(err, EBADMSG, "bad deflate data (%s)",
			       s->z.msg ? s->z.msg : "zlib gives no reason");
	return GZIP_MORE;
}

static int zlib_run(void *state, struct decoder_io *io, struct gzip_inflated *end, struct err *err)
{
	struct zlib *s = state;
	int r = Z_OK;
	while (r == Z_OK && io->out_size > 0)
		r = feed(s, io, Z_NO_FLUSH);
	return verdict(s, r, end, err);
}

static int zlib_find(void *state, struct decoder_io *io, struct gzip_block *block,
		     struct gzip_inflated *end, struct err *err)
{
	struct zlib *s = state;
	int r = Z_OK;
	while (r == Z_OK && io->out_size > 0) {
		r = feed(s, io, Z_BLOCK);
		if (r != Z_OK || (s->z.data_type & (BLOCK_END | LAST_BLOCK)) != BLOCK_END)
			continue;
		block->bits = s->z.data_type & UNUSED_BITS;
		block->ahead[0] = s->last;
		block->ahead_size = block->bits > 0;
		return GZIP_BLOCK;
	}
	return verdict(s, r, end, err);
}

const struct gzip_inflate gzip_inflate_zlib = { zlib_library, zlib_new, zlib_free, zlib_reset,
						zlib_start,   zlib_run, zlib_find };
