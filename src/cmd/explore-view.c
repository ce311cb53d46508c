/*
 * Nodes in one array, breadth first: children are neighbours, and always behind their parent, so
 * that sums are one pass from the back.  Rows are made anew from the nodes whenever something
 * opens, closes or is filtered; a hundred thousand take a few milliseconds.
 */
#include "cmd/explore-view.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

static bool is_dir(const struct rootfs *rootfs, uint32_t number)
{
	return number != ROOTFS_NONE && S_ISDIR(rootfs_inode(rootfs, number)->mode);
}

const struct rootfs_inode *explore_inode(const struct explore_view *view,
					 const struct explore_node *node)
{
	return rootfs_inode(node->state == EXPLORE_REMOVED ? view->before : view->now, node->inode);
}

/* --- building --- */

/* A node being made: its inode on both sides. */
struct pair {
	uint32_t now, before;
};

struct builder {
	struct explore_view *view; /* borrowed */
	struct pair *pairs;	   /* owned; by node */
	size_t capacity;
	uint32_t since;
};

/* A directory that a layer lists for the sake of what is in it is not changed. */
static bool same_attributes(const struct rootfs_inode *x, const struct rootfs_inode *y)
{
	return x->mode == y->mode && x->uid == y->uid && x->gid == y->gid;
}

static enum explore_state state_of(const struct builder *b, const struct pair *pair)
{
	const struct explore_view *view = b->view;
	if (!view->before)
		return EXPLORE_SAME;
	if (pair->now == ROOTFS_NONE)
		return EXPLORE_REMOVED;
	if (pair->before == ROOTFS_NONE)
		return EXPLORE_ADDED;
	const struct rootfs_inode *now = rootfs_inode(view->now, pair->now);
	const struct rootfs_inode *before = rootfs_inode(view->before, pair->before);
	if (now->layer < b->since)
		return EXPLORE_SAME;
	bool both = S_ISDIR(now->mode) && S_ISDIR(before->mode);
	return both && same_attributes(now, before) ? EXPLORE_SAME : EXPLORE_CHANGED;
}

static void add_node(struct builder *b, const char *name, uint32_t parent, const struct pair *pair)
{
	struct explore_view *view = b->view;
	uint16_t above = view->count > 0 ? view->nodes[parent].depth : 0;
	view->nodes = mem_grow(view->nodes, &view->capacity, view->count, sizeof(*view->nodes));
	b->pairs = mem_grow(b->pairs, &b->capacity, view->count, sizeof(*b->pairs));
	enum explore_state state = state_of(b, pair);
	view->nodes[view->count] = (struct explore_node){
		.name = name,
		.inode = state == EXPLORE_REMOVED ? pair->before : pair->now,
		.parent = parent,
		.depth = view->count > 0 && above < UINT16_MAX ? (uint16_t)(above + 1) : above,
		.state = (uint8_t)state,
		.wanted = true,
	};
	b->pairs[view->count++] = *pair;
}

static const struct rootfs_child *peek(const struct rootfs *rootfs, uint32_t dir, uint32_t next)
{
	if (!is_dir(rootfs, dir))
		return NULL;
	const struct rootfs_inode *inode = rootfs_inode(rootfs, dir);
	return next < inode->b ? rootfs_child(rootfs, inode, next) : NULL;
}

/* The names of both sides, merged: they are sorted alike. */
static void add_children(struct builder *b, uint32_t parent)
{
	const struct rootfs *now = b->view->now, *before = b->view->before;
	const struct pair dir = b->pairs[parent];
	uint32_t i = 0, j = 0;
	b->view->nodes[parent].first = (uint32_t)b->view->count;
	for (;;) {
		const struct rootfs_child *p = peek(now, dir.now, i);
		const struct rootfs_child *q = before ? peek(before, dir.before, j) : NULL;
		if (!p && !q)
			break;
		const char *x = p ? rootfs_string(now, p->name) : NULL;
		const char *y = q ? rootfs_string(before, q->name) : NULL;
		int order = !p ? 1 : !q ? -1 : strcmp(x, y);
		const struct pair pair = { order <= 0 ? p->inode : ROOTFS_NONE,
					   order >= 0 ? q->inode : ROOTFS_NONE };
		add_node(b, order <= 0 ? x : y, parent, &pair);
		i += order <= 0;
		j += order >= 0;
	}
	b->view->nodes[parent].last = (uint32_t)b->view->count;
}

/* Sizes and changes of what is below; of several names of one inode the first has its size. */
static void sum_up(struct explore_view *view)
{
	auto_free bool *seen = mem_new(rootfs_inode_count(view->now) + 1u);
	for (size_t i = 0; i < view->count; i++) {
		struct explore_node *node = &view->nodes[i];
		const struct rootfs_inode *inode = explore_inode(view, node);
		bool first = node->state == EXPLORE_REMOVED || !seen[node->inode];
		if (node->state != EXPLORE_REMOVED)
			seen[node->inode] = true;
		node->size = S_ISREG(inode->mode) && first ? inode->size : 0;
		node->is_changed = node->state != EXPLORE_SAME;
	}
	for (size_t i = view->count; i-- > 1;) {
		const struct explore_node *node = &view->nodes[i];
		struct explore_node *parent = &view->nodes[node->parent];
		/* what is gone weighs nothing in what is there */
		if (node->state != EXPLORE_REMOVED || parent->state == EXPLORE_REMOVED)
			parent->size += node->size;
		parent->is_changed = parent->is_changed || node->is_changed;
	}
}

/* --- rows --- */

static bool is_pattern(const char *text)
{
	return strpbrk(text, "*?[") != NULL;
}

