/*
 * What is different between two opened images: names added, removed and changed, in the order of
 * their paths.  Contents are read only where nothing else tells: not when both come from the same
 * place of the same layer, nor when the digests of their spans can be compared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/lazy.h"

enum compare_what {
	COMPARE_TYPE = 1u << 0,
	COMPARE_CONTENT = 1u << 1,
	COMPARE_MODE = 1u << 2,
	COMPARE_OWNER = 1u << 3,
	COMPARE_LINK = 1u << 4, /* a symbolic link's target, or a device's number */
	COMPARE_XATTR = 1u << 5,
};

/* A name that is not the same in both. */
struct difference {
	char *path;	  /* owned: from the root, "/etc/passwd" */
	uint32_t a, b;	  /* inodes; ROOTFS_NONE: it is not in that image */
	unsigned changed; /* enum compare_what; 0 when it is in one image only */
	bool unsure;	  /* internal: contents have to be read */
};

struct differences {
	struct difference *all; /* owned */
	size_t count, capacity;
	uint64_t compared;   /* names that are in both */
	uint64_t read_bytes; /* of contents that had to be read, of both together */
};
void differences_release(struct differences *differences);

/* One side; the place where comparing begins, shown as PATH. */
struct compare_side {
	struct lazy *lazy; /* borrowed */
	uint32_t start;
};

#define DIFFERENCES_MAX (20u * 1000 * 1000)

/*
 * All differences below the two places, which are called PATH in both.  -E2BIG too many; -ECANCELED
 * by CANCEL (or NULL); else what lazy_read says.
 */
MUST_USE int compare_trees(struct differences *out, const struct compare_side *a,
			   const struct compare_side *b, const char *path,
			   const atomic_bool *cancel, struct err *err);

/*
 * How many layers at the bottom are the same in both (the same blobs in the same places); and can
 * trees of only those above them be compared in place of the whole ones?  That is so when what they
 * name is the same on both sides, so that what is below is hidden, or shows, on both sides alike.
 */
size_t compare_shared_layers(const struct image *a, const struct image *b);
bool compare_tops_suffice(const struct lazy *a, const struct lazy *b, size_t shared);

/* Internal: compare-content.c */
enum compare_answer { COMPARE_SAME, COMPARE_DIFFERENT, COMPARE_UNKNOWN };
/* Without reading either; both are regular files of one size. */
enum compare_answer compare_by_table(struct lazy *a, const struct rootfs_inode *x, struct lazy *b,
				     const struct rootfs_inode *y);
MUST_USE int compare_by_bytes(struct lazy *a, uint32_t x, struct lazy *b, uint32_t y, bool *same,
			      uint64_t *read_bytes, const atomic_bool *cancel, struct err *err);
