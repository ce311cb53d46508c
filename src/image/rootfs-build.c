/*
 * The merged tree becomes the file that a mount maps (rootfs-internal.h draws it): breadth first,
 * each directory's children sorted, so that equal trees give equal files whatever order their
 * layers had.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"
#include "image/rootfs-internal.h"

#define VALUES_MAX_BYTES UINT32_MAX /* offsets have 32 bits */

struct build {
	const struct tree *tree;     /* borrowed */
	uint32_t *numbers;	     /* owned; by inode of the tree: its number here, or 0 */
	struct rootfs_inode *inodes; /* owned; room for all names */
	uint32_t *nodes;	     /* owned; by inode here: a name of it in the tree */
	uint32_t inode_count;
	struct rootfs_child *children; /* owned */
	uint32_t child_count;
	uint32_t *sorted;	     /* owned; one directory's nodes */
	struct rootfs_xattr *xattrs; /* owned */
	size_t xattr_count, xattr_capacity;
	struct str strings, values;
};

static void build_release(struct build *b)
{
	free(b->numbers);
	free(b->inodes);
	free(b->nodes);
	free(b->children);
	free(b->sorted);
	free(b->xattrs);
	str_release(&b->strings);
	str_release(&b->values);
}

static int make_array(void *array, size_t count, size_t size, struct err *err)
{
	void **out = array;
	return mem_try(out, count, size, err);
}

static int build_init(struct build *b, const struct tree *tree, struct err *err)
{
	size_t names = tree_name_count(tree);
	*b = (struct build){ .tree = tree,
			     .strings = STR_MAX(UINT32_MAX - 1),
			     .values = STR_MAX(VALUES_MAX_BYTES) };
	str_addn(&b->strings, "", 1);
	int r = make_array(&b->numbers, tree_inode_count(tree), sizeof(*b->numbers), err);
	if (r == 0)
		r = make_array(&b->inodes, names, sizeof(*b->inodes), err);
	if (r == 0)
		r = make_array(&b->nodes, names, sizeof(*b->nodes), err);
	if (r == 0)
		r = make_array(&b->children, names, sizeof(*b->children), err);
	return r == 0 ? make_array(&b->sorted, names, sizeof(*b->sorted), err) : r;
}

static uint32_t add_string(struct build *b, const char *text)
{
	size_t offset = b->strings.length;
	str_addn(&b->strings, text, strlen(text) + 1);
	return (uint32_t)offset;
}

static uint32_t add_xattrs(struct build *b, const struct tree_inode *inode)
{
	size_t count = tree_xattrs(b->tree, inode, NULL, 0), first = b->xattr_count;
	if (count == 0)
		return 0;
	auto_free struct toc_xattr *list = mem_new(count * sizeof(*list));
	(void)tree_xattrs(b->tree, inode, list, count);
	for (size_t i = 0; i < count; i++) {
		b->xattrs = mem_grow(b->xattrs, &b->xattr_capacity, b->xattr_count,
				     sizeof(*b->xattrs));
		b->xattrs[b->xattr_count++] = (struct rootfs_xattr){
			.name = add_string(b, list[i].name),
			.value = (uint32_t)b->values.length,
			.size = list[i].size,
			.more = i + 1 < count,
		};
		str_addn(&b->values, list[i].value, list[i].size);
	}
	return (uint32_t)first + 1;
}

static void set_type(struct build *b, const struct tree_inode *from, struct rootfs_inode *inode)
{
	static const mode_t types[] = {
		[TOC_FILE] = S_IFREG,  [TOC_SYMLINK] = S_IFLNK,	  [TOC_CHAR] = S_IFCHR,
		[TOC_BLOCK] = S_IFBLK, [TOC_DIRECTORY] = S_IFDIR, [TOC_FIFO] = S_IFIFO,
	};
	inode->mode |= types[from->kind];
	if (from->kind == TOC_FILE) {
		inode->size = from->size;
		inode->a = from->content;
	} else if (from->kind == TOC_SYMLINK) {
		const char *target = tree_string(b->tree, from->link);
		inode->size = strlen(target);
		inode->a = add_string(b, target);
	} else if (from->kind == TOC_CHAR || from->kind == TOC_BLOCK) {
		inode->a = from->dev_major;
		inode->b = from->dev_minor;
	}
}

