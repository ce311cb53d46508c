/*
 * "rootlet explore IMAGE": opens the image as every other command does, then takes the terminal.
 * One thread: a key is pressed, something changes, all of the screen is drawn again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "cmd/begin.h"
#include "cmd/explore-internal.h"
#include "image/rootfs-path.h"
#include "term/cancel.h"

#define PATH_MAX_BYTES (1024u * 1024)

static const struct opt options[] = { LOOK_PLAIN_OPTIONS, LOOK_HELP_OPTION };

void explore_say(struct explore *explore, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(explore->message, sizeof(explore->message), format, args);
	va_end(args);
}

/* --- which tree --- */

/* What was open and where the cursor was, by path. */
static void carry_over(struct explore *explore, const struct explore_view *old,
		       const struct str *path)
{
	struct explore_view *view = &explore->view;
	for (size_t i = 1; i < old->count; i++) {
		if (!old->nodes[i].open)
			continue;
		auto_str open = STR_MAX(PATH_MAX_BYTES);
		explore_path(old, (uint32_t)i, &open);
		uint32_t node = explore_find(view, str_text(&open), open.length);
		view->nodes[node].open = view->nodes[node].first < view->nodes[node].last;
	}
	view->hidden = old->hidden;
	explore_view_filter(view, explore->filter);
	explore->row = explore_view_row(view, explore_find(view, str_text(path), path->length));
}

static int make_sides(const struct explore *explore, size_t layer, struct explore_side *now,
		      struct explore_side *before, struct err *err)
{
	size_t all = lazy_layer_count(explore->lazy);
	int r = explore_merge(now, explore->lazy, layer == 0 ? all : layer, err);
	if (r < 0 || layer == 0)
		return r;
	size_t below = explore->aggregate ? 1 : layer - 1;
	return explore_merge(before, explore->lazy, below, err);
}

int explore_show_layer(struct explore *explore, size_t layer, struct err *err)
{
	struct explore_side now = { 0 }, before = { 0 };
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	int r = make_sides(explore, layer, &now, &before, err);
	if (r < 0) {
		explore_side_release(&now);
		explore_side_release(&before);
		return r;
	}
	struct explore_view old = explore->view;
	if (explore->row < old.row_count)
		explore_path(&old, old.rows[explore->row], &path);
	uint32_t since = explore->aggregate ? 1 : layer > 0 ? (uint32_t)layer - 1 : 0;
	explore_view_init(&explore->view, now.rootfs, before.rootfs, since);
	explore_view_add_waste(&explore->view, &explore->waste);
	carry_over(explore, &old, &path);
	explore_view_release(&old);
	explore_side_release(&explore->now);
	explore_side_release(&explore->before);
	explore->now = now;
	explore->before = before;
	explore->layer = layer;
	return 0;
}

uint32_t explore_whole_inode(const struct explore *explore, uint32_t node)
{
	const struct explore_view *view = &explore->view;
	const struct rootfs *whole = lazy_rootfs(explore->lazy);
	const struct rootfs_inode *mine = explore_inode(view, &view->nodes[node]);
	if (view->now == whole && view->nodes[node].state != EXPLORE_REMOVED)
		return view->nodes[node].inode;
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	uint32_t at = ROOTFS_ROOT;
	explore_path(view, node, &path);
	if (rootfs_resolve(whole, str_text(&path), false, &at, NULL) < 0)
		return ROOTFS_NONE;
	const struct rootfs_inode *found = rootfs_inode(whole, at);
	bool same = found->mode == mine->mode && found->layer == mine->layer && found->a == mine->a;
	return same ? at : ROOTFS_NONE;
}

/* --- the command --- */

static void explore_release(struct explore *explore)
{
	explore_screen_close();
	explore_view_release(&explore->view);
	explore_side_release(&explore->now);
	explore_side_release(&explore->before);
	waste_release(&explore->waste);
	free(explore->title);
}

static int open_image(struct explore *explore, struct look *look, const char *name, struct err *err)
{
	int r = look_tree(look, name, &explore->lazy, err);
	if (r < 0)
		return r;
	size_t count = lazy_layer_count(explore->lazy);
	auto_free struct toc **tocs = mem_new((count + 1) * sizeof(struct toc *));
	for (size_t i = 0; i < count; i++)
		tocs[i] = table_toc(lazy_table(explore->lazy, i));
	explore->image = lazy_image(explore->lazy);
	explore->title = ref_text(&explore->image->ref);
	return waste_count(&explore->waste, tocs, count, err);
}

static void loop(struct explore *explore)
{
	while (!explore->quit) {
		explore_draw(explore);
		explore_press(explore, explore_screen_key());
	}
}

static int explore_image(struct look *look, struct look_args *args, const char *name,
			 struct err *err)
{
	__attribute__((cleanup(explore_release))) struct explore explore = { 0 };
	int r = explore_screen_check(err);
	if (r == 0)
		r = open_image(&explore, look, name, err);
	if (r == 0)
		r = explore_show_layer(&explore, 0, err);
	if (r < 0)
		return r;
	bool quiet = args->quiet;
	args->quiet = true; /* a warning would tear the screen */
	r = explore_screen_open(err);
	if (r == 0)
		loop(&explore);
	explore_screen_close();
	args->quiet = quiet;
	if (r == 0 && atomic_load(cancel_flag()))
		r = err_set(err, ECANCELED, "stopped");
	return r;
}

static int run(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_explore, &args, argc, argv, 1, 1, &operands, &status))
		return status;
	AUTO(look) look = NULL;
	int r = look_new(&look, &args, &err);
	if (r == 0)
		r = explore_image(look, &args, argv[1], &err);
	if (r < 0)
		return cmd_fail(r, &err);
	look_say_cost(look);
	return 0;
}

const struct command cmd_explore = {
	.name = "explore",
	.operands = "IMAGE",
	.summary = "look around in an image, full screen",
	.about = "Shows the layers of IMAGE with their sizes and commands beside the tree of its\n"
		 "files: merged, or one layer's changes in colour.  '?' shows the keys.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
