/* eStargz: the table is the layer as a full unpack shows it, and no bad one is made. */
#include "tests/unit/layer-build.h"

#include <errno.h>

#include "tests/unit/corpus.h"

#define REAL_DIGEST "sha256:c0e0edfaac1e63e225d28d5a06e37bd10b3b790fcb906826875830c57cb968ea"

static int make(const struct bytes *blob, const char *digest, void **file, size_t *size,
		struct err *err)
{
	struct notes notes = { .toc_digest = digest };
	AUTO(input) input = input_of_memory(blob->data, blob->size);
	const struct find_layer layer = { .blob = input, .annotation = note, .arg = &notes };
	return estargz_table(&layer, file, size, err);
}

static void build_some(struct build *b)
{
	auto_bytes big = bytes_text(30000, 1), exact = bytes_text(8192, 2);
	build_dir(b, "d/");
	build_text(b, "d/a.txt", "alpha alpha alpha");
	build_text(b, "empty", "");
	build_file(b, "d/big", big.data, big.size, 4096);
	build_file(b, "exact", exact.data, exact.size, 4096);
	build_link(b, "hard", '1', "d/big");
	build_link(b, "soft", '2', "../d/a.txt");
	build_text(b, "d/.wh.gone", "");
	build_text(b, "z", "zeta");
}

static void test_estargz_is_what_unpack_shows(void **state)
{
	(void)state;
	auto_build b = BUILD(false);
	build_some(&b);
	build_end_estargz(&b);
	auto_free void *file = NULL;
	size_t size = 0;
	struct err err;
	if (make(&b.blob, b.toc_digest, &file, &size, &err) < 0)
		fail_msg("%s", err.text);
	same_as_unpacked(file, size, &b.blob, NULL);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	assert_int_equal(table_kind(t), TABLE_ESTARGZ);
	assert_int_equal(table_span_count(t), 1 + 8 + 2 + 1 + 1);
	assert_int_equal(table_prefetch_spans(t), 0);
	for (uint32_t i = 0; i < table_span_count(t); i++)
		assert_int_equal(table_span(t, i)->has_digest, 1);
}

static int make_real(const char *name, const void *data, size_t size, void *arg)
{
	struct bytes blob = { .data = (uint8_t *)(uintptr_t)data, .size = size };
	auto_free void *file = NULL;
	size_t file_size = 0;
	if (!str_starts(name, "stargz-snapshotter"))
		return 0;
	assert_int_equal(make(&blob, REAL_DIGEST, &file, &file_size, NULL), 0);
	same_as_unpacked(file, file_size, &blob, "ns");
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, file_size, NULL), 0);
	/* bin/su was recorded: it is in front of the landmark, alone */
	assert_int_equal(table_prefetch_spans(t), 1);
	struct toc *toc = table_toc(t);
	assert_string_equal(toc_string(toc, toc_at(toc, 1)->path), "bin/su");
	assert_string_equal(toc_string(toc, toc_at(toc, 2)->path), ".prefetch.landmark");
	assert_string_equal(toc_string(toc, toc_at(toc, toc_count(toc) - 1)->path),
			    "stargz.index.json");
	for (uint32_t i = 0; i < toc_count(toc); i++)
		if (strcmp(toc_string(toc, toc_at(toc, i)->path), "ns") == 0) /* .750000001 */
			assert_int_equal(toc_at(toc, i)->mtime_s, 1700000001);
	++*(int *)arg;
	return 0;
}

static void test_estargz_of_the_real_writer(void **state)
{
	(void)state;
	int seen = 0;
	corpus_each("estargz", make_real, &seen);
	assert_int_equal(seen, 1);
}

