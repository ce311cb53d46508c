/*
 * The get step: one version of an image into a directory, as a root filesystem, as the archive
 * docker loads, or as an OCI layout; and the few files that later steps read.  Names, bytes and
 * modes are those of the registry-image resource.  Files come last, after the image is whole.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "image/export.h"
#include "image/unpack.h"
#include "resource/documents.h"
#include "resource/dest.h"
#include "resource/missing.h"
#include "resource/mounted.h"
#include "resource/pairs.h"
#include "resource/resource.h"
#include "resource/session.h"
#include "term/cancel.h"
#include "term/report.h"

#define PATH_MAX_BYTES 4096
#define NAME_MAX_BYTES 1024

struct get {
	struct session *session; /* owned */
	struct dest *dest;	 /* owned */
	const char *path;	 /* borrowed from argv: the destination */
	struct ref ref;		 /* the repository at the version's digest */
	double started;
	char *mounted;	      /* owned: where rootfs is mounted, to be undone on failure; or NULL */
	const char *provided; /* static: how rootfs/ came to be; NULL when nobody asked */
	struct picker *picker; /* owned */
	struct pairs pairs;    /* what it picked */
};

static void unmount(struct get *get)
{
	if (get->mounted)
		mounted_undo(get->mounted);
	free(TAKE(get->mounted));
}

static void get_release(struct get *get)
{
	unmount(get);
	dest_free(get->dest);
	ref_release(&get->ref);
	picker_free(get->picker);
	pairs_release(&get->pairs);
	session_free(get->session);
}

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum report_mode report_mode(const struct get *get)
{
	return get->session->request.source.debug ? REPORT_LOG : REPORT_AUTO;
}

/* --- what is said at the end --- */

static void say_total(const struct get *get, uint64_t bytes, const char *became)
{
	double seconds = now() - get->started;
	double rate = (double)bytes / (seconds > 0.001 ? seconds : 0.001);
	report_line("%s fetched, %s in %s, %s/s", report_size(bytes).text, became,
		    report_seconds(seconds).text, report_size((uint64_t)rate).text);
}

static uint64_t fetched_bytes(const struct progress *progress)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < progress->layer_count; i++)
		sum += atomic_load(&progress->layers[i].fetched_bytes);
	return sum;
}

static void add_count(struct str *out, uint64_t count, const char *what)
{
	if (count > 0)
		str_addf(out, "%s%" PRIu64 " %s", out->length > 0 ? ", " : "", count, what);
}

static void say_unpacked(const struct get *get, const struct unpack_result *result, size_t layers)
{
	auto_str text = STR_MAX(NAME_MAX_BYTES);
	if (result->cached_layers > 0)
		str_addf(&text, "%" PRIu64 " of %zu layers were in the cache, ",
			 result->cached_layers, layers);
	str_addf(&text, "%s unpacked into %" PRIu64 " files",
		 report_size(result->unpacked_bytes).text, result->files);
	say_total(get, result->fetched_bytes, str_text(&text));
	str_reset(&text);
	add_count(&text, result->skipped_devices, "device nodes");
	add_count(&text, result->failed_owners, "owners (this needs root)");
	add_count(&text, result->dropped_xattrs, "attributes not meant for files of an image");
	add_count(&text, result->failed_xattrs, "attributes refused by the system");
	add_count(&text, result->trailing_layers, "layers' bytes behind their archive's end");
	if (text.length > 0)
		report_line("not kept: %s", str_text(&text));
}

static void say_mounted(const struct get *get)
{
	struct mounted_cost cost;
	struct report_text seconds = report_seconds(now() - get->started);
	if (mounted_cost(&cost, get->mounted, NULL) < 0) {
		report_line("mounted in %s", seconds.text);
		return;
	}
	unsigned percent = (unsigned)(100 * cost.present_bytes /
				      (cost.stream_bytes > 0 ? cost.stream_bytes : 1));
	report_line("%s fetched, mounted in %s; the cache knew %zu of %zu layers and has %u%% of "
		    "their bytes",
		    report_size(cost.fetched_bytes).text, seconds.text, cost.cached_layers,
		    cost.layers, percent);
}

/* --- the formats --- */

static int rootfs_path(const struct get *get, struct str *path, struct err *err)
{
	str_addf(path, "%s/rootfs", get->path);
	if (path->failed)
		return err_set(err, EINVAL, "the path '%s' is too long", esc(get->path));
	return 0;
}

