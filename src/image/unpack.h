/*
 * An image becomes a directory.
 *
 * The destination is a new or empty directory.  Everything is made in a private directory inside it
 * and moved up at the end, after every layer's size, digest and diffID were checked; on any failure
 * the destination is as it was found.  A run that was killed leaves only its private directory,
 * which the next run removes.  docs/unpack.md tells how.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "image/image.h"
#include "image/progress.h"

struct unpack_options {
	unsigned jobs;		   /* layers at once; 0: the cores */
	bool devices;		   /* make device nodes (needs CAP_MKNOD) */
	bool allow_bomb;	   /* no limit on the ratio of unpacked to compressed bytes */
	uint64_t max_bytes;	   /* of all files unpacked; 0: no limit but the disk */
	bool use_cache;		   /* layers that the cache has whole are not fetched */
	struct progress *progress; /* borrowed; initialised for the image's layers; may be NULL */
	const atomic_bool *cancel; /* borrowed or NULL; true ends the work with -ECANCELED */
};

struct unpack_result {
	uint64_t fetched_bytes;	 /* compressed */
	uint64_t cached_layers;	 /* layers that were not fetched */
	uint64_t unpacked_bytes; /* tar streams */
	uint64_t files;		 /* names in the tree, directories included */
	/* What could not be kept, each counted: */
	uint64_t skipped_devices;
	uint64_t dropped_xattrs;  /* by the allow-list */
	uint64_t failed_xattrs;	  /* refused by the file system or for want of privilege */
	uint64_t failed_owners;	  /* owners that became the user's */
	uint64_t trailing_layers; /* layers with bytes behind their tar's end */
};

/*
 * PATH is created (mode 0700 while working, then the root entry's) when missing; parents must
 * exist. -EINVAL not a directory or not empty; -ENOSPC; -EBADMSG, -E2BIG hostile or corrupt; the
 * rest as oci/repo.h.
 */
MUST_USE int unpack_image(struct image *image, const char *path,
			  const struct unpack_options *options, struct unpack_result *out,
			  struct err *err);
