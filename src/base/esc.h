/*
 * Everything that is not ours goes through here before it reaches an error, a log or a terminal:
 * C0/C1 controls, DEL, invalid UTF-8, bidirectional and zero-width characters become \xNN or
 * \uNNNN.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define ESC_SHOWN_MAX_BYTES 512

/* Is C one of the characters that are never shown as they are? */
bool esc_hides(uint32_t c);

/* Append the escaped form of LENGTH bytes. */
void esc_add(struct str *out, const void *data, size_t length);

/* A small escaped copy that lives as long as the expression: err_set(err, ..., esc(name).text). */
struct esc_text {
	char text[ESC_SHOWN_MAX_BYTES];
};
struct esc_text esc_make(const char *text);
struct esc_text esc_make_n(const void *data, size_t length);
#define esc(name) (esc_make(name).text)
#define esc_n(data, length) (esc_make_n(data, length).text)
