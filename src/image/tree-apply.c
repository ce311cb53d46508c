/*
 * Putting a layer on the tree.
 *
 * Two passes over its entries.  First all whiteouts and opaque markers, against what the lower
 * layers made: so they never hit the layer's own files, wherever they stand in the tar.  Then the
 * entries in their order: the last one of a name wins.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "image/tree-internal.h"

struct apply {
	struct tree *tree;
	struct toc *toc;
	unsigned layer;
	uint32_t *own_dirs; /* owned; paths of the layer's explicit directories, sorted; NULL until
			       needed */
	size_t own_dir_count;
};

static struct tree_inode *inode_of(struct tree *tree, uint32_t node)
{
	return &tree->inodes[tree->nodes[node].inode];
}

static int kind_of(struct tree *tree, uint32_t node)
{
	return (int)inode_of(tree, node)->kind;
}

static int make_implied(struct apply *a, uint32_t parent, const char *name, size_t length,
			uint32_t *out, struct err *err)
{
	struct tree_inode inode = { .kind = TOC_DIRECTORY,
				    .mode = 0755,
				    .implied = 1,
				    .layer = a->layer & 0x7fffu,
				    .content = TOC_NO_CONTENT };
	return tree_add_node(a->tree, parent, name, length, tree_add_inode(a->tree, &inode), out,
			     err);
}

/*
 * A walk along PATH from a directory, with symbolic links followed inside the root.  What is still
 * to walk is a stack of rests: each followed link pushes its target.
 */
struct walk {
	const char *rests[TREE_HOPS_MAX + 1];
	unsigned depth;
	unsigned hops;
};

/* The next component of the innermost unfinished rest; false when all are used up. */
static bool next_component(struct walk *walk, const char **name, size_t *length)
{
	for (;;) {
		const char *p = walk->rests[walk->depth];
		p += strspn(p, "/");
		if (*p) {
			*name = p;
			*length = strcspn(p, "/");
			walk->rests[walk->depth] = p + *length;
			return true;
		}
		if (walk->depth == 0)
			return false;
		walk->depth--;
	}
}

static int follow(struct apply *a, struct walk *walk, uint32_t link, uint32_t *at, struct err *err)
{
	const char *target = a->tree->strings + inode_of(a->tree, link)->link;
	if (++walk->hops > TREE_HOPS_MAX)
		return err_set(err, EBADMSG, "more than %d symbolic links", TREE_HOPS_MAX);
	if (*target == '/')
		*at = TREE_ROOT;
	/* a used-up rest gives its place up; the first is the path itself and stays */
	const char *rest = walk->rests[walk->depth];
	if (walk->depth == 0 || rest[strspn(rest, "/")])
		walk->depth++;
	walk->rests[walk->depth] = target;
	return 0;
}

enum walk_mode {
	WALK_FIND, /* *out = TREE_NONE when something is missing or no directory */
	WALK_MAKE, /* make missing directories */
};

/* One step into directory *AT; *at is TREE_NONE afterwards when there is no way. */
static int step(struct apply *a, struct walk *walk, enum walk_mode mode, const char *name,
		size_t length, uint32_t *at, struct err *err)
{
	struct tree *tree = a->tree;
	if (length == 1 && name[0] == '.')
		return 0;
	if (length == 2 && name[0] == '.' &&
	    name[1] == '.') { /* only from link targets; the root's is itself */
		*at = tree->nodes[*at].parent;
		return 0;
	}
	uint32_t child = tree_child(tree, *at, name, length);
	if (child != TREE_NONE && kind_of(tree, child) == TOC_SYMLINK)
		return follow(a, walk, child, at, err);
	if (child != TREE_NONE && kind_of(tree, child) == TOC_DIRECTORY) {
		*at = child;
		return 0;
	}
	if (mode == WALK_FIND) {
		*at = TREE_NONE;
		return 0;
	}
	if (walk->depth > 0) /* a link to nowhere: peers disagree on what to make there */
		return err_set(err, EBADMSG, "a symbolic link on the way leads to no directory");
	if (child != TREE_NONE && inode_of(tree, child)->layer == (a->layer & 0x7fffu))
		return err_set(err, EBADMSG, "a parent is a file of the same layer");
	if (child != TREE_NONE)
		tree_remove(tree, child);
	return make_implied(a, *at, name, length, at, err);
}

/* Walk the whole of PATH to a directory. */
static int walk_path(struct apply *a, enum walk_mode mode, const char *path, uint32_t *out,
		     struct err *err)
{
	struct walk walk = { .rests = { path } };
	const char *name;
	size_t length;
	uint32_t at = TREE_ROOT;
	while (at != TREE_NONE && next_component(&walk, &name, &length)) {
		/* the names live in the strings, which making a node may move: copy first */
		char copy[TAR_NAME_MAX_BYTES + 1];
		if (length > TAR_NAME_MAX_BYTES)
			return err_set(err, EBADMSG, "a component of %zu bytes", length);
		memcpy(copy, name, length);
		int r = step(a, &walk, mode, copy, length, &at, err);
		if (r < 0)
			return r;
	}
	*out = at;
	return 0;
}

