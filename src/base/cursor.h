/* Reading untrusted bytes: never passes the end, remembers failure in "bad". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at; /* borrowed */
	size_t left;
	bool bad;
};

static inline struct cursor cursor_of(const void *data, size_t size)
{
	return (struct cursor){ data, size, false };
}

/* Borrow the next SIZE bytes, or NULL (and bad) when there are fewer. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t size)
{
	if (c->bad || c->left < size) {
		c->bad = true;
		return NULL;
	}
	const uint8_t *p = c->at;
	c->at = size ? p + size : p; /* p may be NULL when there is nothing */
	c->left -= size;
	return p;
}

static inline uint64_t cursor_le(struct cursor *c, size_t bytes)
{
	const uint8_t *p = cursor_take(c, bytes);
	uint64_t value = 0;
	for (size_t i = bytes; p && i > 0; i--)
		value = value << 8 | p[i - 1];
	return value;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)cursor_le(c, 1);
}

static inline uint16_t cursor_le16(struct cursor *c)
{
	return (uint16_t)cursor_le(c, 2);
}

static inline uint32_t cursor_le32(struct cursor *c)
{
	return (uint32_t)cursor_le(c, 4);
}

static inline uint64_t cursor_le64(struct cursor *c)
{
	return cursor_le(c, 8);
}
