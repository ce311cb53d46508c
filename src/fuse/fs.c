/*
 * Names and attributes of the file system, and what is agreed with the kernel at its start.
 *
 * Everything here is a look into immutable memory: no lock, no wait, any thread.  What the kernel
 * was told once it may keep: nothing of an image ever changes.
 */
#include "fuse/fs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "base/str.h"
#include "fuse/fs-internal.h"

#define BLOCK_BYTES 4096u
#define NAME_BYTES_MAX 255
/* Reads in flight for read-ahead; their memory is only touched as bytes come. */
#define BACKGROUND_MAX 128
#define BACKGROUND_CONGESTED 96
#define READ_AHEAD_MAX_BYTES (1024u * 1024)
#define XATTRS_SEEN_MAX 64

uint64_t fs_counters_sum(const struct fs_counters *counters)
{
	return counters->lookups + counters->attributes + counters->directories + counters->links +
	       counters->xattrs + counters->others + counters->reads;
}

static bool inode_has_acl(const struct rootfs *rootfs, const struct rootfs_inode *inode)
{
	struct toc_xattr xattrs[XATTRS_SEEN_MAX];
	size_t count = rootfs_xattrs(rootfs, inode, xattrs, XATTRS_SEEN_MAX);
	if (count > XATTRS_SEEN_MAX)
		return true; /* a wrong yes costs some getxattr */
	for (size_t i = 0; i < count; i++) {
		if (str_starts(xattrs[i].name, "system.posix_acl_"))
			return true;
	}
	return false;
}

static bool find_acls(const struct rootfs *rootfs)
{
	for (uint32_t n = 1; n <= rootfs_inode_count(rootfs); n++) {
		const struct rootfs_inode *inode = rootfs_inode(rootfs, n);
		if (inode->xattrs && inode_has_acl(rootfs, inode))
			return true;
	}
	return false;
}

void fs_init(struct fs *fs, struct lazy *lazy, struct fs_counters *counters)
{
	const struct rootfs *rootfs = lazy_rootfs(lazy);
	*fs = (struct fs){ .lazy = lazy, .counters = counters };
	fs->has_xattrs = rootfs_has_xattrs(rootfs);
	fs->has_acls = fs->has_xattrs && find_acls(rootfs);
}

/* libfuse 3.17 keeps the flags in two places, which must not both be written. */
static void want(struct fuse_conn_info *conn, unsigned flag, bool yes)
{
#ifdef HAVE_FUSE_SET_FEATURE_FLAG
	if (yes)
		(void)fuse_set_feature_flag(conn, flag);
	else
		fuse_unset_feature_flag(conn, flag);
#else
	conn->want = yes ? conn->want | (conn->capable & flag) : conn->want & ~flag;
#endif
}

static void agree(void *userdata, struct fuse_conn_info *conn)
{
	const struct fs *fs = userdata;
	static const unsigned wanted[] = {
		FUSE_CAP_ASYNC_READ,	     FUSE_CAP_READDIRPLUS,    FUSE_CAP_READDIRPLUS_AUTO,
		FUSE_CAP_PARALLEL_DIROPS,    FUSE_CAP_CACHE_SYMLINKS, FUSE_CAP_NO_OPEN_SUPPORT,
		FUSE_CAP_NO_OPENDIR_SUPPORT,
	};
	static const unsigned unwanted[] = {
		FUSE_CAP_SPLICE_READ, FUSE_CAP_SPLICE_WRITE,	FUSE_CAP_SPLICE_MOVE,
		FUSE_CAP_POSIX_LOCKS, FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_FLOCK_LOCKS,
	};
	for (size_t i = 0; i < N_ELEMENTS(wanted); i++)
		want(conn, wanted[i], true);
	for (size_t i = 0; i < N_ELEMENTS(unwanted); i++)
		want(conn, unwanted[i], false);
	want(conn, FUSE_CAP_POSIX_ACL, fs->has_acls);
	/* The kernel's offer is the device's read-ahead, 128 KiB; who may raises it in sysfs. */
	if (conn->max_readahead > READ_AHEAD_MAX_BYTES)
		conn->max_readahead = READ_AHEAD_MAX_BYTES;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_CONGESTED;
}