/* Three files share a member with their headers, as with --estargz-min-chunk-size. */
static void build_shared(struct build *b, const char *offsets[3])
{
	static const char *const texts[] = { "one", "two two", "three" };
	auto_str tar = STR_MAX(1 << 20);
	for (int i = 0; i < 3; i++)
		add_file(&tar, (char[]){ (char)('a' + i), 0 }, texts[i]);
	uint64_t at = build_member(b, tar.data, tar.length);
	for (int i = 0; i < 3; i++) {
		build_comma(b);
		str_addf(&b->json,
			 "{\"name\":\"%c\",\"type\":\"reg\",\"size\":%zu,\"mode\":420,"
			 "\"offset\":%llu,\"innerOffset\":%s",
			 'a' + i, strlen(texts[i]), (unsigned long long)at, offsets[i]);
		build_digest(b, "chunkDigest", texts[i], strlen(texts[i]));
		str_add(&b->json, "}");
	}
}

static void test_estargz_with_inner_offsets(void **state)
{
	(void)state;
	auto_build b = BUILD(false);
	build_shared(&b, (const char *[]){ "512", "1536", "2560" });
	build_text(&b, "behind", "own member");
	build_end_estargz(&b);
	auto_free void *file = NULL;
	size_t size = 0;
	assert_int_equal(make(&b.blob, b.toc_digest, &file, &size, NULL), 0);
	same_as_unpacked(file, size, &b.blob, NULL);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	assert_int_equal(table_span(t, 0)->blob_offset, table_span(t, 2)->blob_offset);
	assert_int_equal(table_span(t, 2)->skip, 2560);
	auto_build overlap = BUILD(false);
	build_shared(&overlap, (const char *[]){ "512", "514", "2560" });
	build_end_estargz(&overlap);
	auto_free void *none = NULL;
	assert_int_equal(make(&overlap.blob, overlap.toc_digest, &none, &size, NULL), -EBADMSG);
}

static void test_estargz_landmarks_tell_what_to_fetch(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t spans;
	} cases[] = { { ".prefetch.landmark", 2 },
		      { "./.prefetch.landmark", 2 },
		      { ".no.prefetch.landmark", TABLE_NO_SPAN },
		      { "d/.prefetch.landmark", 0 } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_build b = BUILD(false);
		build_text(&b, "a", "a first");
		build_text(&b, "b", "b first");
		build_text(&b, cases[i].name, "\017");
		build_text(&b, "c", "later");
		build_end_estargz(&b);
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&b.blob, b.toc_digest, &file, &size, NULL), 0);
		AUTO(table) t = NULL;
		assert_int_equal(table_open(&t, file, size, NULL), 0);
		assert_int_equal(table_prefetch_spans(t), cases[i].spans);
		same_as_unpacked(file, size, &b.blob, NULL);
	}
}

/* FROM in the JSON becomes TO, everywhere. */
static char *replace(const char *text, const char *from, const char *to)
{
	struct str out = STR_MAX(BUILD_MAX_BYTES);
	for (const char *at; (at = strstr(text, from)); text = at + strlen(from)) {
		str_addn(&out, text, (size_t)(at - text));
		str_add(&out, to);
	}
	str_add(&out, text);
	return str_take(&out);
}

