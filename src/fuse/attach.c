/*
 * mount(2) with the descriptor of /dev/fuse, and what goes with it.  fuse(4); kernel's
 * Documentation/filesystems/fuse.rst.
 */
#include "fuse/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuse/fusermount.h"
#include "fuse/mountinfo.h"

#define DEVICE "/dev/fuse"
#define DEVICE_MAJOR 10u /* kernel's Documentation/admin-guide/devices.txt */
#define DEVICE_MINOR 229u
#define OPTIONS_MAX_BYTES 2048
#define SOURCE_MAX_BYTES 256
#define STATUS_MAX_BYTES (64u * 1024)
#define CAP_SYS_ADMIN_BIT (UINT64_C(1) << 21)

static int open_device(int *fd, struct err *err)
{
	*fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct stat st;
	if (*fd >= 0 && fstat(*fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	    st.st_rdev == makedev(DEVICE_MAJOR, DEVICE_MINOR))
		return 0;
	if (*fd >= 0)
		return err_set(err, EOPNOTSUPP, "'" DEVICE "' is not the device of FUSE");
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return err_set(err, EOPNOTSUPP,
			       "there is no " DEVICE ": load the kernel's 'fuse' module, or give "
			       "the device to this container");
	if (errno == EACCES || errno == EPERM)
		return err_set(err, EACCES, "'" DEVICE "' may not be opened");
	return err_sys(err, "open '" DEVICE "'");
}

/* In whichever user namespace we are. */
static bool is_admin(void)
{
	auto_free char *text = NULL;
	size_t size;
	if (io_read_file(AT_FDCWD, "/proc/self/status", STATUS_MAX_BYTES, &text, &size, NULL) < 0)
		return geteuid() == 0;
	const char *at = strstr(text, "\nCapEff:\t");
	return at && strtoull(at + strlen("\nCapEff:\t"), NULL, 16) & CAP_SYS_ADMIN_BIT;
}

int attach_usable(struct err *err)
{
	auto_close int fd = -1;
	int r = open_device(&fd, err);
	if (r < 0 || is_admin())
		return r;
	if (geteuid() == 0)
		return err_set(err, EACCES, "mounting needs CAP_SYS_ADMIN");
	if (!fusermount_exists())
		return err_set(err, EOPNOTSUPP,
			       "mounting without root needs 'fusermount3' (Debian: fuse3)");
	return 0;
}

static int mount_ourselves(int *out, const struct attach_options *options, struct err *err)
{
	auto_close int fd = -1;
	int r = open_device(&fd, err);
	if (r < 0)
		return r;
	auto_str data = STR_MAX(OPTIONS_MAX_BYTES);
	str_addf(&data, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions%s", fd,
		 (unsigned)geteuid(), (unsigned)getegid(),
		 options->allow_other ? ",allow_other" : "");
	unsigned long flags = MS_RDONLY | (options->suid ? 0 : MS_NOSUID) |
			      (options->dev ? 0 : MS_NODEV);
	if (mount(options->source, options->directory, MOUNT_TYPE, flags, str_text(&data)) < 0)
		return err_sys(err, "mount at '%s'", esc(options->directory));
	*out = TAKE_FD(fd);
	return 0;
}

/* fusermount3 takes a backslash before what would end the value. */
static void add_source(struct str *out, const char *source)
{
	for (size_t i = 0; source[i] && i < SOURCE_MAX_BYTES; i++) {
		if (source[i] == ',' || source[i] == '\\')
			str_addc(out, '\\');
		str_addc(out, source[i]);
	}
}

static int mount_by_helper(int *out, const struct attach_options *options, struct err *err)
{
	auto_str text = STR_MAX(OPTIONS_MAX_BYTES);
	/* nosuid and nodev are fusermount's own doing for all but root */
	str_addf(&text, "ro,default_permissions,subtype=rootlet%s,fsname=",
		 options->allow_other ? ",allow_other" : "");
	add_source(&text, options->source);
	int r = fusermount_mount(out, options->directory, str_text(&text), err);
	return r < 0 ? err_wrap(err, r, "mount at '%s'", esc(options->directory)) : 0;
}

int attach_mount(int *fd, const struct attach_options *options, struct err *err)
{
	struct err why = { 0 };
	int r = mount_ourselves(fd, options, &why);
	if (r == -EPERM && geteuid() != 0)
		return mount_by_helper(fd, options, err);
	if (r == -EPERM)
		return err_set(err, EOPNOTSUPP, "%s (this needs CAP_SYS_ADMIN)", why.text);
	if (r == -ENODEV)
		return err_set(err, EOPNOTSUPP, "%s (the kernel has no FUSE)", why.text);
	if (r < 0)
		return err_set(err, -r, "%s", why.text);
	return 0;
}

int attach_unmount(const char *directory, bool lazily, struct err *err)
{
	if (umount2(directory, UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EPERM && geteuid() != 0)
		return fusermount_unmount(directory, lazily, err);
	if (errno == EBUSY)
		return err_set(err, EBUSY, "'%s' is busy: something of it is in use",
			       esc(directory));
	return err_sys(err, "unmount '%s'", esc(directory));
}

void attach_read_ahead(const char *directory, unsigned kib)
{
	struct mountinfo info;
	bool found = false;
	if (mountinfo_find(&info, directory, &found, NULL) < 0 || !found)
		return;
	char path[128], text[32];
	(void)snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", info.major,
		       info.minor);
	(void)snprintf(text, sizeof(text), "%u", kib);
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		IGNORE(io_write_all(fd, text, strlen(text), NULL));
}

/* statfs is the one question the kernel never answers from what it remembers. */
bool attach_is_dead(const char *directory, int timeout_ms)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct statfs st;
		_exit(statfs(directory, &st) < 0 && errno == ENOTCONN ? 1 : 0);
	}
	if (pid < 0)
		return false;
	auto_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int status = 0;
	if (poll(&ended, 1, timeout_ms) != 1) {
		/* who waits for a mount that hangs is left to init */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, WNOHANG);
		return false;
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}
