/*
 * What is where on the screen:
 *
 *	IMAGE  12 layers  1.2 GiB
 *	+ layers ------ + tree --------------+
 *	| the layers    | the rows of the    |
 *	|               | tree               |
 *	| details of    |                    |
 *	| the layer     |                    |
 *	+---------------+--------------------+
 *	message, filter or hint
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/command-text.h"
#include "cmd/explore-internal.h"
#include "cmd/print.h"
#include "image/image.h"

#define LINE_MAX_BYTES 4096
#define NAME_SHOWN_MAX_BYTES 2048
#define LEFT_MIN 26
#define DETAILS_ROWS 6
#define OWNER_COLUMNS 64 /* of the tree; with less the owner is left out */
#define ROWS_MIN 6
#define COLUMNS_MIN 40

/* Where the panes are. */
struct frame {
	int rows, columns; /* of the screen */
	int left;	   /* columns of the layers */
	int first, last;   /* rows of both panes: first .. last-1 */
};

static struct frame measure(void)
{
	const struct explore_size size = explore_screen_size();
	int left = size.columns * 2 / 5;
	left = left < LEFT_MIN ? LEFT_MIN : left;
	return (struct frame){ size.rows, size.columns, left, 2, size.rows - 1 };
}

/* --- the layers --- */

static void add_command(struct str *out, const struct explore *explore, size_t layer)
{
	command_text(out, config_layer_step(&explore->image->config, layer - 1));
}

static void draw_layer(const struct explore *explore, const struct frame *f, int y, size_t layer)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	auto_str command = STR_MAX(LINE_MAX_BYTES);
	uint64_t size = explore->waste.bytes;
	if (layer > 0) {
		size = explore->waste.layers[layer - 1].bytes;
		add_command(&command, explore, layer);
		str_addf(&line, "%4zu %7s ", layer, print_human(size).text);
	} else {
		str_addf(&line, " all %7s ", print_human(size).text);
		str_add(&command, "all layers merged");
	}
	str_add(&line, str_text(&command));
	bool here = layer == explore->layer;
	enum explore_colour colour = here && !explore->in_tree ? EXPLORE_HEAD : EXPLORE_PLAIN;
	explore_put(y, 1, f->left - 2, colour, str_text(&line));
	explore_put(y, 0, 1, EXPLORE_PLAIN, here ? ">" : " ");
}

static void draw_layers(struct explore *explore, const struct frame *f)
{
	size_t count = lazy_layer_count(explore->lazy) + 1;
	int last = f->last - DETAILS_ROWS > f->first + 3 ? f->last - DETAILS_ROWS : f->last;
	size_t room = (size_t)(last - f->first);
	if (explore->layer < explore->layer_top)
		explore->layer_top = explore->layer;
	if (explore->layer >= explore->layer_top + room)
		explore->layer_top = explore->layer - room + 1;
	for (size_t i = 0; i < room && explore->layer_top + i < count; i++)
		draw_layer(explore, f, f->first + (int)i, explore->layer_top + i);
}

/* A command over several lines of the pane. */
static void draw_folded(const struct frame *f, int y, const char *text)
{
	size_t width = (size_t)f->left - 3;
	for (; y < f->last && *text; y++) {
		auto_str line = STR_MAX(LINE_MAX_BYTES);
		size_t n = strlen(text) > width ? utf8_cut(text, width) : strlen(text);
		str_addn(&line, text, n);
		explore_put(y, 1, f->left - 2, EXPLORE_PLAIN, str_text(&line));
		text += n;
	}
}

static void draw_details(const struct explore *explore, const struct frame *f)
{
	int y = f->last - DETAILS_ROWS;
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	auto_str command = STR_MAX(LINE_MAX_BYTES);
	if (y <= f->first + 3)
		return;
	if (explore->layer == 0) {
		explore_put(y++, 0, f->left - 1, EXPLORE_HEAD, " Image");
		str_addf(&line, "efficiency %.1f%%", explore->waste.efficiency * 100);
		explore_put(y++, 1, f->left - 2, EXPLORE_PLAIN, str_text(&line));
		str_reset(&line);
		str_addf(&line, "wasted %s", print_human(explore->waste.wasted_bytes).text);
		explore_put(y, 1, f->left - 2, EXPLORE_PLAIN, str_text(&line));
		return;
	}
	const struct descriptor *d = &explore->image->manifest.layers[explore->layer - 1];
	explore_put(y++, 0, f->left - 1, EXPLORE_HEAD, " Layer");
	str_addf(&line, "%.19s", digest_known(&d->digest) ? digest_show(&d->digest) : "-");
	explore_put(y++, 1, f->left - 2, EXPLORE_PLAIN, str_text(&line));
	str_reset(&line);
	str_addf(&line, "%s compressed", d->size == UINT64_MAX ? "?" : print_human(d->size).text);
	explore_put(y++, 1, f->left - 2, EXPLORE_PLAIN, str_text(&line));
	add_command(&command, explore, explore->layer);
	draw_folded(f, y, str_text(&command));
}