static void test_estargz_refuses_bad_entries(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
		int result;
	} cases[] = {
		{ "\"d/a.txt\"", "\"../../pwned\"", -EBADMSG },
		{ "\"d/a.txt\"", "\"\"", -EBADMSG },
		{ "\"d/a.txt\"", "\".\"", -EBADMSG },
		{ "\"d/a.txt\"", "\"d/a\\u0000b\"", -EBADMSG },
		{ "\"d/a.txt\"", "\"d/a\\ufffdb\"", -EBADMSG },
		{ "\"d/a.txt\"", "\"d/a\\udc00b\"", -EBADMSG },
		{ "\"d/a.txt\"", "\"d/a.txt/\"", -EBADMSG },
		{ "\"d/a.txt\"", "7", -EBADMSG },
		{ "\"version\": 1", "\"version\": 2", -EBADMSG },
		{ "\"version\": 1,", "", -EBADMSG },
		{ "\"version\": 1", "\"version\": 1,\"version\": 1", -EBADMSG },
		{ "\"entries\"", "\"list\"", -EBADMSG },
		{ "\"type\":\"dir\"", "\"type\":\"wat\"", -EBADMSG },
		{ "\"type\":\"dir\"", "\"typ\":\"dir\"", -EBADMSG },
		{ "\"type\":\"dir\"", "\"type\":\"chunk\"", -EBADMSG },
		{ "\"mode\":420", "\"mode\":-1", -EBADMSG },
		{ "\"mode\":420", "\"mode\":4e2", -EBADMSG },
		{ "\"mode\":420", "\"mode\":\"420\"", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"uid\":4294967296", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"gid\":4294967295", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"modtime\":\"yesterday\"", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"xattrs\":[]", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"xattrs\":{\"user.a\":\"?\"}", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"xattrs\":{\"user.a\":1}", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"mode\":421", -EBADMSG },
		{ "\"mode\":420", "\"mode\":420,\"chunkType\":\"ones\"", -EBADMSG },
		{ "\"size\":17", "\"size\":-17", -EBADMSG },
		{ "\"size\":17", "\"size\":9223372036854775807", -EBADMSG },
		{ "\"size\":17", "\"size\":67108865", -E2BIG },
		{ "\"size\":17,\"offset\":", "\"size\":17,\"offset\":1099511627776,\"x\":",
		  -EBADMSG },
		{ "\"size\":17,\"offset\":", "\"size\":17,\"offset\":-10,\"x\":", -EBADMSG },
		{ "\"size\":30000", "\"size\":29999", -EBADMSG },
		{ "\"size\":30000", "\"size\":30001", -EBADMSG },
		{ "\"size\":30000", "\"size\":0", -EBADMSG },
		{ "\"chunkSize\":1328", "\"chunkSize\":1329", -EBADMSG },
		{ "\"chunkOffset\":4096", "\"chunkOffset\":4095", -EBADMSG },
		{ "\"chunkOffset\":4096", "\"chunkOffset\":8192", -EBADMSG },
		{ "\"chunkOffset\":0", "\"chunkOffset\":30001", -EBADMSG },
		{ "\"chunkDigest\"", "\"chunkDigestion\"", -EBADMSG },
		{ "\"chunkDigest\":\"sha256:", "\"chunkDigest\":\"sha256:0", -EBADMSG },
		{ "\"chunkDigest\":\"sha256:", "\"chunkDigest\":\"md5:", -EBADMSG },
		{ "\"digest\"", "\"no\"", -EBADMSG },
		{ "\"name\":\"d/big\",\"type\":\"chunk\"", "\"name\":\"x\",\"type\":\"chunk\"",
		  -EBADMSG },
		{ "\"linkName\"", "\"likName\"", -EBADMSG },
		{ "\"linkName\":\"d/big\"", "\"linkName\":\"../big\"", -EBADMSG },
		{ "]\n}", "]\n}x", -EBADMSG },
		{ "]\n}", "]\n", -EBADMSG },
		{ "]\n}", ",]}", -EBADMSG },
		{ "]\n}", ",7]}", -EBADMSG },
		{ "]\n}", "],\"entries\":[]}", -EBADMSG },
		{ "\"entries\": [", "\"entries\": [,", -EBADMSG },
		{ "\"entries\": [", "\"entries\": {", -EBADMSG },
		{ "\t\"entries\"", "\v\"entries\"", -EBADMSG },
		/* and what is fine */
		{ "\"version\": 1", "\"version\":1, \"more\" :{\"a\":[\"]}\\\"\"]}", 0 },
		{ "]\n}", "]\n} \r\n\t", 0 },
		{ "\"name\":\"d/big\",\"type\":\"chunk\"", "\"type\":\"chunk\"", 0 },
		{ "\"chunkSize\":1328,", "", 0 },
		{ "\"mode\":420", "\"mode\":420,\"xattrs\":null,\"digests\":null", 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_build b = BUILD(false);
		build_some(&b);
		auto_free char *json = build_json(&b);
		auto_free char *bad = replace(json, cases[i].from, cases[i].to);
		assert_string_not_equal(json, bad);
		b.json_all = bad;
		build_end_estargz(&b);
		auto_free void *file = NULL;
		size_t size = 0;
		struct err err = { 0 };
		int r = make(&b.blob, b.toc_digest, &file, &size, &err);
		if (r != cases[i].result)
			fail_msg("%s -> %s: %d %s", cases[i].from, cases[i].to, r, err.text);
	}
}

