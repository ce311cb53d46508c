/*
 * Cutting the JSON of a table of contents into values.  Here only the outermost object and its
 * array "entries" are read by hand; where another value begins, its bytes are collected up to its
 * end (brackets counted, strings passed over) and given to base/json.h, which is strict.  What is
 * no JSON is found by one or the other.
 */
#include "layer/toc-json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX_BYTES ((size_t)4 << 20)
#define MEMBERS_MAX 64 /* of the outermost object */

struct reader {
	struct stream *stream; /* borrowed */
	const uint8_t *at;     /* borrowed from stream */
	size_t left;
	bool ended;
	char *text; /* owned; the value being collected */
	size_t size, capacity;
	bool has_entries, has_version;
	uint64_t entries;
	int (*entry)(void *arg, const struct json_value *value, struct err *err);
	void *arg; /* borrowed */
};

/* Have a byte at *at, or ended. */
static int fill(struct reader *rd, struct err *err)
{
	const void *data = NULL;
	if (rd->left > 0 || rd->ended)
		return 0;
	int r = stream_next(rd->stream, &data, &rd->left, err);
	if (r < 0) {
		rd->left = 0;
		return r;
	}
	rd->at = data;
	rd->ended = rd->left == 0;
	return 0;
}

/* The next byte without taking it, in *c: -1 at the end. */
static int peek(struct reader *rd, int *c, struct err *err)
{
	int r = fill(rd, err);
	*c = r < 0 || rd->ended ? -1 : *rd->at;
	return r;
}

