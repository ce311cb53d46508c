/*
 * Paths of images for the shells' completion.  Only names that a line of text can carry are
 * offered, and nothing is ever fetched: a key that was pressed must not start a download.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/completion.h"
#include "image/lazy.h"
#include "image/rootfs-path.h"
#include "oci/ref.h"

#define OFFERED_MAX 2000u /* names; nobody reads more */
#define NAME_SHOWN_MAX_BYTES 4096

static int open_tree(struct lazy **out, struct cache **cache, const struct complete_image *image)
{
	auto_ref ref = { 0 };
	struct platform platform;
	int r = ref_parse(&ref, image->name, NULL);
	if (r == 0 && image->platform)
		r = platform_parse(&platform, image->platform, NULL);
	if (r == 0)
		r = cache_open(cache, &(struct cache_options){ .path = image->cache }, NULL);
	if (r < 0)
		return r;
	const struct lazy_options options = {
		.image = { .platform = image->platform ? &platform : NULL },
		.cache = *cache,
		.least = TRUST_BOUND,
		.no_prefetch = true,
		.offline = true,
	};
	return lazy_open(out, &ref, &options, NULL);
}

/* It is the same escaped: no control characters, valid UTF-8. */
static bool is_plain(const char *name)
{
	auto_str shown = STR_MAX(NAME_SHOWN_MAX_BYTES);
	esc_add(&shown, name, strlen(name));
	return !shown.failed && str_equal(str_text(&shown), name);
}

static bool is_directory(const struct rootfs *rootfs, uint32_t number)
{
	return S_ISDIR(rootfs_inode(rootfs, number)->mode);
}

void complete_paths(FILE *out, const struct complete_image *image, const char *prefix)
{
	AUTO(cache) cache = NULL;
	AUTO(lazy) lazy = NULL;
	if (open_tree(&lazy, &cache, image) < 0)
		return;
	const struct rootfs *rootfs = lazy_rootfs(lazy);
	const char *slash = strrchr(prefix, '/');
	size_t parent_length = slash ? (size_t)(slash + 1 - prefix) : 0;
	auto_free char *parent = mem_strndup(prefix, parent_length);
	const char *start = prefix + parent_length;
	uint32_t number = ROOTFS_ROOT;
	if (rootfs_resolve(rootfs, parent, true, &number, NULL) < 0 ||
	    !is_directory(rootfs, number))
		return;
	const struct rootfs_inode *dir = rootfs_inode(rootfs, number);
	for (uint32_t i = 0, offered = 0; i < dir->b && offered < OFFERED_MAX; i++) {
		const struct rootfs_child *child = rootfs_child(rootfs, dir, i);
		const char *name = rootfs_string(rootfs, child->name);
		if (!str_starts(name, start) || !is_plain(name))
			continue;
		fprintf(out, "%s%s%s%s\n", image->before, *prefix ? parent : "/", name,
			is_directory(rootfs, child->inode) ? "/" : "");
		offered++;
	}
}
