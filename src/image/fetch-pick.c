/*
 * What is done next: demand in the order it came, then prefetch in the order it was asked for, then
 * fill by the blob.  Two threads stay free of what nobody waits for, and fill is begun only when
 * nothing else goes on.
 */
#include "image/fetch-internal.h"

#define FREE_THREADS 2u
#define FILL_RUNS_MAX 2u
#define GAP_ALONE_BYTES (512u * 1024) /* between spans of demand when every thread is busy */
#define GAP_FILL_BYTES (64u * 1024)
#define GAP_PART 8 /* of the pipe, when another thread could as well fetch it; at most: */
#define GAP_PARALLEL_BYTES (128u * 1024)
#define GAP_GUESS_BYTES (8u * 1024) /* where nobody wants anything for sure */
#define PREFETCH_MAX_BYTES (4u * 1024 * 1024)
#define AGAIN_PART \
	32 /* of all bytes may come twice, in gaps that are read over; and so many more: */
#define AGAIN_FREE_BYTES (64u * 1024)

static struct fetch_layer *layer_of(struct fetcher *f, const struct fetch_run *run)
{
	return &f->layers[run->layer];
}

static uint8_t flags_of(const struct fetch_layer *layer, uint32_t span)
{
	return atomic_load_explicit(&layer->flags[span], memory_order_relaxed);
}

/* Take a flag away: was it set? */
static bool flag_clear(struct fetch_layer *layer, uint32_t span, uint8_t flag)
{
	return atomic_fetch_and_explicit(&layer->flags[span], (uint8_t)~flag,
					 memory_order_relaxed) &
	       flag;
}

static bool flag_set(struct fetch_layer *layer, uint32_t span, uint8_t flag)
{
	return !(atomic_fetch_or_explicit(&layer->flags[span], flag, memory_order_relaxed) & flag);
}

static void unwant(struct fetcher *f, struct fetch_layer *layer, uint32_t span)
{
	if (flag_clear(layer, span, FETCH_WANTS_PREFETCH))
		atomic_fetch_sub(&f->pending[FETCH_PREFETCH], 1);
	if (flag_clear(layer, span, FETCH_WANTS_FILL)) {
		layer->fill_left--;
		atomic_fetch_sub(&f->pending[FETCH_FILL], 1);
	}
}

void fetch_want(struct fetcher *f, size_t layer_number, uint32_t span, enum fetch_class class)
{
	struct fetch_layer *layer = &f->layers[layer_number];
	if (class == FETCH_FILL) {
		if (!flag_set(layer, span, FETCH_WANTS_FILL))
			return;
		if (!layer->fill_left++ || span < layer->fill_at)
			layer->fill_at = span;
		atomic_fetch_add(&f->pending[FETCH_FILL], 1);
		return;
	}
	struct fetch_ring *ring = &f->prefetch[class == FETCH_SOON    ? 0
					       : class == FETCH_LATER ? 2
								      : 1];
	if (ring->count == FETCHER_PREFETCH_MAX)
		return;
	bool is_new = flag_set(layer, span, FETCH_WANTS_PREFETCH);
	/* it may stand in a later ring, too: there it is nothing when its turn comes */
	if (!is_new && class != FETCH_SOON)
		return;
	ring->keys[(ring->first + ring->count++) % FETCHER_PREFETCH_MAX] = fetch_key(layer_number,
										     span);
	if (is_new)
		atomic_fetch_add(&f->pending[FETCH_PREFETCH], 1);
}

/* A run counts among what is pending, but for demand: those are the flights. */
static void class_count(struct fetcher *f, enum fetch_class class, bool more)
{
	if (more) {
		f->running[class]++;
		if (class != FETCH_DEMAND)
			atomic_fetch_add(&f->pending[class], 1);
		return;
	}
	f->running[class]--;
	if (class != FETCH_DEMAND)
		atomic_fetch_sub(&f->pending[class], 1);
}

void fetch_class_set(struct fetcher *f, struct fetch_run *run, enum fetch_class class)
{
	if (run->class == class)
		return;
	class_count(f, class, true);
	class_count(f, run->class, false);
	run->class = class;
	pthread_cond_broadcast(&f->calm);
	pthread_cond_signal(&f->work); /* one thread more may do what nobody waits for */
}

void fetch_class_end(struct fetcher *f, struct fetch_run *run)
{
	class_count(f, run->class, false);
}

struct query {
	struct fetcher *f;
	size_t layer;
	uint32_t lead;
	enum fetch_class class;
	bool suspects; /* the request is for these, and for no others */
	uint64_t now_ms;
};

