/* Which misses make one request, and how long one should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/fetch-pace.h"
#include "image/fetch-plan.h"
#include "span-table.h"

#define KIB 1024u
#define MIB (1024u * 1024)

/*
 * Layouts, a letter a span: each has 100 KiB of the blob, one behind the other; "=" is in the unit
 * of the one before it; "_" leaves a gap of 100 KiB first; "," begins with the byte the one before
 * ended with; "!" lies within the bytes of the one before.
 */
static struct span_table layout(const char *text)
{
	struct table_span spans[64];
	size_t count = 0;
	uint64_t blob = 0, stream = 0, skip = 0;
	for (; *text; text++) {
		skip = *text == '=' ? skip + 200 * KIB : 0;
		if (*text == '!')
			blob -= 50 * KIB;
		else if (*text == ',')
			blob -= 1;
		else if (*text == '_')
			blob += 100 * KIB;
		uint64_t begin = *text == '=' ? spans[count - 1].blob_offset : blob;
		spans[count++] = (struct table_span){ .blob_offset = begin,
						      .blob_size = 100 * KIB,
						      .stream_offset = stream,
						      .skip = skip,
						      .stream_size = 200 * KIB,
						      .start = SPAN_GZIP,
						      .has_digest = 1 };
		stream += 200 * KIB;
		blob = begin + 100 * KIB;
	}
	return span_table_of(TABLE_ESTARGZ, spans, count);
}

/* States, a letter a span: "." there, "-" missing, "w" wanted. */
static enum fetch_plan_state state_of(void *arg, uint32_t span)
{
	const char *states = arg;
	return states[span] == 'w'   ? FETCH_PLAN_WANTED
	       : states[span] == '-' ? FETCH_PLAN_FREE
				     : FETCH_PLAN_PASS;
}

