/*
 * The merged tree of all layers: from the cache when this manifest was merged from these very
 * tables before, else merged now.  Tables that came with the layers may not fit together; then
 * those layers are scanned, once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "image/lazy-internal.h"

/* Whatever decides what the tree is. */
static void tree_key(const struct lazy *lazy, struct digest *key)
{
	AUTO(hasher) hasher = hasher_new(DIGEST_SHA256);
	const struct digest_text manifest = digest_format(&lazy->image->document.descriptor.digest);
	char head[64];
	int n = snprintf(head, sizeof(head), "rootfs %d %zu ", ROOTFS_FORMAT,
			 lazy->image->manifest.layer_count);
	hasher_add(hasher, head, (size_t)n);
	hasher_add(hasher, manifest.text, strlen(manifest.text) + 1);
	size_t skip = lazy->options.skip_layers;
	if (skip > 0)
		hasher_add(hasher, &skip, sizeof(skip));
	for (size_t i = skip; i < lazy->image->manifest.layer_count; i++) {
		uint64_t layout = lazy->layers[lazy->of_layer[i]].layout;
		hasher_add(hasher, &layout, sizeof(layout));
	}
	hasher_finish(hasher, key);
}

static uint32_t count_contents(struct table *table)
{
	struct toc *toc = table_toc(table);
	uint32_t count = 0;
	for (uint32_t i = 0; i < toc_count(toc); i++) {
		uint32_t content = toc_at(toc, i)->content;
		if (content != TOC_NO_CONTENT && content >= count)
			count = content + 1;
	}
	return count;
}

/* Every file's bytes are in a table that is there. */
static int check_files(const struct lazy *lazy, const struct rootfs *rootfs, struct err *err)
{
	size_t layers = lazy->image->manifest.layer_count;
	auto_free uint32_t *contents = mem_new(lazy->layer_count * sizeof(*contents));
	for (size_t i = 0; i < lazy->layer_count; i++)
		contents[i] = count_contents(lazy->layers[i].table);
	for (uint32_t i = 1; i <= rootfs_inode_count(rootfs); i++) {
		const struct rootfs_inode *inode = rootfs_inode(rootfs, i);
		if (!S_ISREG(inode->mode) || (inode->size == 0 && inode->a == TOC_NO_CONTENT))
			continue;
		if (inode->layer >= layers || inode->layer < lazy->options.skip_layers ||
		    inode->a >= contents[lazy->of_layer[inode->layer]])
			return err_set(err, EBADMSG, "file %u has bytes in no layer", i);
	}
	return 0;
}

static bool use_cached(struct lazy *lazy, const struct digest *key)
{
	struct err err = { 0 };
	struct cache_map map = { 0 };
	int r = cache_get(lazy->options.cache, CACHE_ROOTFS, key, &map, &err);
	if (r == 0 && !map.data)
		return false;
	AUTO(rootfs) rootfs = NULL;
	if (r == 0)
		r = rootfs_open(&rootfs, map.data, map.size, &err);
	if (r == 0)
		r = check_files(lazy, rootfs, &err);
	if (r < 0) {
		log_debug("cached tree: %s", err_text(&err));
		cache_map_release(&map);
		return false;
	}
	lazy->tree_map = map;
	lazy->rootfs = TAKE(rootfs);
	return true;
}

static int merge_layers(const struct lazy *lazy, struct tree *tree, struct err *err)
{
	for (size_t i = lazy->options.skip_layers; i < lazy->image->manifest.layer_count; i++) {
		struct table *table = lazy->layers[lazy->of_layer[i]].table;
		int r = tree_apply(tree, table_toc(table), (unsigned)i, err);
		if (r < 0)
			return err_wrap(err, r, "layer %zu of '%s'", i + 1,
					lazy->image->repo->name);
	}
	return 0;
}

static int build(struct lazy *lazy, const struct digest *key, struct err *err)
{
	AUTO(tree) tree = tree_new();
	AUTO(rootfs) rootfs = NULL;
	auto_free void *data = NULL;
	size_t size = 0;
	struct err why = { 0 };
	int r = merge_layers(lazy, tree, err);
	if (r == 0)
		r = rootfs_build(tree, &data, &size, err);
	if (r == 0)
		r = rootfs_open(&rootfs, data, size, err);
	if (r == 0)
		r = check_files(lazy, rootfs, err);
	if (r < 0)
		return r;
	if (cache_put(lazy->options.cache, CACHE_ROOTFS, key, data, size, &why) < 0)
		log_debug("the tree is not kept: %s", err_text(&why));
	lazy->tree_data = TAKE(data);
	lazy->rootfs = TAKE(rootfs);
	return 0;
}

static int merge_once(struct lazy *lazy, struct err *err)
{
	struct digest key;
	tree_key(lazy, &key);
	return use_cached(lazy, &key) ? 0 : build(lazy, &key, err);
}

int lazy_merge(struct lazy *lazy, struct err *err)
{
	struct err why = { 0 };
	int r = merge_once(lazy, &why);
	/* above layers that were left out even good tables may not fit together */
	if (r < 0 && lazy->options.skip_layers == 0 && lazy_has_found(lazy)) {
		log_debug("tables do not fit together: %s", err_text(&why));
		r = lazy_scan_found(lazy, &why);
		if (r == 0)
			r = merge_once(lazy, &why);
	}
	if (r < 0 && err)
		*err = why;
	return r;
}
