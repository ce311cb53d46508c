/*
 * PAX records, strictly: what is malformed is refused, because readers that guess differ.  The
 * key's
 * '=' and the record's newline become NULs, so that keys and values are strings where they lie.
 * An empty value takes the key back, as POSIX says.  Called by tar.c.
 */
#include "codec/tar-pax.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/mem.h"
#include "codec/tar-xattr.h"

struct record {
	char *key; /* NUL-terminated, no NUL inside */
	char *value;
	size_t size;
};

static int bad(const struct record *record, const char *what, struct err *err)
{
	return err_set(err, EBADMSG, "PAX record '%s': %s", esc(record->key), what);
}

bool tar_pax_digits(uint64_t *out, const char **at)
{
	uint64_t value = 0;
	const char *p = *at;
	for (; *p >= '0' && *p <= '9'; p++)
		if (!mul_ok(value, 10u, &value) || !add_ok(value, (uint64_t)(*p - '0'), &value))
			return false;
	if (p == *at)
		return false;
	*at = p;
	*out = value;
	return true;
}

/* Cut the next record off *text. */
static int next_record(struct record *out, char **text, size_t *left, struct err *err)
{
	const char *at = *text;
	uint64_t length;
	if (!tar_pax_digits(&length, &at) || *at != ' ')
		return err_set(err, EBADMSG, "PAX record without a length");
	char *start = *text + (at + 1 - *text);
	size_t digits = (size_t)(start - *text);
	if (length > *left || length <= digits)
		return err_set(err, EBADMSG, "PAX record of impossible length");
	char *end = *text + length - 1;
	if (*end != '\n')
		return err_set(err, EBADMSG, "PAX record does not end in a newline");
	char *equals = memchr(start, '=', (size_t)(end - start));
	if (!equals || equals == start || memchr(start, '\0', (size_t)(equals - start)))
		return err_set(err, EBADMSG, "PAX record without a key");
	*equals = '\0';
	*end = '\0';
	*out = (struct record){ start, equals + 1, (size_t)(end - equals - 1) };
	*text += length;
	*left -= (size_t)length;
	return 0;
}

static int take_text(const char **out, const struct record *record, struct err *err)
{
	if (memchr(record->value, '\0', record->size))
		return bad(record, "a NUL inside", err);
	*out = record->size > 0 ? record->value : NULL;
	return 0;
}

static int take_number(struct tar_pax_number *out, const struct record *record, struct err *err)
{
	const char *at = record->value;
	uint64_t value = 0;
	if (record->size > 0 &&
	    (!tar_pax_digits(&value, &at) || at != record->value + record->size))
		return bad(record, "not a number, or an impossible one", err);
	*out = (struct tar_pax_number){ record->size > 0, value };
	return 0;
}

/* The fraction's first nine digits as nanoseconds. */
static uint32_t fraction(const char **at)
{
	uint32_t value = 0;
	size_t digits = 0;
	const char *p = *at;
	for (; *p >= '0' && *p <= '9'; p++)
		if (digits < 9) {
			value = value * 10 + (uint32_t)(*p - '0');
			digits++;
		}
	for (; digits < 9; digits++)
		value *= 10;
	*at = p;
	return value;
}

/* [-]seconds[.fraction]; nanoseconds count forward, so -1.5 is -2 s and 500000000 ns. */
static int take_time(struct tar_pax *pax, const struct record *record, struct err *err)
{
	const char *at = record->value;
	bool negative = *at == '-';
	uint64_t s = 0;
	uint32_t ns = 0;
	pax->has_mtime = record->size > 0;
	if (!pax->has_mtime)
		return 0;
	at += negative;
	if (!tar_pax_digits(&s, &at) || s >= INT64_MAX)
		return bad(record, "not a time, or an impossible one", err);
	if (*at == '.') {
		at++;
		ns = fraction(&at);
	}
	if (at != record->value + record->size)
		return bad(record, "not a time", err);
	pax->mtime_s = negative ? -(int64_t)s - (ns > 0) : (int64_t)s;
	pax->mtime_ns = negative && ns > 0 ? 1000000000 - ns : ns;
	return 0;
}

