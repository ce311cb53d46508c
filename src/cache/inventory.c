/* What there is in the cache and how much of the disk it takes, by looking at everything. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "cache/cache-internal.h"

#define ENTRIES_MAX (1u << 22)
#define BLOCK_BYTES 512u

struct taking {
	struct inventory *out;
	struct cache *cache;
	enum cache_kind kind;
	int dirfd; /* borrowed */
	int64_t now_s;
};

/* 0 where there is none. */
static uint64_t disk_of(int dirfd, const char *name, struct stat *st)
{
	if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) < 0) {
		*st = (struct stat){ 0 };
		return 0;
	}
	return (uint64_t)st->st_blocks * BLOCK_BYTES;
}

/* A layer's directory, which is one level deep; *used_s is set where "use" is there. */
static uint64_t disk_of_layer(int parent, const char *name, int64_t *used_s)
{
	static const char *const files[] = { ".", "stream", "map", "use" };
	struct stat st;
	uint64_t sum = 0;
	auto_close int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return disk_of(parent, name, &st);
	for (size_t i = 0; i < N_ELEMENTS(files); i++)
		sum += disk_of(fd, files[i], &st);
	*used_s = (int64_t)st.st_mtime;
	return sum;
}

static int take_one(void *arg, const char *name, struct err *err)
{
	struct taking *t = arg;
	struct inventory_entry e = { .kind = t->kind };
	size_t n = strlen(name);
	struct stat st = { 0 };
	if (t->kind == CACHE_KINDS) {
		e.disk_bytes = disk_of_layer(t->dirfd, name, &e.used_s);
	} else {
		e.disk_bytes = disk_of(t->dirfd, name, &st);
		e.used_s = (int64_t)st.st_mtime;
	}
	t->out->disk_bytes += e.disk_bytes;
	if (t->dirfd == t->cache->tmp || n >= sizeof(e.name.text))
		return 0;
	if (t->out->count == ENTRIES_MAX)
		return err_set(err, E2BIG, "more than %u things in the cache", ENTRIES_MAX);
	memcpy(e.name.text, name, n + 1);
	/* a clock that was set back makes nothing live for ever */
	if (e.used_s > t->now_s)
		e.used_s = t->now_s;
	t->out->entries = mem_grow(t->out->entries, &t->out->capacity, t->out->count,
				   sizeof(*t->out->entries));
	t->out->entries[t->out->count++] = e;
	return 0;
}

static int by_use(const void *a, const void *b)
{
	const struct inventory_entry *x = a, *y = b;
	return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

int inventory_take(struct inventory *out, struct cache *cache, struct err *err)
{
	struct inventory inventory = { 0 };
	struct taking t = { .out = &inventory,
			    .cache = cache,
			    .kind = CACHE_KINDS,
			    .dirfd = cache->layers,
			    .now_s = (int64_t)time(NULL) };
	int r = cache_dir_each(t.dirfd, take_one, &t, err);
	t.dirfd = cache->tmp;
	if (r == 0)
		r = cache_dir_each(t.dirfd, take_one, &t, err);
	for (unsigned i = 0; r == 0 && i < CACHE_KINDS; i++) {
		t.kind = (enum cache_kind)i;
		t.dirfd = cache->kinds[i];
		r = cache_dir_each(t.dirfd, take_one, &t, err);
	}
	if (r < 0) {
		inventory_release(&inventory);
		return r;
	}
	if (inventory.count > 0)
		qsort(inventory.entries, inventory.count, sizeof(*inventory.entries), by_use);
	*out = inventory;
	return 0;
}

void inventory_release(struct inventory *inventory)
{
	free(inventory->entries);
	*inventory = (struct inventory){ 0 };
}
