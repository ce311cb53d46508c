/*
 * "rootlet manifest IMAGE" and "rootlet config IMAGE": the documents as they are, byte for byte, so
 * that sha256sum agrees with their digests.  Only on a terminal they are escaped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"

#define SHOWN_MAX_BYTES (64u * 1024 * 1024)

static const struct opt options[] = { LOOK_OPTIONS(
	"print one JSON object with the document in it") };

/* A document of an image. */
struct page {
	const char *key;	    /* borrowed: its member in the JSON */
	const struct descriptor *d; /* borrowed */
	const char *bytes;	    /* borrowed */
	size_t size;
};

/* Line by line, because the newlines stay. */
static int print_escaped(struct print *print, const struct page *page, struct err *err)
{
	auto_str out = STR_MAX(SHOWN_MAX_BYTES);
	const char *at = page->bytes, *end = at + page->size;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		esc_add(&out, at, (size_t)((newline ? newline : end) - at));
		str_addc(&out, '\n');
		at = newline ? newline + 1 : end;
	}
	if (out.failed)
		return err_set(err, E2BIG, "the %s is too large for a terminal", page->key);
	(void)fputs(str_text(&out), print_file(print));
	return 0;
}

static int print_json(struct print *print, const struct image *image, const struct page *page,
		      struct err *err)
{
	AUTO(json) json = NULL;
	auto_free char *name = ref_text(&image->ref);
	auto_str out = STR_MAX(SHOWN_MAX_BYTES);
	int r = json_parse(&json, page->bytes, page->size, 0, err);
	if (r < 0)
		return r;
	str_add(&out, "{\"image\":");
	json_add_string(&out, name);
	str_addf(&out,
		 ",\"digest\":\"%s\",\"size\":%zu,\"media_type\":", digest_show(&page->d->digest),
		 page->size);
	json_add_string(&out, page->d->media_type ? page->d->media_type : "");
	str_addf(&out, ",\"%s\":", page->key);
	json_add_value(&out, json_root(json));
	str_addc(&out, '}');
	print_line(print, &out);
	return 0;
}

static int print_page(struct print *print, const struct image *image, const struct page *page,
		      const struct look_args *args, struct err *err)
{
	if (args->json)
		return print_json(print, image, page, err);
	if (print_is_terminal(print))
		return print_escaped(print, page, err);
	(void)fwrite(page->bytes, 1, page->size, print_file(print));
	return 0;
}

static int print_manifest(struct print *print, const struct image *image,
			  const struct look_args *args, struct err *err)
{
	const struct document *document = args->platform ? &image->document : &image->top;
	const struct page page = { "manifest", &document->descriptor, document->bytes,
				   document->size };
	return print_page(print, image, &page, args, err);
}

static int print_config(struct print *print, const struct image *image,
			const struct look_args *args, struct err *err)
{
	const struct page page = { "config", &image->manifest.config, image->config_bytes,
				   image->config_size };
	return print_page(print, image, &page, args, err);
}

static int run_manifest(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_manifest, &args, argc, argv, 1, 1, &operands, &status))
		return status;
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(false);
	const struct image *image = NULL;
	unsigned flags = args.platform ? IMAGE_NO_CONFIG : IMAGE_NO_PLATFORM;
	int r = look_new(&look, &args, &err);
	if (r == 0)
		r = look_image(look, argv[1], flags, &image, &err);
	if (r == 0)
		r = print_manifest(print, image, &args, &err);
	return end_look(look, print, r, &err);
}

static int run_config(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_config, &args, argc, argv, 1, 1, &operands, &status))
		return status;
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(false);
	const struct image *image = NULL;
	int r = look_new(&look, &args, &err);
	if (r == 0)
		r = look_image(look, argv[1], 0, &image, &err);
	if (r == 0)
		r = print_config(print, image, &args, &err);
	return end_look(look, print, r, &err);
}

const struct command cmd_manifest = {
	.name = "manifest",
	.operands = "IMAGE",
	.summary = "print an image's manifest, or its index",
	.about = "Prints what IMAGE names, byte for byte: an index where it is for several\n"
		 "platforms.  With --platform it is that platform's manifest.  On a terminal\n"
		 "what could drive it is escaped.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run_manifest,
};

const struct command cmd_config = {
	.name = "config",
	.operands = "IMAGE",
	.summary = "print an image's configuration",
	.about = "Prints the configuration of IMAGE (of one platform, see --platform), byte for\n"
		 "byte.  On a terminal what could drive it is escaped.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run_config,
};
