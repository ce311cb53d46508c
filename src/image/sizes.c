/* One walk, adding to the parent when a directory is left. */
#include "image/sizes.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "image/rootfs-walk.h"

struct sizes {
	const struct rootfs *rootfs; /* borrowed */
	uint64_t *sums;		     /* owned */
	uint8_t *seen;		     /* owned; a bit an inode: has several names, was counted */
	uint32_t *stack;	     /* owned: the directories the walk is in */
	size_t depth, capacity;
};

static void sizes_release(struct sizes *s)
{
	free(s->sums);
	free(s->seen);
	free(s->stack);
}

static void add_to_parent(struct sizes *s, uint64_t size)
{
	if (s->depth > 0)
		s->sums[s->stack[s->depth - 1]] += size;
}

/* Its own bytes, once. */
static uint64_t own_size(struct sizes *s, const struct rootfs_visit *visit)
{
	const struct rootfs_inode *inode = visit->inode;
	if (!S_ISREG(inode->mode) && !S_ISLNK(inode->mode))
		return 0;
	uint8_t bit = (uint8_t)(1u << visit->number % 8);
	if (s->seen[visit->number / 8] & bit)
		return 0;
	s->seen[visit->number / 8] |= bit;
	return inode->size;
}

static int visit_one(void *arg, const struct rootfs_visit *visit, struct err *err)
{
	struct sizes *s = arg;
	(void)err;
	if (visit->leaving) {
		s->depth--;
		add_to_parent(s, s->sums[visit->number]);
	} else if (S_ISDIR(visit->inode->mode)) {
		s->stack = mem_grow(s->stack, &s->capacity, s->depth, sizeof(*s->stack));
		s->stack[s->depth++] = visit->number;
	} else {
		uint64_t size = own_size(s, visit);
		s->sums[visit->number] += size;
		add_to_parent(s, size);
	}
	return ROOTFS_WALK_ON;
}

int sizes_below(const struct rootfs *rootfs, uint32_t start, uint64_t **out, struct err *err)
{
	size_t count = (size_t)rootfs_inode_count(rootfs) + 1;
	__attribute__((cleanup(sizes_release))) struct sizes s = { .rootfs = rootfs };
	void *sums = NULL, *seen = NULL;
	int r = mem_try(&sums, count, sizeof(*s.sums), err);
	s.sums = sums;
	if (r == 0)
		r = mem_try(&seen, count / 8 + 1, 1, err);
	s.seen = seen;
	if (r == 0)
		r = rootfs_walk(rootfs, start, "", &(struct rootfs_walk_options){ visit_one, &s },
				err);
	if (r < 0)
		return r;
	*out = TAKE(s.sums);
	return 0;
}
