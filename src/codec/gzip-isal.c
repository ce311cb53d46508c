/*
 * Deflate streams by ISA-L, which inflates more than twice as fast as zlib.  Used by gzip.c when
 * Meson found the library.
 *
 * One difference to zlib is known: ISA-L lets a Huffman code pass that leaves bit patterns without
 * a meaning, as long as none of these is used.  No compressor writes one; CRC32 and size hold.
 *
 * ISA-L cannot be asked to stop in front of a block.  But when the input ends inside of a block's
 * header, it waits at the header's start: ISAL_BLOCK_HDR, what it has read of the header in read_in
 * and tmp_in_buffer.  So isal_find gives small pieces; when the Huffman code was another one behind
 * a piece, a header lies in it, and the cut that lies inside of that header is found by bisection
 * from a copy of the state.  A stored block says where it ends; blocks with the fixed code are
 * mostly missed.  These fields are public, but what they mean is told nowhere: indexer-check.c
 * tests it, and probe.c every single block.
 */
#include <errno.h>
#include <isa-l.h>
#include <stdlib.h>

#include "codec/gzip.h"

/* Whole multi-megabyte inputs are inflated several times slower than small ones. */
#define INPUT_MAX_BYTES ((size_t)256 * 1024)
#define OUTPUT_MAX_BYTES ((size_t)1 << 30) /* its counters have 32 bits */
#define PIECE_BYTES ((size_t)2048)	   /* while a block is looked for */
#define CODE_BYTES 256			   /* of its table, enough to tell two codes apart */

_Static_assert(ISAL_DEF_MAX_HDR_SIZE + 8 <= GZIP_AHEAD_MAX_BYTES, "a header fits");

struct isal {
	struct inflate_state now;
	struct inflate_state *kept; /* owned; NULL before the first find */
};

static const char *isal_library(void)
{
#define TEXT(x) #x
#define DOTTED(major, minor) "isa-l " TEXT(major) "." TEXT(minor)
	return DOTTED(ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION);
}

static void isal_reset(void *state)
{
	struct inflate_state *s = &((struct isal *)state)->now;
	isal_inflate_reset(s);
	s->crc_flag = ISAL_GZIP_NO_HDR; /* raw, CRC32 kept */
}

static void *isal_new(void)
{
	struct isal *x = mem_new(sizeof(*x));
	isal_inflate_init(&x->now);
	isal_reset(x);
	return x;
}

static void isal_free(void *state)
{
	struct isal *x = state;
	free(x->kept);
	free(x);
}

static void isal_start(void *state, const struct gzip_block *block, const uint8_t *window,
		       size_t size)
{
	struct inflate_state *s = &((struct isal *)state)->now;
	isal_reset(state);
	if (size > 0) /* read only, but declared without const */
		(void)isal_inflate_set_dict(s, (uint8_t *)(uintptr_t)window, (uint32_t)size);
	if (block->bits > 0) {
		s->read_in = block->ahead[0] >> (8 - block->bits);
		s->read_in_length = block->bits;
	}
}

/*
 * ISA-L reads ahead into a 64-bit register and leaves there what lies behind the stream: from the
 * next byte boundary on, these are bytes of ours.
 */
static void give_rest_back(const struct inflate_state *s, struct gzip_inflated *end)
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

/* One call of the library with N bytes of the input. */
static int feed(struct inflate_state *s, struct decoder_io *io, size_t n, struct err *err)
{
	size_t in = n, out = smaller(io->out_size, OUTPUT_MAX_BYTES);
	s->next_in = (uint8_t *)(uintptr_t)io->in; /* read only, but declared without const */
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
	return 0;
}

static int stopped(const struct decoder_io *io, struct err *err)
{
	if (io->in_size > 0 && io->out_size > 0)
		return err_set(err, EBADMSG, "bad deflate data (isa-l stands still)");
	return GZIP_MORE;
}

static int isal_run(void *state, struct decoder_io *io, struct gzip_inflated *end, struct err *err)
{
	struct inflate_state *s = &((struct isal *)state)->now;
	bool moved = true;
	while (moved && io->out_size > 0) {
		size_t before = io->in_size + io->out_size;
		int r = feed(s, io, smaller(io->in_size, INPUT_MAX_BYTES), err);
		if (r < 0)
			return r;
		if (s->block_state == ISAL_BLOCK_FINISH) {
			give_rest_back(s, end);
			return GZIP_ENDED;
		}
		moved = io->in_size + io->out_size < before;
	}
	return stopped(io, err);
}

