/* A table is found again as it was made, and nothing that is not one is opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "layer/table-file.h"

#define SPAN 1000u

static const uint8_t window_bytes[] = "a packed window";

static uint32_t add(struct table_builder *b, enum tar_type type, const char *path, const char *link,
		    uint64_t size)
{
	uint32_t index;
	const struct tar_xattr xattr[] = { { "user.a", (const uint8_t *)"1", 1 },
					   { "user.b", (const uint8_t *)"", 0 },
					   { "trusted.c", (const uint8_t *)"2", 1 } };
	const struct tar_entry entry = { .type = type,
					 .path = path,
					 .link = link,
					 .size = size,
					 .mode = 0644,
					 .mtime_s = -5,
					 .mtime_ns = 7,
					 .uid = 1,
					 .gid = 2,
					 .xattrs = xattr,
					 .xattr_count = type == TAR_FILE ? 3 : 0 };
	assert_int_equal(toc_add(table_builder_toc(b), &entry, &index, NULL), 0);
	return index;
}

static void give(struct table_builder *b, uint32_t entry, const struct table_extent *extents,
		 size_t count)
{
	struct toc_entry *e = toc_at(table_builder_toc(b), entry);
	uint32_t content;
	assert_int_equal(table_builder_content(b, extents, count, &content, NULL), 0);
	e->content = content;
}

/* Three spans in a row, the first two a group; a gap; one more. */
static void add_spans(struct table_builder *b)
{
	struct table_span s = { .blob_offset = 10,
				.blob_size = 500,
				.stream_size = SPAN,
				.start = SPAN_DEFLATE,
				.bits = 3,
				.has_digest = 1 };
	memset(s.padding, 1, sizeof(s.padding));
	memset(s.digest, 0x5a, sizeof(s.digest));
	assert_int_equal(table_builder_span(b, &s, window_bytes, sizeof(window_bytes), NULL), 0);
	s.stream_offset = s.skip = SPAN;
	assert_int_equal(table_builder_span(b, &s, window_bytes, sizeof(window_bytes), NULL), 0);
	s = (struct table_span){ .blob_offset = 300,
				 .blob_size = 100,
				 .stream_offset = 2 * SPAN,
				 .stream_size = SPAN,
				 .start = SPAN_GZIP };
	assert_int_equal(table_builder_span(b, &s, NULL, 0, NULL), 0);
	s.stream_offset = 4 * SPAN;
	s.blob_offset = 400;
	assert_int_equal(table_builder_span(b, &s, NULL, 0, NULL), 0);
}

