/* The one escaping printer.  Unicode: UAX 9 (bidi controls), UAX 15 has nothing to hide here. */
#include "base/esc.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

bool esc_hides(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe0fff);
}

void esc_add(struct str *out, const void *data, size_t length)
{
	const unsigned char *p = data;
	while (length > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(p, length, &c);
		if (n == 0 || (n == 1 && esc_hides(c)))
			str_addf(out, "\\x%02x", p[0]);
		else if (esc_hides(c))
			str_addf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
		else if (c == '\\')
			str_add(out, "\\\\");
		else
			str_addn(out, p, n);
		n = n ? n : 1;
		p += n;
		length -= n;
	}
}

struct esc_text esc_make_n(const void *data, size_t length)
{
	struct esc_text out = { "" };
	auto_str s = STR_MAX(8 * ESC_SHOWN_MAX_BYTES);
	esc_add(&s, data, length < ESC_SHOWN_MAX_BYTES ? length : ESC_SHOWN_MAX_BYTES);
	(void)snprintf(out.text, sizeof(out.text), "%s", str_text(&s));
	if (s.length >= sizeof(out.text))
		memcpy(out.text + utf8_cut(out.text, sizeof(out.text) - 4), "...", 4);
	return out;
}

struct esc_text esc_make(const char *text)
{
	return text ? esc_make_n(text, strlen(text)) : (struct esc_text){ "(none)" };
}
