/*
 * Open directories of the tree under construction by node: goes up and down with one component at a
 * time, keeps the way to the current one open.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "image/tree.h"

struct dirwalk;
/* ROOTFD is borrowed. */
struct dirwalk *dirwalk_new(int rootfd, const struct tree *tree);
void dirwalk_free(struct dirwalk *walk);
DEFINE_AUTO(dirwalk)
/* The descriptor of directory NODE, borrowed until the next call, or negative. */
MUST_USE int dirwalk_open(struct dirwalk *walk, uint32_t node, struct err *err);
