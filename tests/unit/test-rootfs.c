/* The merged tree as a file: built, opened, asked; and files that were changed, refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "image/rootfs-internal.h"
#include "image/rootfs.h"
#include "tree-build.h"

struct file {
	void *data; /* owned */
	size_t size;
};

static struct file build_file(const char *words)
{
	struct file file = { 0 };
	AUTO(tree) tree = tree_new();
	assert_int_equal(build(tree, words), 0);
	assert_int_equal(rootfs_build(tree, &file.data, &file.size, NULL), 0);
	return file;
}

/* "name/{...}" for directories, "name:content*links", "name>target", in the order of readdir. */
static void list(const struct rootfs *rootfs, const struct rootfs_inode *dir, struct str *out)
{
	for (uint32_t i = 0; i < dir->b; i++) {
		const struct rootfs_child *child = rootfs_child(rootfs, dir, i);
		const struct rootfs_inode *inode = rootfs_inode(rootfs, child->inode);
		const char *name = rootfs_string(rootfs, child->name);
		assert_int_equal(rootfs_lookup(rootfs, dir, name, strlen(name)), child->inode);
		str_addf(out, "%s%s", i ? " " : "", name);
		if (S_ISLNK(inode->mode)) {
			str_addf(out, ">%s", rootfs_string(rootfs, inode->a));
		} else if (S_ISREG(inode->mode)) {
			str_addf(out, ":%u*%u", inode->a, inode->nlink);
		} else {
			str_add(out, "/{");
			list(rootfs, inode, out);
			str_addf(out, "}%u", inode->nlink);
		}
	}
}

