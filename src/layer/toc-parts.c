/*
 * Is this a table of contents?  Whoever reads one trusts its offsets and its names: they are
 * checked here once, when a table is opened, in one pass over entries, names and attributes.
 */
#include "layer/toc-parts.h"

#include <errno.h>

#define NANOSECONDS 1000000000u

static int bad(const char *what, size_t i, struct err *err)
{
	return err_set(err, EBADMSG, "%s of number %zu", what, i);
}

/* A path as toc_add cleans it; "" is the root. */
static bool is_clean(const char *path)
{
	if (!*path)
		return true;
	if (strnlen(path, TAR_PATH_MAX_BYTES) == TAR_PATH_MAX_BYTES)
		return false;
	for (const char *p = path;; p++) {
		size_t n = (size_t)(strchrnul(p, '/') - p);
		bool dots = p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'));
		if (n == 0 || n > TAR_NAME_MAX_BYTES || dots)
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

static bool link_is_right(const struct toc_entry *e, const char *link)
{
	if (e->kind == TOC_HARDLINK)
		return is_clean(link);
	if (e->kind != TOC_SYMLINK)
		return e->link == 0;
	size_t length = strnlen(link, TAR_PATH_MAX_BYTES);
	return length > 0 && length < TAR_PATH_MAX_BYTES;
}

static bool content_is_right(const struct toc_entry *e, uint32_t contents)
{
	if (e->kind != TOC_FILE)
		return e->content == TOC_NO_CONTENT;
	return e->content < contents || (e->content == TOC_NO_CONTENT && e->size == 0);
}

static int check_entry(const struct toc_parts *parts, size_t i, uint32_t contents, struct err *err)
{
	const struct toc_entry *e = &parts->entries[i];
	if (e->path >= parts->strings_size || e->link >= parts->strings_size)
		return bad("name", i, err);
	const char *path = parts->strings + e->path;
	if (e->kind > TOC_OPAQUE || e->spare != 0)
		return bad("kind", i, err);
	if (!is_clean(path) || (!*path && e->kind != TOC_DIRECTORY && e->kind != TOC_OPAQUE))
		return bad("path", i, err);
	if (!link_is_right(e, parts->strings + e->link))
		return bad("link", i, err);
	if (!content_is_right(e, contents))
		return bad("content", i, err);
	if (e->mtime_ns >= NANOSECONDS || e->size > TAR_SIZE_MAX || e->uid == UINT32_MAX ||
	    e->gid == UINT32_MAX || e->xattrs > parts->xattr_count)
		return bad("attributes", i, err);
	return 0;
}

static int check_xattr(const struct toc_parts *parts, size_t i, struct err *err)
{
	const struct toc_xattr_record *x = &parts->xattrs[i];
	bool last = i + 1 == parts->xattr_count;
	if (x->name >= parts->strings_size || !toc_xattr_allowed(parts->strings + x->name))
		return bad("attribute name", i, err);
	if (x->size > TOC_XATTR_MAX_BYTES || x->value > parts->values_size ||
	    x->size > parts->values_size - x->value)
		return bad("attribute value", i, err);
	if (x->more > 1 || (last && x->more))
		return bad("attribute row", i, err);
	return 0;
}

int toc_parts_check(const struct toc_parts *parts, uint32_t contents, struct err *err)
{
	if (parts->strings_size == 0 || parts->strings[0] != '\0' ||
	    parts->strings[parts->strings_size - 1] != '\0')
		return err_set(err, EBADMSG, "names without an end");
	if (parts->entry_count > TOC_ENTRIES_MAX)
		return err_set(err, EBADMSG, "%zu entries", parts->entry_count);
	for (size_t i = 0; i < parts->entry_count; i++) {
		int r = check_entry(parts, i, contents, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < parts->xattr_count; i++) {
		int r = check_xattr(parts, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}
