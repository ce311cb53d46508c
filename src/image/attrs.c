/* Attributes in the order that keeps them: owner (clears set-id bits), xattrs, mode, times. */
#include "image/attrs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/esc.h"

void attrs_policy_init(struct attrs_policy *policy)
{
	*policy = (struct attrs_policy){ .owners = geteuid() == 0,
					 .uid = geteuid(),
					 .gid = getegid() };
}

static bool is_refusal(int code)
{
	return code == EPERM || code == EINVAL || code == EOPNOTSUPP;
}

/* True when the owner has to be changed and may be. */
static bool wants_chown(struct attrs_policy *policy, const struct attrs *attrs)
{
	if (attrs->uid == policy->uid && attrs->gid == policy->gid)
		return false;
	if (policy->owners)
		return true;
	policy->failed_owners++;
	return false;
}

static int chown_failed(struct attrs_policy *policy, const struct attrs *attrs, struct err *err)
{
	if (!is_refusal(errno)) /* EINVAL: no such id in this user namespace */
		return err_sys(err, "change owner to %u:%u", attrs->uid, attrs->gid);
	policy->failed_owners++;
	return 0;
}

/*
 * More than the file system holds for one file.  ext4 says ENOSPC for that, as it does when the
 * disk is full; then there are no free blocks.
 */
static bool is_too_much(int fd, int code)
{
	struct statvfs fs;
	if (code == ENOSPC)
		return fstatvfs(fd, &fs) == 0 && fs.f_bavail > 0;
	return code == E2BIG || code == ERANGE;
}

static int xattr_failed(struct attrs_policy *policy, int fd, const char *name, struct err *err)
{
	int code = errno;
	if (!is_refusal(code) && code != EACCES && !is_too_much(fd, code))
		return err_errno(err, code, "set xattr '%s'", esc(name));
	policy->failed_xattrs++;
	return 0;
}

static void times_of(struct timespec times[2], const struct attrs *attrs)
{
	times[0] = (struct timespec){ .tv_nsec = UTIME_OMIT };
	times[1] = (struct timespec){ .tv_sec = attrs->mtime_s, .tv_nsec = attrs->mtime_ns };
}

static int set_xattrs_fd(struct attrs_policy *policy, int fd, const struct attrs *attrs,
			 struct err *err)
{
	for (size_t i = 0; i < attrs->xattr_count; i++) {
		const struct toc_xattr *x = &attrs->xattrs[i];
		if (fsetxattr(fd, x->name, x->value, x->size, 0) == 0)
			continue;
		int r = xattr_failed(policy, fd, x->name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int attrs_set_fd(struct attrs_policy *policy, int fd, const struct attrs *attrs, uint32_t made_mode,
		 struct err *err)
{
	int r = 0;
	if (wants_chown(policy, attrs) && fchown(fd, attrs->uid, attrs->gid) < 0)
		r = chown_failed(policy, attrs, err);
	if (r < 0)
		return r;
	/* an ordinary owner needs leave to write for user.* */
	bool opened = attrs->xattr_count > 0 && !(made_mode & S_IWUSR);
	if (opened && fchmod(fd, (made_mode & 0777) | S_IWUSR) < 0)
		return err_sys(err, "set mode");
	r = set_xattrs_fd(policy, fd, attrs, err);
	if (r < 0)
		return r;
	/* writing and changing the owner clear set-id bits, whatever the file was made with */
	bool special = (attrs->mode & (S_ISUID | S_ISGID)) != 0;
	if ((special || opened || attrs->mode != made_mode) && fchmod(fd, attrs->mode) < 0)
		return err_sys(err, "set mode %04o", attrs->mode);
	struct timespec times[2];
	times_of(times, attrs);
	return futimens(fd, times) < 0 ? err_sys(err, "set times") : 0;
}

static int set_xattrs_at(struct attrs_policy *policy, int dirfd, const char *name,
			 const struct attrs *attrs, struct err *err)
{
	char path[64 + TAR_NAME_MAX_BYTES];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	for (size_t i = 0; i < attrs->xattr_count; i++) {
		const struct toc_xattr *x = &attrs->xattrs[i];
		if (lsetxattr(path, x->name, x->value, x->size, 0) == 0)
			continue;
		int r = xattr_failed(policy, dirfd, x->name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int attrs_set_at(struct attrs_policy *policy, int dirfd, const char *name, bool is_link,
		 const struct attrs *attrs, struct err *err)
{
	int r = 0;
	if (wants_chown(policy, attrs) &&
	    fchownat(dirfd, name, attrs->uid, attrs->gid, AT_SYMLINK_NOFOLLOW) < 0)
		r = chown_failed(policy, attrs, err);
	if (r < 0)
		return r;
	/* no link is there: NAME was just made by us in a directory only we can enter */
	if (!is_link && fchmodat(dirfd, name, attrs->mode, 0) < 0)
		return err_sys(err, "set mode %04o", attrs->mode);
	r = set_xattrs_at(policy, dirfd, name, attrs, err);
	if (r < 0)
		return r;
	struct timespec times[2];
	times_of(times, attrs);
	return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? err_sys(err, "set times")
								      : 0;
}
