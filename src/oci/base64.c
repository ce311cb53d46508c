/* Base64, both ways.  Small inputs only (credentials), so it is written to be read. */
#include "oci/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "oci/secret.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t size)
{
	const uint8_t *p = data;
	char *out = mem_new((size + 2) / 3 * 4 + 1);
	char *to = out;
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)p[i] << 16;
		bits |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		bits |= left > 2 ? p[i + 2] : 0;
		*to++ = alphabet[bits >> 18 & 63];
		*to++ = alphabet[bits >> 12 & 63];
		*to++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		*to++ = left > 2 ? alphabet[bits & 63] : '=';
	}
	return out;
}

/* Characters before the padding; a length that no bytes have is refused by the caller. */
static size_t unpadded_length(const char *text)
{
	size_t length = strlen(text);
	for (int i = 0; i < 2 && length > 0 && text[length - 1] == '='; i++)
		length--;
	return length;
}

int base64_decode(char **out, size_t *size, const char *text, struct err *err)
{
	size_t length = unpadded_length(text);
	if (length % 4 == 1)
		return err_set(err, EBADMSG, "no base64");
	auto_secret *bytes = mem_new(length / 4 * 3 + 3);
	uint32_t bits = 0;
	size_t used = 0;
	for (size_t i = 0; i < length; i++) {
		const char *at = strchr(alphabet, text[i]);
		if (!at)
			return err_set(err, EBADMSG, "no base64");
		bits = bits << 6 | (uint32_t)(at - alphabet);
		if (i % 4 != 0)
			bytes[used++] = (char)(bits >> (6 - 2 * (i % 4)) & 255);
	}
	*size = used;
	*out = TAKE(bytes);
	return 0;
}