/* As lazy says; when get->mounted is NULL afterwards it is to be unpacked, and a line says why. */
static int mount_rootfs(struct get *get, struct err *err)
{
	enum source_lazy lazy = request_lazy(&get->session->request);
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	int r = lazy == LAZY_NEVER ? 0 : rootfs_path(get, &path, err);
	if (lazy == LAZY_NEVER || r < 0)
		return r;
	get->provided = "unpacked";
	struct err why = { 0 };
	r = mounted_provide(get->session, &get->ref, str_text(&path), &why);
	if (r == 0) {
		get->mounted = str_take(&path);
		get->provided = "mounted, bytes are fetched when they are read";
		dest_made(get->dest, "rootfs");
		say_mounted(get);
		return 0;
	}
	if (lazy == LAZY_REQUIRE || r != -EOPNOTSUPP)
		return err_set(err, -r, "%s", err_text(&why));
	report_line("not mounted: %s; unpacking", err_text(&why));
	return 0;
}

static int unpack_rootfs(struct get *get, struct image *image, struct err *err)
{
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	int r = rootfs_path(get, &path, err);
	if (r < 0)
		return r;
	struct progress progress __attribute__((cleanup(progress_release))) = { 0 };
	image_progress(image, &progress);
	struct unpack_options options = { .use_cache = true,
					  .progress = &progress,
					  .cancel = cancel_flag() };
	struct unpack_result result;
	AUTO(report) report = report_new(&progress, report_mode(get));
	r = unpack_image(image, str_text(&path), &options, &result, err);
	report_free(TAKE(report));
	if (r < 0)
		return r;
	dest_made(get->dest, "rootfs");
	say_unpacked(get, &result, image->manifest.layer_count);
	return 0;
}

static int write_text(struct get *get, const char *name, const struct str *text, struct err *err)
{
	if (text->failed)
		return err_set(err, E2BIG, "'%s' is too large", name);
	return dest_write(get->dest, name, str_text(text), text->length, err);
}

static int write_labels(struct get *get, const struct config *config, struct err *err)
{
	auto_str text = STR_MAX(DOCUMENT_MAX_BYTES);
	document_labels(&text, config);
	return write_text(get, "labels.json", &text, err);
}

/* Find the image and pick what is told of it. */
static int open_image(struct image **out, struct get *get, unsigned flags, struct err *err)
{
	AUTO(image) image = NULL;
	int r = image_open(&image, &get->ref, &get->session->images, flags | IMAGE_WAIT, err);
	if (r == 0 && !(flags & IMAGE_NO_PLATFORM))
		r = picker_add(get->picker, image, &get->pairs, err);
	if (r < 0)
		return r;
	*out = TAKE(image);
	return 0;
}

/* Of an index that is kept whole the platform's image speaks, if there is one. */
static int pick_of_layout(struct get *get, const struct image *whole, struct err *err)
{
	AUTO(image) image = NULL;
	struct err why = { 0 };
	if (!picker_wants_any(get->picker))
		return 0;
	int r = image_open_in(&image, whole->repo, &get->ref, &get->session->images,
			      IMAGE_BORROW_REPO, &why);
	if (r == -ENOENT) {
		report_line("no labels or annotations are shown: %s", err_text(&why));
		return 0;
	}
	return r < 0 ? err_set(err, -r, "%s", err_text(&why))
		     : picker_add(get->picker, image, &get->pairs, err);
}

static int get_rootfs(struct get *get, struct err *err)
{
	AUTO(image) image = NULL;
	int r = mount_rootfs(get, err);
	if (r < 0)
		return r;
	r = open_image(&image, get, 0, err);
	if (r < 0)
		return r;
	/* An image without layers gets no rootfs/, as with registry-image. */
	if (image->manifest.layer_count == 0)
		unmount(get);
	else if (!get->mounted)
		r = unpack_rootfs(get, image, err);
	if (r < 0)
		return r;
	auto_str text = STR_MAX(DOCUMENT_MAX_BYTES);
	document_metadata(&text, &image->config);
	r = write_text(get, "metadata.json", &text, err);
	return r < 0 ? r : write_labels(get, &image->config, err);
}

static int get_archive(struct get *get, struct err *err)
{
	AUTO(image) image = NULL;
	int r = open_image(&image, get, 0, err);
	if (r < 0)
		return r;
	auto_free char *name = document_repo_tag(&get->ref, get->session->request.version.tag);
	struct progress progress __attribute__((cleanup(progress_release))) = { 0 };
	image_progress(image, &progress);
	struct export_options options = { .progress = &progress, .cancel = cancel_flag() };
	AUTO(report) report = report_new(&progress, report_mode(get));
	r = export_docker_archive(image, dest_fd(get->dest), name, &options, err);
	report_free(TAKE(report));
	if (r < 0)
		return r;
	dest_made(get->dest, "image.tar");
	say_total(get, fetched_bytes(&progress), "written to image.tar");
	return write_labels(get, &image->config, err);
}

