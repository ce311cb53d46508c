/*
 * Reading archives for tests: what they hold as text, the same for every way of cutting the stream.
 * Include behind <cmocka.h>.
 */
#pragma once

#include <errno.h>
#include <stdio.h>

#include "codec/tar.h"
#include "tests/unit/pieces.h"
#include "tests/unit/tar-build.h"

#define ARCHIVE(name) auto_str name = STR_MAX(TAR_BUILD_MAX_BYTES)

/* What an archive holds, as text: a line an entry, or the code it was refused with. */
struct reading {
	int r;
	size_t count;
	bool trailing;
};

static inline void add_contents(struct str *out, struct tar *tar, const struct tar_entry *e,
				const char *archive, int *r)
{
	uint64_t given = 0, end = 0;
	for (;;) {
		const void *data = NULL;
		size_t size = 0;
		uint64_t offset = 0;
		*r = tar_data(tar, &data, &size, &offset, NULL);
		if (*r < 0 || size == 0)
			break;
		/* offsets in the stream are exact, those in the file rise and stay inside */
		assert_memory_equal(data, archive + e->data_offset + given, size);
		assert_true(offset >= end && offset + size <= e->size);
		if (offset > end || (given == 0 && offset > 0))
			str_addf(out, "[%llu]", (unsigned long long)offset);
		str_addn(out, data, size);
		end = offset + size;
		given += size;
	}
	assert_true(*r < 0 || given == e->stored);
}

static inline struct reading read_pieces(struct str *out, const struct str *archive,
					 size_t piece_bytes, bool can_skip)
{
	static const char types[] = "fhlcbdp";
	AUTO(stream)
	s = can_skip ? stream_of_pieces(archive->data, archive->length, piece_bytes)
		     : stream_of_pieces_only(archive->data, archive->length, piece_bytes);
	AUTO(tar) tar = tar_new(s);
	struct reading reading = { 0 };
	const struct tar_entry *e = NULL;
	struct err err = { 0 };
	while ((reading.r = tar_next(tar, &e, &err)) > 0) {
		reading.count++;
		str_addf(out, "%c %s", types[e->type], e->path);
		if (e->link[0])
			str_addf(out, " -> %s", e->link);
		str_addf(out, " %o %u:%u %lld", e->mode, e->uid, e->gid, (long long)e->mtime_s);
		if (e->mtime_ns)
			str_addf(out, ".%09u", e->mtime_ns);
		if (e->type == TAR_CHAR || e->type == TAR_BLOCK)
			str_addf(out, " %u,%u", e->dev_major, e->dev_minor);
		for (size_t i = 0; i < e->xattr_count; i++) {
			str_addf(out, " %s=", e->xattrs[i].name);
			str_addn(out, e->xattrs[i].value, e->xattrs[i].size);
		}
		str_addf(out, " %llu", (unsigned long long)e->size);
		if (e->stored > 0)
			str_addc(out, ' ');
		if (reading.count % 3 > 0 || !can_skip)
			add_contents(out, tar, e, archive->data, &reading.r);
		if (reading.r < 0)
			break;
		str_addc(out, '\n');
	}
	if (reading.r < 0)
		str_addf(out, "(%s)", err_text(&err));
	reading.trailing = tar_has_trailing_data(tar);
	return reading;
}

/* The archive, in pieces of several sizes, gives exactly this. */
static inline void expect(const struct str *archive, const char *wanted)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 100, 511, 512, 513, 4096 };
	assert_false(archive->failed);
	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		auto_str got = STR_MAX(TAR_BUILD_MAX_BYTES);
		struct reading reading = read_pieces(&got, archive, pieces[i], false);
		assert_string_equal(str_text(&got), wanted);
		assert_int_equal(reading.r, 0);
		str_reset(&got);
		assert_int_equal(read_pieces(&got, archive, pieces[i], true).count, reading.count);
	}
}

static inline void expect_error(const struct str *archive, int code)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 500 };
	assert_false(archive->failed);
	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		auto_str got = STR_MAX(TAR_BUILD_MAX_BYTES);
		assert_int_equal(read_pieces(&got, archive, pieces[i], i % 2).r, -code);
	}
}
