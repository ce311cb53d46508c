/* UTF-8, RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffdu

/* Decode one character of 1..4 bytes into *out; 0 when the bytes are not a valid one. */
size_t utf8_decode(const void *data, size_t left, uint32_t *out);

/* The last place <= AT in TEXT where it can be cut without breaking a character. */
size_t utf8_cut(const char *text, size_t at);

/* Encode C (<= 0x10ffff); returns the bytes stored, 1..4. */
size_t utf8_encode(char out[4], uint32_t c);
