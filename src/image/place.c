/*
 * Three passes.  First what is in a wrong place leaves root/: to spare/ when it is wanted
 * elsewhere, for good when it is not; directories that no longer exist go.  Then every name is made
 * that is not there, parents before children.  Then directories get their attributes, children
 * before parents. Node numbers rise from parents to children, so both orders are simple loops.
 */
#include "image/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/str.h"
#include "image/dirwalk.h"

enum fate { FATE_GONE, FATE_STAYS, FATE_MOVES };

struct place {
	struct stage *stage;		     /* borrowed */
	const struct tree *tree;	     /* borrowed */
	const struct place_options *options; /* borrowed */
	struct place_result *result;	     /* borrowed */
	struct dirwalk *walk;		     /* owned */
	uint8_t *fates;			     /* owned; enum fate by content */
	uint32_t *dir_numbers; /* owned; by node: number of the staged directory, or UINT32_MAX */
	bool *dir_stays;       /* owned; by number of the staged directory */
};

static const struct tree_inode *inode_at(const struct place *p, uint32_t node)
{
	return tree_inode(p->tree, tree_node(p->tree, node)->inode);
}

static bool is_alive(const struct place *p, uint32_t node)
{
	return tree_node(p->tree, node)->inode != TREE_NONE;
}

static const char *name_of(const struct place *p, uint32_t node)
{
	return tree_string(p->tree, tree_node(p->tree, node)->name);
}

/* The node of a directory by path, as long as its components are directories; *rest is what is
 * left. */
static uint32_t find_dir(const struct place *p, const char *path, const char **rest)
{
	uint32_t at = TREE_ROOT;
	while (*path) {
		size_t n = strcspn(path, "/");
		uint32_t child = tree_child(p->tree, at, path, n);
		if (child == TREE_NONE || inode_at(p, child)->kind != TOC_DIRECTORY)
			break;
		at = child;
		path += n + (path[n] == '/');
	}
	*rest = path;
	return at;
}

static void match_dirs(struct place *p)
{
	memset(p->dir_numbers, 0xff, tree_node_count(p->tree) * sizeof(*p->dir_numbers));
	for (uint32_t i = 0; i < stage_dir_count(p->stage); i++) {
		const char *rest;
		uint32_t node = find_dir(p, stage_dir_path(p->stage, i), &rest);
		if (*rest)
			continue;
		p->dir_numbers[node] = i;
		p->dir_stays[i] = true;
	}
}

static void decide_fates(struct place *p)
{
	for (uint32_t i = 1; i < tree_node_count(p->tree); i++) {
		const struct tree_node *node = tree_node(p->tree, i);
		if (node->inode == TREE_NONE)
			continue;
		const struct tree_inode *inode = tree_inode(p->tree, node->inode);
		if (inode->content == TOC_NO_CONTENT)
			continue;
		struct stage_content c = stage_content(p->stage, inode->content);
		bool here = inode->nlink == 1 && c.dir != STAGE_SPARE &&
			    c.dir == p->dir_numbers[node->parent] &&
			    strcmp(stage_string(p->stage, c.name), name_of(p, i)) == 0;
		p->fates[inode->content] = here ? FATE_STAYS : FATE_MOVES;
	}
}

static int leave_one(struct place *p, uint32_t content, int dirfd, struct err *err)
{
	struct stage_content c = stage_content(p->stage, content);
	const char *name = stage_string(p->stage, c.name);
	if (p->fates[content] == FATE_GONE) {
		if (unlinkat(dirfd, name, 0) < 0)
			return err_sys(err, "remove '%s'", esc(name));
		return 0;
	}
	if (renameat(dirfd, name, stage_sparefd(p->stage), stage_spare_name(content).text) < 0)
		return err_sys(err, "move '%s'", esc(name));
	stage_moved_to_spare(p->stage, content);
	return 0;
}

