/*
 * Which members of a mount's status become which metric: a table.  Samples of one metric stand
 * together below its type, as the format wants it.
 */
#include "cmd/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum place {
	OF_MOUNT,  /* a member of the status */
	OF_KERNEL, /* of its "kernel" */
	OF_LAYER,  /* of each of its "layers" */
};

struct metric {
	const char *name, *type, *help;
	enum place place;
	const char *key;
};

static const struct metric metrics[] = {
	{ "restarts_total", "counter", "Daemons started again.", OF_MOUNT, "restarts" },
	{ "started_seconds", "gauge", "When it was mounted.", OF_MOUNT, "started" },
	{ "files", "gauge", "Files of the image.", OF_MOUNT, "files" },
	{ "file_bytes", "gauge", "Sizes of all files of the image.", OF_MOUNT, "file_bytes" },
	{ "lookups_total", "counter", "Names looked up.", OF_KERNEL, "lookups" },
	{ "attributes_total", "counter", "Attributes asked for.", OF_KERNEL, "attributes" },
	{ "listings_total", "counter", "Parts of directories.", OF_KERNEL, "directories" },
	{ "reads_total", "counter", "Reads of files.", OF_KERNEL, "reads" },
	{ "read_bytes_total", "counter", "Bytes read.", OF_KERNEL, "read_bytes" },
	{ "read_waits_total", "counter", "Reads that had to wait.", OF_KERNEL, "read_waits" },
	{ "read_errors_total", "counter", "Reads that failed.", OF_KERNEL, "read_errors" },
	{ "layer_blob_bytes", "gauge", "Compressed size.", OF_LAYER, "blob_bytes" },
	{ "layer_spans", "gauge", "Spans it has.", OF_LAYER, "spans" },
	{ "layer_spans_present", "gauge", "Spans that are cached.", OF_LAYER, "spans_present" },
	{ "layer_requests_total", "counter", "Requests made for it.", OF_LAYER, "requests" },
	{ "layer_fetched_bytes_total", "counter", "Bytes received.", OF_LAYER, "fetched_bytes" },
	{ "layer_cache_hits_total", "counter", "Spans at hand.", OF_LAYER, "cache_hits" },
	{ "layer_cache_misses_total", "counter", "Spans waited for.", OF_LAYER, "cache_misses" },
	{ "layer_retries_total", "counter", "Requests made again.", OF_LAYER, "retries" },
	{ "layer_errors_total", "counter", "Spans that failed.", OF_LAYER, "errors" },
};

static const char *text(const struct json_value *object, const char *key)
{
	const char *value = json_string(json_get(object, key));
	return value ? value : "";
}

static void print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP rootlet_%s %s\n# TYPE rootlet_%s %s\n", name, help, name, type);
}

/* A label's value: backslash and quote are escaped; esc() left nothing else to escape. */
static void print_label(const char *key, const char *value)
{
	struct esc_text shown = esc_make(value);
	printf("%s=\"", key);
	for (const char *at = shown.text; *at; at++) {
		if (*at == '\\' || *at == '"')
			(void)putchar('\\');
		(void)putchar(*at);
	}
	(void)putchar('"');
}

static void print_labels(const struct json_value *mount, const struct json_value *layers, size_t i)
{
	print_label("directory", text(mount, "directory"));
	printf(",");
	print_label("image", text(mount, "image"));
	if (!layers)
		return;
	/* one layer may be in an image twice */
	printf(",number=\"%zu\",", i + 1);
	print_label("layer", text(json_at(layers, i), "digest"));
}

static void print_sample(const struct metric *metric, const struct json_value *mount,
			 const struct json_value *layers, size_t i)
{
	uint64_t value;
	const struct json_value *object = layers ? json_at(layers, i) : mount;
	if (metric->place == OF_KERNEL)
		object = json_get(mount, "kernel");
	if (!json_u64(json_get(object, metric->key), &value))
		return;
	printf("rootlet_%s{", metric->name);
	print_labels(mount, layers, i);
	printf("} %" PRIu64 "\n", value);
}

static void print_metric(const struct metric *metric, const struct json_value *mount)
{
	const struct json_value *layers = json_get(mount, "layers");
	if (metric->place != OF_LAYER)
		print_sample(metric, mount, NULL, 0);
	for (size_t i = 0; metric->place == OF_LAYER && i < json_count(layers); i++)
		print_sample(metric, mount, layers, i);
}

static void print_up(const struct json_value *mount)
{
	printf("rootlet_up{");
	print_labels(mount, NULL, 0);
	printf("} %d\n", str_equal(text(mount, "state"), "serving"));
}

/* Cumulative; the last bucket has no bound.  The sum of the times is not known. */
static void print_latency(const struct json_value *mount)
{
	const struct json_value *histogram = json_get(json_get(mount, "total"), "latency_us");
	size_t count = json_count(histogram);
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 0;
		(void)json_u64(json_at(histogram, i), &value);
		sum += value;
		printf("rootlet_fetch_seconds_bucket{");
		print_labels(mount, NULL, 0);
		if (i + 1 < count)
			printf(",le=\"%.6g\"} %" PRIu64 "\n", 250e-6 * (double)(1u << i), sum);
		else
			printf(",le=\"+Inf\"} %" PRIu64 "\n", sum);
	}
	if (count == 0)
		return;
	printf("rootlet_fetch_seconds_count{");
	print_labels(mount, NULL, 0);
	printf("} %" PRIu64 "\n", sum);
}

void metrics_print(struct json *const *mounts, size_t count)
{
	print_head("up", "gauge", "Whether its daemon answers.");
	for (size_t i = 0; i < count; i++)
		print_up(json_root(mounts[i]));
	for (size_t m = 0; m < N_ELEMENTS(metrics); m++) {
		print_head(metrics[m].name, metrics[m].type, metrics[m].help);
		for (size_t i = 0; i < count; i++)
			print_metric(&metrics[m], json_root(mounts[i]));
	}
	print_head("fetch_seconds", "histogram", "How long spans were waited for.");
	for (size_t i = 0; i < count; i++)
		print_latency(json_root(mounts[i]));
}
