/* The destination of `in`: what it may hold at first, and that a failure leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "resource/dest.h"

struct fixture {
	char root[64];
	char path[80];
};

static int set_up(void **state)
{
	struct fixture *f = mem_new(sizeof(*f));
	(void)snprintf(f->root, sizeof(f->root), "%s", "/tmp/rootlet-dest-XXXXXX");
	if (!mkdtemp(f->root))
		return -1;
	(void)snprintf(f->path, sizeof(f->path), "%s/to", f->root);
	*state = f;
	return 0;
}

static int remove_tree(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	auto_free char *parent = mem_strndup(path, (size_t)(name - path));
	auto_close int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return io_remove_tree(fd, name, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	int r = remove_tree(f->root);
	free(f);
	return r;
}

static void make_file(const struct fixture *f, const char *name)
{
	auto_str path = STR_MAX(200);
	str_addf(&path, "%s/%s", f->path, name);
	int fd = open(str_text(&path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static bool exists(const struct fixture *f, const char *name)
{
	auto_str path = STR_MAX(200);
	str_addf(&path, "%s%s", f->path, name);
	return access(str_text(&path), F_OK) == 0;
}

static void test_dest_is_made_and_kept(void **state)
{
	const struct fixture *f = *state;
	AUTO(dest) dest = NULL;
	assert_int_equal(dest_open(&dest, f->path, false, NULL), 0);
	assert_int_equal(dest_write(dest, "tag", "1.0", 3, NULL), 0);
	dest_keep(dest);
	dest_free(TAKE(dest));
	auto_free char *text = NULL;
	size_t size;
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_read_file(fd, "tag", 10, &text, &size, NULL), 0);
	(void)close(fd);
	assert_string_equal(text, "1.0");
}

static void test_dest_is_removed_when_not_kept(void **state)
{
	const struct fixture *f = *state;
	AUTO(dest) dest = NULL;
	assert_int_equal(dest_open(&dest, f->path, false, NULL), 0);
	assert_int_equal(dest_write(dest, "tag", "1.0", 3, NULL), 0);
	assert_int_equal(mkdirat(dest_fd(dest), "rootfs", 0755), 0);
	assert_int_equal(mkdirat(dest_fd(dest), "rootfs/etc", 0755), 0);
	dest_made(dest, "rootfs");
	dest_free(TAKE(dest));
	assert_false(exists(f, ""));
}

static void test_dest_that_was_there_is_emptied_when_not_kept(void **state)
{
	const struct fixture *f = *state;
	assert_int_equal(mkdir(f->path, 0755), 0);
	AUTO(dest) dest = NULL;
	assert_int_equal(dest_open(&dest, f->path, false, NULL), 0);
	assert_int_equal(dest_write(dest, "tag", "1.0", 3, NULL), 0);
	dest_free(TAKE(dest));
	assert_true(exists(f, ""));
	assert_false(exists(f, "/tag"));
}

static void test_dest_must_be_empty(void **state)
{
	const struct fixture *f = *state;
	static const struct {
		const char *name;
		bool may_hold_rootfs;
		int code;
	} cases[] = {
		{ ".rootlet-oci", false, 0 },	  { "rootfs", true, 0 },
		{ "rootfs", false, EINVAL },	  { "tag", true, EINVAL },
		{ "rootfs-other", true, EINVAL }, { ".hidden", false, EINVAL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(mkdir(f->path, 0755), 0);
		make_file(f, cases[i].name);
		AUTO(dest) dest = NULL;
		struct err err = { 0 };
		int r = dest_open(&dest, f->path, cases[i].may_hold_rootfs, &err);
		assert_int_equal(r, -cases[i].code);
		if (r < 0)
			assert_non_null(strstr(err_text(&err), cases[i].name));
		dest_free(TAKE(dest));
		assert_int_equal(remove_tree(f->path), 0);
	}
}

static void test_dest_is_no_file(void **state)
{
	const struct fixture *f = *state;
	int fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	AUTO(dest) dest = NULL;
	assert_int_equal(dest_open(&dest, f->path, false, NULL), -EINVAL);
	assert_true(exists(f, ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dest_is_made_and_kept),
		TEST(test_dest_is_removed_when_not_kept),
		TEST(test_dest_that_was_there_is_emptied_when_not_kept),
		TEST(test_dest_must_be_empty),
		TEST(test_dest_is_no_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
