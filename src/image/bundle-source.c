/*
 * Reading a part of a blob that is sent: from the file that compressing made, or from the repo; by
 * range where that is possible, else from the start with the rest thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "image/bundle-internal.h"

/* LENGTH bytes of a longer stream. */
struct cut {
	struct stream base;
	struct stream *whole; /* owned */
	uint64_t skip, left;
};

static int cut_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct cut *cut = (struct cut *)stream;
	*size = 0;
	while (cut->left > 0) {
		const char *at = NULL;
		const void *piece = NULL;
		size_t n = 0;
		int r = stream_next(cut->whole, &piece, &n, err);
		if (r < 0 || n == 0)
			return r;
		size_t off = n < cut->skip ? n : (size_t)cut->skip;
		at = (const char *)piece + off;
		n -= off;
		cut->skip -= off;
		if (n == 0)
			continue;
		*size = n < cut->left ? n : (size_t)cut->left;
		*data = at;
		cut->left -= *size;
		return 0;
	}
	return 0;
}

static void cut_free(struct stream *stream)
{
	struct cut *cut = (struct cut *)stream;
	stream_free(cut->whole);
	free(cut);
}

static int open_whole(const struct bundle_blob *blob, uint64_t offset, uint64_t length,
		      unsigned flags, struct stream **out, struct err *err)
{
	static const struct stream_ops ops = { .next = cut_next, .free = cut_free };
	struct stream *whole = NULL;
	int r = repo_blob(blob->repo, &blob->d, flags, &whole, err);
	if (r < 0)
		return r;
	struct cut *cut = mem_make(struct cut, .base = { &ops }, .whole = whole, .skip = offset,
				   .left = length);
	*out = &cut->base;
	return 0;
}

int bundle_blob_open(void *arg, uint64_t offset, uint64_t length, unsigned flags,
		     struct stream **out, struct err *err)
{
	const struct bundle_blob *blob = arg;
	if (blob->spool >= 0) {
		int fd = fcntl(blob->spool, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return err_sys(err, "duplicate a descriptor");
		*out = stream_of_fd(fd, offset, length);
		return 0;
	}
	if (offset == 0 && length == blob->d.size)
		return repo_blob(blob->repo, &blob->d, flags, out, err);
	int r = repo_range(blob->repo, &blob->d, offset, length, flags, out, err);
	return r == -EOPNOTSUPP ? open_whole(blob, offset, length, flags, out, err) : r;
}
