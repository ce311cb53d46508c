/* A plain tar by ranges: what is passed over is not read, and the table is what unpack shows. */
#include "tests/unit/layer-build.h"

#include <errno.h>

/* Memory that counts what is read of it, and fails from a point on. */
struct counted {
	struct input base;
	const struct bytes *blob; /* borrowed */
	uint64_t bytes, reads, fail_from;
};

static int counted_read(struct input *input, void *buf, size_t size, uint64_t offset,
			struct err *err)
{
	struct counted *c = (struct counted *)input;
	c->reads++;
	c->bytes += size;
	if (offset + size > c->fail_from)
		return err_set(err, EAGAIN, "the network is down");
	memcpy(buf, c->blob->data + offset, size);
	return 0;
}

static struct counted counted(const struct bytes *blob)
{
	static const struct input_ops ops = { .read = counted_read };
	return (struct counted){ { &ops, blob->size }, blob, 0, 0, UINT64_MAX };
}

static int walk(struct counted *blob, void **file, size_t *size)
{
	struct notes none = { 0 };
	const struct find_layer layer = { .blob = &blob->base, .annotation = note, .arg = &none };
	return tarwalk_table(&layer, file, size, NULL);
}

static void build_tar(struct bytes *blob, size_t big_size)
{
	auto_str tar = STR_MAX(BUILD_MAX_BYTES);
	auto_bytes big = bytes_text(big_size, 3);
	add_raw(&tar, &(const struct raw){ .name = "d/", .type = '5', .mode = "0000755" });
	add_file(&tar, "d/a", "alpha");
	add_raw(&tar, &(const struct raw){ .name = "d/big", .data_size = big.size });
	add_data(&tar, big.data, big.size);
	add_file(&tar, "empty", "");
	add_raw(&tar, &(const struct raw){ .name = "hard", .type = '1', .link = "d/a" });
	auto_str records = STR_MAX(1000);
	add_record(&records, "GNU.sparse.size", "6000", 4);
	add_record(&records, "GNU.sparse.numblocks", "2", 1);
	add_record(&records, "GNU.sparse.map", "1000,300,5000,212", 17);
	add_extension(&tar, 'x', str_text(&records), records.length);
	char stored[512];
	memset(stored, 's', sizeof(stored));
	add_raw(&tar, &(const struct raw){ .name = "sparse", .data_size = sizeof(stored) });
	add_data(&tar, stored, sizeof(stored));
	add_file(&tar, ".wh.gone", "");
	add_file(&tar, "z", "zeta");
	add_end(&tar);
	bytes_add(blob, tar.data, tar.length);
}

static void test_tarwalk_is_what_unpack_shows(void **state)
{
	(void)state;
	auto_bytes blob = { 0 };
	build_tar(&blob, 3000000);
	struct counted input = counted(&blob);
	auto_free void *file = NULL;
	size_t size = 0;
	assert_int_equal(walk(&input, &file, &size), 0);
	same_as_unpacked(file, size, &blob, NULL);
	AUTO(table) t = NULL;
	assert_int_equal(table_open(&t, file, size, NULL), 0);
	assert_int_equal(table_kind(t), TABLE_TAR);
	assert_int_equal(table_span_count(t), 3);
	assert_int_equal(table_stream_size(t), blob.size);
	assert_int_equal(table_span(t, 2)->has_digest, 0);
}

static void test_tarwalk_passes_over_data(void **state)
{
	(void)state;
	auto_bytes blob = { 0 };
	build_tar(&blob, 20000000);
	struct counted input = counted(&blob);
	auto_free void *file = NULL;
	size_t size = 0;
	assert_int_equal(walk(&input, &file, &size), 0);
	assert_int_equal(input.reads, 2);
	assert_true(input.bytes < 200000);
}

static void test_tarwalk_refuses_cut_archives(void **state)
{
	(void)state;
	auto_bytes blob = { 0 };
	build_tar(&blob, 300000);
	static const size_t cuts[] = { 100, 600, 1024 + 100, 1536 + 200000 };
	for (size_t i = 0; i < N_ELEMENTS(cuts); i++) {
		struct bytes cut = { blob.data, cuts[i], 0 };
		struct counted input = counted(&cut);
		auto_free void *file = NULL;
		size_t size = 0;
		assert_int_equal(walk(&input, &file, &size), -EBADMSG);
	}
}

/* ---- find_table */

static int find(struct counted *blob, struct notes *notes, enum trust least, void **file,
		size_t *size, enum trust *trust, struct err *refused)
{
	const struct find_layer layer = {
		.blob = &blob->base, .annotation = note, .arg = notes, .least = least
	};
	return find_table(&layer, file, size, trust, refused, NULL);
}

