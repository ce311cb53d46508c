/*
 * Merging, as tables.  A case is a tree in words (tree-build.h).  The result is the sorted list of
 * names: "name/", "name:content", "name>target"; "error" when refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "image/tree.h"
#include "tree-build.h"

#define NAMES_MAX 64

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *full_name(const struct tree *tree, uint32_t node)
{
	auto_str s = STR_MAX(100000);
	const struct tree_node *n = tree_node(tree, node);
	if (n->parent != TREE_ROOT) {
		auto_free char *parent = full_name(tree, n->parent);
		str_addf(&s, "%s/", parent);
	}
	str_add(&s, tree_string(tree, n->name));
	return str_take(&s);
}

static char *describe(const struct tree *tree, uint32_t node)
{
	auto_str s = STR_MAX(100000);
	const struct tree_inode *inode = tree_inode(tree, tree_node(tree, node)->inode);
	auto_free char *name = full_name(tree, node);
	str_add(&s, name);
	if (inode->kind == TOC_DIRECTORY)
		str_addc(&s, '/');
	else if (inode->kind == TOC_SYMLINK)
		str_addf(&s, ">%s", tree_string(tree, inode->link));
	else
		str_addf(&s, ":%u", inode->content);
	return str_take(&s);
}

static char *listing(const struct tree *tree)
{
	char *names[NAMES_MAX];
	size_t count = 0;
	auto_str s = STR_MAX(100000);
	for (uint32_t i = 1; i < tree_node_count(tree); i++) {
		if (tree_node(tree, i)->inode == TREE_NONE)
			continue;
		assert_true(count < NAMES_MAX);
		names[count++] = describe(tree, i);
	}
	assert_int_equal(count + 1, tree_name_count(tree));
	qsort(names, count, sizeof(*names), compare);
	for (size_t i = 0; i < count; i++) {
		str_addf(&s, "%s%s", i ? " " : "", names[i]);
		free(names[i]);
	}
	return str_take(&s);
}

static void check(const char *layers, const char *wanted)
{
	AUTO(tree) tree = tree_new();
	int r = build(tree, layers);
	if (strcmp(wanted, "error") == 0) {
		assert_int_equal(r, -EBADMSG);
		return;
	}
	assert_int_equal(r, 0);
	auto_free char *got = listing(tree);
	assert_string_equal(got, wanted);
}

struct merge_case {
	const char *layers, *wanted;
};

static void check_all(const struct merge_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(cases[i].layers, cases[i].wanted);
}

static void test_apply_lets_the_last_entry_win(void **state)
{
	(void)state;
	static const struct merge_case cases[] = {
		{ "", "" },
		{ "a", "a:1" },
		{ "a a", "a:2" },
		{ "a|a", "a:2" },
		{ "d/ d/x d/ d/y", "d/ d/x:1 d/y:2" },
		{ "d/x", "d/ d/x:1" },
		{ "d/ d/x d", "d:2" },
		{ "d/x|d", "d:2" },
		{ "d|d/x", "d/ d/x:2" },
		{ "d d/x", "error" },
		{ "d|d/", "d/" },
		{ "d/x|d/", "d/ d/x:1" },
		{ "s>x s", "s:1" },
		{ "s>d d/x|s/", "d/ d/x:1 s/" },
	};
	check_all(cases, N_ELEMENTS(cases));
}

static void test_apply_whiteouts_hit_lower_layers_only(void **state)
{
	(void)state;
	static const struct merge_case cases[] = {
		{ "a b|-a", "b:2" },
		{ "a|-a a", "a:2" },
		{ "a|a -a", "a:2" },
		{ "d/g|-d d/f", "d/ d/f:2" },
		{ "d/g|d/f -d", "d/ d/f:2" },
		{ "d/g e|!d d/f", "d/ d/f:3 e:2" },
		{ "d/g|d/f !d", "d/ d/f:2" },
		{ "a b/c|! n", "n:3" },
		{ "a|n !", "n:2" },
		{ "a|-x -y/z !q", "a:1" },
		{ "-a a", "a:1" },
		{ "a -a", "a:1" },
		{ "d/x|-d|d/y", "d/ d/y:2" },
		{ "d/e/f d/e/g|-d/e", "d/" },
		{ "s>d d/x|-s", "d/ d/x:1" },
	};
	check_all(cases, N_ELEMENTS(cases));
}

static void test_apply_follows_links_inside_the_root(void **state)
{
	(void)state;
	static const struct merge_case cases[] = {
		{ "usr/lib/ lib>usr/lib|lib/n", "lib>usr/lib usr/ usr/lib/ usr/lib/n:1" },
		{ "usr/lib/ lib>/usr/lib|lib/d/n",
		  "lib>/usr/lib usr/ usr/lib/ usr/lib/d/ usr/lib/d/n:1" },
		{ "usr/lib/o lib>usr/lib|-lib/o", "lib>usr/lib usr/ usr/lib/" },
		{ "usr/lib/o lib>usr/lib|!lib lib/n", "lib>usr/lib usr/ usr/lib/ usr/lib/n:2" },
		{ "usr/lib/o lib>usr/lib|!lib lib/ lib/n",
		  "lib/ lib/n:2 usr/ usr/lib/ usr/lib/o:1" },
		{ "usr/lib/o lib>usr/lib|lib/ -lib/o", "lib/ usr/ usr/lib/ usr/lib/o:1" },
		{ "r/ a/l>../../../r|a/l/x", "a/ a/l>../../../r r/ r/x:1" },
		{ "a>b b>c c/|a/x", "a>b b>c c/ c/x:1" },
		{ "l>nowhere|l/x", "error" },
		{ "l>nowhere/deep|l/x", "error" },
		{ "f l>f|l/x", "error" },
		{ "l>l|l/x", "error" },
		{ "a>b b>a|a/x", "error" },
		{ "d/ l>d/.|l/x", "d/ d/x:1 l>d/." },
		{ "d/e/ l>d/e/..|l/x", "d/ d/e/ d/x:1 l>d/e/.." },
		{ "d/ l>d|l", "d/ l:1" },
	};
	check_all(cases, N_ELEMENTS(cases));
}

static void test_apply_hard_links_share_inodes(void **state)
{
	(void)state;
	static const struct merge_case cases[] = {
		{ "a b=a", "a:1 b:1" },	  { "a b=/a c=b", "a:1 b:1 c:1" },
		{ "a|b=a", "a:1 b:1" },	  { "a b=a|a", "a:2 b:1" },
		{ "a b=a|-a", "b:1" },	  { "a b a=b", "a:2 b:2" },
		{ "s>x h=s", "h>x s>x" }, { "usr/f lib>usr|h=lib/f", "h:1 lib>usr usr/ usr/f:1" },
		{ "a a=a", "a:1" },	  { "b=a", "error" },
		{ "a=b b=a", "error" },	  { "d/ h=d", "error" },
		{ "h=h", "error" },	  { "a|-a b=a", "error" },
	};
	check_all(cases, N_ELEMENTS(cases));
}

static void test_apply_limits_links_followed(void **state)
{
	(void)state;
	auto_str s = STR_MAX(100000);
	str_add(&s, "l0/");
	for (int i = 1; i <= TREE_HOPS_MAX; i++)
		str_addf(&s, " l%d>l%d", i, i - 1);
	auto_str ok = STR_MAX(100000), bad = STR_MAX(100000);
	str_addf(&ok, "%s|l%d/x", str_text(&s), TREE_HOPS_MAX);
	str_addf(&bad, "%s m>l%d|m/x", str_text(&s), TREE_HOPS_MAX);
	AUTO(tree) tree = tree_new();
	assert_int_equal(build(tree, str_text(&ok)), 0);
	check(str_text(&bad), "error");
	/* each link names the one below twice: followed naively this takes 2^30 steps */
	auto_str twice = STR_MAX(100000);
	str_add(&twice, "e0/");
	for (int i = 1; i <= 30; i++)
		str_addf(&twice, " e%d>e%d/../e%d", i, i - 1, i - 1);
	str_add(&twice, "|e30/x");
	check(str_text(&twice), "error");
}

