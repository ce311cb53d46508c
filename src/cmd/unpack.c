/*
 * "rootlet unpack IMAGE DIR": opens the image, lets unpack_image() do the work under a progress
 * display, and says what came of it.  stdout holds nothing, or the one object of --json.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"
#include "cmd/cmd.h"
#include "image/image.h"
#include "image/unpack.h"
#include "net/http.h"
#include "oci/creds.h"
#include "oci/ref.h"
#include "term/cancel.h"
#include "term/report.h"

#define TEXT_MAX_BYTES 16384

struct unpack_args {
	const char *platform, *authfile; /* borrowed from argv, or NULL */
	unsigned jobs;
	uint64_t max_unpacked;
	bool tls_verify, devices, allow_bomb, quiet, debug, json, help;
};

#define MEMBER(name) offsetof(struct unpack_args, name)
static const struct opt options[] = {
	{ "platform", OPT_TEXT, MEMBER(platform), "OS/ARCH[/VARIANT]",
	  "which image of several; default: this machine's" },
	{ "jobs", OPT_COUNT, MEMBER(jobs), "N", "layers at once; default: the number of cores" },
	{ "authfile", OPT_TEXT, MEMBER(authfile), "FILE",
	  "credentials, before those of docker and podman" },
	{ "tls-verify", OPT_BOOL, MEMBER(tls_verify), "true|false",
	  "false: certificates are not checked, plain http is allowed" },
	{ "devices", OPT_FLAG, MEMBER(devices), NULL,
	  "make device nodes instead of counting them" },
	{ "allow-bomb", OPT_FLAG, MEMBER(allow_bomb), NULL,
	  "accept layers that unpack to over 500 times their size" },
	{ "max-unpacked", OPT_SIZE, MEMBER(max_unpacked), "SIZE",
	  "stop when files take more: 500M, 20G; default: no limit" },
	{ "quiet", OPT_FLAG, MEMBER(quiet), NULL, "print errors only" },
	{ "debug", OPT_FLAG, MEMBER(debug), NULL, "print each step instead of the progress" },
	{ "json", OPT_FLAG, MEMBER(json), NULL, "print one JSON object with the result" },
	{ "help", OPT_FLAG, MEMBER(help), NULL, "show this text" },
};

struct outcome {
	char *image; /* owned: the reference in full */
	struct digest digest, manifest;
	struct platform platform;
	size_t layers;
	double seconds;
	struct unpack_result result;
};

static void outcome_release(struct outcome *outcome)
{
	mem_free_pointer(&outcome->image);
}

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void warn(void *arg, const char *text)
{
	const struct unpack_args *args = arg;
	if (!args->quiet)
		report_line("rootlet: warning: %s", text);
}

static int open_image(struct image **out, const struct ref *ref, struct unpack_args *args,
		      struct http *http, struct creds *creds, struct err *err)
{
	struct platform platform;
	if (args->platform) {
		int r = platform_parse(&platform, args->platform, err);
		if (r < 0)
			return r;
	}
	struct image_options image_options = {
		.repo = { .http = http,
			  .creds = creds,
			  .skip_tls_verify = !args->tls_verify,
			  .warn = warn,
			  .warn_arg = args },
		.platform = args->platform ? &platform : NULL,
	};
	return image_open(out, ref, &image_options, 0, err);
}

static enum report_mode mode_of(const struct unpack_args *args)
{
	if (args->debug)
		return REPORT_LOG;
	return args->quiet ? REPORT_QUIET : REPORT_AUTO;
}

static int unpack_opened(struct outcome *out, struct image *image, const char *path,
			 const struct unpack_args *args, struct err *err)
{
	__attribute__((cleanup(progress_release))) struct progress progress = { 0 };
	image_progress(image, &progress);
	AUTO(report) report __attribute__((unused)) = report_new(&progress, mode_of(args));
	struct unpack_options unpack_options = {
		.jobs = args->jobs,
		.devices = args->devices,
		.allow_bomb = args->allow_bomb,
		.max_bytes = args->max_unpacked,
		.progress = &progress,
		.cancel = cancel_flag(),
	};
	return unpack_image(image, path, &unpack_options, &out->result, err);
}

static int unpack(struct outcome *out, const char *name, const char *path, struct unpack_args *args,
		  struct err *err)
{
	double started = now();
	__attribute__((cleanup(ref_release))) struct ref ref = { 0 };
	int r = ref_parse(&ref, name, err);
	if (r < 0)
		return r;
	AUTO(http) http = NULL;
	r = http_new(&http, &(struct http_options){ 0 }, err);
	if (r < 0)
		return r;
	AUTO(creds) creds = NULL;
	r = creds_files(&creds, args->authfile, err);
	if (r < 0)
		return r;
	AUTO(image) image = NULL;
	r = open_image(&image, &ref, args, http, creds, err);
	if (r < 0)
		return r;

