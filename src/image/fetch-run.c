/*
 * One request: the spans are locked against other processes, the bytes come through decoder and
 * digest, and each span goes to who waits for it first, into the cache second.  What goes wrong
 * with one span is that span's; what goes wrong with the request is everybody's who waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "image/fetch-decode.h"
#include "image/fetch-internal.h"

#define FOREIGN_LOOK_MS 20u /* does the other process have it by now? */
#define FOREIGN_WAIT_MAX_MS 2000u
#define FILL_YIELD_MS 200u /* a piece is read all the same after so long */
#define PREFETCH_YIELD_MS 50u
#define DRAIN_MAX_BYTES (256u * 1024) /* rather read than lose the connection */
#define FILL_PAUSE_MS 5000u
#define FILL_LONG_PAUSE_MS 60000u /* after what does not pass by itself */

enum fetch_held {
	NOT_HELD,
	HELD,		 /* ours, without a lock */
	HELD_AND_LOCKED, /* against other processes */
};

struct transfer {
	struct fetcher *f;
	struct fetch_run *run;
	struct fetch_layer *layer;
	uint64_t asked_us, body_us; /* when; 0: no byte came yet */
	uint64_t bytes;
};

static struct cache_spans *spans_of(const struct transfer *t)
{
	return t->layer->given->spans;
}

/* ---- before: who fetches what */

static void unlock(const struct transfer *t, uint32_t span)
{
	uint8_t before = atomic_fetch_and(&t->layer->flags[span], (uint8_t)~FETCH_LOCKED);
	if (before & FETCH_LOCKED)
		cache_spans_unlock(spans_of(t), span);
}

/* Hold SPAN if it is missing and no other process is about it: enum fetch_held. */
static uint8_t hold(const struct transfer *t, uint32_t span)
{
	_Atomic uint8_t *flags = &t->layer->flags[span];
	if (cache_spans_has(spans_of(t), span))
		return NOT_HELD;
	if (!(atomic_fetch_or(flags, FETCH_LOCKED) & FETCH_LOCKED) &&
	    !cache_spans_trylock(spans_of(t), span)) {
		atomic_fetch_and(flags, (uint8_t)~FETCH_LOCKED);
		return NOT_HELD;
	}
	if (!cache_spans_has(spans_of(t), span))
		return HELD_AND_LOCKED;
	unlock(t, span); /* it came in between */
	return NOT_HELD;
}

/* The run is about [first, last] only; whoever waits for other spans of it finds another one. */
static void narrow(const struct transfer *t, uint32_t first, uint32_t last)
{
	{
		LOCKED(&t->f->mutex);
		t->run->done = t->run->begun = first;
		t->run->cut = last + 1;
	}
	fetch_settle(t->f);
}

/*
 * Another process holds the span that leads: it is probably being fetched, and then comes into the
 * cache.  Waits for that with nothing else held; after a while it is fetched twice rather than not.
 */
static uint8_t wait_for_lead(const struct transfer *t)
{
	uint32_t lead = t->run->lead;
	narrow(t, lead, lead);
	for (unsigned ms = 0; ms < FOREIGN_WAIT_MAX_MS; ms += FOREIGN_LOOK_MS) {
		{
			LOCKED(&t->f->mutex);
			if (t->f->stopping || t->run->class != FETCH_DEMAND)
				return NOT_HELD;
			fetch_wait_ms(t->f, &t->f->calm, FOREIGN_LOOK_MS);
		}
		if (cache_spans_has(spans_of(t), lead))
			return NOT_HELD;
		uint8_t held = hold(t, lead);
		if (held != NOT_HELD || cache_spans_has(spans_of(t), lead))
			return held;
	}
	return HELD;
}

