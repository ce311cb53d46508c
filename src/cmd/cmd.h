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
extern const struct command cmd_digest, cmd_manifest, cmd_config, cmd_platforms, cmd_tags;
extern const struct command cmd_ls, cmd_tree, cmd_cat, cmd_cp, cmd_stat, cmd_find_files, cmd_grep;
extern const struct command cmd_du;
extern const struct command cmd_history, cmd_inspect, cmd_diff, cmd_explore;

/* Print "rootlet: TEXT" on stderr; the exit status for R. */
int cmd_fail(int r, const struct err *err);
/* The same for what the user typed, pointing to COMMAND's help (NULL: to all of it); 2. */
int cmd_usage(const char *command, const struct err *err);
/* stdout is complete on its way: 0, or cmd_fail's status. */
int cmd_finish_stdout(void);

/* All commands, for what speaks of them all; the program has the list. */
struct commands {
	const struct command *const *all; /* borrowed */
	size_t count;
};
/* The command of that name, or NULL. */
const struct command *cmd_find(const struct commands *commands, const char *name);

void help_all(FILE *out, const struct commands *commands);
void help_command(FILE *out, const struct command *command);
void help_version(FILE *out);
/* How images are named, lines of help. */
extern const char help_images[];
