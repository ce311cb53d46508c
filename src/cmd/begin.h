/* How commands begin, and how those that look into an image end: the same words for the same
 * mistakes. */
#pragma once

#include "cmd/cmd.h"
#include "cmd/look.h"
#include "cmd/print.h"

/*
 * Read COMMAND's options into ARGS, what its table fills; HELP is the member of it that --help
 * sets. False when that was all: help was asked for, or what was typed is wrong; *status is then
 * the exit status.  *operands is from LEAST to MOST.
 */
bool begin_command(const struct command *command, void *args, const bool *help, int argc,
		   char **argv, int least, int most, int *operands, int *status);

/* The same for one that looks into an image; ARGS is the first member of what its table fills. */
bool begin_look(const struct command *command, struct look_args *args, int argc, char **argv,
		int least, int most, int *operands, int *status);

/*
 * The end of a command that ended with R: what it printed is complete, and what it cost is said; or
 * why it failed.  The exit status.
 */
int end_look(const struct look *look, struct print *print, int r, struct err *err);