static void test_rootfs_holds_the_tree(void **state)
{
	(void)state;
	static const struct {
		const char *words, *wanted;
	} cases[] = {
		{ "", "" },
		{ "b a c", "a:2*1 b:1*1 c:3*1" },
		{ "a a/ a-b ab", "a/{}2 a-b:2*1 ab:3*1" },
		{ "d/ d/e/ d/f d/e/g x>y/z", "d/{e/{g:2*1}2 f:1*1}3 x>y/z" },
		{ "a b=a d/ d/c=a", "a:1*3 b:1*3 d/{c:1*3}2" },
		{ "a b=a|-a", "b:1*1" },
		{ "z/y/x/w|-z/y|q", "q:2*1 z/{}2" },
		{ "\xff \x01 a", "\x01:2*1 a:3*1 \xff:1*1" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct file file = build_file(cases[i].words);
		AUTO(rootfs) rootfs = NULL;
		assert_int_equal(rootfs_open(&rootfs, file.data, file.size, NULL), 0);
		auto_str text = STR_MAX(10000);
		list(rootfs, rootfs_inode(rootfs, ROOTFS_ROOT), &text);
		assert_string_equal(str_text(&text), cases[i].wanted);
		free(file.data);
	}
}

static void test_rootfs_of_equal_trees_is_equal(void **state)
{
	(void)state;
	struct file a = build_file("d/ d/x>1 d/y>2 e>3"), b = build_file("e>3 d/ d/y>2 d/x>1|d/");
	assert_int_equal(a.size, b.size);
	/* but for which layer directories are from */
	((struct rootfs_inode *)((struct rootfs_header *)b.data + 1))[1].layer = 0;
	assert_memory_equal(a.data, b.data, a.size);
	free(a.data);
	free(b.data);
}

static void test_rootfs_keeps_attributes(void **state)
{
	(void)state;
	static const struct tar_xattr xattrs[] = {
		{ "user.a", (const uint8_t *)"1", 1 },
		{ "user.b", (const uint8_t *)"", 0 },
		{ "security.capability", (const uint8_t *)"cap", 3 },
	};
	const struct tar_entry entries[] = {
		{ .path = "dev",
		  .link = "",
		  .type = TAR_CHAR,
		  .mode = 0620,
		  .dev_major = 4,
		  .dev_minor = 300 },
		{ .path = "f",
		  .link = "",
		  .type = TAR_FILE,
		  .mode = 04755,
		  .uid = 7,
		  .gid = 8,
		  .size = 5000,
		  .mtime_s = -3,
		  .mtime_ns = 999999999,
		  .xattrs = xattrs,
		  .xattr_count = 3 },
		{ .path = "p", .link = "", .type = TAR_FIFO, .mode = 0600 },
	};
	AUTO(toc) toc = toc_new();
	for (uint32_t i = 0, index; i < N_ELEMENTS(entries); i++)
		assert_int_equal(toc_add(toc, &entries[i], &index, NULL), 0);
	toc_at(toc, 1)->content = 42;
	AUTO(tree) tree = tree_new();
	assert_int_equal(tree_apply(tree, toc, 3, NULL), 0);
	auto_free void *data = NULL;
	size_t size;
	AUTO(rootfs) rootfs = NULL;
	assert_int_equal(rootfs_build(tree, &data, &size, NULL), 0);
	assert_int_equal(rootfs_open(&rootfs, data, size, NULL), 0);
	assert_int_equal(rootfs_inode_count(rootfs), 4);
	assert_int_equal(rootfs_bytes(rootfs), 5000);
	assert_true(rootfs_has_xattrs(rootfs));

	const struct rootfs_inode *root = rootfs_inode(rootfs, 1), *dev = rootfs_inode(rootfs, 2);
	const struct rootfs_inode *f = rootfs_inode(rootfs, 3), *p = rootfs_inode(rootfs, 4);
	assert_int_equal(root->mode, S_IFDIR | 0755);
	assert_int_equal(root->flags, ROOTFS_IMPLIED);
	assert_int_equal(root->parent, 1);
	assert_int_equal(dev->mode, S_IFCHR | 0620);
	assert_int_equal(dev->a, 4);
	assert_int_equal(dev->b, 300);
	assert_int_equal(f->mode, S_IFREG | 04755);
	assert_int_equal(f->a, 42);
	assert_int_equal(f->layer, 3);
	assert_int_equal(f->uid, 7);
	assert_int_equal(f->gid, 8);
	assert_int_equal(f->mtime_s, -3);
	assert_int_equal(f->mtime_ns, 999999999);
	assert_int_equal(p->mode, S_IFIFO | 0600);
	assert_null(rootfs_inode(rootfs, 5));
	assert_null(rootfs_inode(rootfs, 0));

	struct toc_xattr got[3] = { 0 };
	assert_int_equal(rootfs_xattrs(rootfs, p, got, 3), 0);
	assert_int_equal(rootfs_xattrs(rootfs, f, NULL, 0), 3);
	assert_int_equal(rootfs_xattrs(rootfs, f, got, 2), 3);
	assert_string_equal(got[0].name, "user.a");
	assert_memory_equal(got[0].value, "1", 1);
	assert_int_equal(got[1].size, 0);
	assert_null(got[2].name);
}

static void test_rootfs_finds_no_other_names(void **state)
{
	(void)state;
	struct file file = build_file("abc abd b/ b/x");
	AUTO(rootfs) rootfs = NULL;
	assert_int_equal(rootfs_open(&rootfs, file.data, file.size, NULL), 0);
	const struct rootfs_inode *root = rootfs_inode(rootfs, ROOTFS_ROOT);
	static const char *const absent[] = { "", "a", "ab", "abcd", "abe", "x", "c", ".", ".." };
	for (size_t i = 0; i < N_ELEMENTS(absent); i++)
		assert_int_equal(rootfs_lookup(rootfs, root, absent[i], strlen(absent[i])),
				 ROOTFS_NONE);
	/* the length counts, not a NUL */
	assert_int_not_equal(rootfs_lookup(rootfs, root, "abcd", 3), ROOTFS_NONE);
	free(file.data);
}

/* --- files that were changed: of "a b=a d/ d/x>y e/" --- */

struct parts {
	struct rootfs_header *header;
	struct rootfs_inode *inodes; /* 1 root, 2 a, 3 d, 4 e, 5 d/x */
	struct rootfs_child *children;
	char *strings;
};

static void swap_children(struct parts *p)
{
	struct rootfs_child first = p->children[0];
	p->children[0] = p->children[1];
	p->children[1] = first;
}
static void rename_child(struct parts *p, const char *name)
{
	memcpy(p->strings + p->children[0].name, name, strlen(name) + 1);
}
static void name_slash(struct parts *p)
{
	rename_child(p, "/");
}
static void name_dot(struct parts *p)
{
	rename_child(p, ".");
}
static void name_empty(struct parts *p)
{
	rename_child(p, "");
}
static void name_far(struct parts *p)
{
	p->children[0].name = p->header->strings;
}
static void child_none(struct parts *p)
{
	p->children[0].inode = 0;
}
static void child_far(struct parts *p)
{
	p->children[0].inode = 6;
}
static void child_root(struct parts *p)
{
	p->children[0].inode = 1;
}
static void child_twice(struct parts *p)
{
	p->children[3].inode = 3;
}
static void child_loop(struct parts *p)
{
	p->children[4].inode = 3;
}
static void run_far(struct parts *p)
{
	p->inodes[3].b = 1;
}
static void run_overlaps(struct parts *p)
{
	p->inodes[2].a = 3;
}
static void run_short(struct parts *p)
{
	p->inodes[2].b = 0;
}
static void links_wrong(struct parts *p)
{
	p->inodes[1].nlink = 1;
}
static void dir_links_wrong(struct parts *p)
{
	p->inodes[0].nlink = 3;
}
static void parent_wrong(struct parts *p)
{
	p->inodes[2].parent = 4;
}
static void root_parent(struct parts *p)
{
	p->inodes[0].parent = 3;
}
static void root_file(struct parts *p)
{
	p->inodes[0].mode = S_IFREG;
}
static void type_socket(struct parts *p)
{
	p->inodes[1].mode = S_IFSOCK;
}
static void mode_bits(struct parts *p)
{
	p->inodes[1].mode |= 0x80000000u;
}
static void size_huge(struct parts *p)
{
	p->inodes[1].size = UINT64_MAX;
}
static void dir_size(struct parts *p)
{
	p->inodes[2].size = 1;
}
static void target_far(struct parts *p)
{
	p->inodes[4].a = UINT32_MAX;
}
static void target_size(struct parts *p)
{
	p->inodes[4].size = 2;
}
static void nanoseconds(struct parts *p)
{
	p->inodes[1].mtime_ns = 1000000000;
}
static void xattr_far(struct parts *p)
{
	p->inodes[1].xattrs = 1;
}
static void layer_far(struct parts *p)
{
	p->inodes[1].layer = 4096;
}
static void flags(struct parts *p)
{
	p->inodes[1].flags = 2;
}
static void count_inodes(struct parts *p)
{
	p->header->inodes--;
}
static void count_huge(struct parts *p)
{
	p->header->inodes = UINT32_MAX;
}
static void values_huge(struct parts *p)
{
	p->header->values = UINT64_MAX;
}
static void format(struct parts *p)
{
	p->header->format++;
}
static void magic(struct parts *p)
{
	p->header->magic[7] = 'x';
}
static void unended(struct parts *p)
{
	p->strings[p->header->strings - 1] = 'x';
}

static void test_rootfs_refuses_what_was_changed(void **state)
{
	(void)state;
	static void (*const changes[])(struct parts *) = {
		swap_children, name_slash,   name_dot,	 name_empty,   name_far,
		child_none,    child_far,    child_root, child_twice,  child_loop,
		run_far,       run_overlaps, run_short,	 links_wrong,  dir_links_wrong,
		parent_wrong,  root_parent,  root_file,	 type_socket,  mode_bits,
		size_huge,     dir_size,     target_far, target_size,  nanoseconds,
		xattr_far,     layer_far,    flags,	 count_inodes, count_huge,
		values_huge,   format,	     magic,	 unended,
	};
	for (size_t i = 0; i < N_ELEMENTS(changes); i++) {
		struct file file = build_file("a b=a d/ d/x>y e/");
		struct parts p = { .header = file.data };
		p.inodes = (void *)(p.header + 1);
		p.children = (void *)(p.inodes + p.header->inodes);
		p.strings = (void *)(p.children + p.header->children);
		changes[i](&p);
		AUTO(rootfs) rootfs = NULL;
		struct err err = { 0 };
		assert_int_equal(rootfs_open(&rootfs, file.data, file.size, &err), -EBADMSG);
		assert_int_equal(err.code, -EBADMSG);
		free(file.data);
	}
}

static void test_rootfs_refuses_every_other_length(void **state)
{
	(void)state;
	struct file file = build_file("a b=a d/ d/x>y e/");
	for (size_t size = 0; size < file.size; size++) {
		auto_free void *copy = mem_copy(file.data, size);
		AUTO(rootfs) rootfs = NULL;
		assert_int_equal(rootfs_open(&rootfs, copy, size, NULL), -EBADMSG);
	}
	free(file.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rootfs_holds_the_tree),
		cmocka_unit_test(test_rootfs_of_equal_trees_is_equal),
		cmocka_unit_test(test_rootfs_keeps_attributes),
		cmocka_unit_test(test_rootfs_finds_no_other_names),
		cmocka_unit_test(test_rootfs_refuses_what_was_changed),
		cmocka_unit_test(test_rootfs_refuses_every_other_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
