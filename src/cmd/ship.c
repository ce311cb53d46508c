/*
 * Images on their way: one http thread and one set of credentials for both ends.  Destinations of
 * one repository are one push with several tags; for another the manifests are not read again, the
 * blobs are.
 */
#include "cmd/ship.h"

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
#include "image/bundle.h"
#include "image/image.h"
#include "net/http.h"
#include "oci/creds.h"
#include "oci/ref.h"
#include "term/cancel.h"
#include "term/report.h"

#define TEXT_MAX_BYTES 16384

struct ship {
	const struct ship_args *args; /* borrowed */
	struct http *http;	      /* owned */
	struct creds *creds;	      /* owned */
	struct image *image;	      /* owned: the source */
	struct bundle *bundle;	      /* owned */
	struct ref *to;		      /* owned: the destinations */
	size_t count;
	struct report *report; /* owned; while blobs are sent */
};

static void ship_release(struct ship *ship)
{
	report_free(ship->report);
	bundle_free(ship->bundle);
	image_free(ship->image);
	for (size_t i = 0; i < ship->count; i++)
		ref_release(&ship->to[i]);
	free(ship->to);
	creds_free(ship->creds);
	http_free(ship->http);
}
#define auto_ship __attribute__((cleanup(ship_release))) struct ship

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void warn(void *arg, const char *text)
{
	const struct ship *ship = arg;
	if (!ship->args->quiet)
		report_line("rootlet: warning: %s", text);
}

static struct repo_options repo_options(struct ship *ship)
{
	return (struct repo_options){
		.http = ship->http,
		.creds = ship->creds,
		.skip_tls_verify = !ship->args->tls_verify,
		.warn = warn,
		.warn_arg = ship,
	};
}

static int set_up(struct ship *ship, const struct ship_args *args, struct err *err)
{
	ship->args = args;
	if (args->debug)
		report_log_to_stderr();
	int r = http_new(&ship->http, &(struct http_options){ 0 }, err);
	return r < 0 ? r : creds_files(&ship->creds, args->authfile, err);
}

/* --- the source --- */

static void replace(struct document *document, struct document *next)
{
	document_release(document);
	*document = *next;
	*next = (struct document){ 0 };
}

/* Down to the image of one platform; whatever is no index is taken as it is. */
static int choose(struct ship *ship, struct document *document, struct err *err)
{
	struct platform wanted;
	platform_host(&wanted);
	int r = ship->args->platform ? platform_parse(&wanted, ship->args->platform, err) : 0;
	for (int depth = 0; r == 0; depth++) {
		auto_index index = { 0 };
		const struct descriptor *child = NULL;
		struct document next = { 0 };
		if (media_kind(document->descriptor.media_type) != MEDIA_INDEX)
			return 0;
		if (depth == INDEX_DEPTH_MAX)
			return err_set(err, E2BIG, "more than %d indexes inside each other",
				       INDEX_DEPTH_MAX);
		r = index_parse(&index, document->descriptor.media_type, document->bytes,
				document->size, err);
		if (r == 0)
			r = index_choose(&child, &index, &wanted, err);
		if (r == 0)
			r = repo_manifest(ship->image->repo, child, &next, err);
		if (r == 0)
			replace(document, &next);
	}
	return r;
}

static int find_codec(const struct ship_args *args, enum codec *out, struct err *err)
{
	*out = CODEC_NONE;
	if (str_equal(args->compression, "gzip"))
		*out = CODEC_GZIP;
	else if (str_equal(args->compression, "zstd"))
		*out = CODEC_ZSTD;
	else if (args->compression)
		return err_set(err, EINVAL, "compression '%s' is neither 'gzip' nor 'zstd'",
			       esc(args->compression));
	return 0;
}

static int read_source(struct ship *ship, const char *name, struct err *err)
{
	auto_ref ref = { 0 };
	enum codec codec;
	int r = find_codec(ship->args, &codec, err);
	if (r == 0)
		r = ref_parse(&ref, name, err);
	if (r < 0)
		return r;
	const struct image_options options = { .repo = repo_options(ship) };
	r = image_open(&ship->image, &ref, &options, IMAGE_NO_PLATFORM, err);
	if (r < 0)
		return r;
	if (!ship->args->all)
		r = choose(ship, &ship->image->top, err);
	if (r == 0)
		r = bundle_read(&ship->bundle, ship->image->repo, &ship->image->top, err);
	if (r == 0 && codec != CODEC_NONE)
		r = bundle_compress(ship->bundle, codec, cancel_flag(), err);
	return r < 0 ? err_wrap(err, r, "image '%s'", esc(name)) : 0;
}

