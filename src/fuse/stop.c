/* Ending mounts, and asking how they are: what is done from outside. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuse/attach.h"
#include "fuse/mount.h"
#include "fuse/mountinfo.h"
#include "fuse/overlay.h"
#include "fuse/plan.h"
#include "fuse/run-dir.h"
#include "fuse/status.h"

#define END_TIMEOUT_MS 30000
#define LAZY_TIMEOUT_MS 1000
#define TEXT_MAX_BYTES (256u * 1024)

/* Wait until PID is no more; 0 is nobody. */
static bool has_ended(pid_t pid, int timeout_ms)
{
	if (pid <= 0)
		return true;
	auto_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH;
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	return poll(&ended, 1, timeout_ms) == 1;
}

static bool is_image(const char *directory)
{
	struct mountinfo info;
	bool found = false;
	return mountinfo_find(&info, directory, &found, NULL) == 0 && found &&
	       str_equal(info.type, MOUNT_TYPE);
}

/* *any: something was there. */
static int unmount_all(const char *directory, const char *lower, bool lazily, bool *any,
		       struct err *err)
{
	int r = 0;
	bool image = is_image(directory);
	bool overlay = !image && is_image(lower) && overlay_is_mounted(directory);
	if (image || overlay) {
		*any = true;
		r = attach_unmount(directory, lazily, err);
	}
	/* the supervisor takes it away, too, when the overlay goes: who comes second is right */
	if (r == 0 && is_image(lower)) {
		*any = true;
		struct err why = { 0 };
		r = attach_unmount(lower, lazily, &why);
		if (r < 0 && is_image(lower))
			return err_set(err, -r, "%s", why.text);
		r = 0;
	}
	return r;
}

static int wait_for_end(const char *directory, const struct run_dir *run, const char *id,
			struct run_alive alive, bool lazily, struct err *err)
{
	int timeout_ms = lazily ? LAZY_TIMEOUT_MS : END_TIMEOUT_MS;
	bool ended = has_ended(alive.supervisor, timeout_ms) && has_ended(alive.daemon, timeout_ms);
	if (!ended && !lazily)
		return err_set(err, ETIMEDOUT,
			       "'%s' is unmounted, but process %d serves it still after %d "
			       "seconds: it is mounted in another mount namespace, too (a "
			       "container?), or its fetches do not end",
			       esc(directory),
			       (int)(alive.supervisor ? alive.supervisor : alive.daemon),
			       END_TIMEOUT_MS / 1000);
	struct run_alive now = run_dir_alive(run, id);
	if (!now.supervisor && !now.daemon)
		run_dir_forget(run, id, false); /* of one that was killed */
	return 0;
}

int mount_stop(const char *directory, bool lazily, struct err *err)
{
	auto_free char *real = NULL;
	auto_run_dir run = { .fd = -1 };
	int r = plan_directory(&real, directory, err);
	if (r == 0)
		r = run_dir_open(&run, err);
	if (r < 0)
		return r;
	struct run_id id = run_dir_id(real);
	struct run_alive alive = run_dir_alive(&run, id.text);
	auto_free char *lower = run_dir_path(&run, id.text, "lower");
	bool any = false;
	r = unmount_all(real, lower, lazily, &any, err);
	if (r < 0)
		return r;
	if (!any && !alive.supervisor && !alive.daemon)
		return err_set(err, ENOENT, "no image is mounted at '%s'", esc(directory));
	if (!any && alive.supervisor) /* it is still on its way */
		(void)kill(alive.supervisor, SIGTERM);
	return wait_for_end(directory, &run, id.text, alive, lazily, err);
}

/* ---- status */

struct asking {
	const struct run_dir *run;
	const char *only; /* an ID, or NULL */
	bool found;
	int (*each)(void *arg, const char *json, size_t size, struct err *err);
	void *arg;
	struct err *err;
	int r;
};

static void add_member(struct str *out, const struct json_value *object, const char *key)
{
	const struct json_value *value = json_get(object, key);
	str_addf(out, "\"%s\":", key);
	if (value)
		json_add_value(out, value);
	else
		str_add(out, "null");
	str_addc(out, ',');
}

static void add_pid(struct str *out, const char *key, pid_t pid)
{
	if (pid > 0)
		str_addf(out, "\"%s\":%d,", key, (int)pid);
	else
		str_addf(out, "\"%s\":null,", key);
}

/* What ID.json and the locks tell of a mount whose daemon does not answer. */
static int describe_silent(struct str *out, const struct run_dir *run, const char *id)
{
	auto_free char *text = NULL;
	size_t size;
	AUTO(json) json = NULL;
	int r = run_dir_read(run, id, &text, &size, NULL);
	if (r == 0)
		r = json_parse(&json, text, size, 0, NULL);
	if (r < 0)
		return r;
	struct run_alive alive = run_dir_alive(run, id);
	const struct json_value *root = json_root(json);
	str_addc(out, '{');
	add_member(out, root, "image");
	add_member(out, root, "directory");
	add_pid(out, "daemon_pid", alive.daemon);
	add_pid(out, "supervisor_pid", alive.supervisor);
	add_member(out, root, "restarts");
	add_member(out, root, "started");
	bool dead = !alive.supervisor && !alive.daemon;
	str_addf(out, "\"state\":\"%s\"}", dead ? "dead" : "silent");
	return out->failed ? -E2BIG : 0;
}

static int ask_one(void *arg, const char *id)
{
	struct asking *asking = arg;
	if (asking->only && !str_equal(asking->only, id))
		return 0;
	auto_free char *json = NULL;
	auto_str silent = STR_MAX(TEXT_MAX_BYTES);
	size_t size = 0;
	const char *text = NULL;
	if (status_ask(asking->run, id, &json, &size, NULL) == 0) {
		text = json;
	} else if (describe_silent(&silent, asking->run, id) == 0) {
		text = str_text(&silent);
		size = silent.length;
	}
	if (!text)
		return 0; /* it ended meanwhile */
	asking->found = true;
	asking->r = asking->each(asking->arg, text, size, asking->err);
	return asking->r < 0;
}

int mount_status(const char *directory,
		 int (*each)(void *arg, const char *json, size_t size, struct err *err), void *arg,
		 struct err *err)
{
	auto_run_dir run = { .fd = -1 };
	auto_free char *real = NULL;
	struct run_id id;
	struct asking asking = { .run = &run, .each = each, .arg = arg, .err = err };
	int r = run_dir_open(&run, err);
	if (r == 0 && directory)
		r = plan_directory(&real, directory, err);
	if (r < 0)
		return r;
	if (directory) {
		id = run_dir_id(real);
		asking.only = id.text;
	}
	r = run_dir_list(&run, ask_one, &asking, err);
	if (r < 0 || asking.r < 0)
		return r < 0 ? r : asking.r;
	if (directory && !asking.found)
		return err_set(err, ENOENT, "no image is mounted at '%s'", esc(directory));
	return 0;
}