static int get_layout(struct get *get, struct err *err)
{
	AUTO(image) image = NULL;
	int r = open_image(&image, get, IMAGE_NO_PLATFORM, err);
	if (r == 0)
		r = pick_of_layout(get, image, err);
	if (r < 0)
		return r;
	AUTO(layout_export) layout = NULL;
	r = layout_export_open(&layout, image, dest_fd(get->dest), err);
	if (r < 0)
		return r;
	struct progress progress __attribute__((cleanup(progress_release))) = { 0 };
	layout_export_progress(layout, &progress);
	struct export_options options = { .progress = &progress, .cancel = cancel_flag() };
	AUTO(report) report = report_new(&progress, report_mode(get));
	r = layout_export_run(layout, &options, err);
	report_free(TAKE(report));
	if (r < 0)
		return r;
	dest_made(get->dest, "oci");
	say_total(get, fetched_bytes(&progress), "written to oci/");
	return 0;
}

/* The platform must be there, but nothing of it is fetched. */
static int get_nothing(struct get *get, struct err *err)
{
	AUTO(image) image = NULL;
	return open_image(&image, get, picker_wants_config(get->picker) ? 0 : IMAGE_NO_CONFIG, err);
}

/* --- the step --- */

static int get_image(struct get *get, struct err *err)
{
	const struct source_params *params = &get->session->request.params;
	if (params->skip_download)
		return get_nothing(get, err);
	report_line("fetching %s@%s", esc(get->session->request.source.repository),
		    digest_show(&get->ref.digest));
	switch (params->format) {
	case FORMAT_OCI:
		return get_archive(get, err);
	case FORMAT_OCI_LAYOUT:
		return get_layout(get, err);
	case FORMAT_ROOTFS:
		break;
	}
	return get_rootfs(get, err);
}

static int write_version(struct get *get, struct err *err)
{
	const struct request *request = &get->session->request;
	const struct {
		const char *name, *text;
	} files[] = {
		{ "tag", request->version.tag ? request->version.tag : "" },
		{ "digest", request->version.digest },
		{ "repository", request->source.repository },
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(files); i++)
		r = dest_write(get->dest, files[i].name, files[i].text, strlen(files[i].text), err);
	return r;
}

static int find_version(struct get *get, struct err *err)
{
	const char *text = get->session->request.version.digest;
	if (!text)
		return err_set(err, EINVAL, "version.digest is missing");
	struct digest digest;
	int r = digest_parse(&digest, text, err);
	if (r < 0)
		return err_wrap(err, r, "version.digest");
	session_ref_at(get->session, &digest, &get->ref);
	return 0;
}

static int in(int argc, char **argv, struct err *err)
{
	struct get get __attribute__((cleanup(get_release))) = { .started = now() };
	int r = session_open(&get.session, STEP_IN, err);
	if (r < 0)
		return r;
	if (argc < 2 || !*argv[1])
		return err_set(err, EINVAL, "destination path not specified");
	get.path = argv[1];
	const struct source_params *params = &get.session->request.params;
	r = picker_new(&get.picker, &get.session->request.source, err);
	if (r == 0)
		r = find_version(&get, err);
	if (r == 0)
		r = dest_open(&get.dest, get.path,
			      params->format == FORMAT_ROOTFS && !params->skip_download, err);
	if (r == 0)
		r = get_image(&get, err);
	if (r == -ENOENT)
		missing_explain(get.session, &get.ref, get.session->request.version.tag, err);
	if (r == 0)
		r = write_version(&get, err);
	if (r < 0)
		return r;
	auto_str answer = STR_MAX(DOCUMENT_MAX_BYTES);
	document_answer(&answer, &get.session->request, get.provided, &get.pairs);
	r = answer.failed ? err_set(err, E2BIG, "the answer is too large")
			  : session_answer(str_text(&answer), err);
	if (r < 0)
		return r;
	dest_keep(get.dest);
	free(TAKE(get.mounted)); /* it stays */
	return 0;
}

int resource_in(int argc, char **argv)
{
	struct err err = { 0 };
	int r = in(argc, argv, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