static void advance(struct reader *rd)
{
	rd->at++;
	rd->left--;
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next byte that is no white space, not taken. */
static int peek_token(struct reader *rd, int *c, struct err *err)
{
	for (;;) {
		int r = peek(rd, c, err);
		if (r < 0 || !is_space(*c))
			return r;
		advance(rd);
	}
}

static int unexpected(int c, const char *wanted, struct err *err)
{
	char byte = (char)c;
	if (c < 0)
		return err_set(err, EBADMSG, "the JSON ends where %s is expected", wanted);
	if (c < 0x20 || c > 0x7e)
		byte = '?';
	return err_set(err, EBADMSG, "'%c' in the JSON where %s is expected", byte, wanted);
}

static int take_token(struct reader *rd, char wanted, const char *name, struct err *err)
{
	int c = -1;
	int r = peek_token(rd, &c, err);
	if (r < 0)
		return r;
	if (c != wanted)
		return unexpected(c, name, err);
	advance(rd);
	return 0;
}

/* Take N of the bytes that are here. */
static int keep(struct reader *rd, size_t n, struct err *err)
{
	if (n > VALUE_MAX_BYTES - rd->size)
		return err_set(err, E2BIG, "a value of more than %zu bytes", VALUE_MAX_BYTES);
	while (rd->capacity - rd->size < n)
		rd->text = mem_grow(rd->text, &rd->capacity, rd->capacity, 1);
	if (n > 0)
		memcpy(rd->text + rd->size, rd->at, n);
	rd->size += n;
	rd->at += n;
	rd->left -= n;
	return 0;
}

/* Where in a value the next byte is. */
struct place {
	unsigned depth; /* brackets around it */
	bool string, escape;
};

/* Whether the value is complete behind byte C; strings and brackets only. */
static bool pass(struct place *p, int c)
{
	if (p->escape) {
		p->escape = false;
	} else if (p->string) {
		p->escape = c == '\\';
		p->string = c != '"';
		return c == '"' && p->depth == 0;
	} else if (c == '"') {
		p->string = true;
	} else if (c == '{' || c == '[') {
		p->depth++;
	} else if ((c == '}' || c == ']') && p->depth > 0) {
		return --p->depth == 0;
	}
	return false;
}

/* Numbers and words have no end of their own. */
static bool ends_word(const struct place *p, int c)
{
	return p->depth == 0 && !p->string && (is_space(c) || c == ',' || c == '}' || c == ']');
}

/* How many of the bytes that are here belong to the value; *whole when it ends with them. */
static size_t measure(const struct reader *rd, struct place *place, bool *whole)
{
	for (size_t n = 0; n < rd->left; n++) {
		*whole = ends_word(place, rd->at[n]);
		if (*whole)
			return n;
		*whole = pass(place, rd->at[n]);
		if (*whole)
			return n + 1;
	}
	return rd->left;
}

/* Collect the value that begins at the next byte that is no white space. */
static int collect(struct reader *rd, struct err *err)
{
	struct place place = { 0 };
	bool whole = false;
	int c = -1;
	int r = peek_token(rd, &c, err);
	rd->size = 0;
	while (r == 0 && !whole) {
		if (c < 0)
			return unexpected(c, "more of a value", err);
		r = keep(rd, measure(rd, &place, &whole), err);
		if (r == 0 && !whole)
			r = peek(rd, &c, err);
	}
	if (r == 0 && rd->size == 0)
		return unexpected(c, "a value", err);
	return r;
}

static int parse_collected(struct reader *rd, struct json **out, struct err *err)
{
	int r = collect(rd, err);
	return r < 0 ? r : json_parse(out, rd->text, rd->size, 0, err);
}

static int read_entry(struct reader *rd, struct err *err)
{
	AUTO(json) json = NULL;
	int r = parse_collected(rd, &json, err);
	if (r < 0)
		return r;
	const struct json_value *value = json_root(json);
	if (json_type(value) != JSON_OBJECT)
		return err_set(err, EBADMSG, "%s where an object is expected",
			       json_type_name(value));
	return rd->entry(rd->arg, value, err);
}

/* Behind the '[' of "entries". */
static int read_entries(struct reader *rd, struct err *err)
{
	int c = -1;
	int r = peek_token(rd, &c, err);
	if (r < 0)
		return r;
	if (c == ']') {
		advance(rd);
		return 0;
	}
	for (;; rd->entries++) {
		r = read_entry(rd, err);
		if (r == 0)
			r = peek_token(rd, &c, err);
		if (r == 0 && c != ',' && c != ']')
			r = unexpected(c, "',' or ']'", err);
		if (r < 0)
			return err_wrap(err, r, "entry %llu", (unsigned long long)rd->entries);
		advance(rd);
		if (c == ']')
			return 0;
	}
}

static int read_version(struct reader *rd, struct err *err)
{
	AUTO(json) json = NULL;
	uint64_t version = 0;
	int r = parse_collected(rd, &json, err);
	if (r < 0)
		return r;
	if (rd->has_version || !json_u64(json_root(json), &version) || version != 1)
		return err_set(err, EBADMSG, "its version is not 1");
	rd->has_version = true;
	return 0;
}

/* The value of KEY. */
static int read_member(struct reader *rd, const char *key, struct err *err)
{
	AUTO(json) other = NULL;
	if (str_equal(key, "version"))
		return read_version(rd, err);
	if (!str_equal(key, "entries"))
		return parse_collected(rd, &other, err);
	if (rd->has_entries)
		return err_set(err, EBADMSG, "'entries' is there twice");
	rd->has_entries = true;
	int r = take_token(rd, '[', "'['", err);
	return r < 0 ? r : read_entries(rd, err);
}

static int read_pair(struct reader *rd, struct err *err)
{
	AUTO(json) json = NULL;
	int r = parse_collected(rd, &json, err);
	if (r < 0)
		return r;
	const char *key = json_string(json_root(json));
	if (!key)
		return err_set(err, EBADMSG, "%s where a key is expected",
			       json_type_name(json_root(json)));
	r = take_token(rd, ':', "':'", err);
	return r < 0 ? r : read_member(rd, key, err);
}

static int read_object(struct reader *rd, struct err *err)
{
	int c = -1;
	int r = take_token(rd, '{', "'{'", err);
	for (int members = 0; r == 0; members++) {
		if (members == MEMBERS_MAX)
			return err_set(err, E2BIG, "more than %d members", MEMBERS_MAX);
		r = read_pair(rd, err);
		if (r == 0)
			r = peek_token(rd, &c, err);
		if (r < 0)
			return r;
		if (c != ',' && c != '}')
			return unexpected(c, "',' or '}'", err);
		advance(rd);
		if (c == '}')
			return 0;
	}
	return r;
}

static int read_all(struct reader *rd, struct err *err)
{
	int c = -1;
	int r = read_object(rd, err);
	if (r == 0)
		r = peek_token(rd, &c, err);
	if (r < 0)
		return r;
	if (c >= 0)
		return unexpected(c, "its end", err);
	if (!rd->has_entries || !rd->has_version)
		return err_set(err, EBADMSG, "no '%s'", rd->has_entries ? "version" : "entries");
	return 0;
}

int toc_json_read(struct stream *stream,
		  int (*entry)(void *arg, const struct json_value *value, struct err *err),
		  void *arg, struct err *err)
{
	struct reader rd = { .stream = stream, .entry = entry, .arg = arg };
	int r = read_all(&rd, err);
	free(rd.text);
	return r;
}
