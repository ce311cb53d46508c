/*
 * Whether a library finds blocks as gzip-isal.c expects: a sample with blocks of every kind is
 * indexed, and zlib must decode it from each point on.  Asked once, by indexer.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/indexer-internal.h"

#define SAMPLE_BYTES ((size_t)320 * 1024)
#define PIECE_BYTES ((size_t)20 * 1024) /* of the sample, alike in all */
#define DISTANCE_BYTES 1024
#define DECODED_BYTES ((size_t)64 * 1024) /* from a point on */
#define POINTS_MIN 3

struct sample {
	uint8_t plain[SAMPLE_BYTES];
	uint8_t gzip[2 * SAMPLE_BYTES];
	size_t gzip_size;
	uint8_t decoded[DECODED_BYTES];
	uint32_t points; /* inside of the stream */
};

/* Words of a few letters that come again, far and near, and one piece of noise. */
static void write_plain(uint8_t *plain)
{
	uint32_t seed = 1;
	for (size_t i = 0; i < SAMPLE_BYTES; i++) {
		seed = seed * 1664525 + 1013904223;
		bool noise = i / PIECE_BYTES == 2;
		size_t back = 1 + (seed >> 16) % 32768;
		bool again = !noise && (seed >> 8) % 8 > 0 && i >= back;
		plain[i] = again ? plain[i - back] : (uint8_t)(seed >> 24);
	}
}

/* Stored, fixed, then dynamic blocks, each kind a piece after the other. */
static bool write_gzip(struct sample *s)
{
	static const struct {
		int level, strategy;
	} kinds[] = { { 6, Z_DEFAULT_STRATEGY }, { 0, Z_DEFAULT_STRATEGY },
		      { 1, Z_DEFAULT_STRATEGY }, { 6, Z_FIXED },
		      { 1, Z_HUFFMAN_ONLY },	 { 1, Z_DEFAULT_STRATEGY } };
	z_stream z = { .next_in = s->plain, .next_out = s->gzip, .avail_out = sizeof(s->gzip) };
	if (deflateInit2(&z, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bool good = true;
	for (size_t i = 0; i < SAMPLE_BYTES / PIECE_BYTES && good; i++) {
		const int level = kinds[i % N_ELEMENTS(kinds)].level;
		good = deflateParams(&z, level, kinds[i % N_ELEMENTS(kinds)].strategy) == Z_OK;
		z.avail_in = PIECE_BYTES;
		good = good && deflate(&z, Z_NO_FLUSH) == Z_OK && z.avail_in == 0;
	}
	good = good && deflate(&z, Z_FINISH) == Z_STREAM_END;
	(void)deflateEnd(&z);
	s->gzip_size = sizeof(s->gzip) - z.avail_out;
	return good;
}

static int decode_from(void *arg, const struct indexer_point *point, struct err *err)
{
	struct sample *s = arg;
	AUTO(span_decoder) span = NULL;
	if (point->in > s->gzip_size || point->out > SAMPLE_BYTES)
		return err_set(err, EBADMSG, "a point outside");
	const size_t left = SAMPLE_BYTES - (size_t)point->out;
	const size_t wanted = left < DECODED_BYTES ? left : DECODED_BYTES;
	struct decoder_io io = { s->gzip + point->in, s->gzip_size - (size_t)point->in, s->decoded,
				 DECODED_BYTES };
	int r = span_decoder_new_by(&span, &gzip_inflate_zlib, &point->point, err);
	if (r == 0)
		r = span_decoder_run(span, &io, err);
	if (r < 0)
		return r;
	if (DECODED_BYTES - io.out_size != wanted ||
	    memcmp(s->decoded, s->plain + point->out, wanted) != 0)
		return err_set(err, EBADMSG, "a point that is none");
	s->points += point->point.start == SPAN_DEFLATE;
	return 0;
}

bool indexer_check(const struct gzip_inflate *inflate)
{
	auto_free struct sample *s = mem_new(sizeof(*s));
	auto_free uint8_t *out = mem_new(SAMPLE_BYTES + 1);
	const struct indexer_options options = { .distance = DISTANCE_BYTES,
						 .found = decode_from,
						 .arg = s };
	AUTO(indexer) x = NULL;
	write_plain(s->plain);
	if (!write_gzip(s) || indexer_new_by(&x, inflate, CODEC_GZIP, &options, NULL) < 0)
		return false;
	struct decoder_io io = { s->gzip, s->gzip_size, out, SAMPLE_BYTES + 1 };
	return indexer_run(x, &io, true, NULL) == 0 && io.in_size == 0 && io.out_size == 1 &&
	       memcmp(out, s->plain, SAMPLE_BYTES) == 0 && s->points >= POINTS_MIN;
}
