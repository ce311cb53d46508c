/*
 * Dispatch over the two stores, and the plain one: a directory.  What lies below it came with the
 * image, so it is opened without following a link and without waiting on a FIFO or device.
 */
#include "oci/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/io.h"

int store_open(struct store *store, const char *path, struct store_file *out, struct err *err)
{
	return store->ops->open(store, path, out, err);
}

void store_free(struct store *store)
{
	if (store)
		store->ops->free(store);
}

bool store_has(struct store *store, const char *path)
{
	struct store_file file;
	if (store_open(store, path, &file, NULL) < 0)
		return false;
	mem_close_fd(&file.fd);
	return true;
}

static int open_sized(struct store *store, const char *path, uint64_t size, struct store_file *out,
		      struct err *err)
{
	int r = store_open(store, path, out, err);
	if (r < 0 || size == UINT64_MAX || out->size == size)
		return r;
	mem_close_fd(&out->fd);
	return err_set(err, EBADMSG, "'%s' has %llu bytes, its descriptor says %llu", esc(path),
		       (unsigned long long)out->size, (unsigned long long)size);
}

int store_stream(struct store *store, const char *path, uint64_t size, struct stream **out,
		 struct err *err)
{
	struct store_file file;
	int r = open_sized(store, path, size, &file, err);
	if (r == 0)
		*out = stream_of_fd(file.fd, file.offset, file.size);
	return r;
}

int store_range(struct store *store, const char *path, uint64_t size, uint64_t offset,
		uint64_t length, struct stream **out, struct err *err)
{
	struct store_file file;
	int r = open_sized(store, path, size, &file, err);
	if (r == 0)
		*out = stream_of_fd(file.fd, file.offset + offset, length);
	return r;
}

struct input *store_input(struct store *store, const char *path, uint64_t size)
{
	struct store_file file;
	if (open_sized(store, path, size, &file, NULL) < 0)
		return NULL;
	return input_of_fd(file.fd, file.offset, file.size);
}

int store_read(struct store *store, const char *path, size_t max_bytes, char **out, size_t *size,
	       struct err *err)
{
	AUTO(stream) stream = NULL;
	int r = store_stream(store, path, UINT64_MAX, &stream, err);
	if (r < 0)
		return r;
	r = stream_read_all(stream, max_bytes, out, size, err);
	return r < 0 ? err_wrap(err, r, "read '%s'", esc(path)) : 0;
}

struct directory {
	struct store base;
	int fd; /* owned */
};

static int directory_open(struct store *store, const char *path, struct store_file *out,
			  struct err *err)
{
	struct directory *d = (struct directory *)store;
	auto_close int fd = beneath_open(d->fd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, err);
	if (fd < 0)
		return fd;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat '%s'", esc(path));
	if (!S_ISREG(st.st_mode))
		return err_set(err, EBADMSG, "'%s' is not a regular file", esc(path));
	*out = (struct store_file){ .fd = TAKE_FD(fd), .size = (uint64_t)st.st_size };
	return 0;
}

static void directory_free(struct store *store)
{
	struct directory *d = (struct directory *)store;
	mem_close_fd(&d->fd);
	free(d);
}

int store_open_directory(struct store **out, const char *path, struct err *err)
{
	static const struct store_ops ops = { directory_open, directory_free };
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOTDIR)
		return err_set(
			err, EINVAL,
			"'%s' is not a directory: archives are written 'oci-archive:FILE' or "
			"'docker-archive:FILE'",
			esc(path));
	if (fd < 0)
		return err_sys(err, "open '%s'", esc(path));
	struct directory *d = mem_make(struct directory, .base = { &ops }, .fd = TAKE_FD(fd));
	*out = &d->base;
	return 0;
}