/* May the run take this span?  A suspect has a request of its own, as far as requests go. */
static bool is_ours(const struct transfer *t, uint32_t span)
{
	uint64_t key = fetch_key(t->run->layer, span);
	bool fresh = t->run->flags != 0;
	LOCKED(&t->f->mutex);
	if (fetch_recent_has(t->f->recent, key))
		return false;
	switch (fetch_troubles_look(t->f->troubles, key, fetch_now_ms(), NULL)) {
	case FETCH_TROUBLE_SUSPECT:
		return fresh;
	case FETCH_TROUBLE_NONE:
		return !fresh || t->run->whole;
	case FETCH_TROUBLE_PAUSED:
	default:
		return false;
	}
}

static void hold_all(const struct transfer *t)
{
	struct fetch_run *run = t->run;
	uint8_t *held = run->held;
	uint32_t first = run->plan.first, lead = run->lead;
	held[lead - first] = hold(t, lead);
	if (held[lead - first] == NOT_HELD) {
		if (!cache_spans_has(spans_of(t), lead))
			held[lead - first] = wait_for_lead(t);
		return;
	}
	for (uint32_t i = first; i <= run->plan.last; i++)
		if (i != lead && is_ours(t, i))
			held[i - first] = hold(t, i);
}

/* Cut the plan down to what is held: false when that is nothing. */
static bool trim(const struct transfer *t)
{
	struct fetch_run *run = t->run;
	const struct table *table = t->layer->given->table;
	bool any = false;
	struct fetch_plan plan = run->plan;
	for (uint32_t i = run->plan.first; i <= run->plan.last; i++) {
		if (run->held[i - run->plan.first] == NOT_HELD)
			continue;
		const struct table_span *span = table_span(table, i);
		if (!any)
			plan = (struct fetch_plan){ i, i, span->blob_offset, 0 };
		any = true;
		plan.last = i;
		if (span->blob_offset + span->blob_size > plan.end)
			plan.end = span->blob_offset + span->blob_size;
	}
	if (!any)
		return false;
	if (plan.first != run->plan.first || plan.last != run->plan.last)
		narrow(t, plan.first, plan.last);
	memmove(run->held, run->held + (plan.first - run->plan.first),
		(size_t)(plan.last - plan.first) + 1);
	run->plan = plan;
	return true;
}

static void let_go(const struct transfer *t, uint32_t span)
{
	uint8_t *held = t->run->held ? &t->run->held[span - t->run->plan.first] : NULL;
	if (held && *held == HELD_AND_LOCKED)
		unlock(t, span);
	if (held)
		*held = NOT_HELD;
}

/* ---- during: spans come out of the decoder */

static bool begin_spans(void *arg, uint32_t first, uint32_t last)
{
	struct transfer *t = arg;
	LOCKED(&t->f->mutex);
	if (t->f->stopping || first >= t->run->cut)
		return false;
	t->run->begun = last + 1;
	return true;
}

static bool take_span(void *arg, uint32_t span)
{
	const struct transfer *t = arg;
	if (t->run->held)
		return t->run->held[span - t->run->plan.first] != NOT_HELD;
	return !cache_spans_has(spans_of(t), span) && is_ours(t, span);
}

static struct fetch_wait *take_waits(const struct transfer *t, uint32_t span)
{
	LOCKED(&t->f->mutex);
	return fetch_flight_take(t->f, fetch_key(t->run->layer, span));
}

/* The span is over for this run: whoever came while it was written is taken too. */
static struct fetch_wait *pass(const struct transfer *t, uint32_t span, struct fetch_bytes *unkept)
{
	struct fetcher *f = t->f;
	uint64_t key = fetch_key(t->run->layer, span);
	LOCKED(&f->mutex);
	fetch_troubles_clear(f->troubles, key);
	if (unkept)
		fetch_recent_put(f->recent, key, unkept);
	t->layer->unkept = unkept != NULL;
	t->run->done = span + 1;
	return fetch_flight_take(f, key);
}

