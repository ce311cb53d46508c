/*
 * "rootlet du IMAGE [PATH]": what directories take, as du --apparent-size; with --layers what the
 * layers take, and what of it is in vain.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "cmd/entry.h"
#include "cmd/view.h"
#include "image/rootfs-path.h"
#include "image/rootfs-walk.h"
#include "image/sizes.h"
#include "image/waste.h"

#define WASTE_SHOWN 10u

struct du_args {
	struct look_args look; /* first */
	const char *depth;
	bool human, bytes, layers, zero;
};

#define MEMBER(name) offsetof(struct du_args, name)
static const struct opt options[] = {
	{ "h,human-readable", OPT_FLAG, MEMBER(human), NULL, "sizes like 1.3K and 45M" },
	{ "b,bytes", OPT_FLAG, MEMBER(bytes), NULL, "bytes, not KiB" },
	{ "d,max-depth", OPT_TEXT, MEMBER(depth), "N", "only directories up to N levels down" },
	{ "layers", OPT_FLAG, MEMBER(layers), NULL,
	  "by layer, with what later layers hid, and the efficiency" },
	{ "0,null", OPT_FLAG, MEMBER(zero), NULL, "names as they are, a NUL after each" },
	LOOK_OPTIONS("one JSON object a line and directory, or layer"),
};

struct du {
	struct view *view;	    /* borrowed */
	const struct du_args *args; /* borrowed */
	uint64_t *sizes;	    /* owned */
	uint64_t max_depth;
};

static void du_release(struct du *du)
{
	free(du->sizes);
}

static struct print_size size_text(const struct du_args *args, uint64_t bytes)
{
	struct print_size out;
	if (args->human)
		return print_human(bytes);
	uint64_t shown = args->bytes ? bytes : bytes / 1024 + (bytes % 1024 != 0);
	(void)snprintf(out.text, sizeof(out.text), "%" PRIu64, shown);
	return out;
}

/* ---- directories */

static int visit_one(void *arg, const struct rootfs_visit *visit, struct err *err)
{
	struct du *du = arg;
	struct print *print = du->view->print;
	bool is_dir = S_ISDIR(visit->inode->mode);
	/* directories when all in them was counted; what the walk began with whatever it is */
	if (is_dir != visit->leaving || (!is_dir && visit->depth > 0))
		return ROOTFS_WALK_ON;
	if (visit->depth > du->max_depth)
		return ROOTFS_WALK_ON;
	uint64_t bytes = du->sizes[visit->number];
	if (du->args->look.json) {
		auto_str line = STR_MAX(ENTRY_JSON_MAX_BYTES);
		str_addc(&line, '{');
		print_json_name(&line, "path", visit->path);
		str_addf(&line, ",\"bytes\":%" PRIu64 "}", bytes);
		print_line(print, &line);
	} else {
		fprintf(print_file(print), "%s\t", size_text(du->args, bytes).text);
		print_name(print, visit->path);
		print_end(print);
	}
	return print_check(print, err);
}

static int by_directory(struct du *du, const char *path, struct err *err)
{
	uint32_t number;
	int r = rootfs_resolve(du->view->rootfs, path, true, &number, err);
	if (r == 0)
		r = sizes_below(du->view->rootfs, number, &du->sizes, err);
	if (r < 0)
		return r;
	return rootfs_walk(du->view->rootfs, number, path,
			   &(struct rootfs_walk_options){ visit_one, du }, err);
}

/* ---- layers */

struct layers {
	struct waste waste;
	uint64_t *hidden; /* owned; bytes of each layer that are not in the image */
};

static void layers_release(struct layers *l)
{
	waste_release(&l->waste);
	free(l->hidden);
}

/* What is not in the merged tree was hidden. */
static void count_hidden(struct layers *l, const struct rootfs *rootfs)
{
	size_t count = l->waste.layer_count;
	l->hidden = mem_new((count + 1) * sizeof(*l->hidden));
	for (size_t i = 0; i < count; i++)
		l->hidden[i] = l->waste.layers[i].bytes;
	for (uint32_t i = 1; i <= rootfs_inode_count(rootfs); i++) {
		const struct rootfs_inode *inode = rootfs_inode(rootfs, i);
		if (S_ISREG(inode->mode) && inode->layer < count)
			l->hidden[inode->layer] -= inode->size;
	}
}

static int count_layers(struct layers *out, const struct view *view, struct err *err)
{
	size_t count = lazy_layer_count(view->lazy);
	auto_free struct toc **tocs = mem_new((count + 1) * sizeof(*tocs));
	for (size_t i = 0; i < count; i++)
		tocs[i] = table_toc(lazy_table(view->lazy, i));
	int r = waste_count(&out->waste, tocs, count, err);
	if (r == 0)
		count_hidden(out, view->rootfs);
	return r;
}

static const char *command_of(const struct view *view, size_t layer)
{
	const struct config_step *step = config_layer_step(&lazy_image(view->lazy)->config, layer);
	return step ? step->created_by : "";
}

