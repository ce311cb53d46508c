/* Staging and placing in a real directory: conflicts between layers, leftovers of killed runs,
 * undoing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "image/place.h"
#include "image/stage.h"
#include "image/tree.h"

struct box {
	char path[64];
	int fd;
	struct attrs_policy policy;
};

static int set_up(void **state)
{
	struct box *box = mem_new(sizeof(*box));
	(void)snprintf(box->path, sizeof(box->path), "/tmp/rootlet-stage-XXXXXX");
	if (!mkdtemp(box->path))
		return -1;
	box->fd = open(box->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	attrs_policy_init(&box->policy);
	*state = box;
	return box->fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct box *box = *state;
	close(box->fd);
	auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(tmp, strrchr(box->path, '/') + 1, NULL);
	free(box);
	return r;
}

/* A layer of "path=text" and "path/" words: staged and put into a toc. */
static struct toc *stage_layer(struct stage *stage, const char *words)
{
	struct toc *toc = toc_new();
	AUTO(stage_writer) writer = stage_writer_new(stage);
	auto_free char *copy = mem_strdup(words);
	char *rest = copy;
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		char *text = strchr(word, '=');
		if (text)
			*text++ = '\0';
		char *link = strchr(word, '>');
		if (link)
			*link++ = '\0';
		struct tar_entry e = { .type = link   ? TAR_SYMLINK
					       : text ? TAR_FILE
						      : TAR_DIRECTORY,
				       .path = word,
				       .link = link ? link : "",
				       .mode = 0755,
				       .mtime_s = 1000,
				       .uid = geteuid(),
				       .gid = getegid() };
		uint32_t index;
		assert_int_equal(toc_add(toc, &e, &index, NULL), 0);
		struct toc_entry *entry = toc_at(toc, index);
		if (entry->kind != TOC_FILE)
			continue;
		auto_close int fd = -1;
		assert_int_equal(stage_create(writer, toc_string(toc, entry->path), 0644, &fd,
					      &entry->content, NULL),
				 0);
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	}
	return toc;
}

static void assert_text(struct box *box, const char *path, const char *wanted)
{
	auto_free char *text = NULL;
	size_t size;
	auto_close int fd = beneath_open(box->fd, path, O_RDONLY, 0, NULL);
	if (!wanted) {
		assert_true(fd < 0);
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(io_read_all(fd, 1000, &text, &size, NULL), 0);
	assert_string_equal(text, wanted);
}

static void unpack(struct box *box, const char *const *layers, size_t count)
{
	AUTO(stage) stage = NULL;
	assert_int_equal(stage_new(&stage, box->fd, NULL), 0);
	struct toc *tocs[8];
	/* the top layer is staged first: it takes the names, the lower ones have to make way */
	for (size_t i = count; i-- > 0;)
		tocs[i] = stage_layer(stage, layers[i]);
	AUTO(tree) tree = tree_new();
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(tree_apply(tree, tocs[i], (unsigned)i, NULL), 0);
		toc_free(tocs[i]);
	}
	struct place_options options = { .policy = &box->policy };
	struct place_result result = { 0 };
	assert_int_equal(place_tree(stage, tree, &options, &result, NULL), 0);
	assert_int_equal(stage_commit(stage, NULL), 0);
	assert_int_equal(place_top(box->fd, tree, &options, NULL), 0);
	stage_free(TAKE(stage));
	assert_int_equal(place_root(box->fd, tree, &options, NULL), 0);
}

