/*
 * Deflate streams by ISA-L, which inflates more than twice as fast as zlib.  Used by gzip.c when
 * Meson found the library.
 *
 * One difference to zlib is known: ISA-L lets a Huffman code pass that leaves bit patterns without
 * a meaning, as long as none of these is used.  No compressor writes one; CRC32 and size hold.
 */
#include <errno.h>
#include <isa-l.h>
#include <stdlib.h>

#include "codec/gzip.h"

/* Whole multi-megabyte inputs are inflated several times slower than small ones. */
#define INPUT_MAX_BYTES ((size_t)256 * 1024)
#define OUTPUT_MAX_BYTES ((size_t)1 << 30) /* its counters have 32 bits */

static const char *isal_library(void)
{
#define TEXT(x) #x
#define DOTTED(major, minor) "isa-l " TEXT(major) "." TEXT(minor)
	return DOTTED(ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION);
}

static void isal_reset(void *state)
{
	isal_inflate_reset(state);
	((struct inflate_state *)state)->crc_flag = ISAL_GZIP_NO_HDR; /* raw, CRC32 kept */
}

static void *isal_new(void)
{
	struct inflate_state *s = mem_new(sizeof(*s));
	isal_inflate_init(s);
	isal_reset(s);
	return s;
}

/*
 * ISA-L reads ahead into a 64-bit register and leaves there what lies behind the stream: from the
 * next byte boundary on, these are bytes of ours.
 */
static void give_rest_back(struct inflate_state *s, struct gzip_inflated *end)
{
	int odd_bits = s->read_in_length % 8;
	uint64_t bits = s->read_in >> odd_bits;
	end->rest_size = 0;
	for (int left = s->read_in_length - odd_bits; left >= 8; left -= 8, bits >>= 8)
		end->rest[end->rest_size++] = (uint8_t)bits;
	end->crc = s->crc;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int isal_run(void *state, struct decoder_io *io, struct gzip_inflated *end, struct err *err)
{
	struct inflate_state *s = state;
	bool moved = true;
	while (moved && io->out_size > 0) {
		size_t in = smaller(io->in_size, INPUT_MAX_BYTES);
		size_t out = smaller(io->out_size, OUTPUT_MAX_BYTES);
		s->next_in =
			(uint8_t *)(uintptr_t)io->in; /* read only, but declared without const */
		s->avail_in = (uint32_t)in;
		s->next_out = io->out;
		s->avail_out = (uint32_t)out;
		int r = isal_inflate(s);
		if (r != ISAL_DECOMP_OK)
			return err_set(err, EBADMSG, "bad deflate data (isa-l %d)", r);
		in -= s->avail_in;
		out -= s->avail_out;
		io->in += in;
		io->in_size -= in;
		io->out += out;
		io->out_size -= out;
		moved = in + out > 0;
		if (s->block_state == ISAL_BLOCK_FINISH) {
			give_rest_back(s, end);
			return 1;
		}
	}
	if (io->in_size > 0 && io->out_size > 0)
		return err_set(err, EBADMSG, "bad deflate data (isa-l stands still)");
	return 0;
}

const struct gzip_inflate gzip_inflate = { isal_library, isal_new, free, isal_reset, isal_run };
