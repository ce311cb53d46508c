/*
 * One image, opened: found, its platform chosen, manifest and config read and checked.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "image/progress.h"
#include "oci/config.h"
#include "oci/manifest.h"
#include "oci/ref.h"
#include "oci/repo.h"

struct image_options {
	struct repo_options repo;
	const struct platform *platform; /* borrowed; NULL: the host's, with its variants */
};

struct image {
	struct repo *repo; /* owned unless borrowed */
	bool borrowed;
	struct ref ref;
	struct document top;	  /* what the reference names: index or manifest */
	bool is_index;		  /* top is an index */
	struct document document; /* the platform's manifest (a copy of top when that is one) */
	struct manifest manifest;
	struct config config;
	char *config_bytes; /* owned; exact */
	size_t config_size;
};

enum image_open_flags {
	IMAGE_NO_CONFIG = 1u << 0,   /* stop after the manifest: config is empty (skip_download) */
	IMAGE_NO_PLATFORM = 1u << 1, /* stop after top (oci-layout) */
	IMAGE_BORROW_REPO = 1u << 2, /* image_open_in: REPO stays the caller's */
	IMAGE_ANY_OS = 1u << 4,	     /* also an image for another system: only its config counts */
	IMAGE_WAIT = 1u << 3,	     /* what is not there was pushed just now: look a few times */
};

/*
 * Find and read.  -ENOENT no such image, tag or platform; -EBADMSG what does not fit together
 * (count of layers and diffIDs, sizes, digests, a second root type); the rest as oci/repo.h.
 */
MUST_USE int image_open(struct image **out, const struct ref *ref,
			const struct image_options *options, unsigned flags, struct err *err);
/* The same from a repo that was opened already; takes it over, also when it fails, unless
 * IMAGE_BORROW_REPO says otherwise. */
MUST_USE int image_open_in(struct image **out, struct repo *repo, const struct ref *ref,
			   const struct image_options *options, unsigned flags, struct err *err);
/*
 * What IMAGE_NO_CONFIG left out, with the same options and FLAGS: the config.  Only then diffIDs
 * are known.
 */
MUST_USE int image_read_config(struct image *image, const struct image_options *options,
			       unsigned flags, struct err *err);
void image_free(struct image *image);

/* Counters for the image's layers, all waiting. */
void image_progress(const struct image *image, struct progress *out);
DEFINE_AUTO(image)
