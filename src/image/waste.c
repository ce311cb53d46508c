/*
 * One record a path, over all layers.  What a whiteout hid is asked of the tree merged so far, so
 * the layers are merged on the way.  Only leaves of a layer count, as dive has it: a directory that
 * is listed for the sake of what is in it is no path of its own.
 */
#include "image/waste.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/siphash.h"
#include "image/tree.h"

#define NO_LAYER UINT32_MAX

/* The paths come from images: a keyed hash. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, length, out) ((out) = (unsigned)siphash((key), (length)))

struct record {
	const char *path; /* borrowed */
	uint32_t length;
	uint32_t inner;	 /* the last layer that has something below it */
	uint32_t last;	 /* the last layer that holds it */
	bool whiteout;	 /* as a whiteout */
	uint32_t layers; /* that hold it */
	uint64_t size;	 /* in LAST; not yet in the members below */
	uint64_t least, sum;
	UT_hash_handle hh;
};

struct counter {
	struct record *records; /* owned, a hash */
	struct tree *tree;	/* owned: the layers before this one */
	struct toc *toc;	/* borrowed: of this layer */
	uint32_t layer;
};

static void counter_release(struct counter *c)
{
	struct record *r = NULL, *next = NULL;
	HASH_ITER(hh, c->records, r, next)
	{
		HASH_DEL(c->records, r);
		free(r);
	}
	tree_free(c->tree);
}

static struct record *record_of(struct counter *c, const char *path, size_t length)
{
	struct record *r = NULL;
	HASH_FIND(hh, c->records, path, length, r);
	if (r)
		return r;
	r = mem_make(struct record, .path = path, .length = (uint32_t)length, .inner = NO_LAYER,
		     .last = NO_LAYER, .least = UINT64_MAX);
	HASH_ADD_KEYPTR(hh, c->records, r->path, length, r);
	return r;
}

/* What is above PATH has something below it. */
static void mark_above(struct counter *c, const char *path)
{
	for (size_t n = strlen(path); n > 0; n--) {
		if (path[n - 1] != '/')
			continue;
		struct record *r = record_of(c, path, n - 1);
		if (r->inner == c->layer)
			return;
		r->inner = c->layer;
	}
}

static uint64_t file_size(const struct tree_inode *inode)
{
	return inode->kind == TOC_FILE ? inode->size : 0;
}

/* The bytes of the files below directory NODE; goes down and up by the links in the tree. */
static uint64_t size_below(const struct tree *tree, uint32_t top)
{
	uint64_t sum = 0;
	uint32_t at = tree_node(tree, top)->first_child;
	while (at != TREE_NONE && at != top) {
		const struct tree_node *node = tree_node(tree, at);
		sum += file_size(tree_inode(tree, node->inode));
		if (node->first_child != TREE_NONE) {
			at = node->first_child;
			continue;
		}
		while (at != top && tree_node(tree, at)->next == TREE_NONE)
			at = tree_node(tree, at)->parent;
		at = at == top ? top : tree_node(tree, at)->next;
	}
	return sum;
}

/* What a whiteout of PATH hides: 0 for a file, as dive has it. */
static uint64_t hidden_size(const struct counter *c, const char *path)
{
	uint32_t node = TREE_ROOT;
	while (*path && node != TREE_NONE) {
		size_t n = strcspn(path, "/");
		node = tree_child(c->tree, node, path, n);
		path += n + (path[n] == '/');
	}
	if (node == TREE_NONE)
		return 0;
	uint32_t inode = tree_node(c->tree, node)->inode;
	return tree_inode(c->tree, inode)->kind == TOC_DIRECTORY ? size_below(c->tree, node) : 0;
}

/* What LAST holds belongs to the sums from now on. */
static void settle(struct record *r)
{
	if (r->last == NO_LAYER)
		return;
	r->layers++;
	r->sum += r->size;
	r->least = r->size < r->least ? r->size : r->least;
	r->last = NO_LAYER;
}

static void hold(struct counter *c, const struct toc_entry *entry, const char *path)
{
	struct record *r = record_of(c, path, strlen(path));
	bool whiteout = entry->kind == TOC_WHITEOUT;
	if (entry->kind == TOC_DIRECTORY && r->inner == c->layer)
		return;
	/* the same name twice in one layer: the last one counts */
	if (r->last != c->layer || r->whiteout != whiteout)
		settle(r);
	r->last = c->layer;
	r->whiteout = whiteout;
	r->size = whiteout ? hidden_size(c, path) : entry->kind == TOC_FILE ? entry->size : 0;
}

static void count_layer(struct counter *c, struct waste_layer *layer)
{
	for (uint32_t i = 0; i < toc_count(c->toc); i++) {
		const struct toc_entry *entry = toc_at(c->toc, i);
		if (entry->kind != TOC_OPAQUE)
			mark_above(c, toc_string(c->toc, entry->path));
		if (entry->kind == TOC_OPAQUE || entry->kind == TOC_WHITEOUT)
			continue;
		layer->entries++;
		layer->bytes += entry->kind == TOC_FILE ? entry->size : 0;
	}
	for (uint32_t i = 0; i < toc_count(c->toc); i++) {
		const struct toc_entry *entry = toc_at(c->toc, i);
		const char *path = toc_string(c->toc, entry->path);
		if (entry->kind != TOC_OPAQUE && *path)
			hold(c, entry, path);
	}
}

static int by_bytes(const void *a, const void *b)
{
	const struct waste_path *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	size_t n = x->length < y->length ? x->length : y->length;
	int order = memcmp(x->path, y->path, n);
	return order != 0 ? order : x->length < y->length ? -1 : 1;
}

static int sum_up(struct waste *out, struct counter *c, struct err *err)
{
	uint64_t least = 0;
	size_t count = 0;
	void *paths = NULL;
	for (struct record *r = c->records; r; r = r->hh.next) {
		settle(r);
		least += r->layers > 0 ? r->least : 0;
		out->bytes += r->sum;
		count += r->layers > 1 && r->sum > 0;
	}
	int r = mem_try(&paths, count, sizeof(*out->paths), err);
	if (r < 0)
		return r;
	out->paths = paths;
	for (struct record *p = c->records; p; p = p->hh.next) {
		if (p->layers < 2 || p->sum == 0)
			continue;
		out->paths[out->path_count++] = (struct waste_path){ p->path, p->length, p->layers,
								     p->sum };
		out->wasted_bytes += p->sum;
	}
	if (count > 0)
		qsort(out->paths, count, sizeof(*out->paths), by_bytes);
	out->efficiency = out->bytes > 0 ? (double)least / (double)out->bytes : 1;
	return 0;
}

static int count_all(struct waste *out, struct counter *c, struct toc *const *tocs, size_t count,
		     struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		c->layer = (uint32_t)i;
		c->toc = tocs[i];
		count_layer(c, &out->layers[i]);
		int r = i + 1 < count ? tree_apply(c->tree, tocs[i], (unsigned)i, err) : 0;
		if (r < 0)
			return r;
	}
	return sum_up(out, c, err);
}

int waste_count(struct waste *out, struct toc *const *tocs, size_t count, struct err *err)
{
	__attribute__((cleanup(counter_release))) struct counter c = { .tree = tree_new() };
	struct waste waste = { .layer_count = count };
	waste.layers = mem_new((count + 1) * sizeof(*waste.layers));
	int r = count_all(&waste, &c, tocs, count, err);
	if (r < 0)
		waste_release(&waste);
	else
		*out = waste;
	return r;
}

void waste_release(struct waste *waste)
{
	free(waste->layers);
	free(waste->paths);
	*waste = (struct waste){ 0 };
}
