/* Names are cleaned, markers recognised, limits kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "layer/toc.h"

static int add(struct toc *toc, enum tar_type type, const char *path, const char *link,
	       uint32_t *index)
{
	const struct tar_entry entry = { .type = type, .path = path, .link = link, .mode = 0644 };
	return toc_add(toc, &entry, index, NULL);
}

static void test_add_cleans_names(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a", "a" },	      { "./a/b", "a/b" }, { "/a//b/", "a/b" },
		{ "a/./b", "a/b" },   { ".//./x", "x" },  { "...", "..." },
		{ "a/..b", "a/..b" }, { ".wh", ".wh" },	  { "wh.a", "wh.a" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(toc) toc = toc_new();
		uint32_t index;
		assert_int_equal(add(toc, TAR_FILE, cases[i].in, "", &index), 0);
		assert_string_equal(toc_string(toc, toc_at(toc, index)->path), cases[i].out);
		assert_int_equal(toc_at(toc, index)->kind, TOC_FILE);
	}
}

static void test_add_refuses_bad_names(void **state)
{
	(void)state;
	char component[300], path[5000];
	memset(component, 'n', 256);
	component[256] = '\0';
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 2 ? '/' : 'd';
	path[sizeof(path) - 1] = '\0';
	const char *const names[] = { "..",	 "../a",    "a/..",	 "a/../b", "/..",
				      component, path,	    ".wh.",	 ".wh..",  ".wh...",
				      "a/.wh.",	 ".wh.a/b", "d/../.wh.x" };
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		AUTO(toc) toc = toc_new();
		uint32_t index;
		assert_int_equal(add(toc, TAR_FILE, names[i], "", &index), -EBADMSG);
		assert_int_equal(toc_count(toc), 0);
	}
}

static void test_add_recognises_markers(void **state)
{
	(void)state;
	static const struct {
		const char *in, *path;
		int kind; /* -1: ignored */
	} cases[] = {
		{ ".wh.a", "a", TOC_WHITEOUT },
		{ "d/.wh.a", "d/a", TOC_WHITEOUT },
		{ "./d/e/.wh..x", "d/e/.x", TOC_WHITEOUT },
		{ ".wh..wh..opq", "", TOC_OPAQUE },
		{ "d/.wh..wh..opq", "d", TOC_OPAQUE },
		{ ".wh..wh.aufs", "", -1 },
		{ ".wh..wh.plnk/12.34", "", -1 },
		{ "d/.wh..wh.orph", "", -1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(toc) toc = toc_new();
		uint32_t index;
		assert_int_equal(add(toc, TAR_FILE, cases[i].in, "", &index), 0);
		if (cases[i].kind < 0) {
			assert_int_equal(index, UINT32_MAX);
			continue;
		}
		assert_int_equal(toc_at(toc, index)->kind, cases[i].kind);
		assert_string_equal(toc_string(toc, toc_at(toc, index)->path), cases[i].path);
	}
}

static void test_add_keeps_root_a_directory(void **state)
{
	(void)state;
	static const struct {
		enum tar_type type;
		int result;
	} cases[] = { { TAR_DIRECTORY, 0 },
		      { TAR_FILE, -EBADMSG },
		      { TAR_SYMLINK, -EBADMSG },
		      { TAR_HARDLINK, -EBADMSG },
		      { TAR_FIFO, -EBADMSG } };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(toc) toc = toc_new();
		uint32_t index;
		assert_int_equal(add(toc, cases[i].type, "./", "x", &index), cases[i].result);
	}
}

static void test_add_cleans_links(void **state)
{
	(void)state;
	AUTO(toc) toc = toc_new();
	uint32_t index;
	assert_int_equal(add(toc, TAR_HARDLINK, "h", "/a/./b", &index), 0);
	assert_string_equal(toc_string(toc, toc_at(toc, index)->link), "a/b");
	assert_int_equal(add(toc, TAR_SYMLINK, "s", "../../etc/./x", &index), 0);
	assert_string_equal(toc_string(toc, toc_at(toc, index)->link), "../../etc/./x");
	assert_int_equal(add(toc, TAR_HARDLINK, "h", "../a", &index), -EBADMSG);
	assert_int_equal(add(toc, TAR_SYMLINK, "s", "", &index), -EBADMSG);
}

static void test_xattrs_pass_the_allow_list_only(void **state)
{
	(void)state;
	static const struct tar_xattr given[] = {
		{ "user.a", (const uint8_t *)"1\0002", 3 },
		{ "trusted.overlay.opaque", (const uint8_t *)"y", 1 },
		{ "user.overlay.opaque", (const uint8_t *)"y", 1 },
		{ "security.selinux", (const uint8_t *)"s", 1 },
		{ "security.capability", (const uint8_t *)"c", 1 },
		{ "user.fuseoverlayfs.x", (const uint8_t *)"y", 1 },
		{ "user.empty", (const uint8_t *)"", 0 },
		{ "system.posix_acl_access", (const uint8_t *)"a", 1 },
	};
	const struct tar_entry entry = {
		.path = "f", .link = "", .xattrs = given, .xattr_count = N_ELEMENTS(given)
	};
	AUTO(toc) toc = toc_new();
	uint32_t index;
	assert_int_equal(toc_add(toc, &entry, &index, NULL), 0);
	struct toc_xattr kept[8];
	assert_int_equal(toc_xattrs(toc, toc_at(toc, index), kept, 8), 4);
	assert_string_equal(kept[0].name, "user.a");
	assert_int_equal(kept[0].size, 3);
	assert_memory_equal(kept[0].value, "1\0002", 3);
	assert_string_equal(kept[3].name, "system.posix_acl_access");
	assert_int_equal(toc_dropped_xattrs(toc), 4);
}

static void test_xattrs_too_large_are_dropped(void **state)
{
	(void)state;
	auto_free uint8_t *value = mem_new(65537);
	const struct tar_xattr given[] = { { "user.a", value, 65536 }, { "user.b", value, 65537 } };
	const struct tar_entry entry = {
		.path = "f", .link = "", .xattrs = given, .xattr_count = 2
	};
	AUTO(toc) toc = toc_new();
	uint32_t index;
	assert_int_equal(toc_add(toc, &entry, &index, NULL), 0);
	struct toc_xattr kept[2];
	assert_int_equal(toc_xattrs(toc, toc_at(toc, index), kept, 2), 1);
	assert_string_equal(kept[0].name, "user.a");
	assert_int_equal(toc_dropped_xattrs(toc), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_cleans_names),
		cmocka_unit_test(test_add_refuses_bad_names),
		cmocka_unit_test(test_add_recognises_markers),
		cmocka_unit_test(test_add_keeps_root_a_directory),
		cmocka_unit_test(test_add_cleans_links),
		cmocka_unit_test(test_xattrs_pass_the_allow_list_only),
		cmocka_unit_test(test_xattrs_too_large_are_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
