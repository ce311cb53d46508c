/*
 * "rootlet platforms IMAGE": what an index lists, without fetching the images themselves.  Indexes
 * inside indexes are opened; attestations and artifacts are no images.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/digest.h"
#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"

#define LINE_MAX_BYTES 4096

static const struct opt options[] = { LOOK_OPTIONS("print a JSON object a line") };

struct listing {
	struct repo *repo;   /* borrowed */
	struct print *print; /* borrowed */
	bool json;
	unsigned fetches;
};

static void print_one(const struct listing *listing, const struct platform *platform,
		      const struct digest *digest, const char *media_type)
{
	const struct platform_text text = platform ? platform_format(platform)
						   : (struct platform_text){ "" };
	const char *name = text.text;
	if (!listing->json) {
		fprintf(print_file(listing->print), "%-20s %s\n", *name ? esc(name) : "-",
			digest_known(digest) ? digest_show(digest) : "-");
		return;
	}
	auto_str out = STR_MAX(LINE_MAX_BYTES);
	str_add(&out, "{\"platform\":");
	if (*name)
		json_add_string(&out, name);
	else
		str_add(&out, "null");
	if (digest_known(digest))
		str_addf(&out, ",\"digest\":\"%s\"", digest_show(digest));
	else
		str_add(&out, ",\"digest\":null");
	str_add(&out, ",\"media_type\":");
	json_add_string(&out, media_type ? media_type : "");
	str_addc(&out, '}');
	print_line(listing->print, &out);
}

static int list_index(struct listing *listing, const struct document *document, int depth,
		      struct err *err);

/* What an index lists may be an index again. */
static int list_nested(struct listing *listing, const struct descriptor *entry, int depth,
		       struct err *err)
{
	auto_document document = { 0 };
	if (depth == INDEX_DEPTH_MAX || ++listing->fetches > MANIFEST_FETCHES_MAX)
		return err_set(err, E2BIG, "too many indexes inside each other");
	int r = repo_manifest(listing->repo, entry, &document, err);
	return r < 0 ? r : list_index(listing, &document, depth, err);
}

static int list_index(struct listing *listing, const struct document *document, int depth,
		      struct err *err)
{
	auto_index index = { 0 };
	int r = index_parse(&index, document->descriptor.media_type, document->bytes,
			    document->size, err);
	for (size_t i = 0; r == 0 && i < index.count; i++) {
		const struct descriptor *entry = &index.entries[i];
		if (!index_entry_is_image(entry))
			continue;
		if (media_kind(entry->media_type) == MEDIA_INDEX)
			r = list_nested(listing, entry, depth + 1, err);
		else
			print_one(listing, entry->has_platform ? &entry->platform : NULL,
				  &entry->digest, entry->media_type);
	}
	return r;
}

/* Not an index: the config knows what it is for. */
static int list_manifest(struct listing *listing, const struct document *document, struct err *err)
{
	auto_manifest manifest = { 0 };
	auto_config config = { 0 };
	auto_free char *bytes = NULL;
	size_t size;
	int r = manifest_parse(&manifest, document->descriptor.media_type, document->bytes,
			       document->size, err);
	if (r == 0)
		r = repo_blob_bytes(listing->repo, &manifest.config, CONFIG_MAX_BYTES, &bytes,
				    &size, err);
	if (r == 0)
		r = config_parse(&config, bytes, size, err);
	if (r < 0)
		return r;
	print_one(listing, config.platform.os[0] ? &config.platform : NULL,
		  &document->descriptor.digest, document->descriptor.media_type);
	return 0;
}

static int list(struct look *look, struct print *print, const char *name,
		const struct look_args *args, struct err *err)
{
	const struct image *image;
	int r = look_image(look, name, IMAGE_NO_PLATFORM, &image, err);
	if (r < 0)
		return r;
	struct listing listing = { .repo = image->repo, .print = print, .json = args->json };
	r = image->is_index ? list_index(&listing, &image->top, 0, err)
			    : list_manifest(&listing, &image->top, err);
	return r < 0 ? err_wrap(err, r, "image '%s'", esc(name)) : 0;
}

static int run(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_platforms, &args, argc, argv, 1, 1, &operands, &status))
		return status;
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(false);
	int r = look_new(&look, &args, &err);
	if (r == 0)
		r = list(look, print, argv[1], &args, &err);
	return end_look(look, print, r, &err);
}

const struct command cmd_platforms = {
	.name = "platforms",
	.operands = "IMAGE",
	.summary = "list the platforms an image is for",
	.about = "Prints a line for each platform of IMAGE: its name and the digest of its\n"
		 "manifest.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
