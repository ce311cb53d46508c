/* Scanning layers of a layout: the table it makes is read back span by span, from the blob alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "image/scan.h"
#include "layer-image.h"

#define MIB (1024u * 1024)

/* A tar with what tables have to tell apart. */
static void make_tar(struct str *tar)
{
	auto_bytes text = bytes_text(5 * MIB + 123, 7), zeros = { 0 }, small = bytes_text(5000, 9);
	bytes_add_zeros(&zeros, 9 * MIB);
	add_raw(tar, &(const struct raw){ .name = "d/", .type = '5' });
	add_bytes_file(tar, "d/text", &text);
	add_file(tar, "d/empty", "");
	add_bytes_file(tar, "zeros", &zeros);
	add_raw(tar, &(const struct raw){ .name = "link", .type = '2', .link = "d/text" });
	add_raw(tar, &(const struct raw){ .name = "hard", .type = '1', .link = "d/text" });
	/* sparse as old GNU tar writes it: 3 bytes at 4096, 2 at 8192, the size 10000 */
	char block[512] = { 0 };
	memcpy(block + 386, "00000010000", 11);
	memcpy(block + 398, "00000000003", 11);
	memcpy(block + 410, "00000020000", 11);
	memcpy(block + 422, "00000000002", 11);
	memcpy(block + 483, "00000023420", 11);
	add_raw(tar, &(const struct raw){ .name = "sparse",
					  .type = 'S',
					  .magic = "ustar  ",
					  .tail = block + 345,
					  .data_size = 5 });
	add_data(tar, "abcde", 5);
	add_bytes_file(tar, "small", &small);
	add_end(tar);
}

/* The decoded bytes of one span, from the blob's range alone. */
static uint8_t *decode_span(const struct table *table, uint32_t i, const struct bytes *blob)
{
	const struct table_span *s = table_span(table, i);
	const struct span_point point = table_point(table, i);
	assert_true(s->blob_offset + s->blob_size <= blob->size);
	AUTO(span_decoder) decoder = NULL;
	assert_int_equal(span_decoder_new(&decoder, &point, NULL), 0);
	auto_free uint8_t *range = mem_copy(blob->data + s->blob_offset, s->blob_size);
	size_t size = s->skip + s->stream_size;
	uint8_t *out = mem_new(size);
	struct decoder_io io = { range, s->blob_size, out, size };
	for (size_t left = SIZE_MAX; io.out_size > 0 && io.out_size + io.in_size < left;) {
		left = io.out_size + io.in_size;
		assert_int_equal(span_decoder_run(decoder, &io, NULL), 0);
	}
	assert_int_equal(io.out_size, 0);
	memmove(out, out + s->skip, s->stream_size);
	return out;
}

static void check_spans(const struct table *table, const struct scan_result *result,
			const struct image_layer *layer)
{
	uint64_t at = 0;
	for (uint32_t i = 0; i < table_span_count(table); i++) {
		const struct table_span *s = table_span(table, i);
		const struct cache_span place = { i, s->stream_offset, s->stream_size };
		assert_int_equal(s->stream_offset, at);
		assert_in_range(s->stream_size, 1, SCAN_SPAN_MAX_BYTES);
		auto_free uint8_t *out = decode_span(table, i, &layer->blob);
		assert_memory_equal(out, layer->tar.data + at, s->stream_size);
		assert_int_equal(table_verify(table, i, out, NULL), 0);
		memset(out, 0, s->stream_size);
		assert_int_equal(cache_spans_read(result->spans, &place, out, s->stream_size, 0),
				 1);
		assert_memory_equal(out, layer->tar.data + at, s->stream_size);
		at += s->stream_size;
	}
	assert_int_equal(at, layer->tar.size);
	assert_int_equal(table_stream_size(table), layer->tar.size);
}

