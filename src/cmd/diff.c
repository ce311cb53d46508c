/*
 * "rootlet diff IMAGE_A IMAGE_B [PATH]": opening both, as little of them as will do, and printing
 * what image/compare.h finds; or with --content what is different inside one file.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"
#include "cmd/diff-print.h"
#include "cmd/text-diff.h"
#include "image/compare.h"
#include "image/rootfs-path.h"
#include "term/cancel.h"
#include "term/report.h"

#define STATUS_DIFFERENT 1
#define CONTENT_MAX_BYTES (64u * 1024 * 1024)
#define HEAD_MAX_BYTES 16384

struct diff_args {
	struct look_args look;
	const char *content;
	bool zero;
};

static const struct opt options[] = {
	{ "content", OPT_TEXT, offsetof(struct diff_args, content), "PATH",
	  "print what is different inside this text file, as diff -u does" },
	{ "0,null", OPT_FLAG, offsetof(struct diff_args, zero), NULL,
	  "names as they are, a NUL after each" },
	LOOK_OPTIONS("print a JSON object a line"),
};

/* Both images, and where in them comparing begins. */
struct pair {
	const char *names[2]; /* borrowed */
	struct compare_side sides[2];
};

static int resolve(struct compare_side *side, const char *name, const char *path, bool follow,
		   struct err *err)
{
	int r = rootfs_resolve(lazy_rootfs(side->lazy), path, follow, &side->start, err);
	return r < 0 ? err_wrap(err, r, "image '%s'", esc(name)) : 0;
}

static int open_above(struct pair *pair, struct look *look, size_t skip, struct err *err)
{
	int r = 0;
	for (int i = 0; r == 0 && i < 2; i++)
		r = look_tree_above(look, pair->names[i], skip, &pair->sides[i].lazy, err);
	return r;
}

/* Only the layers above those that both have; false when these do not tell. */
static bool open_tops(struct pair *pair, struct look *look, size_t shared, const char *path)
{
	if (shared == 0 || open_above(pair, look, shared, NULL) < 0 ||
	    !compare_tops_suffice(pair->sides[0].lazy, pair->sides[1].lazy, shared))
		return false;
	for (int i = 0; i < 2; i++) {
		if (resolve(&pair->sides[i], pair->names[i], path, true, NULL) < 0)
			return false;
	}
	return true;
}

/* *same: all layers are, there is nothing to compare. */
static int open_pair(struct pair *pair, struct look *look, const char *path, bool *same,
		     struct err *err)
{
	const struct image *a = NULL, *b = NULL;
	struct cache *cache = NULL;
	int r = look_cache(look, &cache, err);
	if (r == 0)
		r = look_image(look, pair->names[0], 0, &a, err);
	if (r == 0)
		r = look_image(look, pair->names[1], 0, &b, err);
	if (r < 0 || !a || !b)
		return r;
	size_t shared = compare_shared_layers(a, b);
	*same = shared == a->manifest.layer_count && shared == b->manifest.layer_count && !*path;
	if (*same || open_tops(pair, look, shared, path))
		return 0;
	r = open_above(pair, look, 0, err);
	for (int i = 0; r == 0 && i < 2; i++)
		r = resolve(&pair->sides[i], pair->names[i], path, true, err);
	return r;
}

/* --- trees --- */

/* Counts of what was printed, for the last line. */
struct totals {
	uint64_t names[3], bytes[3];
};

static void count(struct totals *totals, const struct pair *pair, const struct difference *d)
{
	int kind = d->a == ROOTFS_NONE ? 0 : d->b == ROOTFS_NONE ? 1 : 2;
	const struct compare_side *side = &pair->sides[kind == 1 ? 0 : 1];
	const struct rootfs_inode *inode = rootfs_inode(lazy_rootfs(side->lazy),
							kind == 1 ? d->a : d->b);
	totals->names[kind]++;
	totals->bytes[kind] += inode && S_ISREG(inode->mode) ? inode->size : 0;
}

static void say_totals(const struct totals *totals)
{
	report_line("%" PRIu64 " added (%s), %" PRIu64 " removed (%s), %" PRIu64 " changed (%s)",
		    totals->names[0], report_size(totals->bytes[0]).text, totals->names[1],
		    report_size(totals->bytes[1]).text, totals->names[2],
		    report_size(totals->bytes[2]).text);
}

static int diff_trees(struct print *print, struct look *look, struct pair *pair, const char *path,
		      const struct diff_args *args, bool *different, struct err *err)
{
	__attribute__((cleanup(differences_release))) struct differences found = { 0 };
	struct totals totals = { 0 };
	bool same = false;
	int r = open_pair(pair, look, path, &same, err);
	if (r == 0 && !same)
		r = compare_trees(&found, &pair->sides[0], &pair->sides[1], path, cancel_flag(),
				  err);
	if (r < 0)
		return r;
	const struct diff_printer printer = {
		.print = print,
		.a = same ? NULL : lazy_rootfs(pair->sides[0].lazy),
		.b = same ? NULL : lazy_rootfs(pair->sides[1].lazy),
		.json = args->look.json,
		.names_only = args->zero,
	};
	for (size_t i = 0; r == 0 && i < found.count; i++) {
		diff_print(&printer, &found.all[i]);
		count(&totals, pair, &found.all[i]);
		r = print_check(print, err);
	}
	*different = found.count > 0;
	if (r == 0)
		r = print_finish(print, err);
	if (r == 0 && !args->look.quiet && !args->look.json)
		say_totals(&totals);
	return r;
}

