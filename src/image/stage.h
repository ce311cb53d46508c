/*
 * Where files lie while an image is unpacked: a private directory inside the destination.
 *
 * Layers are read at once and in any order, so nobody knows yet which names will win.  Each file is
 * put where it will most likely stay: under its own name below "root/", where there are only real
 * directories and regular files, no symbolic links.  When that name is taken it goes to "spare/"
 * under its number.  Afterwards place.h makes the final tree of it, and nearly every file is
 * already there.
 *
 *	DEST/.rootlet-unpack-XXXXXX/	0700, locked with flock(2) while we live
 *		root/			becomes the tree, its entries are then moved up to DEST
 *		spare/			contents by number
 *		commit			names being moved up, each with a NUL
 *	DEST/.rootlet-unpack-XXXXXX.commit	the same file, while and after the directory goes
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define STAGE_PREFIX ".rootlet-unpack-"
#define STAGE_SPARE UINT32_MAX /* the directory number of what lies in spare/ */
#define STAGE_ROOT_DIR 0u

struct stage;
/* DESTFD (borrowed) must be an empty directory but for what killed runs left, which is removed. */
MUST_USE int stage_new(struct stage **out, int destfd, struct err *err);
/* Removes the private directory with all that is still in it, if stage_remove did not. */
void stage_free(struct stage *stage);
DEFINE_AUTO(stage)

int stage_rootfd(const struct stage *stage);  /* borrowed */
int stage_sparefd(const struct stage *stage); /* borrowed */

/* One reader of a layer: remembers the directory it is in.  One thread at a time. */
struct stage_writer;
struct stage_writer *stage_writer_new(struct stage *stage);
void stage_writer_free(struct stage_writer *writer);
DEFINE_AUTO(stage_writer)

/*
 * A new empty regular file, likely to become PATH (cleaned, not empty).  *fd is yours to close;
 * *content its number.  MODE as open(2); the umask is the caller's.
 */
MUST_USE int stage_create(struct stage_writer *writer, const char *path, unsigned mode, int *fd,
			  uint32_t *content, struct err *err);
/* The layer was bad: all files this writer made are forgotten, and removed by place. */
void stage_writer_discard(struct stage_writer *writer);

/* What place.c asks: where contents lie. */
struct stage_content {
	uint32_t dir;  /* directory number, or STAGE_SPARE */
	uint32_t name; /* offset for stage_string */
	bool dead;     /* discarded */
};
uint32_t stage_content_count(const struct stage *stage);
struct stage_content stage_content(const struct stage *stage, uint32_t content);
void stage_moved_to_spare(struct stage *stage, uint32_t content);
uint32_t stage_dir_count(const struct stage *stage);
const char *stage_dir_path(const struct stage *stage, uint32_t dir); /* "" is the root */
/* The number of a directory by its path, or UINT32_MAX. */
uint32_t stage_dir_find(const struct stage *stage, const char *path);
const char *stage_string(const struct stage *stage, uint32_t offset);
/* "123" for what lies in spare/ */
struct stage_name {
	char text[12];
};
struct stage_name stage_spare_name(uint32_t content);

/*
 * Move everything in root/ up into DEST.  Either all of it is there afterwards, or nothing and an
 * error.
 */
MUST_USE int stage_commit(struct stage *stage, struct err *err);
/* After a commit: remove the private directory.  A run killed after it is still undone by the next.
 */
MUST_USE int stage_remove(struct stage *stage, struct err *err);
/* After stage_remove: from now on the tree counts as complete. */
MUST_USE int stage_done(struct stage *stage, struct err *err);
/* After a commit: take all of it away again, so that the destination is as it was found. */
void stage_undo_commit(struct stage *stage);
