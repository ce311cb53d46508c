/*
 * A layer whose table was only found, streamed once as a whole: the pass (pass.h) holds blob digest
 * and diffID against manifest and config, and the spans that are missing are cut out of the
 * compressed bytes as they go by, so that the blob is downloaded once for both.
 *
 * Spans are in the order of the blob; bytes from where the first missing one begins are held until
 * its group is complete.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "image/lazy-internal.h"
#include "image/pass.h"
#include "image/table-store.h"

#define HELD_MAX_BYTES (96u * 1024 * 1024) /* a group of more is left to whoever reads it */

struct verify {
	struct lazy *lazy;	  /* borrowed */
	struct lazy_layer *layer; /* borrowed */
	struct pass pass;
	struct decoder *decoder; /* owned */
	uint32_t next;		 /* the first span that was not dealt with */
	uint64_t at;		 /* in the blob: what comes next */
	uint64_t from;		 /* in the blob: where the held bytes begin */
	uint8_t *held;		 /* owned */
	size_t size, capacity;
};

/* --- one group --- */

/* Decode SIZE bytes into BUF; -EBADMSG when there are fewer. */
static int decode(struct span_decoder *decoder, struct decoder_io *io, uint8_t *buf, size_t size,
		  struct err *err)
{
	io->out = buf;
	io->out_size = size;
	while (io->out_size > 0) {
		size_t in = io->in_size, out = io->out_size;
		int r = span_decoder_run(decoder, io, err);
		if (r < 0)
			return r;
		if (io->in_size == in && io->out_size == out)
			return err_set(err, EBADMSG, "a span ends early");
	}
	return 0;
}

static int skip(struct span_decoder *decoder, struct decoder_io *io, uint64_t size, struct err *err)
{
	uint8_t scratch[16 * 1024];
	while (size > 0) {
		size_t n = size < sizeof(scratch) ? (size_t)size : sizeof(scratch);
		int r = decode(decoder, io, scratch, n, err);
		if (r < 0)
			return r;
		size -= n;
	}
	return 0;
}

static void keep(struct verify *v, uint32_t number, const uint8_t *data)
{
	const struct table_span *s = table_span(v->layer->table, number);
	const struct cache_span place = { number, s->stream_offset, s->stream_size };
	struct err err = { 0 };
	if (table_verify(v->layer->table, number, data, &err) < 0) {
		log_debug("layer '%s': span %u: its bytes %s", digest_show(v->layer->key), number,
			  err_text(&err));
		return;
	}
	if (!cache_spans_trylock(v->layer->spans, number))
		return; /* somebody else is at it */
	if (!cache_spans_has(v->layer->spans, number))
		IGNORE(cache_spans_write(v->layer->spans, &place, data, NULL));
	cache_spans_unlock(v->layer->spans, number);
}

/* Spans FIRST up to END, which begin decoding at the same place; all their bytes are held. */
static int cut_group(struct verify *v, uint32_t first, uint32_t end, struct err *err)
{
	const struct table *table = v->layer->table;
	const struct span_point point = table_point(table, first);
	uint64_t start = table_span(table, first)->blob_offset, done = 0;
	struct decoder_io io = { .in = v->held + (start - v->from),
				 .in_size = v->size - (size_t)(start - v->from) };
	AUTO(span_decoder) decoder = NULL;
	int r = span_decoder_new(&decoder, &point, err);
	for (uint32_t i = first; r == 0 && i < end; i++) {
		const struct table_span *s = table_span(table, i);
		void *memory = NULL;
		r = skip(decoder, &io, s->skip - done, err);
		if (r == 0)
			r = mem_try(&memory, s->stream_size, 1, err);
		auto_free uint8_t *data = memory;
		if (r == 0)
			r = decode(decoder, &io, data, s->stream_size, err);
		if (r == 0)
			keep(v, i, data);
		done = s->skip + s->stream_size;
	}
	return r;
}

/* --- the bytes that go by --- */

/* The next group with a span that is missing: its spans, and the blob's bytes it needs. */
static bool next_group(struct verify *v, uint32_t *end, uint64_t *from, uint64_t *to)
{
	const struct table *table = v->layer->table;
	uint32_t count = table_span_count(table);
	while (v->next < count && cache_spans_has(v->layer->spans, v->next))
		v->next++;
	if (v->next == count)
		return false;
	*from = *to = table_span(table, v->next)->blob_offset;
	while (v->next > 0 && table_span(table, v->next - 1)->blob_offset == *from)
		v->next--;
	for (*end = v->next; *end < count; ++*end) {
		const struct table_span *s = table_span(table, *end);
		if (s->blob_offset != *from)
			break;
		*to = s->blob_offset + s->blob_size > *to ? s->blob_offset + s->blob_size : *to;
	}
	return true;
}

