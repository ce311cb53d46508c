/*
 * "rootlet tree IMAGE [PATH]": names as a tree, drawn as tree(1) does; every name, also those that
 * begin with a dot.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cmd/colors.h"
#include "cmd/entry.h"
#include "cmd/view.h"
#include "image/rootfs-path.h"
#include "image/rootfs-walk.h"
#include "image/sizes.h"

struct tree_args {
	struct look_args look; /* first */
	unsigned depth;
	bool sizes, zero;
};

#define MEMBER(name) offsetof(struct tree_args, name)
static const struct opt options[] = {
	{ "L,level", OPT_COUNT, MEMBER(depth), "N", "not below N levels" },
	{ "sizes", OPT_FLAG, MEMBER(sizes), NULL, "what each takes, directories with all in them" },
	{ "0,null", OPT_FLAG, MEMBER(zero), NULL, "names as they are, a NUL after each line" },
	LOOK_OPTIONS("one JSON object a line and name"),
};

/* How the lines of a tree are drawn. */
struct strokes {
	const char *branch, *last, *pass, *blank;
};
static const struct strokes unicode = { "\u251c\u2500\u2500 ", "\u2514\u2500\u2500 ",
					"\u2502\u00a0\u00a0 ", "    " };
static const struct strokes ascii = { "|-- ", "`-- ", "|   ", "    " };

struct drawing {
	const struct tree_args *args; /* borrowed */
	struct view *view;	      /* borrowed */
	struct colors *colors;	      /* owned or NULL */
	const struct strokes *strokes;
	uint64_t *sizes; /* owned; NULL: not asked for */
	uint32_t *left;	 /* owned: names to come in each directory the walk is in */
	bool *is_last;	 /* owned: the directory was its parent's last */
	size_t depth;	 /* of both */
	size_t left_capacity, last_capacity;
	uint64_t directories, files; /* the start not counted */
};

static void drawing_release(struct drawing *d)
{
	colors_free(d->colors);
	free(d->sizes);
	free(d->left);
	free(d->is_last);
}

static bool speaks_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

static void print_stem(struct drawing *d, bool last)
{
	FILE *out = print_file(d->view->print);
	/* the start has no line of its own */
	for (size_t i = 1; i < d->depth; i++)
		fputs(d->is_last[i] ? d->strokes->blank : d->strokes->pass, out);
	fputs(last ? d->strokes->last : d->strokes->branch, out);
}

static const struct rootfs_inode *target_of(const struct drawing *d,
					    const struct rootfs_visit *visit)
{
	uint32_t number;
	if (!S_ISLNK(visit->inode->mode))
		return visit->inode;
	if (rootfs_resolve(d->view->rootfs, visit->path, true, &number, NULL) < 0)
		return NULL;
	return rootfs_inode(d->view->rootfs, number);
}

static void print_visit(struct drawing *d, const struct rootfs_visit *visit)
{
	struct print *print = d->view->print;
	FILE *out = print_file(print);
	if (d->sizes)
		fprintf(out, "[%6s]  ", print_human(d->sizes[visit->number]).text);
	const char *codes = NULL;
	if (d->colors)
		codes = colors_of(d->colors, visit->name, visit->inode, target_of(d, visit));
	if (codes)
		fprintf(out, "\x1b[%sm", codes);
	print_name(print, visit->depth == 0 ? visit->path : visit->name);
	if (codes)
		fputs("\x1b[0m", out);
	const char *target = entry_target(d->view->rootfs, visit->inode);
	if (target) {
		fputs(" -> ", out);
		print_name(print, target);
	}
	print_end(print);
}

static void print_json(struct drawing *d, const struct rootfs_visit *visit)
{
	auto_str line = STR_MAX(ENTRY_JSON_MAX_BYTES);
	str_addc(&line, '{');
	entry_json(&line, d->view->rootfs, visit->path, visit->number);
	str_addf(&line, ",\"depth\":%u", visit->depth);
	if (d->sizes)
		str_addf(&line, ",\"total_bytes\":%" PRIu64, d->sizes[visit->number]);
	str_addc(&line, '}');
	print_line(d->view->print, &line);
}

static void enter(struct drawing *d, const struct rootfs_visit *visit, bool last)
{
	d->left = mem_grow(d->left, &d->left_capacity, d->depth, sizeof(*d->left));
	d->is_last = mem_grow(d->is_last, &d->last_capacity, d->depth, sizeof(*d->is_last));
	d->left[d->depth] = visit->inode->b;
	d->is_last[d->depth++] = last;
}

static int visit_one(void *arg, const struct rootfs_visit *visit, struct err *err)
{
	struct drawing *d = arg;
	if (visit->leaving) {
		d->depth--;
		return ROOTFS_WALK_ON;
	}
	bool last = d->depth == 0 || --d->left[d->depth - 1] == 0;
	if (visit->depth > 0) {
		d->directories += S_ISDIR(visit->inode->mode);
		d->files += !S_ISDIR(visit->inode->mode);
	}
	if (d->args->look.json) {
		print_json(d, visit);
	} else {
		if (visit->depth > 0)
			print_stem(d, last);
		print_visit(d, visit);
	}
	int r = print_check(d->view->print, err);
	if (r < 0)
		return r;
	if (d->args->depth > 0 && visit->depth >= d->args->depth)
		return ROOTFS_WALK_SKIP;
	if (S_ISDIR(visit->inode->mode))
		enter(d, visit, last);
	return ROOTFS_WALK_ON;
}

static int draw(struct view *view, const char *path, const struct tree_args *args, struct err *err)
{
	__attribute__((cleanup(drawing_release))) struct drawing d = {
		.args = args,
		.view = view,
		.strokes = speaks_utf8() ? &unicode : &ascii,
	};
	uint32_t number;
	int r = rootfs_resolve(view->rootfs, path, true, &number, err);
	if (r == 0 && args->sizes)
		r = sizes_below(view->rootfs, number, &d.sizes, err);
	if (r < 0)
		return r;
	d.colors = colors_new(print_is_terminal(view->print) && !args->zero && !args->look.json);
	r = rootfs_walk(view->rootfs, number, path, &(struct rootfs_walk_options){ visit_one, &d },
			err);
	if (r == 0 && !args->look.json && !args->zero)
		fprintf(print_file(view->print), "\n%" PRIu64 " director%s, %" PRIu64 " file%s\n",
			d.directories, d.directories == 1 ? "y" : "ies", d.files,
			d.files == 1 ? "" : "s");
	return r;
}

static int run(int argc, char **argv)
{
	struct tree_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_tree, &args.look, argc, argv, 1, 2, &operands, &status))
		return status;
	auto_view view = { 0 };
	int r = view_open(&view, &args.look, args.zero, argv[1], &err);
	if (r == 0)
		r = draw(&view, operands > 1 ? argv[2] : "/", &args, &err);
	return view_end(&view, r, &err, 0);
}

const struct command cmd_tree = {
	.name = "tree",
	.operands = "IMAGE [PATH]",
	.summary = "draw what is in an image as a tree",
	.about = "Draws PATH in IMAGE, or all of it, as tree(1) does, with every name, also those\n"
		 "that begin with a dot.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
