/* Which mount is on top at a directory, from the kernel's list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fuse/mountinfo.h"

static const char list[] =
	"22 27 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
	"27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
	"36 27 0:47 / /mnt/a ro,nosuid - fuse.rootlet ghcr.io/a/b:1 ro,user_id=0\n"
	"37 27 0:48 / /mnt/with\\040blank\\134 ro shared:1 master:2 propagate_from:3 - "
	"fuse.rootlet "
	"oci:/x\\040y ro\n"
	"38 27 0:49 / /mnt/two ro - fuse.rootlet below ro\n"
	"39 38 0:50 / /mnt/two rw - overlay above rw\n"
	"40 27 bad / /mnt/bad rw - ext4 x rw\n"
	"41 27 0:51 / /mnt/cut rw shared:1\n"
	"42 27 0:52 / /mnt/typeless rw -\n"
	"43 27 0:53 / /mnt/sourceless rw - tmpfs\n"
	"44 27 0:54 / /mnt/a/below rw - tmpfs none rw\n"
	"45 27 0:55 / /mnt/last rw - tmpfs none rw";

static void test_mountinfo_finds_what_is_on_top(void **state)
{
	(void)state;
	static const struct {
		const char *directory, *type, *source; /* type NULL: nothing there */
		unsigned major, minor;
	} cases[] = {
		{ "/", "ext4", "/dev/vda1", 254, 1 },
		{ "/mnt/a", "fuse.rootlet", "ghcr.io/a/b:1", 0, 47 },
		{ "/mnt/with blank\\", "fuse.rootlet", "oci:/x y", 0, 48 },
		{ "/mnt/two", "overlay", "above", 0, 50 },
		{ "/mnt/sourceless", "tmpfs", "", 0, 53 },
		{ "/mnt/last", "tmpfs", "none", 0, 55 },
		{ "/mnt", NULL, NULL, 0, 0 },
		{ "/mnt/a/", NULL, NULL, 0, 0 },
		{ "/mnt/bad", NULL, NULL, 0, 0 },
		{ "/mnt/cut", NULL, NULL, 0, 0 },
		{ "/mnt/typeless", NULL, NULL, 0, 0 },
		{ "", NULL, NULL, 0, 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mountinfo info = { 0 };
		bool found = mountinfo_search(&info, list, cases[i].directory);
		assert_int_equal(found, cases[i].type != NULL);
		if (!found)
			continue;
		assert_string_equal(info.type, cases[i].type);
		assert_string_equal(info.source, cases[i].source);
		assert_int_equal(info.major, cases[i].major);
		assert_int_equal(info.minor, cases[i].minor);
	}
}

static void test_mountinfo_of_this_process_has_a_root(void **state)
{
	(void)state;
	struct mountinfo info;
	bool found = false;
	assert_int_equal(mountinfo_find(&info, "/proc", &found, NULL), 0);
	assert_true(found);
	assert_string_equal(info.type, "proc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mountinfo_finds_what_is_on_top),
		cmocka_unit_test(test_mountinfo_of_this_process_has_a_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
