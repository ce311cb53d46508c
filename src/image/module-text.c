/*
 * Source of Python and JavaScript, looked through for imports.  No parser: lines that look like a
 * statement are one.  A wrong look costs a search in the tree, or the bytes of a file.
 */
#include <string.h>

#include "base/mem.h"
#include "image/module-names.h"

/* Text that is being looked through; END is behind it. */
struct text {
	const char *at, *end;
};

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static void pass_any(struct text *t, const char *set)
{
	while (t->at < t->end && *t->at && strchr(set, *t->at))
		t->at++;
}

/* Is WORD next, with no letter behind it?  It is passed then. */
static bool pass_word(struct text *t, const char *word)
{
	size_t length = strlen(word);
	if ((size_t)(t->end - t->at) < length || memcmp(t->at, word, length) != 0 ||
	    (t->at + length < t->end && is_word(t->at[length])))
		return false;
	t->at += length;
	return true;
}

/* The next line, without its end; false behind the last. */
static bool next_line(struct text *t, struct text *line)
{
	if (t->at >= t->end)
		return false;
	const char *end = memchr(t->at, '\n', (size_t)(t->end - t->at));
	*line = (struct text){ t->at, end ? end : t->end };
	t->at = end ? end + 1 : t->end;
	return true;
}

/* ---- Python */

/* "a.b.c" into OUT; false when there is none, or a long one. */
static bool take_dotted(struct text *t, char out[MODULE_NAME_MAX_BYTES])
{
	size_t length = 0;
	while (t->at + length < t->end && (is_word(t->at[length]) || t->at[length] == '.'))
		length++;
	if (length == 0 || length >= MODULE_NAME_MAX_BYTES)
		return false;
	memcpy(out, t->at, length);
	out[length] = '\0';
	t->at += length;
	return true;
}

static void pass_as(struct text *t)
{
	char ignored[MODULE_NAME_MAX_BYTES];
	pass_any(t, " \t");
	if (!pass_word(t, "as"))
		return;
	pass_any(t, " \t");
	(void)take_dotted(t, ignored);
	pass_any(t, " \t");
}

/* "a.b as c, d" */
static void read_import(struct text line, const struct module_names *names)
{
	char module[MODULE_NAME_MAX_BYTES];
	const struct module_name name = { .module = module };
	do {
		pass_any(&line, ", \t");
		if (!take_dotted(&line, module))
			return;
		names->found(names->arg, &name);
		pass_as(&line);
	} while (line.at < line.end && *line.at == ',');
}

/* Spaces, comments and ends of lines; in parentheses a list goes on behind them. */
static void pass_blank(struct text *t)
{
	for (;;) {
		pass_any(t, " \t\r\n\\,");
		if (t->at == t->end || *t->at != '#')
			return;
		const char *end = memchr(t->at, '\n', (size_t)(t->end - t->at));
		t->at = end ? end : t->end;
	}
}

/* "..a.b import (c as d, e)"; LINE ends with its line, END is that of the file. */
static void read_from(struct text line, const char *end, const struct module_names *names)
{
	char module[MODULE_NAME_MAX_BYTES] = "", member[MODULE_NAME_MAX_BYTES];
	struct module_name name = { .module = module };
	pass_any(&line, " \t");
	for (; line.at < line.end && *line.at == '.'; line.at++)
		name.level++;
	pass_any(&line, " \t");
	struct text behind = line;
	if (!pass_word(&behind, "import")) {
		if (!take_dotted(&line, module))
			return;
		pass_any(&line, " \t");
		behind = line;
		if (!pass_word(&behind, "import"))
			return;
	}
	names->found(names->arg, &name);
	name.name = member;
	pass_any(&behind, " \t");
	bool open = behind.at < behind.end && *behind.at == '(';
	if (open)
		behind = (struct text){ behind.at + 1, end };
	for (;;) {
		if (open)
			pass_blank(&behind);
		else
			pass_any(&behind, " \t,");
		if (!take_dotted(&behind, member))
			return;
		names->found(names->arg, &name);
		pass_as(&behind);
	}
}

