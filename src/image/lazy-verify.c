/*
 * A layer whose table was only found, streamed once as a whole: the pass (pass.h) holds blob digest
 * and diffID against manifest and config, and the spans that are missing are cut out of what it
 * decodes, so that the blob is downloaded and decoded once for both.
 *
 * A span begins so many bytes behind a member or frame of the blob.  Where in the stream these
 * begin the decoding thread sees; the reading thread, which comes behind it, takes the bytes. Spans
 * that begin anywhere else are left to whoever reads them.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "codec/indexer.h"
#include "image/lazy-internal.h"
#include "image/pass.h"
#include "image/table-store.h"

/* Spans from FIRST on that begin decoding there: at OUT in the stream. */
struct start {
	uint32_t first;
	uint64_t out;
};

struct verify {
	struct lazy *lazy;	  /* borrowed */
	struct lazy_layer *layer; /* borrowed */
	struct pass pass;

	/* the decoding thread */
	struct indexer *indexer; /* owned; NULL: the blob is the stream */
	struct decoder *decoder; /* owned; then this one */
	uint32_t looked;	 /* spans before it begin before what comes */

	pthread_mutex_t mutex; /* guards starts, start_count, start_capacity */
	struct start *starts;  /* owned */
	size_t start_count, start_capacity;

	/* the reading thread */
	size_t taken;	   /* of starts */
	struct start from; /* where the span TARGET begins decoding */
	uint32_t target;
	bool aiming;	/* there is a target: */
	uint64_t place; /* of it in the stream, not before AT */
	uint64_t at;	/* in the stream: what comes next */
	uint8_t *bytes; /* owned: of the target, as far as they came */
	size_t filled;
};

/* --- a span --- */

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

/* The next start that is known. */
static bool take_start(struct verify *v)
{
	const struct table *table = v->layer->table;
	if (!v->indexer) { /* each span is its own */
		uint32_t next = v->taken++ ? v->target + 1 : 0;
		if (next >= table_span_count(table) ||
		    table_span(table, next)->start != SPAN_STORED)
			return false;
		v->from = (struct start){ next, table_span(table, next)->blob_offset };
		return true;
	}
	LOCKED(&v->mutex);
	if (v->taken == v->start_count)
		return false;
	v->from = v->starts[v->taken++];
	return true;
}

/* The span behind the target, if it begins decoding at the same place; else at the next start. */
static bool next_span(struct verify *v)
{
	const struct table *table = v->layer->table;
	uint32_t next = v->target + 1;
	bool same = v->indexer && v->taken > 0 && next < table_span_count(table) &&
		    table_span(table, next)->blob_offset ==
			    table_span(table, v->from.first)->blob_offset;
	if (same) {
		v->target = next;
		return true;
	}
	if (!take_start(v))
		return false;
	v->target = v->from.first;
	return true;
}

/* Find the next span that is missing and whose bytes have not gone by. */
static bool aim(struct verify *v)
{
	while (!v->aiming && next_span(v)) {
		v->place = v->from.out + table_span(v->layer->table, v->target)->skip;
		v->aiming = v->place >= v->at && !cache_spans_has(v->layer->spans, v->target);
	}
	return v->aiming;
}

/* Add to the target what of SIZE bytes at DATA is its; whether it is whole. */
static int gather(struct verify *v, const uint8_t *data, size_t size, struct err *err)
{
	size_t wanted = table_span(v->layer->table, v->target)->stream_size;
	if (!v->bytes && size >= wanted) {
		keep(v, v->target, data);
		return 1;
	}
	if (!v->bytes) {
		void *memory = NULL;
		int r = mem_try(&memory, wanted, 1, err);
		if (r < 0)
			return r;
		v->bytes = memory;
		v->filled = 0;
	}
	size_t n = wanted - v->filled < size ? wanted - v->filled : size;
	memcpy(v->bytes + v->filled, data, n);
	v->filled += n;
	if (v->filled < wanted)
		return 0;
	keep(v, v->target, v->bytes);
	free(TAKE(v->bytes));
	return 1;
}

/* Bytes of the stream; the starts of all that begins in them are known. */
static int pass_by(struct verify *v, const uint8_t *data, size_t size, struct err *err)
{
	uint64_t end = v->at + size;
	while (aim(v) && v->place + v->filled < end) {
		size_t behind = (size_t)(v->place + v->filled - v->at);
		int r = gather(v, data + behind, size - behind, err);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		v->aiming = false;
		v->filled = 0;
	}
	v->at = end;
	return 0;
}

/* --- the pass --- */

/* A member or frame begins; kept when spans begin with it. */
static int found_start(void *arg, const struct indexer_point *point, struct err *err)
{
	struct verify *v = arg;
	const struct table *table = v->layer->table;
	(void)err;
	while (v->looked < table_span_count(table) &&
	       table_span(table, v->looked)->blob_offset < point->in)
		v->looked++;
	if (v->looked == table_span_count(table) ||
	    table_span(table, v->looked)->blob_offset != point->in ||
	    table_span(table, v->looked)->start != point->point.start)
		return 0;
	LOCKED(&v->mutex);
	v->starts = mem_grow(v->starts, &v->start_capacity, v->start_count, sizeof(*v->starts));
	v->starts[v->start_count++] = (struct start){ v->looked, point->out };
	return 0;
}

static int begin(void *arg, enum codec codec, struct err *err)
{
	struct verify *v = arg;
	const struct indexer_options options = {
		.distance = 1, .members_only = true, .found = found_start, .arg = v
	};
	if (codec == CODEC_NONE)
		return decoder_new(&v->decoder, codec, err);
	return indexer_new(&v->indexer, codec, &options, err);
}

static int run(void *arg, struct decoder_io *io, bool input_ended, struct err *err)
{
	struct verify *v = arg;
	if (lazy_fill_pause(v->lazy))
		return err_set(err, ECANCELED, "stopped");
	return v->indexer ? indexer_run(v->indexer, io, input_ended, err)
			  : decoder_run(v->decoder, io, input_ended, err);
}

static int read_all(void *arg, struct stream *stream, struct err *err)
{
	struct verify *v = arg;
	int r = 0;
	for (size_t size = 1; r == 0 && size > 0;) {
		const void *data;
		r = stream_next(stream, &data, &size, err);
		if (r == 0 && size > 0)
			r = pass_by(v, data, size, err);
	}
	return r;
}

static void verify_reset(struct verify *v)
{
	indexer_free(TAKE(v->indexer));
	decoder_free(TAKE(v->decoder));
	free(TAKE(v->starts));
	free(TAKE(v->bytes));
	v->start_count = v->start_capacity = v->taken = v->filled = 0;
	v->looked = v->target = 0;
	v->at = 0;
	v->aiming = false;
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
		.mutex = PTHREAD_MUTEX_INITIALIZER,
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
