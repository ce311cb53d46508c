/* What a key does: dive's keys where dive has one, and those of less and vi. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/explore-internal.h"

#define PATH_MAX_BYTES (1024u * 1024)

static uint32_t current(const struct explore *explore)
{
	const struct explore_view *view = &explore->view;
	return explore->row < view->row_count ? view->rows[explore->row] : 0;
}

/* The cursor on NODE, or what of it is still visible. */
static void stay_at(struct explore *explore, uint32_t node)
{
	explore->row = explore_view_row(&explore->view, node);
}

static void show_layer(struct explore *explore, size_t layer)
{
	struct err err = { 0 };
	if (explore_show_layer(explore, layer, &err) < 0)
		explore_say(explore, "%s", err_text(&err));
}

/* --- the filter --- */

static void set_filter(struct explore *explore)
{
	uint32_t node = current(explore);
	explore_view_filter(&explore->view, explore->filter);
	stay_at(explore, node);
}

static void type_filter(struct explore *explore, int key)
{
	char *filter = explore->filter;
	size_t length = strlen(filter);
	if (key == '\r' || key == EXPLORE_ESCAPE) {
		explore->filtering = false;
		if (key == EXPLORE_ESCAPE)
			filter[0] = '\0';
	} else if (key == EXPLORE_KEY_BACKSPACE || key == EXPLORE_CTRL('h')) {
		filter[length > 0 ? utf8_cut(filter, length - 1) : 0] = '\0';
	} else if (key >= ' ' && key < 0x100 && length + 1 < EXPLORE_FILTER_MAX_BYTES) {
		filter[length] = (char)key;
		filter[length + 1] = '\0';
	} else if (key == EXPLORE_CTRL('c')) {
		explore->quit = true;
	}
	set_filter(explore);
}

/* --- the layers --- */

static void press_layers(struct explore *explore, int key)
{
	size_t count = lazy_layer_count(explore->lazy), layer = explore->layer;
	size_t page = explore->page;
	switch (key) {
	case 'j':
	case EXPLORE_KEY_DOWN:
		layer += layer < count;
		break;
	case 'k':
	case EXPLORE_KEY_UP:
		layer -= layer > 0;
		break;
	case EXPLORE_KEY_PAGE_DOWN:
		layer = count - layer < page ? count : layer + page;
		break;
	case EXPLORE_KEY_PAGE_UP:
		layer = layer < page ? 0 : layer - page;
		break;
	case 'g':
	case EXPLORE_KEY_HOME:
		layer = 0;
		break;
	case 'G':
	case EXPLORE_KEY_END:
		layer = count;
		break;
	case EXPLORE_CTRL('l'):
		explore->aggregate = false;
		break;
	case EXPLORE_CTRL('a'):
		explore->aggregate = true;
		break;
	case '\r':
		explore->in_tree = true;
		return;
	default:
		return;
	}
	show_layer(explore, layer);
}

/* --- the tree --- */

static void open_node(struct explore *explore, uint32_t node, bool open)
{
	if (node == 0)
		return;
	explore_view_open(&explore->view, node, open);
	stay_at(explore, node);
}

static void open_all(struct explore *explore, bool open)
{
	uint32_t node = current(explore);
	explore_view_open_all(&explore->view, open);
	stay_at(explore, node);
}

/* Left: close it, or go to the directory it is in. */
static void leave(struct explore *explore)
{
	uint32_t node = current(explore);
	const struct explore_node *n = &explore->view.nodes[node];
	if (n->open)
		open_node(explore, node, false);
	else if (n->parent != 0)
		stay_at(explore, n->parent);
}

static void view_file(struct explore *explore, uint32_t node)
{
	const struct explore_node *n = &explore->view.nodes[node];
	const struct rootfs_inode *inode = explore_inode(&explore->view, n);
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	explore_path(&explore->view, node, &path);
	if (S_ISDIR(inode->mode)) {
		open_node(explore, node, !n->open);
		return;
	}
	if (!S_ISREG(inode->mode)) {
		explore_say(explore, "'%s' has no content", esc(str_text(&path)));
		return;
	}
	uint32_t whole = explore_whole_inode(explore, node);
	if (whole == ROOTFS_NONE)
		explore_say(explore, "'%s': a later layer replaced or removed this version",
			    esc(str_text(&path)));
	else
		explore_pager(explore, whole, str_text(&path));
}