static void keep_span(const struct transfer *t, uint32_t span, uint8_t *data)
{
	struct cache_span at = fetch_cache_span(t->layer, span);
	AUTO(fetch_bytes) bytes = fetch_bytes_new(data, at.size);
	fetch_answer(t->f, take_waits(t, span), bytes->data, 0, NULL);
	struct err err = { 0 };
	if (cache_spans_write(spans_of(t), &at, bytes->data, &err) < 0)
		log_debug("span %u of layer %zu is not kept: %s", span, t->run->layer + 1,
			  err_text(&err));
	bool kept = cache_spans_has(spans_of(t), span);
	let_go(t, span);
	fetch_answer(t->f, pass(t, span, kept ? NULL : bytes), bytes->data, 0, NULL);
}

/* Wrong bytes for the first time: true, and they will be fetched once more. */
static bool once_more(const struct transfer *t, uint32_t span)
{
	struct fetcher *f = t->f;
	uint64_t key = fetch_key(t->run->layer, span);
	LOCKED(&f->mutex);
	if (t->run->flags || f->stopping || !fetch_troubles_suspect(f->troubles, key))
		return false;
	t->run->done = span + 1;
	struct fetch_flight *flight = fetch_flight_find(f, key);
	if (flight)
		fetch_flight_queue(f, flight);
	else if (t->run->class != FETCH_DEMAND)
		fetch_want(f, t->run->layer, span, t->run->class);
	return true;
}

/* Who waits for the span gets ERR, and for a while who comes. */
static struct fetch_wait *give_up(const struct transfer *t, uint32_t span, const struct err *err)
{
	struct fetcher *f = t->f;
	uint64_t key = fetch_key(t->run->layer, span), now = fetch_now_ms();
	LOCKED(&f->mutex);
	fetch_troubles_pause(f->troubles, key, now, now + FETCHER_PAUSE_MS, err);
	if (span >= t->run->done)
		t->run->done = span + 1;
	return fetch_flight_take(f, key);
}

static void tell(const struct transfer *t, const struct err *err)
{
	atomic_fetch_add(&t->layer->errors, 1);
	if (t->f->options.failed)
		t->f->options.failed(t->f->options.arg, err_text(err));
}

static void fail_span(const struct transfer *t, uint32_t span, int r, const struct err *why)
{
	let_go(t, span);
	if (r == -EBADMSG && once_more(t, span)) {
		atomic_fetch_add(&t->layer->retries, 1);
		log_debug("span %u of layer %zu: %s; once more", span, t->run->layer + 1,
			  err_text(why));
		return;
	}
	const struct table_span *s = table_span(t->layer->given->table, span);
	struct err err = { 0 };
	(void)err_set(&err, -r, "layer %zu of '%s': bytes %llu-%llu of blob '%s' %s",
		      t->run->layer + 1, t->f->options.repo->name,
		      (unsigned long long)s->blob_offset,
		      (unsigned long long)(s->blob_offset + s->blob_size - 1),
		      digest_show(&t->layer->given->descriptor->digest), err_text(why));
	fetch_answer(t->f, give_up(t, span, &err), NULL, r, &err);
	tell(t, &err);
}

static void pass_by(const struct transfer *t, uint32_t span)
{
	bool asked = false;
	{
		LOCKED(&t->f->mutex);
		t->run->done = span + 1;
		asked = fetch_flight_find(t->f, fetch_key(t->run->layer, span)) != NULL;
	}
	if (asked)
		fetch_settle(t->f);
}

static void span_out(void *arg, uint32_t span, uint8_t **data, int r, const struct err *err)
{
	const struct transfer *t = arg;
	if (r < 0)
		fail_span(t, span, r, err);
	else if (*data)
		keep_span(t, span, TAKE(*data));
	else
		pass_by(t, span);
}

/* ---- the bytes */

/* Should this run let demand go first? */
static unsigned yield_ms(const struct fetcher *f, const struct fetch_run *run)
{
	if (run->class == FETCH_DEMAND || f->stopping)
		return 0;
	if (run->class == FETCH_FILL)
		return f->demand || f->running[FETCH_DEMAND] ? FILL_YIELD_MS : 0;
	const struct fetch_run *other = NULL;
	LL_FOREACH(f->runs, other)
	if (other->class == FETCH_DEMAND && other->body && !other->whole)
		return PREFETCH_YIELD_MS;
	return 0;
}

