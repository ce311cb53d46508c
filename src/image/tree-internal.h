/* What tree.c and tree-apply.c share. */
#pragma once

#include "image/tree.h"

struct tree_xattr_set {
	size_t offset; /* in values */
	uint32_t count;
};

struct tree {
	struct tree_node *nodes; /* owned */
	size_t node_count, node_capacity;
	size_t name_count;
	struct tree_inode *inodes; /* owned */
	size_t inode_count, inode_capacity;
	char *strings; /* owned; offset 0 is "" */
	size_t strings_used, strings_room;
	uint32_t *slots; /* owned; a power of two */
	uint32_t slot_count, slots_used;
	struct tree_xattr_set *xattrs; /* owned */
	size_t xattr_count, xattr_capacity;
	uint8_t *values; /* owned */
	size_t values_used, values_room;
};

uint32_t tree_add_inode(struct tree *tree, const struct tree_inode *inode);
MUST_USE int tree_add_string(struct tree *tree, const char *text, size_t length, uint32_t *offset,
			     struct err *err);
/* A new name for INODE; the name must be free.  Counts the link. */
MUST_USE int tree_add_node(struct tree *tree, uint32_t parent, const char *name, size_t length,
			   uint32_t inode, uint32_t *out, struct err *err);
void tree_remove(struct tree *tree, uint32_t node); /* with all below it; not the root */
void tree_remove_children(struct tree *tree, uint32_t node);
