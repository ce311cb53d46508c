/*
 * The table is a list of KEY=CODES, separated by colons: two letters for a kind, or a pattern that
 * begins with a star for the end of a name (dir_colors(5)).  Whatever is no list of numbers is
 * passed over: an environment can do no more here than choose colours.
 */
#include "cmd/colors.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"

#define COLORS_MAX 4096u
#define CODES_MAX_BYTES 64u

struct color {
	char *key;   /* owned: "di", or ".tar" of "*.tar" */
	char *codes; /* owned: digits and semicolons */
	bool suffix;
};

struct colors {
	struct color *all; /* owned; later ones win */
	size_t count, capacity;
};

/* What ls has when nobody says otherwise. */
static const char own[] = "di=01;34:ln=01;36:pi=33:bd=01;33:cd=01;33:su=37;41:sg=30;43:"
			  "tw=30;42:ow=34;42:st=37;44:ex=01;32";

/* [AT, AT+LENGTH) is KEY=CODES. */
static void add(struct colors *colors, const char *at, size_t length)
{
	const char *equals = memchr(at, '=', length);
	if (!equals || colors->count == COLORS_MAX)
		return;
	size_t key = (size_t)(equals - at), codes = length - key - 1;
	if (key == 0 || codes == 0 || codes > CODES_MAX_BYTES ||
	    strspn(equals + 1, "0123456789;") < codes)
		return;
	bool suffix = *at == '*';
	colors->all = mem_grow(colors->all, &colors->capacity, colors->count, sizeof(*colors->all));
	colors->all[colors->count++] = (struct color){
		.key = mem_strndup(at + suffix, key - suffix),
		.codes = mem_strndup(equals + 1, codes),
		.suffix = suffix,
	};
}

static void parse(struct colors *colors, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, ":");
		add(colors, text, length);
		text += length + (text[length] == ':');
	}
}

struct colors *colors_new(bool terminal)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	if (!terminal || (no && *no) || str_equal(term, "dumb"))
		return NULL;
	struct colors *colors = mem_new(sizeof(*colors));
	const char *given = getenv("LS_COLORS");
	parse(colors, own);
	parse(colors, given ? given : "");
	return colors;
}

void colors_free(struct colors *colors)
{
	if (!colors)
		return;
	for (size_t i = 0; i < colors->count; i++) {
		free(colors->all[i].key);
		free(colors->all[i].codes);
	}
	free(colors->all);
	free(colors);
}

/* "0", "00": in LS_COLORS that is how a colour of ls's own is turned off. */
static const char *codes_or_none(const char *codes)
{
	return strspn(codes, "0;") == strlen(codes) ? NULL : codes;
}

static const char *by_kind(const struct colors *colors, const char *kind)
{
	for (size_t i = colors->count; i > 0; i--) {
		const struct color *c = &colors->all[i - 1];
		if (!c->suffix && str_equal(c->key, kind))
			return codes_or_none(c->codes);
	}
	return NULL;
}

static const char *by_end(const struct colors *colors, const char *name)
{
	for (size_t i = colors->count; i > 0; i--) {
		const struct color *c = &colors->all[i - 1];
		if (c->suffix && str_ends(name, c->key))
			return codes_or_none(c->codes);
	}
	return NULL;
}

static const char *directory_kind(uint32_t mode)
{
	bool others = mode & S_IWOTH;
	if (mode & S_ISVTX)
		return others ? "tw" : "st";
	return others ? "ow" : "di";
}

/* The two letters for an inode, "" for a plain file. */
static const char *kind_of(const struct rootfs_inode *inode)
{
	uint32_t mode = inode->mode;
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return directory_kind(mode);
	case S_IFLNK:
		return "ln";
	case S_IFCHR:
		return "cd";
	case S_IFBLK:
		return "bd";
	case S_IFIFO:
		return "pi";
	default:
		if (mode & S_ISUID)
			return "su";
		if (mode & S_ISGID)
			return "sg";
		return mode & 0111 ? "ex" : "";
	}
}

const char *colors_of(const struct colors *colors, const char *name,
		      const struct rootfs_inode *inode, const struct rootfs_inode *target)
{
	if (!colors)
		return NULL;
	const char *kind = kind_of(inode), *orphan = by_kind(colors, "or");
	if (str_equal(kind, "ln") && !target && orphan)
		return orphan;
	const char *codes = *kind ? by_kind(colors, kind) : NULL;
	if (!codes && S_ISREG(inode->mode))
		codes = by_end(colors, name);
	return codes ? codes : by_kind(colors, "fi");
}
