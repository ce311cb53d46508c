/* The tree as it was when only the lowest layers were there, for what a layer changed. */
#include <stdlib.h>

#include "cmd/explore-internal.h"
#include "image/tree.h"

void explore_side_release(struct explore_side *side)
{
	rootfs_free(side->built);
	free(side->data);
	*side = (struct explore_side){ 0 };
}

int explore_merge(struct explore_side *out, struct lazy *lazy, size_t count, struct err *err)
{
	if (count == lazy_layer_count(lazy)) {
		*out = (struct explore_side){ .rootfs = lazy_rootfs(lazy) };
		return 0;
	}
	AUTO(tree) tree = tree_new();
	AUTO(rootfs) rootfs = NULL;
	auto_free void *data = NULL;
	size_t size = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = tree_apply(tree, table_toc(lazy_table(lazy, i)), (unsigned)i, err);
	if (r == 0)
		r = rootfs_build(tree, &data, &size, err);
	if (r == 0)
		r = rootfs_open(&rootfs, data, size, err);
	if (r < 0)
		return r;
	out->data = TAKE(data);
	out->rootfs = rootfs;
	out->built = TAKE(rootfs);
	return 0;
}