static void test_conflicting_layers_end_right(void **state)
{
	struct box *box = *state;
	static const char *const layers[] = {
		("a=1 d/x=x d/y=y was/dir/f=f file=plain lib/ lib/old=old dir/sub/g=g "
		 "gone/deep/er/h=h"),
		"s>lib a=2 .wh.gone= d/.wh.y= was=file file/now/in=in",
		"s/new=new d/x=xx lib/old=newer dir/.wh..wh..opq= dir/only=o",
	};
	unpack(box, layers, N_ELEMENTS(layers));
	assert_text(box, "a", "2");
	assert_text(box, "d/x", "xx");
	assert_text(box, "d/y", NULL);
	assert_text(box, "was", "file");
	assert_text(box, "file/now/in", "in");
	assert_text(box, "lib/new", "new");
	assert_text(box, "lib/old", "newer");
	assert_text(box, "dir/only", "o");
	assert_int_equal(faccessat(box->fd, "dir/sub", F_OK, 0), -1);
	assert_int_equal(faccessat(box->fd, "gone", F_OK, 0), -1);
	char target[16] = "";
	assert_int_equal(readlinkat(box->fd, "s", target, sizeof(target)), 3);
	struct stat st;
	assert_int_equal(fstat(box->fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(st.st_mtime, 0);
	assert_int_equal(fstatat(box->fd, "lib", &st, 0), 0);
	assert_int_equal(st.st_mtime, 1000);
}

static void test_deep_directories_are_reached(void **state)
{
	struct box *box = *state;
	/* so few descriptors that the stacks of open directories are full at once */
	struct rlimit before, few;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	auto_str words = STR_MAX(1000000), path = STR_MAX(4000);
	for (int i = 0; i < 300; i++) {
		str_addf(&path, "%sd%d", i ? "/" : "", i % 10);
		str_addf(&words, "%s%s/f=%d", i ? " " : "", str_text(&path), i);
	}
	const char *layers[] = { "d0/d1/other=1", str_text(&words) };
	unpack(box, layers, 2);
	str_add(&path, "/f");
	assert_text(box, str_text(&path), "299");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_new_refuses_what_is_not_empty(void **state)
{
	struct box *box = *state;
	AUTO(stage) stage = NULL;
	struct err err = { 0 };
	assert_int_equal(io_write_file(box->fd, "mine", "x", 1, 0644, NULL), 0);
	assert_int_equal(stage_new(&stage, box->fd, &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "'mine'"));
	assert_text(box, "mine", "x");
}

static void test_new_clears_what_a_killed_run_left(void **state)
{
	struct box *box = *state;
	assert_int_equal(mkdirat(box->fd, STAGE_PREFIX "abc123", 0700), 0);
	auto_close int left = openat(box->fd, STAGE_PREFIX "abc123",
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(left, "root", 0000), 0);
	/* it died while moving up "bin" and "etc"; "bin" is there, and so is a file it never made
	 */
	assert_int_equal(io_write_file(left, "commit", "bin\0etc", 8, 0600, NULL), 0);
	assert_int_equal(mkdirat(box->fd, "bin", 0755), 0);
	assert_int_equal(io_write_file(box->fd, "mine", "x", 1, 0644, NULL), 0);
	AUTO(stage) stage = NULL;
	assert_int_equal(stage_new(&stage, box->fd, NULL), -EINVAL);
	assert_text(box, "mine", "x");
	assert_int_equal(faccessat(box->fd, "bin", F_OK, 0), 0);
	assert_int_equal(unlinkat(box->fd, "mine", 0), 0);
	assert_int_equal(stage_new(&stage, box->fd, NULL), 0);
	assert_int_equal(faccessat(box->fd, "bin", F_OK, 0), -1);
	assert_int_equal(faccessat(box->fd, STAGE_PREFIX "abc123", F_OK, 0), -1);
}

/* Killed after everything was moved, while the private directory went, or right after that. */
static void test_new_clears_a_tree_that_does_not_count_yet(void **state)
{
	struct box *box = *state;
	for (int with_dir = 0; with_dir < 2; with_dir++) {
		const char *name = STAGE_PREFIX "abc123.commit";
		if (with_dir)
			assert_int_equal(mkdirat(box->fd, STAGE_PREFIX "abc123", 0700), 0);
		assert_int_equal(io_write_file(box->fd, name, "bin\0etc", 8, 0600, NULL), 0);
		assert_int_equal(mkdirat(box->fd, "bin", 0755), 0);
		assert_int_equal(io_write_file(box->fd, "mine", "x", 1, 0644, NULL), 0);
		AUTO(stage) stage = NULL;
		assert_int_equal(stage_new(&stage, box->fd, NULL), -EINVAL);
		assert_int_equal(faccessat(box->fd, name, F_OK, 0), 0);
		assert_int_equal(unlinkat(box->fd, "mine", 0), 0);
		assert_int_equal(stage_new(&stage, box->fd, NULL), 0);
		assert_int_equal(faccessat(box->fd, "bin", F_OK, 0), -1);
		assert_int_equal(faccessat(box->fd, name, F_OK, 0), -1);
		assert_int_equal(faccessat(box->fd, STAGE_PREFIX "abc123", F_OK, 0), -1);
	}
}

static void test_a_tree_counts_when_it_is_done(void **state)
{
	struct box *box = *state;
	AUTO(stage) stage = NULL;
	AUTO(stage) other = NULL;
	struct err err = { 0 };
	assert_int_equal(stage_new(&stage, box->fd, NULL), 0);
	toc_free(stage_layer(stage, "a=1"));
	assert_int_equal(stage_commit(stage, NULL), 0);
	assert_int_equal(stage_remove(stage, NULL), 0);
	assert_int_equal(stage_new(&other, box->fd, &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "another run"));
	assert_int_equal(stage_done(stage, NULL), 0);
	assert_int_equal(stage_new(&other, box->fd, &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "not empty"));
	stage_free(TAKE(stage));
	assert_text(box, "a", "1");
}

static void test_new_leaves_a_living_run_alone(void **state)
{
	struct box *box = *state;
	AUTO(stage) first = NULL;
	AUTO(stage) second = NULL;
	struct err err = { 0 };
	assert_int_equal(stage_new(&first, box->fd, NULL), 0);
	assert_int_equal(stage_new(&second, box->fd, &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "another run"));
}

static void test_free_and_undo_leave_nothing(void **state)
{
	struct box *box = *state;
	AUTO(stage) stage = NULL;
	assert_int_equal(stage_new(&stage, box->fd, NULL), 0);
	toc_free(stage_layer(stage, "a=1 b/c/d=2"));
	assert_int_equal(stage_commit(stage, NULL), 0);
	assert_text(box, "b/c/d", "2");
	stage_undo_commit(stage);
	stage_free(TAKE(stage));
	assert_int_equal(unlinkat(AT_FDCWD, box->path, AT_REMOVEDIR), 0);
	assert_int_equal(mkdir(box->path, 0700), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_conflicting_layers_end_right, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_deep_directories_are_reached, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_new_refuses_what_is_not_empty, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_new_clears_what_a_killed_run_left, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_new_clears_a_tree_that_does_not_count_yet,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_tree_counts_when_it_is_done, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_new_leaves_a_living_run_alone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_free_and_undo_leave_nothing, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
