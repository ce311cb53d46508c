/* uthash keeps the order of insertion: what is used goes to the end, what is oldest goes first. */
#include "image/fetch-recent.h"

#include <stdlib.h>
#include <uthash.h>

struct entry {
	uint64_t key;
	struct fetch_bytes *bytes; /* held */
	UT_hash_handle hh;
};

struct fetch_recent {
	struct entry *entries; /* owned, a hash */
	size_t bytes;
};

struct fetch_bytes *fetch_bytes_new(uint8_t *data, size_t size)
{
	struct fetch_bytes *bytes = mem_make(struct fetch_bytes, .size = size, .data = data);
	atomic_init(&bytes->holders, 1);
	return bytes;
}

struct fetch_bytes *fetch_bytes_hold(struct fetch_bytes *bytes)
{
	atomic_fetch_add(&bytes->holders, 1);
	return bytes;
}

void fetch_bytes_free(struct fetch_bytes *bytes)
{
	if (!bytes || atomic_fetch_sub(&bytes->holders, 1) > 1)
		return;
	free(bytes->data);
	free(bytes);
}

struct fetch_recent *fetch_recent_new(void)
{
	return mem_make(struct fetch_recent, .bytes = 0);
}

static void drop(struct fetch_recent *recent, struct entry *entry)
{
	HASH_DEL(recent->entries, entry);
	recent->bytes -= entry->bytes->size;
	fetch_bytes_free(entry->bytes);
	free(entry);
}

void fetch_recent_free(struct fetch_recent *recent)
{
	if (!recent)
		return;
	while (recent->entries)
		drop(recent, recent->entries);
	free(recent);
}

static struct entry *find(const struct fetch_recent *recent, uint64_t key)
{
	struct entry *entry = NULL;
	HASH_FIND(hh, recent->entries, &key, sizeof(key), entry);
	return entry;
}

void fetch_recent_put(struct fetch_recent *recent, uint64_t key, struct fetch_bytes *bytes)
{
	struct entry *entry = find(recent, key);
	if (entry)
		drop(recent, entry);
	while (recent->entries && (recent->bytes + bytes->size > FETCH_RECENT_MAX_BYTES ||
				   HASH_COUNT(recent->entries) >= FETCH_RECENT_MAX_SPANS))
		drop(recent, recent->entries);
	entry = mem_make(struct entry, .key = key, .bytes = fetch_bytes_hold(bytes));
	HASH_ADD(hh, recent->entries, key, sizeof(entry->key), entry);
	recent->bytes += bytes->size;
}

struct fetch_bytes *fetch_recent_get(struct fetch_recent *recent, uint64_t key)
{
	struct entry *entry = find(recent, key);
	if (!entry)
		return NULL;
	HASH_DEL(recent->entries, entry);
	HASH_ADD(hh, recent->entries, key, sizeof(entry->key), entry);
	return fetch_bytes_hold(entry->bytes);
}

bool fetch_recent_has(const struct fetch_recent *recent, uint64_t key)
{
	return find(recent, key) != NULL;
}
