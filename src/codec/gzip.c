/*
 * gzip members, RFC 1952: a scanner for headers and trailers that sees one byte at a time and so
 * needs no memory, whatever the header's fields claim; deflate streams go to the library in whole
 * pieces.  The library's own header readers are not used: they want a buffer for each field or let
 * reserved flags pass.
 */
#include "codec/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/decoder-ops.h"

#define MAGIC_0 0x1f
#define MAGIC_1 0x8b
#define METHOD_DEFLATE 8

enum {
	FLAG_HEADER_CRC = 1u << 1,
	FLAG_EXTRA = 1u << 2,
	FLAG_NAME = 1u << 3,
	FLAG_COMMENT = 1u << 4,
	FLAGS_RESERVED = 0xe0,
};

enum {
	START_BYTES = 10, /* the header's fixed part */
	TRAILER_BYTES = 8,
};

/* What the next byte belongs to, in the order of the format. */
enum part {
	PART_START,
	PART_EXTRA_SIZE,
	PART_EXTRA,
	PART_NAME,
	PART_COMMENT,
	PART_HEADER_CRC,
	PART_BODY,
	PART_TRAILER,
	PART_BETWEEN, /* a member has ended: another, zeros, or the end */
	PART_ZEROS,
};

struct gzip {
	struct decoder base;
	const struct gzip_inflate *inflate; /* borrowed, static */
	void *state;			    /* owned, of inflate */
	const struct decoder_watch *watch;  /* borrowed; NULL for none */
	bool unchecked;			    /* the member was not read from its start */
	enum part part;
	uint8_t field[START_BYTES]; /* the part as far as it was read, if of fixed size */
	size_t field_size;
	uint8_t flags;
	uint32_t extra_left;
	uint32_t header_crc;
	uint32_t out_size; /* of this member, modulo 2^32 as ISIZE is */
	uint64_t member;   /* from 1, for messages */
	struct gzip_inflated end;
	size_t rest_at;
};

static uint32_t le(const uint8_t *p, size_t bytes)
{
	uint32_t value = 0;
	while (bytes > 0)
		value = value << 8 | p[--bytes];
	return value;
}

static int bad(const struct gzip *g, const char *what, struct err *err)
{
	return err_set(err, EBADMSG, "gzip member %llu: %s", (unsigned long long)g->member, what);
}

static void enter(struct gzip *g, enum part part)
{
	g->part = part;
	g->field_size = 0;
}

/* The first part of the header behind PART that the flags say is there. */
static void enter_after(struct gzip *g, enum part part)
{
	if (part < PART_EXTRA_SIZE && g->flags & FLAG_EXTRA)
		enter(g, PART_EXTRA_SIZE);
	else if (part < PART_NAME && g->flags & FLAG_NAME)
		enter(g, PART_NAME);
	else if (part < PART_COMMENT && g->flags & FLAG_COMMENT)
		enter(g, PART_COMMENT);
	else if (part < PART_HEADER_CRC && g->flags & FLAG_HEADER_CRC)
		enter(g, PART_HEADER_CRC);
	else
		enter(g, PART_BODY);
}

/* Add to the part of fixed size; true when it has SIZE bytes. */
static bool gather(struct gzip *g, uint8_t byte, size_t size)
{
	g->field[g->field_size++] = byte;
	return g->field_size == size;
}

static int start_byte(struct gzip *g, uint8_t byte, struct err *err)
{
	if (g->field_size == 0) {
		g->member++;
		g->header_crc = 0;
		g->out_size = 0;
		g->unchecked = false;
		g->inflate->reset(g->state);
		int r = g->watch ? g->watch->start(g->watch->arg, err) : 0;
		if (r < 0)
			return r;
	}
	g->header_crc = (uint32_t)crc32(g->header_crc, &byte, 1);
	if (!gather(g, byte, START_BYTES))
		return 0;
	if (g->field[0] != MAGIC_0 || g->field[1] != MAGIC_1)
		return bad(g, "no gzip header", err);
	if (g->field[2] != METHOD_DEFLATE)
		return bad(g, "unknown compression method", err);
	g->flags = g->field[3];
	if (g->flags & FLAGS_RESERVED)
		return bad(g, "reserved flags are set", err);
	enter_after(g, PART_START);
	return 0;
}

/* Everything between the fixed part and the header's checksum. */
static void field_byte(struct gzip *g, uint8_t byte)
{
	g->header_crc = (uint32_t)crc32(g->header_crc, &byte, 1);
	if (g->part == PART_EXTRA_SIZE) {
		if (!gather(g, byte, 2))
			return;
		g->extra_left = le(g->field, 2);
		enter(g, PART_EXTRA);
		if (g->extra_left == 0)
			enter_after(g, PART_EXTRA);
	} else if (g->part == PART_EXTRA) {
		if (--g->extra_left == 0)
			enter_after(g, PART_EXTRA);
	} else if (byte == '\0') {
		enter_after(g, g->part);
	}
}

