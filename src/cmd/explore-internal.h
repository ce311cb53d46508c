/*
 * What the parts of "rootlet explore" share:
 *
 *	explore.c		the command: opening, the loop
 *	explore-view.c		the tree and its rows
 *	explore-merge.c		the tree as it was after each layer
 *	explore-keys.c		what a key does
 *	explore-draw.c		what is where
 *	explore-screen.c	the terminal
 *	explore-pager.c		a file, page by page
 *
 * curses.h is included by explore-screen.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cmd/explore-view.h"
#include "image/lazy.h"

#define EXPLORE_MESSAGE_MAX_BYTES 512
#define EXPLORE_FILTER_MAX_BYTES 128

/* A tree of some layers, bottom first; or borrowed from the lazy image when all of them. */
struct explore_side {
	void *data;		     /* owned, or NULL */
	struct rootfs *built;	     /* owned, or NULL */
	const struct rootfs *rootfs; /* borrowed: BUILT or the image's; NULL: none */
};
void explore_side_release(struct explore_side *side);
/* The tree of the COUNT lowest layers. */
MUST_USE int explore_merge(struct explore_side *out, struct lazy *lazy, size_t count,
			   struct err *err);

struct explore {
	struct lazy *lazy;	   /* borrowed */
	const struct image *image; /* borrowed */
	char *title;		   /* owned: the image's name */
	struct waste waste;
	struct explore_view view;
	struct explore_side now, before;
	size_t layer;	  /* 0: all of them merged; else its changes, from 1 */
	bool aggregate;	  /* changes since the first layer, not only this one's */
	bool in_tree;	  /* which side keys go to */
	bool attributes;  /* mode and owner are shown */
	bool shows_waste; /* wasted bytes are shown and marked */
	bool filtering;	  /* the filter is being typed */
	bool helping;	  /* the keys are shown */
	bool quit;
	size_t row, top;  /* of the tree: where the cursor is, what is at the top */
	size_t layer_top; /* of the layers: what is at the top */
	size_t page;	  /* rows of the tree that are visible; set by drawing */
	char filter[EXPLORE_FILTER_MAX_BYTES];
	char message[EXPLORE_MESSAGE_MAX_BYTES];
};

/* The tree for what LAYER and AGGREGATE say; the cursor stays where it was if it can. */
MUST_USE int explore_show_layer(struct explore *explore, size_t layer, struct err *err);
/* The file a node shows, in the whole image; ROOTFS_NONE when it is not there any more. */
uint32_t explore_whole_inode(const struct explore *explore, uint32_t node);
void explore_say(struct explore *explore, const char *format, ...) PRINTF_LIKE(2, 3);

/* Keys as explore_key knows them: characters, control characters, and these. */
enum explore_key {
	EXPLORE_KEY_UP = 0x110000, /* no character has this number */
	EXPLORE_KEY_DOWN,
	EXPLORE_KEY_LEFT,
	EXPLORE_KEY_RIGHT,
	EXPLORE_KEY_PAGE_UP,
	EXPLORE_KEY_PAGE_DOWN,
	EXPLORE_KEY_HOME,
	EXPLORE_KEY_END,
	EXPLORE_KEY_BACKSPACE,
	EXPLORE_KEY_RESIZE,
	EXPLORE_KEY_GONE, /* the terminal went away, or a signal asked us to end */
};
#define EXPLORE_CTRL(c) ((c)&0x1f)
#define EXPLORE_ESCAPE 0x1b

void explore_press(struct explore *explore, int key);
/* Show a regular file until the user leaves it. */
void explore_pager(struct explore *explore, uint32_t inode, const char *path);

/* --- the screen --- */

enum explore_colour {
	EXPLORE_PLAIN,
	EXPLORE_GREEN,
	EXPLORE_YELLOW,
	EXPLORE_RED,
	EXPLORE_BLUE,
	EXPLORE_MAGENTA,
	EXPLORE_HEAD, /* reversed: headings and the cursor */
};

struct explore_size {
	int rows, columns;
};

/* Is there a terminal?  -EINVAL. */
MUST_USE int explore_screen_check(struct err *err);
/* Takes it; -EINVAL when it is one that nobody knows. */
MUST_USE int explore_screen_open(struct err *err);
void explore_screen_close(void); /* gives it back; harmless when it was not taken */
struct explore_size explore_screen_size(void);
void explore_screen_clear(void);
/* TEXT, already escaped, in exactly WIDTH columns from X; what does not fit is cut. */
void explore_put(int y, int x, int width, enum explore_colour colour, const char *text);
void explore_screen_show(void);
/* The next key; blocks. */
int explore_screen_key(void);

/* explore-draw.c: all of it */
void explore_draw(struct explore *explore);
