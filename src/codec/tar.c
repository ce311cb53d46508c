/*
 * The reader of tar archives: headers, the extension headers in front of them and the data behind
 * them, one entry at a time.  Data are lent from the stream's own pieces, never copied.
 *
 * Extension headers (x, g, L, K) are files of their own with a size of their own; what they say is
 * kept until the next header of a file and then forgotten.  Global headers (g) are checked and
 * otherwise passed over, as Go's archive/tar does: in images they hold a comment of git-archive.
 * Header-only types (links, directories, devices) have no data whatever their size says, again as
 * in Go.  Where several names are given, the one of a sparse map wins, then GNU's L and K, then
 * PAX, then the header's own.
 */
#include "codec/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "codec/tar-header.h"
#include "codec/tar-input.h"
#include "codec/tar-pax.h"
#include "codec/tar-sparse.h"

#define EXTENSION_MAX_BYTES ((uint64_t)1 << 20)
#define ID_MAX ((uint64_t)UINT32_MAX - 1) /* 2^32-1 means "leave as it is" to chown(2) */

/* The contents of an extension header. */
struct extension {
	char *text; /* owned, NUL-terminated behind size */
	size_t size, capacity;
	bool there;
};

struct tar {
	struct tar_input input;
	struct tar_header header; /* the last one read */
	struct tar_entry entry;
	struct extension long_name, long_link, pax_text;
	struct tar_pax pax; /* points into pax_text */
	struct tar_sparse sparse;
	uint64_t data_left; /* stored bytes of the entry not given yet */
	uint64_t behind;    /* bytes to pass over behind them */
	size_t extent;	    /* the one being given, of a sparse file */
	uint64_t given;	    /* of the extent, or of the file when it is not sparse */
	bool ended;
	bool trailing_data;
};

struct tar *tar_new(struct stream *stream)
{
	return mem_make(struct tar, .input = { .stream = stream });
}

void tar_free(struct tar *tar)
{
	if (!tar)
		return;
	free(tar->long_name.text);
	free(tar->long_link.text);
	free(tar->pax_text.text);
	tar_pax_release(&tar->pax);
	tar_sparse_release(&tar->sparse);
	free(tar);
}

bool tar_has_trailing_data(const struct tar *tar)
{
	return tar->trailing_data;
}

static uint64_t padding_of(uint64_t size)
{
	return -size % TAR_BLOCK_BYTES;
}

/* 1 with a block, 0 at the end of the stream. */
static int read_block(struct tar *tar, uint8_t *block, struct err *err)
{
	size_t got = 0;
	int r = tar_input_read(&tar->input, block, TAR_BLOCK_BYTES, &got, err);
	if (r < 0)
		return r;
	if (got > 0 && got < TAR_BLOCK_BYTES)
		return err_set(err, EBADMSG, "the archive ends in the middle of a header");
	return got > 0;
}

/* Read the rest of the stream, so that whoever counts or hashes it below sees all of it. */
static int drain(struct tar *tar, struct err *err)
{
	struct tar_input *in = &tar->input;
	for (;;) {
		int r = tar_input_fill(in, err);
		if (r < 0 || in->ended)
			return r;
		if (in->at[0] != 0 || memcmp(in->at, in->at + 1, in->left - 1) != 0)
			tar->trailing_data = true;
		tar_input_advance(in, in->left);
	}
}

static int finish(struct tar *tar, struct err *err)
{
	if (tar->pax_text.there || tar->long_name.there || tar->long_link.there)
		return err_set(err, EBADMSG, "extension header without a file behind it");
	int r = drain(tar, err);
	tar->ended = r == 0;
	return r;
}

/* The next header in tar->header and BLOCK: 1, or 0 at the end of the archive. */
static int read_header(struct tar *tar, uint8_t *block, struct err *err)
{
	int r = read_block(tar, block, err);
	if (r > 0 && tar_header_is_zero(block)) {
		r = read_block(tar, block, err);
		if (r > 0 && !tar_header_is_zero(block))
			return err_set(err, EBADMSG, "a single zero block in front of a header");
		r = r < 0 ? r : 0;
	}
	if (r < 0)
		return r;
	if (r == 0)
		return finish(tar, err);
	r = tar_header_parse(&tar->header, block, err);
	return r < 0 ? r : 1;
}

