/*
 * What a mount's first minute touches, in order, is written down under the image's digest; the
 * next mount of that image fetches it ahead, in a few large requests.  Where there is no record,
 * what the image's maker marked.
 *
 *	u8  magic[8]	"rlrecord"
 *	u32 layers, u32 count
 *	u64 layout	of each layer: spans of another layout mean nothing here
 *	u32 layer, u32 span	count times
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/log.h"
#include "base/str.h"
#include "image/lazy-internal.h"

#define MAGIC "rlrecord"
#define RECORD_MS 60000u
#define RECORD_SPANS_MAX FETCHER_PREFETCH_MAX

/* --- recording --- */

void lazy_record_touch(struct lazy *lazy, uint32_t layer, uint32_t span)
{
	struct record *record = &lazy->record;
	if (!atomic_load_explicit(&record->on, memory_order_acquire))
		return;
	LOCKED(&record->mutex);
	uint8_t *bits = record->touched[layer];
	if ((bits[span / 8] >> span % 8 & 1) != 0 || record->count == RECORD_SPANS_MAX)
		return;
	bits[span / 8] = (uint8_t)(bits[span / 8] | 1u << span % 8);
	record->spans = mem_grow(record->spans, &record->capacity, record->count,
				 sizeof(*record->spans));
	record->spans[record->count++] = (struct fetch_span){ layer, span };
}

uint64_t lazy_record_due(struct lazy *lazy)
{
	return atomic_load(&lazy->record.on) ? lazy->record.end_ms : UINT64_MAX;
}

static void add_le(struct str *out, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		str_addc(out, (char)(value >> 8 * i));
}

static void write_record(const struct lazy *lazy, struct str *out)
{
	const struct record *record = &lazy->record;
	str_add(out, MAGIC);
	add_le(out, lazy->layer_count, 4);
	add_le(out, record->count, 4);
	for (size_t i = 0; i < lazy->layer_count; i++)
		add_le(out, lazy->layers[i].layout, 8);
	for (size_t i = 0; i < record->count; i++) {
		add_le(out, record->spans[i].layer, 4);
		add_le(out, record->spans[i].span, 4);
	}
}

void lazy_record_save(struct lazy *lazy)
{
	struct record *record = &lazy->record;
	if (!atomic_exchange(&record->on, false))
		return;
	auto_str file = STR_MAX(64u + 8 * LAYERS_MAX + 8 * RECORD_SPANS_MAX);
	struct err err = { 0 };
	pthread_mutex_lock(&record->mutex); /* who saw it on may be writing still */
	/* much less than the last time: somebody only looked in, or a daemon began anew */
	if (record->count > 0 && record->count >= record->known / 2)
		write_record(lazy, &file);
	pthread_mutex_unlock(&record->mutex);
	if (file.length == 0 || file.failed)
		return;
	if (cache_put(lazy->options.cache, CACHE_RECORD, &lazy->image->document.descriptor.digest,
		      file.data, file.length, &err) < 0)
		log_debug("the record is not kept: %s", err_text(&err));
}

/* --- fetching ahead --- */

/* The record's spans that this image has, in *spans (owned); how many. */
static size_t read_record(const struct lazy *lazy, struct cursor c, struct fetch_span **spans)
{
	const uint8_t *magic = cursor_take(&c, strlen(MAGIC));
	uint32_t layers = cursor_le32(&c), count = cursor_le32(&c);
	if (c.bad || memcmp(magic, MAGIC, strlen(MAGIC)) != 0 || layers != lazy->layer_count ||
	    count > RECORD_SPANS_MAX)
		return 0;
	auto_free bool *same = mem_new(layers * sizeof(*same));
	for (uint32_t i = 0; i < layers; i++)
		same[i] = cursor_le64(&c) == lazy->layers[i].layout;
	*spans = mem_new(count * sizeof(**spans));
	size_t used = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct fetch_span span = { .layer = cursor_le32(&c) };
		span.span = cursor_le32(&c);
		if (!c.bad && span.layer < layers && same[span.layer] &&
		    span.span < table_span_count(lazy->layers[span.layer].table))
			(*spans)[used++] = span;
	}
	return used;
}

static size_t get_record(const struct lazy *lazy, struct fetch_span **spans)
{
	struct cache_map map = { 0 };
	*spans = NULL;
	if (cache_get(lazy->options.cache, CACHE_RECORD, &lazy->image->document.descriptor.digest,
		      &map, NULL) < 0 ||
	    !map.data)
		return 0;
	size_t count = read_record(lazy, cursor_of(map.data, map.size), spans);
	cache_map_release(&map);
	return count;
}

static void want_landmarks(struct lazy *lazy)
{
	for (uint32_t i = 0; i < lazy->layer_count; i++) {
		const struct table *table = lazy->layers[i].table;
		uint32_t count = table_prefetch_spans(table);
		if (count == 0 || count == TABLE_NO_SPAN)
			continue;
		count = count < table_span_count(table) ? count : table_span_count(table);
		auto_free struct fetch_span *spans = mem_new(count * sizeof(*spans));
		for (uint32_t j = 0; j < count; j++)
			spans[j] = (struct fetch_span){ i, j };
		fetcher_want(lazy->fetcher, spans, count, FETCH_PREFETCH);
	}
}

/* Spans that are at hand are not waited for in front of those that are not. */
static size_t drop_present(const struct lazy *lazy, struct fetch_span *spans, size_t count)
{
	size_t used = 0;
	for (size_t i = 0; spans && i < count; i++)
		if (!cache_spans_has(lazy->layers[spans[i].layer].spans, spans[i].span))
			spans[used++] = spans[i];
	return used;
}

void lazy_record_start(struct lazy *lazy)
{
	struct record *record = &lazy->record;
	auto_free struct fetch_span *spans = NULL;
	if (record->touched)
		return;
	record->known = get_record(lazy, &spans);
	record->touched = mem_new(lazy->layer_count * sizeof(*record->touched));
	for (size_t i = 0; i < lazy->layer_count; i++)
		record->touched[i] = mem_new(table_span_count(lazy->layers[i].table) / 8 + 1);
	record->end_ms = lazy_now_ms() + RECORD_MS;
	atomic_store(&record->on, true);
	pthread_mutex_lock(&lazy->mutex);
	pthread_cond_broadcast(&lazy->changed); /* the clock did not know when it ends */
	pthread_mutex_unlock(&lazy->mutex);
	if (record->known == 0) {
		want_landmarks(lazy);
		return;
	}
	size_t count = drop_present(lazy, spans, record->known);
	if (count > 0)
		fetcher_want(lazy->fetcher, spans, count, FETCH_PREFETCH);
}

void lazy_record_release(struct lazy *lazy)
{
	struct record *record = &lazy->record;
	for (size_t i = 0; record->touched && i < lazy->layer_count; i++)
		free(record->touched[i]);
	free(record->touched);
	free(record->spans);
	pthread_mutex_destroy(&record->mutex);
}
