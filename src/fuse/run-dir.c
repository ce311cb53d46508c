/*
 * Names, locks and files of the run directory.
 *
 * It is searched for in a few places, because the first one may not be ours to write: root in a
 * user namespace has no right in /run.  Whatever is found must be a real directory of ours that
 * nobody else can enter.
 */
#include "fuse/run-dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/esc.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#define NAME "rootlet"
#define PATH_MAX_BYTES 4096
#define ID_DIGITS 16
#define LOCK_TRIES 10

static int check(int fd, const char *path, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "look at '%s'", esc(path));
	if (st.st_uid != geteuid())
		return err_set(err, EACCES, "'%s' belongs to somebody else", esc(path));
	if (st.st_mode & 022)
		return err_set(err, EACCES, "'%s' can be written by others", esc(path));
	return 0;
}

static int open_own(int *out, const char *path, struct err *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make directory '%s'", esc(path));
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open directory '%s'", esc(path));
	int r = check(fd, path, err);
	if (r == 0)
		*out = TAKE_FD(fd);
	return r;
}

/* BASE/rootlet; BASE itself is made, and must be ours, when OWN. */
static int try_base(struct run_dir *out, const char *base, bool own, struct err *err)
{
	auto_close int base_fd = -1, fd = -1;
	int r = own ? open_own(&base_fd, base, err) : 0;
	if (r < 0)
		return r;
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	str_addf(&path, "%s/" NAME, base);
	if (path.failed)
		return err_set(err, EINVAL, "'%s' is too long a name", esc(base));
	r = open_own(&fd, str_text(&path), err);
	if (r < 0)
		return r;
	out->path = str_take(&path);
	out->fd = TAKE_FD(fd);
	return 0;
}

int run_dir_open(struct run_dir *out, struct err *err)
{
	*out = (struct run_dir){ .fd = -1 };
	const char *given = getenv("ROOTLET_RUN");
	if (given && *given == '/')
		return try_base(out, given, false, err);
	if (given && *given)
		return err_set(err, EINVAL, "$ROOTLET_RUN must begin with '/'");
	if (geteuid() == 0 && try_base(out, "/run", false, NULL) == 0)
		return 0;
	const char *session = getenv("XDG_RUNTIME_DIR");
	if (session && *session == '/' && try_base(out, session, false, NULL) == 0)
		return 0;
	char own[64];
	(void)snprintf(own, sizeof(own), "/tmp/" NAME "-%u", (unsigned)geteuid());
	return try_base(out, own, true, err);
}

void run_dir_release(struct run_dir *run)
{
	mem_close_fd(&run->fd);
	run->fd = -1;
	mem_free_pointer(&run->path);
}

struct run_id run_dir_id(const char *directory)
{
	struct digest digest;
	struct run_id id;
	digest_of(&digest, DIGEST_SHA256, directory, strlen(directory));
	(void)snprintf(id.text, sizeof(id.text), "%.*s", ID_DIGITS, digest_hex(&digest).text);
	return id;
}

char *run_dir_path(const struct run_dir *run, const char *id, const char *suffix)
{
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	str_addf(&path, "%s/%s.%s", run->path, id, suffix);
	return str_take(&path);
}

struct run_socket run_dir_socket(const struct run_dir *run, const char *id)
{
	struct run_socket out = { 0 };
	(void)snprintf(out.path, sizeof(out.path), "/proc/self/fd/%d/%.24s.sock", run->fd, id);
	return out;
}

struct name {
	char text[48];
};

static struct name name_of(const char *id, const char *suffix)
{
	struct name name;
	(void)snprintf(name.text, sizeof(name.text), "%.24s.%s", id, suffix);
	return name;
}

static struct flock byte_of(enum run_role role, short kind)
{
	return (struct flock){ .l_type = kind, .l_whence = SEEK_SET, .l_start = role, .l_len = 1 };
}

/* 1 locked; 0 the file was removed meanwhile. */
static int try_lock(const struct run_dir *run, const char *id, enum run_role role, int *out,
		    struct err *err)
{
	auto_close int fd = openat(run->fd, name_of(id, "lock").text,
				   O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "open '%s/%s.lock'", esc(run->path), id);
	struct flock lock = byte_of(role, F_WRLCK);
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		if (errno == EACCES || errno == EAGAIN)
			return err_set(err, EBUSY, "it is locked by another process");
		return err_sys(err, "lock '%s/%s.lock'", esc(run->path), id);
	}
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return 0;
	*out = TAKE_FD(fd);
	return 1;
}

int run_dir_lock(const struct run_dir *run, const char *id, enum run_role role, int *fd,
		 struct err *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		int r = try_lock(run, id, role, fd, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return err_set(err, EBUSY, "'%s/%s.lock' comes and goes", esc(run->path), id);
}

pid_t run_dir_holder(int fd, enum run_role role)
{
	struct flock lock = byte_of(role, F_WRLCK);
	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

struct run_alive run_dir_alive(const struct run_dir *run, const char *id)
{
	struct run_alive alive = { 0 };
	auto_close int fd = openat(run->fd, name_of(id, "lock").text,
				   O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return alive;
	alive.supervisor = run_dir_holder(fd, RUN_SUPERVISOR);
	alive.daemon = run_dir_holder(fd, RUN_DAEMON);
	return alive;
}

int run_dir_write(const struct run_dir *run, const char *id, const char *json, struct err *err)
{
	return io_write_file(run->fd, name_of(id, "json").text, json, strlen(json), 0600, err);
}

int run_dir_read(const struct run_dir *run, const char *id, char **json, size_t *size,
		 struct err *err)
{
	return io_read_file(run->fd, name_of(id, "json").text, RUN_JSON_MAX_BYTES, json, size, err);
}

int run_dir_list(const struct run_dir *run, int (*each)(void *arg, const char *id), void *arg,
		 struct err *err)
{
	int fd = openat(run->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "list '%s'", esc(run->path));
	DIR *dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return err_sys(err, "list '%s'", esc(run->path));
	}
	int r = 0;
	const struct dirent *entry;
	while (r == 0 && (entry = readdir(dir))) {
		struct run_id id = { 0 };
		if (strlen(entry->d_name) != ID_DIGITS + strlen(".json") ||
		    !str_ends(entry->d_name, ".json"))
			continue;
		memcpy(id.text, entry->d_name, ID_DIGITS);
		r = each(arg, id.text);
	}
	(void)closedir(dir);
	return 0;
}

void run_dir_forget(const struct run_dir *run, const char *id, bool keep_log)
{
	static const char *const suffixes[] = { "json", "sock", "log", "lock" };
	(void)unlinkat(run->fd, name_of(id, "lower").text, AT_REMOVEDIR);
	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++) {
		if (!keep_log || !str_equal(suffixes[i], "log"))
			(void)unlinkat(run->fd, name_of(id, suffixes[i]).text, 0);
	}
}