static blkcnt_t blocks_of(const struct fs *fs, const struct rootfs_inode *inode)
{
	uint64_t bytes = inode->size;
	if (S_ISREG(inode->mode) && bytes > 0)
		bytes = lazy_stored_bytes(fs->lazy, inode);
	return (blkcnt_t)(bytes / 512 + (bytes % 512 != 0));
}

void fs_fill_attributes(const struct fs *fs, struct stat *out, const struct rootfs_inode *inode,
			uint64_t number)
{
	struct timespec time = { .tv_sec = inode->mtime_s, .tv_nsec = inode->mtime_ns };
	*out = (struct stat){
		.st_ino = number,
		.st_mode = inode->mode,
		.st_nlink = inode->nlink,
		.st_uid = inode->uid,
		.st_gid = inode->gid,
		.st_size = (off_t)inode->size,
		.st_blksize = BLOCK_BYTES,
		.st_blocks = blocks_of(fs, inode),
		.st_mtim = time,
		.st_atim = time,
		.st_ctim = time,
	};
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		out->st_rdev = makedev(inode->a, inode->b);
}

static void lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct fs *fs = fs_of(req);
	const struct rootfs *rootfs = lazy_rootfs(fs->lazy);
	const struct rootfs_inode *dir = rootfs_inode(rootfs, parent);
	fs_count(&fs->counters->lookups);
	if (!dir || !S_ISDIR(dir->mode)) {
		(void)fuse_reply_err(req, dir ? ENOTDIR : ENOENT);
		return;
	}
	uint32_t number = rootfs_lookup(rootfs, dir, name, strlen(name));
	/* number 0: there is no such name, and the kernel may remember that */
	struct fuse_entry_param entry = {
		.ino = number,
		.attr_timeout = FS_FOREVER_SECONDS,
		.entry_timeout = FS_FOREVER_SECONDS,
	};
	if (number != ROOTFS_NONE)
		fs_fill_attributes(fs, &entry.attr, rootfs_inode(rootfs, number), number);
	(void)fuse_reply_entry(req, &entry);
}

static void getattr(fuse_req_t req, fuse_ino_t number, struct fuse_file_info *file)
{
	(void)file;
	const struct rootfs_inode *inode = fs_inode(req, number);
	fs_count(&fs_of(req)->counters->attributes);
	if (!inode) {
		(void)fuse_reply_err(req, ENOENT);
		return;
	}
	struct stat st;
	fs_fill_attributes(fs_of(req), &st, inode, number);
	(void)fuse_reply_attr(req, &st, FS_FOREVER_SECONDS);
}

static void readlink_(fuse_req_t req, fuse_ino_t number)
{
	const struct rootfs_inode *inode = fs_inode(req, number);
	fs_count(&fs_of(req)->counters->links);
	if (inode && S_ISLNK(inode->mode))
		(void)fuse_reply_readlink(req,
					  rootfs_string(lazy_rootfs(fs_of(req)->lazy), inode->a));
	else
		(void)fuse_reply_err(req, EINVAL);
}

static void statfs_(fuse_req_t req, fuse_ino_t number)
{
	(void)number;
	const struct rootfs *rootfs = lazy_rootfs(fs_of(req)->lazy);
	fs_count(&fs_of(req)->counters->others);
	struct statvfs st = {
		.f_bsize = BLOCK_BYTES,
		.f_frsize = BLOCK_BYTES,
		.f_blocks = rootfs_bytes(rootfs) / BLOCK_BYTES + 1,
		.f_files = rootfs_inode_count(rootfs),
		.f_namemax = NAME_BYTES_MAX,
	};
	(void)fuse_reply_statfs(req, &st);
}

/* "Not needed": the kernel opens by itself from then on, and keeps what it has read. */
static void open_(fuse_req_t req, fuse_ino_t number, struct fuse_file_info *file)
{
	(void)number;
	(void)file;
	fs_count(&fs_of(req)->counters->others);
	(void)fuse_reply_err(req, ENOSYS);
}

const struct fuse_lowlevel_ops *fs_ops(void)
{
	static const struct fuse_lowlevel_ops ops = {
		.init = agree,
		.lookup = lookup,
		.getattr = getattr,
		.readlink = readlink_,
		.open = open_,
		.read = fs_read,
		.opendir = open_,
		.readdir = fs_readdir,
		.readdirplus = fs_readdirplus,
		.statfs = statfs_,
		.getxattr = fs_getxattr,
		.listxattr = fs_listxattr,
	};
	return &ops;
}
