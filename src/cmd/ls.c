/*
 * "rootlet ls IMAGE [PATH]": a directory as ls shows it.  Owners are numbers, for their names are
 * in a file of the image that would have to be fetched; directories have no size.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cmd/colors.h"
#include "cmd/entry.h"
#include "cmd/view.h"
#include "image/rootfs-path.h"

struct ls_args {
	struct look_args look; /* first */
	bool list, recursive, all, human, zero;
	const char *sort;
};

#define MEMBER(name) offsetof(struct ls_args, name)
static const struct opt options[] = {
	{ "l,long", OPT_FLAG, MEMBER(list), NULL, "modes, owners, sizes, times, link targets" },
	{ "R,recursive", OPT_FLAG, MEMBER(recursive), NULL, "directories below, too" },
	{ "a,all", OPT_FLAG, MEMBER(all), NULL, "names that begin with a dot, too" },
	{ "h,human-readable", OPT_FLAG, MEMBER(human), NULL, "sizes like 1.3K and 45M" },
	{ "sort", OPT_TEXT, MEMBER(sort), "size|time|name",
	  "largest, newest first, or by name; default: name" },
	{ "0,null", OPT_FLAG, MEMBER(zero), NULL, "names as they are, a NUL after each" },
	LOOK_OPTIONS("one JSON object a line and name"),
};

struct item {
	const char *name; /* borrowed */
	uint32_t number;
	const struct rootfs_inode *inode; /* borrowed */
};

struct dir {
	char *path; /* owned */
	uint32_t number;
};

struct ls {
	const struct ls_args *args;  /* borrowed */
	const struct rootfs *rootfs; /* borrowed */
	struct print *print;	     /* borrowed */
	struct colors *colors;	     /* owned or NULL */
	struct dir *todo;	     /* owned; the last one is next */
	size_t todo_count, todo_capacity;
	bool headings, begun; /* a line with the directory's path; something was printed */
};

static void ls_release(struct ls *ls)
{
	for (size_t i = 0; i < ls->todo_count; i++)
		free(ls->todo[i].path);
	free(ls->todo);
	colors_free(ls->colors);
}

/* ---- order */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static int by_size(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->inode->size != y->inode->size)
		return x->inode->size > y->inode->size ? -1 : 1;
	return by_name(a, b);
}

static int by_time(const void *a, const void *b)
{
	const struct rootfs_inode *x = ((const struct item *)a)->inode;
	const struct rootfs_inode *y = ((const struct item *)b)->inode;
	if (x->mtime_s != y->mtime_s)
		return x->mtime_s > y->mtime_s ? -1 : 1;
	if (x->mtime_ns != y->mtime_ns)
		return x->mtime_ns > y->mtime_ns ? -1 : 1;
	return by_name(a, b);
}

static void sort(const struct ls *ls, struct item *items, size_t count)
{
	if (count > 0)
		qsort(items, count, sizeof(*items),
		      str_equal(ls->args->sort, "size")	  ? by_size
		      : str_equal(ls->args->sort, "time") ? by_time
							  : by_name);
}

/* ---- one name */

static const struct rootfs_inode *target_of(const struct ls *ls, const char *dir,
					    const struct item *item)
{
	auto_str path = STR_MAX(ENTRY_JSON_MAX_BYTES);
	uint32_t number;
	if (!S_ISLNK(item->inode->mode))
		return item->inode;
	str_addf(&path, "%s/%s", dir, item->name);
	if (rootfs_resolve(ls->rootfs, str_text(&path), true, &number, NULL) < 0)
		return NULL;
	return rootfs_inode(ls->rootfs, number);
}

static void print_item_name(struct ls *ls, const char *dir, const struct item *item)
{
	FILE *out = print_file(ls->print);
	const char *codes = NULL;
	if (ls->colors)
		codes = colors_of(ls->colors, item->name, item->inode, target_of(ls, dir, item));
	if (codes)
		fprintf(out, "\x1b[%sm", codes);
	print_name(ls->print, item->name);
	if (codes)
		fputs("\x1b[0m", out);
}

/* ---- the long form */

struct widths {
	int links, uid, gid, size;
};

