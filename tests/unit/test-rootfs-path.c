/* Paths in a merged image, resolved as a chroot would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/rootfs-path.h"
#include "tree-build.h"

static const char *const words =
	"bin>usr/bin usr/ usr/bin/ usr/bin/sh usr/bin/env>sh etc/ etc/passwd etc/up>../../../usr "
	"etc/abs>/usr/bin/sh loop>loop dangling>nowhere a>b b>a etc/dir>/etc/../usr/";

struct image {
	struct rootfs *rootfs;
	void *data;
};

static int set_up(void **state)
{
	struct image *image = mem_new(sizeof(*image));
	AUTO(tree) tree = tree_new();
	size_t size;
	assert_int_equal(build(tree, words), 0);
	assert_int_equal(rootfs_build(tree, &image->data, &size, NULL), 0);
	assert_int_equal(rootfs_open(&image->rootfs, image->data, size, NULL), 0);
	*state = image;
	return 0;
}

static int tear_down(void **state)
{
	struct image *image = *state;
	rootfs_free(image->rootfs);
	free(image->data);
	free(image);
	return 0;
}

static uint32_t inode_of(const struct image *image, const char *path, bool follow)
{
	uint32_t inode = ROOTFS_NONE;
	assert_int_equal(rootfs_resolve(image->rootfs, path, follow, &inode, NULL), 0);
	return inode;
}

static void test_paths_lead_where_a_chroot_would(void **state)
{
	const struct image *image = *state;
	static const struct {
		const char *path, *same_as;
		bool follow;
	} cases[] = {
		{ "", "/", false },
		{ "/..", "/", false },
		{ "bin/sh", "usr/bin/sh", false },
		{ "/bin//./sh", "usr/bin/sh", false },
		{ "bin", "usr/bin", true },
		{ "bin/", "usr/bin", false },
		{ "bin/../bin", "usr/bin", false },
		{ "usr/bin/env", "usr/bin/sh", true },
		{ "etc/up/bin/sh", "usr/bin/sh", false },
		{ "etc/abs", "usr/bin/sh", true },
		{ "etc/dir/bin/", "usr/bin", false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(inode_of(image, cases[i].path, cases[i].follow),
				 inode_of(image, cases[i].same_as, false));
	assert_int_not_equal(inode_of(image, "bin", false), inode_of(image, "usr/bin", false));
	assert_int_not_equal(inode_of(image, "dangling", false), ROOTFS_NONE);
}

static void test_what_is_not_there_says_what_is_near(void **state)
{
	const struct image *image = *state;
	static const struct {
		const char *path, *says;
		bool follow;
		int r;
	} cases[] = {
		{ "etc/passwort", "did you mean 'passwd'", false, -ENOENT },
		{ "qqqqqq", "no 'qqqqqq'", false, -ENOENT },
		{ "etc/passwd/x", "no directory", false, -ENOENT },
		{ "etc/passwd/", "no directory", false, -ENOENT },
		{ "loop", "too many symbolic links", true, -ENOENT },
		{ "a/x", "too many symbolic links", false, -ENOENT },
		{ "dangling", "no 'dangling'", true, -ENOENT },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint32_t inode = 77;
		struct err err = { 0 };
		assert_int_equal(
			rootfs_resolve(image->rootfs, cases[i].path, cases[i].follow, &inode, &err),
			cases[i].r);
		assert_non_null(strstr(err_text(&err), cases[i].says));
		assert_int_equal(inode, 77);
	}
	char name[TAR_NAME_MAX_BYTES + 1];
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	uint32_t inode;
	assert_int_equal(rootfs_resolve(image->rootfs, name, false, &inode, NULL), -ENOENT);
	auto_free char *longer = mem_new(TAR_NAME_MAX_BYTES + 2);
	memset(longer, 'x', TAR_NAME_MAX_BYTES + 1);
	assert_int_equal(rootfs_resolve(image->rootfs, longer, false, &inode, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_paths_lead_where_a_chroot_would, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_there_says_what_is_near, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
