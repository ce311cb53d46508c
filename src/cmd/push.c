/* "rootlet push SRC DEST...": all of an image to one or more registries. */
#include <limits.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/ship.h"

static const struct opt options[] = { SHIP_COMPRESSION, SHIP_OPTIONS };

static int run(int argc, char **argv)
{
	struct ship_args args = { .all = true };
	struct err err = { 0 };
	int operands = 0, status = 0;
	if (!ship_begin(&cmd_push, &args, argc, argv, 2, INT_MAX, &operands, &status))
		return status;
	int r = ship(argv[1], argv + 2, operands - 1, &args, &err);
	return r < 0 ? cmd_fail(r, &err) : cmd_finish_stdout();
}

const struct command cmd_push = {
	.name = "push",
	.operands = "IMAGE DEST...",
	.summary = "push an image, with all its platforms",
	.about = "Pushes IMAGE, most often an oci:DIR or an archive, to each DEST.  What a\n"
		 "registry has is not sent again; what it then has is read back and compared.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
