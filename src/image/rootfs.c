/*
 * Reading the merged image in its final form: sections of one file, found by the counts in its
 * header.  rootfs-check.c has validated them when it was opened, so that nothing here fails.
 */
#include "image/rootfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/rootfs-internal.h"

/* Lay the sections over DATA; -EBADMSG unless they fill it exactly. */
static int find_sections(struct rootfs *rootfs, const uint8_t *data, size_t size, struct err *err)
{
	const struct rootfs_header *h = (const void *)data;
	if (size < sizeof(*h) || memcmp(h->magic, ROOTFS_MAGIC, sizeof(h->magic)) != 0 ||
	    h->format != ROOTFS_FORMAT || h->order != ROOTFS_ORDER)
		return err_set(err, EBADMSG, "no tree of format %d", ROOTFS_FORMAT);
	/* counts have 32 bits: only the values can make the sum too large */
	uint64_t inodes = sizeof(*h), children, xattrs, strings, values, end;
	children = inodes + (uint64_t)h->inodes * sizeof(struct rootfs_inode);
	xattrs = children + (uint64_t)h->children * sizeof(struct rootfs_child);
	strings = xattrs + (uint64_t)h->xattrs * sizeof(struct rootfs_xattr);
	values = strings + h->strings;
	if (!add_ok(values, h->values, &end) || end != size)
		return err_set(err, EBADMSG, "a tree of %zu bytes that should have %llu", size,
			       (unsigned long long)(values + h->values));
	*rootfs = (struct rootfs){
		.header = h,
		.inodes = (const void *)(data + inodes),
		.children = (const void *)(data + children),
		.xattrs = (const void *)(data + xattrs),
		.strings = (const char *)data + strings,
		.values = data + values,
	};
	return 0;
}

int rootfs_open(struct rootfs **out, const void *data, size_t size, struct err *err)
{
	AUTO(rootfs) rootfs = mem_make(struct rootfs, .bytes = 0);
	if ((uintptr_t)data % _Alignof(struct rootfs_inode) != 0)
		return err_set(err, EBADMSG, "a tree that is not aligned");
	int r = find_sections(rootfs, data, size, err);
	if (r == 0)
		r = rootfs_check(rootfs, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < rootfs->header->inodes; i++) {
		const struct rootfs_inode *inode = &rootfs->inodes[i];
		if (S_ISREG(inode->mode) && !add_ok(rootfs->bytes, inode->size, &rootfs->bytes))
			rootfs->bytes = UINT64_MAX;
	}
	*out = TAKE(rootfs);
	return 0;
}

void rootfs_free(struct rootfs *rootfs)
{
	free(rootfs);
}

uint32_t rootfs_inode_count(const struct rootfs *rootfs)
{
	return rootfs->header->inodes;
}

uint64_t rootfs_bytes(const struct rootfs *rootfs)
{
	return rootfs->bytes;
}

bool rootfs_has_xattrs(const struct rootfs *rootfs)
{
	return rootfs->header->xattrs > 0;
}

const struct rootfs_inode *rootfs_inode(const struct rootfs *rootfs, uint64_t number)
{
	if (number < ROOTFS_ROOT || number > rootfs->header->inodes)
		return NULL;
	return &rootfs->inodes[number - 1];
}

const char *rootfs_string(const struct rootfs *rootfs, uint32_t offset)
{
	return rootfs->strings + offset;
}

const struct rootfs_child *rootfs_child(const struct rootfs *rootfs, const struct rootfs_inode *dir,
					uint32_t i)
{
	return &rootfs->children[dir->a + i];
}

/* As memcmp of the names, a shorter one before those it begins. */
static int compare(const char *own, const char *name, size_t length)
{
	int order = strncmp(own, name, length);
	return order != 0 ? order : own[length] != '\0';
}

uint32_t rootfs_lookup(const struct rootfs *rootfs, const struct rootfs_inode *dir,
		       const char *name, size_t length)
{
	uint32_t low = 0, high = dir->b;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct rootfs_child *child = rootfs_child(rootfs, dir, middle);
		int order = compare(rootfs->strings + child->name, name, length);
		if (order == 0)
			return child->inode;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return ROOTFS_NONE;
}

size_t rootfs_xattrs(const struct rootfs *rootfs, const struct rootfs_inode *inode,
		     struct toc_xattr *out, size_t capacity)
{
	size_t count = 0;
	if (!inode->xattrs)
		return 0;
	for (const struct rootfs_xattr *x = &rootfs->xattrs[inode->xattrs - 1];; x++) {
		if (count < capacity)
			out[count] = (struct toc_xattr){ rootfs->strings + x->name,
							 rootfs->values + x->value, x->size };
		count++;
		if (!x->more)
			return count;
	}
}
