/*
 * Constraints: alternatives of rows of items, each an operator and a partial version.  What the
 * operators mean for partial versions is what Masterminds/semver documents, which registry-image
 * uses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/str.h"
#include "resource/semver.h"

#define ITEMS_MAX 1000u
#define SPACE " \t\n\f\r"
#define WILD "xX*"
#define NUMBER "0123456789" WILD
#define IDENTIFIERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-."

enum op {
	OP_EQUAL,
	OP_NOT_EQUAL,
	OP_GREATER,
	OP_LESS,
	OP_GREATER_EQUAL,
	OP_LESS_EQUAL,
	OP_TILDE,
	OP_CARET,
};

/* How many numbers of a partial version count: "1.x" has one. */
enum known {
	KNOWN_NONE,
	KNOWN_MAJOR,
	KNOWN_MINOR,
	KNOWN_ALL,
};

struct item {
	enum op op;
	enum known known;
	struct semver version; /* what is not known is 0 */
	size_t row;	       /* of the alternative it belongs to */
};

struct constraint {
	struct item *items; /* owned, rows one after the other */
	size_t count, capacity;
	size_t rows;
};

void constraint_free(struct constraint *constraint)
{
	if (!constraint)
		return;
	for (size_t i = 0; i < constraint->count; i++)
		semver_release(&constraint->items[i].version);
	free(constraint->items);
	free(constraint);
}

/* --- reading --- */

static const char *pass_space(const char *at)
{
	return at + strspn(at, SPACE);
}

static enum op read_op(const char **at, bool *given)
{
	static const struct {
		const char *text;
		enum op op;
	} ops[] = {
		{ ">=", OP_GREATER_EQUAL }, { "=>", OP_GREATER_EQUAL }, { "<=", OP_LESS_EQUAL },
		{ "=<", OP_LESS_EQUAL },    { "!=", OP_NOT_EQUAL },	{ "~>", OP_TILDE },
		{ "~", OP_TILDE },	    { "^", OP_CARET },		{ ">", OP_GREATER },
		{ "<", OP_LESS },	    { "=", OP_EQUAL },
	};
	for (size_t i = 0; i < N_ELEMENTS(ops); i++) {
		if (str_starts(*at, ops[i].text)) {
			*at = pass_space(*at + strlen(ops[i].text));
			*given = true;
			return ops[i].op;
		}
	}
	*given = false;
	return OP_EQUAL;
}

/* One number of a partial version at *AT: appended to TEXT when it counts. */
static bool read_part(const char **at, bool first, enum known *known, bool *open, struct str *text)
{
	size_t length = strspn(*at, NUMBER);
	if (length == 0)
		return false;
	bool wild = length == 1 && strchr(WILD, **at);
	*open = *open && !wild;
	if (*open) {
		str_add(text, first ? "" : ".");
		str_addn(text, *at, length);
		++*known;
	}
	*at += length;
	return true;
}

/* The partial version at *AT, which moves behind it. */
static bool read_partial(const char **at, struct item *item)
{
	auto_str text = STR_MAX(2 * SEMVER_MAX_BYTES);
	bool open = true;
	const char *p = *at + (**at == 'v');
	item->known = KNOWN_NONE;
	if (!read_part(&p, true, &item->known, &open, &text))
		return false;
	for (int i = 1; i < 3 && *p == '.'; i++) {
		p++;
		if (!read_part(&p, false, &item->known, &open, &text))
			return false;
	}
	if (item->known == KNOWN_NONE)
		str_add(&text, "0");
	for (const char *sign = "-+"; *sign; sign++) {
		if (*p != *sign)
			continue;
		size_t length = 1 + strspn(p + 1, IDENTIFIERS);
		str_addn(&text, p, length);
		p += length;
	}
	*at = p;
	return !text.failed && semver_parse(&item->version, str_text(&text));
}

static void add(struct constraint *constraint, const struct item *item)
{
	constraint->items = mem_grow(constraint->items, &constraint->capacity, constraint->count,
				     sizeof(*item));
	constraint->items[constraint->count] = *item;
	constraint->items[constraint->count++].row = constraint->rows;
}

/* The second half of "1.2 - 3", when *AT is at its " - ". */
static bool read_range(const char **at, struct constraint *constraint)
{
	const char *dash = pass_space(*at);
	if (dash == *at || *dash != '-' || !strchr(SPACE, dash[1]) || !dash[1])
		return true;
	struct item end = { .op = OP_LESS_EQUAL };
	const char *p = pass_space(dash + 1);
	if (!read_partial(&p, &end))
		return false;
	constraint->items[constraint->count - 1].op = OP_GREATER_EQUAL;
	add(constraint, &end);
	*at = p;
	return true;
}

static bool read_item(const char **at, struct constraint *constraint)
{
	bool given = false;
	struct item item = { .op = read_op(at, &given) };
	if (!read_partial(at, &item))
		return false;
	add(constraint, &item);
	return given || read_range(at, constraint);
}

