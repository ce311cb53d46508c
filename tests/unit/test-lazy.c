/* Images of a layout opened lazily: every file against what was put into the tars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "image/lazy.h"
#include "image/rootfs-path.h"
#include "layer-image.h"

#define MIB (1024u * 1024)
#define LAYERS 3
#define DEADLINE_MS 60000

/* What the files of the image shall have. */
struct model {
	struct bytes text, more, zeros, sparse, small;
};

static struct model make_model(void)
{
	struct model m = { .text = bytes_text(3 * MIB + 77, 1),
			   .more = bytes_text(2 * MIB, 2),
			   .small = bytes_text(700, 3) };
	bytes_add_zeros(&m.zeros, 5 * MIB);
	bytes_add_zeros(&m.sparse, 4096);
	bytes_add(&m.sparse, "abc", 3);
	bytes_add_zeros(&m.sparse, 10000 - m.sparse.size);
	memcpy(m.sparse.data + 8192, "de", 2);
	return m;
}

static void model_release(struct model *m)
{
	free(m->text.data);
	free(m->more.data);
	free(m->zeros.data);
	free(m->sparse.data);
	free(m->small.data);
}

static void add_sparse(struct str *tar)
{
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
}

static void make_layers(struct image_layer *layers, const struct model *m)
{
	auto_str a = STR_MAX(TAR_BUILD_MAX_BYTES), b = STR_MAX(TAR_BUILD_MAX_BYTES),
		 c = STR_MAX(TAR_BUILD_MAX_BYTES);
	add_raw(&a, &(const struct raw){ .name = "d/", .type = '5' });
	add_bytes_file(&a, "d/text", &m->text);
	add_raw(&a, &(const struct raw){ .name = "hard", .type = '1', .link = "d/text" });
	add_file(&a, "d/empty", "");
	add_file(&a, "gone", "x");
	add_bytes_file(&a, "zeros", &m->zeros);
	add_sparse(&a);
	add_end(&a);
	add_file(&b, ".wh.gone", "");
	add_bytes_file(&b, "more", &m->more);
	add_end(&b);
	add_bytes_file(&c, "d/small", &m->small);
	add_raw(&c, &(const struct raw){ .name = "link", .type = '2', .link = "d" });
	add_end(&c);
	layers[0] = image_layer_of(&a, SQUEEZE_GZIP);
	layers[1] = image_layer_of(&b, SQUEEZE_ZSTD);
	layers[2] = image_layer_of(&c, SQUEEZE_NONE);
}

/* --- a scene: the model, the layout and what was seen while opening --- */

struct scene {
	struct lab *lab;
	struct model model;
	unsigned shown;	     /* calls of scanning */
	size_t shown_layers; /* of the last */
};

static void count_scans(void *arg, struct progress *progress)
{
	struct scene *scene = arg;
	if (!progress)
		return; /* it is over */
	scene->shown++;
	scene->shown_layers = progress->layer_count;
}

static int scene_make(void **state)
{
	struct scene *scene = mem_new(sizeof(*scene));
	struct image_layer layers[LAYERS];
	void *lab = NULL;
	if (lab_make(&lab) < 0)
		return -1;
	scene->lab = lab;
	scene->model = make_model();
	make_layers(layers, &scene->model);
	write_layout(scene->lab->layout_fd, layers, LAYERS, NULL);
	for (size_t i = 0; i < LAYERS; i++)
		image_layer_release(&layers[i]);
	*state = scene;
	return 0;
}

static int scene_remove(void **state)
{
	struct scene *scene = *state;
	void *lab = scene->lab;
	model_release(&scene->model);
	free(scene);
	return lab_remove(&lab);
}

static struct lazy_options options_of(struct scene *scene)
{
	return (struct lazy_options){ .cache = scene->lab->cache,
				      .least = TRUST_BOUND,
				      .fill = LAZY_FILL_OFF,
				      .scanning = count_scans,
				      .arg = scene };
}

static struct lazy *open_with(struct scene *scene, const struct lazy_options *options)
{
	auto_ref ref = lab_ref(scene->lab);
	struct lazy *lazy = NULL;
	struct err err = { 0 };
	int r = lazy_open(&lazy, &ref, options, &err);
	if (r < 0)
		print_error("%s\n", err_text(&err));
	assert_int_equal(r, 0);
	return lazy;
}

static struct lazy *open_lazily(struct scene *scene)
{
	const struct lazy_options options = options_of(scene);
	return open_with(scene, &options);
}

/* Nothing that was decoded stays: whatever is read next is fetched. */
static void forget_spans(struct scene *scene)
{
	uint64_t freed;
	assert_int_equal(cache_evict(scene->lab->cache, 0, &freed, NULL), 0);
}