static void test_find_takes_the_first_that_serves(void **state)
{
	(void)state;
	auto_build es = BUILD(false), zc = BUILD(true);
	auto_bytes tar = { 0 }, gzip = { 0 };
	build_text(&es, "f", "text");
	build_end_estargz(&es);
	build_text(&zc, "f", "text");
	build_end_zstd(&zc, false);
	build_tar(&tar, 1000);
	add_member(&gzip, &tar, &(struct member){ .level = 6, .flush = Z_NO_FLUSH });
	struct notes none = { 0 }, es_notes = { .toc_digest = es.toc_digest },
		     zc_notes = { .checksum = zc.checksum, .position = zc.position },
		     zb_notes = { .toc_digest = zc.toc_digest };
	struct notes wrong = { .toc_digest = zc.toc_digest };
	const struct {
		const struct bytes *blob;
		struct notes *notes;
		enum trust least;
		int kind; /* -1: none */
		enum trust trust;
		bool refused;
		uint64_t reads;
	} cases[] = {
		{ &es.blob, &es_notes, TRUST_BOUND, TABLE_ESTARGZ, TRUST_BOUND, false, 1 },
		{ &es.blob, &es_notes, TRUST_NONE, TABLE_ESTARGZ, TRUST_BOUND, false, 1 },
		{ &es.blob, &es_notes, TRUST_VERIFIED, -1, 0, false, 0 },
		{ &es.blob, &none, TRUST_BOUND, -1, 0, false, 0 },
		{ &es.blob, &none, TRUST_ATTESTED, TABLE_ESTARGZ, TRUST_ATTESTED, false, 1 },
		{ &es.blob, &wrong, TRUST_BOUND, -1, 0, true, 1 },
		{ &zc.blob, &zc_notes, TRUST_BOUND, TABLE_ZSTD_CHUNKED, TRUST_BOUND, false, 1 },
		{ &zc.blob, &zb_notes, TRUST_BOUND, TABLE_ZSTD_CHUNKED, TRUST_BOUND, false, 1 },
		{ &zc.blob, &none, TRUST_ATTESTED, TABLE_ZSTD_CHUNKED, TRUST_ATTESTED, false, 1 },
		{ &zc.blob, &none, TRUST_BOUND, -1, 0, false, 0 },
		{ &tar, &none, TRUST_NONE, TABLE_TAR, TRUST_NONE, false, 1 },
		{ &tar, &none, TRUST_ATTESTED, -1, 0, false, 1 },
		{ &tar, &es_notes, TRUST_NONE, -1, 0, true, 1 },
		{ &gzip, &none, TRUST_NONE, -1, 0, false, 1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct counted input = counted(cases[i].blob);
		auto_free void *file = NULL;
		size_t size = 0;
		enum trust trust = 0;
		struct err refused = { .text = "?" };
		assert_int_equal(find(&input, cases[i].notes, cases[i].least, &file, &size, &trust,
				      &refused),
				 0);
		assert_int_equal(refused.text[0] != '\0', cases[i].refused);
		assert_int_equal(input.reads, cases[i].reads);
		assert_int_equal(file != NULL, cases[i].kind >= 0);
		if (!file)
			continue;
		AUTO(table) t = NULL;
		assert_int_equal(table_open(&t, file, size, NULL), 0);
		assert_int_equal(table_kind(t), cases[i].kind);
		assert_int_equal(trust, cases[i].trust);
	}
}

/* A blob that cannot be read is an error, a blob that is bad is not. */
static void test_find_tells_bad_reads_from_bad_bytes(void **state)
{
	(void)state;
	auto_build es = BUILD(false);
	auto_bytes text = bytes_text(3000000, 1);
	build_file(&es, "f", text.data, text.size, 1 << 20);
	build_end_estargz(&es);
	struct notes notes = { .toc_digest = es.toc_digest };
	struct counted input = counted(&es.blob);
	input.fail_from = es.blob.size - 1;
	auto_free void *file = NULL;
	size_t size = 0;
	enum trust trust;
	struct err refused = { 0 };
	assert_int_equal(find(&input, &notes, TRUST_BOUND, &file, &size, &trust, &refused),
			 -EAGAIN);
	es.blob.data[es.toc_offset + 30] ^= 1;
	input.fail_from = UINT64_MAX;
	assert_int_equal(find(&input, &notes, TRUST_BOUND, &file, &size, &trust, &refused), 0);
	assert_null(file);
	assert_int_equal(refused.code, -EBADMSG);
	assert_true(str_starts(refused.text, "eStargz: table of contents: "));
}

/* A table of contents larger than the tail that is read at once. */
static void test_find_reads_large_tables(void **state)
{
	(void)state;
	auto_build es = BUILD(false), zc = BUILD(true);
	struct build *both[] = { &es, &zc };
	for (int k = 0; k < 2; k++) {
		struct build *b = both[k];
		for (int i = 0; i < 3000; i++) {
			char name[150];
			(void)snprintf(name, sizeof(name), "%0100d", i * 7919);
			auto_bytes text = bytes_text(150, (uint32_t)i);
			build_file(b, name, text.data, text.size, SIZE_MAX / 2);
		}
	}
	build_end_estargz(&es);
	build_end_zstd(&zc, false);
	struct notes notes[] = { { .toc_digest = es.toc_digest },
				 { .checksum = zc.checksum, .position = zc.position } };
	for (int k = 0; k < 2; k++) {
		assert_true(both[k]->blob.size - both[k]->toc_offset > 65536);
		struct counted input = counted(&both[k]->blob);
		auto_free void *file = NULL;
		size_t size = 0;
		enum trust trust;
		struct err refused = { 0 };
		assert_int_equal(
			find(&input, &notes[k], TRUST_BOUND, &file, &size, &trust, &refused), 0);
		if (!file)
			fail_msg("%s", refused.text);
		assert_int_equal(input.reads, k == 0 ? 2 : 1);
		same_as_unpacked(file, size, &both[k]->blob, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tarwalk_is_what_unpack_shows),
		cmocka_unit_test(test_tarwalk_passes_over_data),
		cmocka_unit_test(test_tarwalk_refuses_cut_archives),
		cmocka_unit_test(test_find_takes_the_first_that_serves),
		cmocka_unit_test(test_find_tells_bad_reads_from_bad_bytes),
		cmocka_unit_test(test_find_reads_large_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
