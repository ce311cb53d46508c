/* Making gzip and zstd data for tests: members with any header, cut, joined and damaged. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

struct bytes {
	uint8_t *data; /* owned */
	size_t size, capacity;
};

static inline void bytes_release(struct bytes *b)
{
	free(b->data);
}
#define auto_bytes __attribute__((cleanup(bytes_release))) struct bytes

static inline void bytes_add(struct bytes *b, const void *data, size_t size)
{
	if (!b->data || b->size + size > b->capacity) {
		b->capacity = 2 * (b->size + size) + 1;
		b->data = realloc(b->data, b->capacity);
	}
	if (!b->data)
		abort();
	if (size > 0)
		memcpy(b->data + b->size, data, size);
	b->size += size;
}

static inline void bytes_add_zeros(struct bytes *b, size_t size)
{
	auto_free void *zeros = mem_new(size);
	bytes_add(b, zeros, size);
}

static inline void bytes_add_le32(struct bytes *b, uint32_t value)
{
	for (int i = 0; i < 4; i++, value >>= 8)
		bytes_add(b, (uint8_t[]){ (uint8_t)value }, 1);
}

/* Words with repetitions near and far, and every byte value: compresses about five to one. */
static inline struct bytes bytes_text(size_t size, uint32_t seed)
{
	struct bytes b = { mem_new(size + 1), size, size + 1 };
	for (size_t i = 0; i < size;) {
		seed = seed * 1664525 + 1013904223;
		size_t length = 1 + (seed >> 28), back = 1 + (seed >> 8) % 33000;
		for (size_t k = 0; k < length && i < size; k++, i++)
			b.data[i] = (uint8_t)((seed & 0x3000) && back <= i ? b.data[i - back]
									   : seed >> (k % 4 * 8));
	}
	return b;
}

struct member {
	int level, strategy;
	int flush; /* Z_SYNC_FLUSH or Z_FULL_FLUSH after each chunk_bytes */
	size_t chunk_bytes;
	uint8_t flags;	    /* FTEXT 1, FHCRC 2, FEXTRA 4, FNAME 8, FCOMMENT 16 */
	size_t field_bytes; /* of each field that flags name */
	bool bad_header_crc;
};

static inline void add_field(struct bytes *b, uint8_t flags, size_t size)
{
	auto_free uint8_t *text = mem_new(size + 1);
	memset(text, 'n', size);
	if (flags & 4) {
		bytes_add(b, (uint8_t[]){ (uint8_t)size, (uint8_t)(size >> 8) }, 2);
		bytes_add(b, text, size & 0xffff);
	}
	if (flags & 8)
		bytes_add(b, text, size + 1);
	if (flags & 16)
		bytes_add(b, text, size + 1);
}

static inline void add_deflate(struct bytes *b, const struct bytes *plain, const struct member *m)
{
	z_stream z = { 0 };
	if (deflateInit2(&z, m->level, Z_DEFLATED, -15, 8, m->strategy) != Z_OK)
		abort();
	size_t bound = deflateBound(&z, plain->size) + 64 + plain->size / 8;
	auto_free uint8_t *out = mem_new(bound);
	z.next_in = plain->data;
	z.next_out = out;
	z.avail_out = (uInt)bound;
	size_t chunk = m->chunk_bytes ? m->chunk_bytes : plain->size;
	for (size_t at = 0; at < plain->size; at += chunk) {
		z.avail_in = (uInt)(plain->size - at < chunk ? plain->size - at : chunk);
		if (deflate(&z, m->flush) != Z_OK && z.avail_in > 0)
			abort();
	}
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	bytes_add(b, out, bound - z.avail_out);
	deflateEnd(&z);
}

static inline void add_member(struct bytes *b, const struct bytes *plain, const struct member *m)
{
	size_t start = b->size;
	bytes_add(b, (uint8_t[]){ 0x1f, 0x8b, 8, m->flags, 1, 2, 3, 4, 0, 3 }, 10);
	add_field(b, m->flags, m->field_bytes);
	uint32_t crc = (uint32_t)crc32(0, b->data + start, (uInt)(b->size - start));
	if (m->bad_header_crc)
		crc++;
	if (m->flags & 2)
		bytes_add(b, (uint8_t[]){ (uint8_t)crc, (uint8_t)(crc >> 8) }, 2);
	add_deflate(b, plain, m);
	bytes_add_le32(b, (uint32_t)crc32(0, plain->data, (uInt)plain->size));
	bytes_add_le32(b, (uint32_t)plain->size);
}

static inline void add_frame(struct bytes *b, const struct bytes *plain, int level, int checksum)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(plain->size);
	auto_free uint8_t *out = mem_new(bound);
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
	size_t n = ZSTD_compress2(context, out, bound, plain->data, plain->size);
	if (ZSTD_isError(n))
		abort();
	bytes_add(b, out, n);
	ZSTD_freeCCtx(context);
}

static inline void add_skippable(struct bytes *b, uint32_t size)
{
	bytes_add_le32(b, 0x184d2a53);
	bytes_add_le32(b, size);
	bytes_add_zeros(b, size);
}
