/*
 * The directory that `in` fills: empty when it starts, and again when it fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct dest;

/*
 * PATH is made when it is missing (its parent must exist).  It may hold nothing but what a killed
 * run left under a private name and, with MAY_HOLD_ROOTFS, "rootfs", which image/unpack.h judges:
 * -EINVAL.
 */
MUST_USE int dest_open(struct dest **out, const char *path, bool may_hold_rootfs, struct err *err);
/* Without dest_keep everything that was made is removed. */
void dest_free(struct dest *dest);
DEFINE_AUTO(dest)
void dest_keep(struct dest *dest);

int dest_fd(const struct dest *dest); /* borrowed */
/* NAME, a static string, was made in it. */
void dest_made(struct dest *dest, const char *name);
/* A file of mode 0644; NAME is a static string. */
MUST_USE int dest_write(struct dest *dest, const char *name, const void *data, size_t size,
			struct err *err);