/* How often QUOTES (three) stand in the line. */
static unsigned count_quotes(struct text line, const char *quotes)
{
	unsigned count = 0;
	for (;;) {
		const char *found = memmem(line.at, (size_t)(line.end - line.at), quotes, 3);
		if (!found)
			return count;
		count++;
		line.at = found + 3;
	}
}

void module_names_python(const char *text, size_t size, const struct module_names *names)
{
	struct text all = { text, text + size }, line;
	bool quoted = false, trying = false;
	while (next_line(&all, &line)) {
		bool was_quoted = quoted;
		if ((count_quotes(line, "\"\"\"") + count_quotes(line, "'''")) % 2)
			quoted = !quoted;
		struct text statement = line;
		pass_any(&statement, " \t");
		bool indented = statement.at > line.at;
		if (was_quoted || statement.at == statement.end || *statement.at == '#' ||
		    *statement.at == '\r')
			continue;
		if (!indented)
			trying = statement.at + 4 <= statement.end &&
				 memcmp(statement.at, "try:", 4) == 0;
		if (indented && !trying)
			continue;
		if (pass_word(&statement, "import"))
			read_import(statement, names);
		else if (pass_word(&statement, "from"))
			read_from(statement, all.end, names);
	}
}

/* ---- JavaScript */

/* A string of one line in quotes, into OUT. */
static bool take_quoted(struct text *t, char out[MODULE_NAME_MAX_BYTES])
{
	if (t->at >= t->end || (*t->at != '"' && *t->at != '\''))
		return false;
	const char *start = t->at + 1;
	const char *end = memchr(start, *t->at, (size_t)(t->end - start));
	size_t length = end ? (size_t)(end - start) : 0;
	if (length == 0 || length >= MODULE_NAME_MAX_BYTES || memchr(start, '\\', length) ||
	    memchr(start, '\0', length))
		return false;
	memcpy(out, start, length);
	out[length] = '\0';
	t->at = end + 1;
	return true;
}

/* What follows one of the three words. */
static void read_word(struct text *t, bool call, const struct module_names *names)
{
	char module[MODULE_NAME_MAX_BYTES];
	const struct module_name name = { .module = module, .statement = !call };
	struct text behind = *t;
	pass_any(&behind, " \t");
	if (call) {
		if (behind.at == behind.end || *behind.at != '(')
			return;
		behind.at++;
		pass_any(&behind, " \t");
	}
	if (!take_quoted(&behind, module))
		return;
	t->at = behind.at;
	names->found(names->arg, &name);
}

/* Pass one of the three words, with what it imports when it is no MEMBER of something. */
static bool take_word(struct text *t, bool member, const struct module_names *names)
{
	static const char *const words[] = { "require", "from", "import" };
	for (size_t i = 0; i < N_ELEMENTS(words); i++) {
		if (*t->at != *words[i] || !pass_word(t, words[i]))
			continue;
		if (!member)
			read_word(t, i == 0, names);
		return true;
	}
	return false;
}

static void read_line(struct text line, const struct module_names *names)
{
	const char *start = line.at;
	while (line.at < line.end) {
		bool begins = line.at == start || !is_word(line.at[-1]);
		bool member = line.at > start && line.at[-1] == '.';
		if (!begins || !take_word(&line, member, names))
			line.at++;
	}
}

void module_names_javascript(const char *text, size_t size, const struct module_names *names)
{
	struct text all = { text, text + size }, line;
	while (next_line(&all, &line)) {
		struct text first = line;
		pass_any(&first, " \t");
		bool comment = first.at < first.end &&
			       (*first.at == '*' || (*first.at == '/' && first.at + 1 < first.end &&
						     (first.at[1] == '/' || first.at[1] == '*')));
		if (!comment)
			read_line(line, names);
	}
}