static void give_way(const struct transfer *t, uint64_t position)
{
	LOCKED(&t->f->mutex);
	t->run->position = position;
	t->run->body = true;
	unsigned ms = yield_ms(t->f, t->run);
	if (ms)
		fetch_wait_ms(t->f, &t->f->calm, ms);
}

static void measure(struct transfer *t)
{
	if (!t->body_us)
		return;
	LOCKED(&t->f->mutex);
	fetch_pace_sample(&t->f->pace, t->body_us - t->asked_us, t->bytes,
			  fetch_now_us() - t->body_us);
}

static int next_piece(struct transfer *t, struct stream *stream, const void **data, size_t *size,
		      struct err *err)
{
	int r = stream_next(stream, data, size, err);
	if (r < 0 || *size == 0)
		return r;
	if (!t->body_us)
		t->body_us = fetch_now_us();
	t->bytes += *size;
	atomic_fetch_add_explicit(&t->layer->fetched_bytes, *size, memory_order_relaxed);
	return 0;
}

/* All spans are out: read a short rest, so that the connection can be used again. */
static void drain(struct transfer *t, struct stream *stream)
{
	if (t->run->whole || t->run->plan.end - t->run->plan.begin - t->bytes > DRAIN_MAX_BYTES)
		return;
	const void *data = NULL;
	size_t size = 1;
	while (size > 0)
		if (next_piece(t, stream, &data, &size, NULL) < 0)
			return;
}

/* Has a whole blob that cannot be kept served its purpose? */
static bool is_idle_whole(const struct transfer *t)
{
	if (!t->run->whole)
		return false;
	LOCKED(&t->f->mutex);
	return t->layer->unkept && !t->f->flights;
}

static int pump(struct transfer *t, struct stream *stream, struct fetch_decode *decode,
		struct err *err)
{
	uint64_t position = t->run->plan.begin;
	for (;;) {
		const void *data = NULL;
		size_t size = 0;
		int r = next_piece(t, stream, &data, &size, err);
		if (r < 0)
			return r;
		if (size == 0) {
			fetch_decode_end(decode);
			if (fetch_decode_next(decode) <= t->run->plan.last)
				return err_set(err, EBADMSG, "it ends at byte %llu",
					       (unsigned long long)position);
			return 0;
		}
		give_way(t, position);
		if (fetch_decode_feed(decode, data, size, position))
			break;
		position += size;
		if (is_idle_whole(t))
			return 0;
	}
	drain(t, stream);
	return 0;
}

static int transfer(struct transfer *t, struct err *err)
{
	struct fetch_run *run = t->run;
	struct repo *repo = t->f->options.repo;
	const struct descriptor *descriptor = t->layer->given->descriptor;
	AUTO(stream) stream = NULL;
	t->asked_us = fetch_now_us();
	atomic_fetch_add(&t->layer->requests, 1);
	int r = run->whole ? repo_blob(repo, descriptor, run->flags, &stream, err)
			   : repo_range(repo, descriptor, run->plan.begin,
					run->plan.end - run->plan.begin, run->flags, &stream, err);
	if (r < 0)
		return r;
	AUTO(fetch_decode)
	decode = fetch_decode_new(&(struct fetch_decode_options){ .table = t->layer->given->table,
								  .first = run->plan.first,
								  .last = run->plan.last,
								  .lead = run->lead,
								  .begin = begin_spans,
								  .take = take_span,
								  .out = span_out,
								  .arg = t });
	r = pump(t, stream, decode, err);
	measure(t);
	return r;
}

/* ---- after */

