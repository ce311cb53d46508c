/*
 * "rootlet cat IMAGE PATH...": bytes of files.  All paths are looked up first: a name that is not
 * there is said before anything is fetched or printed.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "cmd/view.h"
#include "image/contents.h"
#include "image/rootfs-path.h"

static const struct opt options[] = { LOOK_OPTIONS("one JSON object a file, with its bytes") };

#define JSON_FILE_MAX_BYTES (64u * 1024 * 1024)

static int find_all(struct view *view, char **paths, size_t count, uint32_t *numbers,
		    struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int r = rootfs_resolve(view->rootfs, paths[i], true, &numbers[i], err);
		if (r < 0)
			return r;
		uint32_t mode = rootfs_inode(view->rootfs, numbers[i])->mode;
		if (S_ISDIR(mode))
			return err_set(err, EINVAL, "'%s' is a directory", esc(paths[i]));
		if (!S_ISREG(mode))
			return err_set(err, EINVAL, "'%s' is no regular file", esc(paths[i]));
	}
	return 0;
}

static int copy_out(void *arg, const void *data, size_t size, struct err *err)
{
	struct print *print = arg;
	(void)fwrite(data, 1, size, print_file(print));
	return print_check(print, err);
}

static int keep(void *arg, const void *data, size_t size, struct err *err)
{
	(void)err;
	str_addn(arg, data, size);
	return 0;
}

static int print_json(struct view *view, const char *path, uint32_t number, struct err *err)
{
	auto_str bytes = STR_MAX(JSON_FILE_MAX_BYTES), line = STR_MAX(4 * JSON_FILE_MAX_BYTES);
	if (rootfs_inode(view->rootfs, number)->size > JSON_FILE_MAX_BYTES)
		return err_set(err, E2BIG, "'%s' is larger than the %u bytes that --json prints",
			       esc(path), JSON_FILE_MAX_BYTES);
	int r = contents_read(view->lazy, number, keep, &bytes, err);
	if (r < 0)
		return err_wrap(err, r, "read '%s'", esc(path));
	str_addc(&line, '{');
	print_json_name(&line, "path", path);
	str_addc(&line, ',');
	print_json_bytes(&line, "data", bytes.data, bytes.length);
	str_addc(&line, '}');
	print_line(view->print, &line);
	return print_check(view->print, err);
}

static int cat(struct view *view, char **paths, size_t count, bool json, struct err *err)
{
	auto_free uint32_t *numbers = mem_new(count * sizeof(*numbers));
	int r = find_all(view, paths, count, numbers, err);
	if (r < 0)
		return r;
	if (count > 1)
		contents_want(view->lazy, numbers, count);
	for (size_t i = 0; i < count; i++) {
		if (json)
			r = print_json(view, paths[i], numbers[i], err);
		else
			r = contents_read(view->lazy, numbers[i], copy_out, view->print, err);
		if (r == 0)
			r = print_check(view->print, err);
		if (r < 0)
			return json ? r : err_wrap(err, r, "'%s'", esc(paths[i]));
	}
	return 0;
}

static int run(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_cat, &args, argc, argv, 2, argc, &operands, &status))
		return status;
	auto_view view = { 0 };
	int r = view_open(&view, &args, false, argv[1], &err);
	if (r == 0)
		r = cat(&view, argv + 2, (size_t)operands - 1, args.json, &err);
	return view_end(&view, r, &err, 0);
}

const struct command cmd_cat = {
	.name = "cat",
	.operands = "IMAGE PATH...",
	.summary = "print files of an image",
	.about =
		"Writes the bytes of each PATH in IMAGE to standard output, one behind the other.\n"
		"If one of them is not there, or is no file, nothing is written.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
