/* zstd:chunked, both dialects: the table is the layer as a full unpack shows it. */
#include "tests/unit/layer-build.h"

#include <errno.h>

#include "tests/unit/corpus.h"

static int make(const struct bytes *blob, struct notes *notes, void **file, size_t *size,
		struct err *err)
{
	AUTO(input) input = input_of_memory(blob->data, blob->size);
	const struct find_layer layer = { .blob = input, .annotation = note, .arg = notes };
	return zchunked_table(&layer, file, size, err);
}

static void build_some(struct build *b)
{
	auto_bytes big = bytes_text(30000, 1);
	build_dir(b, "d/");
	build_text(b, "d/a.txt", "alpha alpha alpha");
	build_text(b, "empty", "");
	build_file(b, "d/big", big.data, big.size, 7000);
	build_link(b, "hard", '1', "d/big");
	build_link(b, "soft", '2', "../d/a.txt");
	build_text(b, "d/.wh.gone", "");
	build_text(b, "z", "zeta");
}

static void test_zchunked_is_what_unpack_shows(void **state)
{
	(void)state;
	auto_build b = BUILD(true);
	build_some(&b);
	build_end_zstd(&b, false);
	struct notes notes[] = {
		{ .checksum = b.checksum, .position = b.position },	    /* A */
		{ .old_checksum = b.checksum, .old_position = b.position }, /* A before 2022 */
		{ .toc_digest = b.toc_digest,
		  .old_checksum = b.checksum,
		  .old_position = b.position }, /* B */
		{ .checksum = b.checksum,
		  .position = b.position,
		  .old_checksum = b.checksum,
		  .old_position = b.position },
		{ .checksum = b.checksum },
		{ 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(notes); i++) {
		auto_free void *file = NULL;
		size_t size = 0;
		struct err err;
		if (make(&b.blob, &notes[i], &file, &size, &err) < 0)
			fail_msg("%zu: %s", i, err.text);
		same_as_unpacked(file, size, &b.blob, NULL);
		AUTO(table) t = NULL;
		assert_int_equal(table_open(&t, file, size, NULL), 0);
		assert_int_equal(table_kind(t), TABLE_ZSTD_CHUNKED);
		assert_int_equal(table_span_count(t), 1 + 5 + 1);
	}
}

static void test_zchunked_reads_the_older_footer(void **state)
{
	(void)state;
	auto_build b = BUILD(true);
	build_some(&b);
	build_end_zstd(&b, true);
	struct notes none = { 0 };
	auto_free void *file = NULL;
	size_t size = 0;
	assert_int_equal(make(&b.blob, &none, &file, &size, NULL), 0);
	same_as_unpacked(file, size, &b.blob, NULL);
}

/* What the two writers annotated their samples with. */
static struct notes notes_of(const char *name)
{
	if (str_starts(name, "skopeo"))
		return (struct notes){
			.old_checksum = "sha256:"
					"72d875cbd6a5e046f03023fefd440df4"
					"7571e0693976d0df9efe6bf4ec801609",
			.old_position = "4458:1371:5942:1",
		};
	return (struct notes){
		.old_checksum = "sha256:"
				"7d70711d217d16f3ef53a515570de798abc2cd5ec938dd194880c6b04b9bd875",
		.old_position = "5202:1629:6731:1",
		.toc_digest = "sha256:"
			      "57a6ab92285ad1b60e38d966562d241f1646aab6192fd90dc5fead2389d81a17",
	};
}

static int make_real(const char *name, const void *data, size_t size, void *arg)
{
	struct bytes blob = { .data = (uint8_t *)(uintptr_t)data, .size = size };
	bool skopeo = str_starts(name, "skopeo");
	struct notes notes = notes_of(name);
	auto_free void *file = NULL;
	size_t file_size = 0;
	if (!skopeo && !str_starts(name, "stargz-snapshotter"))
		return 0;
	assert_int_equal(make(&blob, &notes, &file, &file_size, NULL), 0);
	same_as_unpacked(file, file_size, &blob, skopeo ? NULL : "ns");
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, file_size, NULL), 0);
	assert_int_equal(table_prefetch_spans(t), skopeo ? 0 : TABLE_NO_SPAN);
	struct toc *toc = table_toc(t);
	for (uint32_t i = 0; skopeo && i < toc_count(toc); i++) {
		const struct toc_entry *e = toc_at(toc, i);
		uint32_t extents = 0;
		if (strcmp(toc_string(toc, e->path), "etc/holes") != 0)
			continue;
		const struct table_extent *x = table_extents(t, e->content, &extents);
		assert_int_equal(extents, 2); /* 700 bytes, a hole of 9000, the rest */
		assert_int_equal(x[1].file_offset, 9700);
		assert_int_equal(x[1].stream_offset % 4096, 9700 % 4096);
	}
	++*(int *)arg;
	return 0;
}

