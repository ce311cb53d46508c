/* Content-Range values: what is accepted must be a range within its total. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *value = mem_strndup((const char *)data, size);
	uint64_t first, last, total;
	struct err err;
	if (range_parse(value, &first, &last, &total, &err) == 0 && (first > last || last >= total))
		abort();
	return 0;
}