/* The number of the inode that NODE of the tree names; PARENT: the directory's number. */
static uint32_t add_inode(struct build *b, uint32_t node, uint32_t parent)
{
	uint32_t index = tree_node(b->tree, node)->inode;
	const struct tree_inode *from = tree_inode(b->tree, index);
	uint32_t number = b->numbers[index];
	if (number) {
		b->inodes[number - 1].nlink++;
		return number;
	}
	number = b->numbers[index] = ++b->inode_count;
	struct rootfs_inode *inode = &b->inodes[number - 1];
	*inode = (struct rootfs_inode){
		.mtime_s = from->mtime_s,
		.mtime_ns = from->mtime_ns,
		.mode = from->mode,
		.uid = from->uid,
		.gid = from->gid,
		.nlink = 1,
		.xattrs = add_xattrs(b, from),
		.layer = (uint16_t)from->layer,
		.flags = (uint16_t)(from->implied ? ROOTFS_IMPLIED : 0),
	};
	if (from->kind == TOC_DIRECTORY) {
		inode->nlink = 2;
		inode->parent = parent;
	}
	set_type(b, from, inode);
	b->nodes[number - 1] = node;
	return number;
}

static int compare(const void *x, const void *y, void *tree)
{
	const struct tree_node *a = tree_node(tree, *(const uint32_t *)x);
	const struct tree_node *b = tree_node(tree, *(const uint32_t *)y);
	return strcmp(tree_string(tree, a->name), tree_string(tree, b->name));
}

/* An overlay's whiteout, which is no device: not shown, as an unpack does not make it. */
static bool is_hidden(const struct tree *tree, uint32_t node)
{
	const struct tree_inode *inode = tree_inode(tree, tree_node(tree, node)->inode);
	return inode->kind == TOC_CHAR && inode->dev_major == 0 && inode->dev_minor == 0;
}

static void add_children(struct build *b, uint32_t number)
{
	const struct tree *tree = b->tree;
	struct rootfs_inode *dir = &b->inodes[number - 1];
	uint32_t count = 0;
	for (uint32_t at = tree_node(tree, b->nodes[number - 1])->first_child; at != TREE_NONE;
	     at = tree_node(tree, at)->next) {
		if (!is_hidden(tree, at))
			b->sorted[count++] = at;
	}
	/* "compare" only reads the tree */
	qsort_r(b->sorted, count, sizeof(*b->sorted), compare, (void *)(uintptr_t)tree);
	dir->a = b->child_count;
	dir->b = count;
	for (uint32_t i = 0; i < count; i++) {
		const struct tree_node *node = tree_node(tree, b->sorted[i]);
		b->children[b->child_count++] = (struct rootfs_child){
			.name = add_string(b, tree_string(tree, node->name)),
			.inode = add_inode(b, b->sorted[i], number),
		};
		dir->nlink += tree_inode(tree, node->inode)->kind == TOC_DIRECTORY;
	}
}

static uint8_t *append(uint8_t *at, const void *data, size_t size)
{
	if (size > 0)
		memcpy(at, data, size);
	return at + size;
}

static int write_out(const struct build *b, void **out, size_t *size, struct err *err)
{
	if (b->strings.failed || b->values.failed || b->xattr_count > UINT32_MAX)
		return err_set(err, E2BIG, "more than 4 GiB of names or attributes");
	struct rootfs_header header = {
		.format = ROOTFS_FORMAT,
		.order = ROOTFS_ORDER,
		.inodes = b->inode_count,
		.children = b->child_count,
		.xattrs = (uint32_t)b->xattr_count,
		.strings = (uint32_t)b->strings.length,
		.values = b->values.length,
	};
	memcpy(header.magic, ROOTFS_MAGIC, sizeof(header.magic));
	size_t inodes = b->inode_count * sizeof(*b->inodes);
	size_t children = b->child_count * sizeof(*b->children);
	size_t xattrs = b->xattr_count * sizeof(*b->xattrs);
	size_t total = sizeof(header) + inodes + children + xattrs + b->strings.length +
		       b->values.length;
	void *file = NULL;
	int r = mem_try(&file, total, 1, err);
	if (r < 0)
		return r;
	uint8_t *at = append(file, &header, sizeof(header));
	at = append(at, b->inodes, inodes);
	at = append(at, b->children, children);
	at = append(at, b->xattrs, xattrs);
	at = append(at, b->strings.data, b->strings.length);
	(void)append(at, b->values.data, b->values.length);
	*out = file;
	*size = total;
	return 0;
}

int rootfs_build(const struct tree *tree, void **out, size_t *size, struct err *err)
{
	__attribute__((cleanup(build_release))) struct build b;
	int r = build_init(&b, tree, err);
	if (r < 0)
		return r;
	(void)add_inode(&b, TREE_ROOT, ROOTFS_ROOT);
	for (uint32_t number = 1; number <= b.inode_count; number++) {
		if (S_ISDIR(b.inodes[number - 1].mode))
			add_children(&b, number);
	}
	auto_free void *file = NULL;
	size_t bytes = 0;
	r = write_out(&b, &file, &bytes, err);
	if (r < 0)
		return r;
	/* what a layer's table said and no file can have ends here, not in a mount */
	AUTO(rootfs) check = NULL;
	r = rootfs_open(&check, file, bytes, err);
	if (r < 0)
		return r;
	*out = TAKE(file);
	*size = bytes;
	return 0;
}
