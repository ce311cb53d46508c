/*
 * Making eStargz and zstd:chunked layers for tests, member by member; and the oracle: what a full
 * unpack of a layer shows, compared with what a table says of it.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/digest.h"
#include "codec/decoder.h"
#include "layer/find-keys.h"
#include "layer/find.h"
#include "tests/unit/gzip-build.h"
#include "tests/unit/tar-build.h"

#define BUILD_MAX_BYTES ((size_t)64 << 20)

struct build {
	bool zstd;
	struct bytes blob;
	struct str json;      /* its entries */
	const char *json_all; /* borrowed: instead of what json has */
	const char *toc_name; /* borrowed; NULL: stargz.index.json */
	bool toc_extra;	      /* another entry behind it */
	char toc_digest[DIGEST_TEXT_MAX], checksum[DIGEST_TEXT_MAX], position[100];
	uint64_t toc_offset;
};
#define BUILD(is_zstd)                                               \
	{                                                            \
		.zstd = (is_zstd), .json = STR_MAX(BUILD_MAX_BYTES), \
	}
#define auto_build __attribute__((cleanup(build_release))) struct build

static inline void build_release(struct build *b)
{
	bytes_release(&b->blob);
	str_release(&b->json);
}

/* A gzip member or a zstd frame; where it begins. */
static inline uint64_t build_member(struct build *b, const void *data, size_t size)
{
	uint64_t at = b->blob.size;
	auto_bytes plain = { 0 };
	bytes_add(&plain, data, size);
	if (b->zstd)
		add_frame(&b->blob, &plain, 3, 0);
	else
		add_member(&b->blob, &plain, &(struct member){ .level = 6, .flush = Z_NO_FLUSH });
	return at;
}

static inline void build_header(struct build *b, const struct raw *raw)
{
	char block[512];
	raw_block(block, raw);
	(void)build_member(b, block, sizeof(block));
}

static inline void build_comma(struct build *b)
{
	str_add(&b->json, b->json.length > 0 ? "," : "");
}

static inline void build_digest(struct build *b, const char *key, const void *data, size_t size)
{
	struct digest d;
	digest_of(&d, DIGEST_SHA256, data, size);
	str_addf(&b->json, ",\"%s\":\"%s\"", key, digest_show(&d));
}

static inline void build_dir(struct build *b, const char *name)
{
	build_header(b, &(const struct raw){ .name = name, .type = '5', .mode = "0000755" });
	build_comma(b);
	str_addf(&b->json, "{\"name\":\"%s\",\"type\":\"dir\",\"mode\":493}", name);
}

static inline void build_link(struct build *b, const char *name, char type, const char *target)
{
	build_header(b, &(const struct raw){ .name = name, .type = type, .link = target });
	build_comma(b);
	str_addf(&b->json, "{\"name\":\"%s\",\"type\":\"%s\",\"mode\":420,\"linkName\":\"%s\"}",
		 name, type == '1' ? "hardlink" : "symlink", target);
}

/* A file in chunks of CHUNK bytes, as the writers write it. */
static inline void build_file(struct build *b, const char *name, const uint8_t *data, size_t size,
			      size_t chunk)
{
	build_header(b, &(const struct raw){ .name = name, .data_size = size });
	for (size_t at = 0; at < size || size == 0; at += chunk) {
		size_t n = size - at < chunk ? size - at : chunk;
		uint64_t offset = size ? build_member(b, data + at, n) : 0;
		build_comma(b);
		str_addf(&b->json, "{\"name\":\"%s\",\"type\":\"%s\"", name, at ? "chunk" : "reg");
		if (at == 0)
			str_addf(&b->json, ",\"mode\":420,\"size\":%zu", size);
		str_addf(&b->json, ",\"offset\":%llu", (unsigned long long)offset);
		if (size == 0)
			str_add(&b->json, "}");
		if (size == 0)
			return;
		if (n < size)
			str_addf(&b->json, ",\"chunkOffset\":%zu,\"chunkSize\":%zu", at, n);
		build_digest(b, n < size ? "chunkDigest" : "digest", data + at, n);
		if (b->zstd && n == size)
			str_addf(&b->json, ",\"endOffset\":%zu", b->blob.size);
		str_add(&b->json, "}");
	}
	auto_free uint8_t *padding = mem_new(512);
	if (size % 512)
		(void)build_member(b, padding, -size % 512);
}

static inline void build_text(struct build *b, const char *name, const char *text)
{
	build_file(b, name, (const uint8_t *)text, strlen(text), SIZE_MAX / 2);
}

static inline char *build_json(const struct build *b)
{
	struct str all = STR_MAX(BUILD_MAX_BYTES);
	if (b->json_all)
		return mem_strdup(b->json_all);
	str_add(&all, "{\n\t\"version\": 1,\n\t\"entries\": [");
	str_addn(&all, b->json.data, b->json.length);
	str_add(&all, "]\n}");
	return str_take(&all);
}

