/*
 * The layers are merged once more, one by one, and the path is looked for after each: so whiteouts,
 * opaque directories and links on the way mean here what they mean in the image.
 */
#include "image/versions.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"
#include "image/rootfs-path.h"

#define PATH_MAX_BYTES (1024u * 1024)

static const char *name_in(const struct rootfs *rootfs, uint32_t parent, uint32_t number)
{
	const struct rootfs_inode *dir = rootfs_inode(rootfs, parent);
	for (uint32_t i = 0; i < dir->b; i++) {
		const struct rootfs_child *child = rootfs_child(rootfs, dir, i);
		if (child->inode == number)
			return rootfs_string(rootfs, child->name);
	}
	return "";
}

void rootfs_directory_path(const struct rootfs *rootfs, uint32_t number, struct str *out)
{
	auto_free uint32_t *way = NULL;
	size_t count = 0, capacity = 0;
	/* a directory's number is less than those in it: this ends */
	for (uint32_t at = number; at != ROOTFS_ROOT; at = rootfs_inode(rootfs, at)->parent) {
		way = mem_grow(way, &capacity, count, sizeof(*way));
		way[count++] = at;
	}
	for (size_t i = count; i > 0; i--) {
		uint32_t parent = rootfs_inode(rootfs, way[i - 1])->parent;
		str_addf(out, "%s%s", i < count ? "/" : "", name_in(rootfs, parent, way[i - 1]));
	}
}

/* PATH without links and dots on the way. */
static int canonical(const struct rootfs *rootfs, const char *path, struct str *out,
		     struct err *err)
{
	uint32_t number, parent;
	int r = rootfs_resolve(rootfs, path, false, &number, err);
	if (r < 0)
		return r;
	if (S_ISDIR(rootfs_inode(rootfs, number)->mode)) {
		rootfs_directory_path(rootfs, number, out);
		return 0;
	}
	/* no directory: it does not end in a slash or a dot */
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	auto_free char *before = mem_strndup(path, (size_t)(base - path));
	r = rootfs_resolve(rootfs, before, true, &parent, err);
	if (r < 0)
		return r;
	rootfs_directory_path(rootfs, parent, out);
	str_addf(out, "%s%s", out->length > 0 ? "/" : "", base);
	return 0;
}

static uint32_t look_up(const struct tree *tree, const char *path)
{
	uint32_t node = TREE_ROOT;
	while (*path && node != TREE_NONE) {
		size_t n = strcspn(path, "/");
		node = tree_child(tree, node, path, n);
		path += n + (path[n] == '/');
	}
	return node;
}

static uint32_t format_of(unsigned kind)
{
	switch (kind) {
	case TOC_DIRECTORY:
		return S_IFDIR;
	case TOC_SYMLINK:
		return S_IFLNK;
	case TOC_CHAR:
		return S_IFCHR;
	case TOC_BLOCK:
		return S_IFBLK;
	case TOC_FIFO:
		return S_IFIFO;
	default:
		return S_IFREG;
	}
}

static void add(struct versions *out, const struct version *version)
{
	out->all = mem_grow(out->all, &out->capacity, out->count, sizeof(*out->all));
	out->all[out->count++] = *version;
}

static void add_from(struct versions *out, const struct tree *tree, const struct tree_inode *inode,
		     size_t layer)
{
	uint64_t size = inode->kind == TOC_FILE ? inode->size : 0;
	if (inode->kind == TOC_SYMLINK)
		size = strlen(tree_string(tree, inode->link));
	add(out, &(struct version){ .layer = layer,
				    .mode = format_of(inode->kind) | inode->mode,
				    .uid = inode->uid,
				    .gid = inode->gid,
				    .size = size,
				    .mtime_s = inode->mtime_s,
				    .mtime_ns = inode->mtime_ns });
}

/* What layer LAYER did to the path; *before is its inode until then, or TREE_NONE. */
static void compare(struct versions *out, const struct tree *tree, const char *path, size_t layer,
		    uint32_t *before)
{
	uint32_t node = look_up(tree, path);
	uint32_t inode = node == TREE_NONE ? TREE_NONE : tree_node(tree, node)->inode;
	if (inode == TREE_NONE && *before != TREE_NONE) {
		struct version gone = out->all[out->count - 1];
		gone.layer = layer;
		gone.removed = true;
		add(out, &gone);
	} else if (inode != TREE_NONE) {
		const struct tree_inode *now = tree_inode(tree, inode);
		/* a directory listed again keeps its inode */
		if (inode != *before || (now->layer == layer && !now->implied))
			add_from(out, tree, now, layer);
	}
	*before = inode;
}

int versions_of(struct versions *out, const struct rootfs *rootfs, const char *path,
		struct toc *const *tocs, size_t count, struct err *err)
{
	auto_str whole = STR_MAX(PATH_MAX_BYTES);
	int r = canonical(rootfs, path, &whole, err);
	if (r == 0 && whole.failed)
		r = err_set(err, E2BIG, "a path of more than %u bytes", PATH_MAX_BYTES);
	if (r < 0)
		return r;
	AUTO(tree) tree = tree_new();
	struct versions versions = { 0 };
	uint32_t before = TREE_NONE;
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = tree_apply(tree, tocs[i], (unsigned)i, err);
		if (r == 0)
			compare(&versions, tree, str_text(&whole), i, &before);
	}
	if (r < 0)
		versions_release(&versions);
	else
		*out = versions;
	return r;
}

void versions_release(struct versions *versions)
{
	free(versions->all);
	*versions = (struct versions){ 0 };
}