static void test_nlink_counts_names(void **state)
{
	(void)state;
	AUTO(tree) tree = tree_new();
	assert_int_equal(build(tree, "a b=a c=a d/|-b"), 0);
	uint32_t node = tree_child(tree, TREE_ROOT, "a", 1);
	assert_int_equal(tree_inode(tree, tree_node(tree, node)->inode)->nlink, 2);
	node = tree_child(tree, TREE_ROOT, "d", 1);
	assert_int_equal(tree_inode(tree, tree_node(tree, node)->inode)->nlink, 1);
}

static void test_many_names_are_found(void **state)
{
	(void)state;
	AUTO(tree) tree = tree_new();
	char name[32];
	for (unsigned layer = 0; layer < 3; layer++) {
		AUTO(toc) toc = toc_new();
		for (int i = 0; i < 20000; i++) {
			(void)snprintf(name, sizeof(name), "%s%d", layer == 1 ? "d/.wh." : "d/",
				       i * 7);
			struct tar_entry e = { .type = TAR_FILE, .path = name, .link = "" };
			uint32_t index;
			assert_int_equal(toc_add(toc, &e, &index, NULL), 0);
		}
		assert_int_equal(tree_apply(tree, toc, layer, NULL), 0);
		assert_int_equal(tree_name_count(tree), layer == 1 ? 2 : 20002);
	}
	uint32_t dir = tree_child(tree, TREE_ROOT, "d", 1);
	for (int i = 0; i < 20000; i++) {
		int n = snprintf(name, sizeof(name), "%d", i * 7);
		assert_int_not_equal(tree_child(tree, dir, name, (size_t)n), TREE_NONE);
	}
	assert_int_equal(tree_child(tree, dir, "1", 1), TREE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply_lets_the_last_entry_win),
		cmocka_unit_test(test_apply_whiteouts_hit_lower_layers_only),
		cmocka_unit_test(test_apply_follows_links_inside_the_root),
		cmocka_unit_test(test_apply_hard_links_share_inodes),
		cmocka_unit_test(test_apply_limits_links_followed),
		cmocka_unit_test(test_nlink_counts_names),
		cmocka_unit_test(test_many_names_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
