/*
 * Two decoders that follow the stream from a block on, see probe.h.  Called by indexer-gzip.c for
 * every point.
 */
#include "codec/probe.h"

#include <stdlib.h>

#define STRIDE 8 /* bytes compared at once */

struct follower {
	void *state; /* owned, of inflate */
	bool ended;
	size_t size; /* of out */
	uint8_t out[SPAN_WINDOW_BYTES];
};

struct probe {
	const struct gzip_inflate *inflate; /* borrowed, static */
	struct follower a, b;
	bool bad;	    /* one of them failed */
	size_t window_size; /* bytes that there are, at the end of window */
	size_t real_size;
	uint8_t made_up_a[SPAN_WINDOW_BYTES], made_up_b[SPAN_WINDOW_BYTES];
	uint8_t window[SPAN_WINDOW_BYTES];
	uint8_t real[SPAN_WINDOW_BYTES]; /* what the stream gave */
	uint8_t used[SPAN_WINDOW_BYTES]; /* 0xff where the window is */
};

static size_t place_of(uint8_t a, uint8_t b)
{
	return a | (size_t)((a ^ b) - 1) << 8;
}

struct probe *probe_new(const struct gzip_inflate *inflate)
{
	struct probe *p = mem_new(sizeof(*p));
	p->inflate = inflate;
	p->a.state = inflate->new ();
	p->b.state = inflate->new ();
	for (size_t j = 0; j < SPAN_WINDOW_BYTES; j++) {
		p->made_up_a[j] = (uint8_t)j;
		p->made_up_b[j] = (uint8_t)(j ^ (1 + (j >> 8)));
	}
	return p;
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	probe->inflate->free(probe->a.state);
	probe->inflate->free(probe->b.state);
	free(probe);
}

uint8_t *probe_window(struct probe *probe)
{
	return probe->window;
}

static void follow(struct probe *p, struct follower *f, const uint8_t *in, size_t size)
{
	struct decoder_io io = { in, size, f->out + f->size, sizeof(f->out) - f->size };
	struct gzip_inflated end;
	if (f->ended || p->bad || io.out_size == 0)
		return;
	int r = p->inflate->run(f->state, &io, &end, NULL);
	p->bad = r < 0;
	f->ended = r == GZIP_ENDED;
	f->size = sizeof(f->out) - io.out_size;
}

static void start(struct probe *p, struct follower *f, const uint8_t *made_up,
		  const struct gzip_block *block)
{
	const size_t taken = block->bits > 0;
	const size_t skipped = SPAN_WINDOW_BYTES - p->window_size;
	p->inflate->start(f->state, block, made_up + skipped, p->window_size);
	f->ended = false;
	f->size = 0;
	follow(p, f, block->ahead + taken, block->ahead_size - taken);
}

void probe_start(struct probe *probe, const struct gzip_block *block, size_t size)
{
	probe->bad = false;
	probe->window_size = size;
	probe->real_size = 0;
	start(probe, &probe->a, probe->made_up_a, block);
	start(probe, &probe->b, probe->made_up_b, block);
}

void probe_add(struct probe *probe, const uint8_t *in, size_t in_size, const uint8_t *out,
	       size_t out_size)
{
	follow(probe, &probe->a, in, in_size);
	follow(probe, &probe->b, in, in_size);
	size_t room = sizeof(probe->real) - probe->real_size;
	size_t n = out_size < room ? out_size : room;
	memcpy(probe->real + probe->real_size, out, n);
	probe->real_size += n;
}

static bool is_full(size_t size)
{
	return size == SPAN_WINDOW_BYTES;
}

size_t probe_wants(const struct probe *probe)
{
	return sizeof(probe->real) - probe->real_size;
}

bool probe_is_done(const struct probe *probe)
{
	return probe->bad ||
	       (is_full(probe->a.size) && is_full(probe->b.size) && is_full(probe->real_size));
}

/* The byte at I of what was given: as it must be, and the place it is from marked. */
static bool trace(struct probe *p, size_t i)
{
	uint8_t a = p->a.out[i], b = p->b.out[i];
	if (a == b)
		return a == p->real[i];
	size_t j = place_of(a, b);
	if (j >= SPAN_WINDOW_BYTES || p->window[j] != p->real[i])
		return false;
	p->used[j] = 0xff;
	return true;
}

/* The next STRIDE bytes are written out in the span: nothing to trace. */
static bool is_plain(const struct probe *p, size_t i)
{
	return i + STRIDE <= p->real_size && memcmp(p->a.out + i, p->b.out + i, STRIDE) == 0 &&
	       memcmp(p->a.out + i, p->real + i, STRIDE) == 0;
}

bool probe_finish(struct probe *probe)
{
	const size_t size = probe->real_size;
	bool good = !probe->bad && size > 0 && probe->a.size == size && probe->b.size == size;
	memset(probe->used, 0, sizeof(probe->used));
	for (size_t i = 0; i < size && good;) {
		if (is_plain(probe, i))
			i += STRIDE;
		else
			good = trace(probe, i++);
	}
	for (size_t j = 0; j < sizeof(probe->window); j++)
		probe->window[j] &= probe->used[j];
	return good;
}
