/*
 * A tar archive as a store: one pass notes where each member lies, later a member is a window of
 * the file.  Members are sorted by name, so there is no table that chosen names could flood.
 */
#include "oci/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/str.h"
#include "codec/decoder.h"
#include "codec/tar.h"

#define MEMBERS_MAX 65536
#define NAMES_MAX_BYTES (16u * 1024 * 1024)
#define LINK_HOPS_MAX 16

struct member {
	char *path; /* owned; clean */
	char *link; /* owned; for links the clean path they name, NULL when it is no legal one */
	enum tar_type type;
	bool sparse;
	size_t order; /* in the archive */
	uint64_t offset, size;
};

struct archive {
	struct store base;
	int fd;			/* owned */
	struct member *members; /* owned, sorted by path, then order */
	size_t count, capacity;
	size_t name_bytes;
};

/*
 * DIR's parent joined with PATH, without "", "." and ".."; NULL when it climbs above the archive.
 * BASE may be NULL.
 */
static char *clean_path(const char *base, const char *path)
{
	auto_str out = STR_MAX(2 * TAR_PATH_MAX_BYTES);
	const char *slash = base ? strrchr(base, '/') : NULL;
	if (slash && path[0] != '/')
		str_addn(&out, base, (size_t)(slash - base));
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		bool up = n == 2 && p[0] == '.' && p[1] == '.';
		if (up && out.length == 0)
			return NULL;
		if (up) {
			char *last = strrchr(out.data, '/');
			out.length = last ? (size_t)(last - out.data) : 0;
			out.data[out.length] = '\0';
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			str_add(&out, out.length ? "/" : "");
			str_addn(&out, p, n);
		}
		p += n;
		p += strspn(p, "/");
	}
	return out.failed ? NULL : str_take(&out);
}

static int add_member(struct archive *archive, const struct tar_entry *entry, struct err *err)
{
	bool link = entry->type == TAR_SYMLINK || entry->type == TAR_HARDLINK;
	if (entry->type != TAR_FILE && !link)
		return 0;
	char *path = clean_path(NULL, entry->path);
	if (!path)
		return 0; /* nothing can ask for it */
	archive->members = mem_grow(archive->members, &archive->capacity, archive->count,
				    sizeof(*archive->members));
	struct member *m = &archive->members[archive->count];
	*m = (struct member){
		.path = path,
		.link = link ? clean_path(entry->type == TAR_SYMLINK ? path : NULL, entry->link)
			     : NULL,
		.type = entry->type,
		.sparse = entry->sparse,
		.order = archive->count++,
		.offset = entry->data_offset,
		.size = entry->size,
	};
	archive->name_bytes += strlen(path) + (m->link ? strlen(m->link) : 0);
	if (archive->count > MEMBERS_MAX || archive->name_bytes > NAMES_MAX_BYTES)
		return err_set(err, E2BIG, "more than %d members, or %u bytes of names",
			       MEMBERS_MAX, NAMES_MAX_BYTES);
	return 0;
}

static int compare_members(const void *a, const void *b)
{
	const struct member *m = a, *n = b;
	int order = strcmp(m->path, n->path);
	return order ? order : (m->order > n->order) - (m->order < n->order);
}

static int read_members(struct archive *archive, uint64_t size, struct err *err)
{
	int fd = fcntl(archive->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "duplicate a descriptor");
	AUTO(stream) stream = stream_of_fd(fd, 0, size);
	AUTO(tar) tar = tar_new(stream);
	for (;;) {
		const struct tar_entry *entry = NULL;
		int r = tar_next(tar, &entry, err);
		if (r > 0)
			r = add_member(archive, entry, err);
		else if (r == 0)
			break;
		if (r < 0)
			return r;
	}
	if (archive->count > 0)
		qsort(archive->members, archive->count, sizeof(*archive->members), compare_members);
	return 0;
}

/* The last member called PATH, or NULL. */
static const struct member *find_member(const struct archive *archive, const char *path)
{
	size_t low = 0, high = archive->count; /* the first member behind PATH lies in here */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(archive->members[middle].path, path) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || strcmp(archive->members[low - 1].path, path) != 0)
		return NULL;
	return &archive->members[low - 1];
}

static int archive_open(struct store *store, const char *path, struct store_file *out,
			struct err *err)
{
	struct archive *archive = (struct archive *)store;
	auto_free char *wanted = clean_path(NULL, path);
	const struct member *m = wanted ? find_member(archive, wanted) : NULL;
	for (int hops = 0; m && m->type != TAR_FILE; hops++) {
		if (!m->link || hops == LINK_HOPS_MAX)
			return err_set(err, EBADMSG, "'%s' is a link that leads nowhere",
				       esc(path));
		m = find_member(archive, m->link);
	}
	if (!m)
		return err_set(err, ENOENT, "no '%s' in the archive", esc(path));
	if (m->sparse)
		return err_set(err, EOPNOTSUPP, "'%s' is stored as a sparse file", esc(path));
	int fd = fcntl(archive->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "duplicate a descriptor");
	*out = (struct store_file){ .fd = fd, .offset = m->offset, .size = m->size };
	return 0;
}

static void archive_free(struct store *store)
{
	struct archive *archive = (struct archive *)store;
	for (size_t i = 0; i < archive->count; i++) {
		free(archive->members[i].path);
		free(archive->members[i].link);
	}
	free(archive->members);
	mem_close_fd(&archive->fd);
	free(archive);
}

static int file_size(int fd, uint64_t *size, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "it is not a regular file");
	*size = (uint64_t)st.st_size;
	return 0;
}

/* Opens PATH; when it is compressed, what it decodes to. */
static int open_plain(const char *path, int *out, uint64_t *size, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, "open");
	int r = file_size(fd, size, err);
	if (r < 0)
		return r;
	uint8_t magic[CODEC_MAGIC_BYTES];
	ssize_t n = pread(fd, magic, sizeof(magic), 0);
	if (n < 0)
		return err_sys(err, "read");
	if (codec_detect(magic, (size_t)n) == CODEC_NONE) {
		*out = TAKE_FD(fd);
		return 0;
	}
	auto_close int spool = -1;
	r = spool_decoded(&spool, fd, *size, err);
	if (r == 0)
		r = file_size(spool, size, err);
	if (r == 0)
		*out = TAKE_FD(spool);
	return r;
}

int store_open_archive(struct store **out, const char *path, struct err *err)
{
	static const struct store_ops ops = { archive_open, archive_free };
	struct archive *archive = mem_make(struct archive, .base = { &ops }, .fd = -1);
	AUTO(store) store = &archive->base;
	uint64_t size = 0;
	int r = open_plain(path, &archive->fd, &size, err);
	if (r == 0)
		r = read_members(archive, size, err);
	if (r < 0)
		return err_wrap(err, r, "archive '%s'", esc(path));
	*out = TAKE(store);
	return 0;
}
