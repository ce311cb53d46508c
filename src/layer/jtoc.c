/*
 * Reading one entry of a JSON table of contents: members by their names, each of the right type or
 * refused.  What an entry means for the layer is chunks.c's business.
 */
#include "layer/jtoc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "codec/tar-xattr.h"

#define ID_MAX ((uint64_t)UINT32_MAX - 1)
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* A member that is a text, "" when absent. */
static int take_text(const char **out, const struct json_value *entry, const char *key,
		     struct err *err)
{
	const struct json_value *value = json_get(entry, key);
	const char *text = value ? json_string(value) : "";
	if (!text)
		return err_set(err, EBADMSG, "'%s' is %s%s", key, json_type_name(value),
			       json_type(value) == JSON_STRING ? " with a NUL" : "");
	*out = text;
	return 0;
}

/* A member that is a whole number 0..MAX, 0 when absent. */
static int take_number(uint64_t *out, const struct json_value *entry, const char *key, uint64_t max,
		       struct err *err)
{
	const struct json_value *value = json_get(entry, key);
	*out = 0;
	if (!value)
		return 0;
	if (!json_u64(value, out) || *out > max)
		return err_set(err, EBADMSG, "'%s' is no number from 0 to %llu", key,
			       (unsigned long long)max);
	return 0;
}

static int take_small(uint32_t *out, const struct json_value *entry, const char *key, uint64_t max,
		      struct err *err)
{
	uint64_t value = 0;
	int r = take_number(&value, entry, key, max, err);
	if (r == 0)
		*out = (uint32_t)value;
	return r;
}

static int take_name(const char **out, const struct json_value *entry, const char *key,
		     struct err *err)
{
	int r = take_text(out, entry, key, err);
	if (r < 0)
		return r;
	if (strstr(*out, REPLACEMENT))
		return err_set(err, EBADMSG, "'%s' was no UTF-8 and is lost", key);
	if (strlen(*out) > TAR_PATH_MAX_BYTES)
		return err_set(err, E2BIG, "'%s' of %zu bytes", key, strlen(*out));
	return 0;
}

static int take_digest(struct digest *out, const struct json_value *entry, const char *key,
		       struct err *err)
{
	const char *text = "";
	int r = take_text(&text, entry, key, err);
	if (r < 0 || !*text)
		return r;
	if (digest_parse(out, text, err) < 0)
		return err_set(err, EBADMSG, "'%s' is no digest", key);
	if (out->algorithm != DIGEST_SHA256)
		return err_set(err, EOPNOTSUPP, "'%s' is no sha256", key);
	return 0;
}