/* Output was made that found no room yet. */
static bool is_owing(const struct inflate_state *s)
{
	return s->tmp_out_valid != s->tmp_out_processed || s->write_overflow_len != 0 ||
	       s->copy_overflow_length != 0;
}

static bool is_at_block(const struct inflate_state *s)
{
	bool header = s->block_state == ISAL_BLOCK_HDR || s->block_state == ISAL_BLOCK_NEW_HDR;
	return header && !is_owing(s);
}

static void describe(const struct inflate_state *s, struct gzip_block *block)
{
	int left = s->read_in_length;
	uint64_t bits = s->read_in;
	block->bits = (uint8_t)(left % 8);
	block->ahead_size = 0;
	if (block->bits > 0) {
		block->ahead[block->ahead_size++] = (uint8_t)(bits << (8 - block->bits));
		bits >>= block->bits;
	}
	for (left -= block->bits; left > 0; left -= 8, bits >>= 8)
		block->ahead[block->ahead_size++] = (uint8_t)bits;
	memcpy(block->ahead + block->ahead_size, s->tmp_in_buffer, (size_t)s->tmp_in_size);
	block->ahead_size += (size_t)s->tmp_in_size;
}

/* Copy the part of the state that is in use. */
static void copy_state(struct inflate_state *to, const struct inflate_state *from)
{
	memcpy(to, from,
	       offsetof(struct inflate_state, tmp_out_buffer) + (size_t)from->tmp_out_valid);
}

static bool is_other_code(const struct isal *x)
{
	return memcmp(&x->now.lit_huff_code, &x->kept->lit_huff_code, CODE_BYTES) != 0;
}

/*
 * A block begins in the N bytes of input at START, where the state was kept: stop inside of its
 * header, or behind the bytes when no cut does.
 */
static int narrow(struct isal *x, const struct decoder_io *start, size_t n, struct decoder_io *io,
		  struct err *err)
{
	size_t before = 0, behind = n;
	while (behind - before > 1) {
		size_t middle = before + (behind - before) / 2;
		*io = *start;
		copy_state(&x->now, x->kept);
		int r = feed(&x->now, io, middle, err);
		if (r < 0 || is_at_block(&x->now))
			return r;
		bool whole = start->in_size - io->in_size == middle && !is_owing(&x->now);
		if (is_other_code(x) || !whole)
			behind = middle;
		else
			before = middle;
	}
	*io = *start;
	copy_state(&x->now, x->kept);
	return feed(&x->now, io, n, err);
}

/* The bytes that end a stored block when they are given. */
static size_t stored_left(const struct inflate_state *s)
{
	int32_t left = s->type0_block_len - s->read_in_length / 8;
	return left > 0 ? (size_t)left : 1;
}

/* A step towards the next block. */
static int hunt(struct isal *x, struct decoder_io *io, struct err *err)
{
	struct inflate_state *s = &x->now;
	if (is_owing(s))
		return feed(s, io, 0, err);
	if (s->block_state == ISAL_BLOCK_TYPE0)
		return feed(s, io, smaller(io->in_size, stored_left(s)), err);
	const struct decoder_io start = *io;
	const size_t n = smaller(io->in_size, PIECE_BYTES);
	if (n <= 1)
		return feed(s, io, n, err); /* there is nothing to cut */
	copy_state(x->kept, s);
	int r = feed(s, io, n, err);
	if (r < 0 || is_at_block(s) || s->block_state == ISAL_BLOCK_FINISH || !is_other_code(x))
		return r;
	return narrow(x, &start, start.in_size - io->in_size, io, err);
}

static int isal_find(void *state, struct decoder_io *io, struct gzip_block *block,
		     struct gzip_inflated *end, struct err *err)
{
	struct isal *x = state;
	bool moved = true;
	if (!x->kept)
		x->kept = mem_new(sizeof(*x->kept));
	while (moved && io->out_size > 0 && !is_at_block(&x->now)) {
		size_t before = io->in_size + io->out_size;
		int r = hunt(x, io, err);
		if (r < 0)
			return r;
		if (x->now.block_state == ISAL_BLOCK_FINISH) {
			give_rest_back(&x->now, end);
			return GZIP_ENDED;
		}
		moved = io->in_size + io->out_size < before;
	}
	if (!is_at_block(&x->now))
		return stopped(io, err);
	describe(&x->now, block);
	return GZIP_BLOCK;
}

static const struct gzip_inflate isal = { isal_library, isal_new, isal_free, isal_reset,
					  isal_start,	isal_run, isal_find };
const struct gzip_inflate *const gzip_inflate_best = &isal;
