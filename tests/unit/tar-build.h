/* Making tar archives for tests, good and bad ones: every field of a header can be anything. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define TAR_BUILD_MAX_BYTES ((size_t)64 << 20)
/* A header's fields; NULL and 0 become what a plain file has.  Numbers are text as in the field. */
struct raw {
	const char *name, *link, *prefix;
	char type; /* 0 becomes '0' */
	bool nul_type;
	const char *mode, *uid, *gid, *size, *mtime, *dev_major, *dev_minor;
	const char *magic; /* 8 bytes; NULL: ustar */
	const void *tail;  /* 512-345 bytes over everything behind the device numbers */
	size_t data_size;  /* goes to the size field when that is NULL */
	int checksum_off;  /* added to the right checksum */
	bool signed_checksum;
};

static inline void raw_put(char *block, size_t at, size_t room, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	memcpy(block + at, text ? text : "", n < room ? n : room);
}

static inline void raw_block(char *block, const struct raw *h)
{
	char size[24];
	snprintf(size, sizeof(size), "%011zo", h->data_size);
	memset(block, 0, 512);
	raw_put(block, 0, 100, h->name ? h->name : "f");
	raw_put(block, 100, 8, h->mode ? h->mode : "0000644");
	raw_put(block, 108, 8, h->uid ? h->uid : "0000000");
	raw_put(block, 116, 8, h->gid ? h->gid : "0000000");
	raw_put(block, 124, 12, h->size ? h->size : size);
	raw_put(block, 136, 12, h->mtime ? h->mtime : "00000000000");
	block[156] = h->nul_type ? '\0' : h->type ? h->type : '0';
	raw_put(block, 157, 100, h->link);
	memcpy(block + 257, h->magic ? h->magic : "ustar\00000", 8);
	raw_put(block, 329, 8, h->dev_major);
	raw_put(block, 337, 8, h->dev_minor);
	raw_put(block, 345, 155, h->prefix);
	if (h->tail)
		memcpy(block + 345, h->tail, 512 - 345);
	memset(block + 148, ' ', 8);
	int sum = h->checksum_off;
	for (int i = 0; i < 512; i++)
		sum += h->signed_checksum ? (signed char)block[i] : (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", (unsigned)sum & 0777777);
}

static inline void add_zeros(struct str *out, size_t size)
{
	auto_free void *zeros = mem_new(size);
	str_addn(out, zeros, size);
}

static inline void add_data(struct str *out, const void *data, size_t size)
{
	str_addn(out, data, size);
	add_zeros(out, -size % 512);
}

static inline void add_raw(struct str *out, const struct raw *h)
{
	char block[512];
	raw_block(block, h);
	str_addn(out, block, sizeof(block));
}

static inline void add_file(struct str *out, const char *name, const char *data)
{
	add_raw(out, &(const struct raw){ .name = name, .data_size = strlen(data) });
	add_data(out, data, strlen(data));
}

/* An extension header: 'x', 'g', 'L' or 'K'. */
static inline void add_extension(struct str *out, char type, const void *data, size_t size)
{
	add_raw(out, &(const struct raw){ .name = "ext", .type = type, .data_size = size });
	add_data(out, data, size);
}

/* "LENGTH KEY=VALUE\n" */
static inline void add_record(struct str *out, const char *key, const void *value, size_t size)
{
	size_t length = strlen(key) + size + 3, digits = 1;
	for (size_t n = 10; n <= length + digits; n *= 10)
		digits++;
	str_addf(out, "%zu %s=", length + digits, key);
	str_addn(out, value, size);
	str_addc(out, '\n');
}

/* One x header of one record. */
static inline void add_pax(struct str *out, const char *key, const char *value)
{
	auto_str records = STR_MAX(TAR_BUILD_MAX_BYTES);
	add_record(&records, key, value, strlen(value));
	add_extension(out, 'x', str_text(&records), records.length);
}

static inline void add_end(struct str *out)
{
	add_zeros(out, 1024);
}