static void test_plans(void **state)
{
	(void)state;
	static const struct {
		const char *layout;
		char states[16];
		uint32_t lead;
		uint64_t gap, target, bytes; /* KiB */
		uint32_t first, last;
		uint64_t begin, end; /* KiB */
	} cases[] = {
		/* alone */
		{ "oooo", "-w--", 1, 0, 0, 8192, 1, 1, 100, 200 },
		/* longer than a request may be, and the table's ends */
		{ "oooo", "w---", 0, 0, 0, 10, 0, 0, 0, 100 },
		{ "oooo", "---w", 3, 512, 8192, 8192, 3, 3, 300, 400 },
		/* neighbours that are wanted too, on both sides */
		{ "oooo", "www-", 1, 0, 0, 8192, 0, 2, 0, 300 },
		/* up to the limit */
		{ "oooo", "wwww", 0, 0, 0, 200, 0, 1, 0, 200 },
		{ "oooo", "wwww", 3, 0, 0, 200, 2, 3, 200, 400 },
		/* over a gap, but not over one that is too wide */
		{ "oooo", "w-.w", 0, 200, 0, 8192, 0, 3, 0, 400 },
		{ "oooo", "w-.w", 0, 199, 0, 8192, 0, 0, 0, 100 },
		{ "oooo", "w-.w", 3, 200, 0, 8192, 0, 3, 0, 400 },
		{ "oooo", "w-.w", 3, 199, 0, 8192, 3, 3, 300, 400 },
		{ "o_o_", "w-w-", 0, 200, 0, 8192, 0, 2, 0, 400 },
		/* missing neighbours until the target, not further */
		{ "oooo", "w---", 0, 0, 300, 8192, 0, 2, 0, 300 },
		{ "oooo", "w---", 0, 0, 299, 8192, 0, 1, 0, 200 },
		/* never over what is there */
		{ "oooo", "w.--", 0, 512, 8192, 8192, 0, 0, 0, 100 },
		/* a unit begins at its head, and its rest, where it is missing, costs nothing */
		{ "o===", "--w-", 2, 0, 0, 8192, 0, 3, 0, 100 },
		{ "o===", "--w-", 2, 0, 100, 8192, 0, 3, 0, 100 },
		{ "o===", "--w.", 2, 0, 0, 8192, 0, 2, 0, 100 },
		{ "o===", "w.-.", 0, 0, 0, 8192, 0, 2, 0, 100 },
		{ "o=o=", "---w", 3, 0, 0, 8192, 2, 3, 100, 200 },
		{ "o=o=", "w-.w", 3, 0, 0, 8192, 0, 3, 0, 200 },
		/* sharing a byte is fine, more is not */
		{ "o,,o", "wwww", 1, 0, 0, 8192, 0, 3, 0, 400 },
		{ "o!!o", "wwww", 0, 512, 8192, 8192, 0, 0, 0, 100 },
		{ "o!!o", "wwww", 1, 512, 8192, 8192, 1, 1, 50, 150 },
		{ "o!!o", "wwww", 3, 512, 8192, 8192, 2, 3, 100, 300 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_span_table t = layout(cases[i].layout);
		char states[16];
		memcpy(states, cases[i].states, sizeof(states));
		const struct fetch_plan_query query = { t.table, state_of, states };
		const struct fetch_plan_limits limits = { cases[i].gap * KIB, cases[i].target * KIB,
							  cases[i].bytes * KIB };
		struct fetch_plan plan;
		fetch_plan_make(&plan, &query, cases[i].lead, &limits);
		if (plan.first != cases[i].first || plan.last != cases[i].last)
			fail_msg("case %zu: spans %u-%u, expected %u-%u", i, plan.first, plan.last,
				 cases[i].first, cases[i].last);
		/* bytes that are shared are rounded away */
		if ((plan.begin + KIB - 1) / KIB != cases[i].begin ||
		    (plan.end + KIB - 1) / KIB != cases[i].end)
			fail_msg("case %zu: bytes %llu-%llu", i, (unsigned long long)plan.begin,
				 (unsigned long long)plan.end);
	}
}

static void test_unasked_spans_are_limited_by_what_they_decode_to(void **state)
{
	(void)state;
	struct table_span spans[40];
	for (uint32_t i = 0; i < N_ELEMENTS(spans); i++)
		spans[i] = (struct table_span){ .blob_offset = i * 10,
						.blob_size = 10,
						.stream_offset = (uint64_t)i * MIB,
						.stream_size = MIB,
						.start = SPAN_GZIP };
	auto_span_table t = span_table_of(TABLE_SCAN, spans, N_ELEMENTS(spans));
	char states[41] = "----------------------------------------";
	const struct fetch_plan_query query = { t.table, state_of, states };
	const struct fetch_plan_limits limits = { MIB, MIB, 8 * MIB };
	struct fetch_plan plan;
	fetch_plan_make(&plan, &query, 3, &limits);
	assert_int_equal(plan.first, 3);
	assert_int_equal(plan.last, 3 + 16);
}

static void test_pace_learns_the_way(void **state)
{
	(void)state;
	struct fetch_pace pace = { 0 };
	assert_int_equal(fetch_pace_bdp(&pace), FETCH_PACE_BDP_MIN_BYTES);
	/* 30 ms, 100 MB/s: three megabytes are under way */
	for (unsigned i = 0; i < 50; i++)
		fetch_pace_sample(&pace, 30000, MIB, MIB / 100);
	uint64_t bdp = fetch_pace_bdp(&pace);
	assert_true(bdp > 2500000 && bdp < 3200000);
	/* one slow answer is no new way; short ones say nothing of the bandwidth */
	fetch_pace_sample(&pace, 90000, MIB, MIB / 100);
	assert_true(fetch_pace_bdp(&pace) < bdp * 5 / 4);
	for (unsigned i = 0; i < 50; i++)
		fetch_pace_sample(&pace, 30000, 100, 1);
	assert_true(fetch_pace_bdp(&pace) < bdp * 5 / 4);
	/* whatever is measured, it stays in its bounds */
	fetch_pace_sample(&pace, UINT64_MAX, UINT64_MAX, 0);
	assert_true(fetch_pace_bdp(&pace) <= FETCH_PACE_BDP_MAX_BYTES);
	for (unsigned i = 0; i < 100; i++)
		fetch_pace_sample(&pace, 0, MIB, MIB * 1000);
	assert_int_equal(fetch_pace_bdp(&pace), FETCH_PACE_BDP_MIN_BYTES);
}

static void test_a_reader_that_goes_on_doubles(void **state)
{
	(void)state;
	struct fetch_pace pace = { .wait_us = 10000, .bytes_per_s = 100 * MIB };
	struct fetch_pace_layer layer = { 0 };
	struct fetch_pace_reader *reader = fetch_pace_reader(&layer, 10 * MIB);
	assert_int_equal(fetch_pace_target(&layer, &pace, reader, false), 0);
	assert_false(reader->sequential);
	uint64_t most = 0, at = 0;
	for (unsigned i = 0; i < 10; i++) {
		at = reader->end = 10 * MIB + (i + 1) * (uint64_t)MIB;
		/* another one between does not disturb it */
		struct fetch_pace_reader *other = fetch_pace_reader(&layer,
								    500 * MIB + i * (uint64_t)MIB);
		assert_ptr_not_equal(other, reader);
		assert_int_equal(fetch_pace_target(&layer, &pace, other, false), 0);
		assert_ptr_equal(fetch_pace_reader(&layer, at - 1), reader);
		uint64_t next = fetch_pace_target(&layer, &pace, reader, false);
		assert_int_equal(reader->sequential, i > 0);
		assert_true(next >= most);
		most = next;
	}
	assert_int_equal(most, 2 * fetch_pace_bdp(&pace));
	reader->end = at + MIB;
	assert_ptr_equal(fetch_pace_find(&layer, at), reader);
	assert_null(fetch_pace_find(&layer, 700 * (uint64_t)MIB));
}

static void test_who_leaves_bytes_unread_is_given_no_more(void **state)
{
	(void)state;
	struct fetch_pace pace = { .wait_us = 30000, .bytes_per_s = 100 * MIB };
	struct fetch_pace_layer layer = { 0 };
	struct fetch_pace_reader *reader = fetch_pace_reader(&layer, 0);
	assert_int_equal(fetch_pace_target(&layer, &pace, reader, false), 0);
	assert_int_equal(fetch_pace_target(&layer, &pace, reader, false), 0);
	assert_true(fetch_pace_target(&layer, &pace, reader, false) > 0);
	assert_int_equal(fetch_pace_target(&layer, &pace, reader, true), 0);
	assert_false(reader->sequential);
	/* and begins small */
	assert_int_equal(fetch_pace_target(&layer, &pace, reader, false), 0);
	uint64_t again = fetch_pace_target(&layer, &pace, reader, false);
	assert_int_equal(again, fetch_pace_bdp(&pace) / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_unasked_spans_are_limited_by_what_they_decode_to),
		cmocka_unit_test(test_pace_learns_the_way),
		cmocka_unit_test(test_a_reader_that_goes_on_doubles),
		cmocka_unit_test(test_who_leaves_bytes_unread_is_given_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
