/*
 * A request grows from the span that leads it: back to the head of its unit (which must be decoded
 * anyway), back over units that are wanted and near, then forward, over wanted spans up to the
 * request's limit, over merely missing ones up to its target, and over what the same bytes hold
 * anyway.  Whatever a table says, begins of
 * units rise within a request and overlap by a byte at most, so that one decoder at a time does.
 */
#include "image/fetch-plan.h"

/* What is taken along unasked: decoded bytes, whatever the blob's bytes promise. */
#define AROUND_DECODED_MAX_BYTES (16u * 1024 * 1024)
/* Unasked spans are taken along only where little lies between. */
#define AROUND_GAP_MAX_BYTES (32u * 1024)

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t end_of(const struct table_span *span)
{
	return span->blob_offset + span->blob_size;
}

bool fetch_plan_same_unit(const struct table_span *a, const struct table_span *b)
{
	return a->blob_offset == b->blob_offset && a->start == b->start && a->bits == b->bits &&
	       b->skip >= a->skip && b->skip - a->skip >= a->stream_size;
}

struct fetch_unit fetch_plan_unit(const struct table *table, uint32_t first, uint32_t limit)
{
	const struct table_span *span = table_span(table, first);
	struct fetch_unit unit = { first, first, span->blob_offset, end_of(span) };
	while (unit.last < limit) {
		const struct table_span *next = table_span(table, unit.last + 1);
		if (!fetch_plan_same_unit(span, next))
			break;
		unit.end = max_u64(unit.end, end_of(next));
		unit.last++;
		span = next;
	}
	return unit;
}

uint32_t fetch_plan_unit_head(const struct table *table, uint32_t span)
{
	while (span > 0 &&
	       fetch_plan_same_unit(table_span(table, span - 1), table_span(table, span)))
		span--;
	return span;
}

bool fetch_plan_joins(const struct fetch_unit *unit, const struct table_span *next)
{
	return next->blob_offset > unit->begin && next->blob_offset >= unit->end - 1;
}

static bool unit_wanted(const struct fetch_plan_query *query, const struct fetch_unit *unit)
{
	for (uint32_t i = unit->first; i <= unit->last; i++)
		if (query->state(query->arg, i) == FETCH_PLAN_WANTED)
			return true;
	return false;
}

/* Back over units that are wanted and not further than the gap. */
static void extend_back(struct fetch_plan *plan, const struct fetch_plan_query *query,
			const struct fetch_plan_limits *limits)
{
	uint32_t first = plan->first;
	while (first > 0) {
		uint32_t head = fetch_plan_unit_head(query->table, first - 1);
		struct fetch_unit unit = fetch_plan_unit(query->table, head, first - 1);
		if (!fetch_plan_joins(&unit, table_span(query->table, first)) ||
		    plan->end - unit.begin > limits->bytes)
			return;
		if (plan->begin > unit.end && plan->begin - unit.end > limits->gap)
			return;
		first = head;
		if (!unit_wanted(query, &unit))
			continue;
		plan->first = head;
		plan->begin = unit.begin;
	}
}

struct growth {
	struct fetch_unit unit; /* that the last span looked at belongs to */
	uint64_t end;		/* of the request, were it to reach the span looked at */
	uint64_t decoded;	/* bytes taken along unasked */
};

/* Look at span AT: false where the request cannot reach it. */
static bool grow(struct growth *growth, const struct table *table, uint32_t at)
{
	const struct table_span *span = table_span(table, at);
	if (fetch_plan_same_unit(table_span(table, at - 1), span)) {
		growth->unit.end = max_u64(growth->unit.end, end_of(span));
		growth->unit.last = at;
	} else if (fetch_plan_joins(&growth->unit, span)) {
		growth->unit = (struct fetch_unit){ at, at, span->blob_offset, end_of(span) };
	} else {
		return false;
	}
	growth->end = max_u64(growth->end, growth->unit.end);
	return true;
}

static bool takes(struct growth *growth, const struct fetch_plan *plan,
		  const struct fetch_plan_query *query, const struct fetch_plan_limits *limits,
		  uint32_t at)
{
	const struct table_span *span = table_span(query->table, at);
	uint64_t gap = span->blob_offset > plan->end ? span->blob_offset - plan->end : 0;
	switch (query->state(query->arg, at)) {
	case FETCH_PLAN_WANTED:
		return gap <= limits->gap;
	case FETCH_PLAN_FREE:
		if (gap > AROUND_GAP_MAX_BYTES || growth->end - plan->begin > limits->target ||
		    growth->decoded + span->stream_size > AROUND_DECODED_MAX_BYTES)
			return false;
		growth->decoded += span->stream_size;
		return true;
	case FETCH_PLAN_PASS:
	default:
		return false;
	}
}

static void extend_forward(struct fetch_plan *plan, const struct fetch_plan_query *query,
			   uint32_t lead, const struct fetch_plan_limits *limits)
{
	uint32_t head = fetch_plan_unit_head(query->table, lead);
	struct growth growth = { .unit = fetch_plan_unit(query->table, head, lead),
				 .end = plan->end };
	uint32_t count = table_span_count(query->table);
	for (uint32_t at = lead + 1; at < count && grow(&growth, query->table, at); at++) {
		const struct table_span *span = table_span(query->table, at);
		if (growth.end - plan->begin > limits->bytes)
			return;
		if (span->blob_offset > plan->end && span->blob_offset - plan->end > limits->gap)
			return;
		if (!takes(&growth, plan, query, limits, at))
			continue;
		plan->last = at;
		plan->end = growth.end;
	}
}

/* What the bytes of the last unit bring besides: it would take the same bytes once more. */
static void finish_unit(struct fetch_plan *plan, const struct fetch_plan_query *query)
{
	const struct table *table = query->table;
	uint32_t count = table_span_count(table);
	uint64_t decoded = 0;
	for (uint32_t at = plan->last + 1; at < count; at++) {
		const struct table_span *span = table_span(table, at);
		decoded += span->stream_size;
		if (!fetch_plan_same_unit(table_span(table, at - 1), span) ||
		    end_of(span) > plan->end || decoded > AROUND_DECODED_MAX_BYTES)
			return;
		if (query->state(query->arg, at) != FETCH_PLAN_PASS)
			plan->last = at;
	}
}

void fetch_plan_make(struct fetch_plan *out, const struct fetch_plan_query *query, uint32_t lead,
		     const struct fetch_plan_limits *limits)
{
	uint32_t head = fetch_plan_unit_head(query->table, lead);
	struct fetch_unit unit = fetch_plan_unit(query->table, head, lead);
	*out = (struct fetch_plan){ head, lead, unit.begin, unit.end };
	extend_back(out, query, limits);
	extend_forward(out, query, lead, limits);
	finish_unit(out, query);
}