static int header_crc_byte(struct gzip *g, uint8_t byte, struct err *err)
{
	if (!gather(g, byte, 2))
		return 0;
	if (le(g->field, 2) != (g->header_crc & 0xffff))
		return bad(g, "wrong header checksum", err);
	enter_after(g, PART_HEADER_CRC);
	return 0;
}

static int trailer_byte(struct gzip *g, uint8_t byte, struct err *err)
{
	if (!gather(g, byte, TRAILER_BYTES))
		return 0;
	if (!g->unchecked && le(g->field, 4) != g->end.crc)
		return bad(g, "wrong CRC32", err);
	if (!g->unchecked && le(g->field + 4, 4) != g->out_size)
		return bad(g, "wrong size in the trailer", err);
	enter(g, PART_BETWEEN);
	return 0;
}

/* gzip(1) takes zeros behind the last member (tape padding), and so do we; nothing else. */
static int between_byte(struct gzip *g, uint8_t byte, struct err *err)
{
	if (byte == MAGIC_0 && g->part == PART_BETWEEN) {
		enter(g, PART_START);
		return start_byte(g, byte, err);
	}
	if (byte != 0)
		return bad(g, "garbage behind it", err);
	enter(g, PART_ZEROS);
	return 0;
}

static int scan_byte(struct gzip *g, uint8_t byte, struct err *err)
{
	switch (g->part) {
	case PART_START:
		return start_byte(g, byte, err);
	case PART_HEADER_CRC:
		return header_crc_byte(g, byte, err);
	case PART_TRAILER:
		return trailer_byte(g, byte, err);
	case PART_BETWEEN:
	case PART_ZEROS:
		return between_byte(g, byte, err);
	case PART_EXTRA_SIZE:
	case PART_EXTRA:
	case PART_NAME:
	case PART_COMMENT:
	case PART_BODY:
	default:
		field_byte(g, byte);
		return 0;
	}
}

/* The bytes the library took too many come first. */
static bool take_byte(struct gzip *g, struct decoder_io *io, uint8_t *byte)
{
	if (g->rest_at < g->end.rest_size) {
		*byte = g->end.rest[g->rest_at++];
		return true;
	}
	if (io->in_size == 0)
		return false;
	*byte = *io->in++;
	io->in_size--;
	return true;
}

/* GZIP_ENDED when the member's deflate stream has, else GZIP_MORE. */
static int body(struct gzip *g, struct decoder_io *io, struct err *err)
{
	if (io->out_size == 0)
		return 0;
	size_t room = io->out_size;
	int r = g->inflate->run(g->state, io, &g->end, err);
	g->out_size += (uint32_t)(room - io->out_size);
	if (r < 0)
		return err_wrap(err, r, "gzip member %llu", (unsigned long long)g->member);
	if (r == GZIP_ENDED) {
		g->rest_at = 0;
		enter(g, PART_TRAILER);
	}
	return r;
}

static int gzip_run(struct decoder *decoder, struct decoder_io *io, bool input_ended,
		    struct err *err)
{
	struct gzip *g = (struct gzip *)decoder;
	uint8_t byte;
	for (;;) {
		bool inside = g->part == PART_BODY;
		if (!inside && !take_byte(g, io, &byte))
			break;
		int r = inside ? body(g, io, err) : scan_byte(g, byte, err);
		if (r < 0)
			return r;
		if (inside && r == GZIP_MORE)
			break;
	}
	if (!input_ended || io->in_size > 0 || io->out_size == 0)
		return 0;
	if (g->part == PART_START && g->member == 0)
		return err_set(err, EBADMSG, "gzip data are empty");
	if (g->part != PART_BETWEEN && g->part != PART_ZEROS)
		return bad(g, "cut short", err);
	return 0;
}

static void gzip_free(struct decoder *decoder)
{
	struct gzip *g = (struct gzip *)decoder;
	g->inflate->free(g->state);
	free(g);
}

struct decoder *gzip_decoder_watched(const struct gzip_inflate *inflate, void *state,
				     const struct decoder_watch *watch)
{
	static const struct decoder_ops ops = { gzip_run, gzip_free };
	struct gzip *g = mem_make(struct gzip, .base = { &ops }, .inflate = inflate, .state = state,
				  .watch = watch);
	return &g->base;
}

struct decoder *gzip_decoder_new(const struct gzip_inflate *inflate)
{
	return gzip_decoder_watched(inflate, inflate->new (), NULL);
}

struct decoder *gzip_decoder_inside(const struct gzip_inflate *inflate, void *state)
{
	struct decoder *decoder = gzip_decoder_watched(inflate, state, NULL);
	struct gzip *g = (struct gzip *)decoder;
	g->unchecked = true;
	enter(g, PART_BODY);
	return decoder;
}
