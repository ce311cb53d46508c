/*
 * What push, copy and tag share: their options, and the way from an image to where it goes.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "cmd/opts.h"

struct command;

/* First member of each such command's arguments, filled by SHIP_OPTIONS. */
struct ship_args {
	const char *platform, *authfile, *compression; /* borrowed from argv, or NULL */
	bool all, tls_verify, quiet, debug, json, help;
};

#define SHIP_MEMBER(name) offsetof(struct ship_args, name)
/* Rows for a table of options. */
#define SHIP_OPTIONS                                                                  \
	{ "authfile", OPT_TEXT, SHIP_MEMBER(authfile), "FILE",                        \
	  "credentials, before those of docker and podman" },                         \
		{ "tls-verify", OPT_BOOL, SHIP_MEMBER(tls_verify), "true|false",      \
		  "false: certificates are not checked, plain http is allowed" },     \
		{ "quiet", OPT_FLAG, SHIP_MEMBER(quiet), NULL, "print errors only" }, \
		{ "debug", OPT_FLAG, SHIP_MEMBER(debug), NULL,                        \
		  "print each step instead of the progress" },                        \
		{ "json", OPT_FLAG, SHIP_MEMBER(json), NULL,                          \
		  "print one JSON object a destination" },                            \
	{                                                                             \
		"help", OPT_FLAG, SHIP_MEMBER(help), NULL, "show this text"           \
	}
#define SHIP_COMPRESSION                                                        \
	{                                                                       \
		"compression", OPT_TEXT, SHIP_MEMBER(compression), "gzip|zstd", \
			"compress layers that are not compressed so already"    \
	}

/* The image called SOURCE to each of DESTINATIONS. */
MUST_USE int ship(const char *source, char *const *destinations, int count,
		  const struct ship_args *args, struct err *err);

/* What IMAGE names gets each of TAGS as well, where it is. */
MUST_USE int ship_tags(const char *image, char *const *tags, int count,
		       const struct ship_args *args, struct err *err);

/*
 * Reads the options; true when the command is to go on, else *STATUS is its exit status.  At least
 * LEAST operands, at most MOST.
 */
bool ship_begin(const struct command *command, struct ship_args *args, int argc, char **argv,
		int least, int most, int *operands, int *status);
