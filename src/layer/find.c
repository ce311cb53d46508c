/*
 * Which table of contents serves.  Annotations decide, so that a layer without one costs no request
 * at all: what the blob alone says of itself is never bound by the manifest.
 *
 * The ways in their own files read the blob as if that cost nothing.  Here the blob's last bytes,
 * where all formats have their footers and mostly their tables, are read in one request and kept;
 * and a failed read is told from bytes that are bad.
 */
#include "layer/find.h"

#include <errno.h>
#include <stdlib.h>

#include "base/stream.h"
#include "codec/tar-header.h"
#include "layer/find-keys.h"

#define TAIL_MIN_BYTES ((uint64_t)64 << 10)
#define TAIL_MAX_BYTES ((uint64_t)512 << 10)
#define TAIL_EXACT_MIN_BYTES ((uint64_t)128) /* the longest footer is a frame of 72 */
#define TAIL_EXACT_MAX_BYTES \
	((uint64_t)12 << 10) /* what a new connection brings in one round trip */
#define TAIL_PART 128 /* of the blob: a table of contents is about 0.6 % of it, if not far more */

struct tail {
	struct input base;
	struct input *blob; /* borrowed */
	uint8_t *bytes;	    /* owned; the last of the blob, once read */
	uint64_t offset;    /* of them */
	int failed;	    /* what reading the blob returned */
};

static int read_blob(struct tail *tail, void *buf, size_t size, uint64_t offset, struct err *err)
{
	int r = input_read(tail->blob, buf, size, offset, err);
	if (r < 0)
		tail->failed = r;
	return r;
}

static int hold_tail(struct tail *tail, struct err *err)
{
	size_t all = (size_t)(tail->base.size - tail->offset);
	auto_free uint8_t *bytes = mem_new(all);
	int r = read_blob(tail, bytes, all, tail->offset, err);
	if (r == 0)
		tail->bytes = TAKE(bytes);
	return r;
}

/* What lies before the tail is read, and no byte of a tail that is held twice. */
static int tail_read(struct input *input, void *buf, size_t size, uint64_t offset, struct err *err)
{
	struct tail *tail = (struct tail *)input;
	uint64_t before = offset < tail->offset ? tail->offset - offset : 0;
	size_t apart = before < size ? (size_t)before : size;
	int r = 0;
	/* who begins before the tail knows where to read: one request */
	if (apart > 0 && !tail->bytes)
		return read_blob(tail, buf, size, offset, err);
	if (!tail->bytes)
		r = hold_tail(tail, err);
	if (r == 0 && apart > 0)
		r = read_blob(tail, buf, apart, offset, err);
	if (r == 0 && apart < size)
		memcpy((uint8_t *)buf + apart, tail->bytes + (offset + apart - tail->offset),
		       size - apart);
	return r;
}

/* What has to be fetched of a range, and then what is held of it. */
struct tail_stream {
	struct stream base;
	struct tail *tail;    /* borrowed */
	struct stream *below; /* owned; NULL once it has ended */
	const uint8_t *held;  /* borrowed from the tail */
	size_t held_size;
};

static int tail_stream_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct tail_stream *s = (struct tail_stream *)stream;
	if (s->below) {
		int r = stream_next(s->below, data, size, err);
		if (r < 0)
			s->tail->failed = r;
		if (r < 0 || *size > 0)
			return r;
		stream_free(TAKE(s->below));
	}
	*data = s->held;
	*size = s->held_size;
	s->held_size = 0;
	return 0;
}

static void tail_stream_free(struct stream *stream)
{
	stream_free(((struct tail_stream *)stream)->below);
	free(stream);
}

static int tail_open(struct input *input, uint64_t offset, uint64_t size, struct stream **out,
		     struct err *err)
{
	static const struct stream_ops ops = { .next = tail_stream_next, .free = tail_stream_free };
	struct tail *tail = (struct tail *)input;
	struct stream *below = NULL;
	if (offset >= tail->offset)
		return err_set(err, EOPNOTSUPP, "it is one request");
	uint64_t apart = tail->bytes && tail->offset - offset < size ? tail->offset - offset : size;
	int r = input_stream(tail->blob, offset, apart, &below, err);
	if (r < 0 && r != -EOPNOTSUPP)
		tail->failed = r;
	if (r < 0)
		return r;
	struct tail_stream *s = mem_make(struct tail_stream, .base = { &ops }, .tail = tail,
					 .below = below, .held_size = (size_t)(size - apart));
	if (s->held_size > 0)
		s->held = tail->bytes + (offset + apart - tail->offset);
	*out = &s->base;
	return 0;
}

static void tail_set_up(struct tail *tail, struct input *blob, bool exact)
{
	static const struct input_ops ops = { .read = tail_read, .stream = tail_open };
	uint64_t least = exact ? TAIL_EXACT_MIN_BYTES : TAIL_MIN_BYTES;
	uint64_t most = exact ? TAIL_EXACT_MAX_BYTES : TAIL_MAX_BYTES;
	uint64_t size = blob->size / TAIL_PART;
	size = size < least ? least : size;
	size = size > most ? most : size;
	*tail = (struct tail){ .base = { &ops, blob->size },
			       .blob = blob,
			       .offset = blob->size > size ? blob->size - size : 0 };
}

