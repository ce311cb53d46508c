/*
 * The cache's directories and small files: who may own them, what a broken, full or read-only disk
 * leads to, and that a file is either what was put or not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "cache/cache-internal.h"
#include "on-tmpfs.h"

struct place {
	char path[64];	/* a directory of our own */
	char cache[80]; /* path/cache, not there yet */
};

static int setup(void **state)
{
	struct place *p = mem_make(struct place, .path = "/tmp/test-cache-XXXXXX");
	*state = p;
	if (!mkdtemp(p->path))
		return -1;
	(void)snprintf(p->cache, sizeof(p->cache), "%s/cache", p->path);
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(tmp, p->path + strlen("/tmp/"), NULL);
	free(p);
	return r;
}

static struct cache *open_cache(const char *path)
{
	struct cache *cache = NULL;
	struct err err = { 0 };
	struct cache_options options = { .path = path, .size_bytes = 64u << 20 };
	if (cache_open(&cache, &options, &err) < 0)
		fail_msg("%s", err.text);
	return cache;
}

static struct digest key_of(const char *text)
{
	struct digest key;
	digest_of(&key, DIGEST_SHA256, text, strlen(text));
	return key;
}

static void put(struct cache *cache, const char *key, const char *data)
{
	struct digest digest = key_of(key);
	struct err err = { 0 };
	if (cache_put(cache, CACHE_TABLE, &digest, data, strlen(data), &err) < 0)
		fail_msg("%s", err.text);
}

static bool has(struct cache *cache, const char *key, const char *data)
{
	struct digest digest = key_of(key);
	struct cache_map map = { 0 };
	assert_int_equal(cache_get(cache, CACHE_TABLE, &digest, &map, NULL), 0);
	bool there = map.data != NULL;
	if (there) {
		assert_int_equal(map.size, strlen(data));
		assert_memory_equal(map.data, data, map.size);
		assert_int_equal((uintptr_t)map.data % 64, 0);
	}
	cache_map_release(&map);
	return there;
}

static char *file_of(const struct place *p, const char *key)
{
	struct digest digest = key_of(key);
	struct str path = STR_MAX(1024);
	str_addf(&path, "%s/v1/tables/sha256-%s", p->cache, digest_hex(&digest).text);
	return str_take(&path);
}

/* ---- directories */

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_directories_are_made_private(void **state)
{
	const struct place *p = *state;
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/a/b/cache///", p->path);
	mode_t old = umask(0);
	AUTO(cache) cache = open_cache(path);
	(void)umask(old);
	assert_true(cache_writable(cache));
	assert_string_equal(cache_trouble(cache), "");
	(void)snprintf(path, sizeof(path), "%s/a/b/cache", p->path);
	assert_string_equal(cache_path(cache), path);
	assert_int_equal(mode_of(path), 0700);
	(void)snprintf(path, sizeof(path), "%s/a/b/cache/v1", p->path);
	assert_int_equal(mode_of(path), 0700);
	(void)snprintf(path, sizeof(path), "%s/a/b/cache/v1/tmp", p->path);
	assert_int_equal(mode_of(path), 0700);
}

static void refused(const char *path, int code, const char *word)
{
	struct cache *cache = NULL;
	struct err err = { 0 };
	struct cache_options options = { .path = path };
	assert_int_equal(cache_open(&cache, &options, &err), -code);
	assert_null(cache);
	assert_non_null(strstr(err.text, word));
}

static void test_only_an_existing_cache_can_be_asked_for(void **state)
{
	const struct place *p = *state;
	const struct cache_options options = { .path = p->cache, .existing = true };
	AUTO(cache) cache = NULL;
	assert_int_equal(cache_open(&cache, &options, NULL), -ENOENT);
	assert_int_equal(access(p->cache, F_OK), -1);
	cache_free(open_cache(p->cache));
	assert_int_equal(cache_open(&cache, &options, NULL), 0);
}

static void test_what_is_not_ours_is_refused(void **state)
{
	const struct place *p = *state;
	char inner[128];
	(void)snprintf(inner, sizeof(inner), "%s/v1", p->cache);
	cache_free(open_cache(p->cache));

	assert_int_equal(chmod(p->cache, 0770), 0);
	refused(p->cache, EACCES, "open to others");
	assert_int_equal(chmod(p->cache, 0702), 0);
	refused(p->cache, EACCES, "open to others");
	assert_int_equal(chmod(p->cache, 0755), 0);
	cache_free(open_cache(p->cache));

	assert_int_equal(chmod(inner, 0750), 0);
	refused(p->cache, EACCES, "open to others");
	assert_int_equal(chmod(inner, 0700), 0);
	assert_int_equal(chown(inner, 1000, 1000), 0);
	refused(p->cache, EACCES, "belongs to user 1000");
	assert_int_equal(chown(inner, 0, 0), 0);
	assert_int_equal(chown(p->cache, 1000, 0), 0);
	refused(p->cache, EACCES, "belongs to user 1000");
}

