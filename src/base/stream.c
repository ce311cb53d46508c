/* Dispatch, the helpers every consumer wants, and the two plain sources: memory and a file. */
#include "base/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_PIECE_BYTES (256 * 1024)

int stream_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	return stream->ops->next(stream, data, size, err);
}

int stream_skip(struct stream *stream, uint64_t n, struct err *err)
{
	if (stream->ops->skip)
		return stream->ops->skip(stream, n, err);
	return err_set(err, EOPNOTSUPP, "this stream cannot skip %llu bytes",
		       (unsigned long long)n);
}

void stream_free(struct stream *stream)
{
	if (stream)
		stream->ops->free(stream);
}

int stream_read_all(struct stream *stream, size_t max_bytes, char **out, size_t *size,
		    struct err *err)
{
	auto_free char *all = NULL;
	size_t used = 0, capacity = 0;
	for (;;) {
		const void *piece = NULL;
		size_t n = 0;
		int r = stream_next(stream, &piece, &n, err);
		if (r < 0)
			return r;
		if (n > max_bytes - used)
			return err_set(err, E2BIG, "more than %zu bytes", max_bytes);
		if (n >= capacity - used) {
			capacity = 2 * (used + n + 1);
			char *grown = realloc(all, capacity);
			if (!grown)
				return err_set(err, ENOMEM, "out of memory for %zu bytes",
					       capacity);
			all = grown;
		}
		if (n == 0)
			break;
		memcpy(all + used, piece, n);
		used += n;
	}
	all[used] = '\0';
	*size = used;
	*out = TAKE(all);
	return 0;
}

struct memory_stream {
	struct stream base;
	const uint8_t *at; /* borrowed from the maker's caller */
	size_t left;
};

static int memory_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	(void)err;
	struct memory_stream *m = (struct memory_stream *)stream;
	*data = m->at;
	*size = m->left;
	if (m->left > 0)
		m->at += m->left;
	m->left = 0;
	return 0;
}

static int memory_skip(struct stream *stream, uint64_t n, struct err *err)
{
	struct memory_stream *m = (struct memory_stream *)stream;
	if (n > m->left)
		return err_set(err, EBADMSG, "data end %llu bytes early",
			       (unsigned long long)(n - m->left));
	if (n > 0)
		m->at += n;
	m->left -= n;
	return 0;
}

static void memory_free(struct stream *stream)
{
	free(stream);
}

struct stream *stream_of_memory(const void *data, size_t size)
{
	static const struct stream_ops ops = { memory_next, memory_skip, memory_free };
	struct memory_stream *m = mem_make(struct memory_stream, .base = { &ops }, .at = data,
					   .left = size);
	return &m->base;
}

struct file_stream {
	struct stream base;
	int fd; /* owned */
	uint64_t offset;
	uint64_t left;
	uint8_t *piece; /* owned, FILE_PIECE_BYTES */
};

static int file_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct file_stream *f = (struct file_stream *)stream;
	size_t wanted = f->left < FILE_PIECE_BYTES ? (size_t)f->left : FILE_PIECE_BYTES;
	if (wanted == 0) {
		*size = 0;
		return 0;
	}
	ssize_t n;
	do
		n = pread(f->fd, f->piece, wanted, (off_t)f->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "read");
	if (n == 0)
		return err_set(err, EBADMSG, "file ends %llu bytes early",
			       (unsigned long long)f->left);
	f->offset += (size_t)n;
	f->left -= (size_t)n;
	*data = f->piece;
	*size = (size_t)n;
	return 0;
}

static int file_skip(struct stream *stream, uint64_t n, struct err *err)
{
	struct file_stream *f = (struct file_stream *)stream;
	if (n > f->left)
		return err_set(err, EBADMSG, "file ends %llu bytes early",
			       (unsigned long long)(n - f->left));
	f->offset += n;
	f->left -= n;
	return 0;
}

static void file_free(struct stream *stream)
{
	struct file_stream *f = (struct file_stream *)stream;
	mem_close_fd(&f->fd);
	free(f->piece);
	free(f);
}

struct stream *stream_of_fd(int fd, uint64_t offset, uint64_t size)
{
	static const struct stream_ops ops = { file_next, file_skip, file_free };
	struct file_stream *f = mem_make(struct file_stream, .base = { &ops }, .fd = fd,
					 .offset = offset, .left = size);
	f->piece = mem_new(FILE_PIECE_BYTES);
	return &f->base;
}
