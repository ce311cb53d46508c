/*
 * The fixed header of an entry.  Where readers differ, Go's archive/tar decides, as most images
 * were written and are read by it.  Called by tar.c, and for its numbers by tar-sparse.c.
 */
#include "codec/tar-header.h"

#include <errno.h>
#include <string.h>

struct field {
	size_t at, size;
};

static const struct field NAME = { 0, 100 }, MODE = { 100, 8 }, UID = { 108, 8 }, GID = { 116, 8 },
			  SIZE = { 124, 12 }, MTIME = { 136, 12 }, CHECKSUM = { 148, 8 },
			  LINK = { 157, 100 }, DEV_MAJOR = { 329, 8 }, DEV_MINOR = { 337, 8 },
			  PREFIX = { 345, 155 }, STAR_PREFIX = { 345, 131 },
			  GNU_ATIME = { 345, 12 }, GNU_CTIME = { 357, 12 };

enum { TYPE_AT = 156, MAGIC_AT = 257, STAR_MAGIC_AT = 508 };

bool tar_header_is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK_BYTES - 1) == 0;
}

/* Negative numbers are in two's complement over the whole field: -a-1 == ~a. */
static bool base256(int64_t *out, const uint8_t *field, size_t size)
{
	uint8_t invert = field[0] & 0x40 ? 0xff : 0;
	uint64_t value = 0;
	for (size_t i = 0; i < size; i++) {
		uint8_t c = field[i] ^ invert;
		if (i == 0)
			c &= 0x7f;
		if (value >> 56)
			return false;
		value = value << 8 | c;
	}
	if (value >> 63)
		return false;
	*out = invert ? (int64_t)~value : (int64_t)value;
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\0';
}

static bool octal(int64_t *out, const uint8_t *field, size_t size)
{
	while (size > 0 && is_blank(field[0])) {
		field++;
		size--;
	}
	while (size > 0 && is_blank(field[size - 1]))
		size--;
	uint64_t value = 0; /* 12 digits at most: 36 bits */
	for (size_t i = 0; i < size && field[i] != '\0'; i++) {
		if (field[i] < '0' || field[i] > '7')
			return false;
		value = value << 3 | (uint64_t)(field[i] - '0');
	}
	*out = (int64_t)value;
	return true;
}

bool tar_header_number(int64_t *out, const uint8_t *field, size_t size)
{
	return field[0] & 0x80 ? base256(out, field, size) : octal(out, field, size);
}

static bool number(int64_t *out, const uint8_t *block, struct field f)
{
	return tar_header_number(out, block + f.at, f.size);
}

/* The sum of all bytes with the checksum field as blanks; some old writers summed signed chars. */
static bool checksum_holds(const uint8_t *block)
{
	int64_t wanted, unsigned_sum = 0, signed_sum = 0;
	if (!octal(&wanted, block + CHECKSUM.at, CHECKSUM.size))
		return false;
	for (size_t i = 0; i < TAR_BLOCK_BYTES; i++) {
		bool blank = i >= CHECKSUM.at && i < CHECKSUM.at + CHECKSUM.size;
		uint8_t c = blank ? ' ' : block[i];
		unsigned_sum += c;
		signed_sum += (int8_t)c;
	}
	return wanted == unsigned_sum || wanted == signed_sum;
}

/* Append the field up to its first NUL. */
static size_t add_text(char *out, size_t used, const uint8_t *block, struct field f)
{
	size_t n = strnlen((const char *)block + f.at, f.size);
	memcpy(out + used, block + f.at, n);
	out[used + n] = '\0';
	return used + n;
}

/*
 * Go before 1.8 put a prefix into GNU headers, over atime and ctime, and there are images from
 * then: what is no time there but text is a prefix.
 */
static bool gnu_has_prefix(const uint8_t *block)
{
	int64_t time;
	if ((block[GNU_ATIME.at] == 0 || number(&time, block, GNU_ATIME)) &&
	    (block[GNU_CTIME.at] == 0 || number(&time, block, GNU_CTIME)))
		return false;
	for (size_t i = 0; i < PREFIX.size && block[PREFIX.at + i] != 0; i++)
		if (block[PREFIX.at + i] >= 0x80)
			return false;
	return true;
}

static void read_name(struct tar_header *h, const uint8_t *block, bool ustar)
{
	bool star = ustar && memcmp(block + STAR_MAGIC_AT, "tar\0", 4) == 0;
	size_t used = 0;
	h->name[0] = '\0';
	if (ustar || (h->gnu && gnu_has_prefix(block)))
		used = add_text(h->name, 0, block, star ? STAR_PREFIX : PREFIX);
	if (used > 0)
		h->name[used++] = '/';
	add_text(h->name, used, block, NAME);
	add_text(h->link, 0, block, LINK);
}

static int read_numbers(struct tar_header *h, const uint8_t *block, bool v7, struct err *err)
{
	int64_t size = 0;
	const struct {
		const char *what;
		int64_t *out;
		struct field field;
		bool in_v7;
	} fields[] = {
		{ "mode", &h->mode, MODE, true },
		{ "uid", &h->uid, UID, true },
		{ "gid", &h->gid, GID, true },
		{ "size", &size, SIZE, true },
		{ "mtime", &h->mtime, MTIME, true },
		{ "device number", &h->dev_major, DEV_MAJOR, false },
		{ "device number", &h->dev_minor, DEV_MINOR, false },
	};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (v7 && !fields[i].in_v7)
			continue;
		if (!number(fields[i].out, block, fields[i].field))
			return err_set(err, EBADMSG, "%s is no number", fields[i].what);
	}
	if (size < 0)
		return err_set(err, EBADMSG, "negative size");
	h->size = (uint64_t)size;
	return 0;
}

int tar_header_parse(struct tar_header *out, const uint8_t *block, struct err *err)
{
	if (!checksum_holds(block))
		return err_set(err, EBADMSG, "wrong header checksum");
	bool ustar = memcmp(block + MAGIC_AT, "ustar\0", 6) == 0;
	struct tar_header h = {
		.type = (char)block[TYPE_AT],
		.gnu = memcmp(block + MAGIC_AT, "ustar  ", 8) == 0,
	};
	int r = read_numbers(&h, block, !ustar && !h.gnu, err);
	if (r < 0)
		return r;
	read_name(&h, block, ustar);
	*out = h;
	return 0;
}
