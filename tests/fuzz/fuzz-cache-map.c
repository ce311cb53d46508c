/* A map of spans with any bytes: what it says lies inside its stream; it can be changed. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/span-map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct span_map *map, uint32_t span)
{
	struct span_map_shape shape = span_map_shape(map);
	struct span_entry e, next = { .sum = 1, .offset = 0, .size = 0 };
	if (span_map_load(map, span, &e)) {
		if (span >= shape.span_count || e.offset > shape.stream_size ||
		    e.size > shape.stream_size - e.offset || !span_map_clear(map, span, &e))
			abort();
	}
	if (span >= shape.span_count)
		return;
	span_map_describe(map, span, &next);
	span_map_mark(map, span);
	if (!span_map_load(map, span, &e) || e.sum != 1 || !span_map_trusted(map, span, &e))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(span_map) map = NULL;
	struct err err = { 0 };
	int fd = memfd_create("map", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	int r = span_map_open(&map, fd, true, 5, &err);
	if (r < 0 && err.text[0] == '\0')
		abort();
	for (uint32_t i = 0; r == 0 && i <= span_map_shape(map).span_count; i++)
		use(map, i);
	return 0;
}