static void print_layers_json(struct view *view, const struct layers *l)
{
	const struct image *image = lazy_image(view->lazy);
	for (size_t i = 0; i < l->waste.layer_count; i++) {
		auto_str line = STR_MAX(ENTRY_JSON_MAX_BYTES);
		str_addf(&line, "{\"layer\":%zu,\"digest\":", i + 1);
		const struct descriptor *blob = &image->manifest.layers[i];
		if (digest_known(&blob->digest))
			str_addf(&line, "\"%s\"", digest_show(&blob->digest));
		else
			str_add(&line, "null");
		str_addf(&line,
			 ",\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"hidden_bytes\":%" PRIu64
			 ",\"created_by\":",
			 l->waste.layers[i].entries, l->waste.layers[i].bytes, l->hidden[i]);
		print_json_text(&line, command_of(view, i));
		str_addc(&line, '}');
		print_line(view->print, &line);
	}
	auto_str line = STR_MAX(ENTRY_JSON_MAX_BYTES);
	str_addf(&line,
		 "{\"bytes\":%" PRIu64 ",\"wasted_bytes\":%" PRIu64
		 ",\"efficiency\":%.6f,\"wasted\":[",
		 l->waste.bytes, l->waste.wasted_bytes, l->waste.efficiency);
	for (size_t i = 0; i < l->waste.path_count && i < WASTE_SHOWN; i++) {
		const struct waste_path *path = &l->waste.paths[i];
		auto_free char *name = mem_strndup(path->path, path->length);
		str_add(&line, i > 0 ? ",{" : "{");
		print_json_name(&line, "path", name);
		str_addf(&line, ",\"layers\":%u,\"bytes\":%" PRIu64 "}", path->layers, path->bytes);
	}
	str_add(&line, "]}");
	print_line(view->print, &line);
}

static void print_layers(struct view *view, const struct du_args *args, const struct layers *l)
{
	FILE *out = print_file(view->print);
	fprintf(out, "%5s %12s %12s %8s  %s\n", "layer", "size", "hidden", "entries", "command");
	for (size_t i = 0; i < l->waste.layer_count; i++) {
		fprintf(out, "%5zu %12s %12s %8" PRIu64 "  ", i + 1,
			size_text(args, l->waste.layers[i].bytes).text,
			size_text(args, l->hidden[i]).text, l->waste.layers[i].entries);
		print_text(view->print, command_of(view, i));
		fputc('\n', out);
	}
	/* rounded down: 100 % is said when nothing is wasted */
	unsigned tenths = (unsigned)(l->waste.efficiency * 1000);
	fprintf(out, "\nefficiency %u.%u %%, wasted %s\n", tenths / 10, tenths % 10,
		size_text(args, l->waste.wasted_bytes).text);
	for (size_t i = 0; i < l->waste.path_count && i < WASTE_SHOWN; i++) {
		const struct waste_path *path = &l->waste.paths[i];
		auto_free char *name = mem_strndup(path->path, path->length);
		fprintf(out, "%12s in %u layers  ", size_text(args, path->bytes).text,
			path->layers);
		print_text(view->print, name);
		fputc('\n', out);
	}
	if (l->waste.path_count > WASTE_SHOWN)
		fprintf(out, "%12s and %zu more\n", "", l->waste.path_count - WASTE_SHOWN);
}

static int by_layer(struct du *du, struct err *err)
{
	__attribute__((cleanup(layers_release))) struct layers layers = { 0 };
	int r = count_layers(&layers, du->view, err);
	if (r < 0)
		return r;
	if (du->args->look.json)
		print_layers_json(du->view, &layers);
	else
		print_layers(du->view, du->args, &layers);
	return print_check(du->view->print, err);
}

/* ---- */

static int check(const struct du_args *args, int operands, uint64_t *max_depth, struct err *err)
{
	unsigned long long depth = UINT64_MAX;
	if (args->depth && !str_parse_u64(args->depth, &depth))
		return err_set(err, EINVAL, "'--max-depth' wants a number");
	*max_depth = depth;
	if (args->layers && (operands > 1 || args->depth || args->zero))
		return err_set(err, EINVAL,
			       "'--layers' is about all of the image: no PATH, -d, -0");
	return 0;
}

static int run(int argc, char **argv)
{
	struct du_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_du, &args.look, argc, argv, 1, 2, &operands, &status))
		return status;
	auto_view view = { 0 };
	__attribute__((cleanup(du_release))) struct du du = { .view = &view, .args = &args };
	int r = check(&args, operands, &du.max_depth, &err);
	if (r < 0)
		return cmd_usage(cmd_du.name, &err);
	r = view_open(&view, &args.look, args.zero, argv[1], &err);
	if (r == 0 && args.layers)
		r = by_layer(&du, &err);
	else if (r == 0)
		r = by_directory(&du, operands > 1 ? argv[2] : "/", &err);
	return view_end(&view, r, &err, 0);
}

const struct command cmd_du = {
	.name = "du",
	.operands = "IMAGE [PATH]",
	.summary = "show what directories or layers take",
	.about = "Shows how many KiB the files in each directory of PATH have, or of all of\n"
		 "IMAGE, as du --apparent-size does: hard links count once, directories nothing.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
