/*
 * A file on the screen.  Bytes are fetched a block at a time as far as they are looked at; lines
 * are found as they are needed.  What has a NUL near its beginning is shown as numbers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "cmd/explore-internal.h"

#define BLOCK_BYTES (256u * 1024)
#define BYTES_MAX (256u * 1024 * 1024) /* kept in memory */
#define LINE_SHOWN_BYTES 1000u	       /* of a long line, from where it is scrolled to */
#define LINE_MAX_BYTES 8192
#define HEX_BYTES 16u
#define BINARY_LOOK_BYTES 8000u

struct pager {
	struct explore *explore; /* borrowed */
	uint32_t inode;
	const char *path; /* borrowed */
	uint64_t file_size;
	char *bytes; /* owned: the first SIZE of the file */
	size_t size, bytes_capacity;
	size_t *lines; /* owned: where lines begin; of text */
	size_t line_count, line_capacity;
	size_t scanned; /* bytes in which lines were looked for */
	bool ended;	/* all that can be shown is here */
	bool binary;
	size_t top, left; /* line and byte at the upper left */
	char trouble[EXPLORE_MESSAGE_MAX_BYTES];
};

static void pager_release(struct pager *p)
{
	free(p->bytes);
	free(p->lines);
}

static void add_line(struct pager *p, size_t at)
{
	p->lines = mem_grow(p->lines, &p->line_capacity, p->line_count, sizeof(*p->lines));
	p->lines[p->line_count++] = at;
}

static void find_lines(struct pager *p)
{
	while (p->scanned < p->size) {
		const char *from = p->bytes + p->scanned;
		const char *newline = memchr(from, '\n', p->size - p->scanned);
		p->scanned = newline ? (size_t)(newline + 1 - p->bytes) : p->size;
		if (newline && (p->scanned < p->size || p->size < p->file_size))
			add_line(p, p->scanned);
	}
}

static void stop(struct pager *p, const char *why)
{
	auto_str text = STR_MAX(sizeof(p->trouble) - 1);
	str_add(&text, why);
	(void)snprintf(p->trouble, sizeof(p->trouble), "%s", str_text(&text));
	p->ended = true;
}

/* One more block of the file. */
static void load(struct pager *p)
{
	struct err err = { 0 };
	size_t got = 0;
	if (p->size + BLOCK_BYTES > BYTES_MAX) {
		stop(p, "the rest of the file is not shown");
		return;
	}
	if (p->bytes_capacity < p->size + BLOCK_BYTES) {
		size_t capacity = p->bytes_capacity ? 2 * p->bytes_capacity : BLOCK_BYTES;
		char *bytes = realloc(p->bytes, capacity);
		if (!bytes) {
			stop(p, "there is no memory for the rest");
			return;
		}
		p->bytes = bytes;
		p->bytes_capacity = capacity;
	}
	int r = lazy_read(p->explore->lazy, p->inode, p->bytes + p->size, BLOCK_BYTES, p->size,
			  &got, &err);
	if (r < 0 || got == 0) {
		stop(p, r < 0 ? err_text(&err) : "");
		return;
	}
	if (p->size == 0)
		p->binary = memchr(p->bytes, '\0',
				   got < BINARY_LOOK_BYTES ? got : BINARY_LOOK_BYTES) != NULL;
	p->size += got;
	p->ended = p->size >= p->file_size;
	find_lines(p);
}

static size_t count_rows(const struct pager *p)
{
	return p->binary ? (p->size + HEX_BYTES - 1) / HEX_BYTES : p->line_count;
}

static void load_rows(struct pager *p, size_t rows)
{
	while (!p->ended && count_rows(p) < rows)
		load(p);
}

/* --- drawing --- */

static void add_hex(const struct pager *p, size_t row, struct str *out)
{
	size_t at = row * HEX_BYTES;
	size_t n = p->size - at < HEX_BYTES ? p->size - at : HEX_BYTES;
	str_addf(out, "%08zx ", at);
	for (size_t i = 0; i < HEX_BYTES; i++) {
		if (i < n)
			str_addf(out, " %02x", (unsigned char)p->bytes[at + i]);
		else
			str_add(out, "   ");
	}
	str_add(out, "  ");
	for (size_t i = 0; i < n; i++) {
		char c = p->bytes[at + i];
		str_addc(out, c >= ' ' && c < 0x7f ? c : '.');
	}
}

