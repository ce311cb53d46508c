/*
 * Unit after unit: open its decoder when the bytes reach it, pass over what nobody takes, collect a
 * span, hold it against its digest, give it out.  A unit that is corrupt fails by itself; the next
 * one begins at a place of its own.
 */
#include "image/fetch-decode.h"

#include <errno.h>
#include <stdlib.h>

#define PASSED_BYTES (64u * 1024)

struct fetch_decode {
	struct fetch_decode_options options;
	uint32_t head; /* of the unit that leads */
	uint32_t next; /* the first span not given out */
	bool stopped;

	/* of the unit that is open */
	bool open;
	struct fetch_unit unit;
	uint32_t wanted;	      /* the last span of it that is taken */
	struct span_decoder *decoder; /* owned; NULL: nothing of it is taken */
	uint64_t fed;		      /* blob offset */
	uint64_t position;	      /* decoded so far */

	/* of the span next */
	uint8_t *bytes; /* owned, of its size */
	size_t filled;
	uint8_t *passed; /* owned: where bytes go that nobody takes */
	bool *takes;	 /* owned: one for each span of the unit */
	size_t takes_capacity;
};

struct fetch_decode *fetch_decode_new(const struct fetch_decode_options *options)
{
	return mem_make(struct fetch_decode, .options = *options, .next = options->first,
			.head = fetch_plan_unit_head(options->table, options->lead));
}

void fetch_decode_free(struct fetch_decode *decode)
{
	if (!decode)
		return;
	span_decoder_free(decode->decoder);
	free(decode->bytes);
	free(decode->passed);
	free(decode->takes);
	free(decode);
}

uint32_t fetch_decode_next(const struct fetch_decode *decode)
{
	return decode->next;
}

/* Give the next span out: its bytes, or R. */
static void give(struct fetch_decode *d, int r, const struct err *err)
{
	uint8_t *bytes = TAKE(d->bytes);
	uint32_t span = d->next++;
	d->filled = 0;
	d->options.out(d->options.arg, span, &bytes, r, err);
	free(bytes);
}

static void pass_by(struct fetch_decode *d)
{
	free(TAKE(d->bytes));
	give(d, 0, NULL);
}

static void close_unit(struct fetch_decode *d)
{
	span_decoder_free(TAKE(d->decoder));
	d->open = false;
}

static bool takes(const struct fetch_decode *d, uint32_t span)
{
	return d->takes[span - d->unit.first];
}

/* What is left of the unit fails, or was not asked for. */
static void fail_unit(struct fetch_decode *d, int r, const struct err *err)
{
	free(TAKE(d->bytes));
	while (d->next <= d->unit.last) {
		bool taken = takes(d, d->next);
		give(d, taken ? r : 0, taken ? err : NULL);
	}
	close_unit(d);
}

/* Which spans of the unit are taken; the last of them ends it. */
static bool choose(struct fetch_decode *d)
{
	size_t count = (size_t)(d->unit.last - d->unit.first) + 1;
	if (count > d->takes_capacity) {
		void *more = NULL;
		if (mem_try(&more, count, sizeof(bool), NULL) < 0)
			return false;
		free(d->takes);
		d->takes = more;
		d->takes_capacity = count;
	}
	bool any = false;
	for (uint32_t i = d->unit.first; i <= d->unit.last; i++) {
		bool taken = d->options.take(d->options.arg, i);
		d->takes[i - d->unit.first] = taken;
		any = any || taken;
		if (taken)
			d->wanted = i;
	}
	return any;
}

/* Would this unit keep the one that leads from being decoded? */
static bool in_the_way(const struct fetch_decode *d, const struct fetch_unit *unit)
{
	return unit->last < d->head &&
	       !fetch_plan_joins(unit, table_span(d->options.table, d->head));
}

/* The next unit, when it begins before REACHED; what came before OFFSET cannot be decoded. */
static bool open_unit(struct fetch_decode *d, uint64_t offset, uint64_t reached)
{
	const struct table *table = d->options.table;
	d->unit = fetch_plan_unit(table, d->next, d->options.last);
	if (d->unit.begin >= reached && !in_the_way(d, &d->unit))
		return false;
	if (!d->options.begin(d->options.arg, d->unit.first, d->unit.last)) {
		d->stopped = true;
		return false;
	}
	d->open = true;
	d->position = 0;
	d->fed = d->unit.begin;
	bool late = d->unit.begin < offset || in_the_way(d, &d->unit);
	if (late || !choose(d)) {
		while (d->next <= d->unit.last)
			pass_by(d);
		close_unit(d);
		return true;
	}
	struct err err = { 0 };
	struct span_point point = table_point(table, d->unit.first);
	int r = span_decoder_new(&d->decoder, &point, &err);
	if (r < 0)
		fail_unit(d, r, &err);
	return true;
}

