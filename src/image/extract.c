/*
 * A walk that makes what it visits.  Only the directory it is in is open: down is openat() of what
 * was just made, up is "..", held against the device and inode that were there on the way down.
 * Files with several names are made in links/ by their number and linked from there.
 *
 *	DIR/.rootlet-cp-XXXXXXXX/	0700
 *		tree			what becomes NAME
 *		links/NUMBER		inodes with several names
 */
#include "image/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/siphash.h"
#include "base/str.h"
#include "image/attrs.h"
#include "image/contents.h"
#include "image/rootfs-walk.h"

#define TOP_NAME "tree"
#define LINKS_NAME "links"
#define BLOCK_BYTES 4096u

/* A directory on the way down. */
struct place {
	dev_t device;
	ino_t inode;
};

struct extract {
	struct lazy *lazy;		       /* borrowed */
	const struct rootfs *rootfs;	       /* borrowed */
	const struct extract_options *options; /* borrowed */
	struct extract_result *result;	       /* borrowed */
	struct attrs_policy policy;
	int dirfd;	      /* owned: where the walk is */
	int linksfd;	      /* owned */
	int topfd;	      /* owned: the directory that was asked for, when it is full */
	struct place *places; /* owned: of the directories above it */
	size_t depth, capacity;
	struct contents_row row; /* of the files that are made */
};

static void extract_release(struct extract *x)
{
	contents_row_release(&x->row);
	mem_close_fd(&x->dirfd);
	mem_close_fd(&x->linksfd);
	mem_close_fd(&x->topfd);
	free(x->places);
}

/* ---- attributes */

struct given {
	struct attrs attrs;
	struct toc_xattr *xattrs; /* owned */
};

static void given_release(struct given *given)
{
	free(given->xattrs);
}

static struct given given_of(const struct extract *x, const struct rootfs_inode *inode)
{
	struct given given = { .attrs = { .mode = inode->mode & 07777,
					  .uid = inode->uid,
					  .gid = inode->gid,
					  .mtime_s = inode->mtime_s,
					  .mtime_ns = inode->mtime_ns } };
	given.attrs.xattr_count = rootfs_xattrs(x->rootfs, inode, NULL, 0);
	if (given.attrs.xattr_count > 0) {
		given.xattrs = mem_new(given.attrs.xattr_count * sizeof(*given.xattrs));
		(void)rootfs_xattrs(x->rootfs, inode, given.xattrs, given.attrs.xattr_count);
		given.attrs.xattrs = given.xattrs;
	}
	return given;
}
#define auto_given __attribute__((cleanup(given_release))) struct given

/* ---- bytes */

struct writing {
	int fd;
	uint64_t at;
};

