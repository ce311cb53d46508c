/*
 * The table of contents of one layer: fixed-size entries, one string table, xattrs apart (few files
 * have any).  Names are cleaned on the way in, so that everything above sees components only.
 */
#include "layer/toc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/str.h"
#include "layer/toc-parts.h"

#define STRINGS_MAX_BYTES (UINT32_MAX - 2 * TAR_PATH_MAX_BYTES)
#define XATTR_BYTES_MAX (256u * 1024 * 1024)

struct toc {
	struct toc_entry *entries; /* owned */
	size_t count, capacity;
	char *strings; /* owned; offset 0 is "" */
	size_t strings_used, strings_room;
	struct toc_xattr_record *xattrs; /* owned */
	size_t xattr_count, xattr_capacity;
	uint8_t *values; /* owned */
	size_t values_used, values_room;
	uint64_t dropped_xattrs;
	bool borrowed; /* all arrays are: toc_of_parts */
};

struct toc *toc_new(void)
{
	struct toc *toc = mem_make(struct toc, .strings_used = 1, .strings_room = 4096);
	toc->strings = mem_new(toc->strings_room);
	return toc;
}

void toc_free(struct toc *toc)
{
	if (!toc)
		return;
	if (!toc->borrowed) {
		free(toc->entries);
		free(toc->strings);
		free(toc->xattrs);
		free(toc->values);
	}
	free(toc);
}

struct toc_parts toc_parts_of(const struct toc *toc)
{
	return (struct toc_parts){
		.entries = toc->entries,
		.entry_count = toc->count,
		.strings = toc->strings,
		.strings_size = toc->strings_used,
		.xattrs = toc->xattrs,
		.xattr_count = toc->xattr_count,
		.values = toc->values,
		.values_size = toc->values_used,
		.dropped_xattrs = toc->dropped_xattrs,
	};
}

/* Nothing writes to a borrowed one: toc_add, the only writer, refuses it. */
static void *unconst(const void *data)
{
	return (void *)(uintptr_t)data;
}

struct toc *toc_of_parts(const struct toc_parts *parts)
{
	return mem_make(struct toc, .entries = unconst(parts->entries), .count = parts->entry_count,
			.strings = unconst(parts->strings), .strings_used = parts->strings_size,
			.xattrs = unconst(parts->xattrs), .xattr_count = parts->xattr_count,
			.values = unconst(parts->values), .values_used = parts->values_size,
			.dropped_xattrs = parts->dropped_xattrs, .borrowed = true);
}

/* Room for MORE bytes in a growing byte table of at most MAX bytes. */
static int grow_bytes(void *table, size_t *room, size_t used, size_t more, size_t max,
		      struct err *err)
{
	void **bytes = table;
	if (used + more <= *room)
		return 0;
	if (used + more > max)
		return err_set(err, E2BIG, "names or attributes of more than %zu bytes", max);
	size_t wanted = *room ? *room : 4096;
	while (wanted < used + more)
		wanted += wanted / 2;
	void *grown = realloc(*bytes, wanted);
	if (!grown)
		return err_set(err, ENOMEM, "out of memory for %zu bytes", wanted);
	*bytes = grown;
	*room = wanted;
	return 0;
}

static int add_string(struct toc *toc, const char *text, size_t length, uint32_t *offset,
		      struct err *err)
{
	*offset = 0;
	if (length == 0)
		return 0;
	int r = grow_bytes(&toc->strings, &toc->strings_room, toc->strings_used, length + 1,
			   STRINGS_MAX_BYTES, err);
	if (r < 0)
		return r;
	memcpy(toc->strings + toc->strings_used, text, length);
	toc->strings[toc->strings_used + length] = '\0';
	*offset = (uint32_t)toc->strings_used;
	toc->strings_used += length + 1;
	return 0;
}

/*
 * PATH without leading "/", "." components and doubled or trailing "/", into CLEAN
 * (TAR_PATH_MAX_BYTES + 1).
 * ".." is refused: peers clamp it into the root, but no honest writer makes it (security.md section
 * 2).
 */
