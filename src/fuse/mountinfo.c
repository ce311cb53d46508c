/* Reading /proc/self/mountinfo, line by line. */
#include "fuse/mountinfo.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

/* Fields of a line, before the optional ones. */
enum {
	FIELD_DEVICE = 2,
	FIELD_DIRECTORY = 4,
	FIELDS_FIXED = 6,
};

struct piece {
	const char *at; /* borrowed from the text */
	size_t length;
};

/* The next word of LINE, which is moved behind it; false at its end. */
static bool next_word(struct piece *line, struct piece *out)
{
	while (line->length > 0 && *line->at == ' ') {
		line->at++;
		line->length--;
	}
	const char *end = memchr(line->at, ' ', line->length);
	out->at = line->at;
	out->length = end ? (size_t)(end - line->at) : line->length;
	line->at += out->length;
	line->length -= out->length;
	return out->length > 0;
}

static bool is_octal(const char *at)
{
	return at[0] >= '0' && at[0] <= '3' && at[1] >= '0' && at[1] <= '7' && at[2] >= '0' &&
	       at[2] <= '7';
}

/* Blanks, newlines and backslashes are written \ooo. */
static void unescape(char *out, size_t size, struct piece word)
{
	size_t used = 0;
	for (size_t i = 0; i < word.length && used + 1 < size; i++) {
		const char *at = word.at + i;
		if (*at == '\\' && word.length - i > 3 && is_octal(at + 1)) {
			out[used++] = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 |
					     (at[3] - '0'));
			i += 3;
		} else {
			out[used++] = *at;
		}
	}
	out[used] = '\0';
}

static bool parse_device(struct mountinfo *out, struct piece word)
{
	unsigned long long major, minor;
	const char *colon = memchr(word.at, ':', word.length);
	if (!colon)
		return false;
	auto_free char *first = mem_strndup(word.at, (size_t)(colon - word.at));
	auto_free char *second = mem_strndup(colon + 1,
					     word.length - (size_t)(colon + 1 - word.at));
	if (!str_parse_u64(first, &major) || !str_parse_u64(second, &minor))
		return false;
	out->major = (unsigned)major;
	out->minor = (unsigned)minor;
	return major <= UINT32_MAX && minor <= UINT32_MAX;
}

static bool is_directory(struct piece word, const char *directory)
{
	/* unescaping only shortens */
	auto_free char *text = mem_new(word.length + 1);
	unescape(text, word.length + 1, word);
	return str_equal(text, directory);
}

static bool parse_line(struct mountinfo *out, struct piece line, const char *directory)
{
	struct mountinfo found = { 0 };
	struct piece word;
	for (int i = 0; i < FIELDS_FIXED; i++) {
		if (!next_word(&line, &word))
			return false;
		if (i == FIELD_DEVICE && !parse_device(&found, word))
			return false;
		if (i == FIELD_DIRECTORY && !is_directory(word, directory))
			return false;
	}
	do {
		if (!next_word(&line, &word))
			return false;
	} while (word.length != 1 || *word.at != '-');
	if (!next_word(&line, &word))
		return false;
	unescape(found.type, sizeof(found.type), word);
	if (next_word(&line, &word))
		unescape(found.source, sizeof(found.source), word);
	*out = found;
	return true;
}

bool mountinfo_search(struct mountinfo *out, const char *text, const char *directory)
{
	bool found = false;
	while (*text) {
		struct piece line = { text, strcspn(text, "\n") };
		text += line.length + (text[line.length] == '\n');
		/* a later line is mounted over an earlier one */
		found |= parse_line(out, line, directory);
	}
	return found;
}

int mountinfo_find(struct mountinfo *out, const char *directory, bool *found, struct err *err)
{
	auto_free char *text = NULL;
	size_t size;
	int r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX_BYTES, &text, &size,
			     err);
	if (r < 0)
		return err_wrap(err, r, "read the list of mounts");
	*found = mountinfo_search(out, text, directory);
	return 0;
}
