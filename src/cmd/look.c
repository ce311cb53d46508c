/*
 * Opening images for the commands that look into them.  One http thread, one set of credentials and
 * one cache for all images of a command; the images are freed before what they borrow.
 */
#include "cmd/look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/esc.h"
#include "net/http.h"
#include "oci/creds.h"
#include "oci/ref.h"
#include "term/cancel.h"
#include "term/report.h"

#define LOOK_IMAGES_MAX 2 /* diff has two */

struct look {
	const struct look_args *args; /* borrowed */
	struct platform platform;
	struct http *http;		       /* owned */
	struct creds *creds;		       /* owned */
	struct cache *cache;		       /* owned; NULL until a tree is asked for */
	struct image *images[LOOK_IMAGES_MAX]; /* owned */
	struct lazy *trees[LOOK_IMAGES_MAX];   /* owned */
	size_t image_count, tree_count;
	struct report *report; /* owned; while layers are scanned */
	uint64_t blob_bytes;   /* compressed size of all layers of all images */
};

static void warn(void *arg, const char *text)
{
	const struct look *look = arg;
	if (!look->args->quiet)
		report_line("rootlet: warning: %s", text);
}

int look_new(struct look **out, const struct look_args *args, struct err *err)
{
	AUTO(look) look = mem_make(struct look, .args = args);
	if (args->debug)
		report_log_to_stderr();
	int r = args->platform ? platform_parse(&look->platform, args->platform, err) : 0;
	if (r == 0)
		r = http_new(&look->http, &(struct http_options){ 0 }, err);
	if (r == 0)
		r = creds_files(&look->creds, args->authfile, err);
	if (r < 0)
		return r;
	*out = TAKE(look);
	return 0;
}

void look_free(struct look *look)
{
	if (!look)
		return;
	report_free(look->report);
	for (size_t i = 0; i < look->tree_count; i++)
		lazy_free(look->trees[i]);
	for (size_t i = 0; i < look->image_count; i++)
		image_free(look->images[i]);
	cache_free(look->cache);
	creds_free(look->creds);
	http_free(look->http);
	free(look);
}

static struct image_options image_options(struct look *look)
{
	return (struct image_options){
		.repo = { .http = look->http,
			  .creds = look->creds,
			  .skip_tls_verify = !look->args->tls_verify,
			  .warn = warn,
			  .warn_arg = look },
		.platform = look->args->platform ? &look->platform : NULL,
	};
}

static void count_layers(struct look *look, const struct image *image)
{
	for (size_t i = 0; i < image->manifest.layer_count; i++) {
		uint64_t size = image->manifest.layers[i].size;
		look->blob_bytes += size == UINT64_MAX ? 0 : size;
	}
}

int look_image(struct look *look, const char *name, unsigned flags, const struct image **out,
	       struct err *err)
{
	__attribute__((cleanup(ref_release))) struct ref ref = { 0 };
	int r = ref_parse(&ref, name, err);
	if (r < 0)
		return r;
	const struct image_options options = image_options(look);
	struct image **image = &look->images[look->image_count];
	r = image_open(image, &ref, &options, flags, err);
	if (r < 0)
		return r;
	look->image_count++;
	count_layers(look, *image);
	*out = *image;
	return 0;
}

static void scanning(void *arg, struct progress *progress)
{
	struct look *look = arg;
	report_free(TAKE(look->report));
	if (progress && !look->args->quiet && !look->args->debug)
		look->report = report_new(progress, REPORT_AUTO);
}

static void log_line(void *arg, const char *text)
{
	warn(arg, text);
}

int look_tree(struct look *look, const char *name, struct lazy **out, struct err *err)
{
	__attribute__((cleanup(ref_release))) struct ref ref = { 0 };
	int r = ref_parse(&ref, name, err);
	if (r == 0 && !look->cache)
		r = cache_open(&look->cache, &(struct cache_options){ .path = look->args->cache },
			       err);
	if (r < 0)
		return r;
	const struct lazy_options options = {
		.image = image_options(look),
		.cache = look->cache,
		.least = TRUST_BOUND,
		.fill = LAZY_FILL_OFF,
		.no_prefetch = true,
		.exact = true,
		.cancel = cancel_flag(),
		.scanning = scanning,
		.log = log_line,
		.arg = look,
	};
	struct lazy **tree = &look->trees[look->tree_count];
	r = lazy_open(tree, &ref, &options, err);
	if (r < 0)
		return r;
	look->tree_count++;
	count_layers(look, lazy_image(*tree));
	*out = *tree;
	return 0;
}

void look_say_cost(const struct look *look)
{
	if (look->args->quiet)
		return;
	uint64_t requests = http_requests(look->http);
	auto_str of = STR_MAX(64);
	if (look->blob_bytes > 0)
		str_addf(&of, " of %s", report_size(look->blob_bytes).text);
	report_line("read %s%s in %" PRIu64 " request%s", report_size(http_bytes(look->http)).text,
		    str_text(&of), requests, requests == 1 ? "" : "s");
}
