/* What the commands that show an image's tree hold: the image, its tree, and standard output. */
#pragma once

#include "cmd/begin.h"
#include "cmd/print.h"

struct view {
	struct look *look;	     /* owned */
	struct print *print;	     /* owned */
	struct lazy *lazy;	     /* borrowed from look */
	const struct rootfs *rootfs; /* borrowed from lazy */
};

/* RAW as print_new.  ARGS and NAME are borrowed. */
MUST_USE int view_open(struct view *out, const struct look_args *args, bool raw, const char *name,
		       struct err *err);
void view_release(struct view *view);
#define auto_view __attribute__((cleanup(view_release))) struct view

/* The end of such a command: R and ERR are what came of it, STATUS is it when all went well. */
int view_end(struct view *view, int r, const struct err *err, int status);