/* The bytes of the file NAME as its extents say, from the tar; the holes are zeros. */
static struct bytes file_bytes(struct table *table, const char *name, const struct bytes *tar)
{
	struct toc *toc = table_toc(table);
	struct bytes out = { 0 };
	for (uint32_t i = 0; i < toc_count(toc); i++) {
		const struct toc_entry *e = toc_at(toc, i);
		uint32_t count = 0;
		if (e->kind != TOC_FILE || strcmp(toc_string(toc, e->path), name) != 0)
			continue;
		const struct table_extent *x = table_extents(table, e->content, &count);
		for (uint32_t j = 0; j < count; j++) {
			bytes_add_zeros(&out, x[j].file_offset - out.size);
			bytes_add(&out, tar->data + x[j].stream_offset, x[j].size);
		}
		bytes_add_zeros(&out, e->size - out.size);
	}
	return out;
}

static void check_files(struct table *table, const struct image_layer *layer)
{
	auto_bytes text = bytes_text(5 * MIB + 123, 7), small = bytes_text(5000, 9);
	auto_bytes got_text = file_bytes(table, "d/text", &layer->tar);
	auto_bytes got_small = file_bytes(table, "small", &layer->tar);
	auto_bytes sparse = file_bytes(table, "sparse", &layer->tar);
	auto_bytes empty = file_bytes(table, "d/empty", &layer->tar);
	assert_int_equal(got_text.size, text.size);
	assert_memory_equal(got_text.data, text.data, text.size);
	assert_int_equal(got_small.size, small.size);
	assert_memory_equal(got_small.data, small.data, small.size);
	assert_int_equal(sparse.size, 10000);
	assert_memory_equal(sparse.data + 4096, "abc\0\0", 5);
	assert_memory_equal(sparse.data + 8190, "\0\0de\0", 5);
	assert_int_equal(empty.size, 0);
	assert_int_equal(toc_count(table_toc(table)), 8);
}

static struct image *open_layout(const struct lab *lab)
{
	auto_ref ref = lab_ref(lab);
	const struct image_options options = { .platform = NULL };
	struct image *image = NULL;
	assert_int_equal(image_open(&image, &ref, &options, 0, NULL), 0);
	return image;
}

static void test_scan_of(struct lab *lab, enum squeeze how)
{
	auto_str tar = STR_MAX(TAR_BUILD_MAX_BYTES);
	make_tar(&tar);
	struct image_layer layer = image_layer_of(&tar, how);
	write_layout(lab->layout_fd, &layer, 1, NULL);
	AUTO(image) image = open_layout(lab);
	struct progress progress;
	image_progress(image, &progress);
	const struct scan_options options = { .progress = progress.layers };
	struct scan_result result = { 0 };
	assert_int_equal(scan_layer(&result, image, 0, lab->cache, &options, NULL), 0);
	assert_int_equal(result.fetched_bytes, layer.blob.size);
	assert_int_equal(result.layout, table_layout(result.table, result.table_size));
	assert_int_equal(progress.layers[0].state, LAYER_DONE);
	assert_int_equal(progress.layers[0].fetched_bytes, layer.blob.size);
	assert_int_equal(progress.layers[0].entries, 8);

	AUTO(table) table = NULL;
	assert_int_equal(table_open(&table, result.table, result.table_size, NULL), 0);
	assert_int_equal(table_kind(table), TABLE_SCAN);
	assert_true(table_span_count(table) >= 7); /* 14 MiB of at most 2 */
	check_spans(table, &result, &layer);
	check_files(table, &layer);

	/* whoever opens the layer now finds its bytes */
	AUTO(cache_spans) again = NULL;
	assert_int_equal(cache_spans_open(&again, lab->cache, scan_layer_key(image, 0),
					  result.layout, table_span_count(table),
					  table_stream_size(table), NULL),
			 0);
	assert_int_equal(cache_spans_present(again), table_span_count(table));
	scan_result_release(&result);
	image_layer_release(&layer);
	progress_release(&progress);
}

static void test_scan_plain(void **state)
{
	test_scan_of(*state, SQUEEZE_NONE);
}

static void test_scan_gzip(void **state)
{
	test_scan_of(*state, SQUEEZE_GZIP);
}

