/* Completion in shells, from the tables that --help and the parser read. */
#pragma once

#include "cmd/cmd.h"

struct completion_args {
	bool words, help;
};

#define COMPLETION_OPTIONS                                                                       \
	{ "words", OPT_FLAG, offsetof(struct completion_args, words), NULL,                      \
	  "print what the last of the words that follow may become" },                           \
	{                                                                                        \
		"help", OPT_FLAG, offsetof(struct completion_args, help), NULL, "show this text" \
	}
#define COMPLETION_ABOUT                                                                   \
	"Prints a script for bash, zsh or fish that completes commands, options and the\n" \
	"paths in images that were looked into before.  To have it at once:\n"             \
	"\n"                                                                               \
	"  bash  source <(rootlet completion bash)\n"                                      \
	"  zsh   source <(rootlet completion zsh)\n"                                       \
	"  fish  rootlet completion fish | source\n"                                       \
	"\n"                                                                               \
	"The scripts call 'rootlet completion --words -- WORD...', which asks nobody.\n"

/* "rootlet completion": a script, or with --words the answer for one.  The exit status. */
int completion_run(const struct command *self, const struct commands *commands, int argc,
		   char **argv);

/*
 * What the last of WORDS (those after "rootlet"; COUNT is 1 at least) may become, on OUT:
 *
 *	":words", ":files" or ":dirs"	what else the shell should offer: nothing, names on disk
 *	WORD [TAB DESCRIPTION]		a line each; a path of a directory ends with '/'
 *
 * No network is asked; what cannot be known is not offered.
 */
void complete_words(FILE *out, const struct commands *commands, const char *const *words,
		    size_t count);

/* What of the paths in an image begins with PREFIX; nothing unless the cache knows the image. */
struct complete_image {
	const char *name;	      /* borrowed: IMAGE as written */
	const char *cache, *platform; /* borrowed, or NULL */
	const char *before;	      /* put in front of each line: "IMAGE:" of cp, else "" */
};
void complete_paths(FILE *out, const struct complete_image *image, const char *prefix);