static void test_estargz_wrong_sizes_and_digests_fail_at_reading(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
	} cases[] = { { "\"size\":17", "\"size\":117" },
		      { "\"size\":17", "\"size\":16" },
		      { "\"size\":17", "\"size\":5000" } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_build b = BUILD(false);
		build_some(&b);
		auto_free char *json = build_json(&b);
		auto_free char *bad = replace(json, cases[i].from, cases[i].to);
		b.json_all = bad;
		build_end_estargz(&b);
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&b.blob, b.toc_digest, &file, &size, NULL), 0);
		AUTO(table) t = NULL;
		assert_int_equal(table_open(&t, file, size, NULL), 0);
		auto_free uint8_t *bytes = mem_new(5000);
		assert_false(content_bytes(t, toc_at(table_toc(t), 1)->content, &b.blob, bytes));
	}
}

static void test_estargz_refuses_what_the_manifest_does_not_name(void **state)
{
	(void)state;
	auto_build b = BUILD(false);
	build_some(&b);
	build_end_estargz(&b);
	static const struct {
		const char *digest;
		int result;
	} cases[] = {
		{ REAL_DIGEST, -EBADMSG }, { "", -EBADMSG }, { "sha256:", -EBADMSG }, { NULL, 0 }
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&b.blob, cases[i].digest, &file, &size, NULL),
				 cases[i].result);
	}
}

static int with_footer(int64_t offset, const char *toc_name)
{
	auto_build b = BUILD(false);
	build_some(&b);
	b.toc_name = toc_name;
	build_end_estargz(&b);
	b.blob.size -= 51;
	build_estargz_footer(&b, offset < 0 ? b.blob.size + (uint64_t)-offset : (uint64_t)offset);
	auto_free void *file = NULL;
	size_t size = 0;
	return make(&b.blob, NULL, &file, &size, NULL);
}

static void test_estargz_refuses_bad_footers(void **state)
{
	(void)state;
	static const int64_t offsets[] = { 0, 1, 100, -1, -51, -1000000, INT64_MIN };
	for (size_t i = 0; i < N_ELEMENTS(offsets); i++)
		assert_int_equal(with_footer(offsets[i], NULL), -EBADMSG);
	auto_build b = BUILD(false);
	build_some(&b);
	build_end_estargz(&b);
	assert_int_equal(with_footer((int64_t)b.toc_offset, NULL), 0);
	assert_int_equal(with_footer((int64_t)b.toc_offset, "other.json"), -EBADMSG);
	for (size_t i = 1; i < 52; i++) { /* cut */
		struct bytes cut = { b.blob.data, b.blob.size - i, 0 };
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&cut, NULL, &file, &size, NULL), -EBADMSG);
	}
	for (size_t i = 0; i < 52; i++) { /* small */
		struct bytes tail = { b.blob.data + b.blob.size - i, i, 0 };
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&tail, NULL, &file, &size, NULL), -EBADMSG);
	}
}

static void test_estargz_has_no_more_than_its_table_at_the_end(void **state)
{
	(void)state;
	auto_build extra = BUILD(false), other = BUILD(true);
	auto_free void *file = NULL;
	size_t size = 0;
	build_some(&extra);
	extra.toc_extra = true;
	build_end_estargz(&extra);
	assert_int_equal(make(&extra.blob, extra.toc_digest, &file, &size, NULL), -EBADMSG);
	build_some(&other); /* zstd frames, with eStargz's footer */
	build_end_estargz(&other);
	assert_int_equal(make(&other.blob, other.toc_digest, &file, &size, NULL), -EBADMSG);
}

/* A chunk that begins where the payload ends: in the table of contents. */
static void test_estargz_chunks_are_in_the_payload(void **state)
{
	(void)state;
	for (uint64_t behind = 0; behind < 2; behind++) {
		auto_build b = BUILD(false);
		auto_str json = STR_MAX(1000);
		build_text(&b, "f", "some text");
		uint64_t at = b.blob.size - behind;
		str_addf(&json,
			 "{\"version\":1,\"entries\":[{\"name\":\"f\",\"type\":\"reg\","
			 "\"size\":9,\"offset\":%llu,\"digest\":\"" REAL_DIGEST "\"}]}",
			 (unsigned long long)at);
		b.json_all = str_text(&json);
		build_end_estargz(&b);
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&b.blob, b.toc_digest, &file, &size, NULL),
				 behind ? 0 : -EBADMSG);
	}
}

