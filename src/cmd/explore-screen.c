/*
 * The terminal, through ncurses, which only this file knows.  It gets escaped text alone: printable
 * UTF-8, cut to columns here, so that no name can move the cursor or spill into the next pane.
 */
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/explore-internal.h"
#include "term/cancel.h"

#define LINE_MAX_BYTES 4096
#define WAIT_MS 500 /* how often a signal is looked for */

static SCREEN *screen; /* the process's own; see explore_screen_open */

/* Names are UTF-8 or escaped: without a locale of that kind curses would count bytes. */
static void set_locale(void)
{
	(void)setlocale(LC_CTYPE, "");
	if (!str_equal(nl_langinfo(CODESET), "UTF-8"))
		(void)setlocale(LC_CTYPE, "C.UTF-8");
}

static void set_colours(void)
{
	static const short colours[] = {
		[EXPLORE_GREEN] = COLOR_GREEN,	   [EXPLORE_YELLOW] = COLOR_YELLOW,
		[EXPLORE_RED] = COLOR_RED,	   [EXPLORE_BLUE] = COLOR_BLUE,
		[EXPLORE_MAGENTA] = COLOR_MAGENTA,
	};
	const char *none = getenv("NO_COLOR");
	if (!has_colors() || (none && *none) || start_color() == ERR)
		return;
	(void)use_default_colors();
	for (int i = EXPLORE_GREEN; i <= EXPLORE_MAGENTA; i++)
		(void)init_pair((short)i, colours[i], -1);
}

int explore_screen_check(struct err *err)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return err_set(err, EINVAL, "explore needs a terminal");
	return 0;
}

int explore_screen_open(struct err *err)
{
	const char *terminal = getenv("TERM");
	set_locale();
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return err_set(err, EINVAL, "the terminal '%s' is not known",
			       terminal ? esc(terminal) : "");
	(void)raw(); /* ^C is a key like others; the screen is given back in order */
	(void)noecho();
	(void)nonl();
	(void)keypad(stdscr, TRUE);
	(void)set_escdelay(50);
	(void)curs_set(0);
	timeout(0);
	set_colours();
	return 0;
}

void explore_screen_close(void)
{
	if (!screen)
		return;
	(void)endwin();
	delscreen(screen);
	screen = NULL;
}

struct explore_size explore_screen_size(void)
{
	return (struct explore_size){ LINES, COLS };
}

void explore_screen_clear(void)
{
	(void)erase();
}

void explore_screen_show(void)
{
	(void)refresh();
}

/* As much of TEXT as fits into WIDTH columns, and blanks behind it. */
static void fit(struct str *out, const char *text, int width)
{
	int used = 0;
	for (size_t left = strlen(text); left > 0;) {
		uint32_t c = 0;
		size_t n = utf8_decode(text, left, &c);
		int columns = n > 0 ? wcwidth((wchar_t)c) : 1;
		columns = columns < 0 ? 1 : columns;
		if (used + columns > width)
			break;
		if (n > 0 && wcwidth((wchar_t)c) >= 0)
			str_addn(out, text, n);
		else
			str_addc(out, '?');
		n = n > 0 ? n : 1;
		used += columns;
		text += n;
		left -= n;
	}
	str_addf(out, "%*s", width - used, "");
}

void explore_put(int y, int x, int width, enum explore_colour colour, const char *text)
{
	if (y < 0 || y >= LINES || x < 0 || x >= COLS)
		return;
	width = width < COLS - x ? width : COLS - x;
	attr_t attributes = colour == EXPLORE_HEAD ? A_REVERSE : A_NORMAL;
	if (colour != EXPLORE_HEAD && colour != EXPLORE_PLAIN && has_colors())
		attributes = COLOR_PAIR((short)colour);
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	fit(&line, text, width > 0 ? width : 0);
	(void)attrset((int)attributes);
	(void)mvaddstr(y, x, str_text(&line));
	(void)attrset(A_NORMAL);
}

static int translate(int key)
{
	static const int keys[][2] = {
		{ KEY_UP, EXPLORE_KEY_UP },
		{ KEY_DOWN, EXPLORE_KEY_DOWN },
		{ KEY_LEFT, EXPLORE_KEY_LEFT },
		{ KEY_RIGHT, EXPLORE_KEY_RIGHT },
		{ KEY_PPAGE, EXPLORE_KEY_PAGE_UP },
		{ KEY_NPAGE, EXPLORE_KEY_PAGE_DOWN },
		{ KEY_HOME, EXPLORE_KEY_HOME },
		{ KEY_END, EXPLORE_KEY_END },
		{ KEY_BACKSPACE, EXPLORE_KEY_BACKSPACE },
		{ 0x7f, EXPLORE_KEY_BACKSPACE },
		{ KEY_RESIZE, EXPLORE_KEY_RESIZE },
		{ KEY_ENTER, '\r' },
	};
	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		if (keys[i][0] == key)
			return keys[i][1];
	}
	return key < 0x100 ? key : EXPLORE_KEY_RESIZE; /* others mean nothing here */
}

int explore_screen_key(void)
{
	for (;;) {
		if (atomic_load(cancel_flag()))
			return EXPLORE_KEY_GONE;
		int key = getch();
		if (key != ERR)
			return translate(key);
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		int n = poll(&input, 1, WAIT_MS);
		if (n > 0 && (input.revents & (POLLHUP | POLLERR | POLLNVAL)))
			return EXPLORE_KEY_GONE;
	}
}
