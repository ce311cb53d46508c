/*
 * The directory that `in` fills: empty when it starts, and again when it fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct place;

/*
 * PATH is made when it is missing (its parent must exist).  It may hold nothing but what a killed
 * run left under a private name and, with MAY_HOLD_ROOTFS, "rootfs", which image/unpack.h judges:
 * -EINVAL.
 */
MUST_USE int place_open(struct place **out, const char *path, bool may_hold_rootfs,
			struct err *err);
/* Without place_keep everything that was made is removed. */
void place_free(struct place *place);
DEFINE_AUTO(place)
void place_keep(struct place *place);

int place_fd(const struct place *place); /* borrowed */
/* NAME, a static string, was made in it. */
void place_made(struct place *place, const char *name);
/* A file of mode 0644; NAME is a static string. */
MUST_USE int place_write(struct place *place, const char *name, const void *data, size_t size,
			 struct err *err);