	out->image = ref_text(&ref);
	out->digest = image->top.descriptor.digest;
	out->manifest = image->document.descriptor.digest;
	out->platform = image->config.platform;
	out->layers = image->manifest.layer_count;
	r = unpack_opened(out, image, path, args, err);
	out->seconds = now() - started;
	return r;
}

static void add_count(struct str *out, uint64_t count, const char *what)
{
	if (count > 0)
		str_addf(out, "%s%" PRIu64 " %s", out->length > 0 ? ", " : "", count, what);
}

/* One line of totals, and one of what is not as the image has it. */
static void say(const struct outcome *outcome)
{
	const struct unpack_result *result = &outcome->result;
	double seconds = outcome->seconds > 0.001 ? outcome->seconds : 0.001;
	report_line("%s fetched, %s unpacked into %" PRIu64 " files in %s, %s/s",
		    report_size(result->fetched_bytes).text,
		    report_size(result->unpacked_bytes).text, result->files,
		    report_seconds(outcome->seconds).text,
		    report_size((uint64_t)((double)result->fetched_bytes / seconds)).text);
	auto_str lost = STR_MAX(TEXT_MAX_BYTES);
	add_count(&lost, result->skipped_devices, "device nodes (--devices makes them)");
	add_count(&lost, result->failed_owners, "owners (this needs root)");
	add_count(&lost, result->dropped_xattrs, "attributes not meant for files of an image");
	add_count(&lost, result->failed_xattrs, "attributes refused by the system");
	add_count(&lost, result->trailing_layers, "layers' bytes behind their archive's end");
	if (lost.length > 0)
		report_line("not kept: %s", str_text(&lost));
}

static void add_digest(struct str *out, const char *key, const struct digest *digest)
{
	if (digest_known(digest))
		str_addf(out, ",\"%s\":\"%s\"", key, digest_show(digest));
	else
		str_addf(out, ",\"%s\":null", key);
}

/* docs/command-line.md describes each member; add, never change. */
static void print_json(const struct outcome *outcome)
{
	const struct unpack_result *result = &outcome->result;
	auto_str out = STR_MAX(TEXT_MAX_BYTES);
	str_add(&out, "{\"image\":");
	json_add_string(&out, outcome->image);
	add_digest(&out, "digest", &outcome->digest);
	add_digest(&out, "manifest", &outcome->manifest);
	str_add(&out, ",\"platform\":");
	json_add_string(&out, platform_format(&outcome->platform).text);
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {
		{ "layers", outcome->layers },
		{ "fetched_bytes", result->fetched_bytes },
		{ "unpacked_bytes", result->unpacked_bytes },
		{ "files", result->files },
		{ "skipped_devices", result->skipped_devices },
		{ "dropped_xattrs", result->dropped_xattrs },
		{ "failed_xattrs", result->failed_xattrs },
		{ "failed_owners", result->failed_owners },
		{ "trailing_layers", result->trailing_layers },
	};
	for (size_t i = 0; i < N_ELEMENTS(counts); i++)
		str_addf(&out, ",\"%s\":%" PRIu64, counts[i].key, counts[i].value);
	str_addf(&out, ",\"seconds\":%.3f}\n", outcome->seconds);
	(void)fputs(str_text(&out), stdout);
}

static int run(int argc, char **argv)
{
	struct unpack_args args = { .tls_verify = true };
	struct err err = { 0 };
	int operands, status;
	if (!begin_command(&cmd_unpack, &args, &args.help, argc, argv, 2, 2, &operands, &status))
		return status;
	if (args.debug)
		report_log_to_stderr();

	__attribute__((cleanup(outcome_release))) struct outcome outcome = { 0 };
	int r = unpack(&outcome, argv[1], argv[2], &args, &err);
	if (r < 0)
		return cmd_fail(r, &err);
	if (!args.quiet)
		say(&outcome);
	if (args.json)
		print_json(&outcome);
	return cmd_finish_stdout();
}

const struct command cmd_unpack = {
	.name = "unpack",
	.operands = "IMAGE DIR",
	.summary = "make a directory of an image",
	.about = "Makes DIR, which must be new or empty, the root filesystem of IMAGE.  Every\n"
		 "layer's size and digests are checked; if anything fails DIR is left as it was.\n"
		 "'rootlet --help' says how an image is named.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
