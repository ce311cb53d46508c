/* ELF files and ld.so.cache: whatever they say, what is taken from them is inside them. */
#include <assert.h>
#include <string.h>

#include "image/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	struct elf elf = { 0 };
	AUTO(input) input = input_of_memory(data, size);
	for (size_t skip = 0; skip < 3; skip++)
		if (elf_cached_library(data, size, "liba.so.1", skip, path, sizeof(path)))
			assert(strlen(path) < sizeof(path));
	if (elf_read(&elf, input, NULL) < 0)
		return 0;
	for (size_t i = 0; i < elf.range_count; i++)
		assert(elf.ranges[i].offset < size &&
		       elf.ranges[i].size <= size - elf.ranges[i].offset);
	for (size_t i = 0; i < elf.needed_count; i++)
		assert(elf.needed[i][0] != '\0');
	elf_release(&elf);
	return 0;
}
