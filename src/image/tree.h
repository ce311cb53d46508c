/*
 * The merged image: layers' tables of contents applied bottom to top.
 *
 * Names and links are resolved here, in memory, the way a chroot would; the host's file system is
 * never asked.  A node is one name, an inode what it names: hard links are nodes that share an
 * inode.  Arrays of fixed-size records and one string table, under 100 bytes a file besides names.
 * Node 0 is the root.
 *
 * Semantics: image-spec layer.md; what it leaves open is listed in docs/unpack.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "layer/toc.h"

#define TREE_NONE UINT32_MAX
#define TREE_ROOT 0u
#define TREE_HOPS_MAX 40 /* symbolic links followed for one name, as Linux does */

struct tree_node {
	uint32_t parent; /* node; the root's is itself */
	uint32_t name;	 /* offset in the strings */
	uint32_t inode;
	uint32_t first_child;	 /* TREE_NONE at the end */
	uint32_t next, previous; /* siblings, no order */
	uint32_t hash;
};

struct tree_inode {
	uint64_t size;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode : 12, kind : 4, layer : 15,
		implied : 1; /* implied: no entry made this directory */
	uint32_t uid, gid;
	uint32_t link;	  /* symlink target, offset in the strings */
	uint32_t xattrs;  /* index + 1 into the xattr records, 0 = none */
	uint32_t content; /* of a regular file, see toc.h */
	uint32_t dev_major, dev_minor;
	uint32_t nlink; /* names; of directories always 1 here */
};

struct tree;
struct tree *tree_new(void); /* only a root directory, implied */
void tree_free(struct tree *tree);
DEFINE_AUTO(tree)

/*
 * Put layer number LAYER (from 0) on top.  -EBADMSG names the entry that cannot be: a hard link
 * whose target is missing or a directory, a parent that is a dangling link, more than TREE_HOPS_MAX
 * links.  The tree is then half merged and can only be freed.
 */
MUST_USE int tree_apply(struct tree *tree, struct toc *toc, unsigned layer, struct err *err);

uint32_t tree_node_count(
	const struct tree *tree); /* ever made; removed ones have inode TREE_NONE */
uint32_t tree_name_count(const struct tree *tree); /* in the tree, the root included */
const struct tree_node *tree_node(const struct tree *tree, uint32_t node);
const struct tree_inode *tree_inode(const struct tree *tree, uint32_t inode);
uint32_t tree_inode_count(const struct tree *tree);
const char *tree_string(const struct tree *tree, uint32_t offset);
/* The child of that name, or TREE_NONE. */
uint32_t tree_child(const struct tree *tree, uint32_t node, const char *name, size_t length);
/* The inode's xattrs; as toc_xattrs. */
size_t tree_xattrs(const struct tree *tree, const struct tree_inode *inode, struct toc_xattr *out,
		   size_t capacity);
