/*
 * "rootlet status [DIR]": how the mounts are, for people, as JSON, or for Prometheus.  All of it is
 * made from the one object that each mount's daemon writes (docs/mount.md).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"
#include "cmd/cmd.h"
#include "cmd/metrics.h"
#include "fuse/mount.h"
#include "term/report.h"

#define OBJECT_MAX_BYTES (64u * 1024 * 1024)

struct status_args {
	bool json, prometheus, help;
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

/* ---- */

/* All that answered. */
struct mounts {
	struct json **all; /* owned, each of them too */
	size_t count, capacity;
};

static void mounts_release(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		json_free(mounts->all[i]);
	free(mounts->all);
}

static int keep(void *arg, const char *object, size_t size, struct err *err)
{
	struct mounts *mounts = arg;
	struct json *json = NULL;
	int r = json_parse(&json, object, size, 0, err);
	if (r < 0)
		return err_wrap(err, r, "read a mount's status");
	mounts->all = mem_grow(mounts->all, &mounts->capacity, mounts->count, sizeof(json));
	mounts->all[mounts->count++] = json;
	return 0;
}

static void print_json(const struct json_value *root)
{
	auto_str line = STR_MAX(OBJECT_MAX_BYTES);
	json_add_value(&line, root);
	printf("%s\n", str_text(&line));
}

static void print(const struct mounts *mounts, const struct status_args *args)
{
	if (args->prometheus) {
		metrics_print(mounts->all, mounts->count);
		return;
	}
	for (size_t i = 0; i < mounts->count; i++) {
		if (args->json) {
			print_json(json_root(mounts->all[i]));
			continue;
		}
		printf("%s", i > 0 ? "\n" : "");
		print_table(json_root(mounts->all[i]));
	}
}

static int run(int argc, char **argv)
{
	struct status_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	if (!begin_command(&cmd_status, &args, &args.help, argc, argv, 0, 1, &operands, &status))
		return status;
	if (args.json && args.prometheus) {
		(void)err_set(&err, EINVAL, "wants one format");
		return cmd_usage(cmd_status.name, &err);
	}
	__attribute__((cleanup(mounts_release))) struct mounts mounts = { 0 };
	int r = mount_status(operands ? argv[1] : NULL, keep, &mounts, &err);
	if (r < 0)
		return cmd_fail(r, &err);
	print(&mounts, &args);
	return cmd_finish_stdout();
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