static int read_extension(struct tar *tar, struct extension *extension, struct err *err)
{
	uint64_t size = tar->header.size;
	if (size > EXTENSION_MAX_BYTES)
		return err_set(err, E2BIG, "extension header of %llu bytes",
			       (unsigned long long)size);
	if (size >= extension->capacity) {
		void *text = NULL;
		int r = mem_try(&text, (size_t)size + 1, 1, err);
		if (r < 0)
			return r;
		free(extension->text);
		extension->text = text;
		extension->capacity = (size_t)size + 1;
	}
	extension->there = true;
	extension->size = (size_t)size;
	extension->text[size] = '\0';
	int r = tar_input_exactly(&tar->input, extension->text, extension->size, err);
	return r < 0 ? r : tar_input_skip(&tar->input, padding_of(size), err);
}

/* GNU's L and K hold one NUL-terminated name. */
static int read_long(struct tar *tar, struct extension *extension, struct err *err)
{
	int r = read_extension(tar, extension, err);
	if (r == 0 && extension->text[0] == '\0')
		return err_set(err, EBADMSG, "long name without a name");
	return r;
}

static int read_pax(struct tar *tar, struct err *err)
{
	int r = read_extension(tar, &tar->pax_text, err);
	return r < 0 ? r : tar_pax_parse(&tar->pax, tar->pax_text.text, tar->pax_text.size, err);
}

static int read_global(struct tar *tar, struct err *err)
{
	struct extension text = { 0 };
	struct tar_pax pax = { 0 };
	int r = read_extension(tar, &text, err);
	if (r == 0)
		r = tar_pax_parse(&pax, text.text, text.size, err);
	tar_pax_release(&pax);
	free(text.text);
	return r;
}

/* 1 when the header was of something that is no file and is now behind us. */
static int take_extension(struct tar *tar, struct err *err)
{
	int r;
	switch (tar->header.type) {
	case 'x':
		r = read_pax(tar, err);
		break;
	case 'g':
		r = read_global(tar, err);
		break;
	case 'L':
		r = read_long(tar, &tar->long_name, err);
		break;
	case 'K':
		r = read_long(tar, &tar->long_link, err);
		break;
	case 'V': /* the volume's label */
		r = tar_input_skip(&tar->input, tar->header.size + padding_of(tar->header.size),
				   err);
		break;
	default:
		return 0;
	}
	return r < 0 ? r : 1;
}

static int take_type(struct tar *tar, struct err *err)
{
	static const struct {
		char flag;
		enum tar_type type;
	} types[] = {
		{ '0', TAR_FILE },	{ '\0', TAR_FILE },   { '7', TAR_FILE }, { 'S', TAR_FILE },
		{ '1', TAR_HARDLINK },	{ '2', TAR_SYMLINK }, { '3', TAR_CHAR }, { '4', TAR_BLOCK },
		{ '5', TAR_DIRECTORY }, { '6', TAR_FIFO },
	};
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (types[i].flag == tar->header.type) {
			tar->entry.type = types[i].type;
			return 0;
		}
	return err_set(err, EOPNOTSUPP, "entry type '%s' is not supported",
		       esc_n(&tar->header.type, 1));
}

static void take_names(struct tar *tar)
{
	struct tar_entry *e = &tar->entry;
	e->path = tar->header.name;
	if (tar->pax.path)
		e->path = tar->pax.path;
	if (tar->long_name.there)
		e->path = tar->long_name.text;
	e->link = "";
	if (e->type != TAR_HARDLINK && e->type != TAR_SYMLINK)
		return;
	e->link = tar->header.link;
	if (tar->pax.link)
		e->link = tar->pax.link;
	if (tar->long_link.there)
		e->link = tar->long_link.text;
}

