/* The supervisor of one mount, see fuse/mount.h. */
#pragma once

#include "fuse/plan.h"

/*
 * Mounts and stays until the mount is gone; to be called with one thread.  COMMAND is the socket of
 * the command that waits, told when the mount answers or why it does not; -1: the caller is it.
 *
 * 0 when the mount ended as it should.
 */
MUST_USE int supervisor_run(const struct plan *plan, int command, struct err *err);