/* One alternative, up to "||" or the end. */
static bool read_row(const char **at, struct constraint *constraint)
{
	*at = pass_space(*at);
	for (;;) {
		if (constraint->count >= ITEMS_MAX || !read_item(at, constraint))
			return false;
		const char *next = pass_space(*at);
		bool apart = next > *at || *next == ',';
		if (*next == ',')
			next = pass_space(next + 1);
		else if (!*next || str_starts(next, "||"))
			apart = false;
		*at = next;
		if (!apart)
			break;
	}
	constraint->rows++;
	return !**at || str_starts(*at, "||");
}

int constraint_parse(struct constraint **out, const char *text, struct err *err)
{
	AUTO(constraint) constraint = mem_make(struct constraint, .items = NULL);
	for (const char *at = text;; at += strlen("||")) {
		if (!read_row(&at, constraint))
			return err_set(err, EINVAL, "improper constraint '%s', at '%s'", esc(text),
				       *at ? esc(at) : "its end");
		if (!*at)
			break;
	}
	*out = TAKE(constraint);
	return 0;
}

/* --- judging --- */

/* The numbers of ITEM that count are V's. */
static bool begins(const struct item *item, const struct semver *v)
{
	return (item->known < KNOWN_MAJOR || v->major == item->version.major) &&
	       (item->known < KNOWN_MINOR || v->minor == item->version.minor) &&
	       (item->known < KNOWN_ALL || v->patch == item->version.patch);
}

static bool is_not_equal(const struct item *item, const struct semver *v, int order)
{
	if (item->known == KNOWN_ALL || item->known == KNOWN_NONE)
		return order != 0;
	if (!begins(item, v))
		return true;
	/* != 4.1-alpha is about that prerelease of any patch */
	bool pre = v->prerelease || item->version.prerelease;
	return item->known == KNOWN_MINOR && pre &&
	       !str_equal(v->prerelease, item->version.prerelease);
}

/* > 11 begins with 12. */
static bool is_greater(const struct item *item, const struct semver *v, int order)
{
	if (item->known == KNOWN_ALL || item->known == KNOWN_NONE)
		return order > 0;
	if (v->major != item->version.major || item->known == KNOWN_MAJOR)
		return v->major > item->version.major;
	return v->minor > item->version.minor;
}

/* <= 11 ends before 12. */
static bool is_less_equal(const struct item *item, const struct semver *v, int order)
{
	if (item->known == KNOWN_ALL)
		return order <= 0;
	if (v->major != item->version.major)
		return v->major < item->version.major;
	return item->known == KNOWN_MAJOR || v->minor <= item->version.minor;
}

static bool is_tilde(const struct item *item, const struct semver *v, int order)
{
	const struct semver *from = &item->version;
	if (order < 0)
		return false;
	/* ~0.0.0 and ~* are anything */
	if (item->known == KNOWN_NONE ||
	    (item->known == KNOWN_ALL && from->major == 0 && from->minor == 0 && from->patch == 0))
		return true;
	return v->major == from->major && (item->known == KNOWN_MAJOR || v->minor == from->minor);
}

/* The first number that is not 0 stays. */
static bool is_caret(const struct item *item, const struct semver *v, int order)
{
	const struct semver *from = &item->version;
	if (order < 0)
		return false;
	if (item->known == KNOWN_NONE)
		return true;
	if (v->major != from->major || from->major > 0 || item->known == KNOWN_MAJOR)
		return v->major == from->major;
	if (v->minor != from->minor || from->minor > 0 || item->known == KNOWN_MINOR)
		return v->minor == from->minor;
	return v->patch == from->patch;
}

static bool holds(const struct item *item, const struct semver *v)
{
	int order = semver_compare(v, &item->version);
	switch (item->op) {
	case OP_EQUAL:
		return item->known == KNOWN_ALL ? order == 0 : is_tilde(item, v, order);
	case OP_NOT_EQUAL:
		return is_not_equal(item, v, order);
	case OP_GREATER:
		return is_greater(item, v, order);
	case OP_LESS:
		return order < 0;
	case OP_GREATER_EQUAL:
		return order >= 0;
	case OP_LESS_EQUAL:
		return is_less_equal(item, v, order);
	case OP_TILDE:
		return is_tilde(item, v, order);
	case OP_CARET:
		break;
	}
	return is_caret(item, v, order);
}

bool constraint_allows(const struct constraint *constraint, const struct semver *version)
{
	size_t i = 0;
	for (size_t row = 0; row < constraint->rows; row++) {
		bool good = true, prereleases = false;
		for (; i < constraint->count && constraint->items[i].row == row; i++) {
			good = good && holds(&constraint->items[i], version);
			prereleases = prereleases || constraint->items[i].version.prerelease;
		}
		if (good && (prereleases || !version->prerelease))
			return true;
	}
	return false;
}
