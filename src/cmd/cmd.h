/*
 * Commands: one file each, described by a table that main.c, help and --help read.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "cmd/opts.h"

struct command {
	const char *name;
	const char *operands; /* as usage shows them: "IMAGE DIR", "" */
	const char *summary;  /* one line for the list of commands */
	const char *about; /* for its own --help: lines of at most 80 columns, each ended by \n */
	const struct opt *options;
	size_t option_count;
	/* argv[0] is the command's name; the exit status. */
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_unpack, cmd_mount, cmd_umount, cmd_status, cmd_cache;
extern const struct command cmd_push, cmd_copy, cmd_tag;

/* Print "rootlet: TEXT" on stderr; the exit status for R. */
int cmd_fail(int r, const struct err *err);
/* The same for what the user typed, pointing to COMMAND's help (NULL: to all of it); 2. */
int cmd_usage(const char *command, const struct err *err);
/* stdout is complete on its way: 0, or cmd_fail's status. */
int cmd_finish_stdout(void);

void help_all(FILE *out, const struct command *const *commands, size_t count);
void help_command(FILE *out, const struct command *command);
void help_version(FILE *out);
