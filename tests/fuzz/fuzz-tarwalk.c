/* A plain tar by ranges: each table that is made is one, of the bytes that a full unpack reads. */
#include "tests/unit/layer-fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes blob = { 0 };
	bytes_add(&blob, data, size);
	fuzz_table(&blob, tarwalk_table);
	bytes_release(&blob);
	return 0;
}
