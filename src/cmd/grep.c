/*
 * "rootlet grep PATTERN IMAGE [PATH]": lines of files, fetching what PATH selects and no more.
 * Files below a directory are fetched ahead in the order they lie in the layers.
 */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "cmd/grep-match.h"
#include "cmd/view.h"
#include "image/contents.h"
#include "image/rootfs-path.h"
#include "image/rootfs-walk.h"
#include "term/report.h"

#define JSON_LINE_MAX_BYTES (256u * 1024 * 1024)

struct grep_args {
	struct look_args look; /* first */
	bool extended, fixed, ignore_case, list, numbers, recursive, count, zero;
};

#define MEMBER(name) offsetof(struct grep_args, name)
static const struct opt options[] = {
	{ "E,extended-regexp", OPT_FLAG, MEMBER(extended), NULL,
	  "PATTERN is an extended expression" },
	{ "F,fixed-strings", OPT_FLAG, MEMBER(fixed), NULL, "PATTERN stands for itself" },
	{ "i,ignore-case", OPT_FLAG, MEMBER(ignore_case), NULL, "upper and lower case are one" },
	{ "l,files-with-matches", OPT_FLAG, MEMBER(list), NULL, "only the files' names" },
	{ "n,line-number", OPT_FLAG, MEMBER(numbers), NULL, "with the lines' numbers" },
	{ "r,recursive", OPT_FLAG, MEMBER(recursive), NULL, "all files below a directory" },
	{ "c,count", OPT_FLAG, MEMBER(count), NULL, "only how many lines match, file by file" },
	{ "0,null", OPT_FLAG, MEMBER(zero), NULL, "names as they are, a NUL after each" },
	LOOK_OPTIONS("one JSON object a line and match"),
};

struct grep {
	const struct grep_args *args;  /* borrowed */
	struct view *view;	       /* borrowed */
	const struct pattern *pattern; /* borrowed */
	bool names;		       /* before each line */
	bool found;		       /* in any file */
	bool empty_matches;	       /* the pattern, in an empty line: zeros are full of them */
	struct contents_row row;       /* what is searched, of a directory */
	/* of the file that is read */
	const char *path; /* borrowed */
	uint64_t line, matches;
};

/* ---- what is printed */

static void print_path(struct grep *g, char end)
{
	print_name(g->view->print, g->path);
	fputc(g->args->zero ? '\0' : end, print_file(g->view->print));
}

static void begin_json(struct grep *g, struct str *line)
{
	str_addc(line, '{');
	print_json_name(line, "path", g->path);
}

static void print_match_json(struct grep *g, const char *text, size_t length, bool binary)
{
	auto_str line = STR_MAX(JSON_LINE_MAX_BYTES);
	begin_json(g, &line);
	if (binary) {
		str_add(&line, ",\"binary\":true}");
	} else {
		str_addf(&line, ",\"line\":%" PRIu64 ",", g->line);
		print_json_bytes(&line, "text", text, length);
		str_addc(&line, '}');
	}
	print_line(g->view->print, &line);
}

static void print_match(struct grep *g, const char *text, size_t length)
{
	FILE *out = print_file(g->view->print);
	if (g->names)
		print_path(g, ':');
	if (g->args->numbers)
		fprintf(out, "%" PRIu64 ":", g->line);
	if (print_is_terminal(g->view->print)) {
		auto_str shown = STR_MAX(JSON_LINE_MAX_BYTES);
		esc_add(&shown, text, length);
		fputs(str_text(&shown), out);
	} else {
		(void)fwrite(text, 1, length, out);
	}
	fputc('\n', out);
}

static void print_count(struct grep *g)
{
	if (g->args->look.json) {
		auto_str line = STR_MAX(JSON_LINE_MAX_BYTES);
		begin_json(g, &line);
		str_addf(&line, ",\"count\":%" PRIu64 "}", g->matches);
		print_line(g->view->print, &line);
		return;
	}
	if (g->names)
		print_path(g, ':');
	fprintf(print_file(g->view->print), "%" PRIu64 "\n", g->matches);
}

static void print_file_name(struct grep *g)
{
	if (g->args->look.json) {
		auto_str line = STR_MAX(JSON_LINE_MAX_BYTES);
		begin_json(g, &line);
		str_addc(&line, '}');
		print_line(g->view->print, &line);
		return;
	}
	print_path(g, '\n');
}

/* ---- one file */