/* --- the tree --- */

static void add_mode(struct str *out, const struct rootfs_inode *inode, bool owner)
{
	static const char bits[] = "rwxrwxrwx";
	char type = S_ISDIR(inode->mode)    ? 'd'
		    : S_ISLNK(inode->mode)  ? 'l'
		    : S_ISCHR(inode->mode)  ? 'c'
		    : S_ISBLK(inode->mode)  ? 'b'
		    : S_ISFIFO(inode->mode) ? 'p'
					    : '-';
	char text[] = "----------";
	text[0] = type;
	for (int i = 0; i < 9; i++)
		text[i + 1] = inode->mode & (0400u >> i) ? bits[i] : '-';
	if (inode->mode & S_ISUID)
		text[3] = inode->mode & 0100 ? 's' : 'S';
	if (inode->mode & S_ISGID)
		text[6] = inode->mode & 0010 ? 's' : 'S';
	if (inode->mode & S_ISVTX)
		text[9] = inode->mode & 0001 ? 't' : 'T';
	str_addf(out, "%s ", text);
	if (owner)
		str_addf(out, "%5" PRIu32 ":%-5" PRIu32 " ", inode->uid, inode->gid);
}

static char mark_of(const struct explore_node *node)
{
	switch ((enum explore_state)node->state) {
	case EXPLORE_ADDED:
		return '+';
	case EXPLORE_CHANGED:
		return '~';
	case EXPLORE_REMOVED:
		return '-';
	case EXPLORE_SAME:
		break;
	}
	return node->is_changed ? '.' : ' ';
}

static enum explore_colour colour_of(const struct explore *explore, const struct explore_node *node,
				     bool is_dir)
{
	if (explore->shows_waste && node->wasted > 0)
		return EXPLORE_MAGENTA;
	switch ((enum explore_state)node->state) {
	case EXPLORE_ADDED:
		return EXPLORE_GREEN;
	case EXPLORE_CHANGED:
		return EXPLORE_YELLOW;
	case EXPLORE_REMOVED:
		return EXPLORE_RED;
	case EXPLORE_SAME:
		break;
	}
	if (node->is_changed)
		return EXPLORE_YELLOW;
	return is_dir ? EXPLORE_BLUE : EXPLORE_PLAIN;
}

static void add_name(struct str *out, const struct explore_view *view,
		     const struct explore_node *node)
{
	const struct rootfs_inode *inode = explore_inode(view, node);
	esc_add(out, node->name, strnlen(node->name, NAME_SHOWN_MAX_BYTES / 4));
	if (S_ISDIR(inode->mode))
		str_addc(out, '/');
	if (!S_ISLNK(inode->mode))
		return;
	const struct rootfs *rootfs = node->state == EXPLORE_REMOVED ? view->before : view->now;
	const char *target = rootfs_string(rootfs, inode->a);
	str_add(out, " -> ");
	esc_add(out, target, strnlen(target, NAME_SHOWN_MAX_BYTES / 4));
}

static void draw_row(const struct explore *explore, const struct frame *f, int y, size_t row)
{
	const struct explore_view *view = &explore->view;
	const struct explore_node *node = &view->nodes[view->rows[row]];
	const struct rootfs_inode *inode = explore_inode(view, node);
	int width = f->columns - f->left;
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	str_addf(&line, "%c ", mark_of(node));
	if (explore->attributes)
		add_mode(&line, inode, width >= OWNER_COLUMNS);
	str_addf(&line, "%6s ", print_human(node->size).text);
	if (explore->shows_waste && node->wasted > 0)
		str_addf(&line, "w %6s ", print_human(node->wasted).text);
	else if (explore->shows_waste)
		str_add(&line, "         ");
	/* so deep that nothing of the name would be left: the indent ends */
	int indent = 2 * (node->depth - 1), most = width / 3;
	bool open = node->open || (view->filter && node->first < node->last);
	str_addf(&line, "%*s%s", indent < most ? indent : most, "",
		 node->first == node->last ? "  "
		 : open			   ? "- "
					   : "+ ");
	add_name(&line, view, node);
	bool here = explore->in_tree && row == explore->row;
	explore_put(y, f->left, width,
		    here ? EXPLORE_HEAD : colour_of(explore, node, S_ISDIR(inode->mode)),
		    str_text(&line));
}

