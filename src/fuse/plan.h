/*
 * What a mount needs to know, made once by the command and inherited by every process of it: all
 * paths absolute, so that nobody depends on a working directory.
 */
#pragma once

#include "fuse/mount.h"
#include "fuse/run-dir.h"
#include "oci/platform.h"
#include "oci/ref.h"

struct plan {
	const struct mount_options *options; /* borrowed */
	struct ref ref;
	bool has_platform;
	struct platform platform;
	char *source;	 /* owned: the image, for mount(8) and messages */
	char *directory; /* owned: where the user wants it */
	char *place;	 /* owned: where FUSE is mounted: DIRECTORY, or below the overlay */
	char *upper;	 /* owned, or NULL */
	char *work;	 /* owned, or NULL */
	char *authfile;	 /* owned, or NULL */
	char *cache_dir; /* owned, or NULL */
	struct run_dir run;
	struct run_id id;
};

/* Checks what can be known before anything is fetched. */
MUST_USE int plan_make(struct plan *out, const struct mount_options *options, struct err *err);
void plan_release(struct plan *plan);
#define auto_plan __attribute__((cleanup(plan_release))) struct plan

/*
 * The real path of an existing directory, to be freed; also when what is mounted there is dead.
 * -ENOENT; -EINVAL it is no directory.
 */
MUST_USE int plan_directory(char **out, const char *path, struct err *err);