/* Split PATH at its last component: the parent's node in *out, the last component returned. */
static int walk_parent(struct apply *a, enum walk_mode mode, const char *path, uint32_t *out,
		       const char **base, struct err *err)
{
	char parent[TAR_PATH_MAX_BYTES + 1];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	memcpy(parent, path, n);
	parent[n] = '\0';
	*base = slash ? slash + 1 : path;
	return walk_path(a, mode, parent, out, err);
}

static int compare_paths(const void *x, const void *y, void *toc)
{
	return strcmp(toc_string(toc, *(const uint32_t *)x), toc_string(toc, *(const uint32_t *)y));
}

static void collect_own_dirs(struct apply *a)
{
	size_t capacity = 0;
	for (uint32_t i = 0; i < toc_count(a->toc); i++) {
		const struct toc_entry *e = toc_at(a->toc, i);
		if (e->kind != TOC_DIRECTORY)
			continue;
		a->own_dirs = mem_grow(a->own_dirs, &capacity, a->own_dir_count,
				       sizeof(*a->own_dirs));
		a->own_dirs[a->own_dir_count++] = e->path;
	}
	if (!a->own_dirs)
		a->own_dirs = mem_new(sizeof(*a->own_dirs));
	else
		qsort_r(a->own_dirs, a->own_dir_count, sizeof(*a->own_dirs), compare_paths, a->toc);
}

/*
 * A lower symbolic link on the way of a whiteout that this layer replaces by a directory of its
 * own: then there is nothing below it to hide, and following the link would hide files elsewhere.
 */
static bool is_own_dir(struct apply *a, const char *path, size_t length)
{
	if (!a->own_dirs)
		collect_own_dirs(a);
	size_t low = 0, high = a->own_dir_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *own = toc_string(a->toc, a->own_dirs[middle]);
		int order = strncmp(own, path, length);
		if (order == 0 && own[length] == '\0')
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool passes_replaced_link(struct apply *a, const char *path)
{
	uint32_t at = TREE_ROOT;
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		at = tree_child(a->tree, at, p, n);
		if (at == TREE_NONE || kind_of(a->tree, at) == TOC_DIRECTORY) {
			if (at == TREE_NONE)
				return false;
		} else {
			return kind_of(a->tree, at) == TOC_SYMLINK &&
			       is_own_dir(a, path, (size_t)(p - path) + n);
		}
		p += n + (p[n] == '/');
	}
	return false;
}

static int hide(struct apply *a, const struct toc_entry *entry, struct err *err)
{
	const char *path = toc_string(a->toc, entry->path), *base = "";
	uint32_t node = TREE_NONE;
	char dir[TAR_PATH_MAX_BYTES + 1];
	const char *slash = strrchr(path, '/');
	size_t n = entry->kind == TOC_OPAQUE ? strlen(path) : slash ? (size_t)(slash - path) : 0;
	memcpy(dir, path, n);
	dir[n] = '\0';
	if (passes_replaced_link(a, dir))
		return 0;
	if (entry->kind == TOC_OPAQUE) {
		int r = walk_path(a, WALK_FIND, path, &node, err);
		if (r == 0 && node != TREE_NONE)
			tree_remove_children(a->tree, node);
		return r;
	}
	int r = walk_parent(a, WALK_FIND, path, &node, &base, err);
	if (r < 0 || node == TREE_NONE)
		return r;
	uint32_t child = tree_child(a->tree, node, base, strlen(base));
	if (child != TREE_NONE)
		tree_remove(a->tree, child);
	return 0;
}

static int copy_xattrs(struct apply *a, const struct toc_entry *entry, struct tree_inode *inode)
{
	struct tree *tree = a->tree;
	size_t count = toc_xattrs(a->toc, entry, NULL, 0);
	if (count == 0)
		return 0;
	auto_free struct toc_xattr *list = mem_new(count * sizeof(*list));
	(void)toc_xattrs(a->toc, entry, list, count);
	struct tree_xattr_set set = { .offset = tree->values_used, .count = (uint32_t)count };
	for (size_t i = 0; i < count; i++) {
		size_t name = strlen(list[i].name) + 1, size = list[i].size;
		size_t wanted = tree->values_used + name + sizeof(list[i].size) + size;
		while (tree->values_room < wanted)
			tree->values = mem_grow(tree->values, &tree->values_room, tree->values_room,
						1);
		uint8_t *at = tree->values + tree->values_used;
		memcpy(at, list[i].name, name);
		memcpy(at + name, &list[i].size, sizeof(list[i].size));
		if (size > 0)
			memcpy(at + name + sizeof(list[i].size), list[i].value, size);
		tree->values_used = wanted;
	}
	tree->xattrs = mem_grow(tree->xattrs, &tree->xattr_capacity, tree->xattr_count,
				sizeof(*tree->xattrs));
	tree->xattrs[tree->xattr_count++] = set;
	inode->xattrs = (uint32_t)tree->xattr_count;
	return 0;
}

