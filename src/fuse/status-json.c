/* Writing the status: members in a fixed order, numbers as numbers, what is not known as null. */
#include "fuse/status-json.h"

#include <inttypes.h>

#include "base/json.h"

#define BUCKET_US 250.0

static void add_key(struct str *out, const char *key)
{
	char last = out->length > 0 ? out->data[out->length - 1] : '{';
	if (last != '{' && last != '[')
		str_addc(out, ',');
	str_addf(out, "\"%s\":", key);
}

static void add_text(struct str *out, const char *key, const char *text)
{
	add_key(out, key);
	if (text)
		json_add_string(out, text);
	else
		str_add(out, "null");
}

static void add_count(struct str *out, const char *key, uint64_t value)
{
	add_key(out, key);
	str_addf(out, "%" PRIu64, value);
}

static void add_bool(struct str *out, const char *key, bool value)
{
	add_key(out, key);
	str_add(out, value ? "true" : "false");
}

/* null for 0 */
static void add_some(struct str *out, const char *key, int64_t value)
{
	add_key(out, key);
	if (value > 0)
		str_addf(out, "%" PRId64, value);
	else
		str_add(out, "null");
}

static void add_digest(struct str *out, const char *key, const struct digest *digest)
{
	add_text(out, key, digest_known(digest) ? digest_show(digest) : NULL);
}

double status_quantile(const uint64_t *latency, double q)
{
	uint64_t total = 0, seen = 0;
	for (size_t i = 0; i < STATUS_BUCKETS; i++)
		total += latency[i];
	for (size_t i = 0; i < STATUS_BUCKETS; i++) {
		seen += latency[i];
		if (seen > 0 && (double)seen >= q * (double)total)
			return BUCKET_US * (double)(UINT64_C(1) << i) / 1000;
	}
	return -1;
}

static void add_latency(struct str *out, const uint64_t *latency)
{
	static const struct {
		const char *key;
		double q;
	} quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 } };
	add_key(out, "latency_ms");
	str_addc(out, '{');
	for (size_t i = 0; i < N_ELEMENTS(quantiles); i++) {
		double ms = status_quantile(latency, quantiles[i].q);
		add_key(out, quantiles[i].key);
		if (ms < 0)
			str_add(out, "null");
		else
			str_addf(out, "%.2f", ms);
	}
	str_addc(out, '}');
}

static void add_histogram(struct str *out, const uint64_t *latency)
{
	add_key(out, "latency_us");
	for (size_t i = 0; i < STATUS_BUCKETS; i++)
		str_addf(out, "%c%" PRIu64, i == 0 ? '[' : ',', latency[i]);
	str_addc(out, ']');
}

static void add_layer(struct str *out, const struct lazy_layer_status *layer)
{
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {
		{ "blob_bytes", layer->blob_bytes }, { "stream_bytes", layer->stream_bytes },
		{ "spans", layer->spans },	     { "spans_present", layer->spans_present },
		{ "requests", layer->requests },     { "fetched_bytes", layer->fetched_bytes },
		{ "cache_hits", layer->hits },	     { "cache_misses", layer->misses },
		{ "retries", layer->retries },	     { "errors", layer->errors },
	};
	str_addc(out, '{');
	add_digest(out, "digest", &layer->digest);
	add_text(out, "table", table_kind_name(layer->kind));
	add_bool(out, "table_cached", layer->cached_table);
	add_text(out, "table_refused", layer->refused[0] ? layer->refused : NULL);
	add_text(out, "trust", trust_name(layer->trust));
	for (size_t i = 0; i < N_ELEMENTS(counts); i++)
		add_count(out, counts[i].key, counts[i].value);
	add_latency(out, layer->latency_us);
	add_histogram(out, layer->latency_us);
	str_addc(out, '}');
}

static void add_layers(struct str *out, const struct status_values *values)
{
	add_key(out, "layers");
	str_addc(out, '[');
	for (size_t i = 0; i < values->layer_count; i++) {
		if (i > 0)
			str_addc(out, ',');
		add_layer(out, &values->layers[i]);
	}
	str_addc(out, ']');
}