static void test_scan_zstd(void **state)
{
	test_scan_of(*state, SQUEEZE_ZSTD);
}

/* A table is the same whoever makes it: the cache knows it by its bytes. */
static void test_scan_twice_is_the_same(void **state)
{
	struct lab *lab = *state;
	auto_str tar = STR_MAX(TAR_BUILD_MAX_BYTES);
	make_tar(&tar);
	struct image_layer layer = image_layer_of(&tar, SQUEEZE_GZIP);
	write_layout(lab->layout_fd, &layer, 1, NULL);
	AUTO(image) image = open_layout(lab);
	const struct scan_options options = { .progress = NULL };
	struct scan_result a = { 0 }, b = { 0 };
	assert_int_equal(scan_layer(&a, image, 0, lab->cache, &options, NULL), 0);
	assert_int_equal(scan_layer(&b, image, 0, lab->cache, &options, NULL), 0);
	assert_int_equal(a.layout, b.layout);
	assert_int_equal(a.table_size, b.table_size);
	assert_memory_equal(a.table, b.table, a.table_size);
	assert_int_equal(cache_spans_present(a.spans), cache_spans_present(b.spans));
	scan_result_release(&a);
	scan_result_release(&b);
	image_layer_release(&layer);
}

static int count_item(void *arg, const struct cache_item *item, struct err *err)
{
	(void)item;
	(void)err;
	++*(size_t *)arg;
	return 0;
}

/* Nothing of a layer that is not what manifest and config say stays in the cache. */
static void test_scan_refuses(struct lab *lab, const char *blob_ending, const char *tar_ending,
			      int wanted)
{
	auto_str tar = STR_MAX(TAR_BUILD_MAX_BYTES);
	make_tar(&tar);
	struct image_layer layer = image_layer_of(&tar, SQUEEZE_GZIP);
	bytes_add(&layer.tar, tar_ending, strlen(tar_ending));
	bytes_add(&layer.blob, blob_ending, strlen(blob_ending));
	write_layout(lab->layout_fd, &layer, 1, NULL);
	AUTO(image) image = open_layout(lab);
	const struct scan_options options = { .progress = NULL };
	struct scan_result result = { 0 };
	struct err err = { 0 };
	size_t count = 0;
	assert_int_equal(scan_layer(&result, image, 0, lab->cache, &options, &err), wanted);
	assert_true(strlen(err_text(&err)) > 0);
	assert_null(result.table);
	assert_int_equal(cache_list(lab->cache, count_item, &count, NULL), 0);
	assert_int_equal(count, 0);
	image_layer_release(&layer);
}

static void test_scan_refuses_another_diff_id(void **state)
{
	test_scan_refuses(*state, "", "x", -EBADMSG);
}

static void test_scan_refuses_garbage_behind(void **state)
{
	test_scan_refuses(*state, "garbage", "", -EBADMSG);
}

static void test_scan_can_be_stopped(void **state)
{
	struct lab *lab = *state;
	auto_str tar = STR_MAX(TAR_BUILD_MAX_BYTES);
	make_tar(&tar);
	struct image_layer layer = image_layer_of(&tar, SQUEEZE_GZIP);
	write_layout(lab->layout_fd, &layer, 1, NULL);
	AUTO(image) image = open_layout(lab);
	const atomic_bool cancel = true;
	const struct scan_options options = { .cancel = &cancel };
	struct scan_result result = { 0 };
	assert_int_equal(scan_layer(&result, image, 0, lab->cache, &options, NULL), -ECANCELED);
	image_layer_release(&layer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scan_plain, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_scan_gzip, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_scan_zstd, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_scan_twice_is_the_same, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_scan_refuses_another_diff_id, lab_make,
						lab_remove),
		cmocka_unit_test_setup_teardown(test_scan_refuses_garbage_behind, lab_make,
						lab_remove),
		cmocka_unit_test_setup_teardown(test_scan_can_be_stopped, lab_make, lab_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