static int inode_from(struct apply *a, const struct toc_entry *entry, struct tree_inode *out,
		      struct err *err)
{
	*out = (struct tree_inode){
		.size = entry->size,
		.mtime_s = entry->mtime_s,
		.mtime_ns = entry->mtime_ns,
		.mode = entry->mode,
		.kind = entry->kind,
		.layer = a->layer & 0x7fffu,
		.uid = entry->uid,
		.gid = entry->gid,
		.content = entry->content,
		.dev_major = entry->dev_major,
		.dev_minor = entry->dev_minor,
	};
	if (entry->kind == TOC_SYMLINK) {
		const char *target = toc_string(a->toc, entry->link);
		int r = tree_add_string(a->tree, target, strlen(target), &out->link, err);
		if (r < 0)
			return r;
	}
	return copy_xattrs(a, entry, out);
}

/* The inode a hard link names: its target's last component is not followed, as link(2) does not. */
static int link_target(struct apply *a, const struct toc_entry *entry, uint32_t *inode,
		       struct err *err)
{
	const char *path = toc_string(a->toc, entry->link), *base;
	uint32_t node;
	int r = walk_parent(a, WALK_FIND, path, &node, &base, err);
	if (r < 0)
		return r;
	if (node != TREE_NONE && *base)
		node = tree_child(a->tree, node, base, strlen(base));
	if (node == TREE_NONE)
		return err_set(err, EBADMSG, "hard link target '%s' does not exist", esc(path));
	if (kind_of(a->tree, node) == TOC_DIRECTORY)
		return err_set(err, EBADMSG, "hard link target '%s' is a directory", esc(path));
	*inode = a->tree->nodes[node].inode;
	return 0;
}

/* A directory over a directory: attributes are replaced, children stay. */
static int update_directory(struct apply *a, uint32_t node, const struct toc_entry *entry,
			    struct err *err)
{
	struct tree_inode inode;
	int r = inode_from(a, entry, &inode, err);
	if (r < 0)
		return r;
	inode.nlink = inode_of(a->tree, node)->nlink;
	*inode_of(a->tree, node) = inode;
	return 0;
}

static int place(struct apply *a, const struct toc_entry *entry, struct err *err)
{
	struct tree *tree = a->tree;
	const char *path = toc_string(a->toc, entry->path), *base = "";
	uint32_t parent = TREE_NONE, inode = TREE_NONE;
	if (!*path)
		return update_directory(a, TREE_ROOT, entry, err);
	if (entry->kind == TOC_HARDLINK) {
		int r = link_target(a, entry, &inode, err);
		if (r < 0)
			return r;
	}
	int r = walk_parent(a, WALK_MAKE, path, &parent, &base, err);
	if (r < 0)
		return r;
	uint32_t old = tree_child(tree, parent, base, strlen(base));
	if (old != TREE_NONE && entry->kind == TOC_DIRECTORY && kind_of(tree, old) == TOC_DIRECTORY)
		return update_directory(a, old, entry, err);
	if (old != TREE_NONE && inode != TREE_NONE && tree->nodes[old].inode == inode)
		return 0; /* a link to itself, or made twice */
	if (inode == TREE_NONE) {
		struct tree_inode fresh;
		r = inode_from(a, entry, &fresh, err);
		if (r < 0)
			return r;
		inode = tree_add_inode(tree, &fresh);
	}
	if (old != TREE_NONE)
		tree_remove(tree, old);
	return tree_add_node(tree, parent, base, strlen(base), inode, &old, err);
}

static bool is_marker(const struct toc_entry *entry)
{
	return entry->kind == TOC_WHITEOUT || entry->kind == TOC_OPAQUE;
}

static int apply_pass(struct apply *a, bool markers, struct err *err)
{
	for (uint32_t i = 0; i < toc_count(a->toc); i++) {
		const struct toc_entry *entry = toc_at(a->toc, i);
		if (is_marker(entry) != markers)
			continue;
		int r = markers ? hide(a, entry, err) : place(a, entry, err);
		if (r < 0)
			return err_wrap(err, r, "entry '%s'", esc(toc_string(a->toc, entry->path)));
	}
	return 0;
}

int tree_apply(struct tree *tree, struct toc *toc, unsigned layer, struct err *err)
{
	struct apply a = { .tree = tree, .toc = toc, .layer = layer };
	int r = layer > 0 ? apply_pass(&a, true, err) : 0;
	free(a.own_dirs);
	return r < 0 ? r : apply_pass(&a, false, err);
}
