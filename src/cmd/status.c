/*
 * "rootlet status [DIR]": how the mounts are, for people, as JSON, or for Prometheus.  All of it is
 * made from the one object that each mount's daemon writes (docs/mount.md).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "fuse/mount.h"
#include "term/report.h"

struct status_args {
	bool json, prometheus, help;
	/* while mounts are shown */
	size_t shown;
};

#define MEMBER(name) offsetof(struct status_args, name)
static const struct opt options[] = {
	{ "json", OPT_FLAG, MEMBER(json), NULL, "one JSON object a line and mount" },
	{ "prometheus", OPT_FLAG, MEMBER(prometheus), NULL, "metrics in Prometheus' text format" },
	{ "help", OPT_FLAG, MEMBER(help), NULL, "show this text" },
};

static uint64_t number(const struct json_value *object, const char *key)
{
	uint64_t value = 0;
	(void)json_u64(json_get(object, key), &value);
	return value;
}

static const char *text(const struct json_value *object, const char *key)
{
	const char *value = json_string(json_get(object, key));
	return value ? value : "-";
}

/* ---- for people */

static void print_state(const struct json_value *root)
{
	uint64_t started = number(root, "started"), now = (uint64_t)time(NULL);
	printf("%s\n  image     %s\n", esc(text(root, "directory")), esc(text(root, "image")));
	printf("  state     %s, up %s, %" PRIu64 " restarts\n", esc(text(root, "state")),
	       report_seconds(now > started ? (double)(now - started) : 0).text,
	       number(root, "restarts"));
	printf("  processes daemon %" PRIu64 ", supervisor %" PRIu64 "\n",
	       number(root, "daemon_pid"), number(root, "supervisor_pid"));
}

static void print_layer(const struct json_value *layer)
{
	char digest[24], spans[32];
	const char *full = text(layer, "digest");
	const char *hex = str_starts(full, "sha256:") ? full + strlen("sha256:") : full;
	(void)snprintf(digest, sizeof(digest), "%.12s", hex);
	uint64_t all = number(layer, "spans"), here = number(layer, "spans_present");
	(void)snprintf(spans, sizeof(spans), "%" PRIu64 "/%" PRIu64, here, all);
	printf("  %-12s %-12s %-8s %10s %10s %13s %6" PRIu64 " %6" PRIu64 "\n", esc(digest),
	       esc(text(layer, "table")), esc(text(layer, "trust")),
	       report_size(number(layer, "blob_bytes")).text,
	       report_size(number(layer, "fetched_bytes")).text, spans, number(layer, "requests"),
	       number(layer, "errors"));
}

static void print_errors(const struct json_value *errors)
{
	for (size_t i = 0; i < json_count(errors); i++) {
		const struct json_value *error = json_at(errors, i);
		time_t when = (time_t)number(error, "time");
		char shown[32] = "";
		struct tm tm;
		if (localtime_r(&when, &tm))
			(void)strftime(shown, sizeof(shown), "%F %T", &tm);
		printf("  %s  %s\n", shown, esc(text(error, "text")));
	}
}

static void print_table(const struct json_value *root)
{
	const struct json_value *layers = json_get(root, "layers");
	const struct json_value *kernel = json_get(root, "kernel"),
				*total = json_get(root, "total");
	print_state(root);
	if (!layers)
		return; /* its daemon does not answer */
	printf("  cache     %s%s%s\n", esc(text(root, "cache")),
	       json_get(root, "cache_trouble") ? ": nothing is kept: " : "",
	       json_get(root, "cache_trouble") ? esc(text(root, "cache_trouble")) : "");
	printf("  reads     %" PRIu64 ", %s; %" PRIu64 " waited, %" PRIu64 " failed\n",
	       number(kernel, "reads"), report_size(number(kernel, "read_bytes")).text,
	       number(kernel, "read_waits"), number(kernel, "read_errors"));
	printf("  fetched   %s of %s in %" PRIu64 " requests, %" PRIu64 " retries\n",
	       report_size(number(total, "fetched_bytes")).text,
	       report_size(number(total, "blob_bytes")).text, number(total, "requests"),
	       number(total, "retries"));
	printf("  %-12s %-12s %-8s %10s %10s %13s %6s %6s\n", "layer", "table", "trust", "size",
	       "fetched", "spans", "reqs", "errors");
	for (size_t i = 0; i < json_count(layers); i++)
		print_layer(json_at(layers, i));
	print_errors(json_get(root, "errors"));
}