enum way { WAY_NONE, WAY_ESTARGZ, WAY_ZCHUNKED, WAY_TAR };

static bool has(const struct find_layer *layer, const char *key)
{
	return layer->annotation(layer->arg, key) != NULL;
}

/* By the last bytes: all footers of zstd:chunked end alike, those of gzip are left to estargz.c. */
static int look_at_end(struct input *blob, enum way *way, struct err *err)
{
	char end[8];
	if (blob->size < sizeof(end))
		return 0;
	int r = input_read(blob, end, sizeof(end), blob->size - sizeof(end), err);
	if (r < 0)
		return r;
	bool zstd = memcmp(end, "GNUlInUx", sizeof(end)) == 0 ||
		    memcmp(end, "GnUlInUx", sizeof(end)) == 0;
	*way = zstd ? WAY_ZCHUNKED : WAY_ESTARGZ;
	return 0;
}

static int look_at_start(struct input *blob, enum way *way, struct err *err)
{
	uint8_t block[TAR_BLOCK_BYTES];
	struct tar_header header;
	if (blob->size < sizeof(block))
		return 0;
	int r = input_read(blob, block, sizeof(block), 0, err);
	if (r < 0)
		return r;
	if (tar_header_is_zero(block) || tar_header_parse(&header, block, NULL) == 0)
		*way = WAY_TAR;
	return 0;
}

/* What a gzip member at the very end tells from other blobs: "SG" or "STARGZ" in its header. */
static int looks_like_estargz(struct input *blob, bool *yes, struct err *err)
{
	uint8_t footer[51];
	*yes = false;
	if (blob->size < sizeof(footer))
		return 0;
	int r = input_read(blob, footer, sizeof(footer), blob->size - sizeof(footer), err);
	*yes = r == 0 && memmem(footer, sizeof(footer), "STARGZ", 6) != NULL;
	return r;
}

/* Nothing is annotated: what the blob says of itself. */
static int look_at_blob(const struct find_layer *layer, enum way *way, struct err *err)
{
	bool estargz = false;
	int r = look_at_end(layer->blob, way, err);
	if (r < 0 || *way == WAY_ZCHUNKED)
		return r;
	r = looks_like_estargz(layer->blob, &estargz, err);
	*way = estargz ? WAY_ESTARGZ : WAY_NONE;
	if (r < 0 || estargz || layer->least > TRUST_NONE)
		return r;
	return look_at_start(layer->blob, way, err);
}

/* The way to take, and the trust it gives. */
static int choose(const struct find_layer *layer, enum way *way, enum trust *trust, struct err *err)
{
	bool toc = has(layer, FIND_TOC_DIGEST);
	bool checksum = has(layer, FIND_ZSTD_CHECKSUM) || has(layer, FIND_OLD_ZSTD_CHECKSUM);
	int r = 0;
	*way = WAY_NONE;
	*trust = toc || checksum ? TRUST_BOUND : TRUST_ATTESTED;
	if (*trust < layer->least)
		return 0;
	if (checksum)
		*way = WAY_ZCHUNKED;
	else if (toc)
		r = look_at_end(layer->blob, way, err);
	else
		r = look_at_blob(layer, way, err);
	if (*way == WAY_TAR)
		*trust = TRUST_NONE;
	return r;
}

static int make(const struct find_layer *layer, enum way way, void **data, size_t *size,
		struct err *err)
{
	switch (way) {
	case WAY_ESTARGZ:
		return estargz_table(layer, data, size, err);
	case WAY_ZCHUNKED:
		return zchunked_table(layer, data, size, err);
	case WAY_TAR:
		return tarwalk_table(layer, data, size, err);
	case WAY_NONE:
	default:
		return 0;
	}
}

static const char *way_name(enum way way)
{
	static const char *const names[] = { "", "eStargz", "zstd:chunked", "plain tar" };
	return names[way];
}

static int find_with(struct tail *tail, const struct find_layer *layer, void **data, size_t *size,
		     enum trust *trust, struct err *refused)
{
	struct find_layer through = *layer;
	enum way way = WAY_NONE;
	through.blob = &tail->base;
	int r = choose(&through, &way, trust, refused);
	if (r == 0)
		r = make(&through, way, data, size, refused);
	return r < 0 && way != WAY_NONE ? err_wrap(refused, r, "%s", way_name(way)) : r;
}

int find_table(const struct find_layer *layer, void **data, size_t *size, enum trust *trust,
	       struct err *refused, struct err *err)
{
	struct tail tail;
	struct err why = { 0 };
	*data = NULL;
	*size = 0;
	tail_set_up(&tail, layer->blob, layer->exact);
	int r = find_with(&tail, layer, data, size, trust, &why);
	free(tail.bytes);
	if (r < 0 && tail.failed < 0) {
		if (err)
			*err = why;
		return r;
	}
	if (refused)
		*refused = why;
	return 0;
}
