/*
 * Points inside of gzip members.  Between gzip.c, which knows the members, and a library that
 * inflates stands here one more struct gzip_inflate: it lets the library run at full speed for the
 * distance wanted, then asks for the next block, remembers the 32 KiB before it, and has a probe
 * follow the stream for the next 32 KiB.  Only one point is under way at any time; a member's end
 * ends it.  Used by indexer.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "codec/indexer-internal.h"
#include "codec/probe.h"

struct gzip_indexer {
	struct indexer *x;		    /* borrowed, owns this */
	const struct gzip_inflate *inflate; /* borrowed, static */
	void *state;			    /* owned, of inflate */
	struct probe *probe;		    /* owned */
	bool probing;
	struct indexer_point point;	 /* under way while probing */
	uint64_t out_size;		 /* of the member so far */
	uint8_t ring[SPAN_WINDOW_BYTES]; /* its last bytes, the byte at N in N % sizeof(ring) */
};

/* Output that was given out, for the windows to come. */
static void remember(struct gzip_indexer *g, const uint8_t *out, size_t size)
{
	size_t kept = size < sizeof(g->ring) ? size : sizeof(g->ring);
	size_t at = (size_t)((g->out_size + size - kept) % sizeof(g->ring));
	size_t first = sizeof(g->ring) - at < kept ? sizeof(g->ring) - at : kept;
	const uint8_t *from = out + size - kept;
	memcpy(g->ring + at, from, first);
	memcpy(g->ring, from + first, kept - first);
	g->out_size += size;
}

static void begin_point(struct gzip_indexer *g, const struct gzip_block *block)
{
	uint8_t *window = probe_window(g->probe);
	size_t at = (size_t)(g->out_size % sizeof(g->ring));
	size_t size = g->out_size < sizeof(g->ring) ? (size_t)g->out_size : sizeof(g->ring);
	memcpy(window, g->ring + at, sizeof(g->ring) - at);
	memcpy(window + sizeof(g->ring) - at, g->ring, at);
	probe_start(g->probe, block, size);
	g->probing = true;
	g->point.point.start = SPAN_DEFLATE;
	g->point.point.bits = block->bits;
	g->point.in = indexer_in(g->x) - block->ahead_size;
	g->point.out = indexer_out(g->x);
}

static int finish_point(struct gzip_indexer *g, struct err *err)
{
	g->probing = false;
	if (!probe_finish(g->probe))
		return 0; /* no block begins there after all */
	auto_free uint8_t *packed = NULL;
	struct span_point *point = &g->point.point;
	int r = window_pack(&packed, &point->window_size, probe_window(g->probe), SPAN_WINDOW_BYTES,
			    err);
	if (r < 0)
		return r;
	point->window = packed;
	return indexer_report(g->x, &g->point, err);
}

/* Output that the library may give before it is asked something else. */
static uint64_t room_for(const struct gzip_indexer *g)
{
	if (!g->probing)
		return g->x->next - indexer_out(g->x);
	size_t wanted = probe_wants(g->probe);
	return wanted > 0 ? wanted : UINT64_MAX;
}

/* Let the library inflate until a point is wanted or known, or find one. */
static int advance(struct gzip_indexer *g, struct decoder_io *io, struct gzip_block *block,
		   struct gzip_inflated *end, struct err *err)
{
	if (!g->probing && indexer_wants_point(g->x))
		return g->inflate->find(g->state, io, block, end, err);
	uint64_t room = room_for(g);
	size_t withheld = room < io->out_size ? io->out_size - (size_t)room : 0;
	io->out_size -= withheld;
	int r = g->inflate->run(g->state, io, end, err);
	io->out_size += withheld;
	return r;
}

/* As gzip_inflate.run; *moved is whether anything was taken or given. */
static int step(struct gzip_indexer *g, struct decoder_io *io, bool *moved,
		struct gzip_inflated *end, struct err *err)
{
	struct gzip_block block = { 0 };
	const uint8_t *in = io->in, *out = io->out;
	int stop = advance(g, io, &block, end, err);
	if (stop < 0)
		return stop;
	size_t taken = (size_t)(io->in - in), given = (size_t)(io->out - out);
	*moved = taken > 0 || given > 0 || stop == GZIP_BLOCK;
	remember(g, out, given);
	if (g->probing) {
		probe_add(g->probe, in, taken, out, given);
		if (stop == GZIP_ENDED || probe_is_done(g->probe)) {
			int r = finish_point(g, err);
			if (r < 0)
				return r;
		}
	}
	if (stop == GZIP_BLOCK)
		begin_point(g, &block);
	return stop;
}

static int gzip_indexer_run(void *state, struct decoder_io *io, struct gzip_inflated *end,
			    struct err *err)
{
	bool moved = true;
	int stop = GZIP_MORE;
	while (moved && io->out_size > 0 && stop != GZIP_ENDED) {
		stop = step(state, io, &moved, end, err);
		if (stop < 0)
			return stop;
	}
	return stop == GZIP_ENDED ? GZIP_ENDED : GZIP_MORE;
}

static void gzip_indexer_reset(void *state)
{
	struct gzip_indexer *g = state;
	g->out_size = 0;
	g->inflate->reset(g->state);
}

static void gzip_indexer_free(void *state)
{
	struct gzip_indexer *g = state;
	g->inflate->free(g->state);
	probe_free(g->probe);
	free(g);
}

struct decoder *gzip_indexer_new(struct indexer *x, const struct gzip_inflate *inflate)
{
	static const struct gzip_inflate indexing = { .free = gzip_indexer_free,
						      .reset = gzip_indexer_reset,
						      .run = gzip_indexer_run };
	struct gzip_indexer *g = mem_new(sizeof(*g));
	g->x = x;
	g->inflate = inflate;
	g->state = inflate->new ();
	g->probe = probe_new(inflate);
	return gzip_decoder_watched(&indexing, g, &x->watch);
}