static void test_links_and_files_are_refused(void **state)
{
	const struct place *p = *state;
	char link[128], slash[140], inner[128];
	cache_free(open_cache(p->cache));
	(void)snprintf(link, sizeof(link), "%s/link", p->path);
	(void)snprintf(slash, sizeof(slash), "%s/", link);
	assert_int_equal(symlink("cache", link), 0);
	refused(link, EACCES, "symbolic link");
	refused(slash, EACCES, "symbolic link");

	(void)snprintf(inner, sizeof(inner), "%s/v1", p->cache);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rename(inner, link), 0);
	assert_int_equal(symlink("../link", inner), 0);
	refused(p->cache, EACCES, "symbolic link");
	refused("/dev/null", EINVAL, "not a directory");
	refused("", EINVAL, "empty");
}

static void test_place_is_chosen(void **state)
{
	const struct place *p = *state;
	char path[128];
	assert_int_equal(setenv("ROOTLET_CACHE", p->cache, 1), 0);
	AUTO(cache) told = open_cache(NULL);
	assert_string_equal(cache_path(told), p->cache);
	assert_int_equal(unsetenv("ROOTLET_CACHE"), 0);

	assert_int_equal(chmod(p->path, 0777), 0);
	assert_int_equal(seteuid(1000), 0);
	assert_int_equal(setenv("HOME", p->path, 1), 0);
	assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0);
	AUTO(cache) home = open_cache(NULL);
	(void)snprintf(path, sizeof(path), "%s/.cache/rootlet", p->path);
	assert_string_equal(cache_path(home), path);

	(void)snprintf(path, sizeof(path), "%s/xdg", p->path);
	assert_int_equal(setenv("XDG_CACHE_HOME", path, 1), 0);
	AUTO(cache) xdg = open_cache(NULL);
	(void)snprintf(path, sizeof(path), "%s/xdg/rootlet", p->path);
	assert_string_equal(cache_path(xdg), path);

	assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
	assert_int_equal(unsetenv("HOME"), 0);
	refused(NULL, EINVAL, "no place for a cache");
	assert_int_equal(seteuid(0), 0);
}

static void test_what_cannot_be_made_is_not_written(void **state)
{
	const struct place *p = *state;
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/a/b", p->path);
	assert_int_equal(chmod(p->path, 0755), 0);
	assert_int_equal(seteuid(1000), 0);
	AUTO(cache) cache = open_cache(path);
	assert_int_equal(seteuid(0), 0);
	assert_false(cache_writable(cache));
	assert_string_equal(cache_trouble(cache), "permission denied");
	put(cache, "key", "data");
	assert_false(has(cache, "key", "data"));
	struct cache_stat stat;
	uint64_t n = 7, m = 7;
	assert_int_equal(cache_stat(cache, &stat, NULL), 0);
	assert_int_equal(stat.disk_bytes, 0);
	assert_int_equal(cache_evict(cache, 0, &n, NULL), 0);
	assert_int_equal(cache_clear(cache, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(cache_verify(cache, &n, &m, NULL), 0);
	assert_int_equal(n + m, 0);
}

/* ---- files */

static void test_what_was_put_is_got(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p->cache);
	assert_false(has(cache, "one", ""));
	put(cache, "one", "first");
	put(cache, "two", "");
	assert_true(has(cache, "one", "first"));
	assert_true(has(cache, "two", ""));
	put(cache, "one", "and another");
	assert_true(has(cache, "one", "and another"));

	AUTO(cache) again = open_cache(p->cache);
	assert_true(has(again, "one", "and another"));
	struct digest key = key_of("one");
	struct cache_map map = { 0 };
	assert_int_equal(cache_get(again, CACHE_ROOTFS, &key, &map, NULL), 0);
	assert_null(map.data);
	cache_drop(again, CACHE_TABLE, &key);
	cache_drop(again, CACHE_TABLE, &key);
	assert_false(has(cache, "one", ""));
}

static void change_byte(const char *path, off_t at)
{
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	char byte;
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void test_a_changed_byte_is_found(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p->cache);
	auto_free char *path = file_of(p, "key");
	for (off_t at = 0; at < 64 + 5; at++) {
		put(cache, "key", "hello");
		change_byte(path, at);
		assert_false(has(cache, "key", "hello"));
		assert_int_equal(access(path, F_OK), -1); /* and it is gone */
	}
	for (off_t size = 0; size < 64 + 7; size++) {
		put(cache, "key", "hello");
		assert_int_equal(truncate(path, size), 0);
		assert_int_equal(has(cache, "key", "hello"), size == 64 + 5);
	}
}

static void test_no_file_passes_for_another(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p->cache);
	auto_free char *one = file_of(p, "one"), *two = file_of(p, "two");
	put(cache, "one", "1");
	assert_int_equal(rename(one, two), 0);
	assert_false(has(cache, "two", "1"));
	/* nor what is no file at all */
	assert_int_equal(symlink("/etc/passwd", two), 0);
	assert_false(has(cache, "two", "1"));
	assert_int_equal(mkdir(two, 0700), 0);
	assert_false(has(cache, "two", "1"));
	assert_int_equal(mkfifo(two, 0600), 0);
	assert_false(has(cache, "two", "1"));
	put(cache, "two", "2");
	assert_true(has(cache, "two", "2"));
}

