/*
 * Options of a command as one table, which both the parser and --help read: what one knows the
 * other shows.  --name, --name=value, --name value; -x, -xyz, -xVALUE, -x VALUE for those that have
 * a letter; anywhere among the operands; "--" ends them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum opt_kind {
	OPT_FLAG,  /* bool: true when given */
	OPT_BOOL,  /* bool: --x, --x=true, --x=false */
	OPT_TEXT,  /* const char *: borrowed from argv; not empty */
	OPT_COUNT, /* unsigned: 1 .. OPT_COUNT_MAX */
	OPT_SIZE,  /* uint64_t: 1500, 64K, 10M, 2G, 1T (powers of 1024), more than 0 */
};

#define OPT_COUNT_MAX 1024

struct opt {
	/* Without the dashes: "long", "l,long" with a letter, "l," with nothing else.  "help" may
	 * also be written -h where no option has that letter. */
	const char *name;
	enum opt_kind kind;
	size_t offset;	   /* of its member in the command's own struct */
	const char *value; /* what --help calls its value, NULL for flags */
	const char *help;
};

/*
 * Read argv[1] .. argv[argc-1] into the members of INTO (which holds the defaults).  The operands
 * are moved to argv[1] ..; *operands is how many there are.  -EINVAL with what is wrong, and the
 * nearest option for one there is not.
 */
MUST_USE int opts_parse(void *into, const struct opt *list, size_t count, int argc, char **argv,
			int *operands, struct err *err);

/* The table as --help shows it, at most 80 columns wide. */
void opts_show(FILE *out, const struct opt *list, size_t count);

/* The letter of an option, or '\0'; and its word, "" when it has only a letter. */
char opt_letter(const struct opt *opt);
const char *opt_word(const struct opt *opt);

/* "64K" as bytes; false when TEXT is nothing like it, zero or too large. */
bool opts_parse_size(const char *text, uint64_t *out);