static void add_text(const struct pager *p, size_t row, struct str *out)
{
	size_t at = p->lines[row];
	size_t end = row + 1 < p->line_count ? p->lines[row + 1] : p->size;
	if (end > at && p->bytes[end - 1] == '\n')
		end--;
	at = at + p->left < end ? at + p->left : end;
	size_t n = end - at < LINE_SHOWN_BYTES ? end - at : LINE_SHOWN_BYTES;
	for (size_t i = 0; i < n;) {
		size_t plain = 0;
		while (i + plain < n && p->bytes[at + i + plain] != '\t')
			plain++;
		esc_add(out, p->bytes + at + i, plain);
		i += plain;
		if (i < n)
			str_add(out, "        ");
		i += i < n;
	}
}

static void draw(struct pager *p, const struct explore_size *size)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	size_t room = (size_t)(size->rows > 1 ? size->rows - 1 : 1);
	explore_screen_clear();
	for (size_t i = 0; i < room && p->top + i < count_rows(p); i++) {
		str_reset(&line);
		if (p->binary)
			add_hex(p, p->top + i, &line);
		else
			add_text(p, p->top + i, &line);
		explore_put((int)i, 0, size->columns, EXPLORE_PLAIN, str_text(&line));
	}
	str_reset(&line);
	str_addf(&line, " %s  %zu/%zu%s  %s  q back", esc(p->path), p->top + 1, count_rows(p),
		 p->ended ? "" : "+", p->trouble);
	explore_put(size->rows - 1, 0, size->columns, EXPLORE_HEAD, str_text(&line));
	explore_screen_show();
}

/* --- keys --- */

static void move_to(struct pager *p, size_t top, size_t room)
{
	load_rows(p, top + room);
	size_t rows = count_rows(p), last = rows > room ? rows - room : 0;
	p->top = top < last ? top : last;
}

/* False when the user leaves. */
static bool press(struct pager *p, int key, size_t room)
{
	size_t up = p->top > room ? p->top - room : 0;
	switch (key) {
	case 'q':
	case EXPLORE_ESCAPE:
	case EXPLORE_CTRL('c'):
	case EXPLORE_KEY_GONE:
		return false;
	case 'j':
	case '\r':
	case EXPLORE_KEY_DOWN:
		move_to(p, p->top + 1, room);
		break;
	case 'k':
	case EXPLORE_KEY_UP:
		move_to(p, p->top > 0 ? p->top - 1 : 0, room);
		break;
	case ' ':
	case EXPLORE_KEY_PAGE_DOWN:
		move_to(p, p->top + room, room);
		break;
	case 'b':
	case EXPLORE_KEY_PAGE_UP:
		move_to(p, up, room);
		break;
	case 'g':
	case EXPLORE_KEY_HOME:
		move_to(p, 0, room);
		break;
	case 'G':
	case EXPLORE_KEY_END:
		move_to(p, SIZE_MAX / 2, room);
		break;
	case EXPLORE_KEY_RIGHT:
		p->left += 16;
		break;
	case EXPLORE_KEY_LEFT:
		p->left -= p->left < 16 ? p->left : 16;
		break;
	default:
		break;
	}
	return true;
}

void explore_pager(struct explore *explore, uint32_t inode, const char *path)
{
	const struct rootfs_inode *file = rootfs_inode(lazy_rootfs(explore->lazy), inode);
	__attribute__((cleanup(pager_release))) struct pager p = {
		.explore = explore,
		.inode = inode,
		.path = path,
		.file_size = file->size,
		.ended = file->size == 0,
	};
	add_line(&p, 0);
	for (int key = EXPLORE_KEY_RESIZE;; key = explore_screen_key()) {
		const struct explore_size size = explore_screen_size();
		size_t room = (size_t)(size.rows > 1 ? size.rows - 1 : 1);
		if (!press(&p, key, room))
			break;
		load_rows(&p, p.top + room);
		draw(&p, &size);
	}
}
