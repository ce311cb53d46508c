/*
 * Node's modules in an image: which files an import or a require() reads, found as node would find
 * them.  Over the tree alone, and what it is shown of files; one thread.
 */
#pragma once

#include "image/module-wants.h"
#include "image/rootfs-names.h"

struct module_node;

/* All are borrowed.  PRODUCTION: as NODE_ENV says, which decides between two builds of a module. */
struct module_node *module_node_new(const struct rootfs *rootfs, const struct rootfs_names *names,
				    const struct module_wants *wants, bool production);
void module_node_free(struct module_node *node);
DEFINE_AUTO(module_node)

/* Is it a file whose imports can be read?  By its name. */
bool module_node_is(const char *name);
/*
 * INODE, whose bytes are DATA, is going to be loaded: want what it imports.  QUESTION, not NULL: it
 * is the package.json that was asked about.
 */
void module_node_look(struct module_node *node, uint32_t inode, const char *question,
		      const void *data, size_t size);
