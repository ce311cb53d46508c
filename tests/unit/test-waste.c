/* What layers hold in vain, and the history of a path, over layers written as words (tree-build.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/versions.h"
#include "image/waste.h"
#include "tree-build.h"

#define LAYERS 4

struct scene {
	struct toc *tocs[LAYERS]; /* owned */
	size_t count;
};

static void scene_release(struct scene *scene)
{
	for (size_t i = 0; i < scene->count; i++)
		toc_free(scene->tocs[i]);
}
#define auto_scene __attribute__((cleanup(scene_release))) struct scene

/* Every file has SIZE bytes. */
static void scene_build(struct scene *scene, const char *text, uint64_t size)
{
	auto_free char *copy = mem_strdup(text);
	uint32_t contents = 0;
	for (char *layers = copy; layers && scene->count < LAYERS;) {
		char *layer = strsep(&layers, "|");
		struct toc *toc = scene->tocs[scene->count++] = toc_new();
		while (layer) {
			char *word = strsep(&layer, " ");
			if (*word)
				add_word(toc, word, &contents);
		}
		for (uint32_t i = 0; i < toc_count(toc); i++)
			toc_at(toc, i)->size = toc_at(toc, i)->kind == TOC_FILE ? size : 0;
	}
}

static void test_waste_counts_as_dive(void **state)
{
	(void)state;
	static const struct {
		const char *layers;
		unsigned bytes, wasted, least; /* of files of 10 bytes */
	} cases[] = {
		{ "a b", 20, 0, 20 },
		{ "a|a", 20, 20, 10 },
		{ "a|a|a b", 40, 30, 20 },
		{ "d/ d/a|d/ d/b", 20, 0, 20 }, /* a directory with something in it */
		{ "a|-a", 10, 10, 0 },		/* a whiteout of a file holds nothing */
		{ "d/ d/a d/b|-d", 40, 0, 40 }, /* of a directory what is in it */
		{ "d/ d/a d/b|d/ -d/a", 20, 10, 10 },
		{ "d/a|d/a|-d", 30, 20, 20 }, /* d is in one layer only: the whiteout */
		{ "a a|b", 20, 0, 20 },	      /* twice in one layer: the last one */
		{ "", 0, 0, 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_scene scene = { 0 };
		struct waste waste = { 0 };
		scene_build(&scene, cases[i].layers, 10);
		assert_int_equal(waste_count(&waste, scene.tocs, scene.count, NULL), 0);
		double wanted = cases[i].bytes ? (double)cases[i].least / cases[i].bytes : 1;
		if (waste.bytes != cases[i].bytes || waste.wasted_bytes != cases[i].wasted ||
		    waste.efficiency < wanted - 0.0001 || waste.efficiency > wanted + 0.0001)
			fail_msg("%s: %u bytes, %u wasted, efficiency %f", cases[i].layers,
				 (unsigned)waste.bytes, (unsigned)waste.wasted_bytes,
				 waste.efficiency);
		waste_release(&waste);
	}
}

static void test_waste_lists_the_worst_first(void **state)
{
	(void)state;
	auto_scene scene = { 0 };
	struct waste waste = { 0 };
	scene_build(&scene, "a b c|b c|b", 10);
	assert_int_equal(waste_count(&waste, scene.tocs, scene.count, NULL), 0);
	assert_int_equal(waste.path_count, 2);
	assert_memory_equal(waste.paths[0].path, "b", 1);
	assert_int_equal(waste.paths[0].layers, 3);
	assert_int_equal(waste.paths[1].bytes, 20);
	assert_int_equal(waste.layers[0].entries, 3);
	assert_int_equal(waste.layers[1].bytes, 20);
	waste_release(&waste);
}

/* "1+ 2+ 3-": the layers (from 1) that made or removed PATH; "?" when it is not there at the end.
 */
static void history(struct str *out, const char *layers, const char *path)
{
	auto_scene scene = { 0 };
	AUTO(tree) tree = tree_new();
	AUTO(rootfs) rootfs = NULL;
	auto_free void *data = NULL;
	size_t size;
	struct versions versions = { 0 };
	scene_build(&scene, layers, 10);
	for (size_t i = 0; i < scene.count; i++)
		assert_int_equal(tree_apply(tree, scene.tocs[i], (unsigned)i, NULL), 0);
	assert_int_equal(rootfs_build(tree, &data, &size, NULL), 0);
	assert_int_equal(rootfs_open(&rootfs, data, size, NULL), 0);
	str_reset(out);
	if (versions_of(&versions, rootfs, path, scene.tocs, scene.count, NULL) < 0)
		str_add(out, "?");
	for (size_t i = 0; i < versions.count; i++)
		str_addf(out, "%zu%c ", versions.all[i].layer + 1,
			 versions.all[i].removed ? '-' : '+');
	versions_release(&versions);
}

static void test_versions_follow_the_layers(void **state)
{
	(void)state;
	static const struct {
		const char *layers, *path, *history;
	} cases[] = {
		{ "a", "a", "1+ " },
		{ "a|b|a", "/a", "1+ 3+ " },
		{ "a|-a|a", "a", "1+ 2- 3+ " },
		{ "d/ d/a|-d|d/ d/a", "d/a", "1+ 2- 3+ " },
		{ "d/ d/a|d/ !d d/b|d/a", "d/a", "1+ 2- 3+ " },
		{ "d/ d/a|d/", "d", "1+ 2+ " },	       /* listed again */
		{ "d/a|d/b", "d", "1+ " },	       /* not listed at all */
		{ "d/ d/a l>d|l/a", "l/a", "1+ 2+ " }, /* through a link */
		{ "a b|c=a", "c", "2+ " },	       /* a link to what was there before */
		{ "a|a/ a/b", "a", "1+ 2+ " },
		{ "l>x|l>y", "l", "1+ 2+ " },
		{ "a|b", "", "1+ " },
		{ "a|-a", "a", "?" },
	};
	auto_str out = STR_MAX(256);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		history(&out, cases[i].layers, cases[i].path);
		if (strcmp(str_text(&out), cases[i].history) != 0)
			fail_msg("'%s' in '%s': %s", cases[i].path, cases[i].layers,
				 str_text(&out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waste_counts_as_dive),
		cmocka_unit_test(test_waste_lists_the_worst_first),
		cmocka_unit_test(test_versions_follow_the_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
