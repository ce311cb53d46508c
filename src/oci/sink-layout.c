/*
 * An OCI layout's directory as a sink.  Blobs are written without a name and get it when they are
 * whole; index.json is read, changed and replaced under a lock, so that several writers lose
 * nothing of each other's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/str.h"
#include "oci/sink.h"

#define JOBS 4u
#define NAME_MAX_BYTES 256
#define LAYOUT_VERSION "{\"imageLayoutVersion\":\"1.0.0\"}"

struct layout_sink {
	struct sink base;
	int dirfd; /* owned */
};

static struct layout_sink *layout_of(struct sink *sink)
{
	return (struct layout_sink *)sink;
}

static void add_path(struct str *out, const struct digest *digest)
{
	str_addf(out, "blobs/%s/%s", digest_algorithm_name(digest), digest_hex(digest).text);
}

static int has_blob(struct sink *sink, const struct descriptor *d, bool *there, struct err *err)
{
	(void)err;
	auto_str path = STR_MAX(NAME_MAX_BYTES);
	struct stat st;
	add_path(&path, &d->digest);
	*there = fstatat(layout_of(sink)->dirfd, str_text(&path), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		 S_ISREG(st.st_mode) && (uint64_t)st.st_size == d->size;
	return 0;
}

/* blobs/ALGORITHM, there from now on. */
static int open_blobs(struct layout_sink *layout, const struct digest *digest, struct err *err)
{
	auto_str path = STR_MAX(NAME_MAX_BYTES);
	str_addf(&path, "blobs/%s", digest_algorithm_name(digest));
	if ((mkdirat(layout->dirfd, "blobs", 0755) < 0 && errno != EEXIST) ||
	    (mkdirat(layout->dirfd, str_text(&path), 0755) < 0 && errno != EEXIST))
		return err_sys(err, "make directory '%s'", str_text(&path));
	return beneath_open(layout->dirfd, str_text(&path), O_RDONLY | O_DIRECTORY, 0, err);
}

struct writing {
	int fd;
	char part[NAME_MAX_BYTES]; /* its name until it is whole, "" when it has none */
};

static int open_part(struct writing *w, int dirfd, const struct digest *digest, struct err *err)
{
	w->fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	if (w->fd >= 0)
		return 0;
	(void)snprintf(w->part, sizeof(w->part), ".%s.%d", digest_hex(digest).text, (int)getpid());
	w->fd = openat(dirfd, w->part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	return w->fd < 0 ? err_sys(err, "create a blob") : 0;
}

static int name_part(struct writing *w, int dirfd, const char *name, struct err *err)
{
	char link[64];
	if (w->part[0])
		return renameat(dirfd, w->part, dirfd, name) < 0 ? err_sys(err, "name a blob") : 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fd);
	if (linkat(AT_FDCWD, link, dirfd, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, "name a blob");
	/* what was there was not whole, or another writer was faster: ours is good */
	(void)unlinkat(dirfd, name, 0);
	if (linkat(AT_FDCWD, link, dirfd, name, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		return err_sys(err, "name a blob");
	return 0;
}

static int part_put(void *arg, const void *data, size_t size, struct err *err)
{
	return io_write_all(((struct writing *)arg)->fd, data, size, err);
}

static int part_restart(void *arg, struct err *err)
{
	int fd = ((struct writing *)arg)->fd;
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "start a blob anew");
	return 0;
}

static int put_blob(struct sink *sink, const struct sink_blob *blob, enum sink_outcome *outcome,
		    struct err *err)
{
	const struct digest *digest = &blob->d->digest;
	auto_close int dirfd = open_blobs(layout_of(sink), digest, err);
	if (dirfd < 0)
		return dirfd;
	struct writing w = { .fd = -1 };
	int r = open_part(&w, dirfd, digest, err);
	if (r < 0)
		return r;
	r = sink_pour(blob, part_put, part_restart, &w, err);
	if (r == 0)
		r = name_part(&w, dirfd, digest_hex(digest).text, err);
	if (r < 0 && w.part[0])
		(void)unlinkat(dirfd, w.part, 0);
	mem_close_fd(&w.fd);
	*outcome = SINK_SENT;
	return r;
}

/* What is on disk may lack blobs that it names: never believed. */
static int has_document(struct sink *sink, const struct digest *digest, bool *there,
			struct err *err)
{
	(void)sink;
	(void)digest;
	(void)err;
	*there = false;
	return 0;
}

static int read_index(struct layout_sink *layout, char **out, size_t *size, struct err *err)
{
	auto_close int fd = beneath_open(layout->dirfd, "index.json", O_RDONLY, 0, err);
	if (fd == -ENOENT)
		return 0;
	return fd < 0 ? fd : io_read_all(fd, MANIFEST_MAX_BYTES, out, size, err);
}

static int name_document(struct layout_sink *layout, const struct document *document,
			 const char *tag, struct err *err)
{
	auto_free char *index = NULL;
	auto_str text = STR_MAX(MANIFEST_MAX_BYTES);
	size_t size = 0;
	if (flock(layout->dirfd, LOCK_EX) < 0)
		return err_sys(err, "lock the layout");
	int r = read_index(layout, &index, &size, err);
	if (r == 0)
		r = sink_index_with(&text, index, size, document, tag, err);
	if (r == 0)
		r = io_write_file(layout->dirfd, "index.json", str_text(&text), text.length, 0644,
				  err);
	if (r == 0)
		r = io_write_file(layout->dirfd, "oci-layout", LAYOUT_VERSION,
				  strlen(LAYOUT_VERSION), 0644, err);
	(void)flock(layout->dirfd, LOCK_UN);
	return r < 0 ? err_wrap(err, r, "index.json") : 0;
}

/* TAG "" is the top of an image without a name. */
static int put_document(struct sink *sink, const struct document *document, const char *tag,
			struct err *err)
{
	struct layout_sink *layout = layout_of(sink);
	auto_close int dirfd = open_blobs(layout, &document->descriptor.digest, err);
	if (dirfd < 0)
		return dirfd;
	int r = io_write_file(dirfd, digest_hex(&document->descriptor.digest).text, document->bytes,
			      document->size, 0644, err);
	if (r < 0 || !tag)
		return r;
	return name_document(layout, document, *tag ? tag : NULL, err);
}

static void layout_free(struct sink *sink)
{
	struct layout_sink *layout = layout_of(sink);
	mem_close_fd(&layout->dirfd);
	free(sink->name);
	free(layout);
}

int layout_sink_open(struct sink **out, const struct ref *ref, struct err *err)
{
	static const struct sink_ops ops = {
		.has_blob = has_blob,
		.put_blob = put_blob,
		.has_document = has_document,
		.put_document = put_document,
		.free = layout_free,
	};
	if (mkdir(ref->path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "make directory '%s'", esc(ref->path));
	auto_close int fd = open(ref->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open '%s'", esc(ref->path));
	struct layout_sink *layout = mem_make(
		struct layout_sink, .base = { .ops = &ops, .jobs = JOBS, .name = ref_text(ref) },
		.dirfd = TAKE_FD(fd));
	*out = &layout->base;
	return 0;
}
