/* Random access to bytes, and the two simplest inputs: memory and a file. */
#include "base/input.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int check_inside(const struct input *input, uint64_t offset, uint64_t size, struct err *err)
{
	if (offset <= input->size && size <= input->size - offset)
		return 0;
	return err_set(err, EBADMSG, "%llu bytes at %llu are not inside %llu",
		       (unsigned long long)size, (unsigned long long)offset,
		       (unsigned long long)input->size);
}

int input_read(struct input *input, void *buf, size_t size, uint64_t offset, struct err *err)
{
	int r = check_inside(input, offset, size, err);
	return r == 0 && size > 0 ? input->ops->read(input, buf, size, offset, err) : r;
}

int input_stream(struct input *input, uint64_t offset, uint64_t size, struct stream **out,
		 struct err *err)
{
	int r = check_inside(input, offset, size, err);
	if (r < 0)
		return r;
	if (!input->ops->stream || size == 0)
		return err_set(err, EOPNOTSUPP, "there is nothing to wait for");
	return input->ops->stream(input, offset, size, out, err);
}

void input_free(struct input *input)
{
	if (input)
		input->ops->free(input);
}

struct memory_input {
	struct input base;
	const uint8_t *data; /* borrowed */
};

static int memory_read(struct input *input, void *buf, size_t size, uint64_t offset,
		       struct err *err)
{
	(void)err;
	memcpy(buf, ((struct memory_input *)input)->data + offset, size);
	return 0;
}

static void memory_free(struct input *input)
{
	free(input);
}

struct input *input_of_memory(const void *data, size_t size)
{
	static const struct input_ops ops = { .read = memory_read, .free = memory_free };
	struct memory_input *m = mem_make(struct memory_input, .base = { &ops, size },
					  .data = data);
	return &m->base;
}

struct file_input {
	struct input base;
	int fd; /* owned */
	uint64_t offset;
};

static int file_read(struct input *input, void *buf, size_t size, uint64_t offset, struct err *err)
{
	struct file_input *f = (struct file_input *)input;
	uint8_t *at = buf;
	while (size > 0) {
		ssize_t n = pread(f->fd, at, size, (off_t)(f->offset + offset));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read");
		if (n == 0)
			return err_set(err, EBADMSG, "a file ends early");
		at += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static void file_free(struct input *input)
{
	mem_close_fd(&((struct file_input *)input)->fd);
	free(input);
}

struct input *input_of_fd(int fd, uint64_t offset, uint64_t size)
{
	static const struct input_ops ops = { .read = file_read, .free = file_free };
	struct file_input *f = mem_make(struct file_input, .base = { &ops, size }, .fd = fd,
					.offset = offset);
	return &f->base;
}