/* Only those go, tables and records stay; nothing may be open. */
static void remove_layers(struct scene *scene)
{
	struct lab *lab = scene->lab;
	cache_free(lab->cache);
	auto_close int fd = openat(lab->dirfd, "c/" CACHE_FORMAT, O_RDONLY | O_DIRECTORY);
	assert_int_equal(io_remove_tree(fd, "layers", NULL), 0);
	lab_open_cache(lab);
}

static uint32_t inode_of(const struct lazy *lazy, const char *path)
{
	uint32_t inode = 0;
	assert_int_equal(rootfs_resolve(lazy_rootfs(lazy), path, false, &inode, NULL), 0);
	return inode;
}

static void check_read(struct lazy *lazy, uint32_t inode, const struct bytes *wanted,
		       uint64_t offset, size_t size)
{
	auto_free uint8_t *buf = mem_new(size + 1);
	size_t got = SIZE_MAX, there = offset < wanted->size ? wanted->size - offset : 0;
	memset(buf, 0xaa, size);
	assert_int_equal(lazy_read(lazy, inode, buf, size, offset, &got, NULL), 0);
	assert_int_equal(got, there < size ? there : size);
	if (got > 0)
		assert_memory_equal(buf, wanted->data + offset, got);
}

static void check_file(struct lazy *lazy, const char *path, const struct bytes *wanted,
		       size_t piece)
{
	uint32_t inode = inode_of(lazy, path);
	assert_int_equal(rootfs_inode(lazy_rootfs(lazy), inode)->size, wanted->size);
	for (uint64_t at = 0; at < wanted->size; at += piece)
		check_read(lazy, inode, wanted, at, piece);
	check_read(lazy, inode, wanted, wanted->size, 10);
	check_read(lazy, inode, wanted, wanted->size + 5, 10);
}

static void check_all(struct lazy *lazy, const struct model *m, size_t piece)
{
	static const struct bytes empty = { 0 };
	check_file(lazy, "d/text", &m->text, piece);
	check_file(lazy, "hard", &m->text, 3 * piece);
	check_file(lazy, "zeros", &m->zeros, piece);
	check_file(lazy, "sparse", &m->sparse, 999);
	check_file(lazy, "more", &m->more, piece);
	check_file(lazy, "d/small", &m->small, piece);
	check_file(lazy, "d/empty", &empty, piece);
	assert_int_equal(inode_of(lazy, "hard"), inode_of(lazy, "d/text"));
	assert_int_equal(rootfs_resolve(lazy_rootfs(lazy), "gone", false, &(uint32_t){ 0 }, NULL),
			 -ENOENT);
}

/* Wait for something that threads bring about. */
static bool is_full(const struct lazy *lazy)
{
	for (size_t i = 0; i < lazy_layer_count(lazy); i++) {
		struct lazy_layer_status status;
		lazy_layer_status(lazy, i, &status);
		if (status.spans_present < status.spans || status.trust < TRUST_VERIFIED)
			return false;
	}
	return true;
}

static bool is_bad(const struct lazy *lazy)
{
	struct lazy_layer_status status;
	lazy_layer_status(lazy, 0, &status);
	return status.bad;
}

