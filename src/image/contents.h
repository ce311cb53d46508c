/*
 * Whole files out of a lazily opened image, front to back: what cat, cp and grep do.  Several
 * pieces are on their way at once, so that a large file costs few requests and no pause.
 */
#pragma once

#include "image/lazy.h"

/* The next SIZE bytes (> 0), borrowed.  0: go on; > 0: that is enough; a negative code ends it. */
typedef int contents_take(void *arg, const void *data, size_t size, struct err *err);

/*
 * All bytes of regular file INODE, in order.  Blocks.  What TAKE returned when that was negative;
 * -ECANCELED when the options' cancel is set meanwhile, after which LAZY can only be freed; else as
 * lazy_read.
 */
MUST_USE int contents_read(struct lazy *lazy, uint32_t inode, contents_take *take, void *arg,
			   struct err *err);

/*
 * These files will be read soon, in about this order: they are fetched ahead, neighbours in one
 * request.  Returns at once; what is too much is left out.
 */
void contents_want(struct lazy *lazy, const uint32_t *inodes, size_t count);

/*
 * All files at and below an inode, read one after the other in the order of rootfs_walk (each name
 * counts): some thousands of them are fetched ahead of the one that is read, however many there
 * are.
 */
struct contents_row {
	struct lazy *lazy; /* borrowed */
	uint32_t *files;   /* owned: inodes */
	size_t count, capacity, at;
};
void contents_row_init(struct contents_row *row, struct lazy *lazy, uint32_t number);
void contents_row_release(struct contents_row *row);
/* The next of them is about to be read, or passed by. */
void contents_row_next(struct contents_row *row);