/* --- the destinations --- */

static int read_destinations(struct ship *ship, char *const *names, int count, struct err *err)
{
	ship->to = mem_new((size_t)count * sizeof(*ship->to));
	for (int i = 0; i < count; i++) {
		int r = ref_parse_new(&ship->to[i], names[i], err);
		if (r < 0)
			return r;
		ship->count++;
	}
	return 0;
}

static bool same_place(const struct ref *a, const struct ref *b)
{
	return a->kind == b->kind && str_equal(a->host, b->host) && str_equal(a->name, b->name) &&
	       str_equal(a->path, b->path);
}

static int check_digest(const struct ship *ship, const struct ref *to, struct err *err)
{
	const struct digest *ours = &bundle_top(ship->bundle)->descriptor.digest;
	if (!digest_known(&to->digest) || digest_equal(&to->digest, ours))
		return 0;
	return err_set(err, EINVAL, "the image has digest %s, the destination says %s",
		       digest_show(ours), digest_show(&to->digest));
}

/* A repository of the destination's registry that blobs may be mounted from; to be freed. */
static char *find_origin(const struct ship *ship, const struct ref *to)
{
	const struct ref *from = &ship->image->ref;
	if (to->kind != REF_REGISTRY)
		return NULL;
	if (from->kind == REF_REGISTRY && str_equal(from->host, to->host))
		return str_equal(from->name, to->name) ? NULL : mem_strdup(from->name);
	auto_free char *name = bundle_origin(ship->bundle, to->host);
	return str_equal(name, to->name) ? NULL : TAKE(name);
}

static void started(void *arg, struct progress *progress)
{
	struct ship *ship = arg;
	enum report_mode mode = ship->args->debug   ? REPORT_LOG
				: ship->args->quiet ? REPORT_QUIET
						    : REPORT_AUTO;
	ship->report = report_new(progress, mode);
}

static void finished(void *arg)
{
	report_free(TAKE(((struct ship *)arg)->report));
}

struct outcome {
	struct digest digest;
	struct bundle_result result;
	double seconds;
};

static void say(const struct ship *ship, const struct ref *to, const struct outcome *outcome)
{
	const struct bundle_result *result = &outcome->result;
	auto_free char *name = ref_text(to);
	if (ship->args->quiet)
		return;
	report_line("%s: %s", esc(name), digest_show(&outcome->digest));
	if (result->whole_there && result->sent == 0)
		report_line("the image was there already");
	double rate = (double)result->sent_bytes /
		      (outcome->seconds > 0.001 ? outcome->seconds : 0.001);
	report_line("%s in %zu blobs sent, %zu mounted, %zu were there, in %s, %s/s",
		    report_size(result->sent_bytes).text, result->sent, result->mounted,
		    result->there, report_seconds(outcome->seconds).text,
		    report_size((uint64_t)rate).text);
	if (result->moved)
		report_line("rootlet: warning: '%s' names another image by now: somebody else "
			    "pushed it",
			    esc(name));
}

/* docs/command-line.md describes each member; add, never change. */
static void print_json(const struct ref *to, const struct outcome *outcome)
{
	const struct bundle_result *result = &outcome->result;
	auto_str out = STR_MAX(TEXT_MAX_BYTES);
	auto_free char *name = ref_text(to);
	str_add(&out, "{\"image\":");
	json_add_string(&out, name);
	str_addf(&out,
		 ",\"digest\":\"%s\",\"blobs_sent\":%zu,\"blobs_mounted\":%zu,\"blobs_there\":%zu,"
		 "\"sent_bytes\":%" PRIu64 ",\"seconds\":%.3f}\n",
		 digest_show(&outcome->digest), result->sent, result->mounted, result->there,
		 result->sent_bytes, outcome->seconds);
	(void)fputs(str_text(&out), stdout);
}

