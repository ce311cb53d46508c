/*
 * zstd:chunked: a blob, or the JSON of its table of contents ('{' first), which is put into a
 * layer.  Each table that is made is one, and passes over nothing that it says is there.
 */
#include "tests/unit/layer-fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_build b = BUILD(true);
	if (size > 0 && data[0] == '{')
		fuzz_layer(&b, data, size);
	else
		bytes_add(&b.blob, data, size);
	fuzz_table(&b.blob, zchunked_table);
	return 0;
}
