/* Which files of an image an import reads, as Python and Node would find them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "image/module-node.h"
#include "image/module-python.h"
#include "tree-build.h"

#define LIB "usr/lib/python3.11/"
#define CACHE "__pycache__/"

static const char *const words =
	"bin>usr/bin usr/ usr/bin/ usr/lib/ app/ app/main.py app/near.py app/pack/__init__.py "
	"app/pack/mod.py app/pack/sub/__init__.py app/pack/sub/deep.py app/space/part.py "
	"usr/bin/run " LIB "os.py " LIB CACHE "os.cpython-311.pyc " LIB "json/__init__.py " LIB
	"json/" CACHE "__init__.cpython-311.opt-1.pyc " LIB "json/" CACHE
	"__init__.cpython-311.pyc " LIB "importlib/__init__.py " LIB "importlib/util.py " LIB
	"lib-dynload/_fast.cpython-311-x86_64-linux-gnu.so " LIB "both.py " LIB CACHE
	"both.cpython-311.pyc " LIB CACHE "both.cpython-313.pyc " LIB "site-packages/x.pth "
	"usr/lib/python3.13/os.py usr/lib/python3.13/new.py "
	"usr/lib/python3/dist-packages/stable.abi3.so usr/lib/python3/dist-packages/old.pyc "
	"srv/main.js srv/a.js srv/b/index.js srv/c.json srv/d/package.json srv/d/d.js "
	"srv/node_modules/p/package.json srv/node_modules/p/main.js srv/node_modules/p/lib/m.js "
	"srv/node_modules/q/index.js srv/node_modules/events/index.js srv/package.json "
	"srv/node_modules/link>../store/l srv/store/l/index.js srv/deep/x.js "
	"srv/node_modules/@s/r/index.js srv/r.development.js srv/r.production.js "
	"usr/share/nodejs/deb/index.js";

struct image {
	struct rootfs *rootfs;
	struct rootfs_names *names;
	void *data;
	struct str wanted; /* paths without their first slash, a blank behind each */
};

static int set_up(void **state)
{
	struct image *image = mem_new(sizeof(*image));
	AUTO(tree) tree = tree_new();
	size_t size;
	image->wanted.max = 4096;
	assert_int_equal(build(tree, words), 0);
	assert_int_equal(rootfs_build(tree, &image->data, &size, NULL), 0);
	assert_int_equal(rootfs_open(&image->rootfs, image->data, size, NULL), 0);
	image->names = rootfs_names_new(image->rootfs);
	*state = image;
	return 0;
}

static int tear_down(void **state)
{
	struct image *image = *state;
	str_release(&image->wanted);
	rootfs_names_free(image->names);
	rootfs_free(image->rootfs);
	free(image->data);
	free(image);
	return 0;
}

static void want(void *arg, uint32_t inode)
{
	struct image *image = arg;
	auto_str path = STR_MAX(4096);
	rootfs_names_path(image->names, inode, &path);
	str_addf(&image->wanted, "%s ", str_text(&path) + 1);
}

static void ask(void *arg, uint32_t inode, const char *question)
{
	struct image *image = arg;
	want(arg, inode);
	str_addf(&image->wanted, "?%s ", question);
}

static uint32_t inode_of(const struct image *image, const char *path)
{
	uint32_t inode = rootfs_names_file(image->names, ROOTFS_ROOT, path);
	assert_int_not_equal(inode, ROOTFS_NONE);
	return inode;
}

struct find_case {
	const char *file, *text, *wanted;
};

static void test_python_finds_what_is_imported(void **state)
{
	struct image *image = *state;
	static const struct find_case cases[] = {
		{ "app/main.py", "import near", "app/near.py " },
		{ "app/main.py", "import pack.mod", "app/pack/__init__.py app/pack/mod.py " },
		{ "app/main.py", "from pack import mod, NAME",
		  "app/pack/__init__.py app/pack/mod.py " },
		{ "app/pack/mod.py", "from .sub import deep",
		  "app/pack/sub/__init__.py app/pack/sub/deep.py " },
		{ "app/pack/sub/deep.py", "from .. import mod", "app/pack/mod.py " },
		{ "app/pack/sub/deep.py", "from ..................... import mod", "" },
		{ "app/pack/sub/deep.py", "import near", "app/near.py " },
		/* a directory without __init__ */
		{ "app/main.py", "import space.part", "app/space/part.py " },
		/* compiled, but not by another version, nor without its assertions */
		{ "app/main.py", "import json", LIB "json/" CACHE "__init__.cpython-311.pyc " },
		{ "app/main.py", "import both", LIB CACHE "both.cpython-311.pyc " },
		{ "app/main.py", "import _fast",
		  LIB "lib-dynload/_fast.cpython-311-x86_64-linux-gnu.so " },
		{ "app/main.py", "import stable, old",
		  "usr/lib/python3/dist-packages/stable.abi3.so "
		  "usr/lib/python3/dist-packages/old.pyc " },
		/* in the interpreter; of another version; nowhere */
		{ "app/main.py", "import os, importlib.util", LIB "importlib/__init__.py " },
		{ "app/main.py", "import new", "" },
		{ "app/main.py", "import none, pack.none", "app/pack/__init__.py " },
		{ "app/main.py", "import a..b, .", "" },
	};
	const struct module_wants wants = { want, ask, image };
	AUTO(module_python) python = module_python_new(image->rootfs, image->names, &wants);
	module_python_path(python, "/nowhere:");
	module_python_programs(python, "/bin:/usr/bin:/sbin");
	module_python_start(python, "python3.11");
	assert_string_equal(str_text(&image->wanted),
			    LIB "importlib/__init__.py " LIB "site-packages/x.pth ");
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		str_reset(&image->wanted);
		module_python_look(python, inode_of(image, cases[i].file), cases[i].text,
				   strlen(cases[i].text));
		assert_string_equal(str_text(&image->wanted), cases[i].wanted);
	}
}

