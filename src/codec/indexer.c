/*
 * An indexer is an ordinary decoder that is watched: members and frames tell where they begin
 * (decoder-ops.h), blocks inside of members are found in indexer-gzip.c, plain data are stopped
 * every so often.  Here are the offsets, and the choice of the library.
 */
#include "codec/indexer.h"

#include <pthread.h>
#include <stdlib.h>

#include "codec/indexer-internal.h"

uint64_t indexer_in(const struct indexer *x)
{
	return x->in_before + (uint64_t)(x->io->in - x->in_start);
}

uint64_t indexer_out(const struct indexer *x)
{
	return x->out_before + (uint64_t)(x->io->out - x->out_start);
}

bool indexer_wants_point(const struct indexer *x)
{
	return indexer_out(x) >= x->next;
}

static void want_next_after(struct indexer *x, uint64_t out)
{
	uint64_t distance = x->options.distance > 0 ? x->options.distance : 1;
	if (!add_ok(out, distance, &x->next))
		x->next = UINT64_MAX;
}

/* Report what was held if output has followed. */
static int release(struct indexer *x, struct err *err)
{
	if (!x->holding || indexer_out(x) == x->held.out)
		return 0;
	x->holding = false;
	return x->options.found(x->options.arg, &x->held, err);
}

int indexer_report(struct indexer *x, const struct indexer_point *point, struct err *err)
{
	int r = release(x, err);
	want_next_after(x, point->out);
	return r < 0 ? r : x->options.found(x->options.arg, point, err);
}

/*
 * A member's or a frame's first byte was taken.  The first one is a point whatever follows; of
 * others without output between them the last one counts.
 */
static int started(struct indexer *x, enum span_start start, struct err *err)
{
	const struct indexer_point point = { .point = { .start = start },
					     .in = indexer_in(x) - 1,
					     .out = indexer_out(x) };
	int r = release(x, err);
	if (r < 0 || !(x->holding || indexer_wants_point(x)))
		return r;
	if (x->next == 0)
		return indexer_report(x, &point, err);
	x->holding = true;
	x->held = point;
	want_next_after(x, point.out);
	return 0;
}

static int member_started(void *arg, struct err *err)
{
	return started(arg, SPAN_GZIP, err);
}

static int frame_started(void *arg, struct err *err)
{
	return started(arg, SPAN_ZSTD, err);
}

static int plain_run(struct indexer *x, struct decoder_io *io, bool input_ended, struct err *err)
{
	for (;;) {
		const struct indexer_point point = { .point = { .start = SPAN_STORED },
						     .in = indexer_in(x),
						     .out = indexer_out(x) };
		int r = 0;
		if (io->in_size > 0 && indexer_wants_point(x))
			r = indexer_report(x, &point, err);
		if (r < 0 || io->in_size == 0 || io->out_size == 0)
			return r;
		uint64_t until = x->next - point.out;
		size_t withheld = until < io->out_size ? io->out_size - (size_t)until : 0;
		io->out_size -= withheld;
		r = decoder_run(x->decoder, io, input_ended, err);
		io->out_size += withheld;
		if (r < 0)
			return r;
	}
}

/* ISA-L, where it is and does what gzip-isal.c takes for granted. */
static const struct gzip_inflate *finder; /* static; set once, under finder_once */
static pthread_once_t finder_once = PTHREAD_ONCE_INIT;

static void choose(void)
{
	bool good = gzip_inflate_best == &gzip_inflate_zlib || indexer_check(gzip_inflate_best);
	finder = good ? gzip_inflate_best : &gzip_inflate_zlib;
}

static const struct gzip_inflate *chosen(void)
{
	if (pthread_once(&finder_once, choose) != 0)
		return &gzip_inflate_zlib;
	return finder;
}

const char *indexer_library(void)
{
	return chosen()->library();
}

int indexer_new(struct indexer **out, enum codec codec, const struct indexer_options *options,
		struct err *err)
{
	return indexer_new_by(out, chosen(), codec, options, err);
}

int indexer_new_by(struct indexer **out, const struct gzip_inflate *inflate, enum codec codec,
		   const struct indexer_options *options, struct err *err)
{
	AUTO(indexer) x = mem_make(struct indexer, .options = *options);
	x->watch.arg = x;
	x->watch.start = codec == CODEC_ZSTD ? frame_started : member_started;
	x->plain = codec == CODEC_NONE;
	int r = 0;
	if (codec == CODEC_GZIP && options->members_only)
		x->decoder = gzip_decoder_watched(inflate, inflate->new (), &x->watch);
	else if (codec == CODEC_GZIP)
		x->decoder = gzip_indexer_new(x, inflate);
	else if (codec == CODEC_ZSTD)
		r = zstd_decoder_new(&x->decoder, &x->watch, err);
	else
		r = decoder_new(&x->decoder, codec, err);
	if (r == 0)
		*out = TAKE(x);
	return r;
}

void indexer_free(struct indexer *indexer)
{
	if (!indexer)
		return;
	decoder_free(indexer->decoder);
	free(indexer);
}

int indexer_run(struct indexer *indexer, struct decoder_io *io, bool input_ended, struct err *err)
{
	struct indexer *x = indexer;
	if (!io->in)
		io->in = (const uint8_t *)""; /* as decoder_run */
	x->io = io;
	x->in_start = io->in;
	x->out_start = io->out;
	int r = x->plain ? plain_run(x, io, input_ended, err)
			 : decoder_run(x->decoder, io, input_ended, err);
	if (r == 0)
		r = release(x, err);
	x->in_before = indexer_in(x);
	x->out_before = indexer_out(x);
	x->io = NULL;
	return r;
}
