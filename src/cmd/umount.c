/* "rootlet umount DIR": ends a mount and waits for its processes. */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "cmd/begin.h"
#include "cmd/cmd.h"
#include "fuse/mount.h"

struct umount_args {
	bool lazy, help;
};

#define MEMBER(name) offsetof(struct umount_args, name)
static const struct opt options[] = {
	{ "lazy", OPT_FLAG, MEMBER(lazy), NULL,
	  "also when it is in use: it is gone from DIR at once, and ends with its last user" },
	{ "help", OPT_FLAG, MEMBER(help), NULL, "show this text" },
};

static int run(int argc, char **argv)
{
	struct umount_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	if (!begin_command(&cmd_umount, &args, &args.help, argc, argv, 1, 1, &operands, &status))
		return status;
	int r = mount_stop(argv[1], args.lazy, &err);
	return r < 0 ? cmd_fail(r, &err) : 0;
}

const struct command cmd_umount = {
	.name = "umount",
	.operands = "DIR",
	.summary = "end a mount",
	.about = "Unmounts what 'rootlet mount' mounted at DIR, and waits until it has ended.\n"
		 "A mount that is in use stays.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