/* A binary file is only said to match, once and on standard error, as grep does. */
static int match_shown(struct grep *g, const char *text, size_t length, bool binary,
		       struct err *err)
{
	if (g->args->look.json) {
		print_match_json(g, text, length, binary);
	} else if (binary) {
		if (!g->args->look.quiet)
			report_line("rootlet: %s: binary file matches", esc(g->path));
	} else {
		print_match(g, text, length);
	}
	int r = print_check(g->view->print, err);
	return r < 0 ? r : binary;
}

static int take_line(void *arg, const char *text, size_t length, bool binary, struct err *err)
{
	struct grep *g = arg;
	g->line++;
	if (length > 0 ? !pattern_matches(g->pattern, text, length) : !g->empty_matches)
		return 0;
	g->matches++;
	g->found = true;
	if (g->args->list)
		return 1;
	return g->args->count ? 0 : match_shown(g, text, length, binary, err);
}

/* What goes through the lines of one file. */
struct reader {
	struct lines lines;
	bool enough;
};

static int take_piece(void *arg, const void *data, size_t size, struct err *err)
{
	struct reader *reader = arg;
	int r = lines_add(&reader->lines, data, size, err);
	reader->enough |= r > 0;
	return r;
}

static int grep_file(struct grep *g, const char *path, uint32_t number, struct err *err)
{
	struct reader reader = { .lines = { .line = take_line, .arg = g } };
	g->path = path;
	g->line = g->matches = 0;
	int r = contents_read(g->view->lazy, number, take_piece, &reader, err);
	if (r == 0 && !reader.enough)
		r = lines_end(&reader.lines, err);
	lines_release(&reader.lines);
	if (r < 0)
		return err_wrap(err, r, "'%s'", esc(path));
	if (g->args->list && g->matches > 0)
		print_file_name(g);
	else if (g->args->count && !g->args->list)
		print_count(g);
	return print_check(g->view->print, err);
}

/* ---- the files */

static int visit_one(void *arg, const struct rootfs_visit *visit, struct err *err)
{
	struct grep *g = arg;
	if (visit->leaving || !S_ISREG(visit->inode->mode))
		return ROOTFS_WALK_ON;
	contents_row_next(&g->row);
	return grep_file(g, visit->path, visit->number, err);
}

static int search(struct grep *g, const char *path, struct err *err)
{
	uint32_t number;
	const struct rootfs *rootfs = g->view->rootfs;
	int r = rootfs_resolve(rootfs, path, true, &number, err);
	if (r < 0)
		return r;
	uint32_t mode = rootfs_inode(rootfs, number)->mode;
	if (S_ISREG(mode))
		return grep_file(g, path, number, err);
	if (!S_ISDIR(mode))
		return err_set(err, EINVAL, "'%s' is no regular file", esc(path));
	if (!g->args->recursive)
		return err_set(err, EINVAL, "'%s' is a directory: -r searches below it", esc(path));
	g->names = true;
	contents_row_init(&g->row, g->view->lazy, number);
	r = rootfs_walk(rootfs, number, path, &(struct rootfs_walk_options){ visit_one, g }, err);
	contents_row_release(&g->row);
	return r;
}

static int run(int argc, char **argv)
{
	struct grep_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	(void)setlocale(LC_CTYPE, ""); /* what a character is, for patterns */
	if (!begin_look(&cmd_grep, &args.look, argc, argv, 2, 3, &operands, &status))
		return status;
	AUTO(pattern) pattern = NULL;
	enum grep_kind kind = args.fixed ? GREP_FIXED : args.extended ? GREP_EXTENDED : GREP_BASIC;
	int r = pattern_new(&pattern, argv[1], kind, args.ignore_case, &err);
	if (r < 0)
		return cmd_usage(cmd_grep.name, &err);
	auto_view view = { 0 };
	struct grep grep = { .args = &args, .view = &view, .pattern = pattern };
	grep.empty_matches = pattern_matches(pattern, "", 0);
	r = view_open(&view, &args.look, args.zero, argv[2], &err);
	if (r == 0)
		r = search(&grep, operands > 2 ? argv[3] : "/", &err);
	return view_end(&view, r, &err, grep.found ? 0 : 1);
}

const struct command cmd_grep = {
	.name = "grep",
	.operands = "PATTERN IMAGE [PATH]",
	.summary = "search files of an image for a pattern",
	.about = "Prints the lines of PATH in IMAGE, a file or with -r all files below it, that\n"
		 "match PATTERN, a basic regular expression.  Only those files are fetched.\n"
		 "The exit status is 1 when nothing matches.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
