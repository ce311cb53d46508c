/* Walking a merged image: order, paths, skipping, stopping, and deep trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/rootfs-path.h"
#include "image/rootfs-walk.h"
#include "tree-build.h"

struct seen {
	struct str text;
	const char *skip, *stop;
};

static int visit(void *arg, const struct rootfs_visit *v, struct err *err)
{
	struct seen *seen = arg;
	str_addf(&seen->text, "%s%s%u ", v->leaving ? "-" : "", v->path, v->depth);
	assert_true(str_ends(v->path, v->name));
	if (str_equal(v->path, seen->stop))
		return err_set(err, ECANCELED, "stop");
	return str_equal(v->path, seen->skip) ? ROOTFS_WALK_SKIP : ROOTFS_WALK_ON;
}

static int walk(const char *words, const char *start, struct seen *seen)
{
	AUTO(tree) tree = tree_new();
	auto_free void *data = NULL;
	size_t size;
	AUTO(rootfs) rootfs = NULL;
	uint32_t inode;
	assert_int_equal(build(tree, words), 0);
	assert_int_equal(rootfs_build(tree, &data, &size, NULL), 0);
	assert_int_equal(rootfs_open(&rootfs, data, size, NULL), 0);
	assert_int_equal(rootfs_resolve(rootfs, start, false, &inode, NULL), 0);
	const struct rootfs_walk_options options = { .visit = visit, .arg = seen };
	return rootfs_walk(rootfs, inode, start, &options, NULL);
}

static void test_names_come_in_order_with_their_paths(void **state)
{
	(void)state;
	static const struct {
		const char *start, *skip, *stop, *wanted;
		int r;
	} cases[] = {
		{ "", NULL, NULL, "0 a1 d1 d/e2 d/e/f3 -d/e2 d/z2 -d1 l1 -0 ", 0 },
		{ "/", NULL, NULL, "/0 /a1 /d1 /d/e2 /d/e/f3 -/d/e2 /d/z2 -/d1 /l1 -/0 ", 0 },
		{ "d", NULL, NULL, "d0 d/e1 d/e/f2 -d/e1 d/z1 -d0 ", 0 },
		{ "a", NULL, NULL, "a0 ", 0 },
		{ "d", "d/e", NULL, "d0 d/e1 d/z1 -d0 ", 0 },
		{ "", NULL, "d/e/f", "0 a1 d1 d/e2 d/e/f3 ", -ECANCELED },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct seen seen = { STR_MAX(1000), cases[i].skip, cases[i].stop };
		int r = walk("d/ d/e/ d/e/f d/z a l>d", cases[i].start, &seen);
		assert_int_equal(r, cases[i].r);
		assert_string_equal(str_text(&seen.text), cases[i].wanted);
		str_release(&seen.text);
	}
}

static void test_a_deep_tree_is_walked(void **state)
{
	(void)state;
	auto_str words = STR_MAX(8192);
	for (int i = 0; i < 2000; i++)
		str_add(&words, "d/");
	struct seen seen = { STR_MAX(16u * 1024 * 1024), NULL, NULL };
	assert_int_equal(walk(str_text(&words), "", &seen), 0);
	assert_false(seen.text.failed);
	assert_true(str_ends(str_text(&seen.text), "-d/d2 -d1 -0 "));
	str_release(&seen.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_come_in_order_with_their_paths),
		cmocka_unit_test(test_a_deep_tree_is_walked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
