/* Lines of "rootlet diff", for people and as JSON (docs/command-line.md has the members). */
#include "cmd/diff-print.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/entry.h"

#define LINE_MAX_BYTES (16u * 1024 * 1024)

static const struct {
	unsigned what;
	const char *name;
} parts[] = {
	{ COMPARE_TYPE, "type" },   { COMPARE_CONTENT, "content" }, { COMPARE_MODE, "mode" },
	{ COMPARE_OWNER, "owner" }, { COMPARE_LINK, "link" },	    { COMPARE_XATTR, "xattr" },
};

static const char *word_of(const struct difference *d)
{
	if (d->a == ROOTFS_NONE)
		return "added";
	return d->b == ROOTFS_NONE ? "removed" : "changed";
}

/* What one side has of PART: "1.2K", "0644", "0:0", "target". */
static void add_side(struct str *out, const struct rootfs *rootfs, const struct rootfs_inode *inode,
		     unsigned part)
{
	if (part == COMPARE_TYPE)
		str_add(out, entry_type(inode->mode));
	else if (part == COMPARE_CONTENT)
		str_add(out, print_human(inode->size).text);
	else if (part == COMPARE_MODE)
		str_addf(out, "%04o", inode->mode & 07777);
	else if (part == COMPARE_OWNER)
		str_addf(out, "%" PRIu32 ":%" PRIu32, inode->uid, inode->gid);
	else if (S_ISLNK(inode->mode))
		esc_add(out, rootfs_string(rootfs, inode->a),
			strlen(rootfs_string(rootfs, inode->a)));
	else
		str_addf(out, "%" PRIu32 ",%" PRIu32, inode->a, inode->b);
}

static void add_changes(struct str *out, const struct diff_printer *printer,
			const struct difference *d)
{
	const struct rootfs_inode *x = rootfs_inode(printer->a, d->a);
	const struct rootfs_inode *y = rootfs_inode(printer->b, d->b);
	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		if (!(d->changed & parts[i].what))
			continue;
		str_addf(out, "%s%s", out->length > 0 ? ", " : "", parts[i].name);
		bool same_size = parts[i].what == COMPARE_CONTENT && x->size == y->size;
		if (parts[i].what == COMPARE_XATTR || same_size)
			continue;
		str_addc(out, ' ');
		add_side(out, printer->a, x, parts[i].what);
		str_add(out, " -> ");
		add_side(out, printer->b, y, parts[i].what);
	}
}

static void print_words(const struct diff_printer *printer, const struct difference *d)
{
	const struct rootfs_inode *inode = d->b != ROOTFS_NONE ? rootfs_inode(printer->b, d->b)
							       : rootfs_inode(printer->a, d->a);
	struct print *print = printer->print;
	struct print_size size = { "-" };
	if (S_ISREG(inode->mode))
		size = print_human(inode->size);
	fprintf(print_file(print), "%-8s %8s  ", word_of(d), size.text);
	print_name(print, d->path);
	if (S_ISDIR(inode->mode) && !str_ends(d->path, "/"))
		fputs("/", print_file(print));
	auto_str changes = STR_MAX(LINE_MAX_BYTES);
	if (d->changed)
		add_changes(&changes, printer, d);
	if (changes.length > 0)
		fprintf(print_file(print), "  (%s)", str_text(&changes));
	print_end(print);
}

static void add_inode(struct str *out, const char *key, const struct rootfs *rootfs,
		      uint32_t number)
{
	const struct rootfs_inode *inode = number ? rootfs_inode(rootfs, number) : NULL;
	str_addf(out, ",\"%s\":", key);
	if (!inode) {
		str_add(out, "null");
		return;
	}
	str_addf(out, "{\"type\":\"%s\",\"mode\":%u,\"uid\":%" PRIu32 ",\"gid\":%" PRIu32,
		 entry_type(inode->mode), inode->mode & 07777, inode->uid, inode->gid);
	if (S_ISREG(inode->mode))
		str_addf(out, ",\"size\":%" PRIu64, inode->size);
	if (S_ISLNK(inode->mode)) {
		str_addc(out, ',');
		print_json_name(out, "target", rootfs_string(rootfs, inode->a));
	}
	str_addc(out, '}');
}

static void print_json(const struct diff_printer *printer, const struct difference *d)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	str_addc(&line, '{');
	print_json_name(&line, "path", d->path);
	str_addf(&line, ",\"change\":\"%s\",\"what\":[", word_of(d));
	bool first = true;
	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		if (!(d->changed & parts[i].what))
			continue;
		str_addf(&line, "%s\"%s\"", first ? "" : ",", parts[i].name);
		first = false;
	}
	str_addc(&line, ']');
	add_inode(&line, "old", printer->a, d->a);
	add_inode(&line, "new", printer->b, d->b);
	str_addc(&line, '}');
	print_line(printer->print, &line);
}

void diff_print(const struct diff_printer *printer, const struct difference *d)
{
	if (printer->json) {
		print_json(printer, d);
	} else if (printer->names_only) {
		fprintf(print_file(printer->print), "%s ", word_of(d));
		print_name(printer->print, d->path);
		print_end(printer->print);
	} else {
		print_words(printer, d);
	}
}