static void toggle(struct explore *explore, enum explore_state state)
{
	uint32_t node = current(explore);
	explore_view_toggle(&explore->view, state);
	stay_at(explore, node);
	explore_say(explore, "%s names are %s",
		    state == EXPLORE_ADDED     ? "added"
		    : state == EXPLORE_CHANGED ? "changed"
		    : state == EXPLORE_REMOVED ? "removed"
					       : "unchanged",
		    explore->view.hidden & 1u << state ? "hidden" : "shown");
}

static void move_row(struct explore *explore, size_t row)
{
	size_t count = explore->view.row_count;
	explore->row = row < count ? row : count > 0 ? count - 1 : 0;
}

/* True when it was one of the keys that move. */
static bool move(struct explore *explore, int key)
{
	size_t row = explore->row, page = explore->page;
	switch (key) {
	case 'j':
	case EXPLORE_KEY_DOWN:
		move_row(explore, row + 1);
		return true;
	case 'k':
	case EXPLORE_KEY_UP:
		move_row(explore, row > 0 ? row - 1 : 0);
		return true;
	case EXPLORE_KEY_PAGE_DOWN:
		move_row(explore, row + page);
		return true;
	case EXPLORE_KEY_PAGE_UP:
		move_row(explore, row > page ? row - page : 0);
		return true;
	case 'g':
	case EXPLORE_KEY_HOME:
		move_row(explore, 0);
		return true;
	case 'G':
	case EXPLORE_KEY_END:
		move_row(explore, SIZE_MAX);
		return true;
	default:
		return false;
	}
}

static void press_tree(struct explore *explore, int key)
{
	uint32_t node = current(explore);
	if (move(explore, key))
		return;
	switch (key) {
	case 'l':
	case EXPLORE_KEY_RIGHT:
		open_node(explore, node, true);
		break;
	case 'h':
	case EXPLORE_KEY_LEFT:
		leave(explore);
		break;
	case ' ':
		open_node(explore, node, !explore->view.nodes[node].open);
		break;
	case '\r':
		view_file(explore, node);
		break;
	case EXPLORE_CTRL('a'):
		toggle(explore, EXPLORE_ADDED);
		break;
	case EXPLORE_CTRL('r'):
		toggle(explore, EXPLORE_REMOVED);
		break;
	case EXPLORE_CTRL('u'):
		toggle(explore, EXPLORE_SAME);
		break;
	case 'm':
		toggle(explore, EXPLORE_CHANGED);
		break;
	default:
		break;
	}
}

/* --- both --- */

static bool press_anywhere(struct explore *explore, int key)
{
	switch (key) {
	case 'q':
	case EXPLORE_CTRL('c'):
	case EXPLORE_KEY_GONE:
		explore->quit = true;
		return true;
	case '\t':
		explore->in_tree = !explore->in_tree;
		return true;
	case '?':
		explore->helping = true;
		return true;
	case '/':
	case EXPLORE_CTRL('f'):
		explore->filtering = true;
		explore->in_tree = true;
		return true;
	case EXPLORE_ESCAPE:
		explore->filter[0] = '\0';
		set_filter(explore);
		return true;
	case EXPLORE_CTRL('b'):
		explore->attributes = !explore->attributes;
		return true;
	case 'w':
		explore->shows_waste = !explore->shows_waste;
		return true;
	case 0: /* control and space */
		open_all(explore, false);
		return true;
	case '*':
		open_all(explore, true);
		return true;
	default:
		return false;
	}
}

void explore_press(struct explore *explore, int key)
{
	explore->message[0] = '\0';
	if (key == EXPLORE_KEY_RESIZE)
		return;
	if (explore->helping && key != EXPLORE_KEY_GONE)
		explore->helping = false;
	else if (explore->filtering && key != EXPLORE_KEY_GONE)
		type_filter(explore, key);
	else if (press_anywhere(explore, key))
		return;
	else if (explore->in_tree)
		press_tree(explore, key);
	else
		press_layers(explore, key);
}