/* Room for the next bytes of the unit: inside the next span that is taken, or to be thrown away. */
static int next_room(struct fetch_decode *d, struct decoder_io *io, struct err *err)
{
	const struct table_span *span = table_span(d->options.table, d->next);
	bool inside = d->position >= span->skip && takes(d, d->next);
	if (inside && !d->bytes) {
		void *bytes = NULL;
		int r = mem_try(&bytes, span->stream_size, 1, err);
		if (r < 0)
			return r;
		d->bytes = bytes;
	}
	if (!inside && !d->passed)
		d->passed = mem_new(PASSED_BYTES);
	uint64_t to = inside || d->position >= span->skip ? span->skip + span->stream_size
							  : span->skip;
	uint64_t room = to - d->position;
	io->out = inside ? d->bytes + d->filled : d->passed;
	io->out_size = (size_t)(!inside && room > PASSED_BYTES ? PASSED_BYTES : room);
	return 0;
}

/* N more bytes were decoded. */
static int advance(struct fetch_decode *d, size_t n, struct err *err)
{
	const struct table_span *span = table_span(d->options.table, d->next);
	bool taken = takes(d, d->next);
	if (d->position >= span->skip && taken)
		d->filled += n;
	d->position += n;
	if (d->position < span->skip || d->position - span->skip < span->stream_size)
		return 0;
	if (!taken) {
		pass_by(d);
		return 0;
	}
	int r = table_verify(d->options.table, d->next, d->bytes, err);
	if (r < 0)
		free(TAKE(d->bytes));
	give(d, r, r < 0 ? err : NULL);
	return 0;
}

static bool unit_done(const struct fetch_decode *d)
{
	return d->next > d->wanted;
}

/* Decode SIZE bytes; negative when the unit is corrupt. */
static int run_unit(struct fetch_decode *d, const uint8_t *data, size_t size, struct err *err)
{
	struct decoder_io io = { .in = data, .in_size = size };
	while (!unit_done(d)) {
		int r = next_room(d, &io, err);
		if (r < 0)
			return r;
		size_t in_size = io.in_size, room = io.out_size;
		r = span_decoder_run(d->decoder, &io, err);
		if (r < 0)
			return r;
		if (room == io.out_size && in_size == io.in_size) {
			if (in_size == 0)
				return 0;
			return err_set(err, EBADMSG, "end too early");
		}
		(void)advance(d, room - io.out_size, err);
	}
	return 0;
}

static void finish_unit(struct fetch_decode *d)
{
	while (d->next <= d->unit.last)
		pass_by(d);
	close_unit(d);
}

/* What of [offset, offset+size) belongs to the open unit. */
static void feed_unit(struct fetch_decode *d, const uint8_t *data, size_t size, uint64_t offset)
{
	uint64_t to = offset + size < d->unit.end ? offset + size : d->unit.end;
	struct err err = { 0 };
	int r = 0;
	if (to > d->fed)
		r = run_unit(d, data + (d->fed - offset), (size_t)(to - d->fed), &err);
	d->fed = to;
	if (r < 0)
		fail_unit(d, r, &err);
	else if (unit_done(d))
		finish_unit(d);
	else if (to == d->unit.end)
		fail_unit(d, err_set(&err, EBADMSG, "end too early"), &err);
}

bool fetch_decode_feed(struct fetch_decode *d, const void *data, size_t size, uint64_t offset)
{
	while (!d->stopped) {
		if (!d->open && d->next > d->options.last)
			return true;
		if (!d->open && !open_unit(d, offset, offset + size))
			return d->stopped;
		if (!d->open)
			continue;
		feed_unit(d, data, size, offset);
		if (d->open)
			return false;
	}
	return true;
}

void fetch_decode_end(struct fetch_decode *d)
{
	struct err err = { 0 };
	if (d->open)
		fail_unit(d, err_set(&err, EBADMSG, "end too early"), &err);
}
