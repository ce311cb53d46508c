/* "rootlet copy SRC DEST": from any place to any other, as it is, through memory only. */
#include <errno.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/ship.h"

static const struct opt options[] = {
	{ "all", OPT_FLAG, SHIP_MEMBER(all), NULL,
	  "all platforms, and whatever else an index lists" },
	{ "platform", OPT_TEXT, SHIP_MEMBER(platform), "OS/ARCH[/VARIANT]",
	  "which image of several; default: this machine's" },
	SHIP_COMPRESSION,
	SHIP_OPTIONS,
};

static int run(int argc, char **argv)
{
	struct ship_args args = { 0 };
	struct err err = { 0 };
	int operands = 0, status = 0;
	if (!ship_begin(&cmd_copy, &args, argc, argv, 2, 2, &operands, &status))
		return status;
	if (args.all && args.platform) {
		(void)err_set(&err, EINVAL, "--all and --platform exclude each other");
		return cmd_usage(cmd_copy.name, &err);
	}
	int r = ship(argv[1], argv + 2, 1, &args, &err);
	return r < 0 ? cmd_fail(r, &err) : cmd_finish_stdout();
}

const struct command cmd_copy = {
	.name = "copy",
	.operands = "IMAGE DEST",
	.summary = "copy an image to a registry, layout or archive",
	.about = "Copies IMAGE to DEST, named like images: HOST/NAME:TAG, oci:DIR:TAG,\n"
		 "oci-archive:FILE:TAG, docker-archive:FILE:NAME:TAG.  Bytes stay as they are\n"
		 "and are verified; between registries they pass through without being stored.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