static bool passes(const struct explore_view *view, const struct explore_node *node)
{
	if (view->hidden & 1u << node->state)
		return false;
	if (!view->filter)
		return true;
	if (is_pattern(view->filter))
		return fnmatch(view->filter, node->name, FNM_CASEFOLD) == 0;
	return strcasestr(node->name, view->filter) != NULL;
}

/* A directory passes for what is in it; an unchanged one only for that when states are hidden. */
static void choose(struct explore_view *view)
{
	bool all = !view->filter && view->hidden == 0;
	for (size_t i = view->count; i-- > 0;) {
		struct explore_node *node = &view->nodes[i];
		node->wanted = all || passes(view, node);
		if (view->hidden && node->state == EXPLORE_SAME && node->first < node->last)
			node->wanted = view->filter && node->wanted;
		for (uint32_t c = node->first; c < node->last && !node->wanted; c++)
			node->wanted = view->nodes[c].wanted;
	}
}

static bool shows_children(const struct explore_view *view, const struct explore_node *node)
{
	return node->open || view->filter != NULL;
}

/* The first wanted node from I to behind LAST, or LAST. */
static uint32_t next_wanted(const struct explore_view *view, uint32_t i, uint32_t last)
{
	while (i < last && !view->nodes[i].wanted)
		i++;
	return i;
}

/* Depth first, by the links between nodes: after a node its children, else what follows above. */
static void make_rows(struct explore_view *view)
{
	uint32_t at = 0;
	view->row_count = 0;
	for (;;) {
		const struct explore_node *node = &view->nodes[at];
		uint32_t next = node->first, last = node->last;
		bool inside = at == 0 || shows_children(view, node);
		next = inside ? next_wanted(view, next, last) : last;
		while (next == last && at != 0) {
			next = at + 1;
			at = view->nodes[at].parent;
			last = view->nodes[at].last;
			next = next_wanted(view, next, last);
		}
		if (next == last)
			return;
		at = next;
		view->rows[view->row_count++] = at;
	}
}

void explore_view_filter(struct explore_view *view, const char *text)
{
	free(view->filter);
	view->filter = text && *text ? mem_strdup(text) : NULL;
	choose(view);
	make_rows(view);
}

void explore_view_toggle(struct explore_view *view, enum explore_state state)
{
	view->hidden ^= 1u << state;
	choose(view);
	make_rows(view);
}

void explore_view_open(struct explore_view *view, uint32_t node, bool open)
{
	view->nodes[node].open = open;
	make_rows(view);
}

void explore_view_open_all(struct explore_view *view, bool open)
{
	for (size_t i = 1; i < view->count; i++)
		view->nodes[i].open = open && view->nodes[i].first < view->nodes[i].last;
	make_rows(view);
}

size_t explore_view_row(const struct explore_view *view, uint32_t node)
{
	for (; node != 0; node = view->nodes[node].parent) {
		for (size_t i = 0; i < view->row_count; i++) {
			if (view->rows[i] == node)
				return i;
		}
	}
	return 0;
}

void explore_view_init(struct explore_view *view, const struct rootfs *now,
		       const struct rootfs *before, uint32_t since)
{
	*view = (struct explore_view){ .now = now, .before = before };
	struct builder b = { .view = view, .since = since };
	const struct pair root = { ROOTFS_ROOT, before ? ROOTFS_ROOT : ROOTFS_NONE };
	add_node(&b, "", 0, &root);
	for (uint32_t i = 0; i < view->count; i++)
		add_children(&b, i);
	free(b.pairs);
	sum_up(view);
	view->nodes[0].open = true;
	view->rows = mem_new((view->count + 1) * sizeof(*view->rows));
	make_rows(view);
}

void explore_view_release(struct explore_view *view)
{
	free(view->nodes);
	free(view->rows);
	free(view->filter);
	*view = (struct explore_view){ 0 };
}

/* --- paths --- */

void explore_path(const struct explore_view *view, uint32_t node, struct str *out)
{
	/* names from the end: gathered, then turned round */
	size_t depth = 0, capacity = 0;
	auto_free const char **names = NULL;
	for (; node != 0; node = view->nodes[node].parent) {
		names = mem_grow(names, &capacity, depth, sizeof(*names));
		names[depth++] = view->nodes[node].name;
	}
	if (depth == 0)
		str_addc(out, '/');
	while (depth > 0)
		str_addf(out, "/%s", names[--depth]);
}

static int compare_name(const char *name, const char *part, size_t length)
{
	int r = strncmp(name, part, length);
	return r ? r : name[length] != '\0';
}

/* The child of that name, or 0. */
static uint32_t find_child(const struct explore_view *view, uint32_t dir, const char *part,
			   size_t length)
{
	uint32_t low = view->nodes[dir].first, high = view->nodes[dir].last;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int r = compare_name(view->nodes[middle].name, part, length);
		if (r == 0)
			return middle;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

uint32_t explore_find(const struct explore_view *view, const char *path, size_t length)
{
	const char *end = path + length;
	uint32_t at = 0;
	for (;;) {
		while (path < end && *path == '/')
			path++;
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t n = (size_t)((slash ? slash : end) - path);
		uint32_t child = n > 0 ? find_child(view, at, path, n) : 0;
		if (child == 0)
			return at;
		at = child;
		path += n;
	}
}

void explore_view_add_waste(struct explore_view *view, const struct waste *waste)
{
	for (size_t i = 0; i < view->count; i++)
		view->nodes[i].wasted = 0;
	for (size_t i = 0; i < waste->path_count; i++)
		view->nodes[explore_find(view, waste->paths[i].path, waste->paths[i].length)]
			.wasted += waste->paths[i].bytes;
	for (size_t i = view->count; i-- > 1;)
		view->nodes[view->nodes[i].parent].wasted += view->nodes[i].wasted;
}
