/*
 * Two builds often share all layers but the last few.  What these say is then enough, unless it
 * depends on what is below: a name only one side has (is it new, or does it replace one?), a
 * whiteout only one side has, a directory whose attributes come from below on one side only.
 * compare_tops_suffice() says yes only where nothing of that kind is there; no costs time only.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/compare.h"

size_t compare_shared_layers(const struct image *a, const struct image *b)
{
	size_t n = 0;
	while (n < a->manifest.layer_count && n < b->manifest.layer_count &&
	       digest_known(&a->manifest.layers[n].digest) &&
	       digest_equal(&a->manifest.layers[n].digest, &b->manifest.layers[n].digest) &&
	       digest_equal(&a->config.diff_ids[n], &b->config.diff_ids[n]))
		n++;
	return n;
}

/* Paths that entries of layers name. */
struct deeds {
	const char **paths; /* owned; the strings are borrowed from the tables */
	size_t count, capacity;
};

static void deeds_release(struct deeds *deeds)
{
	free(deeds->paths);
}

static void add_path(struct deeds *deeds, const char *path)
{
	deeds->paths = mem_grow(deeds->paths, &deeds->capacity, deeds->count, sizeof(char *));
	deeds->paths[deeds->count++] = path;
}

static int by_path(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* All paths of layers SHARED and above of one of the KINDS (bits by enum toc_kind), sorted. */
static void gather(struct deeds *out, const struct lazy *lazy, size_t shared, unsigned kinds)
{
	for (size_t i = shared; i < lazy_layer_count(lazy); i++) {
		struct toc *toc = table_toc(lazy_table(lazy, i));
		for (uint32_t n = 0; n < toc_count(toc); n++) {
			const struct toc_entry *entry = toc_at(toc, n);
			if (kinds & 1u << entry->kind)
				add_path(out, toc_string(toc, entry->path));
		}
	}
	if (out->count > 1)
		qsort(out->paths, out->count, sizeof(*out->paths), by_path);
}

static bool same_paths(const struct lazy *a, const struct lazy *b, size_t shared, unsigned kinds)
{
	__attribute__((cleanup(deeds_release))) struct deeds x = { 0 }, y = { 0 };
	gather(&x, a, shared, kinds);
	gather(&y, b, shared, kinds);
	if (x.count != y.count)
		return false;
	for (size_t i = 0; i < x.count; i++) {
		if (strcmp(x.paths[i], y.paths[i]) != 0)
			return false;
	}
	return true;
}

/*
 * Are both directories, or neither?  One that no entry made is what the layers below say: that may
 * be a symbolic link to elsewhere.
 */
static bool same_shape(const struct rootfs *a, uint32_t x, const struct rootfs *b, uint32_t y)
{
	const struct rootfs_inode *p = rootfs_inode(a, x), *q = rootfs_inode(b, y);
	bool implied = (p->flags & ROOTFS_IMPLIED) != 0;
	if (S_ISDIR(p->mode) != S_ISDIR(q->mode) || implied != ((q->flags & ROOTFS_IMPLIED) != 0))
		return false;
	if (implied && x != ROOTFS_ROOT)
		return false;
	return !S_ISDIR(p->mode) || p->b == q->b;
}

struct pair {
	uint32_t a, b;
};

static bool same_names(const struct rootfs *a, const struct rootfs *b)
{
	size_t count = 0, capacity = 0;
	auto_free struct pair *todo = mem_grow(NULL, &capacity, 0, sizeof(*todo));
	todo[count++] = (struct pair){ ROOTFS_ROOT, ROOTFS_ROOT };
	while (count > 0) {
		const struct pair at = todo[--count];
		if (!same_shape(a, at.a, b, at.b))
			return false;
		const struct rootfs_inode *p = rootfs_inode(a, at.a), *q = rootfs_inode(b, at.b);
		for (uint32_t i = 0; S_ISDIR(p->mode) && i < p->b; i++) {
			const struct rootfs_child *c = rootfs_child(a, p, i);
			const struct rootfs_child *d = rootfs_child(b, q, i);
			if (strcmp(rootfs_string(a, c->name), rootfs_string(b, d->name)) != 0)
				return false;
			todo = mem_grow(todo, &capacity, count, sizeof(*todo));
			todo[count++] = (struct pair){ c->inode, d->inode };
		}
	}
	return true;
}

bool compare_tops_suffice(const struct lazy *a, const struct lazy *b, size_t shared)
{
	static const unsigned hides = 1u << TOC_WHITEOUT | 1u << TOC_OPAQUE;
	/* one that is no directory, and became one in a later layer, hides what is below it too */
	static const unsigned plain = 1u << TOC_FILE | 1u << TOC_HARDLINK | 1u << TOC_SYMLINK |
				      1u << TOC_CHAR | 1u << TOC_BLOCK | 1u << TOC_FIFO;
	return same_names(lazy_rootfs(a), lazy_rootfs(b)) && same_paths(a, b, shared, hides) &&
	       same_paths(a, b, shared, plain);
}