static void wait_for(const struct lazy *lazy, bool (*happened)(const struct lazy *lazy))
{
	for (unsigned ms = 0; !happened(lazy); ms += 10) {
		assert_true(ms < DEADLINE_MS);
		nanosleep(&(const struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}

/* --- tests --- */

static void test_lazy_reads_what_was_packed(void **state)
{
	struct scene *scene = *state;
	AUTO(lazy) lazy = open_lazily(scene);
	assert_int_equal(scene->shown, 1);
	assert_int_equal(scene->shown_layers, LAYERS);
	check_all(lazy, &scene->model, 100001);
	assert_int_equal(lazy_layer_count(lazy), LAYERS);
	for (size_t i = 0; i < LAYERS; i++) {
		struct lazy_layer_status status;
		lazy_layer_status(lazy, i, &status);
		assert_int_equal(status.kind, TABLE_SCAN);
		assert_int_equal(status.trust, TRUST_VERIFIED);
		assert_int_equal(status.spans_present, status.spans);
		assert_int_equal(status.misses, 0);
		assert_false(status.cached_table);
		assert_true(
			digest_equal(&status.digest, &lazy_image(lazy)->manifest.layers[i].digest));
	}
	assert_int_equal(lazy_stale_since(lazy), 0);
}

static void test_lazy_is_not_scanned_twice(void **state)
{
	struct scene *scene = *state;
	lazy_free(open_lazily(scene));
	scene->shown = 0;
	AUTO(lazy) lazy = open_lazily(scene);
	assert_int_equal(scene->shown, 0);
	check_all(lazy, &scene->model, MIB);
	for (size_t i = 0; i < LAYERS; i++) {
		struct lazy_layer_status status;
		lazy_layer_status(lazy, i, &status);
		assert_true(status.cached_table);
		assert_int_equal(status.trust, TRUST_VERIFIED);
		assert_int_equal(status.misses, 0);
	}
}

static void test_lazy_fetches_what_is_read(void **state)
{
	struct scene *scene = *state;
	AUTO(lazy) lazy = open_lazily(scene);
	forget_spans(scene);
	struct lazy_layer_status status;
	lazy_layer_status(lazy, 0, &status);
	assert_int_equal(status.spans_present, 0);
	check_all(lazy, &scene->model, 100001);
	lazy_layer_status(lazy, 0, &status);
	assert_true(status.misses > 0 && status.requests > 0 && status.fetched_bytes > 0);
	check_all(lazy, &scene->model, 4096);
}

static void test_lazy_refuses_what_is_no_file(void **state)
{
	struct scene *scene = *state;
	AUTO(lazy) lazy = open_lazily(scene);
	uint8_t buf[10];
	size_t got;
	const uint32_t inodes[] = { inode_of(lazy, "d"), inode_of(lazy, "link"), 0,
				    rootfs_inode_count(lazy_rootfs(lazy)) + 1 };
	for (size_t i = 0; i < N_ELEMENTS(inodes); i++)
		assert_int_equal(lazy_read(lazy, inodes[i], buf, 10, 0, &got, NULL), -EINVAL);
}

struct reader {
	struct scene *scene;
	struct lazy *lazy;
	uint32_t seed;
	uint32_t failures;
};

static void *read_at_random(void *arg)
{
	struct reader *r = arg;
	const struct model *m = &r->scene->model;
	const struct bytes *files[] = { &m->text, &m->more, &m->zeros };
	const uint32_t inodes[] = { inode_of(r->lazy, "hard"), inode_of(r->lazy, "more"),
				    inode_of(r->lazy, "zeros") };
	auto_free uint8_t *buf = mem_new(300000);
	for (int i = 0; i < 60; i++) {
		r->seed = r->seed * 1664525 + 1013904223;
		size_t file = r->seed % 3, size = 1 + (r->seed >> 4) % 300000, got = 0;
		uint64_t offset = (r->seed >> 2) % files[file]->size;
		size_t there = files[file]->size - offset;
		if (lazy_read(r->lazy, inodes[file], buf, size, offset, &got, NULL) < 0 ||
		    got != (there < size ? there : size) ||
		    memcmp(buf, files[file]->data + offset, got) != 0)
			r->failures++;
	}
	return NULL;
}

static void test_lazy_serves_many_readers(void **state)
{
	struct scene *scene = *state;
	AUTO(lazy) lazy = open_lazily(scene);
	struct reader readers[8];
	pthread_t threads[8];
	for (uint32_t i = 0; i < 8; i++) {
		readers[i] = (struct reader){ scene, lazy, i * 77 + 1, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &readers[i]), 0);
	}
	for (int i = 0; i < 5; i++) {
		nanosleep(&(const struct timespec){ .tv_nsec = 20000000 }, NULL);
		forget_spans(scene);
	}
	for (size_t i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].failures, 0);
	}
}

static void test_lazy_layer_that_is_there_twice(void **state)
{
	struct scene *scene = *state;
	struct image_layer layers[LAYERS];
	make_layers(layers, &scene->model);
	const struct image_layer twice[] = { layers[0], layers[1], layers[0] };
	write_layout(scene->lab->layout_fd, twice, 3, NULL);
	AUTO(lazy) lazy = open_lazily(scene);
	assert_int_equal(scene->shown_layers, 2);
	assert_int_equal(lazy_layer_count(lazy), 3);
	check_file(lazy, "gone", &(const struct bytes){ (uint8_t[]){ 'x' }, 1, 1 }, 10);
	check_file(lazy, "d/text", &scene->model.text, MIB);
	check_file(lazy, "more", &scene->model.more, MIB);
	for (size_t i = 0; i < LAYERS; i++)
		image_layer_release(&layers[i]);
}

static bool has_some(const struct lazy *lazy)
{
	struct lazy_layer_status status;
	lazy_layer_status(lazy, 1, &status);
	return status.spans_present > 0;
}

static void test_lazy_fetches_ahead_what_was_read_first(void **state)
{
	struct scene *scene = *state;
	struct lazy *lazy = open_lazily(scene);
	lazy_start(lazy);
	check_read(lazy, inode_of(lazy, "more"), &scene->model.more, 5, 100);
	lazy_free(lazy);
	remove_layers(scene);

	AUTO(lazy) again = open_lazily(scene);
	assert_false(has_some(again));
	lazy_start(again);
	wait_for(again, has_some);
}

