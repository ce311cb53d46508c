/*
 * A writable file system on top of the mounted image: the kernel's overlayfs, or fuse-overlayfs
 * where that is refused.
 */
#pragma once

#include "base/err.h"
#include "fuse/plan.h"

#define OVERLAY_SOURCE "rootlet-overlay"

/* Waits for whoever serves the image below: never to be called by who must start that again. */
MUST_USE int overlay_mount(const struct plan *plan, struct err *err);

/* An overlay of ours is on top at DIRECTORY; false also when that cannot be known. */
bool overlay_is_mounted(const char *directory);
