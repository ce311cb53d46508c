/* The two encodings of extended attributes, and which of several with one name counts.  Called by
 * tar-pax.c. */
#include "codec/tar-xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"

#define NAME_MAX_BYTES 255 /* XATTR_NAME_MAX */

int tar_xattr_check(const struct tar_xattr *xattr, struct err *err)
{
	size_t length = strlen(xattr->name);
	if (length > NAME_MAX_BYTES)
		return err_set(err, E2BIG, "extended attribute '%s': name of %zu bytes",
			       esc(xattr->name), length);
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool percent_decode(char *text)
{
	char *out = text;
	for (const char *in = text; *in; in++) {
		if (*in != '%') {
			*out++ = *in;
			continue;
		}
		int high = hex(in[1]);
		int low = high < 0 ? -1 : hex(in[2]);
		if (low < 0 || high * 16 + low == 0)
			return false;
		*out++ = (char)(high * 16 + low);
		in += 2;
	}
	*out = '\0';
	return true;
}

static int sextet(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;
	return p ? (int)(p - digits) : -1;
}

static bool base64_decode(char *text, size_t size, size_t *decoded)
{
	for (int i = 0; i < 2 && size > 0 && text[size - 1] == '='; i++)
		size--;
	size_t out = 0;
	uint32_t bits = 0;
	for (size_t i = 0; i < size; i++) {
		int value = sextet(text[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 > 0)
			text[out++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	*decoded = out;
	return size % 4 != 1;
}

bool tar_xattr_decode(struct tar_xattr *out, char *name, char *value, size_t size)
{
	if (!percent_decode(name) || !base64_decode(value, size, &size))
		return false;
	*out = (struct tar_xattr){ name, (const uint8_t *)value, size };
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct tar_xattr *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order != 0 ? order : (x->name > y->name) - (x->name < y->name);
}

size_t tar_xattr_unique(struct tar_xattr *xattrs, size_t count)
{
	size_t kept = 0;
	if (count > 1)
		qsort(xattrs, count, sizeof(*xattrs), by_name);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || strcmp(xattrs[i].name, xattrs[i + 1].name) != 0)
			xattrs[kept++] = xattrs[i];
	return kept;
}
