/*
 * Trees for tests, written as words.  Layers are separated by '|'; entries by blanks:
 *	name/		directory
 *	name		file (contents are numbered 1, 2, .. as they come)
 *	name>target	symbolic link
 *	name=target	hard link
 *	-name		whiteout
 *	!name		opaque marker (! alone: the root's)
 */
#pragma once

#include <cmocka.h>
#include <stdio.h>

#include "base/str.h"
#include "image/tree.h"

static inline void add_word(struct toc *toc, char *word, uint32_t *contents)
{
	char path[TAR_PATH_MAX_BYTES + 16];
	struct tar_entry entry = { .type = TAR_FILE, .path = path, .link = "", .mode = 0644 };
	char *slash = strrchr(word, '/'), *link = strpbrk(word, ">=");
	if (word[0] == '-')
		(void)snprintf(path, sizeof(path), "%.*s.wh.%s", slash ? (int)(slash - word) : 0,
			       word + 1, slash ? slash + 1 : word + 1);
	else if (word[0] == '!')
		(void)snprintf(path, sizeof(path), "%s/.wh..wh..opq", word + 1);
	else
		(void)snprintf(path, sizeof(path), "%.*s", link ? (int)(link - word) : 5000, word);
	if (link) {
		entry.type = *link == '>' ? TAR_SYMLINK : TAR_HARDLINK;
		entry.link = link + 1;
	} else if (word[0] != '-' && word[0] != '!' && str_ends(word, "/")) {
		entry.type = TAR_DIRECTORY;
	}
	uint32_t index;
	assert_int_equal(toc_add(toc, &entry, &index, NULL), 0);
	if (toc_at(toc, index)->kind == TOC_FILE)
		toc_at(toc, index)->content = ++*contents;
}

/* Returns what tree_apply returned for the last layer tried. */
static inline int build(struct tree *tree, const char *text)
{
	auto_free char *copy = mem_strdup(text);
	char *layers = copy;
	uint32_t contents = 0;
	for (unsigned number = 0; layers; number++) {
		char *layer = strsep(&layers, "|");
		AUTO(toc) toc = toc_new();
		while (layer) {
			char *word = strsep(&layer, " ");
			if (*word)
				add_word(toc, word, &contents);
		}
		int r = tree_apply(tree, toc, number, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}
