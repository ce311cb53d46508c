/* UTF-8 decoding and encoding, one character at a time, for the escaping printer and JSON. */
#include "base/utf8.h"

size_t utf8_decode(const void *data, size_t left, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = data;
	if (left == 0)
		return 0;
	size_t n = p[0] < 0x80	       ? 1
		   : (p[0] >> 5) == 6  ? 2
		   : (p[0] >> 4) == 14 ? 3
		   : (p[0] >> 3) == 30 ? 4
				       : 0;
	if (n == 0 || n > left)
		return 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n;
}

size_t utf8_cut(const char *text, size_t at)
{
	size_t from = at;
	while (from > 0 && at - from < 3 && ((unsigned char)text[from] & 0xc0) == 0x80)
		from--;
	return ((unsigned char)text[from] & 0xc0) == 0x80 ? at : from;
}

size_t utf8_encode(char out[4], uint32_t c)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	out[0] = (char)(lead[n] | c);
	return n;
}