static void draw_tree(struct explore *explore, const struct frame *f)
{
	size_t room = (size_t)(f->last - f->first);
	explore->page = room;
	if (explore->view.row_count == 0)
		explore_put(f->first, f->left, f->columns - f->left, EXPLORE_PLAIN, "  (nothing)");
	if (explore->row < explore->top)
		explore->top = explore->row;
	if (explore->row >= explore->top + room)
		explore->top = explore->row - room + 1;
	for (size_t i = 0; i < room && explore->top + i < explore->view.row_count; i++)
		draw_row(explore, f, f->first + (int)i, explore->top + i);
}

/* --- the rest --- */

static void draw_heads(const struct explore *explore, const struct frame *f)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	size_t layers = lazy_layer_count(explore->lazy);
	str_addf(&line, " %s  %zu layer%s, %s", esc(explore->title), layers, layers == 1 ? "" : "s",
		 print_human(explore->view.nodes[0].size).text);
	explore_put(0, 0, f->columns, EXPLORE_PLAIN, str_text(&line));
	explore_put(1, 0, f->left - 1, EXPLORE_HEAD, "  # LAYER   SIZE COMMAND");
	str_reset(&line);
	if (explore->layer == 0)
		str_add(&line, "    SIZE NAME  of the whole image");
	else if (explore->aggregate)
		str_addf(&line, "    SIZE NAME  changes since layer 1, to %zu", explore->layer);
	else
		str_addf(&line, "    SIZE NAME  changes of layer %zu", explore->layer);
	explore_put(1, f->left, f->columns - f->left, EXPLORE_HEAD, str_text(&line));
	for (int y = 1; y < f->last; y++)
		explore_put(y, f->left - 1, 1, EXPLORE_PLAIN, "|");
}

static void draw_foot(const struct explore *explore, const struct frame *f)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	if (explore->filtering)
		str_addf(&line, "Filter: %s_", esc(explore->filter));
	else if (*explore->message)
		str_add(&line, explore->message);
	else
		str_addf(&line,
			 "%s%s%s  ? help  Tab side  Space open  / filter  Enter view  q quit",
			 explore->view.filter ? "[" : "", esc(explore->filter),
			 explore->view.filter ? "]" : "");
	explore_put(f->rows - 1, 0, f->columns, explore->filtering ? EXPLORE_HEAD : EXPLORE_PLAIN,
		    str_text(&line));
}

static void draw_help(const struct frame *f)
{
	static const char *const lines[] = {
		"Keys",
		"",
		"Tab            the other side: layers, tree",
		"arrows, hjkl   move; left closes, right opens",
		"PgUp PgDn g G  a page, the first, the last",
		"Space          open or close a directory",
		"^Space, *      close or open all of them",
		"Enter          view a file",
		"^F, /          filter by name (* and ? work); Esc ends it",
		"^A ^R ^U, m    tree: hide added, removed, unchanged, changed",
		"^L ^A          layers: changes of the layer, or since the first",
		"^B             attributes: mode and owner",
		"w              wasted bytes: what later layers hid or replaced",
		"?              this; any key ends it",
		"q, ^C          quit",
		"",
		"+ added  ~ changed  - removed  . something below",
	};
	for (int i = 0; i < (int)N_ELEMENTS(lines) && i < f->rows; i++)
		explore_put(i, 2, f->columns - 2, i == 0 ? EXPLORE_HEAD : EXPLORE_PLAIN, lines[i]);
}

void explore_draw(struct explore *explore)
{
	const struct frame f = measure();
	explore_screen_clear();
	if (f.rows < ROWS_MIN || f.columns < COLUMNS_MIN) {
		explore_put(0, 0, f.columns, EXPLORE_PLAIN, "too small");
	} else if (explore->helping) {
		draw_help(&f);
	} else {
		draw_heads(explore, &f);
		draw_layers(explore, &f);
		draw_details(explore, &f);
		draw_tree(explore, &f);
		draw_foot(explore, &f);
	}
	explore_screen_show();
}