static enum fetch_plan_state span_state(void *arg, uint32_t span)
{
	const struct query *q = arg;
	struct fetcher *f = q->f;
	uint64_t key = fetch_key(q->layer, span);
	enum fetch_trouble trouble = fetch_troubles_look(f->troubles, key, q->now_ms, NULL);
	if (trouble == FETCH_TROUBLE_PAUSED || (trouble == FETCH_TROUBLE_SUSPECT) != q->suspects)
		return FETCH_PLAN_PASS;
	if (fetch_at_hand(f, q->layer, span) || fetch_covering(f, q->layer, span))
		return FETCH_PLAN_PASS;
	if (fetch_flight_find(f, key))
		return FETCH_PLAN_WANTED;
	uint8_t flags = flags_of(&f->layers[q->layer], span);
	/* nothing that waits for nobody is put in front of what somebody waits for */
	if (q->class == FETCH_DEMAND && span < q->lead)
		return FETCH_PLAN_FREE;
	if (flags & FETCH_WANTS_PREFETCH || (q->class == FETCH_FILL && flags & FETCH_WANTS_FILL))
		return FETCH_PLAN_WANTED;
	return FETCH_PLAN_FREE;
}

/* Was a quarter of what READER's last request brought along not read until the miss at LEAD? */
static bool is_wasteful(const struct fetch_layer *layer, const struct fetch_pace_reader *reader,
			uint32_t lead)
{
	uint64_t all = 0, unread = 0;
	for (uint32_t i = reader->first; i < lead; i++) {
		uint64_t size = table_span(layer->given->table, i)->blob_size;
		all += size;
		unread += flags_of(layer, i) & FETCH_AROUND ? size : 0;
	}
	return unread > all / 4;
}

static uint64_t gap_of(const struct fetcher *f, const struct fetch_layer *layer,
		       const struct fetch_run *run, uint64_t bdp)
{
	unsigned busy = f->running[FETCH_DEMAND] + f->running[FETCH_PREFETCH] +
			f->running[FETCH_FILL];
	if (f->again_bytes > f->asked_bytes / AGAIN_PART + AGAIN_FREE_BYTES)
		return 0;
	if (run->class == FETCH_FILL)
		return GAP_FILL_BYTES;
	if (run->class == FETCH_PREFETCH && flags_of(layer, run->lead) & FETCH_AROUND)
		return GAP_GUESS_BYTES;
	if (run->class == FETCH_DEMAND && !f->options.exact && busy + 1 >= f->thread_count)
		return bdp < GAP_ALONE_BYTES ? bdp : GAP_ALONE_BYTES;
	return bdp / GAP_PART < GAP_PARALLEL_BYTES ? bdp / GAP_PART : GAP_PARALLEL_BYTES;
}

static struct fetch_plan_limits limits_of(struct fetcher *f, const struct fetch_run *run,
					  struct fetch_pace_reader **reader)
{
	struct fetch_layer *layer = layer_of(f, run);
	uint64_t bdp = fetch_pace_bdp(&f->pace);
	struct fetch_plan_limits limits = { .gap = gap_of(f, layer, run, bdp),
					    .bytes = FETCH_PACE_REQUEST_MAX_BYTES };
	*reader = NULL;
	if (run->flags)
		return (struct fetch_plan_limits){ .bytes = FETCH_PACE_REQUEST_MAX_BYTES };
	if (run->class == FETCH_PREFETCH)
		limits.bytes = PREFETCH_MAX_BYTES;
	if (run->class != FETCH_DEMAND || f->options.exact)
		return limits;
	uint64_t offset = table_span(layer->given->table, run->lead)->blob_offset;
	*reader = fetch_pace_reader(&layer->pace, offset);
	bool wasteful = (*reader)->window && is_wasteful(layer, *reader, run->lead);
	limits.target = fetch_pace_target(&layer->pace, &f->pace, *reader, wasteful);
	if (layer->unkept && limits.target > FETCH_RECENT_MAX_BYTES / 8)
		limits.target = FETCH_RECENT_MAX_BYTES / 8;
	return limits;
}

/* Remember what was taken along unasked: to see whether it was read, and to go on in time. */
static void mark_around(struct fetcher *f, const struct fetch_run *run, struct query *query,
			const struct fetch_pace_reader *reader)
{
	struct fetch_layer *layer = layer_of(f, run);
	uint64_t middle = run->plan.begin + (run->plan.end - run->plan.begin) / 2;
	bool marked = false;
	for (uint32_t i = run->lead + 1; i <= run->plan.last; i++) {
		if (span_state(query, i) != FETCH_PLAN_FREE)
			continue;
		(void)flag_set(layer, i, FETCH_AROUND);
		if (reader->sequential && !marked &&
		    table_span(layer->given->table, i)->blob_offset >= middle) {
			marked = true;
			(void)flag_set(layer, i, FETCH_MARK);
		}
	}
}