static void test_zchunked_of_the_real_writers(void **state)
{
	(void)state;
	int seen = 0;
	corpus_each("zchunked", make_real, &seen);
	assert_int_equal(seen, 2);
}

/* A hole in front, between, behind; a file that is nothing else. */
static void test_zchunked_makes_zeros_holes(void **state)
{
	(void)state;
	auto_build b = BUILD(true);
	uint8_t data[3000] = { 0 };
	memset(data + 1000, 'x', 1000);
	build_header(&b, &(const struct raw){ .name = "f", .data_size = sizeof(data) });
	uint64_t first = build_member(&b, data, 1000);
	uint64_t second = build_member(&b, data + 1000, 1000);
	uint64_t third = build_member(&b, data + 2000, 1000);
	uint64_t end = build_member(&b, data, -sizeof(data) % 512);
	build_header(&b, &(const struct raw){ .name = "g", .data_size = 1000 });
	uint64_t alone = build_member(&b, data, 1000);
	uint64_t alone_end = build_member(&b, data, 24);
	str_addf(&b.json,
		 "{\"type\":\"reg\",\"name\":\"f\",\"mode\":420,\"size\":3000,\"offset\":%llu,"
		 "\"endOffset\":%llu,\"chunkSize\":1000,\"chunkType\":\"zeros\"},"
		 "{\"type\":\"chunk\",\"name\":\"f\",\"chunkOffset\":1000,\"chunkSize\":1000,"
		 "\"offset\":%llu",
		 (unsigned long long)first, (unsigned long long)end, (unsigned long long)second);
	build_digest(&b, "chunkDigest", data + 1000, 1000);
	str_addf(&b.json,
		 "},{\"type\":\"chunk\",\"name\":\"f\",\"chunkOffset\":2000,\"chunkSize\":1000,"
		 "\"offset\":%llu,\"chunkType\":\"zeros\"},{\"type\":\"reg\",\"name\":\"g\","
		 "\"mode\":420,\"size\":1000,\"offset\":%llu,\"endOffset\":%llu,\"chunkType\":"
		 "\"zeros\"}",
		 (unsigned long long)third, (unsigned long long)alone,
		 (unsigned long long)alone_end);
	build_end_zstd(&b, false);
	struct notes notes = { .checksum = b.checksum, .position = b.position };
	auto_free void *file = NULL;
	size_t size = 0;
	assert_int_equal(make(&b.blob, &notes, &file, &size, NULL), 0);
	same_as_unpacked(file, size, &b.blob, NULL);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	assert_int_equal(table_span_count(t), 1);
	assert_int_equal(table_span(t, 0)->blob_size, third - second);
	uint32_t count = 9;
	(void)table_extents(t, 1, &count);
	assert_int_equal(count, 0);
}