static int check_names(const struct tar_entry *e, struct err *err)
{
	size_t length = strlen(e->path);
	if (length == 0)
		return err_set(err, EBADMSG, "an entry without a name");
	if (length > TAR_PATH_MAX_BYTES || strlen(e->link) > TAR_PATH_MAX_BYTES)
		return err_set(err, E2BIG, "path or link of more than %d bytes",
			       TAR_PATH_MAX_BYTES);
	for (const char *at = e->path; *at; at += strspn(at, "/")) {
		size_t n = strcspn(at, "/");
		if (n > TAR_NAME_MAX_BYTES)
			return err_set(err, E2BIG, "a name of %zu bytes", n);
		at += n;
	}
	bool is_link = e->type == TAR_HARDLINK || e->type == TAR_SYMLINK;
	if (is_link && e->link[0] == '\0')
		return err_set(err, EBADMSG, "a link without a target");
	return 0;
}

static int take_id(uint32_t *out, struct tar_pax_number pax, int64_t header, const char *what,
		   struct err *err)
{
	uint64_t id = pax.there ? pax.value : (uint64_t)header; /* a negative one is too large */
	if (id > ID_MAX)
		return err_set(err, EBADMSG, "impossible %s", what);
	*out = (uint32_t)id;
	return 0;
}

static int take_attributes(struct tar *tar, struct err *err)
{
	struct tar_entry *e = &tar->entry;
	const struct tar_header *h = &tar->header;
	e->mode = (uint32_t)(h->mode & 07777);
	e->mtime_s = tar->pax.has_mtime ? tar->pax.mtime_s : h->mtime;
	e->mtime_ns = tar->pax.has_mtime ? tar->pax.mtime_ns : 0;
	e->xattrs = tar->pax.xattrs;
	e->xattr_count = tar->pax.xattr_count;
	int r = take_id(&e->uid, tar->pax.uid, h->uid, "uid", err);
	if (r == 0)
		r = take_id(&e->gid, tar->pax.gid, h->gid, "gid", err);
	if (r < 0 || (e->type != TAR_CHAR && e->type != TAR_BLOCK))
		return r;
	if ((uint64_t)h->dev_major > UINT32_MAX || (uint64_t)h->dev_minor > UINT32_MAX)
		return err_set(err, EBADMSG, "impossible device number");
	e->dev_major = (uint32_t)h->dev_major;
	e->dev_minor = (uint32_t)h->dev_minor;
	return 0;
}

/* The size and where the data are; reads the map of a sparse file. */
static int take_data(struct tar *tar, const uint8_t *block, struct err *err)
{
	struct tar_entry *e = &tar->entry;
	uint64_t stored = tar->pax.size.there ? tar->pax.size.value : tar->header.size;
	if (stored > TAR_SIZE_MAX)
		return err_set(err, EBADMSG, "impossible size of %llu bytes",
			       (unsigned long long)stored);
	tar->behind = padding_of(stored);
	int sparse;
	if (tar->header.type == 'S') {
		sparse = tar_sparse_old_gnu(&tar->sparse, block, stored, &tar->input, err);
		sparse = sparse < 0 ? sparse : 1;
	} else {
		sparse = tar_sparse_pax(&tar->sparse, &tar->pax, &stored, &tar->input, err);
	}
	if (sparse < 0)
		return sparse;
	e->sparse = sparse > 0;
	e->size = e->sparse ? tar->sparse.size : stored;
	e->stored = stored;
	e->extents = e->sparse ? tar->sparse.extents : NULL;
	e->extent_count = e->sparse ? tar->sparse.count : 0;
	e->data_offset = tar->input.offset;
	tar->data_left = stored;
	return 0;
}

/* Types that are only a header, whatever their size says. */
static int take_header_only(struct tar *tar, struct err *err)
{
	struct tar_entry *e = &tar->entry;
	if (tar_pax_is_sparse(&tar->pax))
		return err_set(err, EBADMSG, "a sparse map on something that is no file");
	e->data_offset = tar->input.offset;
	return 0;
}

static int take_file(struct tar *tar, const uint8_t *block, struct err *err)
{
	int r = take_data(tar, block, err);
	if (r == 0 && tar->entry.sparse && tar->pax.sparse_name)
		tar->entry.path = tar->pax.sparse_name;
	return r;
}