static void drop_before(struct verify *v, uint64_t from)
{
	size_t n = from - v->from < v->size ? (size_t)(from - v->from) : v->size;
	v->size -= n;
	v->from += n;
	memmove(v->held, v->held + n, v->size);
}

static void hold(struct verify *v, const uint8_t *data, size_t size)
{
	while (v->capacity < v->size + size)
		v->held = mem_grow(v->held, &v->capacity, v->capacity, 1);
	memcpy(v->held + v->size, data, size);
	v->size += size;
}

static void pass_by(struct verify *v, const uint8_t *data, size_t size)
{
	uint32_t end;
	uint64_t from, to;
	if (size == 0)
		return;
	if (v->size == 0)
		v->from = v->at;
	hold(v, data, size);
	v->at += size;
	while (next_group(v, &end, &from, &to)) {
		struct err err = { 0 };
		bool lost = from < v->from || to - from > HELD_MAX_BYTES;
		if (!lost && from > v->from)
			drop_before(v, from);
		if (!lost && to > v->at)
			return; /* more has to come */
		if (!lost && cut_group(v, v->next, end, &err) < 0)
			log_debug("layer '%s': span %u: %s", digest_show(v->layer->key), v->next,
				  err_text(&err));
		v->next = end;
	}
	v->size = 0;
}

/* --- the pass --- */

static int begin(void *arg, enum codec codec, struct err *err)
{
	struct verify *v = arg;
	return decoder_new(&v->decoder, codec, err);
}

static int run(void *arg, struct decoder_io *io, bool input_ended, struct err *err)
{
	struct verify *v = arg;
	const uint8_t *in = io->in;
	if (lazy_fill_pause(v->lazy))
		return err_set(err, ECANCELED, "stopped");
	size_t size = io->in_size;
	int r = decoder_run(v->decoder, io, input_ended, err);
	if (r == 0)
		pass_by(v, in, size - io->in_size);
	return r;
}

static int read_all(void *arg, struct stream *stream, struct err *err)
{
	(void)arg;
	int r = 0;
	for (size_t size = 1; r == 0 && size > 0;) {
		const void *data;
		r = stream_next(stream, &data, &size, err);
	}
	return r;
}

static void verify_reset(struct verify *v)
{
	decoder_free(TAKE(v->decoder));
	free(TAKE(v->held));
	v->size = v->capacity = 0;
	v->next = 0;
	v->at = 0;
}

static int attempt(void *arg, unsigned flags, bool *again, struct err *err)
{
	struct verify *v = arg;
	verify_reset(v);
	int r = pass_run(&v->pass, flags, again, err);
	atomic_fetch_add(&v->layer->verified_bytes, v->pass.fetched_bytes);
	return r;
}

static const void *table_file(const struct lazy_layer *layer)
{
	if (layer->data)
		return layer->data;
	return (const uint8_t *)layer->map.data + (layer->map.size - layer->size);
}

int lazy_verify(struct lazy *lazy, uint32_t layer, struct err *err)
{
	struct lazy_layer *l = &lazy->layers[layer];
	__attribute__((cleanup(verify_reset))) struct verify v = {
		.lazy = lazy,
		.layer = l,
		.pass = {
			.image = lazy->image,
			.layer = l->number,
			.stop = &lazy->stop,
			.allow_bomb = lazy->options.allow_bomb,
			.begin = begin,
			.run = run,
			.read = read_all,
			.arg = &v,
		},
	};
	struct err why = { 0 };
	int r = pass_layer(&v.pass, attempt, &v, &why);
	if (r == 0) {
		atomic_store(&l->trust, TRUST_VERIFIED);
		table_store_put(lazy->options.cache, lazy->image, l->number, table_file(l), l->size,
				TRUST_VERIFIED);
	}
	if (r == -EBADMSG) {
		atomic_store(&l->bad, true);
		table_store_drop(lazy->options.cache, lazy->image, l->number);
		lazy_log(lazy, "%s; its files are not given any more", err_text(&why));
		return 0;
	}
	if (r < 0 && err)
		*err = why;
	return r;
}