static inline void build_hash(char text[DIGEST_TEXT_MAX], const void *data, size_t size)
{
	struct digest d;
	digest_of(&d, DIGEST_SHA256, data, size);
	struct digest_text shown = digest_format(&d);
	memcpy(text, shown.text, DIGEST_TEXT_MAX);
}

static inline void build_estargz_footer(struct build *b, uint64_t offset)
{
	char extra[64];
	static const uint8_t head[] = { 0x1f, 0x8b, 8,	4, 0,	0,   0,	 0,
					0,    0xff, 26, 0, 'S', 'G', 22, 0 };
	static const uint8_t end[] = { 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0 };
	(void)snprintf(extra, sizeof(extra), "%016llxSTARGZ", (unsigned long long)offset);
	bytes_add(&b->blob, head, sizeof(head));
	bytes_add(&b->blob, extra, strlen(extra));
	bytes_add(&b->blob, end, sizeof(end));
}

static inline void build_end_estargz(struct build *b)
{
	auto_free char *json = build_json(b);
	auto_str tar = STR_MAX(BUILD_MAX_BYTES);
	build_hash(b->toc_digest, json, strlen(json));
	const char *name = b->toc_name ? b->toc_name : "stargz.index.json";
	add_raw(&tar,
		&(const struct raw){ .name = name, .mode = "0000000", .data_size = strlen(json) });
	add_data(&tar, json, strlen(json));
	if (b->toc_extra)
		add_file(&tar, "extra", "text");
	add_end(&tar);
	b->toc_offset = build_member(b, tar.data, tar.length);
	build_estargz_footer(b, b->toc_offset);
}

static inline void build_le64(struct bytes *b, uint64_t value)
{
	bytes_add_le32(b, (uint32_t)value);
	bytes_add_le32(b, (uint32_t)(value >> 32));
}

/* The footer of dialect A, or the older and shorter one. */
static inline void build_zstd_footer(struct build *b, const uint64_t numbers[4], bool old)
{
	bytes_add_le32(&b->blob, 0x184d2a50);
	bytes_add_le32(&b->blob, old ? 40 : 64);
	for (int i = 0; i < 4; i++)
		build_le64(&b->blob, numbers[i]);
	if (!old)
		bytes_add_zeros(&b->blob, 24);
	bytes_add(&b->blob, old ? "GnUlInUx" : "GNUlInUx", 8);
}

static inline void build_end_zstd(struct build *b, bool old)
{
	auto_free char *json = build_json(b);
	auto_bytes frame = { 0 }, zeros = { 0 }, plain = { 0 };
	bytes_add_zeros(&zeros, 1024);
	add_frame(&b->blob, &zeros, 3, 0);
	build_hash(b->toc_digest, json, strlen(json));
	bytes_add(&plain, json, strlen(json));
	add_frame(&frame, &plain, 3, 0);
	build_hash(b->checksum, frame.data, frame.size);
	bytes_add_le32(&b->blob, 0x184d2a50);
	bytes_add_le32(&b->blob, (uint32_t)frame.size);
	const uint64_t numbers[] = { b->blob.size, frame.size, strlen(json), 1 };
	b->toc_offset = b->blob.size;
	(void)snprintf(b->position, sizeof(b->position), "%zu:%zu:%zu:1", b->blob.size, frame.size,
		       strlen(json));
	bytes_add(&b->blob, frame.data, frame.size);
	build_zstd_footer(b, numbers, old);
}

/* ---- annotations */

struct notes {
	const char *toc_digest, *checksum, *position, *old_checksum, *old_position;
};

static inline const char *note(void *arg, const char *key)
{
	const struct notes *n = arg;
	if (strcmp(key, FIND_TOC_DIGEST) == 0)
		return n->toc_digest;
	if (strcmp(key, FIND_ZSTD_CHECKSUM) == 0)
		return n->checksum;
	if (strcmp(key, FIND_ZSTD_POSITION) == 0)
		return n->position;
	if (strcmp(key, FIND_OLD_ZSTD_CHECKSUM) == 0)
		return n->old_checksum;
	return strcmp(key, FIND_OLD_ZSTD_POSITION) == 0 ? n->old_position : NULL;
}

/* ---- the oracle */