/* ---- for Prometheus */

/* A label's value: backslash, quote and newline are escaped, the rest is as it is. */
static void print_label(const char *key, const char *value)
{
	printf("%s=\"", key);
	for (const char *at = esc(value); *at; at++) {
		if (*at == '\\' || *at == '"')
			(void)putchar('\\');
		(void)putchar(*at);
	}
	(void)putchar('"');
}

static void print_metric(const char *name, const struct json_value *root,
			 const struct json_value *layer, double value)
{
	printf("rootlet_%s{", name);
	print_label("directory", text(root, "directory"));
	printf(",");
	print_label("image", text(root, "image"));
	if (layer) {
		printf(",");
		print_label("layer", text(layer, "digest"));
		printf(",");
		print_label("trust", text(layer, "trust"));
	}
	printf("} %.17g\n", value);
}

static void print_members(const struct json_value *root, const struct json_value *object,
			  const struct json_value *layer, const char *prefix)
{
	for (json_member(m, object)) {
		uint64_t value;
		char name[96];
		if (!json_u64(m.value, &value))
			continue;
		(void)snprintf(name, sizeof(name), "%s_%s", prefix, m.key);
		print_metric(name, root, layer, (double)value);
	}
}

/*
 * Cumulative, as Prometheus wants a histogram; the last bucket is without bound.  NAME_count is the
 * same as the last one.
 */
static void print_latency(const struct json_value *root)
{
	const struct json_value *histogram = json_get(json_get(root, "total"), "latency_us");
	uint64_t sum = 0;
	for (size_t i = 0; i < json_count(histogram); i++) {
		uint64_t value = 0;
		(void)json_u64(json_at(histogram, i), &value);
		sum += value;
		printf("rootlet_fetch_seconds_bucket{");
		print_label("directory", text(root, "directory"));
		if (i + 1 < json_count(histogram))
			printf(",le=\"%.6g\"} %" PRIu64 "\n", 250e-6 * (double)(1u << i), sum);
		else
			printf(",le=\"+Inf\"} %" PRIu64 "\n", sum);
	}
}

static void print_prometheus(const struct json_value *root)
{
	const struct json_value *layers = json_get(root, "layers");
	print_metric("up", root, NULL, str_equal(text(root, "state"), "serving"));
	print_metric("restarts_total", root, NULL, (double)number(root, "restarts"));
	print_metric("started_seconds", root, NULL, (double)number(root, "started"));
	if (!layers)
		return;
	print_members(root, json_get(root, "kernel"), NULL, "kernel");
	for (size_t i = 0; i < json_count(layers); i++)
		print_members(root, json_at(layers, i), json_at(layers, i), "layer");
	print_latency(root);
}

/* ---- */

static int show(void *arg, const char *object, size_t size, struct err *err)
{
	struct status_args *args = arg;
	AUTO(json) json = NULL;
	int r = json_parse(&json, object, size, 0, err);
	if (r < 0)
		return err_wrap(err, r, "read a mount's status");
	if (!args->json && !args->prometheus && args->shown > 0)
		printf("\n");
	args->shown++;
	if (args->json) {
		auto_str line = STR_MAX(64u * 1024 * 1024);
		json_add_value(&line, json_root(json));
		printf("%s\n", str_text(&line));
	} else if (args->prometheus) {
		print_prometheus(json_root(json));
	} else {
		print_table(json_root(json));
	}
	return 0;
}

static int run(int argc, char **argv)
{
	struct status_args args = { 0 };
	struct err err = { 0 };
	int operands;
	int r = opts_parse(&args, options, N_ELEMENTS(options), argc, argv, &operands, &err);
	if (r < 0)
		return cmd_usage(cmd_status.name, &err);
	if (args.help) {
		help_command(stdout, &cmd_status);
		return cmd_finish_stdout();
	}
	if (operands > 1 || (args.json && args.prometheus)) {
		(void)err_set(&err, EINVAL, "wants one directory or none, and one format");
		return cmd_usage(cmd_status.name, &err);
	}
	r = mount_status(operands ? argv[1] : NULL, show, &args, &err);
	return r < 0 ? cmd_fail(r, &err) : cmd_finish_stdout();
}

const struct command cmd_status = {
	.name = "status",
	.operands = "[DIR]",
	.summary = "show how mounts are",
	.about = "Shows the mount at DIR, or all of this user: where each layer's index came from\n"
		 "and how far it is trusted, what was fetched, what went wrong.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