static bool is_zero(const uint8_t *data, size_t size)
{
	return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static int write_at(struct writing *w, const uint8_t *data, size_t size, struct err *err)
{
	while (size > 0) {
		ssize_t n = pwrite(w->fd, data, size, (off_t)w->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write");
		data += n;
		size -= (size_t)n;
		w->at += (uint64_t)n;
	}
	return 0;
}

/* Blocks of zeros are left out: the file gets its length at the end. */
static int write_piece(void *arg, const void *data, size_t size, struct err *err)
{
	struct writing *w = arg;
	const uint8_t *from = data, *end = from + size;
	int r = 0;
	while (r == 0 && from < end) {
		const uint8_t *to = from;
		size_t n = 0;
		for (; to < end; to += n) {
			n = (size_t)(end - to) < BLOCK_BYTES ? (size_t)(end - to) : BLOCK_BYTES;
			if (is_zero(to, n))
				break;
		}
		r = write_at(w, from, (size_t)(to - from), err);
		if (to < end)
			w->at += n;
		from = to < end ? to + n : end;
	}
	return r;
}

static int make_file(struct extract *x, int dirfd, const char *name, uint32_t number,
		     struct err *err)
{
	const struct rootfs_inode *inode = rootfs_inode(x->rootfs, number);
	auto_given given = given_of(x, inode);
	auto_close int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "create '%s'", esc(name));
	struct writing writing = { fd, 0 };
	int r = contents_read(x->lazy, number, write_piece, &writing, err);
	if (r == 0 && ftruncate(fd, (off_t)inode->size) < 0)
		r = err_sys(err, "set the length");
	if (r == 0)
		r = attrs_set_fd(&x->policy, fd, &given.attrs, 0600, err);
	if (r < 0)
		return err_wrap(err, r, "'%s'", esc(name));
	x->result->bytes += inode->size;
	return 0;
}

/* ---- what is no file and no directory */

static int make_node(struct extract *x, int dirfd, const char *name,
		     const struct rootfs_inode *inode, bool *made, struct err *err)
{
	bool device = S_ISCHR(inode->mode) || S_ISBLK(inode->mode);
	*made = true;
	if (S_ISLNK(inode->mode)) {
		if (symlinkat(rootfs_string(x->rootfs, inode->a), dirfd, name) < 0)
			return err_sys(err, "create symbolic link '%s'", esc(name));
		return 0;
	}
	if (device && !x->options->devices) {
		x->result->skipped_devices++;
		*made = false;
		return 0;
	}
	mode_t mode = (inode->mode & S_IFMT) | 0600;
	if (mknodat(dirfd, name, mode, device ? makedev(inode->a, inode->b) : 0) < 0)
		return err_sys(err, "create '%s'", esc(name));
	return 0;
}

static int make_special(struct extract *x, int dirfd, const char *name,
			const struct rootfs_inode *inode, bool *made, struct err *err)
{
	auto_given given = given_of(x, inode);
	int r = make_node(x, dirfd, name, inode, made, err);
	if (r == 0 && *made)
		r = attrs_set_at(&x->policy, dirfd, name, S_ISLNK(inode->mode), &given.attrs, err);
	return r;
}

static int make_leaf(struct extract *x, int dirfd, const char *name, uint32_t number, bool *made,
		     struct err *err)
{
	const struct rootfs_inode *inode = rootfs_inode(x->rootfs, number);
	*made = true;
	if (S_ISREG(inode->mode))
		return make_file(x, dirfd, name, number, err);
	return make_special(x, dirfd, name, inode, made, err);
}

/* One of several names: the inode is in links/, or is made there now. */
static int make_linked(struct extract *x, const char *name, uint32_t number, struct err *err)
{
	char kept[16];
	bool made = true;
	(void)snprintf(kept, sizeof(kept), "%u", number);
	struct stat st;
	if (fstatat(x->linksfd, kept, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = make_leaf(x, x->linksfd, kept, number, &made, err);
		if (r < 0 || !made)
			return r;
	}
	if (linkat(x->linksfd, kept, x->dirfd, name, 0) < 0)
		return err_sys(err, "link '%s'", esc(name));
	return 0;
}

/* ---- down and up */

static int go_down(struct extract *x, const char *name, struct err *err)
{
	struct stat st;
	if (fstat(x->dirfd, &st) < 0)
		return err_sys(err, "look at a directory");
	if (mkdirat(x->dirfd, name, 0700) < 0)
		return err_sys(err, "create directory '%s'", esc(name));
	int fd = openat(x->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open directory '%s'", esc(name));
	x->places = mem_grow(x->places, &x->capacity, x->depth, sizeof(*x->places));
	x->places[x->depth++] = (struct place){ st.st_dev, st.st_ino };
	mem_close_fd(&x->dirfd);
	x->dirfd = fd;
	return 0;
}

static int finish_directory(struct extract *x, int fd, const struct rootfs_inode *inode,
			    struct err *err)
{
	auto_given given = given_of(x, inode);
	return attrs_set_fd(&x->policy, fd, &given.attrs, 0700, err);
}

static int go_up(struct extract *x, const struct rootfs_inode *inode, struct err *err)
{
	struct stat st;
	auto_close int above = openat(x->dirfd, "..",
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (above < 0 || fstat(above, &st) < 0)
		return err_sys(err, "open the directory above");
	const struct place *place = &x->places[--x->depth];
	if (st.st_dev != place->device || st.st_ino != place->inode)
		return err_set(err, EIO, "a directory was moved while it was filled");
	/* the one on top has still to be moved, which its own mode may forbid */
	int r = x->depth > 0 ? finish_directory(x, x->dirfd, inode, err) : 0;
	if (r < 0)
		return r;
	if (x->depth == 0)
		x->topfd = TAKE_FD(x->dirfd);
	mem_close_fd(&x->dirfd);
	x->dirfd = TAKE_FD(above);
	return 0;
}

static int visit_one(void *arg, const struct rootfs_visit *visit, struct err *err)
{
	struct extract *x = arg;
	const char *name = visit->depth == 0 ? TOP_NAME : visit->name;
	bool made = true;
	if (x->options->cancel && atomic_load(x->options->cancel))
		return err_set(err, ECANCELED, "stopped");
	if (visit->leaving)
		return go_up(x, visit->inode, err);
	x->result->names++;
	if (S_ISDIR(visit->inode->mode))
		return go_down(x, name, err);
	if (S_ISREG(visit->inode->mode))
		contents_row_next(&x->row);
	if (visit->inode->nlink > 1)
		return make_linked(x, name, visit->number, err);
	return make_leaf(x, x->dirfd, name, visit->number, &made, err);
}

/* ---- the private directory */

static int make_private(int dirfd, char name[32], int *out, struct err *err)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		uint64_t number = siphash(&tries, sizeof(tries)) ^ ((uint64_t)getpid() << 32);
		(void)snprintf(name, 32, ".rootlet-cp-%08x", (unsigned)(number ^ number >> 32));
		if (mkdirat(dirfd, name, 0700) == 0) {
			*out = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			return *out < 0 ? err_sys(err, "open a directory in the destination") : 0;
		}
		if (errno != EEXIST)
			return err_sys(err, "create a directory in the destination");
	}
	return err_set(err, EIO, "cannot find a free name in the destination");
}

/* A regular file may take the place of one; nothing else is replaced. */
static int move_in(int fromfd, int dirfd, const char *name, bool is_file, struct err *err)
{
	struct stat st;
	unsigned flags = RENAME_NOREPLACE;
	if (is_file && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		flags = 0;
	if (renameat2(fromfd, TOP_NAME, dirfd, name, flags) == 0)
		return 0;
	if (errno != EINVAL || flags == 0)
		return err_sys(err, "create '%s'", esc(name));
	/* a file system that cannot keep from replacing */
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, EINVAL, "create '%s': it exists", esc(name));
	if (renameat(fromfd, TOP_NAME, dirfd, name) < 0)
		return err_sys(err, "create '%s'", esc(name));
	return 0;
}

static int fill(struct extract *x, int privatefd, uint32_t number, struct err *err)
{
	x->dirfd = openat(privatefd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->dirfd < 0 || mkdirat(privatefd, LINKS_NAME, 0700) < 0)
		return err_sys(err, "create a directory in the destination");
	x->linksfd = openat(privatefd, LINKS_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (x->linksfd < 0)
		return err_sys(err, "open a directory in the destination");
	contents_row_init(&x->row, x->lazy, number);
	return rootfs_walk(x->rootfs, number, "", &(struct rootfs_walk_options){ visit_one, x },
			   err);
}

int extract_inode(struct lazy *lazy, uint32_t number, int dirfd, const char *name,
		  const struct extract_options *options, struct extract_result *out,
		  struct err *err)
{
	char private[32];
	auto_close int privatefd = -1;
	struct extract_result result = { 0 };
	__attribute__((cleanup(extract_release))) struct extract x = {
		.lazy = lazy,
		.rootfs = lazy_rootfs(lazy),
		.options = options,
		.result = &result,
		.dirfd = -1,
		.linksfd = -1,
		.topfd = -1,
	};
	attrs_policy_init(&x.policy);
	int r = make_private(dirfd, private, &privatefd, err);
	if (r < 0)
		return r;
	const struct rootfs_inode *inode = rootfs_inode(x.rootfs, number);
	r = fill(&x, privatefd, number, err);
	if (r == 0)
		r = move_in(privatefd, dirfd, name, S_ISREG(inode->mode), err);
	if (r == 0 && x.topfd >= 0)
		r = finish_directory(&x, x.topfd, inode, err);
	IGNORE(io_remove_tree(dirfd, private, NULL));
	if (r < 0)
		return r;
	result.failed_owners = x.policy.failed_owners;
	result.failed_xattrs = x.policy.failed_xattrs;
	*out = result;
	return 0;
}