/* All destinations in one place with the Ith, which is the first of them. */
static int send_to(struct ship *ship, size_t first, const char **tags, struct err *err)
{
	const struct ref *to = &ship->to[first];
	struct outcome outcome = { .digest = bundle_top(ship->bundle)->descriptor.digest };
	auto_free char *origin = find_origin(ship, to);
	const struct sink_options sink_options = { .repo = repo_options(ship),
						   .mount_from = origin };
	struct bundle_options options = {
		.tags = tags,
		.mount_from = origin,
		.cancel = cancel_flag(),
		.started = started,
		.finished = finished,
		.arg = ship,
	};
	int r = 0;
	for (size_t i = first; r == 0 && i < ship->count; i++) {
		if (!same_place(to, &ship->to[i]))
			continue;
		r = check_digest(ship, &ship->to[i], err);
		if (ship->to[i].tag)
			tags[options.tag_count++] = ship->to[i].tag;
	}
	AUTO(sink) sink = NULL;
	double began = now();
	if (r == 0)
		r = sink_open(&sink, to, &sink_options, err);
	if (r == 0)
		r = bundle_send(ship->bundle, sink, &options, &outcome.result, err);
	if (r < 0)
		return r;
	outcome.seconds = now() - began;
	say(ship, to, &outcome);
	for (size_t i = first; ship->args->json && i < ship->count; i++)
		if (same_place(to, &ship->to[i]))
			print_json(&ship->to[i], &outcome);
	return 0;
}

static bool is_first(const struct ship *ship, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (same_place(&ship->to[i], &ship->to[index]))
			return false;
	return true;
}

int ship(const char *source, char *const *destinations, int count, const struct ship_args *args,
	 struct err *err)
{
	auto_ship ship = { 0 };
	int r = set_up(&ship, args, err);
	if (r == 0)
		r = read_destinations(&ship, destinations, count, err);
	if (r == 0)
		r = read_source(&ship, source, err);
	auto_free const char **tags = mem_new(((size_t)count + 1) * sizeof(char *));
	for (size_t i = 0; r == 0 && i < ship.count; i++)
		if (is_first(&ship, i))
			r = send_to(&ship, i, tags, err);
	return r;
}

/* --- tags --- */

static int put_tags(struct ship *ship, const struct ref *ref, struct sink *sink, char *const *tags,
		    int count, struct err *err)
{
	int r = 0;
	for (int i = 0; r == 0 && i < count; i++) {
		auto_ref to = { 0 };
		r = ref_set_tag(&to, tags[i], err);
		if (r == 0)
			r = sink_put_document(sink, &ship->image->top, tags[i], err);
		if (r == 0 && !ship->args->quiet)
			report_line("%s: %s", esc(tags[i]),
				    digest_show(&ship->image->top.descriptor.digest));
		if (r < 0 || !ship->args->json)
			continue;
		const struct outcome outcome = { .digest = ship->image->top.descriptor.digest };
		ref_copy(&to, ref);
		r = ref_set_tag(&to, tags[i], err);
		print_json(&to, &outcome);
	}
	return r;
}

int ship_tags(const char *image, char *const *tags, int count, const struct ship_args *args,
	      struct err *err)
{
	auto_ship ship = { 0 };
	auto_ref ref = { 0 };
	int r = set_up(&ship, args, err);
	if (r == 0)
		r = ref_parse(&ref, image, err);
	if (r < 0)
		return r;
	if (ref.kind != REF_REGISTRY && ref.kind != REF_OCI)
		return err_set(err, EOPNOTSUPP,
			       "'%s': images in archives get their names when "
			       "they are copied there",
			       esc(image));
	const struct image_options options = { .repo = repo_options(&ship) };
	const struct sink_options sink_options = { .repo = repo_options(&ship) };
	AUTO(sink) sink = NULL;
	r = image_open(&ship.image, &ref, &options, IMAGE_NO_PLATFORM, err);
	if (r == 0)
		r = sink_open(&sink, &ref, &sink_options, err);
	return r < 0 ? r : put_tags(&ship, &ref, sink, tags, count, err);
}

/* --- the command line --- */

bool ship_begin(const struct command *command, struct ship_args *args, int argc, char **argv,
		int least, int most, int *operands, int *status)
{
	args->tls_verify = true;
	return begin_command(command, args, &args->help, argc, argv, least, most, operands, status);
}