static void test_zchunked_refuses_bad_annotations(void **state)
{
	(void)state;
	auto_build b = BUILD(true);
	build_some(&b);
	build_end_zstd(&b, false);
	char other[DIGEST_TEXT_MAX];
	build_hash(other, "x", 1);
	const char *c = b.checksum, *p = b.position;
	const struct {
		struct notes notes;
		int result;
	} cases[] = {
		{ { .checksum = other, .position = p }, -EBADMSG },
		{ { .checksum = "sha256:zz", .position = p }, -EBADMSG },
		{ { .toc_digest = other, .old_checksum = c, .old_position = p }, -EBADMSG },
		{ { .toc_digest = b.toc_digest, .old_checksum = other, .old_position = p },
		  -EBADMSG },
		{ { .toc_digest = b.toc_digest, .checksum = c, .position = p }, -EBADMSG },
		{ { .checksum = c, .old_checksum = other, .position = p }, -EBADMSG },
		{ { .checksum = c, .position = p, .old_position = "1:2:3:1" }, -EBADMSG },
		{ { .checksum = c, .position = "99999999999999999999:-1:zz:1" }, -EBADMSG },
		{ { .checksum = c, .position = "" }, -EBADMSG },
		{ { .checksum = c, .position = "1:2:3" }, -EBADMSG },
		{ { .checksum = c, .position = "1:2:3:1:" }, -EBADMSG },
		{ { .checksum = c, .position = "7:2:3:1" }, -EBADMSG },
		{ { .checksum = c, .position = "100:0:3:1" }, -EBADMSG },
		{ { .checksum = c, .position = "100:2:3:2" }, -EOPNOTSUPP },
		{ { .checksum = c, .position = "100:100:300000000:1" }, -E2BIG },
		{ { .checksum = c, .position = "100:300000000:1:1" }, -E2BIG },
		{ { .checksum = c, .position = "100:100000:1:1" }, -EBADMSG },
		{ { .checksum = c, .position = "18446744073709551615:2:1:1" }, -EBADMSG },
		{ { .checksum = c, .position = "100:100:100:1" }, -EBADMSG },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct notes notes = cases[i].notes;
		auto_free void *file = NULL;
		size_t size = 0;
		struct err err = { 0 };
		int r = make(&b.blob, &notes, &file, &size, &err);
		if (r != cases[i].result)
			fail_msg("%zu: %d %s", i, r, err.text);
	}
}

/* The entry of d/a.txt once more, as a file of another name that the tar does not have. */
static void test_zchunked_refuses_ghosts(void **state)
{
	(void)state;
	static const struct {
		const char *in, *name;
		int result;
	} cases[] = { { "d/a.txt", "ghost", -EBADMSG }, { "empty", "ghost", 0 } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_build b = BUILD(true);
		build_some(&b);
		const char *from = strstr(str_text(&b.json), cases[i].in) - strlen("{\"name\":\"");
		const char *rest = from + strlen("{\"name\":\"") + strlen(cases[i].in);
		auto_free char *copy = mem_strndup(rest, strcspn(rest, "}"));
		str_addf(&b.json, ",{\"name\":\"%s%s}", cases[i].name, copy);
		build_end_zstd(&b, false);
		struct notes notes = { .checksum = b.checksum, .position = b.position };
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&b.blob, &notes, &file, &size, NULL), cases[i].result);
	}
}

/* File f ends at END, g lies behind it. */
static int with_end(uint64_t (*place)(const struct build *b, uint64_t end, uint64_t next))
{
	auto_build b = BUILD(true);
	build_text(&b, "f", "some text");
	build_text(&b, "g", "more text");
	char *at = strstr(b.json.data, "\"endOffset\":");
	char *behind = NULL, *g = strstr(at, "\"offset\":");
	uint64_t end = strtoull(at + 12, &behind, 10), next = strtoull(g + 9, NULL, 10);
	auto_str json = STR_MAX(10000);
	str_add(&json, "{\"version\":1,\"entries\":[");
	str_addn(&json, b.json.data, (size_t)(at - b.json.data));
	str_addf(&json, "\"endOffset\":%llu%s]}", (unsigned long long)place(&b, end, next), behind);
	b.json_all = str_text(&json);
	build_end_zstd(&b, false);
	struct notes notes = { .checksum = b.checksum, .position = b.position };
	auto_free void *file = NULL;
	size_t size = 0;
	return make(&b.blob, &notes, &file, &size, NULL);
}

