/*
 * The put step: an image that earlier steps made goes into the repository, under all its tags.
 * Nothing is sent before image and tags are known to be good.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "resource/out-image.h"
#include "resource/out-tags.h"
#include "resource/resource.h"
#include "resource/session.h"
#include "term/cancel.h"
#include "term/report.h"

#define ANSWER_MAX_BYTES (4u * 1024 * 1024)
#define PATH_MAX_BYTES 8192

struct put {
	struct session *session; /* owned */
	struct out_image *image; /* owned */
	struct sink *sink;	 /* owned */
	const char *sources;	 /* borrowed from argv */
	struct out_names tags;	 /* as they are reported */
	struct out_names once;	 /* as they are pushed */
	char *origin;		 /* owned or NULL: where blobs may be mounted from */
	struct report *report;	 /* owned; while blobs are sent */
	double started;
};

static void put_release(struct put *put)
{
	report_free(put->report);
	out_names_release(&put->tags);
	out_names_release(&put->once);
	sink_free(put->sink);
	out_image_free(put->image);
	free(put->origin);
	session_free(put->session);
}

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- tags --- */

static int add_version(struct put *put, struct err *err)
{
	const struct source_put *params = &put->session->request.put;
	const char *variant = put->session->request.source.variant;
	auto_semver version = { 0 };
	auto_tags there = { 0 };
	if (!params->version)
		return 0;
	int r = out_version_parse(&version, params->version, err);
	if (r == 0)
		r = out_names_add(&put->tags, out_version_tag(&version, variant), err);
	if (r < 0 || !params->bump_aliases || version.prerelease)
		return r;
	r = sink_list_tags(put->sink, &there, err);
	return r < 0 ? r : out_names_add_aliases(&put->tags, &version, variant, &there, err);
}

static int add_additional(struct put *put, struct err *err)
{
	const struct source_put *params = &put->session->request.put;
	size_t count = 0;
	int r = 0;
	if (params->additional_tags) {
		auto_str path = STR_MAX(PATH_MAX_BYTES);
		str_addf(&path, "%s/%s", put->sources, params->additional_tags);
		r = out_names_add_file(&put->tags, str_text(&path), params->tag_prefix, &count,
				       err);
	}
	if (r == 0 && params->tag_prefix && count == 0)
		r = err_set(err, EINVAL,
			    "tag_prefix can only be used when additional_tags are specified");
	return r;
}

static int keep_once(struct put *put, struct err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < put->tags.count; i++) {
		bool before = false;
		for (size_t k = 0; k < i; k++)
			before = before || str_equal(put->tags.items[i], put->tags.items[k]);
		if (!before)
			r = out_names_add(&put->once, mem_strdup(put->tags.items[i]), err);
	}
	return r;
}

static int find_tags(struct put *put, struct err *err)
{
	const struct source *source = &put->session->request.source;
	int r = source->tag ? out_names_add(&put->tags, mem_strdup(source->tag), err) : 0;
	if (r == 0)
		r = add_version(put, err);
	if (r == 0)
		r = add_additional(put, err);
	if (r == 0 && put->tags.count == 0)
		r = err_set(err, EINVAL,
			    "no tag specified - need either 'version:' in params or 'tag:' in "
			    "source");
	return r < 0 ? r : keep_once(put, err);
}

static void join_tags(struct str *out, const struct out_names *tags, const char *between)
{
	for (size_t i = 0; i < tags->count; i++)
		str_addf(out, "%s%s", i > 0 ? between : "", tags->items[i]);
}

/* --- pushing --- */

static void started(void *arg, struct progress *progress)
{
	struct put *put = arg;
	bool debug = put->session->request.source.debug;
	put->report = report_new(progress, debug ? REPORT_LOG : REPORT_AUTO);
}

static void finished(void *arg)
{
	report_free(TAKE(((struct put *)arg)->report));
}

static void say_result(const struct put *put, const struct bundle_result *result)
{
	double seconds = now() - put->started;
	double rate = (double)result->sent_bytes / (seconds > 0.001 ? seconds : 0.001);
	if (result->whole_there && result->sent == 0)
		report_line("the image was there already");
	report_line("%s in %zu blobs sent, %zu mounted, %zu were there, in %s, %s/s",
		    report_size(result->sent_bytes).text, result->sent, result->mounted,
		    result->there, report_seconds(seconds).text, report_size((uint64_t)rate).text);
	if (result->moved)
		report_line("rootlet: warning: '%s' names another image by now: somebody else "
			    "pushed it",
			    esc(put->once.items[0]));
}

static int push(struct put *put, struct err *err)
{
	struct bundle *bundle = out_image_bundle(put->image);
	const struct bundle_options options = {
		.tags = (const char *const *)put->once.items,
		.tag_count = put->once.count,
		.mount_from = put->origin,
		.cancel = cancel_flag(),
		.started = started,
		.finished = finished,
		.arg = put,
	};
	struct bundle_result result;
	auto_str names = STR_MAX(ERR_TEXT_MAX_BYTES);
	join_tags(&names, &put->once, ", ");
	report_line("pushing %s as %s to %s", digest_show(&bundle_top(bundle)->descriptor.digest),
		    str_text(&names), esc(put->session->request.source.repository));
	int r = bundle_send(bundle, put->sink, &options, &result, err);
	if (r == 0)
		say_result(put, &result);
	return r;
}

static int open_sink(struct put *put, struct err *err)
{
	const struct session *session = put->session;
	struct sink_options options = { .repo = session->images.repo };
	const struct ref *ref = &session->ref;
	if (ref->kind == REF_REGISTRY)
		put->origin = bundle_origin(out_image_bundle(put->image), ref->host);
	if (put->origin && str_equal(put->origin, ref->name))
		free(TAKE(put->origin));
	options.mount_from = put->origin;
	return sink_open(&put->sink, ref, &options, err);
}

static int answer(const struct put *put, struct err *err)
{
	const struct source *source = &put->session->request.source;
	const struct document *top = bundle_top(out_image_bundle(put->image));
	auto_str out = STR_MAX(ANSWER_MAX_BYTES);
	auto_str tags = STR_MAX(ANSWER_MAX_BYTES / 2);
	join_tags(&tags, &put->tags, " ");
	str_add(&out, "{\"version\":{\"tag\":");
	json_add_string(&out, put->tags.items[0]);
	str_addf(&out, ",\"digest\":\"%s\"},\"metadata\":[{\"name\":\"repository\",\"value\":",
		 digest_show(&top->descriptor.digest));
	json_add_string(&out, source->repository);
	str_add(&out, "},{\"name\":\"tags\",\"value\":");
	json_add_string(&out, str_text(&tags));
	str_add(&out, "}]}");
	if (out.failed || tags.failed)
		return err_set(err, E2BIG, "the answer is too large");
	return session_answer(str_text(&out), err);
}

static int out(int argc, char **argv, struct err *err)
{
	struct put put __attribute__((cleanup(put_release))) = { .started = now() };
	int r = session_open(&put.session, STEP_OUT, err);
	if (r < 0)
		return r;
	if (argc < 2 || !*argv[1])
		return err_set(err, EINVAL, "source path not specified");
	put.sources = argv[1];
	r = out_image_open(&put.image, put.sources, &put.session->request.put, cancel_flag(), err);
	if (r == 0)
		r = open_sink(&put, err);
	if (r == 0)
		r = find_tags(&put, err);
	if (r == 0)
		r = push(&put, err);
	return r < 0 ? r : answer(&put, err);
}

int resource_out(int argc, char **argv)
{
	struct err err = { 0 };
	int r = out(argc, argv, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