static void test_left_over_files_are_swept(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p->cache);
	struct cache_tmp held = { .fd = -1 }, tree = { .fd = -1 };
	assert_int_equal(cache_tmp_make(&held, cache, false, NULL), 0);
	assert_int_equal(cache_tmp_make(&tree, cache, true, NULL), 0);
	assert_int_equal(mkdirat(cache->tmp, "dead", 0700), 0);
	assert_int_equal(mkdirat(cache->tmp, "dead/deep", 0700), 0);
	assert_int_equal(symlinkat("/etc", cache->tmp, "link"), 0);
	assert_int_equal(mkfifoat(cache->tmp, "fifo", 0600), 0);
	cache_free(open_cache(p->cache));
	assert_int_equal(faccessat(cache->tmp, held.name, F_OK, 0), 0);
	assert_int_equal(faccessat(cache->tmp, tree.name, F_OK, 0), 0);
	assert_int_equal(faccessat(cache->tmp, "dead", F_OK, 0), -1);
	assert_int_equal(faccessat(cache->tmp, "link", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(faccessat(cache->tmp, "fifo", F_OK, 0), -1);
	cache_tmp_release(&held, cache);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	cache_tmp_release(&tree, cache);
}

/* ---- disks */

static void full_body(const struct place *p)
{
	struct cache *cache = NULL;
	struct cache_options options = { .path = p->cache, .size_bytes = 64u << 20 };
	CHILD(cache_open(&cache, &options, NULL) == 0 && cache_writable(cache));
	struct digest small = key_of("small"), big = key_of("big");
	auto_free char *data = mem_new(4u << 20);
	CHILD(cache_put(cache, CACHE_TABLE, &small, data, 1000, NULL) == 0);
	struct err err = { 0 };
	CHILD(cache_put(cache, CACHE_TABLE, &big, data, 4u << 20, &err) == -ENOSPC);
	CHILD(strstr(err.text, "No space left"));
	CHILD(!cache_writable(cache));
	CHILD(str_equal(cache_trouble(cache), "no space left on device"));
	CHILD(cache_put(cache, CACHE_TABLE, &big, data, 10, NULL) == 0);
	struct cache_map map = { 0 };
	CHILD(cache_get(cache, CACHE_TABLE, &small, &map, NULL) == 0 && map.size == 1000);
	cache_map_release(&map);
	CHILD(cache_get(cache, CACHE_TABLE, &big, &map, NULL) == 0 && !map.data);
	struct cache_stat stat;
	CHILD(cache_stat(cache, &stat, NULL) == 0 && stat.disk_bytes < 100000);
	cache_free(cache);
}

static void test_full_disk_turns_writing_off(void **state)
{
	const struct place *p = *state;
	on_tmpfs(p->path, "size=1m", p, full_body);
}

static void read_only_body(const struct place *p)
{
	struct cache *cache = NULL;
	struct cache_options options = { .path = p->cache };
	struct digest key = key_of("key");
	CHILD(cache_open(&cache, &options, NULL) == 0);
	CHILD(cache_put(cache, CACHE_TABLE, &key, "data", 4, NULL) == 0);
	cache_free(cache);
	CHILD(mount(NULL, p->path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	CHILD(cache_open(&cache, &options, NULL) == 0);
	CHILD(!cache_writable(cache));
	CHILD(str_equal(cache_trouble(cache), "read-only file system"));
	struct cache_map map = { 0 };
	CHILD(cache_get(cache, CACHE_TABLE, &key, &map, NULL) == 0 && map.size == 4);
	cache_map_release(&map);
	cache_free(cache);
	struct cache_options none = { .path = mem_strdup(p->cache) };
	CHILD(mount(NULL, p->path, NULL, MS_REMOUNT, NULL) == 0);
	auto_close int fd = open(p->path, O_RDONLY | O_CLOEXEC);
	CHILD(io_remove_tree(fd, "cache", NULL) == 0);
	mem_close_fd(&fd);
	fd = -1;
	CHILD(mount(NULL, p->path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	CHILD(cache_open(&cache, &none, NULL) == 0);
	CHILD(str_equal(cache_trouble(cache), "read-only file system"));
	cache_free(cache);
}

static void test_read_only_disk_is_only_read(void **state)
{
	const struct place *p = *state;
	on_tmpfs(p->path, "size=1m", p, read_only_body);
}

/* ---- listing */

static int count_item(void *arg, const struct cache_item *item, struct err *err)
{
	unsigned *count = arg;
	(void)err;
	assert_int_equal(item->kind, CACHE_TABLE);
	assert_true(item->disk_bytes > 0);
	assert_true(item->used_s <= time(NULL));
	*count += 1;
	return 0;
}

static void test_list_verify_and_clear(void **state)
{
	const struct place *p = *state;
	AUTO(cache) cache = open_cache(p->cache);
	auto_free char *path = file_of(p, "one");
	put(cache, "one", "1");
	put(cache, "two", "2");
	struct timespec future[2] = { { .tv_sec = 4102444800 }, { .tv_sec = 4102444800 } };
	assert_int_equal(utimensat(AT_FDCWD, path, future, 0), 0);
	unsigned count = 0;
	assert_int_equal(cache_list(cache, count_item, &count, NULL), 0);
	assert_int_equal(count, 2);
	change_byte(path, 64);
	uint64_t checked = 0, dropped = 0, freed = 0;
	assert_int_equal(cache_verify(cache, &checked, &dropped, NULL), 0);
	assert_int_equal(checked, 2);
	assert_int_equal(dropped, 1);

	assert_int_equal(mkdirat(cache->root, "v0", 0700), 0);
	assert_int_equal(mkdirat(cache->root, "v2", 0700), 0);
	assert_int_equal(mkdirat(cache->root, "mine", 0700), 0);
	assert_int_equal(cache_clear(cache, &freed, NULL), 0);
	assert_true(freed > 0);
	assert_false(has(cache, "two", "2"));
	assert_int_equal(faccessat(cache->root, "v0", F_OK, 0), -1);
	assert_int_equal(faccessat(cache->root, "v2", F_OK, 0), 0);
	assert_int_equal(faccessat(cache->root, "mine", F_OK, 0), 0);
}

static void test_names_are_read_as_written(void **state)
{
	(void)state;
	struct digest digest = key_of("x"), back;
	uint64_t layout = 0;
	struct cache_name name = cache_layer_name(&digest, UINT64_MAX - 1);
	assert_true(cache_layer_name_parse(&back, &layout, name.text));
	assert_true(digest_equal(&digest, &back));
	assert_true(layout == UINT64_MAX - 1);
	assert_false(cache_layer_name_parse(&back, &layout, cache_name_of(&digest).text));
	assert_true(cache_name_parse(&back, cache_name_of(&digest).text));
	static const char *const bad[] = { "", ".", "sha256-", "sha256-12.34", "x.y", "-" };
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_false(cache_name_parse(&back, bad[i]));
		assert_false(cache_layer_name_parse(&back, &layout, bad[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_directories_are_made_private),
		TEST(test_only_an_existing_cache_can_be_asked_for),
		TEST(test_what_is_not_ours_is_refused),
		TEST(test_links_and_files_are_refused),
		TEST(test_place_is_chosen),
		TEST(test_what_cannot_be_made_is_not_written),
		TEST(test_what_was_put_is_got),
		TEST(test_a_changed_byte_is_found),
		TEST(test_no_file_passes_for_another),
		TEST(test_left_over_files_are_swept),
		TEST(test_full_disk_turns_writing_off),
		TEST(test_read_only_disk_is_only_read),
		TEST(test_list_verify_and_clear),
		TEST(test_names_are_read_as_written),
	};
	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