/* --- one file --- */

static int read_file(const struct compare_side *side, char **out, size_t *size, struct err *err)
{
	const struct rootfs_inode *inode = rootfs_inode(lazy_rootfs(side->lazy), side->start);
	if (!S_ISREG(inode->mode))
		return err_set(err, EINVAL, "it is no file whose content could be shown");
	if (inode->size > CONTENT_MAX_BYTES)
		return err_set(err, E2BIG, "it has more than %u bytes", CONTENT_MAX_BYTES);
	void *memory = NULL;
	int r = mem_try(&memory, (size_t)inode->size + 1, 1, err);
	auto_free char *bytes = memory;
	size_t done = 0;
	while (r == 0 && done < inode->size) {
		size_t got = 0;
		r = lazy_read(side->lazy, side->start, bytes + done, (size_t)inode->size - done,
			      done, &got, err);
		done += got;
		if (r == 0 && got == 0)
			break;
	}
	if (r < 0)
		return r;
	*size = done;
	*out = TAKE(bytes);
	return 0;
}

static int read_side(const struct pair *pair, int i, const char *path, char **out, size_t *size,
		     struct err *err)
{
	int r = read_file(&pair->sides[i], out, size, err);
	return r < 0 ? err_wrap(err, r, "'%s' of '%s'", esc(path), esc(pair->names[i])) : 0;
}

struct shown {
	struct print *print; /* borrowed */
	const char *a, *b;   /* borrowed: the images */
	const char *path;    /* borrowed */
	bool begun;
};

static void put(struct print *print, const char *text, size_t size)
{
	auto_str shown = STR_MAX(CONTENT_MAX_BYTES * 4u);
	if (!print_is_terminal(print)) {
		(void)fwrite(text, 1, size, print_file(print));
		return;
	}
	esc_add(&shown, text, size);
	(void)fputs(str_text(&shown), print_file(print));
}

static void put_name(struct print *print, const char *mark, const char *image, const char *path)
{
	fprintf(print_file(print), "%s ", mark);
	print_text(print, image);
	fputs(":", print_file(print));
	print_text(print, path);
	fputs("\n", print_file(print));
}

static void put_line(void *arg, char mark, const char *text, size_t size)
{
	struct shown *shown = arg;
	if (!shown->begun) {
		put_name(shown->print, "---", shown->a, shown->path);
		put_name(shown->print, "+++", shown->b, shown->path);
		shown->begun = true;
	}
	fputc(mark, print_file(shown->print));
	put(shown->print, text, size);
	fputc('\n', print_file(shown->print));
}

static int diff_texts(struct shown *shown, const struct text *x, const struct text *y,
		      bool *different, struct err *err)
{
	*different = x->size != y->size || (x->size > 0 && memcmp(x->data, y->data, x->size) != 0);
	if (!*different)
		return 0;
	if (!text_is_text(x) || !text_is_text(y)) {
		fputs("Binary files '", print_file(shown->print));
		print_text(shown->print, shown->path);
		fputs("' differ\n", print_file(shown->print));
		return 0;
	}
	const struct text_diff_options diff = { put_line, shown };
	return text_diff(x, y, &diff, err);
}

static int diff_content(struct print *print, struct look *look, struct pair *pair, const char *path,
			bool *different, struct err *err)
{
	auto_free char *a = NULL, *b = NULL;
	struct text x = { "", 0 }, y = { "", 0 };
	bool same = false;
	int r = open_pair(pair, look, path, &same, err);
	if (r == 0)
		r = read_side(pair, 0, path, &a, &x.size, err);
	if (r == 0)
		r = read_side(pair, 1, path, &b, &y.size, err);
	if (r < 0)
		return r;
	x.data = a;
	y.data = b;
	struct shown shown = { print, pair->names[0], pair->names[1], path, false };
	return diff_texts(&shown, &x, &y, different, err);
}

static int run(int argc, char **argv)
{
	struct diff_args args = { .look = LOOK_DEFAULTS };
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_diff, &args.look, argc, argv, 2, 3, &operands, &status))
		return status;
	if (args.content && (operands > 2 || args.look.json || args.zero)) {
		(void)err_set(&err, EINVAL, "'--content' goes with two images and nothing else");
		return cmd_usage(cmd_diff.name, &err);
	}
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(args.zero);
	struct pair pair = { .names = { argv[1], argv[2] } };
	bool different = false;
	int r = look_new(&look, &args.look, &err);
	if (r == 0 && args.content)
		r = diff_content(print, look, &pair, args.content, &different, &err);
	else if (r == 0)
		r = diff_trees(print, look, &pair, operands > 2 ? argv[3] : "", &args, &different,
			       &err);
	status = end_look(look, print, r, &err);
	return status == 0 && different ? STATUS_DIFFERENT : status;
}

const struct command cmd_diff = {
	.name = "diff",
	.operands = "IMAGE_A IMAGE_B [PATH]",
	.summary = "show what is different between two images",
	.about = "Prints a line for each name that is added, removed or changed (type, content,\n"
		 "mode, owner, link, xattr) from IMAGE_A to IMAGE_B, or only below PATH.  Times\n"
		 "are not compared.  Contents are fetched only where nothing else tells.\n"
		 "The exit status is 1 when they differ.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
