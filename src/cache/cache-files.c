/*
 * Small whole files, each named by a digest, read by mapping them.
 *
 *	"rootlet" NUL | u32 format | u32 kind | u64 size | SHA-256 of all the former, the key, and
 *	the data | 8 zeros | the data, at 64 so that what is mapped is aligned
 *
 * Written in tmp/, then renamed: no reader sees half of one.  It is not made durable, which would
 * make a mount wait for all that the disk has to write at that time: what a power cut or the disk
 * does to it the checksum finds.  The key is in the checksum so that no file passes for another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "cache/cache-internal.h"

#define FILE_FORMAT 1u
#define PIECE_BYTES (256u * 1024)

struct header {
	char magic[8];
	uint32_t format;
	uint32_t kind;
	uint64_t size;
	uint8_t sum[32];
	uint8_t zeros[8];
};
_Static_assert(sizeof(struct header) == 64, "the data begins at 64");

static const char magic[8] = "rootlet";

static struct header header_of(enum cache_kind kind, uint64_t size)
{
	struct header h = { .format = FILE_FORMAT, .kind = kind, .size = size };
	memcpy(h.magic, magic, sizeof(magic));
	return h;
}

static struct hasher *hasher_begin(const struct header *h, const struct digest *key)
{
	struct hasher *hasher = hasher_new(DIGEST_SHA256);
	uint32_t algorithm = key->algorithm;
	hasher_add(hasher, h, offsetof(struct header, sum));
	hasher_add(hasher, &algorithm, sizeof(algorithm));
	hasher_add(hasher, key->bytes, sizeof(key->bytes));
	return hasher;
}

/* ---- reading */

/* By reading, not through the mapping: a disk error is then an error and not a signal. */
static int hash_file(struct hasher *hasher, int fd, uint64_t size, struct err *err)
{
	auto_free void *piece = mem_new(PIECE_BYTES);
	uint64_t at = sizeof(struct header);
	uint64_t end = at + size;
	while (at < end) {
		size_t want = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
		ssize_t n = pread(fd, piece, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, EBADMSG, "a cached file cannot be read to its end");
		hasher_add(hasher, piece, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

static int check_file(size_t *size, int fd, enum cache_kind kind, const struct digest *key,
		      struct err *err)
{
	struct header h;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "look at a cached file");
	if (!S_ISREG(st.st_mode) || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return err_set(err, EBADMSG, "a cached file has no header");
	struct header expected = header_of(kind, (uint64_t)st.st_size - sizeof(h));
	if (expected.size > CACHE_FILE_MAX_BYTES)
		return err_set(err, E2BIG, "a cached file is too large");
	memcpy(expected.sum, h.sum, sizeof(h.sum));
	if (memcmp(&h, &expected, sizeof(h)) != 0)
		return err_set(err, EBADMSG, "a cached file's header is broken");
	AUTO(hasher) hasher = hasher_begin(&h, key);
	int r = hash_file(hasher, fd, h.size, err);
	if (r < 0)
		return r;
	struct digest sum;
	hasher_finish(hasher, &sum);
	if (memcmp(sum.bytes, h.sum, sizeof(h.sum)) != 0)
		return err_set(err, EBADMSG, "a cached file's checksum is wrong");
	*size = (size_t)h.size;
	return 0;
}

int cache_file_map(struct cache_map *out, int fd, enum cache_kind kind, const struct digest *key,
		   struct err *err)
{
	size_t size = 0;
	int r = check_file(&size, fd, kind, key, err);
	if (r < 0)
		return r;
	size_t whole = sizeof(struct header) + size;
	void *base = mmap(NULL, whole, PROT_READ, MAP_PRIVATE, fd, 0);
	if (base == MAP_FAILED)
		return err_sys(err, "map a cached file");
	*out = (struct cache_map){ .data = (const char *)base + sizeof(struct header),
				   .size = size,
				   .base = base,
				   .base_size = whole };
	return 0;
}

void cache_map_release(struct cache_map *map)
{
	if (map->base)
		(void)munmap(map->base, map->base_size);
	*map = (struct cache_map){ 0 };
}

int cache_get(struct cache *cache, enum cache_kind kind, const struct digest *key,
	      struct cache_map *out, struct err *err)
{
	struct cache_name name = cache_name_of(key);
	struct cache_map map = { 0 };
	auto_close int fd = cache->kinds[kind] < 0
				    ? -1
				    : openat(cache->kinds[kind], name.text,
					     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (cache->kinds[kind] < 0 || errno == ENOENT)) {
		*out = map;
		return 0;
	}
	int r = fd < 0 ? err_sys(err, "open a cached file")
		       : cache_file_map(&map, fd, kind, key, err);
	/* for want of memory or descriptors: the file may be good */
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r < 0)
		cache_drop(cache, kind, key);
	else if (cache_writable(cache))
		(void)futimens(fd, NULL); /* the last use */
	*out = map;
	return 0;
}

void cache_drop(struct cache *cache, enum cache_kind kind, const struct digest *key)
{
	struct cache_name name = cache_name_of(key);
	if (cache->kinds[kind] >= 0 && unlinkat(cache->kinds[kind], name.text, 0) < 0 &&
	    errno == EISDIR)
		IGNORE(cache_discard(cache, cache->kinds[kind], name.text, NULL));
}

/* ---- writing */

static int write_file(int fd, const struct header *h, const void *data, size_t size,
		      struct err *err)
{
	int r = io_write_all(fd, h, sizeof(*h), err);
	return r < 0 ? r : io_write_all(fd, data, size, err);
}

int cache_put(struct cache *cache, enum cache_kind kind, const struct digest *key, const void *data,
	      size_t size, struct err *err)
{
	if (!cache_writable(cache))
		return 0;
	if (size > CACHE_FILE_MAX_BYTES)
		return err_set(err, E2BIG, "%zu bytes are too many for one cached file", size);
	struct header h = header_of(kind, size);
	AUTO(hasher) hasher = hasher_begin(&h, key);
	hasher_add(hasher, data, size);
	struct digest sum;
	hasher_finish(hasher, &sum);
	memcpy(h.sum, sum.bytes, sizeof(h.sum));

	struct cache_tmp tmp = { .fd = -1 };
	int r = cache_tmp_make(&tmp, cache, false, err);
	if (r == 0)
		r = write_file(tmp.fd, &h, data, size, err);
	if (r == 0 &&
	    renameat(cache->tmp, tmp.name, cache->kinds[kind], cache_name_of(key).text) < 0)
		r = err_sys(err, "rename");
	if (r == 0)
		tmp.name[0] = '\0';
	cache_tmp_release(&tmp, cache);
	if (r < 0)
		return err_wrap(err, cache_fail(cache, r), "write to the cache");
	cache_wrote(cache, size);
	return 0;
}