static int take_type(struct jtoc_entry *out, const struct json_value *entry, struct err *err)
{
	static const struct {
		const char *name;
		enum tar_type type;
	} types[] = { { "reg", TAR_FILE },	  { "dir", TAR_DIRECTORY },
		      { "symlink", TAR_SYMLINK }, { "hardlink", TAR_HARDLINK },
		      { "char", TAR_CHAR },	  { "block", TAR_BLOCK },
		      { "fifo", TAR_FIFO },	  { "chunk", TAR_FILE } };
	const char *type = "";
	int r = take_text(&type, entry, "type", err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (strcmp(types[i].name, type) == 0) {
			out->tar.type = types[i].type;
			out->chunk = strcmp(type, "chunk") == 0;
			return 0;
		}
	return err_set(err, EBADMSG, "type '%s' is not known", esc(type));
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, YEAR >= 0. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1; /* years begin in March: the odd day comes last */
	int64_t m = month > 2 ? month - 3 : month + 9;
	int64_t leaps = y >= 0 ? y / 4 - y / 100 + y / 400 : -1;
	return 365 * y + leaps + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* N digits at *at, which moves behind them; -1 when there are fewer. */
static int digits(const char **at, int n)
{
	int value = 0;
	for (int i = 0; i < n; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return -1;
		value = value * 10 + (**at - '0');
	}
	return value;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* ".5" and up to nine digits. */
static bool fraction(const char **at, uint32_t *nanoseconds)
{
	uint32_t unit = 1000000000;
	*nanoseconds = 0;
	if (!take_char(at, '.'))
		return true;
	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		unit /= 10;
		if (unit == 0)
			return false;
		*nanoseconds += (uint32_t)(**at - '0') * unit;
	}
	return true;
}

/* "Z" or "+01:00", in seconds. */
static bool zone(const char **at, int64_t *seconds)
{
	*seconds = 0;
	if (take_char(at, 'Z'))
		return true;
	bool east = **at == '+';
	if (!take_char(at, east ? '+' : '-'))
		return false;
	int hours = digits(at, 2);
	bool colon = take_char(at, ':');
	int minutes = colon ? digits(at, 2) : -1;
	*seconds = (east ? 1 : -1) * (hours * 3600 + minutes * 60);
	return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

static bool date(const char **at, int64_t *days)
{
	static const int lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = digits(at, 4);
	if (year < 0 || !take_char(at, '-'))
		return false;
	int month = digits(at, 2);
	if (month < 1 || month > 12 || !take_char(at, '-'))
		return false;
	int day = digits(at, 2);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (day < 1 || day > lengths[month - 1] || (month == 2 && day == 29 && !leap))
		return false;
	*days = days_of(year, month, day);
	return true;
}

static bool clock_time(const char **at, int64_t *seconds)
{
	int hour = digits(at, 2);
	if (hour < 0 || hour > 23 || !take_char(at, ':'))
		return false;
	int minute = digits(at, 2);
	if (minute < 0 || minute > 59 || !take_char(at, ':'))
		return false;
	int second = digits(at, 2);
	*seconds = hour * 3600 + minute * 60 + second;
	return second >= 0 && second < 60;
}

bool jtoc_time(int64_t *seconds, uint32_t *nanoseconds, const char *text)
{
	const char *at = text;
	int64_t days, time, east;
	uint32_t fractional;
	if (!date(&at, &days) || !take_char(&at, 'T') || !clock_time(&at, &time) ||
	    !fraction(&at, &fractional) || !zone(&at, &east) || *at)
		return false;
	*seconds = days * 86400 + time - east;
	*nanoseconds = fractional;
	return true;
}

static int take_mtime(struct tar_entry *tar, const struct json_value *entry, struct err *err)
{
	const char *text = "";
	int r = take_text(&text, entry, "modtime", err);
	if (r < 0 || !*text) /* eStargz leaves the epoch out */
		return r;
	if (!jtoc_time(&tar->mtime_s, &tar->mtime_ns, text))
		return err_set(err, EBADMSG, "'modtime' is no time: '%s'", esc(text));
	return 0;
}

static int take_attributes(struct tar_entry *tar, const struct json_value *entry, struct err *err)
{
	int r = take_name(&tar->link, entry, "linkName", err);
	if (r == 0)
		r = take_small(&tar->mode, entry, "mode", INT32_MAX, err);
	tar->mode &= 07777;
	if (r == 0)
		r = take_small(&tar->uid, entry, "uid", ID_MAX, err);
	if (r == 0)
		r = take_small(&tar->gid, entry, "gid", ID_MAX, err);
	if (r == 0)
		r = take_small(&tar->dev_major, entry, "devMajor", UINT32_MAX, err);
	if (r == 0)
		r = take_small(&tar->dev_minor, entry, "devMinor", UINT32_MAX, err);
	return r < 0 ? r : take_mtime(tar, entry, err);
}

/* What a tar entry of the type has, and no more. */
static int settle(struct tar_entry *tar, struct err *err)
{
	size_t length = strlen(tar->path);
	bool link = tar->type == TAR_SYMLINK || tar->type == TAR_HARDLINK;
	bool device = tar->type == TAR_CHAR || tar->type == TAR_BLOCK;
	if (length == 0)
		return err_set(err, EBADMSG, "it has no name");
	if (tar->type == TAR_FILE && tar->path[length - 1] == '/')
		return err_set(err, EBADMSG, "a file with the name of a directory");
	if (link && !*tar->link)
		return err_set(err, EBADMSG, "a link without a target");
	if (!link)
		tar->link = "";
	if (!device)
		tar->dev_major = tar->dev_minor = 0;
	if (tar->type != TAR_FILE)
		tar->size = 0;
	tar->stored = tar->size;
	return 0;
}

static int take_places(struct jtoc_entry *out, const struct json_value *entry, struct err *err)
{
	const char *type = "";
	int r = take_number(&out->tar.size, entry, "size", TAR_SIZE_MAX, err);
	if (r == 0)
		r = take_number(&out->offset, entry, "offset", TAR_SIZE_MAX, err);
	if (r == 0)
		r = take_number(&out->inner_offset, entry, "innerOffset", TAR_SIZE_MAX, err);
	if (r == 0)
		r = take_number(&out->end_offset, entry, "endOffset", TAR_SIZE_MAX, err);
	if (r == 0)
		r = take_number(&out->chunk_offset, entry, "chunkOffset", TAR_SIZE_MAX, err);
	if (r == 0)
		r = take_number(&out->chunk_size, entry, "chunkSize", TAR_SIZE_MAX, err);
	if (r == 0)
		r = take_digest(&out->digest, entry, "digest", err);
	if (r == 0)
		r = take_digest(&out->chunk_digest, entry, "chunkDigest", err);
	if (r == 0)
		r = take_text(&type, entry, "chunkType", err);
	if (r < 0)
		return r;
	out->zeros = strcmp(type, "zeros") == 0;
	if (*type && !out->zeros)
		return err_set(err, EBADMSG, "chunks of type '%s' are not known", esc(type));
	return 0;
}

static size_t xattr_bytes(const struct json_value *xattrs)
{
	size_t bytes = 0;
	for (json_member(m, xattrs)) {
		const char *value = json_string(m.value);
		bytes += value ? strlen(value) + 1 : 0;
	}
	return bytes;
}

/* Decode one value behind *at, which moves. */
static int take_xattr(struct tar_xattr *out, const struct json_member *m, char **at,
		      struct err *err)
{
	char no_name[1] = "";
	const char *value = json_string(m->value);
	if (!value || strstr(m->key, REPLACEMENT))
		return err_set(err, EBADMSG, "attribute '%s' is no text", esc(m->key));
	size_t size = strlen(value);
	memcpy(*at, value, size);
	(*at)[size] = '\0';
	if (!tar_xattr_decode(out, no_name, *at, size))
		return err_set(err, EBADMSG, "attribute '%s' is no base64", esc(m->key));
	out->name = m->key;
	*at += size + 1;
	return tar_xattr_check(out, err);
}

static int take_xattrs(struct jtoc_entry *out, const struct json_value *entry, struct err *err)
{
	const struct json_value *xattrs = json_get(entry, "xattrs");
	if (!xattrs)
		return 0;
	if (json_type(xattrs) != JSON_OBJECT)
		return err_set(err, EBADMSG, "'xattrs' is %s", json_type_name(xattrs));
	out->xattrs = mem_new((json_count(xattrs) + 1) * sizeof(*out->xattrs));
	out->values = mem_new(xattr_bytes(xattrs) + 1);
	char *at = out->values;
	for (json_member(m, xattrs)) {
		int r = take_xattr(&out->xattrs[out->tar.xattr_count], &m, &at, err);
		if (r < 0)
			return r;
		out->tar.xattr_count++;
	}
	out->tar.xattrs = out->xattrs;
	return 0;
}

static int take_all(struct jtoc_entry *out, const struct json_value *entry, struct err *err)
{
	int r = take_type(out, entry, err);
	if (r == 0)
		r = take_places(out, entry, err);
	if (r < 0 || out->chunk)
		return r;
	r = take_attributes(&out->tar, entry, err);
	if (r == 0)
		r = settle(&out->tar, err);
	return r < 0 ? r : take_xattrs(out, entry, err);
}

int jtoc_parse(struct jtoc_entry *out, const struct json_value *value, struct err *err)
{
	struct jtoc_entry entry = { .tar = { .path = "", .link = "" } };
	int r = take_name(&entry.tar.path, value, "name", err);
	if (r == 0)
		r = take_all(&entry, value, err);
	if (r < 0) {
		jtoc_entry_release(&entry);
		return err_wrap(err, r, "'%s'", esc(entry.tar.path));
	}
	*out = entry;
	return 0;
}

void jtoc_entry_release(struct jtoc_entry *entry)
{
	free(entry->xattrs);
	free(entry->values);
	entry->xattrs = NULL;
	entry->values = NULL;
}
