/* Colours of names as ls knows them: $LS_COLORS (dircolors), else ls's own. */
#pragma once

#include <stdint.h>

#include "base/mem.h"
#include "image/rootfs.h"

struct colors;
/* NULL, which all below accept, where nothing is to be coloured: no terminal, or $NO_COLOR. */
struct colors *colors_new(bool terminal);
void colors_free(struct colors *colors);
DEFINE_AUTO(colors)

/*
 * The codes for a name, "01;34", or NULL for none; digits and semicolons only.  TARGET is what a
 * symbolic link leads to, NULL when it leads nowhere (it is not asked of others).
 */
const char *colors_of(const struct colors *colors, const char *name,
		      const struct rootfs_inode *inode, const struct rootfs_inode *target);
