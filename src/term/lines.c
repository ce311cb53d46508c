/*
 * Progress as text: sizes, bars, rates.  Nothing here looks at a clock or a terminal; report.c
 * takes the numbers, chooses the lines and puts them on stderr.
 */
#include "term/lines.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "term/report.h"

#define BAR_MIN_WIDTH 10
#define BAR_MAX_WIDTH 40
#define SECONDS_LEFT_MAX (100.0 * 3600)

struct report_text report_size(uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	struct report_text out;
	if (bytes < 1024) {
		(void)snprintf(out.text, sizeof(out.text), "%u B", (unsigned)bytes);
		return out;
	}
	double value = (double)bytes / 1024;
	size_t unit = 0;
	/* 1023.95 would be shown as 1024.0 */
	while (value >= 1023.95 && unit + 1 < N_ELEMENTS(units)) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(out.text, sizeof(out.text), "%.1f %s", value, units[unit]);
	return out;
}

struct report_text report_seconds(double seconds)
{
	struct report_text out;
	if (!(seconds > 0))
		seconds = 0;
	if (seconds < 99.95) {
		(void)snprintf(out.text, sizeof(out.text), "%.1f s", seconds);
		return out;
	}
	unsigned long whole = (unsigned long)(seconds + 0.5);
	if (whole < 3600)
		(void)snprintf(out.text, sizeof(out.text), "%lu min %lu s", whole / 60, whole % 60);
	else
		(void)snprintf(out.text, sizeof(out.text), "%lu h %lu min", whole / 3600,
			       whole % 3600 / 60);
	return out;
}

void line_layer_take(struct line_layer *out, const struct layer_progress *layer)
{
	*out = (struct line_layer){ .total_bytes = layer->total_bytes };
	if (digest_known(&layer->digest))
		(void)snprintf(out->name, sizeof(out->name), "%.12s",
			       digest_hex(&layer->digest).text);
	else
		(void)snprintf(out->name, sizeof(out->name), "layer");
	out->state = (enum layer_state)atomic_load(&layer->state);
	out->fetched_bytes = atomic_load(&layer->fetched_bytes);
	out->unpacked_bytes = atomic_load(&layer->unpacked_bytes);
	out->entries = atomic_load(&layer->entries);
	out->cached = atomic_load(&layer->cached);
	if (out->cached)
		out->total_bytes = 0;
	/* bytes fetched twice after a damaged body are no progress */
	if (out->fetched_bytes > out->total_bytes)
		out->fetched_bytes = out->total_bytes;
}

void line_total_add(struct line_total *total, const struct line_layer *layer)
{
	total->layers++;
	total->done += layer->state == LAYER_DONE;
	if (!add_ok(total->fetched_bytes, layer->fetched_bytes, &total->fetched_bytes))
		total->fetched_bytes = UINT64_MAX;
	if (layer->total_bytes == UINT64_MAX ||
	    !add_ok(total->total_bytes, layer->total_bytes, &total->total_bytes))
		total->total_bytes = UINT64_MAX;
}

static void add_bar(struct str *out, uint64_t part, uint64_t whole, size_t width)
{
	size_t inside = width - 2;
	size_t filled = whole ? (size_t)((double)part / (double)whole * (double)inside) : inside;
	if (filled > inside)
		filled = inside;
	str_addc(out, '[');
	for (size_t i = 0; i < inside; i++)
		str_addc(out, i < filled ? '=' : i == filled ? '>' : ' ');
	str_addc(out, ']');
}

/* HEAD, a bar if there is room for one, TAIL; cut at WIDTH. */
static void put_together(struct str *out, const struct str *head, const struct str *tail,
			 uint64_t part, uint64_t whole, size_t width)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	size_t room = head->length + tail->length + 2;
	room = width > room ? width - room : 0;
	str_add(&line, str_text(head));
	str_addc(&line, ' ');
	if (whole != UINT64_MAX && room > BAR_MIN_WIDTH) {
		add_bar(&line, part, whole, room > BAR_MAX_WIDTH ? BAR_MAX_WIDTH : room);
		str_addc(&line, ' ');
	}
	str_add(&line, str_text(tail));
	str_addn(out, str_text(&line), line.length < width ? line.length : width);
}

