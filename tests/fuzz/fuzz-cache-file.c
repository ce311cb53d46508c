/*
 * A cached file with any bytes: refused, or exactly what follows its header.  The first byte of the
 * input says which kind is asked for; the key is fixed.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/cache-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest key;
	struct cache_map map = { 0 };
	struct err err = { 0 };
	if (size == 0)
		return 0;
	digest_of(&key, DIGEST_SHA256, "key", 3);
	auto_close int fd = memfd_create("file", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1)
		abort();
	int r = cache_file_map(&map, fd, (enum cache_kind)(data[0] % CACHE_KINDS), &key, &err);
	if (r < 0 && err.text[0] == '\0')
		abort();
	if (r == 0 && (map.size != size - 65 || memcmp(map.data, data + 65, map.size) != 0))
		abort();
	cache_map_release(&map);
	return 0;
}