/* 0.0: offset and numbytes records take turns. */
static int take_extent(struct tar_pax *pax, const struct record *record, bool is_offset,
		       struct err *err)
{
	struct tar_pax_number n = { 0 };
	int r = take_number(&n, record, err);
	if (r < 0)
		return r;
	if (!n.there || is_offset == pax->sparse_half)
		return bad(record, "out of order", err);
	pax->sparse_half = is_offset;
	if (!is_offset) {
		pax->sparse_extents[pax->sparse_count++].size = n.value;
		return 0;
	}
	pax->sparse_extents = mem_grow(pax->sparse_extents, &pax->sparse_capacity,
				       pax->sparse_count, sizeof(*pax->sparse_extents));
	pax->sparse_extents[pax->sparse_count] = (struct tar_extent){ n.value, 0 };
	return 0;
}

/* *taken is false when KEY is no sparse key that is used. */
static int take_sparse(struct tar_pax *pax, const char *key, const struct record *record,
		       struct err *err)
{
	const struct {
		const char *key;
		struct tar_pax_number *out;
	} numbers[] = {
		{ "major", &pax->sparse_major },      { "minor", &pax->sparse_minor },
		{ "size", &pax->sparse_size },	      { "realsize", &pax->sparse_real_size },
		{ "numblocks", &pax->sparse_blocks },
	};
	for (size_t i = 0; i < N_ELEMENTS(numbers); i++)
		if (str_equal(key, numbers[i].key))
			return take_number(numbers[i].out, record, err);
	if (str_equal(key, "offset"))
		return take_extent(pax, record, true, err);
	if (str_equal(key, "numbytes"))
		return take_extent(pax, record, false, err);
	if (str_equal(key, "map"))
		return take_text(&pax->sparse_map, record, err);
	if (str_equal(key, "name"))
		return take_text(&pax->sparse_name, record, err);
	return 0;
}

static int take_xattr(struct tar_pax *pax, const struct tar_xattr *xattr, struct err *err)
{
	if (xattr->name[0] == '\0')
		return 0;
	int r = tar_xattr_check(xattr, err);
	if (r < 0)
		return r;
	pax->xattrs = mem_grow(pax->xattrs, &pax->xattr_capacity, pax->xattr_count,
			       sizeof(*pax->xattrs));
	pax->xattrs[pax->xattr_count++] = *xattr;
	return 0;
}

static int take_record(struct tar_pax *pax, const struct record *record, struct err *err)
{
	static const char SPARSE[] = "GNU.sparse.", SCHILY[] = "SCHILY.xattr.",
			  LIBARCHIVE[] = "LIBARCHIVE.xattr.";
	char *key = record->key;
	if (str_equal(key, "path"))
		return take_text(&pax->path, record, err);
	if (str_equal(key, "linkpath"))
		return take_text(&pax->link, record, err);
	if (str_equal(key, "size"))
		return take_number(&pax->size, record, err);
	if (str_equal(key, "uid"))
		return take_number(&pax->uid, record, err);
	if (str_equal(key, "gid"))
		return take_number(&pax->gid, record, err);
	if (str_equal(key, "mtime"))
		return take_time(pax, record, err);
	if (str_starts(key, SPARSE))
		return take_sparse(pax, key + strlen(SPARSE), record, err);

	struct tar_xattr xattr = { key + strlen(SCHILY), (const uint8_t *)record->value,
				   record->size };
	if (str_starts(key, SCHILY))
		return take_xattr(pax, &xattr, err);
	if (!str_starts(key, LIBARCHIVE))
		return 0;
	if (!tar_xattr_decode(&xattr, key + strlen(LIBARCHIVE), record->value, record->size))
		return bad(record, "bad encoding", err);
	return take_xattr(pax, &xattr, err);
}

void tar_pax_reset(struct tar_pax *pax)
{
	*pax = (struct tar_pax){
		.xattrs = pax->xattrs,
		.xattr_capacity = pax->xattr_capacity,
		.sparse_extents = pax->sparse_extents,
		.sparse_capacity = pax->sparse_capacity,
	};
}

void tar_pax_release(struct tar_pax *pax)
{
	free(pax->xattrs);
	free(pax->sparse_extents);
}

bool tar_pax_is_sparse(const struct tar_pax *pax)
{
	return pax->sparse_major.there || pax->sparse_minor.there || pax->sparse_map ||
	       pax->sparse_count > 0;
}

int tar_pax_parse(struct tar_pax *out, char *text, size_t size, struct err *err)
{
	tar_pax_reset(out);
	while (size > 0) {
		struct record record;
		int r = next_record(&record, &text, &size, err);
		if (r == 0)
			r = take_record(out, &record, err);
		if (r < 0)
			return r;
	}
	if (out->sparse_half)
		return err_set(err, EBADMSG, "PAX sparse map ends in the middle of a pair");
	out->xattr_count = tar_xattr_unique(out->xattrs, out->xattr_count);
	return 0;
}
