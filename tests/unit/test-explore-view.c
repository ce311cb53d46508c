/* The tree that explore shows: rows, filters, what layers did, what is wasted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/explore-view.h"
#include "tree-build.h"

/* A tree made of words, see tree-build.h. */
struct made {
	void *data;
	struct rootfs *rootfs;
};

static void make(struct made *out, const char *words)
{
	AUTO(tree) tree = tree_new();
	size_t size;
	assert_int_equal(build(tree, words), 0);
	assert_int_equal(rootfs_build(tree, &out->data, &size, NULL), 0);
	assert_int_equal(rootfs_open(&out->rootfs, out->data, size, NULL), 0);
}

static void made_release(struct made *made)
{
	rootfs_free(made->rootfs);
	free(made->data);
}
#define AUTO_MADE __attribute__((cleanup(made_release))) struct made

/* Rows as text: depth, name, state. */
static void assert_rows(const struct explore_view *view, const char *wanted)
{
	auto_str text = STR_MAX(4096);
	for (size_t i = 0; i < view->row_count; i++) {
		const struct explore_node *node = &view->nodes[view->rows[i]];
		str_addf(&text, "%u%s%c ", node->depth, node->name, " +~-"[node->state]);
	}
	assert_string_equal(str_text(&text), wanted);
}

static uint32_t find(const struct explore_view *view, const char *path)
{
	return explore_find(view, path, strlen(path));
}

static void test_rows_are_what_is_open(void **state)
{
	(void)state;
	AUTO_MADE made = { 0 };
	struct explore_view view;
	make(&made, "d/ d/e/ d/e/f d/z a l>d");
	explore_view_init(&view, made.rootfs, NULL, 0);
	assert_rows(&view, "1a  1d  1l  ");
	explore_view_open(&view, find(&view, "d"), true);
	assert_rows(&view, "1a  1d  2e  2z  1l  ");
	explore_view_open_all(&view, true);
	assert_rows(&view, "1a  1d  2e  3f  2z  1l  ");
	assert_int_equal(explore_view_row(&view, find(&view, "/d/e/f")), 3);
	explore_view_open(&view, find(&view, "d"), false);
	assert_rows(&view, "1a  1d  1l  ");
	assert_int_equal(explore_view_row(&view, find(&view, "d/e/f")), 1);
	explore_view_release(&view);
}

static void test_a_filter_shows_matches_and_what_is_above(void **state)
{
	(void)state;
	static const struct {
		const char *filter, *rows;
	} cases[] = {
		{ "F", "1d  2e  3f  " },    { "e", "1d  2e  " },
		{ "[az]", "1a  1d  2z  " }, { "?", "1a  1d  2e  3f  2z  1l  " },
		{ "nothing", "" },	    { "", "1a  1d  1l  " },
	};
	AUTO_MADE made = { 0 };
	struct explore_view view;
	make(&made, "d/ d/e/ d/e/f d/z a l>d");
	explore_view_init(&view, made.rootfs, NULL, 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		explore_view_filter(&view, cases[i].filter);
		assert_rows(&view, cases[i].rows);
	}
	explore_view_release(&view);
}

static void test_changes_are_told_by_layer_and_name(void **state)
{
	(void)state;
	AUTO_MADE before = { 0 }, now = { 0 };
	struct explore_view view;
	make(&before, "d/ d/same d/gone e/ e/x");
	make(&now, "d/ d/same d/new f");
	/* all of NOW is of layer 0: since layer 1 nothing is changed, since layer 0 all is */
	explore_view_init(&view, now.rootfs, before.rootfs, 1);
	explore_view_open_all(&view, true);
	assert_rows(&view, "1d  2gone- 2new+ 2same  1e- 2x- 1f+ ");
	assert_true(view.nodes[find(&view, "d")].is_changed);
	assert_false(view.nodes[find(&view, "d/same")].is_changed);
	explore_view_toggle(&view, EXPLORE_REMOVED);
	assert_rows(&view, "1d  2new+ 2same  1f+ ");
	explore_view_toggle(&view, EXPLORE_SAME);
	assert_rows(&view, "1d  2new+ 1f+ ");
	explore_view_release(&view);
	explore_view_init(&view, now.rootfs, before.rootfs, 0);
	explore_view_open_all(&view, true);
	assert_rows(&view, "1d  2gone- 2new+ 2same~ 1e- 2x- 1f+ ");
	explore_view_release(&view);
}

static void test_paths_and_nodes_go_both_ways(void **state)
{
	(void)state;
	AUTO_MADE made = { 0 };
	struct explore_view view;
	make(&made, "d/ d/e/ d/e/f d/z a");
	explore_view_init(&view, made.rootfs, NULL, 0);
	for (uint32_t i = 0; i < view.count; i++) {
		auto_str path = STR_MAX(64);
		explore_path(&view, i, &path);
		assert_int_equal(find(&view, str_text(&path)), i);
	}
	assert_int_equal(find(&view, "d/e/none/x"), find(&view, "d/e"));
	assert_int_equal(explore_find(&view, "d/efg", 3), find(&view, "d/e"));
	assert_int_equal(find(&view, "none"), 0);
	explore_view_release(&view);
}

static void test_waste_is_beside_its_path_or_above(void **state)
{
	(void)state;
	AUTO_MADE made = { 0 };
	struct explore_view view;
	struct waste_path paths[] = { { "d/e/f", 5, 2, 10 }, { "d/gone", 6, 2, 5 } };
	const struct waste waste = { .paths = paths, .path_count = N_ELEMENTS(paths) };
	make(&made, "d/ d/e/ d/e/f a");
	explore_view_init(&view, made.rootfs, NULL, 0);
	explore_view_add_waste(&view, &waste);
	assert_int_equal(view.nodes[find(&view, "d/e/f")].wasted, 10);
	assert_int_equal(view.nodes[find(&view, "d")].wasted, 15);
	assert_int_equal(view.nodes[0].wasted, 15);
	assert_int_equal(view.nodes[find(&view, "a")].wasted, 0);
	explore_view_release(&view);
}

static void test_an_empty_image_has_no_rows(void **state)
{
	(void)state;
	AUTO_MADE made = { 0 };
	struct explore_view view;
	make(&made, "");
	explore_view_init(&view, made.rootfs, NULL, 0);
	assert_int_equal(view.row_count, 0);
	explore_view_open_all(&view, true);
	explore_view_filter(&view, "x");
	assert_rows(&view, "");
	explore_view_release(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_what_is_open),
		cmocka_unit_test(test_a_filter_shows_matches_and_what_is_above),
		cmocka_unit_test(test_changes_are_told_by_layer_and_name),
		cmocka_unit_test(test_paths_and_nodes_go_both_ways),
		cmocka_unit_test(test_waste_is_beside_its_path_or_above),
		cmocka_unit_test(test_an_empty_image_has_no_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
