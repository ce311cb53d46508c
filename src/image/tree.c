/*
 * The merged tree's storage: nodes, inodes, strings, xattrs, and the table that finds a child by
 * name. The rules of merging are in tree-apply.c.
 *
 * The table is open addressing over node numbers, keyed by SipHash of (parent, name) with a random
 * key, because images choose the names.
 */
#include "image/tree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/siphash.h"
#include "image/tree-internal.h"

#define SLOT_FREE UINT32_MAX
#define SLOT_REMOVED (UINT32_MAX - 1)
#define SLOTS_FIRST 1024u

struct tree *tree_new(void)
{
	struct tree *tree = mem_make(struct tree, .strings_used = 1, .strings_room = 4096);
	tree->strings = mem_new(tree->strings_room);
	tree->slot_count = SLOTS_FIRST;
	tree->slots = mem_new(SLOTS_FIRST * sizeof(*tree->slots));
	memset(tree->slots, 0xff, SLOTS_FIRST * sizeof(*tree->slots));
	struct tree_inode root = { .kind = TOC_DIRECTORY,
				   .mode = 0755,
				   .implied = 1,
				   .nlink = 1,
				   .content = TOC_NO_CONTENT };
	tree_add_inode(tree, &root);
	tree->nodes = mem_grow(tree->nodes, &tree->node_capacity, 0, sizeof(*tree->nodes));
	tree->nodes[0] = (struct tree_node){ .first_child = TREE_NONE,
					     .next = TREE_NONE,
					     .previous = TREE_NONE };
	tree->node_count = tree->name_count = 1;
	return tree;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	free(tree->nodes);
	free(tree->inodes);
	free(tree->strings);
	free(tree->slots);
	free(tree->xattrs);
	free(tree->values);
	free(tree);
}

uint32_t tree_add_inode(struct tree *tree, const struct tree_inode *inode)
{
	tree->inodes = mem_grow(tree->inodes, &tree->inode_capacity, tree->inode_count,
				sizeof(*tree->inodes));
	tree->inodes[tree->inode_count] = *inode;
	return (uint32_t)tree->inode_count++;
}

int tree_add_string(struct tree *tree, const char *text, size_t length, uint32_t *offset,
		    struct err *err)
{
	size_t wanted = tree->strings_used + length + 1;
	if (wanted > UINT32_MAX)
		return err_set(err, E2BIG, "more than 4 GiB of names");
	if (wanted > tree->strings_room) {
		size_t room = tree->strings_room;
		while (room < wanted)
			room += room / 2;
		char *grown = realloc(tree->strings, room);
		if (!grown)
			return err_set(err, ENOMEM, "out of memory for %zu bytes of names", room);
		tree->strings = grown;
		tree->strings_room = room;
	}
	memcpy(tree->strings + tree->strings_used, text, length);
	tree->strings[tree->strings_used + length] = '\0';
	*offset = (uint32_t)tree->strings_used;
	tree->strings_used = wanted;
	return 0;
}

static uint32_t hash_of(uint32_t parent, const char *name, size_t length)
{
	return (uint32_t)siphash(name, length) ^ parent * 0x9e3779b1u;
}

static bool is_named(const struct tree *tree, uint32_t node, uint32_t parent, uint32_t hash,
		     const char *name, size_t length)
{
	const struct tree_node *n = &tree->nodes[node];
	const char *own = tree->strings + n->name;
	return n->hash == hash && n->parent == parent && strncmp(own, name, length) == 0 &&
	       own[length] == '\0';
}

uint32_t tree_child(const struct tree *tree, uint32_t node, const char *name, size_t length)
{
	uint32_t hash = hash_of(node, name, length), mask = tree->slot_count - 1;
	for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
		uint32_t slot = tree->slots[i];
		if (slot == SLOT_FREE)
			return TREE_NONE;
		if (slot != SLOT_REMOVED && is_named(tree, slot, node, hash, name, length))
			return slot;
	}
}

static void insert_slot(struct tree *tree, uint32_t node)
{
	uint32_t mask = tree->slot_count - 1, i = tree->nodes[node].hash & mask;
	while (tree->slots[i] != SLOT_FREE && tree->slots[i] != SLOT_REMOVED)
		i = (i + 1) & mask;
	if (tree->slots[i] == SLOT_FREE)
		tree->slots_used++;
	tree->slots[i] = node;
}

