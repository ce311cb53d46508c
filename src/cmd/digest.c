/*
 * "rootlet digest IMAGE": what the reference names now.  With --platform the manifest of that
 * platform, else the top: what a version of a Concourse resource and "@DIGEST" mean.
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

#define LINE_MAX_BYTES 16384

static const struct opt options[] = { LOOK_OPTIONS("print one JSON object") };

static void print_json(struct print *print, const struct image *image, const struct descriptor *d)
{
	auto_free char *name = ref_text(&image->ref);
	auto_str out = STR_MAX(LINE_MAX_BYTES);
	str_add(&out, "{\"image\":");
	json_add_string(&out, name);
	str_addf(&out,
		 ",\"digest\":\"%s\",\"size\":%" PRIu64 ",\"media_type\":", digest_show(&d->digest),
		 d->size);
	json_add_string(&out, d->media_type ? d->media_type : "");
	str_addc(&out, '}');
	print_line(print, &out);
}

static int digest(struct look *look, struct print *print, const char *name,
		  const struct look_args *args, struct err *err)
{
	const struct image *image;
	unsigned flags = args->platform ? IMAGE_NO_CONFIG : IMAGE_NO_PLATFORM;
	int r = look_image(look, name, flags, &image, err);
	if (r < 0)
		return r;
	const struct descriptor *d = args->platform ? &image->document.descriptor
						    : &image->top.descriptor;
	if (!digest_known(&d->digest))
		return err_set(err, EOPNOTSUPP, "'%s' has no digest", esc(name));
	if (args->json)
		print_json(print, image, d);
	else
		fprintf(print_file(print), "%s\n", digest_show(&d->digest));
	return 0;
}

static int run(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_digest, &args, argc, argv, 1, 1, &operands, &status))
		return status;
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(false);
	int r = look_new(&look, &args, &err);
	if (r == 0)
		r = digest(look, print, argv[1], &args, &err);
	return end_look(look, print, r, &err);
}

const struct command cmd_digest = {
	.name = "digest",
	.operands = "IMAGE",
	.summary = "print the digest of what a name stands for",
	.about = "Prints the digest of what IMAGE names: an index where it is for several\n"
		 "platforms.  With --platform it is that platform's manifest.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