static size_t usable_width(size_t width)
{
	if (width < LINE_WIDTH_MIN)
		return LINE_WIDTH_MIN;
	return width < LINE_MAX_BYTES - 1 ? width : LINE_MAX_BYTES - 1;
}

static void add_amount(struct str *out, uint64_t part, uint64_t whole, const char *between)
{
	str_add(out, report_size(part).text);
	if (whole != UINT64_MAX)
		str_addf(out, "%s%s", between, report_size(whole).text);
}

void line_layer_draw(struct str *out, const struct line_layer *layer, size_t width)
{
	auto_str head = STR_MAX(LINE_MAX_BYTES);
	auto_str tail = STR_MAX(LINE_MAX_BYTES);
	bool bar = layer->state == LAYER_RUNNING;
	str_add(&head, layer->name);
	switch (layer->state) {
	case LAYER_WAITING:
		str_add(&tail, "waiting");
		break;
	case LAYER_RUNNING:
		add_amount(&tail, layer->fetched_bytes, layer->total_bytes, " / ");
		break;
	case LAYER_DONE:
		str_addf(&tail, "done, %s",
			 layer->cached ? "from the cache" : report_size(layer->fetched_bytes).text);
		break;
	case LAYER_FAILED:
		str_add(&tail, "failed");
		break;
	}
	put_together(out, &head, &tail, layer->fetched_bytes, bar ? layer->total_bytes : UINT64_MAX,
		     usable_width(width));
}

/* ", 12.3 MiB/s, 6.0 s left", as far as it is known. */
static void add_rate(struct str *out, const struct line_total *total)
{
	if (!(total->rate > 0))
		return;
	str_addf(out, ", %s/s", report_size((uint64_t)total->rate).text);
	if (total->total_bytes == UINT64_MAX || total->fetched_bytes >= total->total_bytes)
		return;
	double left = (double)(total->total_bytes - total->fetched_bytes) / total->rate;
	if (left < 99.5)
		str_addf(out, ", %.0f s left", left);
	else if (left < SECONDS_LEFT_MAX)
		str_addf(out, ", %s left", report_seconds(left).text);
}

void line_total_draw(struct str *out, const struct line_total *total, size_t width)
{
	auto_str head = STR_MAX(LINE_MAX_BYTES);
	auto_str tail = STR_MAX(LINE_MAX_BYTES);
	str_addf(&head, "%zu/%zu layers", total->done, total->layers);
	add_amount(&tail, total->fetched_bytes, total->total_bytes, " / ");
	add_rate(&tail, total);
	put_together(out, &head, &tail, total->fetched_bytes, total->total_bytes,
		     usable_width(width));
}

void line_layer_say(struct str *out, const struct line_layer *layer, size_t number, size_t count)
{
	str_addf(out, "layer %zu/%zu %s: ", number, count, layer->name);
	if (layer->state == LAYER_FAILED) {
		str_addf(out, "failed after %s", report_size(layer->fetched_bytes).text);
		return;
	}
	str_add(out, layer->cached ? "from the cache" : report_size(layer->fetched_bytes).text);
	if (layer->entries > 0)
		str_addf(out, ", unpacked %s in %llu entries",
			 report_size(layer->unpacked_bytes).text,
			 (unsigned long long)layer->entries);
}

void line_total_say(struct str *out, const struct line_total *total)
{
	str_addf(out, "%zu/%zu layers, ", total->done, total->layers);
	add_amount(out, total->fetched_bytes, total->total_bytes, " of ");
	add_rate(out, total);
}