/* Keep the table at most two thirds full, counting removed slots; rebuilding forgets those. */
static void make_room(struct tree *tree)
{
	if (tree->slots_used < tree->slot_count / 3 * 2)
		return;
	uint32_t count = tree->slot_count;
	while (tree->name_count >= count / 3)
		count *= 2;
	free(tree->slots);
	tree->slot_count = count;
	tree->slots = mem_new(count * sizeof(*tree->slots));
	memset(tree->slots, 0xff, count * sizeof(*tree->slots));
	tree->slots_used = 0;
	for (uint32_t i = 1; i < tree->node_count; i++) {
		if (tree->nodes[i].inode != TREE_NONE)
			insert_slot(tree, i);
	}
}

int tree_add_node(struct tree *tree, uint32_t parent, const char *name, size_t length,
		  uint32_t inode, uint32_t *out, struct err *err)
{
	struct tree_node node = { .parent = parent,
				  .inode = inode,
				  .first_child = TREE_NONE,
				  .previous = TREE_NONE,
				  .hash = hash_of(parent, name, length) };
	int r = tree_add_string(tree, name, length, &node.name, err);
	if (r < 0)
		return r;
	if (tree->node_count >= SLOT_REMOVED)
		return err_set(err, E2BIG, "more than %zu names", tree->node_count);
	make_room(tree);
	uint32_t number = (uint32_t)tree->node_count;
	node.next = tree->nodes[parent].first_child;
	tree->nodes = mem_grow(tree->nodes, &tree->node_capacity, tree->node_count,
			       sizeof(*tree->nodes));
	tree->nodes[number] = node;
	tree->nodes[parent].first_child = number;
	if (node.next != TREE_NONE)
		tree->nodes[node.next].previous = number;
	tree->node_count++;
	tree->name_count++;
	tree->inodes[inode].nlink++;
	insert_slot(tree, number);
	*out = number;
	return 0;
}

static void forget(struct tree *tree, uint32_t number)
{
	struct tree_node *node = &tree->nodes[number];
	uint32_t mask = tree->slot_count - 1, i = node->hash & mask;
	while (tree->slots[i] != number)
		i = (i + 1) & mask;
	tree->slots[i] = SLOT_REMOVED;
	tree->inodes[node->inode].nlink--;
	node->inode = TREE_NONE;
	tree->name_count--;
}

static void unlink_sibling(struct tree *tree, uint32_t number)
{
	struct tree_node *node = &tree->nodes[number];
	if (node->previous != TREE_NONE)
		tree->nodes[node->previous].next = node->next;
	else
		tree->nodes[node->parent].first_child = node->next;
	if (node->next != TREE_NONE)
		tree->nodes[node->next].previous = node->previous;
}

void tree_remove_children(struct tree *tree, uint32_t top)
{
	uint32_t at = tree->nodes[top].first_child;
	while (at != TREE_NONE) {
		struct tree_node *node = &tree->nodes[at];
		if (node->first_child != TREE_NONE) { /* down to a leaf first */
			at = node->first_child;
			continue;
		}
		uint32_t parent = node->parent, next = node->next;
		tree->nodes[parent].first_child = next;
		forget(tree, at);
		at = next != TREE_NONE ? next : parent;
		if (at == top)
			break;
	}
}

void tree_remove(struct tree *tree, uint32_t node)
{
	tree_remove_children(tree, node);
	unlink_sibling(tree, node);
	forget(tree, node);
}

uint32_t tree_node_count(const struct tree *tree)
{
	return (uint32_t)tree->node_count;
}

uint32_t tree_name_count(const struct tree *tree)
{
	return (uint32_t)tree->name_count;
}

const struct tree_node *tree_node(const struct tree *tree, uint32_t node)
{
	return &tree->nodes[node];
}

const struct tree_inode *tree_inode(const struct tree *tree, uint32_t inode)
{
	return &tree->inodes[inode];
}

uint32_t tree_inode_count(const struct tree *tree)
{
	return (uint32_t)tree->inode_count;
}

const char *tree_string(const struct tree *tree, uint32_t offset)
{
	return tree->strings + offset;
}

size_t tree_xattrs(const struct tree *tree, const struct tree_inode *inode, struct toc_xattr *out,
		   size_t capacity)
{
	if (!inode->xattrs)
		return 0;
	const struct tree_xattr_set *set = &tree->xattrs[inode->xattrs - 1];
	const uint8_t *at = tree->values + set->offset;
	for (size_t i = 0; i < set->count; i++) {
		/* each: NUL-terminated name, 4 bytes of size, value */
		struct toc_xattr x = { .name = (const char *)at };
		at += strlen(x.name) + 1;
		memcpy(&x.size, at, sizeof(x.size));
		x.value = at + sizeof(x.size);
		at = x.value + x.size;
		if (i < capacity)
			out[i] = x;
	}
	return set->count;
}