static void test_lazy_fills_what_is_missing(void **state)
{
	struct scene *scene = *state;
	struct lazy_options options = options_of(scene);
	options.fill = LAZY_FILL_NOW;
	AUTO(lazy) lazy = open_with(scene, &options);
	forget_spans(scene);
	assert_false(is_full(lazy));
	lazy_start(lazy);
	wait_for(lazy, is_full);
	check_all(lazy, &scene->model, MIB);
}

/* A plain tar of some size, read by its headers alone when the user says so. */
static void write_plain(struct scene *scene, const char *tar_ending)
{
	auto_str tar = STR_MAX(TAR_BUILD_MAX_BYTES);
	add_bytes_file(&tar, "text", &scene->model.text);
	add_bytes_file(&tar, "more", &scene->model.more);
	add_end(&tar);
	struct image_layer layer = image_layer_of(&tar, SQUEEZE_NONE);
	bytes_add(&layer.tar, tar_ending, strlen(tar_ending));
	write_layout(scene->lab->layout_fd, &layer, 1, NULL);
	image_layer_release(&layer);
}

static void test_lazy_verifies_what_it_only_found(void **state)
{
	struct scene *scene = *state;
	write_plain(scene, "");
	struct lazy_options options = options_of(scene);
	options.least = TRUST_NONE;
	options.fill = LAZY_FILL_NOW;
	struct lazy *lazy = open_with(scene, &options);
	struct lazy_layer_status status;
	lazy_layer_status(lazy, 0, &status);
	assert_int_equal(status.kind, TABLE_TAR);
	assert_int_equal(status.trust, TRUST_NONE);
	assert_int_equal(scene->shown, 0);
	check_file(lazy, "text", &scene->model.text, 100001);
	lazy_layer_status(lazy, 0, &status);
	uint64_t requests = status.requests;
	lazy_start(lazy);
	wait_for(lazy, is_full);
	check_file(lazy, "more", &scene->model.more, 100001);
	/* all that was missing came out of the one pass */
	lazy_layer_status(lazy, 0, &status);
	assert_int_equal(status.requests, requests);
	lazy_free(lazy);

	/* and it is known from now on, to those who want more as well */
	options.least = TRUST_VERIFIED;
	lazy = open_with(scene, &options);
	lazy_layer_status(lazy, 0, &status);
	assert_int_equal(status.kind, TABLE_TAR);
	assert_int_equal(status.trust, TRUST_VERIFIED);
	assert_true(status.cached_table);
	lazy_free(lazy);
}

static void test_lazy_stops_giving_what_is_wrong(void **state)
{
	struct scene *scene = *state;
	write_plain(scene, "the config speaks of another tar");
	struct lazy_options options = options_of(scene);
	options.least = TRUST_NONE;
	options.fill = LAZY_FILL_NOW;
	AUTO(lazy) lazy = open_with(scene, &options);
	check_file(lazy, "text", &scene->model.text, 100001);
	lazy_start(lazy);
	wait_for(lazy, is_bad);
	uint8_t buf[10];
	size_t got;
	assert_int_equal(lazy_read(lazy, inode_of(lazy, "text"), buf, 10, 0, &got, NULL), -EBADMSG);
}

/* A table that was verified for one tar says nothing about an image that wants another. */
static void test_lazy_table_is_for_one_diff_id(void **state)
{
	struct scene *scene = *state;
	write_plain(scene, "");
	lazy_free(open_lazily(scene));
	write_plain(scene, "the config speaks of another tar");
	const struct lazy_options options = options_of(scene);
	auto_ref ref = lab_ref(scene->lab);
	struct lazy *lazy = NULL;
	assert_int_equal(lazy_open(&lazy, &ref, &options, NULL), -EBADMSG);
	assert_null(lazy);
}

static void test_lazy_open_can_be_cancelled(void **state)
{
	struct scene *scene = *state;
	const atomic_bool cancel = true;
	struct lazy_options options = options_of(scene);
	options.cancel = &cancel;
	auto_ref ref = lab_ref(scene->lab);
	struct lazy *lazy = NULL;
	assert_int_equal(lazy_open(&lazy, &ref, &options, NULL), -ECANCELED);
	assert_null(lazy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lazy_reads_what_was_packed),
		TEST(test_lazy_is_not_scanned_twice),
		TEST(test_lazy_fetches_what_is_read),
		TEST(test_lazy_refuses_what_is_no_file),
		TEST(test_lazy_serves_many_readers),
		TEST(test_lazy_layer_that_is_there_twice),
		TEST(test_lazy_fetches_ahead_what_was_read_first),
		TEST(test_lazy_fills_what_is_missing),
		TEST(test_lazy_verifies_what_it_only_found),
		TEST(test_lazy_stops_giving_what_is_wrong),
		TEST(test_lazy_table_is_for_one_diff_id),
		TEST(test_lazy_open_can_be_cancelled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
