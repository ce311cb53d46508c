/*
 * "rootlet find IMAGE [PATH] [EXPRESSION]": find(1) over the merged tree.  The expression's words
 * are taken out first, for they are written with one dash; what is left are options and operands.
 */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>

#include "cmd/entry.h"
#include "cmd/find-expr.h"
#include "cmd/view.h"
#include "image/rootfs-path.h"
#include "image/rootfs-walk.h"

struct find_args {
	struct look_args look; /* first */
	bool zero;
	const char *test; /* never set: tests are taken out before */
	bool flag;
};

#define MEMBER(name) offsetof(struct find_args, name)
static const struct opt options[] = {
	{ "name", OPT_TEXT, MEMBER(test), "GLOB", "the name, without what is before it" },
	{ "iname", OPT_TEXT, MEMBER(test), "GLOB", "the same, upper or lower case" },
	{ "path", OPT_TEXT, MEMBER(test), "GLOB", "the whole path" },
	{ "type", OPT_TEXT, MEMBER(test), "T", "f, d, l, b, c or p; or several: f,l" },
	{ "size", OPT_TEXT, MEMBER(test), "N", "N units, rounded up: c, w, b (512), k, M, G" },
	{ "newer", OPT_TEXT, MEMBER(test), "T",
	  "changed after /PATH was, or after a time: 2024-05-01, 2024-05-01T12:00Z, @SECONDS" },
	{ "newermt", OPT_TEXT, MEMBER(test), "T", "the same" },
	{ "perm", OPT_TEXT, MEMBER(test), "MODE",
	  "MODE: these bits; -MODE: all of these; /MODE: any of these; 4755 or u+s" },
	{ "layer", OPT_TEXT, MEMBER(test), "N", "from layer N, counted from 1 at the bottom" },
	{ "uid", OPT_TEXT, MEMBER(test), "N", "the owner's number" },
	{ "gid", OPT_TEXT, MEMBER(test), "N", "the group's number" },
	{ "empty", OPT_FLAG, MEMBER(flag), NULL, "a file or a directory with nothing in it" },
	{ "mindepth", OPT_TEXT, MEMBER(test), "N", "not the first N levels" },
	{ "maxdepth", OPT_TEXT, MEMBER(test), "N", "not below N levels" },
	{ "print", OPT_FLAG, MEMBER(flag), NULL, "print the path, as without it" },
	{ "print0", OPT_FLAG, MEMBER(flag), NULL, "paths as they are, a NUL after each" },
	{ "0,null", OPT_FLAG, MEMBER(zero), NULL, "the same" },
	LOOK_OPTIONS("one JSON object a line and path"),
};

struct finder {
	struct view *view;	      /* borrowed */
	const struct find_expr *expr; /* borrowed */
	const struct find_limits *limits;
	const char *start_name; /* of where it begins: what -name sees */
	bool json;
};

static void print_json(struct finder *f, const struct rootfs_visit *visit)
{
	auto_str line = STR_MAX(ENTRY_JSON_MAX_BYTES);
	str_addc(&line, '{');
	entry_json(&line, f->view->rootfs, visit->path, visit->number);
	str_addc(&line, '}');
	print_line(f->view->print, &line);
}

static int visit_one(void *arg, const struct rootfs_visit *visit, struct err *err)
{
	struct finder *f = arg;
	if (visit->leaving)
		return ROOTFS_WALK_ON;
	const struct find_subject subject = {
		.path = visit->path,
		.name = visit->depth == 0 ? f->start_name : visit->name,
		.inode = visit->inode,
	};
	if (visit->depth >= f->limits->min_depth && find_expr_match(f->expr, &subject)) {
		if (f->json) {
			print_json(f, visit);
		} else {
			print_name(f->view->print, visit->path);
			print_end(f->view->print);
		}
		int r = print_check(f->view->print, err);
		if (r < 0)
			return r;
	}
	return visit->depth < f->limits->max_depth ? ROOTFS_WALK_ON : ROOTFS_WALK_SKIP;
}

/* The last component of where the search begins, as find(1) takes it: "/" of "/". */
static char *base_of(const char *path)
{
	size_t end = strlen(path);
	while (end > 1 && path[end - 1] == '/')
		end--;
	size_t begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	return mem_strndup(path + (begin < end ? begin : 0), begin < end ? end - begin : end);
}

static int search(struct view *view, const char *path, struct find_expr *expr,
		  const struct find_limits *limits, bool json, struct err *err)
{
	uint32_t number;
	int r = rootfs_resolve(view->rootfs, path, false, &number, err);
	if (r == 0)
		r = find_expr_resolve(expr, view->rootfs, err);
	if (r < 0)
		return r;
	auto_free char *name = base_of(path);
	struct finder f = { view, expr, limits, name, json };
	return rootfs_walk(view->rootfs, number, path,
			   &(struct rootfs_walk_options){ visit_one, &f }, err);
}

static int run(int argc, char **argv)
{
	struct find_args args = { 0 };
	struct find_limits limits;
	struct err err = { 0 };
	int operands, status;
	(void)setlocale(LC_CTYPE, ""); /* what a character is, for patterns */
	__attribute__((cleanup(find_words_release))) struct find_words words = { 0 };
	AUTO(find_expr) expr = NULL;
	int r = find_words_take(&words, &argc, argv, &err);
	if (r == 0)
		r = find_expr_parse(&expr, &limits, &words, &err);
	if (r < 0)
		return cmd_usage(cmd_find_files.name, &err);
	if (!begin_look(&cmd_find_files, &args.look, argc, argv, 1, 2, &operands, &status))
		return status;
	auto_view view = { 0 };
	r = view_open(&view, &args.look, args.zero || limits.print0, argv[1], &err);
	if (r == 0)
		r = search(&view, operands > 1 ? argv[2] : "/", expr, &limits, args.look.json,
			   &err);
	return view_end(&view, r, &err, 0);
}

const struct command cmd_find_files = {
	.name = "find",
	.operands = "IMAGE [PATH] [TEST...]",
	.summary = "find files of an image by their attributes",
	.about = "Prints the paths in PATH, or in all of IMAGE, for which all tests hold.  Tests\n"
		 "are written as in find(1), with one dash: -name '*.so' -size +1M.  '! TEST',\n"
		 "'TEST -o TEST' and '( ... )' work as there; +N is more, -N is less than N.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