static int clear_files(struct place *p, struct err *err)
{
	auto_close int dirfd = -1;
	uint32_t open_dir = STAGE_SPARE;
	for (uint32_t i = 0; i < stage_content_count(p->stage); i++) {
		struct stage_content c = stage_content(p->stage, i);
		if (c.dir == STAGE_SPARE || p->fates[i] == FATE_STAYS)
			continue;
		if (c.dir != open_dir) {
			const char *path = stage_dir_path(p->stage, c.dir);
			mem_close_fd(&dirfd);
			dirfd = beneath_open(stage_rootfd(p->stage), *path ? path : ".",
					     O_RDONLY | O_DIRECTORY, 0, err);
			if (dirfd < 0)
				return dirfd;
			open_dir = c.dir;
		}
		int r = leave_one(p, i, dirfd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Staged directories that the tree does not have: what is left in them is empty directories. */
static int clear_dirs(struct place *p, struct err *err)
{
	for (uint32_t i = 0; i < stage_dir_count(p->stage); i++) {
		if (p->dir_stays[i])
			continue;
		const char *path = stage_dir_path(p->stage, i), *rest;
		(void)find_dir(p, path, &rest);
		char parent[TAR_PATH_MAX_BYTES + 1], name[TAR_NAME_MAX_BYTES + 1];
		size_t n = rest > path ? (size_t)(rest - path - 1) : 0, m = strcspn(rest, "/");
		memcpy(parent, path, n);
		parent[n] = '\0';
		memcpy(name, rest, m);
		name[m] = '\0';
		auto_close int fd = beneath_open(stage_rootfd(p->stage), n ? parent : ".",
						 O_RDONLY | O_DIRECTORY, 0, err);
		if (fd < 0)
			return fd;
		int r = io_remove_tree(fd, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct attrs attrs_of(const struct place *p, const struct tree_inode *inode,
			     struct toc_xattr **xattrs)
{
	struct attrs a = { .mode = inode->mode,
			   .uid = inode->uid,
			   .gid = inode->gid,
			   .mtime_s = inode->mtime_s,
			   .mtime_ns = inode->mtime_ns };
	a.xattr_count = tree_xattrs(p->tree, inode, NULL, 0);
	if (a.xattr_count > 0) {
		*xattrs = mem_new(a.xattr_count * sizeof(**xattrs));
		(void)tree_xattrs(p->tree, inode, *xattrs, a.xattr_count);
		a.xattrs = *xattrs;
	}
	return a;
}

/* Make what is no regular file and no directory; false in *made when it is left out. */
static int make_special(struct place *p, const struct tree_inode *inode, int dirfd,
			const char *name, bool *made, struct err *err)
{
	*made = true;
	if (inode->kind == TOC_SYMLINK) {
		if (symlinkat(tree_string(p->tree, inode->link), dirfd, name) < 0)
			return err_sys(err, "create symbolic link '%s'", esc(name));
		return 0;
	}
	if (inode->kind == TOC_FIFO)
		return mkfifoat(dirfd, name, inode->mode) < 0
			       ? err_sys(err, "create fifo '%s'", esc(name))
			       : 0;
	/* 0:0 is overlayfs's whiteout: below an overlay it would hide files */
	bool wanted = p->options->devices && (inode->dev_major != 0 || inode->dev_minor != 0);
	mode_t type = inode->kind == TOC_CHAR ? S_IFCHR : S_IFBLK;
	if (wanted && mknodat(dirfd, name, type | inode->mode,
			      makedev(inode->dev_major, inode->dev_minor)) == 0)
		return 0;
	if (wanted && errno != EPERM)
		return err_sys(err, "create device '%s'", esc(name));
	p->result->skipped_devices++;
	*made = false;
	return 0;
}

static int make_special_with_attrs(struct place *p, const struct tree_inode *inode, int dirfd,
				   const char *name, bool *made, struct err *err)
{
	int r = make_special(p, inode, dirfd, name, made, err);
	if (r < 0 || !*made)
		return r;
	auto_free struct toc_xattr *xattrs = NULL;
	struct attrs attrs = attrs_of(p, inode, &xattrs);
	return attrs_set_at(p->options->policy, dirfd, name, inode->kind == TOC_SYMLINK, &attrs,
			    err);
}

/* One of several names: the inode waits in spare/ under a name of its own, and each name is a link
 * to it. */
static int link_shared(struct place *p, uint32_t node, int dirfd, struct err *err)
{
	uint32_t number = tree_node(p->tree, node)->inode;
	const struct tree_inode *inode = tree_inode(p->tree, number);
	int sparefd = stage_sparefd(p->stage);
	char spare[16];
	(void)snprintf(spare, sizeof(spare), inode->content == TOC_NO_CONTENT ? "i%u" : "%u",
		       inode->content == TOC_NO_CONTENT ? number : inode->content);
	if (linkat(sparefd, spare, dirfd, name_of(p, node), 0) == 0)
		return 0;
	if (errno != ENOENT || inode->content != TOC_NO_CONTENT)
		return err_sys(err, "link '%s'", esc(name_of(p, node)));
	bool made;
	int r = make_special_with_attrs(p, inode, sparefd, spare, &made, err);
	if (r < 0 || !made)
		return r;
	return linkat(sparefd, spare, dirfd, name_of(p, node), 0) < 0
		       ? err_sys(err, "link '%s'", esc(name_of(p, node)))
		       : 0;
}

static int make_name(struct place *p, uint32_t node, struct err *err)
{
	const struct tree_inode *inode = inode_at(p, node);
	const char *name = name_of(p, node);
	bool made;
	if (inode->content != TOC_NO_CONTENT && p->fates[inode->content] == FATE_STAYS)
		return 0;
	if (inode->kind == TOC_DIRECTORY && p->dir_numbers[node] != UINT32_MAX)
		return 0;
	int dirfd = dirwalk_open(p->walk, tree_node(p->tree, node)->parent, err);
	if (dirfd < 0)
		return dirfd;
	if (inode->kind == TOC_DIRECTORY) /* EEXIST: a staged directory without files of its own */
		return mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST
			       ? err_sys(err, "create directory '%s'", esc(name))
			       : 0;
	if (inode->nlink > 1)
		return link_shared(p, node, dirfd, err);
	if (inode->content == TOC_NO_CONTENT)
		return make_special_with_attrs(p, inode, dirfd, name, &made, err);
	if (renameat(stage_sparefd(p->stage), stage_spare_name(inode->content).text, dirfd, name) <
	    0)
		return err_sys(err, "move '%s' into place", esc(name));
	return 0;
}

/* MADE_MODE: what it was made with; more than 07777 for a directory that was there before. */
static int finish_directory(struct place *p, uint32_t node, uint32_t made_mode, struct err *err)
{
	const struct tree_inode *inode = inode_at(p, node);
	int fd = dirwalk_open(p->walk, node, err);
	if (fd < 0)
		return fd;
	auto_free struct toc_xattr *xattrs = NULL;
	struct attrs attrs = attrs_of(p, inode, &xattrs);
	int r = attrs_set_fd(p->options->policy, fd, &attrs, made_mode, err);
	return r < 0 ? err_wrap(err, r, "directory '%s'", esc(name_of(p, node))) : 0;
}

static int finish_directories(struct place *p, bool top, struct err *err)
{
	for (uint32_t i = tree_node_count(p->tree); i-- > 0;) {
		if (!is_alive(p, i) || inode_at(p, i)->kind != TOC_DIRECTORY)
			continue;
		if (i == TREE_ROOT || (tree_node(p->tree, i)->parent == TREE_ROOT) != top)
			continue;
		int r = finish_directory(p, i, 0700, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void place_release(struct place *p)
{
	dirwalk_free(p->walk);
	free(p->fates);
	free(p->dir_numbers);
	free(p->dir_stays);
}

int place_tree(struct stage *stage, const struct tree *tree, const struct place_options *options,
	       struct place_result *out, struct err *err)
{
	__attribute__((cleanup(place_release))) struct place p = {
		.stage = stage,
		.tree = tree,
		.options = options,
		.result = out,
		.walk = dirwalk_new(stage_rootfd(stage), tree),
		.fates = mem_new(stage_content_count(stage)),
		.dir_numbers = mem_new(tree_node_count(tree) * sizeof(uint32_t)),
		.dir_stays = mem_new(stage_dir_count(stage) * sizeof(bool)),
	};
	match_dirs(&p);
	decide_fates(&p);
	int r = clear_files(&p, err);
	if (r == 0)
		r = clear_dirs(&p, err);
	for (uint32_t i = 1; r == 0 && i < tree_node_count(tree); i++) {
		if (is_alive(&p, i))
			r = make_name(&p, i, err);
	}
	return r < 0 ? r : finish_directories(&p, false, err);
}

int place_top(int destfd, const struct tree *tree, const struct place_options *options,
	      struct err *err)
{
	__attribute__((cleanup(place_release))) struct place p = {
		.tree = tree,
		.options = options,
		.walk = dirwalk_new(destfd, tree),
	};
	return finish_directories(&p, true, err);
}

int place_root(int destfd, const struct tree *tree, const struct place_options *options,
	       struct err *err)
{
	__attribute__((cleanup(place_release))) struct place p = {
		.tree = tree,
		.options = options,
		.walk = dirwalk_new(destfd, tree),
	};
	/* it may have had another owner, which attrs_set_fd cannot know */
	if (options->policy->owners &&
	    fchown(destfd, options->policy->uid, options->policy->gid) < 0)
		return err_sys(err, "change the owner of the destination");
	return finish_directory(&p, TREE_ROOT, UINT32_MAX, err);
}