struct looker {
	struct fetcher *f;
	size_t layer;
};

static void want_near(void *arg, uint32_t span)
{
	const struct looker *l = arg;
	if (fetch_at_hand(l->f, l->layer, span) || fetch_covering(l->f, l->layer, span))
		return;
	(void)flag_set(&l->f->layers[l->layer], span, FETCH_AROUND);
	fetch_want(l->f, l->layer, span, FETCH_LATER);
}

/* A read that stands alone: what lies near it comes by requests of its own, behind it. */
static void look_around(struct fetcher *f, const struct fetch_run *run,
			struct fetch_pace_reader *reader)
{
	struct fetch_layer *layer = layer_of(f, run);
	if (!layer->near || layer->unkept || run->flags)
		return;
	struct looker looker = { f, run->layer };
	uint32_t last = fetch_near_look(layer->near, run->lead, want_near, &looker);
	const struct table_span *span = table_span(layer->given->table, last);
	if (last >= reader->next) {
		reader->end = span->blob_offset + span->blob_size;
		reader->next = last + 1;
	}
	pthread_cond_broadcast(&f->work);
}

/* A demand's request is planned: note how far its reader is. */
static void follow(struct fetcher *f, const struct fetch_run *run, struct query *query,
		   struct fetch_pace_reader *reader)
{
	reader->first = run->lead;
	reader->end = run->plan.end;
	reader->next = run->plan.last + 1;
	if (!reader->sequential)
		reader->window = run->plan.end - run->plan.begin;
	mark_around(f, run, query, reader);
}

/* How much of it is here already, or on its way. */
static void note_again(struct fetcher *f, const struct fetch_run *run, struct query *query)
{
	const struct table *table = layer_of(f, run)->given->table;
	f->asked_bytes += run->plan.end - run->plan.begin;
	for (uint32_t i = run->plan.first; i <= run->plan.last; i++)
		if (i != run->lead && span_state(query, i) == FETCH_PLAN_PASS)
			f->again_bytes += table_span(table, i)->blob_size;
}

/* The run is in the list from here on, and covers its spans. */
static void enter(struct fetcher *f, struct fetch_run *run)
{
	struct fetch_layer *layer = layer_of(f, run);
	run->done = run->begun = run->plan.first;
	run->cut = run->plan.last + 1;
	run->position = run->plan.begin;
	class_count(f, run->class, true);
	layer->whole_running += run->whole;
	/* of a whole blob the others are looked at when it has come */
	for (uint32_t i = run->plan.first; !run->whole && i <= run->plan.last; i++)
		unwant(f, layer, i);
	unwant(f, layer, run->lead);
	struct fetch_flight *flight = NULL, *next = NULL;
	DL_FOREACH_SAFE(f->demand, flight, next)
	{
		uint32_t span = fetch_key_span(flight->key);
		if (fetch_key_layer(flight->key) != run->layer || span < run->done ||
		    span >= run->cut)
			continue;
		DL_DELETE(f->demand, flight);
		flight->queued = false;
	}
	LL_PREPEND(f->runs, run);
}

static void prepare(struct fetcher *f, struct fetch_run *run, uint64_t key, enum fetch_class class)
{
	struct query query = { .f = f,
			       .layer = fetch_key_layer(key),
			       .lead = fetch_key_span(key),
			       .class = class,
			       .now_ms = fetch_now_ms() };
	query.suspects = fetch_troubles_look(f->troubles, key, query.now_ms, NULL) ==
			 FETCH_TROUBLE_SUSPECT;
	*run = (struct fetch_run){ .layer = query.layer,
				   .lead = query.lead,
				   .class = class,
				   .flags = query.suspects ? REPO_BLOB_FRESH : 0,
				   .whole = f->layers[query.layer].whole };
	struct fetch_layer *layer = layer_of(f, run);
	if (run->whole) {
		run->plan = (struct fetch_plan){ 0, layer->span_count - 1, 0,
						 layer->given->descriptor->size };
		enter(f, run);
		return;
	}
	struct fetch_plan_query plan = { layer->given->table, span_state, &query };
	struct fetch_pace_reader *reader = NULL;
	struct fetch_plan_limits limits = limits_of(f, run, &reader);
	fetch_plan_make(&run->plan, &plan, run->lead, &limits);
	note_again(f, run, &query);
	if (reader)
		follow(f, run, &query, reader);
	enter(f, run);
	if (reader && !reader->sequential)
		look_around(f, run, reader);
}

