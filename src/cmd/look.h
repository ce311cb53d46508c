/*
 * What the commands that look into an image share: their options, opening the image, and the last
 * line, which says what the answer cost.
 */
#pragma once

#include "cmd/opts.h"
#include "image/image.h"
#include "image/lazy.h"

/* First member of each such command's arguments, filled by LOOK_OPTIONS. */
struct look_args {
	const char *platform, *authfile, *cache; /* borrowed from argv, or NULL */
	bool tls_verify, quiet, debug, json, help;
};
#define LOOK_DEFAULTS              \
	{                          \
		.tls_verify = true \
	}

#define LOOK_MEMBER(name) offsetof(struct look_args, name)
/* Rows for a table of options; JSON_HELP says what --json prints. */
#define LOOK_OPTIONS(json_help)                                                       \
	LOOK_PLAIN_OPTIONS, { "json", OPT_FLAG, LOOK_MEMBER(json), NULL, json_help }, \
		LOOK_HELP_OPTION
/* The same for what prints nothing. */
#define LOOK_PLAIN_OPTIONS                                                                     \
	{ "platform", OPT_TEXT, LOOK_MEMBER(platform), "OS/ARCH[/VARIANT]",                    \
	  "which image of several; default: this machine's" },                                 \
		{ "authfile", OPT_TEXT, LOOK_MEMBER(authfile), "FILE",                         \
		  "credentials, before those of docker and podman" },                          \
		{ "tls-verify", OPT_BOOL, LOOK_MEMBER(tls_verify), "true|false",               \
		  "false: certificates are not checked, plain http is allowed" },              \
		{ "cache", OPT_TEXT, LOOK_MEMBER(cache), "DIR",                                \
		  "where tables and bytes are kept; default: $ROOTLET_CACHE" },                \
		{ "quiet", OPT_FLAG, LOOK_MEMBER(quiet), NULL, "only the answer and errors" }, \
	{                                                                                      \
		"debug", OPT_FLAG, LOOK_MEMBER(debug), NULL, "print each step on stderr"       \
	}
#define LOOK_HELP_OPTION                                                    \
	{                                                                   \
		"help", OPT_FLAG, LOOK_MEMBER(help), NULL, "show this text" \
	}

struct look;

/* Opens nothing yet but what every question needs (http, credentials). */
MUST_USE int look_new(struct look **out, const struct look_args *args, struct err *err);
/* Nothing is said; for errors.  Accepts NULL. */
void look_free(struct look *look);
DEFINE_AUTO(look)

/* Only manifest and config (FLAGS as image_open); *out is borrowed from LOOK. */
MUST_USE int look_image(struct look *look, const char *name, unsigned flags,
			const struct image **out, struct err *err);
/* A repository (HOST/NAME), layout or archive, no image of it; *out is borrowed from LOOK. */
MUST_USE int look_repository(struct look *look, const char *name, struct repo **out,
			     struct err *err);
/* What is kept on this machine; borrowed from LOOK. */
MUST_USE int look_cache(struct look *look, struct cache **out, struct err *err);
/*
 * The tree, and files to be read; borrowed from LOOK.  A layer without a table is scanned, with
 * progress on stderr.  More than one image may be opened.
 */
MUST_USE int look_tree(struct look *look, const char *name, struct lazy **out, struct err *err);

/* The same without the SKIP layers at the bottom (image/lazy.h: skip_layers), for an image that
 * look_image opened. */
MUST_USE int look_tree_above(struct look *look, const char *name, size_t skip, struct lazy **out,
			     struct err *err);

/* "read 1.3 MiB of 4.1 GiB in 9 requests" on stderr, unless quiet. */
void look_say_cost(const struct look *look);