static uint64_t right(const struct build *b, uint64_t end, uint64_t next)
{
	(void)b, (void)next;
	return end;
}

static uint64_t up_to_next(const struct build *b, uint64_t end, uint64_t next)
{
	(void)b, (void)end;
	return next;
}

static uint64_t into_next(const struct build *b, uint64_t end, uint64_t next)
{
	(void)b, (void)end;
	return next + 1;
}

static uint64_t nowhere(const struct build *b, uint64_t end, uint64_t next)
{
	(void)b, (void)end, (void)next;
	return 1;
}

static void test_zchunked_refuses_ends_that_overlap(void **state)
{
	(void)state;
	assert_int_equal(with_end(right), 0);
	assert_int_equal(with_end(up_to_next), 0); /* headers and padding are nobody's */
	assert_int_equal(with_end(into_next), -EBADMSG);
	assert_int_equal(with_end(nowhere), -EBADMSG);
}

/* The only file ends where the payload does, or one byte behind. */
static void test_zchunked_refuses_ends_in_the_table(void **state)
{
	(void)state;
	for (uint64_t more = 0; more < 2; more++) {
		auto_build b = BUILD(true);
		auto_str json = STR_MAX(1000);
		uint64_t at = build_member(&b, "text", 4);
		auto_bytes zeros = { 0 }, frame = { 0 };
		bytes_add_zeros(&zeros, 1024); /* what build_end_zstd puts in between */
		add_frame(&frame, &zeros, 3, 0);
		str_addf(&json,
			 "{\"version\":1,\"entries\":[{\"name\":\"f\",\"type\":\"reg\","
			 "\"size\":4,\"offset\":%llu,\"endOffset\":%llu",
			 (unsigned long long)at,
			 (unsigned long long)(b.blob.size + frame.size + more));
		str_add(&b.json, str_text(&json));
		build_digest(&b, "digest", "text", 4);
		str_add(&b.json, "}]}");
		b.json_all = str_text(&b.json);
		build_end_zstd(&b, false);
		struct notes notes = { .checksum = b.checksum, .position = b.position };
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(make(&b.blob, &notes, &file, &size, NULL), more ? -EBADMSG : 0);
	}
}

/* The position is right but for the length of the JSON, or for the frame around it. */
static void test_zchunked_checks_the_frame(void **state)
{
	(void)state;
	auto_build b = BUILD(true);
	build_some(&b);
	build_end_zstd(&b, false);
	auto_free void *file = NULL;
	size_t size = 0;
	unsigned long long offset, compressed, json;
	char more[100];
	assert_int_equal(sscanf(b.position, "%llu:%llu:%llu", &offset, &compressed, &json), 3);
	(void)snprintf(more, sizeof(more), "%llu:%llu:%llu:1", offset, compressed, json + 1);
	struct notes notes = { .checksum = b.checksum, .position = more };
	assert_int_equal(make(&b.blob, &notes, &file, &size, NULL), -EBADMSG);
	notes.position = b.position;
	static const size_t places[] = { 8, 4 }; /* the frame's magic and length */
	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		b.blob.data[offset - places[i]] ^= 1;
		assert_int_equal(make(&b.blob, &notes, &file, &size, NULL), -EBADMSG);
		b.blob.data[offset - places[i]] ^= 1;
	}
	assert_int_equal(make(&b.blob, &notes, &file, &size, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zchunked_is_what_unpack_shows),
		cmocka_unit_test(test_zchunked_reads_the_older_footer),
		cmocka_unit_test(test_zchunked_of_the_real_writers),
		cmocka_unit_test(test_zchunked_makes_zeros_holes),
		cmocka_unit_test(test_zchunked_refuses_bad_annotations),
		cmocka_unit_test(test_zchunked_refuses_ghosts),
		cmocka_unit_test(test_zchunked_refuses_ends_that_overlap),
		cmocka_unit_test(test_zchunked_refuses_ends_in_the_table),
		cmocka_unit_test(test_zchunked_checks_the_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