static int clean_path(char *clean, const char *path, struct err *err)
{
	size_t used = 0;
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(err, EBADMSG, "name '%s' has a '..' component", esc(path));
		if (n > TAR_NAME_MAX_BYTES)
			return err_set(err, EBADMSG, "name '%s' has a component of %zu bytes",
				       esc(path), n);
		if (used + n + 1 > TAR_PATH_MAX_BYTES)
			return err_set(err, EBADMSG, "name '%s' is longer than %d bytes", esc(path),
				       TAR_PATH_MAX_BYTES);
		if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (used > 0)
				clean[used++] = '/';
			memcpy(clean + used, p, n);
			used += n;
		}
		p += n;
		while (*p == '/')
			p++;
	}
	clean[used] = '\0';
	return 0;
}

/* What a name says about whiteouts (image-spec layer.md, "Whiteouts"). */
enum marker { MARKER_NONE, MARKER_IGNORE, MARKER_WHITEOUT, MARKER_OPAQUE, MARKER_BAD };

static enum marker classify(const char *clean)
{
	const char *base = strrchr(clean, '/');
	base = base ? base + 1 : clean;
	for (const char *p = clean; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		if (!str_starts(p, ".wh."))
			continue;
		if (p != base)
			return str_starts(p, ".wh..wh.") ? MARKER_IGNORE : MARKER_BAD;
		if (strcmp(p, ".wh..wh..opq") == 0)
			return MARKER_OPAQUE;
		if (str_starts(p, ".wh..wh."))
			return MARKER_IGNORE;
		const char *name = p + 4;
		/* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Branch): it is behind ".wh." */
		if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			return MARKER_BAD;
		return MARKER_WHITEOUT;
	}
	return MARKER_NONE;
}

/* Turn "d/.wh.x" into "d/x" and "d/.wh..wh..opq" into "d". */
static void strip_marker(char *clean, enum marker marker)
{
	char *slash = strrchr(clean, '/');
	char *base = slash ? slash + 1 : clean;
	if (marker == MARKER_WHITEOUT)
		memmove(base, base + 4, strlen(base + 4) + 1);
	else if (slash)
		*slash = '\0';
	else
		*clean = '\0';
}

bool toc_xattr_allowed(const char *name)
{
	if (str_starts(name, "user."))
		return !str_starts(name, "user.overlay.") &&
		       !str_starts(name, "user.fuseoverlayfs.") && name[5] != '\0';
	return strcmp(name, "security.capability") == 0 ||
	       strcmp(name, "system.posix_acl_access") == 0 ||
	       strcmp(name, "system.posix_acl_default") == 0;
}

static int add_xattr(struct toc *toc, const struct tar_xattr *x, struct err *err)
{
	struct toc_xattr_record record = { .value = (uint32_t)toc->values_used,
					   .size = (uint32_t)x->size };
	int r = add_string(toc, x->name, strlen(x->name), &record.name, err);
	if (r < 0)
		return r;
	r = grow_bytes(&toc->values, &toc->values_room, toc->values_used, x->size + 1,
		       XATTR_BYTES_MAX, err);
	if (r < 0)
		return r;
	if (x->size > 0)
		memcpy(toc->values + toc->values_used, x->value, x->size);
	toc->values_used += x->size;
	toc->xattrs = mem_grow(toc->xattrs, &toc->xattr_capacity, toc->xattr_count,
			       sizeof(*toc->xattrs));
	toc->xattrs[toc->xattr_count++] = record;
	return 0;
}

static int add_xattrs(struct toc *toc, const struct tar_entry *entry, struct toc_entry *out,
		      struct err *err)
{
	size_t first = toc->xattr_count;
	for (size_t i = 0; i < entry->xattr_count; i++) {
		if (!toc_xattr_allowed(entry->xattrs[i].name) ||
		    entry->xattrs[i].size > TOC_XATTR_MAX_BYTES) {
			toc->dropped_xattrs++;
			continue;
		}
		int r = add_xattr(toc, &entry->xattrs[i], err);
		if (r < 0)
			return r;
	}
	if (toc->xattr_count == first)
		return 0;
	for (size_t i = first; i + 1 < toc->xattr_count; i++)
		toc->xattrs[i].more = 1;
	out->xattrs = (uint32_t)first + 1;
	return 0;
}

