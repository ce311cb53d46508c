/* "rootlet tag IMAGE TAG...": more names for what is there. */
#include <limits.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/ship.h"

static const struct opt options[] = { SHIP_OPTIONS };

static int run(int argc, char **argv)
{
	struct ship_args args = { .all = true };
	struct err err = { 0 };
	int operands = 0, status = 0;
	if (!ship_begin(&cmd_tag, &args, argc, argv, 2, INT_MAX, &operands, &status))
		return status;
	int r = ship_tags(argv[1], argv + 2, operands - 1, &args, &err);
	return r < 0 ? cmd_fail(r, &err) : cmd_finish_stdout();
}

const struct command cmd_tag = {
	.name = "tag",
	.operands = "IMAGE TAG...",
	.summary = "give an image more tags where it is",
	.about = "What IMAGE names, in a registry or an oci:DIR, is called by each TAG as well.\n"
		 "Only the manifest is written again; TAG is a tag alone (\"1.2\").\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
