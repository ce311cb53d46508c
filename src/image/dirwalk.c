/* A stack of open directories from the root to the current one; when it is full only the last is
 * open. */
#include "image/dirwalk.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/io.h"

#define SHARES 4 /* of the descriptors: a walk has a quarter */

struct dirwalk {
	const struct tree *tree; /* borrowed */
	uint32_t *nodes;	 /* owned; nodes[0] is the root */
	int *fds;		 /* owned; the descriptors too but for the first */
	size_t depth;		 /* levels open, >= 1 */
	size_t most;		 /* room for levels */
	uint32_t *way;		 /* owned: scratch, from the wanted node upwards */
	size_t way_capacity;
};

struct dirwalk *dirwalk_new(int rootfd, const struct tree *tree)
{
	struct dirwalk *walk = mem_new(sizeof(*walk));
	walk->tree = tree;
	walk->most = io_descriptor_share(SHARES);
	walk->nodes = mem_new(walk->most * sizeof(*walk->nodes));
	walk->fds = mem_new(walk->most * sizeof(*walk->fds));
	walk->nodes[0] = TREE_ROOT;
	walk->fds[0] = rootfd;
	walk->depth = 1;
	return walk;
}

static void leave(struct dirwalk *walk, size_t depth)
{
	while (walk->depth > depth)
		mem_close_fd(&walk->fds[--walk->depth]);
}

void dirwalk_free(struct dirwalk *walk)
{
	if (!walk)
		return;
	leave(walk, 1);
	free(walk->nodes);
	free(walk->fds);
	free(walk->way);
	free(walk);
}

/* How many levels are open on the way to NODE; the rest of the way is put into walk->way. */
static size_t common_depth(struct dirwalk *walk, uint32_t node, size_t *way_length)
{
	size_t n = 0;
	for (uint32_t at = node; at != TREE_ROOT; at = tree_node(walk->tree, at)->parent) {
		walk->way = mem_grow(walk->way, &walk->way_capacity, n, sizeof(*walk->way));
		walk->way[n++] = at;
	}
	size_t depth = 1;
	while (depth < walk->depth && n > 0 && walk->way[n - 1] == walk->nodes[depth]) {
		depth++;
		n--;
	}
	/* in a full stack the last level open may be any number of levels down */
	*way_length = n;
	return depth;
}

int dirwalk_open(struct dirwalk *walk, uint32_t node, struct err *err)
{
	if (walk->nodes[walk->depth - 1] == node)
		return walk->fds[walk->depth - 1];
	size_t left = 0;
	leave(walk, common_depth(walk, node, &left));
	auto_close int passing = -1;
	if (left > 0 && walk->depth == walk->most) /* full: what is on top makes way */
		passing = walk->fds[--walk->depth];
	while (left > 0) {
		uint32_t next = walk->way[--left];
		const char *name = tree_string(walk->tree, tree_node(walk->tree, next)->name);
		int fd = openat(passing >= 0 ? passing : walk->fds[walk->depth - 1], name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, "open directory '%s'", esc(name));
		mem_close_fd(&passing);
		passing = -1;
		if (walk->depth < walk->most - 1 || left == 0) {
			walk->nodes[walk->depth] = next;
			walk->fds[walk->depth++] = fd;
		} else {
			passing = fd;
		}
	}
	return walk->fds[walk->depth - 1];
}