/* Decoded bytes of one span, by the plain decoders; false when its digest is wrong. */
static inline bool span_bytes(const struct table *t, uint32_t i, const struct bytes *blob,
			      uint8_t *out)
{
	const struct table_span *s = table_span(t, i);
	size_t size = (size_t)s->skip + s->stream_size;
	assert_true(s->blob_offset + s->blob_size <= blob->size);
	auto_free uint8_t *all = mem_new(size + 1);
	AUTO(decoder) d = NULL;
	enum codec codec = s->start == SPAN_GZIP   ? CODEC_GZIP
			   : s->start == SPAN_ZSTD ? CODEC_ZSTD
						   : CODEC_NONE;
	assert_int_equal(decoder_new(&d, codec, NULL), 0);
	struct decoder_io io = { blob->data + s->blob_offset, (size_t)s->blob_size, all, size };
	if (decoder_run(d, &io, false, NULL) < 0 || io.out_size > 0)
		return false;
	memcpy(out, all + s->skip, s->stream_size);
	struct digest found;
	digest_of(&found, DIGEST_SHA256, out, s->stream_size);
	return !s->has_digest || memcmp(found.bytes, s->digest, sizeof(s->digest)) == 0;
}

/* A file's bytes by the table; false when a span is wrong. */
static inline bool content_bytes(const struct table *t, uint32_t content, const struct bytes *blob,
				 uint8_t *out)
{
	uint32_t count = 0;
	const struct table_extent *e = table_extents(t, content, &count);
	for (uint32_t i = 0; i < count; i++) {
		for (uint64_t done = 0; done < e[i].size;) {
			uint64_t at = e[i].stream_offset + done;
			uint32_t number = table_find_span(t, at);
			const struct table_span *s = table_span(t, number);
			uint64_t from = at - s->stream_offset, n = s->stream_size - from;
			n = n < e[i].size - done ? n : e[i].size - done;
			auto_free uint8_t *span = mem_new(s->stream_size);
			if (!span_bytes(t, number, blob, span))
				return false;
			memcpy(out + e[i].file_offset + done, span + from, n);
			done += n;
		}
	}
	return true;
}

static inline void same_entry(struct toc *got, struct toc *want, uint32_t i)
{
	const struct toc_entry *g = toc_at(got, i), *w = toc_at(want, i);
	struct toc_xattr gx[8], wx[8];
	assert_string_equal(toc_string(got, g->path), toc_string(want, w->path));
	assert_string_equal(toc_string(got, g->link), toc_string(want, w->link));
	assert_int_equal(g->kind, w->kind);
	assert_int_equal(g->size, w->size);
	assert_int_equal(g->mode, w->mode);
	assert_int_equal(g->uid, w->uid);
	assert_int_equal(g->gid, w->gid);
	assert_int_equal(g->dev_major, w->dev_major);
	assert_int_equal(g->dev_minor, w->dev_minor);
	size_t count = toc_xattrs(got, g, gx, 8);
	assert_int_equal(count, toc_xattrs(want, w, wx, 8));
	for (size_t k = 0; k < count; k++) {
		assert_string_equal(gx[k].name, wx[k].name);
		assert_int_equal(gx[k].size, wx[k].size);
		assert_memory_equal(gx[k].value, wx[k].value, wx[k].size);
	}
}

/* The file that TAR is at has the bytes the table says. */
static inline void same_bytes(const struct table *t, const struct toc_entry *e, struct tar *tar,
			      const struct bytes *blob)
{
	auto_free uint8_t *want = mem_new((size_t)e->size + 1), *got = mem_new((size_t)e->size + 1);
	const void *data = NULL;
	size_t n = 0;
	uint64_t offset = 0;
	while (tar_data(tar, &data, &n, &offset, NULL) == 0 && n > 0)
		memcpy(want + offset, data, n);
	if (e->content == TOC_NO_CONTENT) {
		assert_int_equal(e->size, 0);
		return;
	}
	assert_true(content_bytes(t, e->content, blob, got));
	assert_memory_equal(got, want, (size_t)e->size);
}

/*
 * The table says of the layer what a full unpack would show; mtimes too, but for one file whose
 * mtime is no whole second and is NS in the table (NULL: none).
 */
static inline void same_as_unpacked(const void *file, size_t size, const struct bytes *blob,
				    const char *rounded)
{
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	AUTO(toc) want = toc_new();
	AUTO(stream) plain = decoder_stream(stream_of_memory(blob->data, blob->size), 65536);
	AUTO(tar) tar = tar_new(plain);
	const struct tar_entry *entry = NULL;
	uint32_t index = 0, seen = 0;
	int r;
	while ((r = tar_next(tar, &entry, NULL)) > 0) {
		assert_int_equal(toc_add(want, entry, &index, NULL), 0);
		assert_true(seen < toc_count(table_toc(t)));
		same_entry(table_toc(t), want, seen);
		const struct toc_entry *e = toc_at(table_toc(t), seen), *w = toc_at(want, seen);
		if (!str_equal(toc_string(want, w->path), rounded)) {
			assert_int_equal(e->mtime_s, w->mtime_s);
			assert_int_equal(e->mtime_ns, w->mtime_ns);
		}
		same_bytes(t, e, tar, blob);
		seen++;
	}
	assert_int_equal(r, 0);
	assert_int_equal(seen, toc_count(table_toc(t)));
}
