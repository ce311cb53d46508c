/*
 * Mounting the overlay.  kernel's Documentation/filesystems/overlayfs.rst; fuse-overlayfs(1).
 * In a user namespace marks are kept in user.* attributes: those of an image never get here
 * (layer/toc.h).
 */
#include "fuse/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "fuse/mountinfo.h"

#define OPTIONS_MAX_BYTES 4096 /* the kernel takes one page */
#define HELPER "fuse-overlayfs"
#define HELPER_TIMEOUT_MS 30000

/* PATH with a backslash before what would end it; lower directories end at ':' too. */
static void add_path(struct str *out, const char *key, const char *path, const char *special)
{
	str_addf(out, "%s=", key);
	for (; *path; path++) {
		if (strchr(special, *path))
			str_addc(out, '\\');
		str_addc(out, *path);
	}
}

static void add_options(struct str *out, const struct plan *plan)
{
	add_path(out, "lowerdir", plan->place, ",\\:");
	add_path(out, ",upperdir", plan->upper, ",\\");
	add_path(out, ",workdir", plan->work, ",\\");
}

static int mount_kernels(const struct plan *plan, const char *more, struct err *err)
{
	const struct mount_options *options = plan->options;
	auto_str text = STR_MAX(OPTIONS_MAX_BYTES);
	add_options(&text, plan);
	str_add(&text, more);
	if (text.failed)
		return err_set(err, E2BIG, "the paths of the overlay are too long");
	unsigned long flags = (options->suid ? 0 : MS_NOSUID) | (options->dev ? 0 : MS_NODEV);
	if (mount(OVERLAY_SOURCE, plan->directory, "overlay", flags, str_text(&text)) < 0)
		return err_sys(err, "mount an overlay at '%s'", esc(plan->directory));
	return 0;
}

static int mount_by_helper(const struct plan *plan, struct err *err)
{
	auto_str text = STR_MAX(OPTIONS_MAX_BYTES);
	add_options(&text, plan);
	str_addf(&text, "%s%s", plan->options->suid ? "" : ",nosuid",
		 plan->options->dev ? "" : ",nodev");
	/* who cannot give files away owns them all, as in what they unpack */
	if (geteuid() != 0)
		str_addf(&text, ",squash_to_uid=%u,squash_to_gid=%u", (unsigned)geteuid(),
			 (unsigned)getegid());
	const char *const argv[] = { HELPER, "-o", str_text(&text), plan->directory, NULL };
	struct proc_result result = { 0 };
	int r = proc_run(&result, argv, NULL, 0, HELPER_TIMEOUT_MS, err);
	if (r < 0)
		return r;
	int status = result.status;
	proc_result_release(&result);
	return status ? err_set(err, EOPNOTSUPP, "'" HELPER "' ended with status %d", status) : 0;
}

int overlay_mount(const struct plan *plan, struct err *err)
{
	struct err why = { 0 }, helper = { 0 };
	int r = mount_kernels(plan, "", &why);
	if (r == -EPERM || r == -EINVAL)
		r = mount_kernels(plan, ",userxattr", r == -EPERM ? &why : NULL);
	if (r == 0)
		return 0;
	r = mount_by_helper(plan, &helper);
	if (r < 0)
		return err_set(err, EOPNOTSUPP, "%s; %s", err_text(&why), err_text(&helper));
	return 0;
}

bool overlay_is_mounted(const char *directory)
{
	struct mountinfo info;
	bool found = false;
	if (mountinfo_find(&info, directory, &found, NULL) < 0 || !found)
		return false;
	return (str_equal(info.type, "overlay") && str_equal(info.source, OVERLAY_SOURCE)) ||
	       str_equal(info.type, "fuse.fuse-overlayfs") || str_equal(info.source, HELPER);
}
