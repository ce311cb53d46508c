/*
 * The writer of tar archives: plain files in ustar, each header made from the name, the mode and
 * the size alone, so that equal contents give equal archives.  Called by the export of images and
 * by tests.
 */
#include "codec/tar-write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/str.h"
#include "codec/tar-header.h"
#include "codec/tar.h"

#define NAME_BYTES ((size_t)100)
#define PREFIX_BYTES ((size_t)155)
#define USTAR_SIZE_MAX 077777777777ull /* 8 GiB less one */

struct tar_writer {
	int fd;		    /* borrowed */
	uint64_t data_left; /* of the current file */
	size_t padding;	    /* behind it */
};

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[8], uname[32], gname[32], dev_major[8], dev_minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK_BYTES, "a header is one block");

static const uint8_t ZEROS[2 * TAR_BLOCK_BYTES];

struct tar_writer *tar_writer_new(int fd)
{
	return mem_make(struct tar_writer, .fd = fd);
}

void tar_writer_free(struct tar_writer *writer)
{
	free(writer);
}

static void put_octal(char *field, size_t size, uint64_t value)
{
	field[--size] = '\0';
	while (size > 0) {
		field[--size] = (char)('0' + (value & 7));
		value >>= 3;
	}
}

/* Where to cut NAME into prefix and name: 0 when it needs no cut, its length when none fits. */
static size_t cut(const char *name)
{
	size_t length = strlen(name);
	if (length <= NAME_BYTES)
		return 0;
	for (size_t i = length - NAME_BYTES - 1; i < length - 1 && i <= PREFIX_BYTES; i++)
		if (i > 0 && name[i] == '/')
			return i;
	return length;
}

static void put_name(struct ustar *h, const char *name)
{
	size_t at = cut(name);
	if (at > 0 && name[at]) {
		memcpy(h->prefix, name, at);
		name += at + 1;
	}
	memcpy(h->name, name, strnlen(name, sizeof(h->name)));
}

static int write_header(struct tar_writer *writer, const char *name, char type, uint32_t mode,
			uint64_t size, struct err *err)
{
	struct ustar h = { .type = type, .magic = { 'u', 's', 't', 'a', 'r', 0, '0', '0' } };
	put_name(&h, name);
	put_octal(h.mode, sizeof(h.mode), mode & 07777);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), size);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	put_octal(h.dev_major, sizeof(h.dev_major), 0);
	put_octal(h.dev_minor, sizeof(h.dev_minor), 0);

	uint64_t sum = 0;
	memset(h.checksum, ' ', sizeof(h.checksum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((const uint8_t *)&h)[i];
	put_octal(h.checksum, sizeof(h.checksum) - 1, sum); /* six digits, NUL, blank */
	return io_write_all(writer->fd, &h, sizeof(h), err);
}

static size_t padding_of(uint64_t size)
{
	return (size_t)(-size % TAR_BLOCK_BYTES);
}

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static void add_record(struct str *out, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, length = rest;
	for (size_t before = 0; before != length;) {
		before = length;
		length = rest + (size_t)snprintf(NULL, 0, "%zu", before);
	}
	str_addf(out, "%zu %s=%s\n", length, key, value);
}

static int write_pax(struct tar_writer *writer, const char *name, uint64_t size, struct err *err)
{
	auto_str text = STR_MAX(TAR_PATH_MAX_BYTES + 128);
	if (cut(name) == strlen(name))
		add_record(&text, "path", name);
	if (size > USTAR_SIZE_MAX) {
		auto_str digits = STR_MAX(24);
		str_addf(&digits, "%" PRIu64, size);
		add_record(&text, "size", str_text(&digits));
	}
	if (text.length == 0)
		return 0;
	int r = write_header(writer, "PaxHeader", 'x', 0644, text.length, err);
	if (r == 0)
		r = io_write_all(writer->fd, text.data, text.length, err);
	return r < 0 ? r : io_write_all(writer->fd, ZEROS, padding_of(text.length), err);
}

static int is_complete(const struct tar_writer *writer, struct err *err)
{
	if (writer->data_left == 0)
		return 0;
	return err_set(err, EINVAL, "%" PRIu64 " bytes of a file in the archive are missing",
		       writer->data_left);
}

int tar_writer_file(struct tar_writer *writer, const char *name, uint32_t mode, uint64_t size,
		    struct err *err)
{
	size_t length = strlen(name);
	int r = is_complete(writer, err);
	if (r < 0)
		return r;
	if (length == 0 || length > TAR_PATH_MAX_BYTES || size > TAR_SIZE_MAX)
		return err_set(err, EINVAL, "'%s' of %" PRIu64 " bytes does not fit an archive",
			       esc(name), size);
	r = write_pax(writer, name, size, err);
	if (r == 0)
		r = write_header(writer, name, '0', mode, size > USTAR_SIZE_MAX ? 0 : size, err);
	if (r < 0)
		return err_wrap(err, r, "write '%s' to the archive", esc(name));
	writer->data_left = size;
	writer->padding = padding_of(size);
	return 0;
}

int tar_writer_data(struct tar_writer *writer, const void *data, size_t size, struct err *err)
{
	if (size > writer->data_left)
		return err_set(err, EINVAL,
			       "%zu bytes for a file in the archive that wants %" PRIu64, size,
			       writer->data_left);
	if (size == 0)
		return 0;
	int r = io_write_all(writer->fd, data, size, err);
	if (r < 0)
		return err_wrap(err, r, "write to the archive");
	writer->data_left -= size;
	if (writer->data_left > 0)
		return 0;
	return io_write_all(writer->fd, ZEROS, writer->padding, err);
}

int tar_writer_finish(struct tar_writer *writer, struct err *err)
{
	int r = is_complete(writer, err);
	return r < 0 ? r : io_write_all(writer->fd, ZEROS, sizeof(ZEROS), err);
}