static int add_link(struct toc *toc, const struct tar_entry *entry, struct toc_entry *out,
		    struct err *err)
{
	char clean[TAR_PATH_MAX_BYTES + 1];
	size_t length = strlen(entry->link);
	if (length == 0 || length >= TAR_PATH_MAX_BYTES)
		return err_set(err, EBADMSG, "link '%s' has a target of %zu bytes",
			       esc(entry->path), length);
	if (entry->type == TAR_SYMLINK)
		return add_string(toc, entry->link, length, &out->link, err);
	int r = clean_path(clean, entry->link, err);
	if (r < 0)
		return err_wrap(err, r, "hard link '%s'", esc(entry->path));
	return add_string(toc, clean, strlen(clean), &out->link, err);
}

static enum toc_kind kind_of(enum tar_type type)
{
	static const enum toc_kind kinds[] = {
		[TAR_FILE] = TOC_FILE,	     [TAR_HARDLINK] = TOC_HARDLINK,
		[TAR_SYMLINK] = TOC_SYMLINK, [TAR_CHAR] = TOC_CHAR,
		[TAR_BLOCK] = TOC_BLOCK,     [TAR_DIRECTORY] = TOC_DIRECTORY,
		[TAR_FIFO] = TOC_FIFO,
	};
	return kinds[type];
}

static int fill_entry(struct toc *toc, const struct tar_entry *entry, struct toc_entry *out,
		      struct err *err)
{
	out->size = entry->size;
	out->mtime_s = entry->mtime_s;
	out->mtime_ns = entry->mtime_ns;
	out->mode = entry->mode & 07777;
	out->uid = entry->uid;
	out->gid = entry->gid;
	out->dev_major = entry->dev_major;
	out->dev_minor = entry->dev_minor;
	if (entry->type == TAR_SYMLINK || entry->type == TAR_HARDLINK) {
		int r = add_link(toc, entry, out, err);
		if (r < 0)
			return r;
	}
	return add_xattrs(toc, entry, out, err);
}

int toc_add(struct toc *toc, const struct tar_entry *entry, uint32_t *index, struct err *err)
{
	char clean[TAR_PATH_MAX_BYTES + 1];
	assert(!toc->borrowed);
	*index = UINT32_MAX;
	int r = clean_path(clean, entry->path, err);
	if (r < 0)
		return r;
	struct toc_entry out = { .kind = (unsigned)kind_of(entry->type) & 15u,
				 .content = TOC_NO_CONTENT };
	enum marker marker = classify(clean);
	if (marker == MARKER_IGNORE)
		return 0;
	if (marker == MARKER_BAD)
		return err_set(err, EBADMSG, "'%s' is no whiteout", esc(entry->path));
	if (marker != MARKER_NONE) {
		strip_marker(clean, marker);
		out.kind = marker == MARKER_OPAQUE ? TOC_OPAQUE : TOC_WHITEOUT;
	} else if (!*clean && out.kind != TOC_DIRECTORY) {
		return err_set(err, EBADMSG, "the root entry '%s' is no directory",
			       esc(entry->path));
	} else {
		r = fill_entry(toc, entry, &out, err);
		if (r < 0)
			return r;
	}
	if (toc->count >= TOC_ENTRIES_MAX)
		return err_set(err, E2BIG, "more than %u entries", TOC_ENTRIES_MAX);
	r = add_string(toc, clean, strlen(clean), &out.path, err);
	if (r < 0)
		return r;
	toc->entries = mem_grow(toc->entries, &toc->capacity, toc->count, sizeof(*toc->entries));
	toc->entries[toc->count] = out;
	*index = (uint32_t)toc->count++;
	return 0;
}

uint32_t toc_count(const struct toc *toc)
{
	return (uint32_t)toc->count;
}

struct toc_entry *toc_at(struct toc *toc, uint32_t index)
{
	return &toc->entries[index];
}

const char *toc_string(const struct toc *toc, uint32_t offset)
{
	return toc->strings + offset;
}

size_t toc_xattrs(const struct toc *toc, const struct toc_entry *entry, struct toc_xattr *out,
		  size_t capacity)
{
	if (!entry->xattrs)
		return 0;
	size_t count = 0;
	for (size_t i = entry->xattrs - 1;; i++) {
		const struct toc_xattr_record *x = &toc->xattrs[i];
		if (count < capacity)
			out[count] = (struct toc_xattr){ toc->strings + x->name,
							 toc->values + x->value, x->size };
		count++;
		if (!x->more)
			return count;
	}
}

uint64_t toc_dropped_xattrs(const struct toc *toc)
{
	return toc->dropped_xattrs;
}