/* The layers together. */
static void add_totals(struct str *out, const struct status_values *values)
{
	struct lazy_layer_status sum = { 0 };
	for (size_t i = 0; i < values->layer_count; i++) {
		const struct lazy_layer_status *layer = &values->layers[i];
		sum.blob_bytes += layer->blob_bytes;
		sum.fetched_bytes += layer->fetched_bytes;
		sum.requests += layer->requests;
		sum.hits += layer->hits;
		sum.misses += layer->misses;
		sum.retries += layer->retries;
		sum.errors += layer->errors;
		for (size_t b = 0; b < STATUS_BUCKETS; b++)
			sum.latency_us[b] += layer->latency_us[b];
	}
	add_key(out, "total");
	str_addc(out, '{');
	add_count(out, "blob_bytes", sum.blob_bytes);
	add_count(out, "fetched_bytes", sum.fetched_bytes);
	add_count(out, "requests", sum.requests);
	add_count(out, "cache_hits", sum.hits);
	add_count(out, "cache_misses", sum.misses);
	add_count(out, "retries", sum.retries);
	add_count(out, "errors", sum.errors);
	add_latency(out, sum.latency_us);
	add_histogram(out, sum.latency_us);
	str_addc(out, '}');
}

static void add_kernel(struct str *out, const struct fs_counters *counters)
{
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {
		{ "lookups", counters->lookups },
		{ "attributes", counters->attributes },
		{ "directories", counters->directories },
		{ "links", counters->links },
		{ "xattrs", counters->xattrs },
		{ "others", counters->others },
		{ "reads", counters->reads },
		{ "read_bytes", counters->read_bytes },
		{ "read_waits", counters->waits },
		{ "read_errors", counters->errors },
	};
	add_key(out, "kernel");
	str_addc(out, '{');
	for (size_t i = 0; i < N_ELEMENTS(counts); i++)
		add_count(out, counts[i].key, counts[i].value);
	str_addc(out, '}');
}

static void add_opened(struct str *out, const struct status_values *values)
{
	add_key(out, "opened");
	str_addc(out, '{');
	add_count(out, "bytes", values->open_bytes);
	add_count(out, "requests", values->open_requests);
	add_key(out, "seconds");
	str_addf(out, "%.3f", values->open_seconds);
	str_addc(out, '}');
}

static void add_errors(struct str *out, const struct status_values *values)
{
	add_key(out, "errors");
	str_addc(out, '[');
	for (size_t i = 0; i < values->error_count; i++) {
		str_add(out, i > 0 ? ",{" : "{");
		add_some(out, "time", values->errors[i].time_s);
		add_text(out, "text", values->errors[i].text);
		str_addc(out, '}');
	}
	str_addc(out, ']');
}

void status_write(struct str *out, const struct status_values *values)
{
	str_addc(out, '{');
	add_text(out, "image", values->image);
	add_digest(out, "digest", &values->digest);
	add_digest(out, "manifest", &values->manifest);
	add_text(out, "directory", values->directory);
	add_text(out, "state", "serving");
	add_some(out, "daemon_pid", values->daemon);
	add_some(out, "supervisor_pid", values->supervisor);
	add_count(out, "restarts", values->restarts);
	add_some(out, "started", values->started_s);
	add_some(out, "now", values->now_s);
	add_some(out, "stale_since", values->stale_since_s);
	add_text(out, "trust_wanted", values->trust_wanted);
	add_text(out, "fill", values->fill);
	add_count(out, "files", values->files);
	add_count(out, "file_bytes", values->file_bytes);
	add_opened(out, values);
	add_text(out, "cache", values->cache_path);
	add_text(out, "cache_trouble", *values->cache_trouble ? values->cache_trouble : NULL);
	add_kernel(out, values->counters);
	add_totals(out, values);
	add_layers(out, values);
	add_errors(out, values);
	str_addc(out, '}');
}
