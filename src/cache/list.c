/* Showing and checking all that is in the cache: what "rootlet cache ls|stat|verify" ask. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cache/layer-dir.h"

/* ---- listing */

/* Only looks: nothing odd is dropped, no last use set. */
static void count_spans(struct cache *cache, const char *name, struct cache_item *item)
{
	AUTO(span_map) map = NULL;
	auto_close int dir = openat(cache->layers, name,
				    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = dir < 0 ? -1 : openat(dir, "map", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || span_map_open(&map, fd, false, cache->boot, NULL) < 0)
		return;
	item->spans = span_map_shape(map).span_count;
	item->spans_present = span_map_present(map);
}

/* False: a name that is not ours. */
static bool item_of(struct cache *cache, const struct inventory_entry *e, struct cache_item *out)
{
	uint64_t layout;
	struct cache_item item = { .kind = e->kind,
				   .disk_bytes = e->disk_bytes,
				   .used_s = e->used_s };
	if (e->kind != CACHE_KINDS) {
		if (!cache_name_parse(&item.digest, e->name.text))
			return false;
	} else {
		if (!cache_layer_name_parse(&item.digest, &layout, e->name.text))
			return false;
		count_spans(cache, e->name.text, &item);
		item.in_use = layer_dir_used(cache, e->name.text);
	}
	*out = item;
	return true;
}

int cache_list(struct cache *cache,
	       int (*item)(void *arg, const struct cache_item *item, struct err *err), void *arg,
	       struct err *err)
{
	auto_inventory inventory = { 0 };
	int r = inventory_take(&inventory, cache, err);
	for (size_t i = 0; r == 0 && i < inventory.count; i++) {
		struct cache_item one;
		if (item_of(cache, &inventory.entries[i], &one))
			r = item(arg, &one, err);
	}
	return r;
}

int cache_stat(struct cache *cache, struct cache_stat *out, struct err *err)
{
	auto_inventory inventory = { 0 };
	int r = inventory_take(&inventory, cache, err);
	if (r < 0)
		return r;
	struct cache_stat stat = { .disk_bytes = inventory.disk_bytes,
				   .quota_bytes = cache->quota_bytes };
	for (size_t i = 0; i < inventory.count; i++) {
		stat.layers += inventory.entries[i].kind == CACHE_KINDS;
		stat.files += inventory.entries[i].kind != CACHE_KINDS;
	}
	*out = stat;
	return 0;
}

/* ---- checking */

struct tally {
	uint64_t checked, dropped;
};

static void verify_layer(struct cache *cache, const char *name, struct tally *tally)
{
	struct layer_dir layer;
	int r = layer_dir_open(&layer, cache, name, NULL, NULL);
	if (r == -EBADMSG) {
		tally->checked++;
		tally->dropped++;
	}
	if (r < 0)
		return;
	for (uint32_t i = 0; i < span_map_shape(layer.map).span_count; i++) {
		struct span_entry e;
		if (!span_map_load(layer.map, i, &e))
			continue;
		tally->checked++;
		tally->dropped += layer_dir_check(&layer, i, &e) == 0;
	}
	layer_dir_release(&layer);
}

static void verify_file(struct cache *cache, enum cache_kind kind, const char *name,
			struct tally *tally)
{
	struct digest key;
	struct cache_map map = { 0 };
	struct err err = { 0 };
	tally->checked++;
	auto_close int fd = openat(cache->kinds[kind], name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return;
	bool known = cache_name_parse(&key, name);
	int r = fd >= 0 && known ? cache_file_map(&map, fd, kind, &key, &err) : -EBADMSG;
	cache_map_release(&map);
	if (r == 0 || r == -ENOMEM || !cache_writable(cache))
		return;
	tally->dropped += cache_discard(cache, cache->kinds[kind], name, NULL) == 0;
}

int cache_verify(struct cache *cache, uint64_t *checked, uint64_t *dropped, struct err *err)
{
	auto_inventory inventory = { 0 };
	int r = inventory_take(&inventory, cache, err);
	if (r < 0)
		return r;
	struct tally tally = { 0 };
	for (size_t i = 0; i < inventory.count; i++) {
		const struct inventory_entry *e = &inventory.entries[i];
		if (e->kind == CACHE_KINDS)
			verify_layer(cache, e->name.text, &tally);
		else
			verify_file(cache, e->kind, e->name.text, &tally);
	}
	*checked = tally.checked;
	*dropped = tally.dropped;
	return 0;
}