/* The request failed: who waits for a span of it that did not come gets the error. */
static struct fetch_wait *fail_rest(const struct transfer *t, const struct err *err)
{
	struct fetcher *f = t->f;
	struct fetch_run *run = t->run;
	struct fetch_wait *waits = NULL;
	struct fetch_flight *flight = NULL, *next = NULL;
	uint64_t now = fetch_now_ms();
	HASH_ITER(hh, f->flights, flight, next)
	{
		uint64_t key = flight->key;
		uint32_t span = fetch_key_span(key);
		if (fetch_key_layer(key) != run->layer || flight->queued || span < run->done ||
		    span >= run->cut)
			continue;
		fetch_troubles_pause(f->troubles, key, now, now + FETCHER_PAUSE_MS, err);
		flight->last->next = waits;
		waits = fetch_flight_take(f, key);
	}
	return waits;
}

/* What nobody waits for goes on by itself, when the trouble may pass. */
static void want_again(const struct transfer *t, int r)
{
	const struct fetch_run *run = t->run;
	bool no_ranges = r == -EOPNOTSUPP;
	bool may_pass = r != -ENOENT && r != -EACCES && r != -EBADMSG;
	if (run->class == FETCH_FILL && !no_ranges)
		t->layer->fill_after_ms = fetch_now_ms() +
					  (may_pass ? FILL_PAUSE_MS : FILL_LONG_PAUSE_MS);
	if (run->class == FETCH_DEMAND || (run->class == FETCH_PREFETCH && !no_ranges))
		return;
	if (!may_pass)
		return;
	if (run->whole)
		fetch_want(t->f, run->layer, run->lead, run->class);
	for (uint32_t i = run->done; !run->whole && i < run->cut; i++)
		fetch_want(t->f, run->layer, i, run->class);
}

/* Leave the list; the waits that have failed. */
static struct fetch_wait *leave(const struct transfer *t, int r, const struct err *err)
{
	struct fetcher *f = t->f;
	struct fetch_run *run = t->run;
	LOCKED(&f->mutex);
	bool no_ranges = r == -EOPNOTSUPP && !run->whole;
	if (no_ranges)
		t->layer->whole = true;
	struct fetch_wait *waits = r < 0 && !no_ranges ? fail_rest(t, err) : NULL;
	LL_DELETE(f->runs, run);
	t->layer->whole_running -= run->whole;
	if (r < 0)
		want_again(t, r);
	fetch_class_end(f, run);
	pthread_cond_broadcast(&f->work);
	pthread_cond_broadcast(&f->calm);
	return waits;
}

/* Is SPAN another run's by now, with our lock? */
static bool is_taken_over(const struct transfer *t, uint32_t span)
{
	LOCKED(&t->f->mutex);
	return span >= t->run->cut && fetch_covering(t->f, t->run->layer, span);
}

static void finish(const struct transfer *t, int r, const struct err *why)
{
	struct fetch_run *run = t->run;
	for (uint32_t i = run->plan.first; run->held && i <= run->plan.last; i++)
		if (!is_taken_over(t, i))
			let_go(t, i);
	struct err err = { 0 };
	if (r < 0)
		(void)err_set(&err, -r, "layer %zu of '%s': blob '%s': %s", run->layer + 1,
			      t->f->options.repo->name,
			      digest_show(&t->layer->given->descriptor->digest), err_text(why));
	struct fetch_wait *waits = leave(t, r, &err);
	if (waits)
		tell(t, &err);
	fetch_answer(t->f, waits, NULL, r, &err);
	fetch_settle(t->f);
}

void fetch_run(struct fetcher *f, struct fetch_run *run)
{
	struct transfer t = { .f = f, .run = run, .layer = &f->layers[run->layer] };
	struct err err = { 0 };
	int r = 0;
	if (!run->whole) {
		size_t count = (size_t)(run->plan.last - run->plan.first) + 1;
		void *held = NULL;
		r = mem_try(&held, count, 1, &err);
		run->held = held;
	}
	if (run->held)
		hold_all(&t);
	if (run->whole || (run->held && trim(&t)))
		r = transfer(&t, &err);
	finish(&t, r, &err);
	free(TAKE(run->held));
}
