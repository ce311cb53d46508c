/* Layers merged from tar bytes: whatever they say, the tree hangs together.  0xff 0xff parts
 * layers. */
#include <assert.h>
#include <stdint.h>

#include "image/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_layer(struct toc *toc, const uint8_t *data, size_t size)
{
	AUTO(stream) stream = stream_of_memory(data, size);
	AUTO(tar) tar = tar_new(stream);
	const struct tar_entry *entry;
	uint32_t index;
	while (tar_next(tar, &entry, NULL) > 0 && toc_add(toc, entry, &index, NULL) == 0)
		;
}

static void check(const struct tree *tree)
{
	for (uint32_t i = 1; i < tree_node_count(tree); i++) {
		const struct tree_node *node = tree_node(tree, i);
		if (node->inode == TREE_NONE)
			continue;
		const char *name = tree_string(tree, node->name);
		assert(node->parent < i && tree_child(tree, node->parent, name, strlen(name)) == i);
		assert(tree_inode(tree, tree_node(tree, node->parent)->inode)->kind ==
		       TOC_DIRECTORY);
		assert(*name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, ".."));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(tree) tree = tree_new();
	for (unsigned layer = 0; layer < 8 && size > 0; layer++) {
		const uint8_t *cut = memmem(data, size, "\xff\xff", 2);
		size_t n = cut ? (size_t)(cut - data) : size;
		AUTO(toc) toc = toc_new();
		add_layer(toc, data, n);
		if (tree_apply(tree, toc, layer, NULL) < 0)
			return 0;
		check(tree);
		data += n + (cut ? 2 : 0);
		size -= n + (cut ? 2 : 0);
	}
	return 0;
}