/*
 * Before there was a type for directories, they were files with a slash behind the name.  Data that
 * follow one of type '0' are passed over; type NUL is header-only then, as in Go.
 */
static void take_slash(struct tar *tar)
{
	const struct tar_header *h = &tar->header;
	const char *path = tar->entry.path;
	bool slash = path[0] && path[strlen(path) - 1] == '/';
	bool sparse = h->type == 'S' || tar_pax_is_sparse(&tar->pax); /* their names may be cut */
	if (!slash || tar->entry.type != TAR_FILE || sparse)
		return;
	uint64_t size = tar->pax.size.there ? tar->pax.size.value : h->size;
	tar->entry.type = TAR_DIRECTORY;
	if (h->type != '\0' && size <= TAR_SIZE_MAX)
		tar->behind = size + padding_of(size);
}

static int take_entry(struct tar *tar, const uint8_t *block, struct err *err)
{
	struct tar_entry *e = &tar->entry;
	*e = (struct tar_entry){ .path = "", .link = "" };
	int r = take_type(tar, err);
	take_names(tar);
	if (r == 0) {
		take_slash(tar);
		r = e->type == TAR_FILE ? take_file(tar, block, err) : take_header_only(tar, err);
	}
	if (r == 0)
		r = check_names(e, err);
	if (r == 0)
		r = take_attributes(tar, err);
	return r < 0 ? err_wrap(err, r, "'%s'", esc(e->path)) : 1;
}

/* What belonged to the entry before. */
static int forget(struct tar *tar, struct err *err)
{
	uint64_t rest = tar->data_left + tar->behind;
	tar->data_left = 0;
	tar->behind = 0;
	tar->extent = 0;
	tar->given = 0;
	tar->long_name.there = false;
	tar->long_link.there = false;
	tar->pax_text.there = false;
	tar_pax_reset(&tar->pax);
	return tar_input_skip(&tar->input, rest, err);
}

/* See tar_next; *at becomes the offset of the header that is being read. */
static int next(struct tar *tar, uint64_t *at, struct err *err)
{
	uint8_t block[TAR_BLOCK_BYTES];
	int r = forget(tar, err);
	if (r < 0)
		return r;
	do {
		*at = tar->input.offset;
		r = read_header(tar, block, err);
		if (r <= 0)
			return r;
		r = take_extension(tar, err);
	} while (r > 0);
	return r < 0 ? r : take_entry(tar, block, err);
}

int tar_next(struct tar *tar, const struct tar_entry **entry, struct err *err)
{
	if (tar->ended)
		return 0;
	uint64_t at = tar->input.offset;
	int r = next(tar, &at, err);
	if (r < 0)
		return err_wrap(err, r, "tar header at %llu", (unsigned long long)at);
	if (r > 0)
		*entry = &tar->entry;
	return r;
}

/* Clip N to the extent that is being given, and say where in the file that is. */
static size_t place(struct tar *tar, size_t n, uint64_t *offset)
{
	uint64_t start = 0, size = tar->entry.size;
	if (tar->entry.sparse) {
		start = tar->sparse.extents[tar->extent].offset;
		size = tar->sparse.extents[tar->extent].size;
	}
	*offset = start + tar->given;
	if (n > size - tar->given)
		n = (size_t)(size - tar->given);
	tar->given += n;
	if (tar->entry.sparse && tar->given == size) {
		tar->extent++;
		tar->given = 0;
	}
	return n;
}

int tar_data(struct tar *tar, const void **data, size_t *size, uint64_t *offset, struct err *err)
{
	struct tar_input *in = &tar->input;
	if (tar->data_left == 0) { /* also for all that is no file */
		*size = 0;
		return 0;
	}
	int r = tar_input_fill(in, err);
	if (r < 0)
		return r;
	if (in->ended)
		return err_set(err, EBADMSG, "the archive ends %llu bytes early in '%s'",
			       (unsigned long long)tar->data_left, esc(tar->entry.path));
	size_t n = tar->data_left < in->left ? (size_t)tar->data_left : in->left;
	n = place(tar, n, offset);
	*data = in->at;
	*size = n;
	tar_input_advance(in, n);
	tar->data_left -= n;
	return 0;
}
