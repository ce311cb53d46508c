/*
 * What "rootlet explore" shows of an image, without a screen: a tree of names, which of them are
 * visible, and what each layer did to them.  Pure; explore-screen.c draws it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "image/rootfs.h"
#include "image/waste.h"

enum explore_state {
	EXPLORE_SAME,
	EXPLORE_ADDED,
	EXPLORE_CHANGED,
	EXPLORE_REMOVED,
};

struct explore_node {
	const char *name;     /* borrowed from a rootfs */
	uint32_t inode;	      /* in NOW; of what was removed: in BEFORE */
	uint32_t parent;      /* the root's is itself */
	uint32_t first, last; /* children: nodes first .. last-1 */
	uint64_t size;	      /* of a directory: of all files below it, each inode once */
	uint64_t wasted;      /* the same of bytes the image carries in vain */
	uint16_t depth;
	uint8_t state;	 /* enum explore_state */
	bool open;	 /* a directory whose children are rows */
	bool wanted;	 /* it, or something below it, passes the filter */
	bool is_changed; /* it, or something below it, is not EXPLORE_SAME */
};

struct explore_view {
	const struct rootfs *now, *before; /* borrowed; BEFORE is NULL: nothing to compare with */
	struct explore_node *nodes;	   /* owned; node 0 is the root */
	size_t count, capacity;
	uint32_t *rows; /* owned: nodes that are visible, top to bottom, without the root */
	size_t row_count;
	char *filter;	 /* owned: part of a name, or a pattern with * ? [ ; NULL: all */
	unsigned hidden; /* bits by enum explore_state */
};

/*
 * All names of NOW and, where they are gone, of BEFORE (or NULL).  What comes from layer SINCE or
 * above counts as added or changed.
 */
void explore_view_init(struct explore_view *view, const struct rootfs *now,
		       const struct rootfs *before, uint32_t since);
void explore_view_release(struct explore_view *view);

/* Put what is wasted beside the names; where a path is gone, beside what was above it. */
void explore_view_add_waste(struct explore_view *view, const struct waste *waste);

/* Only names that contain TEXT, and what is above them (NULL or "": all); rows are made anew. */
void explore_view_filter(struct explore_view *view, const char *text);
/* Show or hide all of one state. */
void explore_view_toggle(struct explore_view *view, enum explore_state state);
/* Open or close one directory, or all of them. */
void explore_view_open(struct explore_view *view, uint32_t node, bool open);
void explore_view_open_all(struct explore_view *view, bool open);
/* The row of NODE, or of the nearest visible one above it. */
size_t explore_view_row(const struct explore_view *view, uint32_t node);

const struct rootfs_inode *explore_inode(const struct explore_view *view,
					 const struct explore_node *node);
/* "/usr/bin/env", as the names are. */
void explore_path(const struct explore_view *view, uint32_t node, struct str *out);
/* The node of PATH (of LENGTH bytes), or the nearest above it. */
uint32_t explore_find(const struct explore_view *view, const char *path, size_t length);
