/* Files of rootfs: what rootfs_open takes can be walked everywhere, and each name is found. */
#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "image/rootfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_dir(const struct rootfs *rootfs, const struct rootfs_inode *dir)
{
	for (uint32_t i = 0; i < dir->b; i++) {
		const struct rootfs_child *child = rootfs_child(rootfs, dir, i);
		const char *name = rootfs_string(rootfs, child->name);
		assert(rootfs_inode(rootfs, child->inode));
		assert(rootfs_lookup(rootfs, dir, name, strlen(name)) == child->inode);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(rootfs) rootfs = NULL;
	auto_free void *copy = mem_copy(data, size); /* aligned */
	if (rootfs_open(&rootfs, copy, size, NULL) < 0)
		return 0;
	size_t sum = 0;
	for (uint32_t i = 1; i <= rootfs_inode_count(rootfs); i++) {
		const struct rootfs_inode *inode = rootfs_inode(rootfs, i);
		struct toc_xattr xattrs[4];
		size_t count = rootfs_xattrs(rootfs, inode, xattrs, 4);
		for (size_t j = 0; j < count && j < 4; j++)
			sum += strlen(xattrs[j].name) +
			       (xattrs[j].size ? xattrs[j].value[xattrs[j].size - 1] : 0);
		if (S_ISDIR(inode->mode))
			check_dir(rootfs, inode);
		if (S_ISLNK(inode->mode))
			assert(strlen(rootfs_string(rootfs, inode->a)) == inode->size);
	}
	return sum == SIZE_MAX;
}