static void make(void **file, size_t *size)
{
	AUTO(table_builder) b = table_builder_new(TABLE_SCAN);
	(void)add(b, TAR_DIRECTORY, "./", "", 0);
	const struct table_extent whole = { 0, 100, 2500 };
	give(b, add(b, TAR_FILE, "d/file", "", 2500), &whole, 1);
	const struct table_extent holes[] = { { 10, 0, 20 }, { 500, 4 * SPAN, SPAN } };
	give(b, add(b, TAR_FILE, "d/sparse", "", 2000), holes, 2);
	give(b, add(b, TAR_FILE, "d/hole", "", 1 << 20), NULL, 0);
	(void)add(b, TAR_FILE, "d/empty", "", 0);
	(void)add(b, TAR_SYMLINK, "l", "../x", 0);
	(void)add(b, TAR_HARDLINK, "h", "/d/file", 0);
	(void)add(b, TAR_FILE, "d/.wh.gone", "", 0);
	(void)add(b, TAR_FILE, ".wh..wh..opq", "", 0);
	add_spans(b);
	table_builder_prefetch(b, 2);
	struct err err;
	if (table_builder_finish(b, file, size, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_table_gives_back_what_was_put(void **state)
{
	(void)state;
	auto_free void *file = NULL;
	size_t size = 0;
	make(&file, &size);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	assert_int_equal(table_kind(t), TABLE_SCAN);
	assert_int_equal(table_span_count(t), 4);
	assert_int_equal(table_stream_size(t), 5 * SPAN);
	assert_int_equal(table_prefetch_spans(t), 2);
	assert_int_equal(table_span(t, 2)->blob_offset, 300);
	assert_int_equal(table_span(t, 1)->digest[31], 0x5a);
	for (uint32_t i = 0; i < 2; i++) { /* one window for the group */
		struct span_point p = table_point(t, i);
		assert_int_equal(p.start, SPAN_DEFLATE);
		assert_int_equal(p.bits, 3);
		assert_int_equal(p.window_size, sizeof(window_bytes));
		assert_memory_equal(p.window, window_bytes, sizeof(window_bytes));
		assert_int_equal(table_span(t, i)->window, 0);
	}
	assert_null(table_point(t, 3).window);
	uint32_t count;
	const struct table_extent *e = table_extents(t, 1, &count);
	assert_int_equal(count, 2);
	assert_int_equal(e[1].file_offset, 500);
	(void)table_extents(t, 2, &count);
	assert_int_equal(count, 0);
}

static void test_table_finds_spans(void **state)
{
	(void)state;
	static const struct {
		uint64_t offset;
		uint32_t span;
	} cases[] = { { 0, 0 },
		      { SPAN - 1, 0 },
		      { SPAN, 1 },
		      { 3 * SPAN - 1, 2 },
		      { 3 * SPAN, TABLE_NO_SPAN },
		      { 4 * SPAN - 1, TABLE_NO_SPAN },
		      { 4 * SPAN, 3 },
		      { 5 * SPAN, TABLE_NO_SPAN },
		      { UINT64_MAX, TABLE_NO_SPAN } };
	auto_free void *file = NULL;
	size_t size = 0;
	make(&file, &size);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(table_find_span(t, cases[i].offset), cases[i].span);
}

/* The toc of a table is read where nothing can be written. */
static void test_table_toc_reads_a_mapping(void **state)
{
	(void)state;
	auto_free void *file = NULL;
	size_t size = 0;
	make(&file, &size);
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	memcpy(map, file, size);
	assert_int_equal(mprotect(map, size, PROT_READ), 0);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, map, size, NULL), 0);
	struct toc *toc = table_toc(t);
	assert_int_equal(toc_count(toc), 9);
	assert_int_equal(toc_dropped_xattrs(toc), 4);
	static const struct {
		const char *path, *link;
		enum toc_kind kind;
	} want[] = { { "", "", TOC_DIRECTORY },	      { "d/file", "", TOC_FILE },
		     { "d/sparse", "", TOC_FILE },    { "d/hole", "", TOC_FILE },
		     { "d/empty", "", TOC_FILE },     { "l", "../x", TOC_SYMLINK },
		     { "h", "d/file", TOC_HARDLINK }, { "d/gone", "", TOC_WHITEOUT },
		     { "", "", TOC_OPAQUE } };
	for (uint32_t i = 0; i < N_ELEMENTS(want); i++) {
		const struct toc_entry *e = toc_at(toc, i);
		assert_string_equal(toc_string(toc, e->path), want[i].path);
		assert_string_equal(toc_string(toc, e->link), want[i].link);
		assert_int_equal(e->kind, want[i].kind);
		struct toc_xattr x[3];
		if (e->kind != TOC_FILE)
			continue;
		assert_int_equal(e->mtime_s, -5);
		assert_int_equal(toc_xattrs(toc, e, x, 3), 2);
		assert_string_equal(x[1].name, "user.b");
		assert_int_equal(x[0].value[0], '1');
	}
	table_free(TAKE(t));
	(void)munmap(map, size);
}

static void test_table_is_the_same_bytes_again(void **state)
{
	(void)state;
	auto_free void *a = NULL, *b = NULL;
	size_t a_size = 0, b_size = 0;
	make(&a, &a_size);
	make(&b, &b_size);
	assert_int_equal(a_size, b_size);
	assert_memory_equal(a, b, a_size);
}

static void test_an_empty_table_is_one(void **state)
{
	(void)state;
	AUTO(table_builder) b = table_builder_new(TABLE_TAR);
	table_builder_prefetch(b, TABLE_NO_SPAN);
	auto_free void *file = NULL;
	size_t size = 0;
	assert_int_equal(table_builder_finish(b, &file, &size, NULL), 0);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	assert_int_equal(table_stream_size(t), 0);
	assert_int_equal(table_find_span(t, 0), TABLE_NO_SPAN);
	assert_int_equal(table_prefetch_spans(t), TABLE_NO_SPAN);
}

/* The arrays of a copy, to be spoilt. */
struct copy {
	struct table_header *header;
	struct toc_entry *entries;
	struct table_span *spans;
	struct table_extent *extents;
	uint32_t *contents;
	struct toc_xattr_record *xattrs;
	char *strings;
};

static struct copy copy_of(uint8_t *data)
{
	uint64_t at[TABLE_SECTIONS + 1];
	assert_true(table_file_offsets((const void *)data, at));
	return (struct copy){ (void *)data,
			      (void *)(data + at[TABLE_ENTRIES]),
			      (void *)(data + at[TABLE_SPANS]),
			      (void *)(data + at[TABLE_EXTENTS]),
			      (void *)(data + at[TABLE_CONTENTS]),
			      (void *)(data + at[TABLE_XATTRS]),
			      (char *)data + at[TABLE_STRINGS] };
}

/* Each spoils one thing; entry numbers as in make(). */
static void spoil(struct copy *c, int which)
{
	switch (which) {
#define CASE(code)                \
	case __COUNTER__ - FIRST: \
		code;             \
		break
		enum { FIRST = __COUNTER__ + 1 };
		CASE(c->header->magic[0] = 'R');
		CASE(c->header->format++);
		CASE(c->header->kind = TABLE_TAR + 1);
		CASE(c->header->spare = 1);
		CASE(c->header->prefetch_spans = 5);
		CASE(c->header->counts[TABLE_STRINGS] = 0);
		CASE(c->header->counts[TABLE_ENTRIES] = UINT64_MAX / sizeof(struct toc_entry));
		CASE(c->header->counts[TABLE_CONTENTS] = 0);
		CASE(c->header->counts[TABLE_WINDOWS] += 1000);
		CASE(c->entries[1].path = 1u << 20);
		CASE(c->entries[5].link = UINT32_MAX);
		CASE(c->entries[1].link = c->entries[5].link);
		CASE(c->entries[1].path = 0);
		CASE(c->entries[1].kind = TOC_OPAQUE + 1);
		CASE(c->entries[1].spare = 1);
		CASE(c->entries[1].mtime_ns = 1000000000);
		CASE(c->entries[1].uid = UINT32_MAX);
		CASE(c->entries[1].gid = UINT32_MAX);
		CASE(c->entries[1].size = TAR_SIZE_MAX + 1);
		CASE(c->entries[1].xattrs = 9);
		CASE(c->entries[1].content = 3);
		CASE(c->entries[1].content = TOC_NO_CONTENT);
		CASE(c->entries[1].size = 2499);
		CASE(c->entries[6].content = 0);
		CASE(c->entries[5].link = 0);
		CASE(c->entries[6].link = c->entries[5].link);
		CASE(memcpy(c->strings + c->entries[1].path, "../", 3));
		CASE(memcpy(c->strings + c->entries[1].path, "../", 3));
		CASE(memcpy(c->strings + c->entries[1].path, "../", 3));
		CASE(memcpy(c->strings + c->entries[1].path, "d//", 3));
		CASE(memcpy(c->strings + c->entries[1].path + 5, "/", 1));
		CASE(c->strings[0] = 'x');
		CASE(memset(c->strings, 'x', c->header->counts[TABLE_STRINGS]); c->strings[0] = 0);
		CASE(c->xattrs[0].name = c->entries[1].path);
		CASE(c->xattrs[0].name = UINT32_MAX);
		CASE(c->xattrs[0].value = UINT32_MAX);
		CASE(c->xattrs[0].size = 70000);
		CASE(c->xattrs[1].size = 100);
		CASE(c->xattrs[7].more = 1);
		CASE(c->xattrs[0].more = 2);
		CASE(c->contents[0] = 1);
		CASE(c->contents[1] = 3; c->contents[2] = 2);
		CASE(c->contents[3] = 2);
		CASE(c->spans[0].start = SPAN_ZSTD + 1);
		CASE(c->spans[2].bits = 1);
		CASE(c->spans[0].bits = 8);
		CASE(c->spans[1].bits = 4);
		CASE(c->spans[2].window_size = 1);
		CASE(c->spans[0].window_size = 1 << 20);
		CASE(c->spans[0].window = UINT64_MAX);
		CASE(c->spans[0].has_digest = 2);
		CASE(c->spans[0].has_digest = 3);
		CASE(c->spans[0].blob_size = 0);
		CASE(c->spans[3].blob_size = UINT64_MAX);
		CASE(c->spans[3].stream_offset = UINT64_MAX);
		CASE(c->spans[3].skip = UINT64_MAX);
		CASE(c->spans[3].stream_size = 0);
		CASE(c->spans[3].stream_size = TABLE_SPAN_MAX_BYTES + 1);
		CASE(c->spans[3].stream_size = SPAN - 1);
		CASE(c->spans[1].stream_offset--);
		CASE(c->spans[1].stream_offset++);
		CASE(c->spans[1].skip--);
		CASE(c->spans[2].blob_offset = 9);
		CASE(c->spans[3].blob_offset = 299);
		CASE(c->extents[0].size = 0);
		CASE(c->extents[0].size = 2901);
		CASE(c->extents[0].size = UINT64_MAX);
		CASE(c->extents[0].stream_offset = 3 * SPAN);
		CASE(c->extents[0].stream_offset = 501; c->extents[0].size = 2500);
		CASE(c->extents[2].stream_offset = 2 * SPAN + 1);
		CASE(c->extents[2].file_offset = 29);
		CASE(c->extents[2].file_offset = 1001);
		CASE(c->extents[2].file_offset = UINT64_MAX - 1);
		enum { END = __COUNTER__ - FIRST };
	default:
		c->header = NULL;
	}
}

static void test_table_refuses_what_is_wrong(void **state)
{
	(void)state;
	auto_free void *file = NULL;
	size_t size = 0;
	make(&file, &size);
	int cases = 0;
	for (;; cases++) {
		auto_free uint8_t *data = mem_copy(file, size);
		struct copy copy = copy_of(data);
		spoil(&copy, cases);
		if (!copy.header)
			break;
		AUTO(table) t = NULL;
		struct err err = { 0 };
		if (table_open(&t, data, size, &err) != -EBADMSG)
			fail_msg("case %d was not refused", cases);
		assert_null(t);
		assert_true(err.text[0] != '\0');
	}
	assert_int_equal(cases, 73);
}

#define CHAIN_SPANS 5u
#define CHAIN_SPAN 1000u

/* A table of spans in a row whose digests are places of the stream's; GAP bytes before the second
 * one, PLAIN (if it is one) with a digest of its own. */
static int make_chain(struct table **out, void **file, const uint8_t *stream, uint32_t gap,
		      uint32_t plain)
{
	AUTO(table_builder) b = table_builder_new(TABLE_SCAN);
	AUTO(hash_chain) chain = hash_chain_new(NULL);
	struct table_span s = { .blob_size = 10, .stream_size = CHAIN_SPAN };
	for (uint32_t i = 0; i < CHAIN_SPANS; i++) {
		struct hash_place place;
		struct digest digest;
		hash_chain_add(chain, stream + (size_t)i * CHAIN_SPAN, CHAIN_SPAN);
		hash_chain_place(chain, &place);
		digest_of(&digest, DIGEST_SHA256, stream + (size_t)i * CHAIN_SPAN, CHAIN_SPAN);
		s.has_digest = i == plain ? TABLE_DIGEST_SPAN : TABLE_DIGEST_CHAIN;
		memcpy(s.digest, i == plain ? digest.bytes : place.chain, sizeof(s.digest));
		s.blob_offset = 10 * i;
		s.stream_offset = i * CHAIN_SPAN + (i > 0 ? gap : 0);
		assert_int_equal(table_builder_span(b, &s, NULL, 0, NULL), 0);
		table_builder_rest(b, place.rest);
	}
	size_t size = 0;
	int r = table_builder_finish(b, file, &size, NULL);
	return r < 0 ? r : table_open(out, *file, size, NULL);
}

static void test_table_verifies_spans_by_a_chain(void **state)
{
	(void)state;
	uint8_t stream[CHAIN_SPANS * CHAIN_SPAN];
	AUTO(table) t = NULL;
	auto_free void *file = NULL;
	for (size_t i = 0; i < sizeof(stream); i++)
		stream[i] = (uint8_t)(i * 7 + i / 300);
	assert_int_equal(make_chain(&t, &file, stream, 0, UINT32_MAX), 0);
	for (uint32_t i = 0; i < CHAIN_SPANS; i++) {
		uint8_t *bytes = stream + (size_t)i * CHAIN_SPAN;
		assert_int_equal(table_verify(t, i, bytes, NULL), 0);
		for (size_t k = 0; k < CHAIN_SPAN; k += k < 100 || k >= 900 ? 1 : 100) {
			bytes[k] ^= 0x80;
			assert_int_equal(table_verify(t, i, bytes, NULL), -EBADMSG);
			bytes[k] ^= 0x80;
		}
		if (i > 0) /* right bytes, but not there */
			assert_int_equal(table_verify(t, i, stream, NULL), -EBADMSG);
	}
}

static void test_table_refuses_a_chain_that_is_none(void **state)
{
	(void)state;
	static const uint8_t stream[CHAIN_SPANS * CHAIN_SPAN];
	AUTO(table) t = NULL;
	auto_free void *file = NULL;
	assert_int_equal(make_chain(&t, &file, stream, 1, UINT32_MAX), -EBADMSG);
	assert_int_equal(make_chain(&t, &file, stream, 0, 0), -EBADMSG);
	assert_int_equal(make_chain(&t, &file, stream, 0, 4), -EBADMSG);
	assert_null(t);
}

static void test_table_refuses_cut_files(void **state)
{
	(void)state;
	auto_free void *file = NULL;
	size_t size = 0;
	make(&file, &size);
	for (size_t n = 0; n <= size + 8; n++) {
		auto_free uint8_t *data = mem_new(n + 1);
		memcpy(data, file, n < size ? n : size);
		AUTO(table) t = NULL;
		assert_int_equal(table_open(&t, data, n, NULL), n == size ? 0 : -EBADMSG);
	}
}

static void test_builder_refuses_what_no_table_may_have(void **state)
{
	(void)state;
	AUTO(table_builder) b = table_builder_new(TABLE_ESTARGZ);
	const struct table_extent nowhere = { 0, 0, 1 };
	give(b, add(b, TAR_FILE, "f", "", 1), &nowhere, 1);
	auto_free void *file = NULL;
	size_t size = 0;
	assert_int_equal(table_builder_finish(b, &file, &size, NULL), -EBADMSG);
	assert_null(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_gives_back_what_was_put),
		cmocka_unit_test(test_table_finds_spans),
		cmocka_unit_test(test_table_toc_reads_a_mapping),
		cmocka_unit_test(test_table_is_the_same_bytes_again),
		cmocka_unit_test(test_an_empty_table_is_one),
		cmocka_unit_test(test_table_refuses_what_is_wrong),
		cmocka_unit_test(test_table_verifies_spans_by_a_chain),
		cmocka_unit_test(test_table_refuses_a_chain_that_is_none),
		cmocka_unit_test(test_table_refuses_cut_files),
		cmocka_unit_test(test_builder_refuses_what_no_table_may_have),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