static struct entry_text size_text(const struct ls *ls, const struct rootfs_inode *inode)
{
	struct entry_text out;
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		(void)snprintf(out.text, sizeof(out.text), "%u, %u", inode->a, inode->b);
	else if (ls->args->human)
		(void)snprintf(out.text, sizeof(out.text), "%s", print_human(inode->size).text);
	else
		(void)snprintf(out.text, sizeof(out.text), "%" PRIu64, inode->size);
	return out;
}

static int digits(uint32_t n)
{
	int count = 1;
	for (; n > 9; n /= 10)
		count++;
	return count;
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

static struct widths measure(const struct ls *ls, const struct item *items, size_t count)
{
	struct widths w = { 0 };
	for (size_t i = 0; i < count; i++) {
		const struct rootfs_inode *inode = items[i].inode;
		w.links = max(w.links, digits(inode->nlink));
		w.uid = max(w.uid, digits(inode->uid));
		w.gid = max(w.gid, digits(inode->gid));
		w.size = max(w.size, (int)strlen(size_text(ls, inode).text));
	}
	return w;
}

static void print_long(struct ls *ls, const char *dir, const struct item *items, size_t count)
{
	struct widths w = measure(ls, items, count);
	for (size_t i = 0; i < count; i++) {
		const struct rootfs_inode *inode = items[i].inode;
		fprintf(print_file(ls->print), "%s%s %*u %*u %*u %*s %s ",
			entry_mode(inode->mode).text, entry_has_acl(ls->rootfs, inode) ? "+" : "",
			w.links, inode->nlink, w.uid, inode->uid, w.gid, inode->gid, w.size,
			size_text(ls, inode).text, entry_time(inode).text);
		print_item_name(ls, dir, &items[i]);
		const char *target = entry_target(ls->rootfs, inode);
		if (target) {
			fputs(" -> ", print_file(ls->print));
			print_name(ls->print, target);
		}
		print_end(ls->print);
	}
}

/* ---- columns, on a terminal */

/* Rows that let COUNT names as wide as the widest stand side by side, top to bottom. */
static void print_columns_of(struct ls *ls, const char *dir, const struct item *items, size_t count)
{
	size_t widest = 0;
	for (size_t i = 0; i < count; i++) {
		size_t width = print_width(items[i].name);
		widest = width > widest ? width : widest;
	}
	size_t columns = print_columns(ls->print) / (widest + 2);
	columns = columns > 0 ? columns : 1;
	size_t rows = (count + columns - 1) / columns;
	for (size_t row = 0; row < rows; row++) {
		for (size_t i = row; i < count; i += rows) {
			print_item_name(ls, dir, &items[i]);
			size_t width = print_width(items[i].name);
			if (i + rows < count)
				fprintf(print_file(ls->print), "%*s", (int)(widest + 2 - width),
					"");
		}
		print_end(ls->print);
	}
}

static int print_json(struct ls *ls, const char *dir, const struct item *item)
{
	auto_str line = STR_MAX(ENTRY_JSON_MAX_BYTES), path = STR_MAX(ENTRY_JSON_MAX_BYTES);
	const char *slash = *dir && !str_ends(dir, "/") ? "/" : "";
	str_addf(&path, "%s%s%s", dir, slash, item->name);
	str_addc(&line, '{');
	entry_json(&line, ls->rootfs, str_text(&path), item->number);
	str_addc(&line, '}');
	print_line(ls->print, &line);
	return 0;
}

static void print_items(struct ls *ls, const char *dir, const struct item *items, size_t count)
{
	if (ls->args->look.json) {
		for (size_t i = 0; i < count; i++)
			(void)print_json(ls, dir, &items[i]);
	} else if (ls->args->list) {
		print_long(ls, dir, items, count);
	} else if (print_is_terminal(ls->print) && !ls->args->zero) {
		print_columns_of(ls, dir, items, count);
	} else {
		for (size_t i = 0; i < count; i++) {
			print_item_name(ls, dir, &items[i]);
			print_end(ls->print);
		}
	}
}

/* ---- directories */

static bool is_shown(const struct ls *ls, const char *name)
{
	return ls->args->all || name[0] != '.';
}

/* What DIR has to show; *count of them.  JSON leaves "." and ".." out: they are no entries. */
static struct item *take_items(const struct ls *ls, const struct dir *dir, size_t *count)
{
	const struct rootfs_inode *inode = rootfs_inode(ls->rootfs, dir->number);
	struct item *items = mem_new((inode->b + 2u) * sizeof(*items));
	size_t n = 0;
	if (ls->args->all && !ls->args->look.json) {
		items[n++] = (struct item){ ".", dir->number, inode };
		items[n++] = (struct item){ "..", inode->parent,
					    rootfs_inode(ls->rootfs, inode->parent) };
	}
	for (uint32_t i = 0; i < inode->b; i++) {
		const struct rootfs_child *child = rootfs_child(ls->rootfs, inode, i);
		const char *name = rootfs_string(ls->rootfs, child->name);
		if (is_shown(ls, name))
			items[n++] = (struct item){ name, child->inode,
						    rootfs_inode(ls->rootfs, child->inode) };
	}
	sort(ls, items, n);
	*count = n;
	return items;
}

static void push(struct ls *ls, char *path, uint32_t number)
{
	ls->todo = mem_grow(ls->todo, &ls->todo_capacity, ls->todo_count, sizeof(*ls->todo));
	ls->todo[ls->todo_count++] = (struct dir){ path, number };
}

/* The directories among ITEMS, so that the first comes next. */
static void push_below(struct ls *ls, const char *dir, const struct item *items, size_t count)
{
	for (size_t i = count; i > 0; i--) {
		const struct item *item = &items[i - 1];
		if (!S_ISDIR(item->inode->mode) || str_equal(item->name, ".") ||
		    str_equal(item->name, ".."))
			continue;
		auto_str path = STR_MAX(ENTRY_JSON_MAX_BYTES);
		str_addf(&path, "%s%s%s", dir, str_ends(dir, "/") ? "" : "/", item->name);
		push(ls, str_take(&path), item->number);
	}
}

static void print_heading(struct ls *ls, const char *path)
{
	if (!ls->headings || ls->args->look.json)
		return;
	if (ls->begun)
		print_end(ls->print);
	print_name(ls->print, path);
	fputc(':', print_file(ls->print));
	print_end(ls->print);
}

static int list_dirs(struct ls *ls, struct err *err)
{
	while (ls->todo_count > 0) {
		struct dir dir = ls->todo[--ls->todo_count];
		auto_free char *path = dir.path;
		size_t count;
		auto_free struct item *items = take_items(ls, &dir, &count);
		print_heading(ls, path);
		print_items(ls, path, items, count);
		ls->begun = true;
		if (ls->args->recursive)
			push_below(ls, path, items, count);
		int r = print_check(ls->print, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int list(struct view *view, const char *path, const struct ls_args *args, struct err *err)
{
	__attribute__((cleanup(ls_release))) struct ls ls = {
		.args = args,
		.rootfs = view->rootfs,
		.print = view->print,
		.headings = args->recursive,
	};
	uint32_t number;
	/* as ls: the long form shows a link, the others what it leads to */
	int r = rootfs_resolve(view->rootfs, path, !args->list, &number, err);
	if (r < 0)
		return r;
	ls.colors = colors_new(print_is_terminal(view->print) && !args->zero && !args->look.json);
	const struct rootfs_inode *inode = rootfs_inode(view->rootfs, number);
	if (S_ISDIR(inode->mode)) {
		push(&ls, mem_strdup(path), number);
		return list_dirs(&ls, err);
	}
	print_items(&ls, "", &(struct item){ path, number, inode }, 1);
	return print_check(view->print, err);
}

static bool is_order(const char *text)
{
	return !text || str_equal(text, "size") || str_equal(text, "time") ||
	       str_equal(text, "name");
}

static int run(int argc, char **argv)
{
	struct ls_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_ls, &args.look, argc, argv, 1, 2, &operands, &status))
		return status;
	if (!is_order(args.sort)) {
		(void)err_set(&err, EINVAL, "'--sort' wants size, time or name");
		return cmd_usage(cmd_ls.name, &err);
	}
	auto_view view = { 0 };
	int r = view_open(&view, &args.look, args.zero, argv[1], &err);
	if (r == 0)
		r = list(&view, operands > 1 ? argv[2] : "/", &args, &err);
	return view_end(&view, r, &err, 0);
}

const struct command cmd_ls = {
	.name = "ls",
	.operands = "IMAGE [PATH]",
	.summary = "list a directory of an image",
	.about = "Lists PATH in IMAGE, or all of its root directory, as ls does; colours on a\n"
		 "terminal go by $LS_COLORS, and $NO_COLOR turns them off.  Owners are numbers.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