static void test_node_finds_what_is_imported(void **state)
{
	struct image *image = *state;
	static const struct find_case cases[] = {
		{ "srv/main.js", "require('./a')", "srv/a.js " },
		{ "srv/main.js", "require('./b'); require('./c')", "srv/b/index.js srv/c.json " },
		{ "srv/main.js", "require('./d')", "srv/d/package.json ?r " },
		{ "srv/deep/x.js", "require('..'); require('../a.js')",
		  "srv/package.json ?r srv/a.js " },
		{ "srv/main.js", "require('p')", "srv/node_modules/p/package.json ?r " },
		{ "srv/deep/x.js", "import 'p/lib/m'",
		  "srv/node_modules/p/package.json ?i/lib/m " },
		{ "srv/main.js", "require('q'); require('@s/r')",
		  "srv/node_modules/q/index.js srv/node_modules/@s/r/index.js " },
		{ "srv/main.js", "require('link')", "srv/store/l/index.js " },
		{ "srv/main.js", "require('deb')", "usr/share/nodejs/deb/index.js " },
		{ "srv/main.js", "require('events'); require('node:fs'); require('#x')", "" },
		{ "srv/main.js", "require('./r.development.js'); require('./r.production.js')",
		  "srv/r.development.js " },
		{ "srv/main.js", "require('./none'); require('none'); require('@')", "" },
	};
	const struct module_wants wants = { want, ask, image };
	AUTO(module_node) node = module_node_new(image->rootfs, image->names, &wants, false);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str wanted = STR_MAX(4096);
		str_reset(&image->wanted);
		module_node_look(node, inode_of(image, cases[i].file), NULL, cases[i].text,
				 strlen(cases[i].text));
		/* what says which kind of module it is */
		str_addf(&wanted, "srv/package.json %s", cases[i].wanted);
		assert_string_equal(str_text(&image->wanted), str_text(&wanted));
	}
}

static void test_package_json_says_which_file(void **state)
{
	struct image *image = *state;
	static const struct {
		const char *question, *json, *wanted;
	} cases[] = {
		{ "r", "{\"main\": \"main\"}", "srv/node_modules/p/main.js " },
		{ "r", "{\"main\": \"lib/m.js\"}", "srv/node_modules/p/lib/m.js " },
		{ "r", "{\"exports\": \"./main.js\"}", "srv/node_modules/p/main.js " },
		{ "i", "{\"exports\": {\"import\": \"./lib/m.js\", \"default\": \"./main.js\"}}",
		  "srv/node_modules/p/lib/m.js " },
		{ "r", "{\"exports\": {\".\": [{\"import\": \"./no\"}, \"./main.js\"]}}",
		  "srv/node_modules/p/main.js " },
		{ "r", "{\"exports\": {\"./x\": \"./main.js\"}}", "" },
		{ "r/x", "{\"exports\": {\"./x\": {\"node\": {\"require\": \"./main.js\"}}}}",
		  "srv/node_modules/p/main.js " },
		{ "r/l/m", "{\"exports\": {\"./l/*\": \"./lib/*.js\"}}",
		  "srv/node_modules/p/lib/m.js " },
		{ "r/lib/m", "{}", "srv/node_modules/p/lib/m.js " },
		{ "r", "{}", "" },
		{ "r", "{\"main\": 5, \"exports\": 5}", "" },
		{ "r", "{\"exports\": [[[[[[[[[[[\"./main.js\"]]]]]]]]]]]}", "" },
		{ "r", "no json", "" },
	};
	const struct module_wants wants = { want, ask, image };
	AUTO(module_node) node = module_node_new(image->rootfs, image->names, &wants, false);
	uint32_t package = inode_of(image, "srv/node_modules/p/package.json");
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		str_reset(&image->wanted);
		module_node_look(node, package, cases[i].question, cases[i].json,
				 strlen(cases[i].json));
		assert_string_equal(str_text(&image->wanted), cases[i].wanted);
	}
}

static void test_names_know_where_inodes_are(void **state)
{
	const struct image *image = *state;
	auto_str path = STR_MAX(4096);
	uint32_t file = inode_of(image, "app/pack/sub/deep.py");
	assert_string_equal(rootfs_names_name(image->names, file), "deep.py");
	rootfs_names_path(image->names, file, &path);
	assert_string_equal(str_text(&path), "/app/pack/sub/deep.py");
	assert_string_equal(rootfs_names_name(image->names, ROOTFS_ROOT), "");
	assert_int_equal(rootfs_names_parent(image->names, ROOTFS_ROOT), ROOTFS_ROOT);
	uint32_t dir = rootfs_names_dir(image->names, ROOTFS_ROOT, "/bin/../bin/.");
	assert_string_equal(rootfs_names_name(image->names, dir), "bin");
	assert_int_equal(rootfs_names_file(image->names, dir, "../../app/main.py"),
			 inode_of(image, "app/main.py"));
	assert_int_equal(rootfs_names_dir(image->names, dir, "run"), ROOTFS_NONE);
	assert_int_equal(rootfs_names_file(image->names, dir, "run/x"), ROOTFS_NONE);
	assert_int_equal(rootfs_names_walk(image->names, ROOTFS_NONE, "run"), ROOTFS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_python_finds_what_is_imported, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_node_finds_what_is_imported, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_package_json_says_which_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_names_know_where_inodes_are, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
