/*
 * Which misses make one request: pure arithmetic over a table, no clock, no lock, no network.
 *
 * A unit is a row of spans that one decoder gives in one pass: they begin decoding at the same
 * place of the blob, and each skips past the one before it.  A request covers whole units that lie
 * one behind the other in the blob (they may share a byte, which deflate's bits do).
 */
#pragma once

#include "layer/table.h"

/* Is B the next span that the decoder of A gives? */
bool fetch_plan_same_unit(const struct table_span *a, const struct table_span *b);

/* A row of spans of one unit, and the bytes of the blob it needs. */
struct fetch_unit {
	uint32_t first, last;
	uint64_t begin, end;
};
/* The unit of FIRST, from it on; no further than LIMIT. */
struct fetch_unit fetch_plan_unit(const struct table *table, uint32_t first, uint32_t limit);
/* The first span of the unit that SPAN is in. */
uint32_t fetch_plan_unit_head(const struct table *table, uint32_t span);
/* May a request that has UNIT go on with NEXT?  Only where it begins behind it, less one byte. */
bool fetch_plan_joins(const struct fetch_unit *unit, const struct table_span *next);

enum fetch_plan_state {
	FETCH_PLAN_PASS, /* there already, or somebody is about it */
	FETCH_PLAN_FREE, /* missing, but nobody asked */
	FETCH_PLAN_WANTED,
};

struct fetch_plan_query {
	const struct table *table; /* borrowed */
	enum fetch_plan_state (*state)(void *arg, uint32_t span);
	void *arg;
};

struct fetch_plan_limits {
	uint64_t gap;	 /* of blob bytes nobody asked for, between two spans that are wanted */
	uint64_t target; /* missing neighbours are taken along until the request is this long */
	uint64_t bytes;	 /* no request is longer, unless one span is */
};

struct fetch_plan {
	uint32_t first, last; /* first begins a unit */
	uint64_t begin, end;  /* of the blob */
};

/* The request for span LEAD and its neighbours. */
void fetch_plan_make(struct fetch_plan *out, const struct fetch_plan_query *query, uint32_t lead,
		     const struct fetch_plan_limits *limits);
