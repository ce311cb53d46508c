/*
 * Opening images for the commands that look into them.  One http thread, one set of credentials and
 * one cache for all images of a command; the images are freed before what they borrow.
 */
#include "cmd/look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/str.h"
#include "image/cached-repo.h"
#include "net/http.h"
#include "oci/creds.h"
#include "oci/ref.h"
#include "term/cancel.h"
#include "term/report.h"

#define LOOK_IMAGES_MAX 2 /* diff has two, */
#define LOOK_TREES_MAX 4  /* and may open both trees in part, then whole */

struct look {
	const struct look_args *args; /* borrowed */
	struct platform platform;
	struct http *http;		       /* owned */
	struct creds *creds;		       /* owned */
	struct cache *cache;		       /* owned; NULL until a tree is asked for */
	struct image *images[LOOK_IMAGES_MAX]; /* owned */
	struct lazy *trees[LOOK_TREES_MAX];    /* owned */
	size_t image_count, tree_count;
	struct repo *repo;     /* owned; of look_repository */
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
	repo_free(look->repo);
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

/* Through the cache where that is open: what diff opens twice is then fetched once. */
static int open_image(struct look *look, const struct ref *ref, unsigned flags, struct image **out,
		      struct err *err)
{
	const struct image_options options = image_options(look);
	struct repo *repo = NULL;
	if (!look->cache || ref->kind != REF_REGISTRY)
		return image_open(out, ref, &options, flags, err);
	int r = repo_open(&repo, ref, &options.repo, err);
	if (r < 0)
		return r;
	repo = cached_repo_new(repo, look->cache, ref);
	return image_open_in(out, repo, ref, &options, flags, err);
}

int look_image(struct look *look, const char *name, unsigned flags, const struct image **out,
	       struct err *err)
{
	auto_ref ref = { 0 };
	int r = ref_parse(&ref, name, err);
	if (r < 0)
		return r;
	struct image **image = &look->images[look->image_count];
	r = open_image(look, &ref, flags, image, err);
	if (r < 0)
		return r;
	look->image_count++;
	count_layers(look, *image);
	*out = *image;
	return 0;
}

/* Of a registry's name a tag would mean nothing here. */
static int parse_repository(struct ref *out, const char *name, struct err *err)
{
	if (str_starts(name, "oci:") || str_starts(name, "oci-archive:") ||
	    str_starts(name, "docker-archive:"))
		return ref_parse(out, name, err);
	return ref_parse_repository(out, name, err);
}

int look_repository(struct look *look, const char *name, struct repo **out, struct err *err)
{
	auto_ref ref = { 0 };
	int r = parse_repository(&ref, name, err);
	if (r < 0)
		return r;
	const struct image_options options = image_options(look);
	r = repo_open(&look->repo, &ref, &options.repo, err);
	if (r < 0)
		return r;
	*out = look->repo;
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

int look_cache(struct look *look, struct cache **out, struct err *err)
{
	const struct cache_options options = { .path = look->args->cache };
	int r = look->cache ? 0 : cache_open(&look->cache, &options, err);
	if (r < 0)
		return r;
	*out = look->cache;
	return 0;
}

int look_tree_above(struct look *look, const char *name, size_t skip, struct lazy **out,
		    struct err *err)
{
	__attribute__((cleanup(ref_release))) struct ref ref = { 0 };
	int r = ref_parse(&ref, name, err);
	struct cache *cache = NULL;
	if (r == 0)
		r = look_cache(look, &cache, err);
	if (r < 0)
		return r;
	const struct lazy_options options = {
		.image = image_options(look),
		.cache = cache,
		.least = TRUST_BOUND,
		.fill = LAZY_FILL_OFF,
		.no_prefetch = true,
		.skip_layers = skip,
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
	if (look->image_count == 0)
		count_layers(look, lazy_image(*tree));
	*out = *tree;
	return 0;
}

int look_tree(struct look *look, const char *name, struct lazy **out, struct err *err)
{
	return look_tree_above(look, name, 0, out, err);
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