static void test_estargz_knows_older_and_external_footers(void **state)
{
	(void)state;
	char legacy[128], external[128];
	auto_build b = BUILD(false);
	build_some(&b);
	build_end_estargz(&b);
	b.blob.size -= 51;
	size_t bare = b.blob.size;
	(void)snprintf(legacy, sizeof(legacy), "%016llxSTARGZ", (unsigned long long)b.toc_offset);
	bytes_add(&b.blob, "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x16\0", 12);
	bytes_add(&b.blob, legacy, 22);
	bytes_add(&b.blob, "\x01\0\0\xff\xff\0\0\0\0\0\0\0\0", 13);
	auto_free void *file = NULL, *none = NULL;
	size_t size = 0;
	assert_int_equal(make(&b.blob, b.toc_digest, &file, &size, NULL), 0);
	same_as_unpacked(file, size, &b.blob, NULL);
	b.blob.size = bare;
	(void)snprintf(external, sizeof(external), "STARGZEXTERNALTOC");
	bytes_add(&b.blob, "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x15\0SG\x11\0", 16);
	bytes_add(&b.blob, external, 17);
	bytes_add(&b.blob, "\x01\0\0\xff\xff\0\0\0\0\0\0\0\0", 13);
	assert_int_equal(make(&b.blob, b.toc_digest, &none, &size, NULL), -EOPNOTSUPP);
}

static void test_estargz_stops_at_bombs(void **state)
{
	(void)state;
	auto_free char *deep = mem_new(200001);
	memset(deep, '[', 200000);
	static const struct {
		const char *json;
		int result;
	} cases[] = { { "{{{{", -EBADMSG },
		      { "", -EBADMSG },
		      { "[]", -EBADMSG },
		      { "{}", -EBADMSG },
		      { "null", -EBADMSG } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_build b = BUILD(false);
		b.json_all = cases[i].json;
		build_end_estargz(&b);
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&b.blob, NULL, &file, &size, NULL), cases[i].result);
	}
	auto_build b = BUILD(false);
	auto_str json = STR_MAX(BUILD_MAX_BYTES);
	str_addf(&json, "{\"version\":1,\"entries\":[{\"name\":%s", deep);
	b.json_all = str_text(&json);
	build_end_estargz(&b);
	auto_free void *file = NULL;
	size_t size = 0;
	assert_true(make(&b.blob, NULL, &file, &size, NULL) < 0);
	auto_build big = BUILD(false);
	auto_str value = STR_MAX(BUILD_MAX_BYTES);
	str_add(&value, "{\"version\":1,\"entries\":[{\"name\":\"");
	for (int i = 0; i < 25; i++)
		str_addn(&value, deep, 200000);
	str_add(&value, "\"}]}");
	big.json_all = str_text(&value);
	build_end_estargz(&big);
	assert_int_equal(make(&big.blob, NULL, &file, &size, NULL), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_estargz_is_what_unpack_shows),
		cmocka_unit_test(test_estargz_of_the_real_writer),
		cmocka_unit_test(test_estargz_with_inner_offsets),
		cmocka_unit_test(test_estargz_landmarks_tell_what_to_fetch),
		cmocka_unit_test(test_estargz_refuses_bad_entries),
		cmocka_unit_test(test_estargz_wrong_sizes_and_digests_fail_at_reading),
		cmocka_unit_test(test_estargz_refuses_what_the_manifest_does_not_name),
		cmocka_unit_test(test_estargz_refuses_bad_footers),
		cmocka_unit_test(test_estargz_has_no_more_than_its_table_at_the_end),
		cmocka_unit_test(test_estargz_chunks_are_in_the_payload),
		cmocka_unit_test(test_estargz_knows_older_and_external_footers),
		cmocka_unit_test(test_estargz_stops_at_bombs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
