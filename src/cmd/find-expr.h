/*
 * The expression of find(1), the part that people use, with the same meaning:
 *
 *	expression  term [-o term]...
 *	term        factor [[-a] factor]...
 *	factor      ! factor | ( expression ) | test
 *
 * Tests may be written with one dash, as in find(1), or with two, as the option table shows them.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "image/rootfs.h"

struct find_expr;

/* What find takes along besides tests; they count wherever they stand. */
struct find_limits {
	unsigned min_depth, max_depth;
	bool print0;
};

/*
 * Take the words of an expression out of ARGV (from argv[1] on; options and operands stay, *argc
 * falls) and build it over ROOTFS, which -newer asks for paths.  The words are borrowed.  -EINVAL
 * what is no expression; -ENOENT -newer names nothing.
 */
struct find_words {
	const char **all; /* owned */
	size_t count;
};
MUST_USE int find_words_take(struct find_words *out, int *argc, char **argv, struct err *err);
void find_words_release(struct find_words *words);

MUST_USE int find_expr_parse(struct find_expr **out, struct find_limits *limits,
			     const struct find_words *words, struct err *err);
void find_expr_free(struct find_expr *expr);
DEFINE_AUTO(find_expr)

/* Paths that -newer names become times.  Once, before the first match. */
MUST_USE int find_expr_resolve(struct find_expr *expr, const struct rootfs *rootfs,
			       struct err *err);

struct find_subject {
	const char *path, *name;
	const struct rootfs_inode *inode;
};
bool find_expr_match(const struct find_expr *expr, const struct find_subject *subject);