static bool pick_demand(struct fetcher *f, struct fetch_run *run)
{
	struct fetch_flight *flight = NULL;
	DL_FOREACH(f->demand, flight)
	{
		struct fetch_layer *layer = &f->layers[fetch_key_layer(flight->key)];
		if (layer->whole && layer->whole_running)
			continue; /* it starts anew when that one has ended */
		prepare(f, run, flight->key, FETCH_DEMAND);
		return true;
	}
	return false;
}

/* Is there still something to do about a span nobody waits for? */
static bool worth(struct fetcher *f, uint64_t key, uint8_t flag)
{
	size_t number = fetch_key_layer(key);
	uint32_t span = fetch_key_span(key);
	struct fetch_layer *layer = &f->layers[number];
	if (!(flags_of(layer, span) & flag))
		return false;
	if (!(layer->whole && layer->whole_running) && !layer->unkept &&
	    !fetch_at_hand(f, number, span) && !fetch_covering(f, number, span) &&
	    fetch_troubles_look(f->troubles, key, fetch_now_ms(), NULL) != FETCH_TROUBLE_PAUSED)
		return true;
	unwant(f, layer, span);
	/* who waited for it patiently does so no longer */
	struct fetch_flight *flight = fetch_flight_find(f, key);
	if (flight && !fetch_covering(f, number, span))
		fetch_flight_queue(f, flight);
	return false;
}

static bool pick_prefetch_of(struct fetcher *f, struct fetch_run *run, struct fetch_ring *ring)
{
	while (ring->count) {
		uint64_t key = ring->keys[ring->first];
		ring->first = (ring->first + 1) % FETCHER_PREFETCH_MAX;
		ring->count--;
		if (!worth(f, key, FETCH_WANTS_PREFETCH))
			continue;
		prepare(f, run, key, FETCH_PREFETCH);
		return true;
	}
	return false;
}

static bool pick_prefetch(struct fetcher *f, struct fetch_run *run)
{
	for (size_t i = 0; i < FETCH_RINGS; i++)
		if (pick_prefetch_of(f, run, &f->prefetch[i]))
			return true;
	return false;
}

static bool pick_fill_of(struct fetcher *f, struct fetch_run *run, size_t number)
{
	struct fetch_layer *layer = &f->layers[number];
	while (layer->fill_left && layer->fill_at < layer->span_count) {
		uint64_t key = fetch_key(number, layer->fill_at++);
		if (!worth(f, key, FETCH_WANTS_FILL))
			continue;
		prepare(f, run, key, FETCH_FILL);
		return true;
	}
	return false;
}

static bool pick_fill(struct fetcher *f, struct fetch_run *run)
{
	if (f->running[FETCH_DEMAND] || f->running[FETCH_PREFETCH] ||
	    f->running[FETCH_FILL] >= FILL_RUNS_MAX)
		return false;
	uint64_t now = fetch_now_ms();
	for (size_t i = 0; i < f->options.layer_count; i++)
		if (f->layers[i].fill_after_ms <= now && !f->layers[i].whole_running &&
		    pick_fill_of(f, run, i))
			return true;
	return false;
}

bool fetch_pick(struct fetcher *f, struct fetch_run *run)
{
	if (pick_demand(f, run))
		return true;
	unsigned most = f->thread_count > FREE_THREADS ? f->thread_count - FREE_THREADS : 1;
	if (f->running[FETCH_PREFETCH] + f->running[FETCH_FILL] >= most)
		return false;
	/* what is worth nothing ahead may be waited for */
	return pick_prefetch(f, run) || pick_fill(f, run) || pick_demand(f, run);
}

void fetch_read_ahead(struct fetcher *f, size_t number, uint32_t span)
{
	struct fetch_layer *layer = &f->layers[number];
	const struct table *table = layer->given->table;
	struct fetch_pace_reader *reader = fetch_pace_find(&layer->pace,
							   table_span(table, span)->blob_offset);
	if (!reader || layer->whole || layer->unkept || reader->next >= layer->span_count)
		return;
	uint64_t begin = reader->end;
	uint64_t window = fetch_pace_target(&layer->pace, &f->pace, reader, false);
	uint32_t mark = TABLE_NO_SPAN, at = reader->next;
	for (; at < layer->span_count; at++) {
		const struct table_span *next = table_span(table, at);
		if (next->blob_offset + next->blob_size > begin + window)
			break;
		if (mark == TABLE_NO_SPAN && next->blob_offset >= begin + window / 2)
			mark = at;
		if (next->blob_offset + next->blob_size > reader->end)
			reader->end = next->blob_offset + next->blob_size;
		if (!fetch_at_hand(f, number, at) && !fetch_covering(f, number, at))
			fetch_want(f, number, at, FETCH_PREFETCH);
	}
	reader->next = at;
	if (mark != TABLE_NO_SPAN)
		(void)flag_set(layer, mark, FETCH_MARK);
	pthread_cond_signal(&f->work);
}
